"""
What the router written in Python, before LiteLLM 1.110, is told of the names a model group has: it looks fallbacks up
by the name a request came with, and for whom a retry could go to it knows neither the request's team nor what an auto
router has made of the name.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias, TypeVar

from litellm.router_utils.failover.fallbacks import can_fall_back
from litellm.router_utils.failover.group_names import FALLBACK_LISTS, by_any_name, routed_as, team_name_of, team_of
from litellm.router_utils.failover.retry_state import GroupTurn, Routed, current_turn
from litellm.router_utils.failover.router_view import Deployment, Router, request_in

Result = TypeVar("Result")
Found: TypeAlias = tuple[str, Sequence[Deployment] | Deployment]  # the name that was found, and what it stands for


def resolve_fallback_names(fall_back: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.async_function_with_fallbacks_common_utils`, which a request of any kind comes to once its model
    group has failed it. LiteLLM looks its fallbacks up by the name the request came with alone: those of the group's
    other names are put there for it to find."""
    signature: Final = inspect.signature(fall_back)

    @functools.wraps(fall_back)
    async def async_function_with_fallbacks_common_utils(self: Router, *args: object, **kwargs: object) -> Result:
        bound: Final = signature.bind(self, *args, **kwargs)
        group: Final = bound.arguments["model_group"]
        for one in FALLBACK_LISTS:
            bound.arguments[one] = by_any_name(self, group, bound.arguments[one], routed_as(group))
        return await fall_back(*bound.args, **bound.kwargs)

    return async_function_with_fallbacks_common_utils


def resolve_group_names(find: Callable[..., Found]) -> Callable[..., Found]:
    """Wrap `Router._common_checks_available_deployment`, which finds the deployments that a name stands for. LiteLLM
    asks it to choose one and then, by the request's name alone, for whom a retry could go to: that is to be about those
    that were chosen from."""

    @functools.wraps(find)
    def _common_checks_available_deployment(self: Router, model: str, *args: object, **kwargs: object) -> Found:
        turn: Final = current_turn()
        given: Final = kwargs.get("request_kwargs")
        request: Final = given if isinstance(given, dict) else None
        before: Final = _routed_before(turn, model) if turn is not None and request is None else None
        if before is not None:
            return find(self, before.group, *args, **{**kwargs, "request_kwargs": before.request})
        found: Final = find(self, model, *args, **kwargs)
        if turn is not None and turn.is_choosing and request is not None and isinstance(found[1], list):
            turn.routed = Routed(model, request, found[1])
        return found

    return _common_checks_available_deployment


def _routed_before(turn: GroupTurn, name: str) -> Routed | None:
    """What the router has made of the turn's `name` as it chose. Nothing where none of the group is left to try while a
    fallback stands ready: LiteLLM, which finds no deployment by the name of an auto router, then asks that at once."""
    is_exhausted: Final = turn.attempt.candidates <= turn.state.failed_deployment_ids
    return None if name != turn.group or (is_exhausted and can_fall_back(turn)) else turn.routed


def merge_team_deployments(find: Callable[..., Found]) -> Callable[..., Found]:
    """Wrap `Router._common_checks_available_deployment` of a release that knows no team: its proxy gives the router the
    internal name of one deployment of the team's model, which stands for all of them, as it does since 1.84."""

    @functools.wraps(find)
    def _common_checks_available_deployment(self: Router, model: str, *args: object, **kwargs: object) -> Found:
        alike: Final = _of_team_model(self, model, team_of(request_in(kwargs)))
        return (model, alike) if alike else find(self, model, *args, **kwargs)

    return _common_checks_available_deployment


def _of_team_model(router: Router, name: str, team_id: str | None) -> list[Deployment]:
    own: Final = [one for one in router.model_list if _team_id(one) == team_id] if team_id is not None else []
    public: Final = {team_name_of(one) for one in own if name == one["model_name"]}
    if name not in router.model_names:
        public.add(name)
    return [one for one in own if team_name_of(one) in public - {None}]


def _team_id(deployment: Deployment) -> object:
    return (deployment.get("model_info") or {}).get("team_id")
