"""
What LiteLLM's compiled router, since 1.110, is told of a failed attempt, so that it retries and falls back as the
policy table says. It decides nothing: `policy.next_step` does, and a table puts that in the words the router knows.
"""

import asyncio
import functools
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, NamedTuple

from litellm._logging import verbose_router_logger
from litellm.litellm_core_utils.stream_wait import retry_possible_if
from litellm.router_utils.failover.attempts import (
    attach_attempts,
    awaits_first_event,
    record_failure,
    step_after_failure,
    step_without_deployment,
)
from litellm.router_utils.failover.compiled_router_cooldown import (
    ANY_ERROR,
    COOLS_DOWN_AND_RETRIES,
    NOT_RETRIED,
    REJECTS,
)
from litellm.router_utils.failover.compiled_router_types import Answer, Outcome, Step
from litellm.router_utils.failover.driver_state import (
    Choice,
    Driver,
    choosing_turn,
    region_of,
    start_attempt,
    turn_at,
    turn_of_step,
)
from litellm.router_utils.failover.fallback_cooldown import (
    cool_down_if_due,
    cooldown_after_fallback,
    cooldown_failed_fallback,
)
from litellm.router_utils.failover.fallbacks import can_fall_back, has_later_order
from litellm.router_utils.failover.policy import NextStep
from litellm.router_utils.failover.retries import retries_by_policy
from litellm.router_utils.failover.retry_state import GroupTurn, turn_under_way
from litellm.router_utils.failover.router_view import any_in_rotation, has_own_policy_for, order_of

NEVER_RETRIED: Final = "NotFoundError"
"""A failure's class, by its name, that the compiled router never retries."""
_RETRIES_AFTER_404: Final = "NotFoundErrorRetries"

# The stages of a choice: those whose answer is who stays, and those whose answer is who goes.
_FIRST_STAGE: Final = "callback_filters"
_STRATEGY: Final = "strategy"  # of all but simple-shuffle, which is the compiled router's own
_KEEPS: Final = (_FIRST_STAGE, "tags", "embedding_batch")
_DROPS: Final = ("text_only", "route_incapable", "media_refusing")
_OF_THE_GATEWAY: Final = frozenset(
    {
        *("Declined", "GuardrailIntervention"),
        *("CallerCredentialAuthenticationError", "CallerCredentialRateLimitError"),
    }
)

_NO_CONTEXT: Final = nullcontext()

HostFunction = Callable[[Driver, Step], Answer]  # async and sync
Rewording = Callable[[Driver, GroupTurn, Outcome, NextStep | None], Outcome]

_rewordings: Final[list[Rewording]] = []


def register_rewording(reword: Rewording) -> None:
    """Have `reword` put what the compiled router is told of a failed attempt in other words, given what has been
    decided of it, None if nothing: in words that it knows by the name of the turn's group."""
    if reword not in _rewordings:
        _rewordings.append(reword)


def retry_by_policy(attempt: HostFunction) -> HostFunction:
    """Wrap `_Driver.attempt` and its sync twin, which make an attempt and tell the compiled router what came of it."""
    return around(attempt, during=_Attempting, after=_after_attempt)


def exclude_failed_deployments(select: HostFunction) -> HostFunction:
    """Wrap `_Driver.select` and its sync twin, which the compiled router asks in the course of each choice, and first
    of all which deployments to choose from: those that have not failed this request through a fault of their own, or
    all if each has."""
    during: Final = _choosing if inspect.iscoroutinefunction(select) else None
    return around(select, before=_asked, during=during, after=_answered)


Before = Callable[[Driver, Step], Step]
During = Callable[[Driver, Step], AbstractContextManager[None]]
After = Callable[[Driver, Step, Answer], Answer]


class _Steps(NamedTuple):
    """A function of the compiled router's host, and what is to be done before, during and after it: what is done
    before may change the step that the others get, but for the one during it."""

    function: HostFunction
    before: tuple[Before, ...] = ()
    during: During | None = None
    after: tuple[After, ...] = ()


