"""
Which model groups a request can still go to: those its fallbacks name, under each of the names a group has, and the
deployments of a later `order`.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from litellm._logging import verbose_router_logger
from litellm.router_utils.failover.retry_state import GroupTurn, RequestState, current_turn
from litellm.router_utils.failover.router_view import (
    FALLS_BACK_BY_ORDER,
    Request,
    Router,
    any_in_rotation,
    is_compiled,
    may_fall_back_to,
    order_of,
    router_setting,
)

Result = TypeVar("Result")
Target = TypeVar("Target")
Fallbacks = Any  # any-ok: three formats of LiteLLM's, each as the user has written it

FallbackSource = Callable[[Router, str, Request], list[str]]

LISTS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_sources: Final[list[FallbackSource]] = []


def register_fallback_source(source: FallbackSource) -> None:
    """Have `source` name the fallbacks of a group for a request, where no configured one does."""
    if source not in _sources:
        _sources.append(source)


def start_turn(router: Router, request: Request, group: str, previous: GroupTurn | None) -> GroupTurn:
    """The turn of `group` at a request, as a fallback of the group of `previous` if there is one."""
    turn: Final = GroupTurn(group, router, request, previous.state if previous else RequestState(), previous)
    turn.state.visited_groups.add(group)
    return turn


def can_fall_back(turn: GroupTurn) -> bool:
    """Whether LiteLLM will ask other deployments once this group gives up: of a later `order`, or of a group that this
    request has not been to."""
    try:
        return _has_later_order(turn.router, turn.request, turn.group) or _leads_on(turn)
    except Exception as error:  # a setting that makes no sense must not take the provider's failure from the caller
        verbose_router_logger.warning("The fallbacks of %s cannot be read: %s", turn.group, error)
        return False


def _leads_on(turn: GroupTurn) -> bool:
    """To a fallback of this group, or to the next one of the group that this is a fallback of."""
    visited: Final = turn.state.visited_groups
    if fallbacks_remain(turn.router, turn.request, turn.group, visited):
        return True
    return turn.previous is not None and _leads_on(turn.previous)


def fallbacks_remain(router: Router, request: Request, group: str, visited: Collection[str]) -> bool:
    """Whether a request that `group` has failed has fallbacks left, besides those `visited`."""
    configured: Final = request.get("fallbacks", router.fallbacks)
    named: Final = configured or [name for source in _sources for name in source(router, group, request)]
    # The compiled router looks the request's own fallbacks up by the name that was asked for alone.
    is_found: Final = "fallbacks" not in request or not is_compiled(router)
    aliases: Final = router_setting(router, "model_group_alias") if is_found else None
    return has_fallback(router, group, named, visited, _steps_left(router, request), aliases)


def has_fallback(
    router: Router,
    group: str,
    fallbacks: object,
    visited: Collection[str] = (),
    steps: int = 1,
    aliases: object = None,
) -> bool:
    """Whether `fallbacks`, in any format LiteLLM takes, lead from `group` within `steps` steps to one that has a
    deployment that is not cooling down and is not among those `visited` before. A name among `aliases`, the router's
    `model_group_alias`, has the fallbacks of its group."""
    known: Final = {group, *visited}
    reached = {group}
    for _ in range(steps):
        targets = [fallback_groups(name, by_alias(aliases, name, fallbacks)) for name in reached]
        reached = {name for some in targets for name in some} - known
        deployments = [one for name in reached for one in router.get_model_list(model_name=name) or ()]
        if any_in_rotation(router, {deployment["model_info"]["id"] for deployment in deployments}):
            return True
    return False


def fallback_groups(group: str, fallbacks: object) -> list[str]:
    """The names of the groups that `fallbacks`, in any format LiteLLM takes, has for `group`."""
    from litellm.router_utils.fallback_event_handlers import (
        _check_non_standard_fallback_format,
        get_fallback_model_group,
    )

    if not isinstance(fallbacks, list) or not fallbacks:
        return []
    if _check_non_standard_fallback_format(fallbacks=fallbacks):
        targets: list[Any] | None = fallbacks
    else:
        targets, _ = get_fallback_model_group(fallbacks=list(fallbacks), model_group=group)
    names: Final[list[Any]] = [target.get("model") if isinstance(target, dict) else target for target in targets or []]
    return names


async def visit_denied_fallbacks(turn: GroupTurn) -> None:
    """Have the turn know as visited those of its fallbacks that its request's key may not use."""
    fallbacks: Final = turn.request.get("fallbacks", turn.router.fallbacks)
    visited: Final = turn.state.visited_groups
    for name in fallback_groups(turn.group, fallbacks):
        is_new = isinstance(name, str) and name not in visited
        if is_new and not await may_fall_back_to(turn.router, name, turn.request):
            visited.add(name)


