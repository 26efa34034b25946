"""What the policy says of a failure besides the next step: who is at fault, for whom it counts, what it leads to."""

from __future__ import annotations

import pytest
from litellm.litellm_core_utils.failure import Basis, Failure, FailureKind
from litellm.router_utils.failover.policy import (
    LONGEST_WAIT,
    CallerInput,
    cools_down_at_once,
    counts_for_all_callers,
    is_deployment_fault,
    is_due_after,
    is_rejected,
    is_retry_useless,
    is_worth_waiting_for,
    kind_for,
    may_cool_down,
)

# Columns: the deployment's fault, the request's, a retry on the same one is useless, may cool down, at once if proven.
SAYS = {
    "RATE_LIMITED": (True, False, True, True, True),
    "OUT_OF_CREDIT": (True, False, True, True, True),
    "BAD_CREDENTIALS": (True, False, True, True, True),
    "MODEL_MISSING": (True, False, True, True, True),
    "UNREACHABLE": (True, False, True, True, True),
    "TIMED_OUT": (True, False, True, True, False),
    "UNAVAILABLE": (True, False, True, True, False),
    "GARBLED": (True, False, True, True, False),
    "INTERRUPTED": (True, False, False, True, False),
    "SERVER_ERROR": (True, False, False, True, False),
    "REQUEST_REJECTED": (False, True, False, False, False),
    "INTERNAL": (False, False, False, False, False),
}


@pytest.mark.parametrize("name", SAYS)
def test_each_kind_has_its_consequences(name: str) -> None:
    """Each kind is somebody's fault, and cools down or not, as the table here says."""
    kind = FailureKind[name]
    proven = Failure(kind, None, Basis.TRANSPORT)
    worded = Failure(kind, None, Basis.WORDING)
    asked = (is_deployment_fault, is_rejected, is_retry_useless, may_cool_down)
    assert (*(ask(kind) for ask in asked), cools_down_at_once(proven)) == SAYS[name]
    assert not cools_down_at_once(worded)
    assert len(SAYS) == len(FailureKind)


@pytest.mark.parametrize(
    ("kind", "failures", "successes", "due"),
    [
        ("UNAVAILABLE", 5, 0, True),
        ("UNAVAILABLE", 4, 0, False),  # too few to say
        ("UNAVAILABLE", 3, 2, True),
        ("UNAVAILABLE", 3, 3, False),  # half is not more than half
        ("UNAVAILABLE", 4, 3, True),
        ("UNAVAILABLE", 1, 9, False),
        ("RATE_LIMITED", 1, 99, True),
        ("REQUEST_REJECTED", 99, 0, False),
        ("INTERNAL", 99, 0, False),
    ],
)
def test_repeated_failures_make_a_rate(kind: str, failures: int, successes: int, due: bool) -> None:
    """More than half of at least five requests must fail, but for what cools down at once or never."""
    failure = Failure(FailureKind[kind], None, Basis.TRANSPORT)
    assert is_due_after(failure, failures, successes, most_failed=0.5, fewest=5) is due


@pytest.mark.parametrize(("failures", "successes", "due"), [(1, 0, False), (5, 0, True), (3, 3, False)])
def test_words_alone_make_a_rate(failures: int, successes: int, due: bool) -> None:
    """What would cool down at once does so only when repeated, if mere words tell of it."""
    failure = Failure(FailureKind.RATE_LIMITED, None, Basis.WORDING)
    assert is_due_after(failure, failures, successes, most_failed=0.5, fewest=5) is due


@pytest.mark.parametrize(
    ("seconds", "limit", "waits"),
    [
        (None, 9, False),
        (0, 9, True),
        (LONGEST_WAIT, 9, True),
        (LONGEST_WAIT + 0.1, 9, False),
        (1, 1, True),
        (1.1, 1, False),
    ],
)
def test_a_moment_is_worth_waiting_for(seconds: float | None, limit: float, waits: bool) -> None:
    """A request waits for no longer than it has, and never longer than a moment."""
    assert is_worth_waiting_for(seconds, limit) is waits
    if limit > LONGEST_WAIT:
        assert is_worth_waiting_for(seconds) is waits


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 429, 500, None])
@pytest.mark.parametrize("named", [True, False])
def test_named_thing_is_denied_or_missing(status: int | None, named: bool) -> None:
    """Only a 403 and a 404 may be about what the request names."""
    failure = Failure(FailureKind.SERVER_ERROR, status, Basis.ANSWER)
    rejected = named and status in (403, 404)
    expected = FailureKind.REQUEST_REJECTED if rejected else FailureKind.SERVER_ERROR
    assert kind_for(failure, CallerInput(names_an_id=named)) is expected


NOTHING_OWN = CallerInput()


@pytest.mark.parametrize(
    ("kind", "status", "own", "timed_out", "counts"),
    [
        ("UNAVAILABLE", 503, NOTHING_OWN, False, True),
        ("REQUEST_REJECTED", 400, NOTHING_OWN, False, False),
        ("INTERNAL", None, NOTHING_OWN, False, False),
        ("MODEL_MISSING", 404, CallerInput(names_an_id=True), False, False),
        ("BAD_CREDENTIALS", 401, CallerInput(brings_credentials=True), False, False),
        ("BAD_CREDENTIALS", 401, NOTHING_OWN, False, True),
        ("RATE_LIMITED", 429, CallerInput(brings_credentials=True), False, True),
        ("TIMED_OUT", None, CallerInput(limits_the_time=True), True, False),
        ("TIMED_OUT", 504, CallerInput(limits_the_time=True), True, True),
        ("TIMED_OUT", None, NOTHING_OWN, True, True),
        ("UNREACHABLE", None, CallerInput(limits_the_time=True), False, True),
        ("MODEL_MISSING", 404, CallerInput(names_the_model=True), False, False),
        ("MODEL_MISSING", 404, NOTHING_OWN, False, True),
        ("BAD_CREDENTIALS", 401, CallerInput(names_the_model=True), False, True),
    ],
)
def test_own_doing_counts_for_nobody(
    kind: str, status: int | None, own: CallerInput, timed_out: bool, counts: bool
) -> None:
    """What a request has of its own counts for nobody else where the failure is about that."""
    failure = Failure(FailureKind[kind], status, Basis.ANSWER)
    assert counts_for_all_callers(failure, own, timed_out=timed_out) is counts


def test_request_has_nothing_of_its_own() -> None:
    """Where nothing is said of a request, it names nothing, limits nothing and brings nothing along."""
    assert not any(CallerInput())


def test_a_moment_is_three_seconds() -> None:
    """The longest wait for a group that is out is three seconds."""
    assert LONGEST_WAIT == 3.0


def test_wording_of_a_rejection_counts() -> None:
    """A rejection that only wording tells of is no proof that the deployment is well."""
    assert counts_for_all_callers(Failure(FailureKind.INTERNAL, None, Basis.WORDING), NOTHING_OWN, timed_out=False)
