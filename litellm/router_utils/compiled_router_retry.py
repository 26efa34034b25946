"""
What LiteLLM's compiled router, since 1.110, is told of a failed attempt, so that it retries and falls back as the
policy table says: `compiled_router_cooldown` has what it does with that.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from litellm._logging import verbose_router_logger
from litellm.litellm_core_utils.failure_signal import FailureSignal, classify
from litellm.litellm_core_utils.stream_wait import going_elsewhere_if
from litellm.router_utils.compiled_router_cooldown import (
    ANY_ERROR,
    COOLS_DOWN_AND_RETRIES,
    NOT_RETRIED,
    REJECTS,
    Step,
    Told,
    router_of,
)
from litellm.router_utils.failover_attempts import (
    FailedAttempt,
    Hop,
    any_deployment_will_do,
    attempt_of,
    choosing,
    cool_down_a_failed_fallback,
    has_somewhere_to_go,
    make_way_for_the_fallback,
    say_what_was_tried,
)
from litellm.router_utils.failover_policy import POLICY, Retry, any_in_rotation, leaves_no_deployment

_NEVER_RETRIED: Final = "NotFoundError"
# The stages of a choice: those whose answer is who stays, and those whose answer is who goes.
_FIRST_STAGE: Final = "callback_filters"
_KEEPS: Final = (_FIRST_STAGE, "tags", "embedding_batch")
_DROPS: Final = ("text_only", "route_incapable", "media_refusing")
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
        with going_elsewhere_if(functools.partial(_can_go_elsewhere, self, step)):
            outcome: Final = await attempt(self, step)
        told: Final = _noted(self, step, outcome)
        if told.get("ok"):
            _make_way(_stood_in_for(self))
        return told

    return attempt_and_note


def retrying_by_policy_in_sync(attempt: Callable[[Any, Step], Told]) -> Callable[[Any, Step], Told]:
    """As `retrying_by_policy`, for `_Driver.attempt_sync`."""

    @functools.wraps(attempt)
    def attempt_and_note(self: Any, step: Step) -> Told:
        with going_elsewhere_if(functools.partial(_can_go_elsewhere, self, step)):
            outcome: Final = attempt(self, step)
        told: Final = _noted(self, step, outcome)
        if told.get("ok") and (earlier := _stood_in_for(self)):
            _with_a_loop(functools.partial(_make_way, earlier))
        return told

    return attempt_and_note


def among_the_untried(select: Callable[[Any, Step], Awaitable[Any]]) -> Callable[[Any, Step], Awaitable[Any]]:
    """Wrap `_Driver.select`, which the compiled router asks in the course of each choice, and first of all which
    deployments to choose from: those that have not failed this request through a fault of their own, or all if each
    has."""

    @functools.wraps(select)
    async def select_untried(self: Any, step: Step) -> Any:
        asked: Final = _asked(self, step)
        if step["stage"] != _FIRST_STAGE:
            return _answered(self, asked, await select(self, asked))
        with choosing(str(step["model"]), _attempts_of(self), is_noting=_any_deployment_will_do(self)) as hop:
            answer: Final = await select(self, asked)
        _choice_of(self).held_back = [str(one["model_info"]["id"]) for one in hop.held_back]
        return _answered(self, asked, _preferring(hop.preferred, answer))

    return select_untried


def among_the_untried_in_sync(select: Callable[[Any, Step], Any]) -> Callable[[Any, Step], Any]:
    """As `among_the_untried`, for `_Driver.select_sync`."""

    @functools.wraps(select)
    def select_untried(self: Any, step: Step) -> Any:
        asked: Final = _asked(self, step)
        return _answered(self, asked, select(self, asked))

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


@dataclass
class _Choice:
    """How far a driver's choice of a deployment has come: the ids of those it can still fall on, `among` those of a
    model group and an `order` in it, the one of these that is `preferred`, if any is, and those that a preference for a
    later `order` has `held_back`."""

    among: tuple[str, int | None] = ("", None)
    left: Sequence[str] = ()
    preferred: str | None = None
    held_back: Sequence[str] = ()


def _choice_of(driver: Any) -> _Choice:
    choice: Final[_Choice] = driver.__dict__.setdefault("failover_choice", _Choice())
    return choice


def _asked(driver: Any, step: Step) -> Step:
    """The step of a choice as the host is asked it. The first one of a retry is about the untried alone: those that the
    choice before could have fallen on, so that they pass the filters still to come."""
    choice: Final = _choice_of(driver)
    candidates: Final[Sequence[str]] = step.get("candidates", ())
    if step["stage"] == _FIRST_STAGE:
        hops: Final = _hops_of(driver)
        tried: Final = hops[max(hops)].ids_to_blame if hops else ()
        among: Final = (step["model"], step.get("target_order"))
        could: Final = choice.left if choice.among == among else candidates
        choice.among = among
        choice.left = [one for one in candidates if one in could and one not in tried] or candidates
        return {**step, "candidates": choice.left}
    if list(candidates) != [choice.preferred]:  # the strategy is asked about it alone, though others are left
        choice.left = candidates
    return step


def _preferring(names: Collection[str | None], answer: Any) -> Any:
    """The answer of the callbacks' filters, with one of `names` as the deployment that is preferred if the stages to
    come leave it."""
    if not isinstance(answer, tuple):
        return answer
    kept, preferred = answer
    return kept, next((one for one in kept if one in names), preferred)


def _answered(driver: Any, step: Step, answer: Any) -> Any:
    """The answer to a step of a choice. Where the router's own limits let no deployment be chosen, a fallback is not
    under them."""
    choice: Final = _choice_of(driver)
    choice.left = _left_by(driver, step["stage"], choice.left, answer)
    if step["stage"] == _FIRST_STAGE:
        choice.preferred = answer[1] if isinstance(answer, tuple) else None
    if not isinstance(answer, dict) or not answer.get("raised"):
        return answer
    error: Final = driver._last_error
    is_limit: Final = leaves_no_deployment(error) or classify(error) is FailureSignal.RATE_LIMITED
    hop: Final = hop_at(driver, driver._level, str(step["model"]), driver._fallback_depth, None)
    return {**answer, "status": REJECTS} if is_limit and hop.may_fall_back() else answer


def _left_by(driver: Any, stage: str, candidates: Sequence[str], answer: Any) -> Sequence[str]:
    """Those of `candidates` that a stage's answer leaves, as far as the answer tells it."""
    named: Final = answer[0] if isinstance(answer, tuple) else answer  # beside the one that a filter prefers
    if stage in _KEEPS and isinstance(named, list):
        return named
    if stage in _DROPS and isinstance(named, list):
        return [one for one in candidates if one not in named] or candidates
    if stage == "pre_call" and isinstance(answer, dict):
        return _admitted(driver, candidates, answer)
    return candidates


