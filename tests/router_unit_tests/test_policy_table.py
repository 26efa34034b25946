"""The policy table in the README is the one in the code."""

from __future__ import annotations

from pathlib import Path

from litellm.litellm_core_utils.failure_signal import FailureSignal, signal_of_status
from litellm.router_utils.failover_policy import POLICY

README = Path(__file__).parents[2] / "README.md"


def rows() -> dict[str, list[str]]:
    """The README's rows by signal: seen as, exception, caller's HTTP status, cool down, retry."""
    lines = [line for line in README.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells if row[0] in FailureSignal.__members__}


def test_readme_table_matches_policy() -> None:
    """Every signal has one row in the README, which names the cooldown, the retry and the status of the code."""
    written = {
        signal: (cooldown.partition(",")[0], retry, caller.partition(" ")[0])
        for signal, (_, _, caller, cooldown, retry) in rows().items()
    }
    assert written == {
        signal.name: (policy.cooldown.value, policy.retry.value, str(policy.caller_status or "same"))
        for signal, policy in POLICY.items()
    }


def test_the_statuses_a_row_names_have_its_signal() -> None:
    """The statuses that a row of the README names have the signal of that row."""
    named = [
        (signal, int(word))
        for signal, (seen_as, *_) in rows().items()
        for word in seen_as.replace(",", " ").replace(";", " ").split()
        if word.isdecimal()
    ]
    assert len(named) > 8
    assert [(signal, status) for signal, status in named if signal_of_status(status).name != signal] == []
