"""
Which model groups a request can still go to: those its fallbacks name, and the deployments of a later `order`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final, TypeVar

from litellm._logging import verbose_router_logger
from litellm.router_utils.failover.deadline import note_turn
from litellm.router_utils.failover.group_names import Fallbacks, by_any_name, deployments_by, team_of
from litellm.router_utils.failover.retry_state import GroupTurn, RequestState, Routed, current_turn
from litellm.router_utils.failover.router_view import (
    FALLS_BACK_BY_ORDER,
    Request,
    Router,
    any_in_rotation,
    may_fall_back_to,
    order_of,
)

Target = TypeVar("Target")

FallbackSource = Callable[[Router, str, Request, Routed | None], list[str]]

_sources: Final[list[FallbackSource]] = []


def register_fallback_source(source: FallbackSource) -> None:
    """Have `source` name the fallbacks of a group for a request, where no configured one does."""
    if source not in _sources:
        _sources.append(source)


def start_turn(
    router: Router, request: Request, group: str, previous: GroupTurn | None, state: RequestState | None = None
) -> GroupTurn:
    """The turn of `group` at a request, as a fallback of the group of `previous` if there is one; `state` is that of a
    request whose first turn it is, None for a new one."""
    shared: Final = previous.state if previous else state or RequestState()
    turn: Final = GroupTurn(group, router, request, shared, previous)
    turn.state.visited_groups.add(group)
    note_turn(turn)
    return turn


def can_fall_back(turn: GroupTurn) -> bool:
    """Whether LiteLLM will ask other deployments once this group gives up: of a later `order`, or of a group that this
    request has not been to."""
    try:
        return has_later_order(turn.router, turn.request, turn.group) or _has_fallback_left(turn)
    except Exception as error:  # a setting that makes no sense must not take the provider's failure from the caller
        verbose_router_logger.warning("The fallbacks of %s cannot be read: %s", turn.group, error)
        return False


def _has_fallback_left(turn: GroupTurn) -> bool:
    """To a fallback of this group, or to the next one of the group that this is a fallback of."""
    visited: Final = turn.state.visited_groups
    if fallbacks_remain(turn, turn.request, visited):
        return True
    return turn.previous is not None and _has_fallback_left(turn.previous)


def fallbacks_remain(turn: GroupTurn, request: Request, visited: Collection[str]) -> bool:
    """Whether `request`, which the group of `turn` has failed, has fallbacks left, besides those `visited`."""
    router, group = turn.router, turn.group
    configured: Final = configured_fallbacks(turn, request)
    named: Final = configured or [name for source in _sources for name in source(router, group, request, turn.routed)]
    return has_fallback(router, group, named, visited, steps_left(router, request), team_of(turn.request))


def configured_fallbacks(turn: GroupTurn, request: Request) -> Fallbacks:
    """The fallbacks that `request` brings along or the router has, with those of the turn's group under its name."""
    return by_any_name(turn.router, turn.group, request.get("fallbacks", turn.router.fallbacks), turn.routed)


def has_fallback(
    router: Router,
    group: str,
    fallbacks: object,
    visited: Collection[str] = (),
    steps: int = 1,
    team_id: str | None = None,
) -> bool:
    """Whether `fallbacks`, in any format LiteLLM takes, lead from `group` within `steps` steps to one that has a
    deployment that is not cooling down and is not among those `visited` before, for a request of the team `team_id`."""
    if not fallbacks:
        return False
    known: Final = {group, *visited}
    reached = {group}
    for _ in range(steps):
        targets = [fallback_groups(name, by_any_name(router, name, fallbacks, None)) for name in reached]
        reached = {name for some in targets for name in some} - known
        deployments = [one for name in reached for one in deployments_by(router, name, team_id)]
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
    visited: Final = turn.state.visited_groups
    for name in fallback_groups(turn.group, configured_fallbacks(turn, turn.request)):
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


def has_later_order(router: Router, request: Request, group: str) -> bool:
    """Whether deployments of `group` have a later `order` than a request is at, which LiteLLM then asks."""
    if not FALLS_BACK_BY_ORDER or not steps_left(router, request):
        return False
    team_id: Final = (request.get("metadata") or {}).get("user_api_key_team_id")  # the only place LiteLLM reads here
    listed: Final = router.get_model_list(model_name=group, team_id=team_id) or ()
    orders: Final = [order for order in map(order_of, listed) if order is not None]
    return bool(orders) and max(orders) > request.get("_target_order", min(orders))


def steps_left(router: Router, request: Request) -> int:
    """How many groups further a request may go."""
    if request.get("disable_fallbacks") is True:
        return 0
    depth: Final[int] = request.get("fallback_depth", 0)
    limit: Final[int] = request.get("max_fallbacks", router.max_fallbacks)
    return max(limit - depth, 0)