_steps_of: Final[dict[HostFunction, _Steps]] = {}


def around(
    function: HostFunction, *, before: Before | None = None, during: During | None = None, after: After | None = None
) -> HostFunction:
    """A function of the compiled router's host, async or not, with what is to be done before, during and after it. One
    that has such steps already gets these around them, and no coroutine of their own, which would cost each request."""
    inner = _steps_of.get(function, _Steps(function))
    if during and inner.during:
        inner = _Steps(function)  # a block within a block
    steps: Final = _Steps(
        inner.function,
        before=(before, *inner.before) if before else inner.before,
        during=during or inner.during,
        after=(*inner.after, after) if after else inner.after,
    )
    is_async: Final = inspect.iscoroutinefunction(function)
    wrapped: Final = functools.wraps(function)(_wrapped_async(steps) if is_async else _wrapped(steps))
    _steps_of[wrapped] = steps
    return wrapped


def _wrapped_async(steps: _Steps) -> HostFunction:
    function, befores, during, afters = steps

    async def wrapped(self: Driver, step: Step) -> Answer:
        asked = step
        for before in befores:
            asked = before(self, asked)
        with during(self, step) if during else _NO_CONTEXT:
            answer = await function(self, asked)
        for after in afters:
            answer = after(self, asked, answer)
        return answer

    return wrapped


def _wrapped(steps: _Steps) -> HostFunction:
    function, befores, during, afters = steps

    def wrapped(self: Driver, step: Step) -> Answer:
        asked = step
        for before in befores:
            asked = before(self, asked)
        with during(self, step) if during else _NO_CONTEXT:
            answer = function(self, asked)
        for after in afters:
            answer = after(self, asked, answer)
        return answer

    return wrapped


class _Attempting:
    """A block in which an attempt knows its turn, and whether another one could follow. A class, since a generator
    costs each attempt more."""

    __slots__ = ("_possible", "_turn")

    def __init__(self, driver: Driver, step: Step) -> None:
        turn: Final = start_attempt(driver, step)
        self._turn: Final = turn_under_way(turn)
        self._possible: Final = retry_possible_if(functools.partial(_is_retry_possible, driver, turn, step))

    def __enter__(self) -> None:
        self._turn.__enter__()
        self._possible.__enter__()

    def __exit__(self, *raised: object) -> None:
        self._possible.__exit__(*raised)
        self._turn.__exit__(*raised)


def _is_retry_possible(driver: Driver, turn: GroupTurn, step: Step) -> bool:
    """Whether another deployment can be asked, should the attempt fail that `driver` makes in `step`."""
    if not turn.attempt.is_recorded:
        return True  # LiteLLM decides
    candidates: Final = driver.failover.choice.candidates or step["candidate_ids"]
    return awaits_first_event(turn, str(step["deployment_id"]), candidates)


def _after_attempt(driver: Driver, step: Step, told: Outcome) -> Outcome:
    """What the compiled router is told of an attempt, given what it would be told."""
    if told.get("ok"):
        if len(driver.failover.turns) > 1:
            _with_a_loop(_cooldowns_after_fallback(driver))
        return told
    turn: Final = turn_of_step(driver, step)
    decided: Final = _decided(driver, turn, step, told)
    said = told if decided is None else {**told, **_WORDS[decided](driver, step, told)}
    for reword in _rewordings:
        said = reword(driver, turn, said, decided)
    if set(said["classes"]) != set(told["classes"]) and _count_by_policy(turn):
        said = {**said, "outside_deployment": True}  # it has been counted
    return said


def _count_by_policy(turn: GroupTurn) -> bool:
    """Count a failure by an `allowed_fails_policy`, the deployment's own or the router's, if there is one: it goes by
    the class, and the compiled router is told of another one than the failure has. Whether it has been counted."""
    failed, error = turn.attempt.failed, turn.attempt.error
    if failed is None or error is None:
        return False
    deployment: Final = turn.router.get_model_info(id=failed.deployment_id) or {}
    if turn.router.allowed_fails_policy is None and not has_own_policy_for(turn.router, deployment, error):
        return False
    _with_a_loop([functools.partial(cool_down_if_due, turn.router, failed.deployment_id, error)])
    return True


