"""
What becomes, under LiteLLM's compiled router (since 1.110), of a request for which all deployments of its group are
cooling down: as `rotation_wait` says. The router reads cooldowns through its host, once to choose and once to
count whom a retry could go to; a wait is before the answer to that.
"""

import functools
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextvars import ContextVar
from typing import Final

from litellm.router_utils.failover.compiled_router_names import falls_back_by_tier, is_auto_router, recall_names
from litellm.router_utils.failover.compiled_router_reports import cooling_deployment
from litellm.router_utils.failover.compiled_router_types import Answer, Core, Step
from litellm.router_utils.failover.driver_state import Driver, turn_at
from litellm.router_utils.failover.fallbacks import visit_denied_fallbacks
from litellm.router_utils.failover.group_names import deployments_by, team_of
from litellm.router_utils.failover.retry_state import GroupTurn
from litellm.router_utils.failover.rotation_wait import wait_before_asking
from litellm.router_utils.failover.router_view import Request, Router, order_of, router_of
from litellm.router_utils.fallback_event_handlers import get_pre_routing_selection

_DRIVER: Final[ContextVar[Callable[[], Driver | None]]] = ContextVar("litellm_failover_driver", default=lambda: None)


def record_group(take_events: Callable[[Driver, object], None]) -> Callable[[Driver, object], None]:
    """Wrap `_Driver.take_events`, which tells a driver of what has happened before each step that it is asked for."""

    @functools.wraps(take_events)
    def take_events_and_record(self: Driver, events: object) -> None:
        _DRIVER.set(self.failover.driver)  # each time: another request may have been made meanwhile
        for event in events if events and isinstance(events, list) else ():
            if event.get("kind") == "fallback":
                self.failover.group = (str(event.get("to")), event.get("order"))
        take_events(self, events)

    return take_events_and_record


def wait_for_rotation(answer: Callable[[Core, Step], Awaitable[Answer]]) -> Callable[[Core, Step], Awaitable[Answer]]:
    """Wrap `RustCore._answer_cache`, which reads and writes what the compiled router keeps."""

    @functools.wraps(answer)
    async def answer_in_time(self: Core, step: Step) -> Answer:
        found = await answer(self, step)
        while shut_out := _shut_out(self, step, found):
            turn, names = shut_out
            await visit_denied_fallbacks(turn)
            wait = _wait_before_asking(turn, names)
            if not wait:
                return _without(turn.let_through, step, found)
            await self._host.sleep(wait)
            found = await answer(self, step)
        return found

    return answer_in_time


def wait_for_rotation_sync(answer: Callable[[Core, Step], Answer]) -> Callable[[Core, Step], Answer]:
    """As `wait_for_rotation`, for `RustCore._answer_cache_sync`."""

    @functools.wraps(answer)
    def answer_in_time(self: Core, step: Step) -> Answer:
        found = answer(self, step)
        while shut_out := _shut_out(self, step, found):
            turn, names = shut_out
            wait = _wait_before_asking(turn, names)
            if not wait:
                return _without(turn.let_through, step, found)
            self._host.sleep_sync(wait)
            found = answer(self, step)
        return found

    return answer_in_time


def _wait_before_asking(turn: GroupTurn, names: frozenset[str]) -> float | None:
    """As `wait_before_asking`. Where no deployment is left, the compiled router finds the fallbacks of the name that
    was asked for, and those of the tier that an auto router has chosen only once an attempt has failed: one is made."""
    if falls_back_by_tier(turn):
        turn.let_through = names
        return 0.0
    return wait_before_asking(turn, names)


def _shut_out(core: Core, step: Step, found: Answer) -> tuple[GroupTurn, frozenset[str]] | None:
    """The turn of the group that is chosen from and the ids of its deployments, if what was `found` of all cooldowns
    says that each of them is cooling down."""
    driver: Final = _DRIVER.get()()
    if driver is None or driver._core is not core or step.get("op") != "batch_get" or not isinstance(found, list):
        return None
    cooling: Final = {
        cooling_deployment(key) for key, value in zip(step["keys"], found, strict=False) if value is not None
    }
    if not cooling:
        return None
    at_first: Final = (str(driver._request.get("model")), None)
    group, order = (driver.failover.group or at_first) if driver._level else at_first
    names: Final = _names_in(router_of(core), driver._request, group, order)
    if not names or not names <= cooling:
        return None
    turn: Final = turn_at(driver, driver._level, group, driver._fallback_depth, order)
    recall_names(driver, turn, get_pre_routing_selection(driver._request))
    return turn, names


def _names_in(router: Router, request: Request, group: str, order: int | None) -> frozenset[str]:
    """The ids of the deployments that a request is led to by the name `group`, of those of an `order` if one is asked
    for."""
    team_id: Final = team_of(request)
    deployments = deployments_by(router, group, team_id)
    tier: Final = get_pre_routing_selection(request) if is_auto_router(deployments) else None
    if tier is not None:
        deployments = deployments_by(router, tier, team_id)
    return frozenset(str(one["model_info"]["id"]) for one in deployments if order is None or order_of(one) == order)


def _without(let_through: Collection[str], step: Step, found: Sequence[Answer]) -> Sequence[Answer]:
    """What was found of the cooldowns, but for those that the request is let through."""
    return [
        None if cooling_deployment(key) in let_through else value
        for key, value in zip(step["keys"], found, strict=False)
    ]