def skip_visited_fallbacks(fallbacks: Iterable[Target]) -> Iterator[Target]:
    """Those of `fallbacks` that this request has not been to when it comes to them. One with parameters of its own is
    not the group it names: it may lead there for another answer."""
    turn: Final = current_turn()
    visited: Final = set() if turn is None else turn.state.visited_groups
    for fallback in fallbacks:
        key = str(fallback["model"] if isinstance(fallback, dict) and set(fallback) == {"model"} else fallback)
        if key not in visited:
            visited.add(key)
            yield fallback


def _has_later_order(router: Router, request: Request, group: str) -> bool:
    """Whether deployments of `group` have a later `order` than a request is at, which LiteLLM then asks."""
    if not FALLS_BACK_BY_ORDER or not _steps_left(router, request):
        return False
    orders: Final = [
        order for order in map(order_of, router.get_model_list(model_name=group) or ()) if order is not None
    ]
    return bool(orders) and max(orders) > request.get("_target_order", min(orders))


def _steps_left(router: Router, request: Request) -> int:
    """How many groups further a request may go."""
    if request.get("disable_fallbacks") is True:
        return 0
    depth: Final[int] = request.get("fallback_depth", 0)
    limit: Final[int] = request.get("max_fallbacks", router.max_fallbacks)
    return max(limit - depth, 0)


def group_of_alias(aliases: object, name: object) -> str | None:
    """The group that `name` is an alias of, in either format of `model_group_alias`; None if it is none."""
    target: Final = aliases.get(name) if isinstance(aliases, Mapping) else None
    group: Final = target.get("model") if isinstance(target, Mapping) else target
    return group if isinstance(group, str) else None


def by_alias(aliases: object, name: object, fallbacks: Fallbacks) -> Fallbacks:
    """`fallbacks`, in any format LiteLLM takes, with those of the group that `name` is an alias of under that name too,
    unless it has some of its own."""
    group: Final = group_of_alias(aliases, name)
    if group is None or not isinstance(fallbacks, list) or not all(isinstance(one, Mapping) for one in fallbacks):
        return fallbacks
    if any(name in one for one in fallbacks):
        return fallbacks
    return [*fallbacks, *({name: one[group]} for one in fallbacks if list(one) == [group])]


def resolve_fallback_aliases(fall_back: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.async_function_with_fallbacks_common_utils`, which a request of any kind comes to once its model
    group has failed it. LiteLLM looks its fallbacks up by the name the request came with alone: those of an alias are
    its group's."""
    signature: Final = inspect.signature(fall_back)

    @functools.wraps(fall_back)
    async def async_function_with_fallbacks_common_utils(self: Router, *args: object, **kwargs: object) -> Result:
        bound: Final = signature.bind(self, *args, **kwargs)
        aliases: Final = router_setting(self, "model_group_alias")
        for one in LISTS:
            bound.arguments[one] = by_alias(aliases, bound.arguments["model_group"], bound.arguments[one])
        return await fall_back(*bound.args, **bound.kwargs)

    return async_function_with_fallbacks_common_utils


def resolve_configured_aliases(settings: Callable[..., Request]) -> Callable[..., Request]:
    """Wrap `Resolved.dynamic_document`, in which the compiled router, since 1.110, is told its settings: it looks
    fallbacks up by itself, and those of each alias stand there for it to find."""

    @functools.wraps(settings)
    def dynamic_document(self: object, *args: object, **kwargs: object) -> Request:
        told: Final = dict(settings(self, *args, **kwargs))
        aliases: Final = told.get("model_group_alias") or {}
        for one in LISTS:
            for alias in aliases if told.get(one) else ():
                told[one] = by_alias(aliases, alias, told[one])
        return told

    return dynamic_document