def _decided(driver: Driver, turn: GroupTurn, step: Step, told: Outcome) -> NextStep | None:
    """What becomes of the request after an attempt that has failed, None if that is not for the policy to say."""
    if told["kind"] in _OF_THE_GATEWAY or not turn.attempt.is_recorded:
        return None
    failed: Final = record_failure(turn, driver._last_error)
    if turn.is_fallback:
        _with_a_loop([functools.partial(cooldown_failed_fallback, turn)])
    try:
        untried: Final = _has_untried(driver, turn, step)
        may_fall_back: Final = not untried and can_fall_back(turn)
        of_group: Final = {*step["candidate_ids"], failed.deployment_id}
        decided: Final = step_after_failure(
            turn, failed, of_group=of_group, untried=untried, may_fall_back=may_fall_back
        )
        is_users: Final = told["status"] == 404 and retries_by_policy(turn, _RETRIES_AFTER_404) is not None
        return None if is_users and decided is NextStep.RETRY else decided
    except Exception as error:  # must not take the provider's failure from the caller
        verbose_router_logger.warning("LiteLLM decides on the retries of %s: %s", turn.group, error)
        return None


def _has_untried(driver: Driver, turn: GroupTurn, step: Step) -> bool:
    """Whether a deployment that has not failed the request can be asked."""
    candidates: Final = driver.failover.choice.candidates
    failed: Final = turn.state.failed_deployment_ids
    if candidates:  # of which none was cooling down when the choice began
        return not failed.issuperset(_before_later_orders(turn, step, candidates))
    return any_in_rotation(turn.router, set(step["candidate_ids"]) - failed)


def _before_later_orders(turn: GroupTurn, step: Step, candidates: Collection[str | None]) -> Collection[str | None]:
    """Those of `candidates` that a retry is to go to: the compiled router comes to those of a later `order` than the
    one that has failed by itself, as to a fallback."""
    if not has_later_order(turn.router, turn.request, turn.group):
        return candidates
    failed, *others = (
        order_of(turn.router.get_model_info(id=str(one)) or {}) for one in (step["deployment_id"], *candidates)
    )
    if failed is None:
        return candidates
    return [one for one, order in zip(candidates, others, strict=True) if order is None or order <= failed]


def _to_retry(driver: Driver, step: Step, told: Outcome) -> Outcome:
    names: Final = {"classes": [name for name in told["classes"] if name != NEVER_RETRIED]}
    status: Final = COOLS_DOWN_AND_RETRIES if told["status"] in NOT_RETRIED else told["status"]
    renamed: Final = {"kind": ANY_ERROR} if told["kind"] == NEVER_RETRIED else {}
    return {"status": status, **names, **renamed}


def _to_fall_back(driver: Driver, step: Step, told: Outcome) -> Outcome:
    # Only after the first attempt is the number of retries read, and not where the request has brought one.
    if step["retry"] == 0 and driver._request.get("num_retries") is None:
        return {"num_retries": 0}
    return {"kind": NEVER_RETRIED, "classes": [*told["classes"], NEVER_RETRIED]}


# What of the words an attempt is told in is different for each step.
_WORDS: Final[Mapping[NextStep, Callable[[Driver, Step, Outcome], Outcome]]] = {
    NextStep.RETRY: _to_retry,
    NextStep.FALL_BACK: _to_fall_back,
    NextStep.RAISE: lambda *_: {"status": REJECTS},
    NextStep.UPSTREAM: lambda *_: {},
}


def attach_attempts_to_error(
    failed: Callable[[Driver, Step], BaseException],
) -> Callable[[Driver, Step], BaseException]:
    """Wrap `_Driver.failed`, which gives the exception a request ends with: it says in its message, and as
    `failed_attempts`, which deployments were tried and why they failed."""

    @functools.wraps(failed)
    def failed_after(self: Driver, step: Step) -> BaseException:
        error: Final = failed(self, step)
        if self.failover.turns:
            attach_attempts(error, self.failover.request_state.attempts)
        return error

    return failed_after


