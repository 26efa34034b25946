"""
What LiteLLM's compiled router, since 1.110, is told of a failed attempt, so that it retries and falls back as the
policy table says: `compiled_router_cooldown` has what it does with that.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final

from litellm.litellm_core_utils.failure_signal import FailureSignal, classify
from litellm.router_utils.compiled_router_cooldown import (
    ANY_ERROR,
    COOLS_DOWN,
    COOLS_DOWN_AND_RETRIES,
    NOT_RETRIED,
    REJECTS,
    Step,
    Told,
    router_of,
)
from litellm.router_utils.failover_attempts import (
    Hop,
    any_deployment_will_do,
    attempt_of,
    make_way_for_the_fallback,
    say_what_was_tried,
)
from litellm.router_utils.failover_policy import POLICY, Cooldown, Retry, leaves_no_deployment

_NEVER_RETRIED: Final = "NotFoundError"
_OF_THE_GATEWAY: Final = frozenset(
    {
        *("Declined", "GuardrailIntervention"),
        *("CallerCredentialAuthenticationError", "CallerCredentialRateLimitError"),
    }
)


def retrying_by_policy(attempt: Callable[[Any, Step], Awaitable[Told]]) -> Callable[[Any, Step], Awaitable[Told]]:
    """Wrap `_Driver.attempt`, which makes an attempt and tells the compiled router what came of it."""

    @functools.wraps(attempt)
    async def attempt_and_note(self: Any, step: Step) -> Told:
        return _noted(self, step, await attempt(self, step))

    return attempt_and_note


def retrying_by_policy_in_sync(attempt: Callable[[Any, Step], Told]) -> Callable[[Any, Step], Told]:
    """As `retrying_by_policy`, for `_Driver.attempt_sync`."""

    @functools.wraps(attempt)
    def attempt_and_note(self: Any, step: Step) -> Told:
        return _noted(self, step, attempt(self, step))

    return attempt_and_note


def among_the_untried(select: Callable[[Any, Step], Awaitable[Any]]) -> Callable[[Any, Step], Awaitable[Any]]:
    """Wrap `_Driver.select`, which the compiled router asks in the course of each choice, and first of all which
    deployments to choose from: those that have not failed this request through a fault of their own, or all if each
    has."""

    @functools.wraps(select)
    async def select_untried(self: Any, step: Step) -> Any:
        return _answered(self, step, await select(self, _without_the_tried(self, step)))

    return select_untried


def among_the_untried_in_sync(select: Callable[[Any, Step], Any]) -> Callable[[Any, Step], Any]:
    """As `among_the_untried`, for `_Driver.select_sync`."""

    @functools.wraps(select)
    def select_untried(self: Any, step: Step) -> Any:
        return _answered(self, step, select(self, _without_the_tried(self, step)))

    return select_untried


def saying_what_was_tried(failed: Callable[[Any, Step], BaseException]) -> Callable[[Any, Step], BaseException]:
    """Wrap `_Driver.failed`, which gives the exception a request ends with: it says in its message, and as
    `failed_attempts`, which deployments were tried and why they failed."""

    @functools.wraps(failed)
    def failed_after(self: Any, step: Step) -> BaseException:
        error: Final = failed(self, step)
        for hop in list(_hops_of(self).values())[:1]:  # one is as good as the next, they share their attempts
            say_what_was_tried(error, hop.attempts)
        return error

    return failed_after


def _without_the_tried(driver: Any, step: Step) -> Step:
    hops: Final = _hops_of(driver)
    if step["stage"] != "callback_filters" or not hops:
        return step
    tried: Final = hops[max(hops)].ids_to_blame
    left: Final = [candidate for candidate in step["candidates"] if candidate not in tried]
    return {**step, "candidates": left or step["candidates"]}


def _answered(driver: Any, step: Step, answer: Any) -> Any:
    """The answer to a step of a choice. Where the router's own limits let no deployment be chosen, a fallback is not
    under them."""
    if not isinstance(answer, dict) or not answer.get("raised"):
        return answer
    error: Final = driver._last_error
    is_limit: Final = leaves_no_deployment(error) or classify(error) is FailureSignal.RATE_LIMITED
    hop: Final = _hop_at(driver, driver._level, str(step["model"]), driver._fallback_depth, None)
    return {**answer, "status": REJECTS} if is_limit and hop.may_fall_back() else answer


def _noted(driver: Any, step: Step, told: Told) -> Told:
    """What the compiled router is told of an attempt, given what it would be told."""
    place: Final = (step["fallback_level"], str(step["model"]), step["fallback_depth"], step["target_order"])
    hop: Final = _hop_at(driver, *place)
    if told.get("ok"):
        for earlier in list(_hops_of(driver).values())[:-1]:
            make_way_for_the_fallback(router_of(driver._core), earlier, driver._request)
        return told
    hop.failed = hop.error = None
    if told["kind"] in _OF_THE_GATEWAY or not hop.is_noting:
        return told
    hop.attempting, hop.error = step["deployment_id"], driver._last_error
    hop.failed = attempt_of(hop, driver._last_error, driver._request)
    hop.attempts.append(hop.failed)
    return {**told, **_decision(hop, hop.failed.signal, step, told)}


def _decision(hop: Hop, signal: FailureSignal, step: Step, told: Told) -> Told:
    """What of `told` is different for the policy table's column of retries to be followed."""
    policy: Final = POLICY[signal]
    if policy.retry is Retry.NOWHERE:
        return {"status": REJECTS}
    if policy.retry is Retry.AS_TODAY:
        return {}
    if set(step["candidate_ids"]) - hop.ids_to_blame:
        status: Final = COOLS_DOWN_AND_RETRIES if told["status"] in NOT_RETRIED else told["status"]
        return {"status": status, **_names_that_are_retried(told)}
    if policy.retry is not Retry.ELSEWHERE or not hop.may_fall_back():
        return {}
    if step["retry"] == 0:  # only then is the number of retries read
        return {"num_retries": 0}
    return {"status": COOLS_DOWN if policy.cooldown is Cooldown.AT_ONCE else REJECTS}


