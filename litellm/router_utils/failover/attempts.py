"""
What a router's attempt at a request is: whether the policy decides about it, what it is remembered as when it has
failed, whether another one could follow, and how the failed ones are listed for who reads the error in the end.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import litellm
from litellm._logging import verbose_router_logger
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.failure import FailureKind, classify, failure_of, keep_failure
from litellm.router_utils.failover.caller_fault import caller_input, is_caller_fault, judge, limit_of
from litellm.router_utils.failover.deadline import current_deadline, is_over
from litellm.router_utils.failover.fallbacks import can_fall_back, has_fallback
from litellm.router_utils.failover.group_names import by_any_name, team_of
from litellm.router_utils.failover.policy import NextStep, is_rejected, next_step
from litellm.router_utils.failover.retries import has_retry_left
from litellm.router_utils.failover.retry_state import FailedAttempt, GroupTurn
from litellm.router_utils.failover.router_view import Request, leaves_no_deployment, router_setting

ATTEMPTS_ATTRIBUTE: Final = "failed_attempts"

# What each deployment of a model group can do as well as the next: LiteLLM's own functions, and its router's methods.
# The others upload, name or cancel something that one provider holds; LiteLLM's own rule is left to decide about them.
_SERVED_BY_ANY_DEPLOYMENT: Final = frozenset(
    {
        *("agenerate_content", "agenerate_content_stream", "amoderation", "anthropic_messages", "aresponses"),
        *("_acompletion", "_completion", "_atext_completion", "_aadapter_completion"),
        *("_aembedding", "_embedding", "_arerank"),
        *("_aimage_generation", "_image_generation", "_aspeech", "_atranscription"),
        *("acompact_responses", "aimage_edit", "aocr", "avideo_generation"),
    }
)
_HELD_BY_THE_PROVIDER: Final = ("previous_response_id", "conversation", "prompt")  # in a Responses request
_FALLBACKS_FOR_A_REASON: Final = ("content_policy_fallbacks", "context_window_fallbacks")
_LONGEST_ID: Final = 16  # characters; LiteLLM's own ids are hashes of 64


def serves_on_any_deployment(function_names: Collection[object], request: Request, *, is_generic: bool) -> bool:
    """Whether each deployment of a group can serve the request as well as the next; one of the names is that of the
    router's method. `is_generic` are those requests that the router hands to a function of LiteLLM's as they are."""
    if _SERVED_BY_ANY_DEPLOYMENT.isdisjoint(function_names):
        return False
    is_text: Final = isinstance(request.get("prompt"), str)  # and no name of a template, as for an image or a video
    held: Final = [name for name in _HELD_BY_THE_PROVIDER if name != "prompt" or not is_text] if is_generic else ()
    return not any(map(request.get, held))


def judge_attempt(turn: GroupTurn, error: Exception, request: Request) -> bool:
    """Whether the failure of the turn's attempt counts for other callers. Kept on `error`, see `caller_fault.judge`."""
    try:
        deployment: Final = turn.router.get_model_info(id=str(turn.attempt.deployment_id)) or {}
        sent: Final = {**turn.request, **request}
        own: Final = caller_input(turn.router, sent, deployment, limit_of(sent), is_about_an_id=False)
    except Exception as problem:  # a setting that makes no sense must not take the provider's failure from the caller
        verbose_router_logger.warning("A request to %s cannot be read: %s", turn.group, problem)
        return True
    return judge(error, own, turn.attempt.deployment_id)


def record_failure(turn: GroupTurn, error: Exception) -> FailedAttempt:
    """Remember that the turn's attempt has failed with `error`, which has been judged. A limit of the caller's own that
    has run out is told as LiteLLM does, with 408."""
    failure: Final = failure_of(error)
    keep_failure(error, failure)
    kind, status = failure.kind, failure.http_status
    if is_caller_fault(error) and status is None and kind in (FailureKind.TIMED_OUT, FailureKind.UNREACHABLE):
        kind, status = FailureKind.TIMED_OUT, 408
    failed: Final = FailedAttempt(str(turn.attempt.deployment_id), turn.group, kind, status, failure.retry_after)
    turn.attempt = turn.attempt._replace(failed=failed, error=error)
    turn.state.attempts.append(failed)
    return failed


RetryLimit = Callable[[GroupTurn, NextStep, Collection[str], Collection[str]], NextStep]

_limits: Final[list[RetryLimit]] = []


def register_retry_limit(limit: RetryLimit) -> None:
    """Have `limit` change what becomes of a request after a failed attempt, given the turn, what has been decided, the
    ids of all deployments of the group, and those of the untried that can be asked."""
    if limit not in _limits:
        _limits.append(limit)