def _choosing(driver: Driver, step: Step) -> AbstractContextManager[None]:
    """Have the callbacks' filters know the turn that chooses, and remember what they leave out."""
    is_first: Final = step["stage"] == _FIRST_STAGE
    if not is_first and not _asks_preferred(driver.failover.choice, step):
        return _NO_CONTEXT
    return _ChoosingOfAll(driver, step) if is_first else _choosing_preferred(driver, step)


class _ChoosingOfAll:
    """A block in which the filters of all deployments know the turn that chooses, as `_Attempting`."""

    __slots__ = ("_choice", "_turn", "_under_way")

    def __init__(self, driver: Driver, step: Step) -> None:
        self._choice: Final = driver.failover.choice
        self._turn: Final = choosing_turn(driver, str(step["model"]))
        self._under_way: Final = turn_under_way(self._turn)

    def __enter__(self) -> None:
        self._under_way.__enter__()

    def __exit__(self, raised: type[BaseException] | None, *about: object) -> None:
        self._under_way.__exit__(raised, *about)
        if raised is None:
            self._choice.affinity = self._turn.affinity


@contextmanager
def _choosing_preferred(driver: Driver, step: Step) -> Iterator[None]:
    with turn_under_way(choosing_turn(driver, str(step["model"]))) as turn:
        found: Final = [turn.router.get_model_info(id=str(one)) for one in step["candidates"]]
        turn.others = [deployment for deployment in found if deployment is not None]
        yield


def _asks_preferred(choice: Choice, step: Step) -> bool:
    """Whether in `step` the strategy is asked about the preferred deployment first."""
    return (
        step["stage"] == _STRATEGY
        and choice.is_asked_first
        and choice.preferred in step.get("candidates", ())
        and step.get("records") is None  # deployments that share an id
    )


def _asked(driver: Driver, step: Step) -> Step:
    """The step of a choice as the host is asked it. The first one of a retry is about the untried alone: those that the
    choice before could have fallen on, so that they pass the filters still to come."""
    choice: Final = driver.failover.choice
    candidates: Final[Sequence[str]] = step.get("candidates", ())
    if step["stage"] == _FIRST_STAGE:
        state: Final = driver.failover.request_state
        tried: Final[Collection[str]] = state.failed_deployment_ids if state.attempts else ()
        among: Final = (step["model"], step.get("target_order"))
        could: Final = choice.candidates if choice.among == among else candidates
        choice.among = among
        choice.left = [one for one in candidates if one in could and one not in tried] or candidates
        return {**step, "candidates": choice.left}
    # A stage without candidates chooses nothing. The strategy is asked about the preferred one alone.
    if candidates and list(candidates) != [choice.preferred]:
        choice.left = candidates
    return {**step, "candidates": [choice.preferred]} if _asks_preferred(choice, step) else step


def _answered(driver: Driver, step: Step, answer: Answer) -> Answer:
    """The answer to a step of a choice."""
    choice: Final = driver.failover.choice
    if step["stage"] == _FIRST_STAGE:
        answer = _preferring(choice.affinity.preferred, answer)
        choice.preferred = answer[1] if isinstance(answer, tuple) else None
        choice.is_asked_first = choice.preferred is not None and _is_for_the_strategy(driver, step, choice.preferred)
        if choice.is_asked_first:  # by the compiled router it would be asked about the preferred one alone
            answer = answer[0], None
    choice.left = _left_by(driver, step["stage"], choice.left, answer)
    if not isinstance(answer, dict) or not answer.get("raised"):
        return answer
    turn: Final = turn_at(driver, driver._level, str(step["model"]), driver._fallback_depth, None)
    decided: Final = step_without_deployment(driver._last_error, may_fall_back=can_fall_back(turn))
    return {**answer, "status": REJECTS} if decided is NextStep.FALL_BACK else answer