def _admitted(driver: Any, candidates: Sequence[str], facts: Mapping[str, Any]) -> Sequence[str]:
    """Those of `candidates` that surely pass the check before a call: of the deployment's context window, of the
    parameters it takes, and of its region."""
    tokens: Final = facts.get("input_tokens")
    region: Final = facts.get("allowed_model_region")
    of: Final[Mapping[str, Mapping[str, Any]]] = facts.get("deployments") or {}

    def fits(candidate: str) -> bool:
        limit: Final = of.get(candidate, {}).get("max_input_tokens")
        return limit is None or tokens is None or tokens <= limit

    def takes_all(candidate: str) -> bool:
        return not of.get(candidate, {}).get("lacks_params")

    def is_there(candidate: str) -> bool:
        return region is None or _region(router_of(driver._core), candidate) == region

    return [one for one in candidates if fits(one) and takes_all(one) and is_there(one)]


def _region(router: Any, deployment_id: str) -> object:
    deployment: Final = router.get_model_info(id=deployment_id) or {}
    return (deployment.get("litellm_params") or {}).get("region_name")


def _noted(driver: Any, step: Step, told: Told) -> Told:
    """What the compiled router is told of an attempt, given what it would be told."""
    hop: Final = _hop_of_step(driver, step)
    if told.get("ok"):
        return told
    hop.failed = hop.error = None
    hop.tries = step["retry"] + 1
    if told["kind"] in _OF_THE_GATEWAY or not hop.is_noting:
        return told
    hop.attempting, hop.error = step["deployment_id"], driver._last_error
    hop.failed = attempt_of(hop, driver._last_error)
    hop.attempts.append(hop.failed)
    if hop.is_fallback:
        _with_a_loop(functools.partial(cool_down_a_failed_fallback, hop.router, hop))
    try:
        return {**told, **_decision(driver, hop, hop.failed.signal, step, told)}
    except Exception as error:  # must not take the provider's failure from the caller
        verbose_router_logger.warning("LiteLLM decides on the retries of %s: %s", hop.group, error)
        return told


def _stood_in_for(driver: Any) -> list[Hop]:
    """The turns of the groups that the one that has answered has stood in for."""
    hops: Final = _hops_of(driver)
    return [hops[level] for level in sorted(hops)[:-1] if hops[level].failed]


def _make_way(earlier: Sequence[Hop]) -> None:
    for hop in earlier:
        make_way_for_the_fallback(hop.router, hop)