def _names_that_are_retried(told: Told) -> Told:
    names: Final = {"classes": [name for name in told["classes"] if name != _NEVER_RETRIED]}
    return {**names, "kind": ANY_ERROR} if told["kind"] == _NEVER_RETRIED else names


def _hops_of(driver: Any) -> dict[int, Hop]:
    """The turns that model groups have had at the driver's request, by their level: the first group's is 0, that of its
    fallbacks 1."""
    hops: Final[dict[int, Hop]] = driver.__dict__.setdefault("failover_hops", {})
    return hops


def _hop_at(driver: Any, level: int, group: str, depth: int, order: int | None) -> Hop:
    """The turn of the model group that is at a request; those of deeper levels, which have ended, are forgotten."""
    hops: Final = _hops_of(driver)
    for ended in [deeper for deeper in hops if deeper > level]:
        del hops[ended]
    before: Final = next((hops[shallower] for shallower in sorted(hops, reverse=True) if shallower < level), None)
    if level in hops and (before is None or hops[level].group == group):  # the first one's may have several names
        return hops[level]
    request: Final = {**driver._request, "fallback_depth": depth}
    if order is not None:
        request["_target_order"] = order
    hops.pop(level, None)
    hops[level] = Hop.of(router_of(driver._core), request, group, before)
    hops[level].is_noting = _any_deployment_will_do(driver)
    return hops[level]


def _any_deployment_will_do(driver: Any) -> bool:
    handler: Final = driver._plan.handler
    is_generic: Final = driver._plan.kind == "generic"
    names: Final = (handler, f"_{handler}")  # of the function, and of the router's method of earlier releases
    return any(any_deployment_will_do(name, driver._request, is_generic=is_generic) for name in names)