def _is_for_the_strategy(driver: Driver, step: Step, preferred: str) -> bool:
    """Whether a strategy in Python chooses, and is going to be asked about the `preferred` deployment: it is not of a
    later `order` than others, which only a preference leads to."""
    try:
        strategy, _ = driver._core._prefetch_strategy_and_selector(str(step["model"]), driver._request)
        if strategy in (None, "simple-shuffle"):
            return False
        router: Final = driver.failover.router
        orders: Final = {one: order_of(router.get_model_info(id=str(one)) or {}) for one in step["candidates"]}
        first: Final = min((order for order in orders.values() if order is not None), default=None)
        wanted: Final = step.get("target_order")
        return orders.get(preferred) == (first if wanted is None else wanted)
    except Exception as error:  # a setting that makes no sense must not take the request from the caller
        verbose_router_logger.warning("The strategy for %s is not known: %s", step["model"], error)
        return False


def _preferring(names: Collection[str | None], answer: Answer) -> Answer:
    """The answer of the callbacks' filters, with one of `names` as the deployment that is preferred if the stages to
    come leave it."""
    if not isinstance(answer, tuple):
        return answer
    kept, preferred = answer
    return kept, next((one for one in kept if one in names), preferred)


def _left_by(driver: Driver, stage: str, candidates: Sequence[str], answer: object) -> Sequence[str]:
    """Those of `candidates` that a stage's answer leaves, as far as the answer tells it."""
    named: Final = answer[0] if isinstance(answer, tuple) else answer  # beside the one that a filter prefers
    if stage in _KEEPS and isinstance(named, list):
        return named
    if stage in _DROPS and isinstance(named, list):
        return [one for one in candidates if one not in named] or candidates
    if stage == "pre_call" and isinstance(answer, dict):
        return _admitted(driver, candidates, answer)
    return candidates


def _admitted(driver: Driver, candidates: Sequence[str], facts: Outcome) -> Sequence[str]:
    """Those of `candidates` that surely pass the check before a call: of the deployment's context window, of the
    parameters it takes, and of its region."""
    tokens: Final = facts.get("input_tokens")
    region: Final = facts.get("allowed_model_region")
    of: Final[Mapping[str, Outcome]] = facts.get("deployments") or {}

    def fits(candidate: str) -> bool:
        limit: Final = of.get(candidate, {}).get("max_input_tokens")
        return limit is None or tokens is None or tokens <= limit

    def takes_all(candidate: str) -> bool:
        return not of.get(candidate, {}).get("lacks_params")

    def is_there(candidate: str) -> bool:
        return region is None or region_of(driver, candidate) == region

    return [one for one in candidates if fits(one) and takes_all(one) and is_there(one)]


def _cooldowns_after_fallback(driver: Driver) -> Sequence[Callable[[], None]]:
    """Those of the groups that the one that has answered has stood in for."""
    turns: Final = driver.failover.turns
    earlier: Final = [turns[level] for level in sorted(turns)[:-1]]
    return [functools.partial(cooldown_after_fallback, turn) for turn in earlier if turn.attempt.failed]


def _with_a_loop(cooldowns: Sequence[Callable[[], None]]) -> None:
    """Have what cools down find an event loop, to which LiteLLM leaves what is to be told of a cooldown. Where a
    synchronous request has none, the one that is made for it is not to become that of the caller's thread."""
    if asyncio._get_running_loop() is not None:
        for cool_down in cooldowns:
            cool_down()
    elif cooldowns:
        try:
            with ThreadPoolExecutor(max_workers=1) as thread:
                thread.submit(lambda: asyncio.run(_in_a_loop(cooldowns))).result()
        except RuntimeError as error:  # no thread can be started: what came of the request stands all the same
            verbose_router_logger.warning("No deployment was cooled down for the fallback: %s", error)


async def _in_a_loop(cooldowns: Sequence[Callable[[], None]]) -> None:
    for cool_down in cooldowns:
        cool_down()
    await asyncio.sleep(0)  # for what is to be told of a cooldown