def _with_a_loop(cool_down: Callable[[], None]) -> None:
    """Have `cool_down` find an event loop, to which LiteLLM leaves what is to be told of a cooldown. Where a
    synchronous request has none, the one that is made for it is not to become that of the caller's thread."""
    if asyncio._get_running_loop() is not None:
        return cool_down()
    try:
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(lambda: asyncio.run(_in_a_loop(cool_down))).result()
    except RuntimeError as error:  # no thread can be started: what came of the request stands all the same
        verbose_router_logger.warning("No deployment was cooled down for the fallback: %s", error)


async def _in_a_loop(cool_down: Callable[[], None]) -> None:
    cool_down()
    await asyncio.sleep(0)  # for what is to be told of a cooldown


def _decision(driver: Any, hop: Hop, signal: FailureSignal, step: Step, told: Told) -> Told:
    """What of `told` is different for the policy table's column of retries to be followed."""
    policy: Final = POLICY[signal]
    if policy.retry is Retry.NOWHERE:
        return {"status": REJECTS}
    if policy.retry is Retry.AS_TODAY:
        return {}
    if _another_may_do(driver, hop, step):
        status: Final = COOLS_DOWN_AND_RETRIES if told["status"] in NOT_RETRIED else told["status"]
        return {"status": status, **_names_that_are_retried(told)}
    if policy.retry is not Retry.ELSEWHERE or not hop.may_fall_back():
        return {}
    if step["retry"] == 0:  # only then is the number of retries read
        return {"num_retries": 0}
    return {"kind": _NEVER_RETRIED, "classes": [*told["classes"], _NEVER_RETRIED]}


def _can_go_elsewhere(driver: Any, step: Step) -> bool:
    """Whether another deployment can be asked, should the attempt fail that `driver` makes in `step`."""
    hop: Final = _hop_of_step(driver, step)
    if not hop.is_noting:
        return True  # LiteLLM decides
    choice: Final = _choice_of(driver)
    candidates: Final = [*choice.left, *choice.held_back] if choice.left else step["candidate_ids"]
    router: Final = router_of(driver._core)
    return has_somewhere_to_go(router, hop, str(step["deployment_id"]), candidates, driver._request)


def _hop_of_step(driver: Any, step: Step) -> Hop:
    return hop_at(driver, step["fallback_level"], str(step["model"]), step["fallback_depth"], step["target_order"])


def _another_may_do(driver: Any, hop: Hop, step: Step) -> bool:
    choice: Final = _choice_of(driver)
    if choice.left:  # of which none was cooling down when the choice began
        return not hop.ids_to_blame.issuperset([*choice.left, *choice.held_back])
    return any_in_rotation(router_of(driver._core), set(step["candidate_ids"]) - hop.ids_to_blame)


def _names_that_are_retried(told: Told) -> Told:
    names: Final = {"classes": [name for name in told["classes"] if name != _NEVER_RETRIED]}
    return {**names, "kind": ANY_ERROR} if told["kind"] == _NEVER_RETRIED else names


def _hops_of(driver: Any) -> dict[int, Hop]:
    """The turns that model groups have had at the driver's request, by their level: the first group's is 0, that of its
    fallbacks 1."""
    hops: Final[dict[int, Hop]] = driver.__dict__.setdefault("failover_hops", {})
    return hops


def _attempts_of(driver: Any) -> list[FailedAttempt]:
    """Those of the driver's request, which all its turns share."""
    return next((hop.attempts for hop in _hops_of(driver).values()), [])


def hop_at(driver: Any, level: int, group: str, depth: int, order: int | None) -> Hop:
    """The turn of the model group that is at a request; those of deeper levels, which have ended, are forgotten."""
    hops: Final = _hops_of(driver)
    for ended in [deeper for deeper in hops if deeper > level]:
        del hops[ended]
    before = next((hops[shallower] for shallower in sorted(hops, reverse=True) if shallower < level), None)
    if level in hops and (before is None or hops[level].group == group):  # the first one's may have several names
        return hops[level]
    if level and before is None:  # the group that was asked for had none to choose from
        before = hops[0] = Hop.of(router_of(driver._core), driver._request, str(driver._request.get("model")), None)
    request: Final = {**driver._request, "fallback_depth": depth}
    if order is not None:
        request["_target_order"] = order
    hops[level] = Hop.of(router_of(driver._core), request, group, before)
    hops[level].is_noting = _any_deployment_will_do(driver)
    return hops[level]


def _any_deployment_will_do(driver: Any) -> bool:
    handler: Final = driver._plan.handler
    is_generic: Final = driver._plan.kind == "generic"
    names: Final = (handler, f"_{handler}")  # of the function, and of the router's method of earlier releases
    return any(any_deployment_will_do(name, driver._request, is_generic=is_generic) for name in names)
