"""The policy table in the README is the one in the code."""

from __future__ import annotations

from pathlib import Path

from litellm.litellm_core_utils.failure import kind_of_status
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.router_utils.failover.policy import POLICY

README = Path(__file__).parents[2] / "README.md"


def rows() -> dict[str, list[str]]:
    """The README's rows by kind: seen as, exception, caller's HTTP status, cool down, retry."""
    lines = [line for line in README.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells if row[0] in FailureKind.__members__}


def test_readme_table_matches_policy() -> None:
    """Every kind has one row in the README, which names the cooldown, the retry and the status of the code."""
    written = {
        kind: (cooldown.partition(",")[0], retry, caller.partition(" ")[0])
        for kind, (_, _, caller, cooldown, retry) in rows().items()
    }
    assert written == {
        kind.name: (policy.cooldown.value, policy.retry.value, str(policy.client_status or "same"))
        for kind, policy in POLICY.items()
    }


def test_the_statuses_a_row_names_have_its_kind() -> None:
    """The statuses that a row of the README names have the kind of that row."""
    named = [
        (kind, int(word))
        for kind, (seen_as, *_) in rows().items()
        for word in seen_as.replace(",", " ").replace(";", " ").split()
        if word.isdecimal()
    ]
    assert len(named) > 8
    assert [(kind, status) for kind, status in named if kind_of_status(status).name != kind] == []
