"""Every defect seeded into a config is found at its line, and nothing else is."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from drill.configs import FOLDER, found, seeded
from litellm_drill.rules import RULES

SEEDED = sorted((FOLDER / "seeded").glob("*.yaml"))
RELEASE = tuple(int(part) for part in version("litellm").partition("+")[0].split("."))


@pytest.mark.parametrize("path", SEEDED, ids=lambda path: path.stem)
def test_seeded_defects_are_found(path: Path) -> None:
    """A config has the findings that its comments name, each at the line of the comment, and no others."""
    assert found(path) == seeded(path, RELEASE)


def test_every_rule_has_a_seed() -> None:
    """The seeds are at least forty in ten configs, and each rule is among them."""
    defects = [defect for path in SEEDED for defect in seeded(path, RELEASE)]
    assert len(SEEDED) == 10
    assert len(defects) >= 40
    assert {rule for _, rule in defects} == {rule.id for rule in RULES}
