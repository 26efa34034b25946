"""
What follows from a failure, in one table: a row a kind. Pure: no router, no clock, nothing is read or written here.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

from litellm.litellm_core_utils.failure import Failure, FailureKind

LONGEST_WAIT: Final = 3.0
"""Seconds a request waits, at the most, for the first deployment of a group that is cooling down as a whole."""


class Cooldown(Enum):
    """When a deployment is cooled down, if another can take its place and the user's settings do not say otherwise."""

    NEVER = "never"
    REPEATED = "repeated"  # LiteLLM's failure-rate rule
    AT_ONCE = "at once"  # as LiteLLM does for a 429


class Retry(Enum):
    """Where a failed request may be tried again."""

    NOWHERE = "nowhere"
    ELSEWHERE = "elsewhere"  # on the same deployment it cannot help
    ELSEWHERE_ELSE_SAME = "elsewhere, else same"
    AS_TODAY = "as today"


class NextStep(Enum):
    """What becomes of a request after a failed attempt."""

    RETRY = "another attempt in the same model group"
    FALL_BACK = "the next model group, at once"
    RAISE = "the failure is raised: nobody could do better"
    UPSTREAM = "LiteLLM's own rule decides"


class FailoverPolicy(NamedTuple):
    """What one kind leads to; `client_status` is the proxy's HTTP status, None where the provider's is passed on."""

    cooldown: Cooldown
    retry: Retry
    client_status: int | None


POLICY: Final[Mapping[FailureKind, FailoverPolicy]] = MappingProxyType(
    {
        FailureKind.RATE_LIMITED: FailoverPolicy(Cooldown.AT_ONCE, Retry.ELSEWHERE, 429),
        FailureKind.OUT_OF_CREDIT: FailoverPolicy(Cooldown.AT_ONCE, Retry.ELSEWHERE, 402),
        FailureKind.BAD_CREDENTIALS: FailoverPolicy(Cooldown.AT_ONCE, Retry.ELSEWHERE, None),
        FailureKind.MODEL_MISSING: FailoverPolicy(Cooldown.AT_ONCE, Retry.ELSEWHERE, 404),
        FailureKind.UNREACHABLE: FailoverPolicy(Cooldown.AT_ONCE, Retry.ELSEWHERE, 502),
        FailureKind.TIMED_OUT: FailoverPolicy(Cooldown.REPEATED, Retry.ELSEWHERE, 504),
        FailureKind.UNAVAILABLE: FailoverPolicy(Cooldown.REPEATED, Retry.ELSEWHERE, None),
        FailureKind.INTERRUPTED: FailoverPolicy(Cooldown.REPEATED, Retry.ELSEWHERE_ELSE_SAME, 502),
        FailureKind.SERVER_ERROR: FailoverPolicy(Cooldown.REPEATED, Retry.ELSEWHERE_ELSE_SAME, None),
        FailureKind.GARBLED: FailoverPolicy(Cooldown.REPEATED, Retry.ELSEWHERE, 502),
        FailureKind.REQUEST_REJECTED: FailoverPolicy(Cooldown.NEVER, Retry.NOWHERE, None),
        FailureKind.INTERNAL: FailoverPolicy(Cooldown.NEVER, Retry.AS_TODAY, 500),
    }
)


def next_step(kind: FailureKind, *, chosen: bool, untried: bool, can_fall_back: bool) -> NextStep:
    """What becomes of a request after a failed attempt.

    Args:
        kind: Of the failure; RATE_LIMITED also where the router's own limits let no deployment be chosen.
        chosen: Whether a deployment was chosen. Where none was, a fallback group is not under the limits of this one.
        untried: Whether a deployment of the group that has not failed the request can be asked, now or after a wait.
        can_fall_back: Whether another model group, or a later `order` of this one, stands ready.
    """
    if not chosen:
        return NextStep.FALL_BACK if kind is FailureKind.RATE_LIMITED and can_fall_back else NextStep.UPSTREAM
    retry: Final = POLICY[kind].retry
    if retry is Retry.NOWHERE:
        return NextStep.RAISE
    if retry is Retry.AS_TODAY:
        return NextStep.UPSTREAM
    if untried:
        return NextStep.RETRY
    return NextStep.FALL_BACK if retry is Retry.ELSEWHERE and can_fall_back else NextStep.UPSTREAM


