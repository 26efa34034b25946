"""
What LiteLLM's compiled router, since 1.110, is told of automatic fallbacks. It wants to know a request's fallbacks
before the request has failed: it is told of all groups there are, and as it asks its host before it goes to one, it is
told then, when the failure is known, which of them are for this request.
"""

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from litellm._logging import verbose_router_logger
from litellm.exceptions import ContentPolicyViolationError, ContextWindowExceededError
from litellm.router_utils.failover.automatic_fallbacks import (
    automatic_fallbacks,
    declared_groups,
    has_automatic_fallbacks,
    is_of_the_deployments,
    may_use,
    visit_denied_groups,
)
from litellm.router_utils.failover.compiled_router_names import deployments_of, recall_names
from litellm.router_utils.failover.compiled_router_registry import FoundInDeployments
from litellm.router_utils.failover.compiled_router_types import Answer, Core, Outcome, Step
from litellm.router_utils.failover.driver_state import Driver, turn_at, turn_of_step
from litellm.router_utils.failover.fallbacks import configured_fallbacks, fallback_groups
from litellm.router_utils.failover.group_names import by_any_name
from litellm.router_utils.failover.retry_state import GroupTurn, Routed
from litellm.router_utils.failover.router_view import Request, falls_back_automatically, router_of, router_setting
from litellm.router_utils.fallback_event_handlers import get_pre_routing_selection

Asked = Callable[[Driver, str], Awaitable[Answer]]


_LISTS_FOR_A_REASON: Final[Mapping[str, type[Exception]]] = {
    "context_window_fallbacks": ContextWindowExceededError,
    "content_policy_fallbacks": ContentPolicyViolationError,
}

_declared: Final = FoundInDeployments(lambda router: list(declared_groups(router)))
"""The names of the groups of a core."""


def tell_declared_groups(routing_fields: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Wrap `RustCore._routing_fields`, what the compiled router knows of a request: a group without configured
    fallbacks has all others for such."""

    @functools.wraps(routing_fields)
    def fields_with_fallbacks(self: Core, request: Request, *args: object, **kwargs: object) -> Outcome:
        fields: Final = routing_fields(self, request, *args, **kwargs)
        try:
            fallbacks: Final = _fallbacks_of(self, request)
            return {**fields, **fallbacks} if fallbacks else fields
        except Exception as error:  # a setting that makes no sense must not take the request from the caller
            verbose_router_logger.warning("No fallbacks for %s can be found: %s", request.get("model"), error)
            return fields

    return fields_with_fallbacks


def _fallbacks_of(core: Core, request: Request) -> Outcome:
    if not falls_back_automatically(core):
        return {}
    router: Final = router_of(core)
    group: Final = str(request.get("model"))
    routed: Final = Routed(group, None, deployments_of(core, request, group))
    if not has_automatic_fallbacks(router, group, request, routed):
        return {}
    configured: Final = core._walked_fallbacks.get("fallbacks")
    return {"fallbacks": [{group: list(_declared.of(core))}, *(configured if isinstance(configured, list) else ())]}


def refuse_unfit_groups(allow_fallback: Asked) -> Asked:
    """Wrap `_Driver.allow_fallback`, which the compiled router asks before it goes to a fallback: one of the automatic
    ones has to be of the request's mode and to hold it, its key may use it, and the request was not rejected."""

    @functools.wraps(allow_fallback)
    async def allow_fit_group(self: Driver, target: str) -> Answer:
        return await _is_fit(self, target) and await allow_fallback(self, target)

    return allow_fit_group


async def _is_fit(driver: Driver, target: str) -> bool:
    if not _falls_back_automatically(driver) or _is_for_a_reason(driver, target):
        return True
    if not is_of_the_deployments(driver._level_errors.get(0)):
        return False
    turn: Final = _first_turn(driver)
    if driver.failover.substitutes is None:
        driver.failover.substitutes = automatic_fallbacks(turn.router, turn.group, turn.request, turn.routed)
    return target in driver.failover.substitutes and await may_use(turn.router, target, turn.request)


def _is_for_a_reason(driver: Driver, target: str) -> bool:
    """Whether a group is asked for another reason than the switch: as the tier that an auto router has chosen, or as a
    fallback that is configured for what the failure is, a request that is too long or refused for its content."""
    first: Final = _first_turn(driver)
    if first.routed is not None and target == first.routed.group:
        return True
    error: Final = driver._level_errors.get(0)
    lists: Final = [name for name, kind in _LISTS_FOR_A_REASON.items() if isinstance(error, kind)]
    configured: Final = [first.request.get(name, router_setting(first.router, name)) for name in lists]
    named: Final = [by_any_name(first.router, first.group, one, first.routed) for one in configured]
    return any(target in fallback_groups(first.group, one) for one in named)


def _falls_back_automatically(driver: Driver) -> bool:
    """Whether the fallbacks that the compiled router has for the group whose turn it is are the automatic ones: those
    of the group that was asked for, to which it comes back for a fallback that has none of its own."""
    if not falls_back_automatically(driver._core):
        return False
    first: Final = _first_turn(driver)
    if not has_automatic_fallbacks(first.router, first.group, first.request, first.routed):
        return False
    turn: Final = driver.failover.turns.get(driver._level, first)
    return turn is first or not fallback_groups(turn.group, configured_fallbacks(turn, turn.request))


def _first_turn(driver: Driver) -> GroupTurn:
    """The turn of the group that was asked for, which knows what its name has been made into."""
    group: Final = str(driver._request.get("model"))
    turn: Final = driver.failover.turns.get(0) or turn_at(driver, 0, group, 0, None)
    recall_names(driver, turn, get_pre_routing_selection(driver._request))
    return turn


def skip_denied_groups(attempt: Callable[[Driver, Step], Awaitable[Outcome]]) -> Callable[..., Awaitable[Outcome]]:
    """Wrap `_Driver.attempt`: once one has failed, what follows is decided without the automatic fallbacks that the
    request's key may not use. A request to the proxy makes no other than these, asynchronous ones."""

    @functools.wraps(attempt)
    async def attempt_with_key(self: Driver, step: Step) -> Outcome:
        told: Final = await attempt(self, step)
        if not told.get("ok") and falls_back_automatically(self._core):
            await visit_denied_groups(turn_of_step(self, step))
        return told

    return attempt_with_key


def keep_refusal_as_answer(blocked: Callable[..., str | None]) -> Callable[..., str | None]:
    """Wrap `_Driver._blocked`, which says of an answer that the model's provider has refused the request. It is the
    caller's answer unless a configured fallback is to give another one."""

    @functools.wraps(blocked)
    def blocked_for_a_fallback(self: Driver, *args: object, **kwargs: object) -> str | None:
        found: Final = blocked(self, *args, **kwargs)
        return None if found == "refusal" and _falls_back_automatically(self) else found

    return blocked_for_a_fallback


def tell_no_fallback_fit(fallbacks_failed: Callable[[Driver, Step], None]) -> Callable[[Driver, Step], None]:
    """Wrap `_Driver._fallbacks_failed`, which logs that fallbacks have failed: not where none was asked."""

    @functools.wraps(fallbacks_failed)
    def fallbacks_failed_or_denied(self: Driver, event: Step) -> None:
        was_asked: Final = event.get("last_hop") is True or not _falls_back_automatically(self)
        fallbacks_failed(self, event if was_asked else {**event, "chain": False})

    return fallbacks_failed_or_denied