def step_after_failure(
    turn: GroupTurn, failed: FailedAttempt, *, of_group: Collection[str | None], untried: bool, may_fall_back: bool
) -> NextStep:
    """What becomes of a request after the turn's attempt has failed.

    Args:
        turn: Of the model group that was asked.
        failed: The attempt.
        of_group: The ids of all deployments that the request could go to.
        untried: Whether one of them that has not failed the request can be asked, at once or after a wait.
        may_fall_back: Whether another model group stands ready.
    """
    if is_over():
        return NextStep.RAISE
    step = next_step(failed.kind, chosen=True, untried=untried, can_fall_back=may_fall_back)
    asked: Final = [one.deployment_id for one in turn.state.attempts if one.model_group == turn.group]
    names: Final = {str(one) for one in of_group}.union(asked if of_group else ())  # a retry is not offered these
    for limit in _limits:
        step = limit(turn, step, names, names - turn.state.failed_deployment_ids if untried else ())
    return step


def step_without_deployment(error: object, *, may_fall_back: bool) -> NextStep:
    """What becomes of a request for which no deployment was chosen, but `error` raised: where the router's own limits
    let none be chosen, a fallback group is not under them."""
    if is_over():
        return NextStep.RAISE
    kind: Final = FailureKind.RATE_LIMITED if leaves_no_deployment(error) else classify(error)
    return next_step(kind, chosen=False, untried=False, can_fall_back=may_fall_back)


def awaits_first_event(turn: GroupTurn, deployment_id: str, candidates: Collection[str | None]) -> bool:
    """Whether a stream is an answer from its first event on only: a retry, should the attempt on a deployment fail, can
    go to another one of the `candidates`, or the request to another model group; or others have failed before, which
    the failure of this one is to be told with; or a deadline holds the request to it."""
    others: Final = set(candidates) - turn.state.failed_deployment_ids - {deployment_id}
    made: Final = sum(attempt.model_group == turn.group for attempt in turn.state.attempts)
    return (
        current_deadline() is not None  # which holds until then
        or bool(turn.state.attempts)
        or (bool(others) and has_retry_left(turn, deployment_id, made))
        or can_fall_back(turn)
        or any(_has_fallback_for(turn, reason) for reason in _FALLBACKS_FOR_A_REASON)
    )


def _has_fallback_for(turn: GroupTurn, reason: str) -> bool:
    fallbacks: Final = by_any_name(turn.router, turn.group, router_setting(turn.router, reason), turn.routed)
    return has_fallback(turn.router, turn.group, fallbacks, team_id=team_of(turn.request))


def describe_attempts(attempts: Sequence[FailedAttempt]) -> str:
    """A line that lists `attempts`, those alike once, with their number; empty if there is nothing to list or the user
    wants no such details in errors."""
    to_list: Final = not all(is_rejected(one.kind) for one in attempts)
    if not to_list or safe_getattr(litellm, "expose_router_debug_in_errors") is False:
        return ""
    alike: Final[dict[tuple[str, str, FailureKind], list[FailedAttempt]]] = {}
    for one in attempts:
        alike.setdefault((one.model_group, one.deployment_id, one.kind), []).append(one)
    shown: Final = _shown_ids({one.deployment_id for one in attempts})
    return f"\nAttempts that failed: {'; '.join(_described(some, shown) for some in alike.values())}"


def _described(alike: Sequence[FailedAttempt], shown: Mapping[str, str]) -> str:
    """Attempts on one deployment that failed in one way."""
    name, group, kind = alike[0][:3]
    statuses: Final = ", ".join(dict.fromkeys(str(one.status_code) for one in alike if one.status_code is not None))
    count: Final = "" if len(alike) == 1 else f", {len(alike)} times"
    return f"{group}, deployment {shown[name]}: {kind.value}{f' ({statuses})' if statuses else ''}{count}"


def _shown_ids(names: Collection[str]) -> Mapping[str, str]:
    """The ids as they are shown: the beginning of a long one, unless another one begins like that."""
    beginnings: Final = Counter(name[:_LONGEST_ID] for name in names)
    whole: Final = {name for name in names if len(name) <= _LONGEST_ID or beginnings[name[:_LONGEST_ID]] > 1}
    return {name: name if name in whole else f"{name[:_LONGEST_ID]}…" for name in names}


def attach_attempts(error: BaseException, attempts: Sequence[FailedAttempt]) -> None:
    """Have what the router raises in the end say which attempts failed, in its message and as `failed_attempts`, a
    tuple of `FailedAttempt`."""
    setattr(error, ATTEMPTS_ATTRIBUTE, tuple(attempts))
    message: Final = safe_getattr(error, "message")
    said: Final = describe_attempts(attempts)
    if isinstance(message, str) and said not in message:
        error.message = message + said  # type: ignore[attr-defined]