def is_deployment_fault(kind: FailureKind) -> bool:
    """Whether another deployment may do what the one that failed so could not."""
    return POLICY[kind].retry in (Retry.ELSEWHERE, Retry.ELSEWHERE_ELSE_SAME)


def is_rejected(kind: FailureKind) -> bool:
    """Whether the request itself was at fault: no deployment would do better."""
    return POLICY[kind].retry is Retry.NOWHERE


def is_retry_useless(kind: FailureKind) -> bool:
    """Whether the deployment that failed so would fail the request again."""
    return POLICY[kind].retry is Retry.ELSEWHERE


def may_cool_down(kind: FailureKind) -> bool:
    """Whether a failure of this kind, once or repeated, cools a deployment down."""
    return POLICY[kind].cooldown is not Cooldown.NEVER


def cools_down_at_once(failure: Failure) -> bool:
    """Whether this one failure proves reason enough to cool a deployment down that another of its group replaces."""
    return failure.proven and POLICY[failure.kind].cooldown is Cooldown.AT_ONCE


def is_due_after(failure: Failure, failures: int, successes: int, *, most_failed: float, fewest: int) -> bool:
    """Whether a deployment that failed so is to cool down, as any that has another beside it.

    Args:
        failure: The last one.
        failures, successes: Of the deployment, in this minute.
        most_failed: The part of its requests (0 to 1) that may fail: LiteLLM's failure rate.
        fewest: The number of requests below which the rate says nothing.
    """
    if cools_down_at_once(failure):
        return True
    total: Final = failures + successes
    return may_cool_down(failure.kind) and total >= fewest and failures > most_failed * total


def is_worth_waiting_for(seconds: float | None, limit: float = LONGEST_WAIT) -> bool:
    """Whether a request for which all deployments are cooling down waits `seconds`, until the first of them is not."""
    return seconds is not None and seconds <= min(limit, LONGEST_WAIT)


MAY_BE_ABOUT_AN_ID: Final = (403, 404)
"""Statuses that are about the id of something, where the request names one."""


class CallerInput(NamedTuple):
    """What a request has of its own that a failure may be about: the id of something one provider holds, a time limit
    shorter than the deployment's, credentials, the model, where the deployment stands for many. Other callers' requests
    do not have it."""

    names_an_id: bool = False
    limits_the_time: bool = False
    brings_credentials: bool = False
    names_the_model: bool = False


def kind_for(failure: Failure, own: CallerInput) -> FailureKind:
    """The kind of a failure, given what the request has of its own: a 403 or a 404 may be about an id that the caller
    named, and then no other deployment has it either."""
    return (
        FailureKind.REQUEST_REJECTED if own.names_an_id and failure.http_status in MAY_BE_ABOUT_AN_ID else failure.kind
    )


def counts_for_all_callers(failure: Failure, own: CallerInput, *, timed_out: bool) -> bool:
    """Whether a failure tells other callers something of the deployment. Only then does it count, in LiteLLM's failure
    rate and for `allowed_fails`, or cool anything down. `timed_out` is a time limit that has run out, also that of a
    connection that was never made, which by itself proves that a host cannot be reached."""
    kind: Final = kind_for(failure, own)
    if failure.proven and not may_cool_down(kind):
        return False
    if own.brings_credentials and kind is FailureKind.BAD_CREDENTIALS:
        return False
    if own.names_the_model and kind is FailureKind.MODEL_MISSING:
        return False
    return not (own.limits_the_time and failure.http_status is None and timed_out)
