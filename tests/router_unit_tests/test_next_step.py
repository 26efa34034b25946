"""What follows from a failed attempt, written out by hand for every kind of failure and every state of the request."""

from __future__ import annotations

import pytest
from litellm.litellm_core_utils.failure import FailureKind
from litellm.router_utils.failover.policy import NextStep, next_step

RETRY, FALL_BACK, RAISE, UPSTREAM = NextStep.RETRY, NextStep.FALL_BACK, NextStep.RAISE, NextStep.UPSTREAM

# Columns: another deployment can be asked and a fallback stands ready; another only; a fallback only; neither.
CHOSEN = {
    "RATE_LIMITED": (RETRY, RETRY, FALL_BACK, UPSTREAM),
    "OUT_OF_CREDIT": (RETRY, RETRY, FALL_BACK, UPSTREAM),
    "BAD_CREDENTIALS": (RETRY, RETRY, FALL_BACK, UPSTREAM),
    "MODEL_MISSING": (RETRY, RETRY, FALL_BACK, UPSTREAM),
    "UNREACHABLE": (RETRY, RETRY, FALL_BACK, UPSTREAM),
    "TIMED_OUT": (RETRY, RETRY, FALL_BACK, UPSTREAM),
    "UNAVAILABLE": (RETRY, RETRY, FALL_BACK, UPSTREAM),
    "GARBLED": (RETRY, RETRY, FALL_BACK, UPSTREAM),
    # The same deployment may do, so LiteLLM retries on it before it falls back.
    "INTERRUPTED": (RETRY, RETRY, UPSTREAM, UPSTREAM),
    "SERVER_ERROR": (RETRY, RETRY, UPSTREAM, UPSTREAM),
    "REQUEST_REJECTED": (RAISE, RAISE, RAISE, RAISE),
    "INTERNAL": (UPSTREAM, UPSTREAM, UPSTREAM, UPSTREAM),
}
# Where no deployment could be chosen, only a limit of the group's own leads to a fallback, which is not under it.
NOT_CHOSEN = {name: (UPSTREAM, UPSTREAM, UPSTREAM, UPSTREAM) for name in CHOSEN if name != "RATE_LIMITED"}
NOT_CHOSEN["RATE_LIMITED"] = (FALL_BACK, UPSTREAM, FALL_BACK, UPSTREAM)

ROWS = [
    (name, chosen, untried, can_fall_back, expected)
    for chosen, table in ((True, CHOSEN), (False, NOT_CHOSEN))
    for name, steps in table.items()
    for (can_fall_back, untried), expected in zip(
        ((True, True), (False, True), (True, False), (False, False)), steps, strict=True
    )
]


@pytest.mark.parametrize(("kind", "chosen", "untried", "can_fall_back", "expected"), ROWS)
def test_every_failure_has_one_next_step(
    kind: str, chosen: bool, untried: bool, can_fall_back: bool, expected: NextStep
) -> None:
    """Each kind of failure leads to the step of the table, in each state of the request."""
    step = next_step(FailureKind[kind], chosen=chosen, untried=untried, can_fall_back=can_fall_back)
    assert step is expected


def test_table_has_every_kind() -> None:
    """The table written out here is about every kind there is."""
    assert set(CHOSEN) == {kind.name for kind in FailureKind} == set(NOT_CHOSEN)
