"""A config that is well made has no finding, however it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from drill.configs import FOLDER, found

ORDINARY = sorted((FOLDER / "ordinary").glob("*.yaml"))


@pytest.mark.parametrize("path", ORDINARY, ids=lambda path: path.stem)
def test_ordinary_configs_have_no_findings(path: Path) -> None:
    """None of the configs by LiteLLM's documentation has a finding."""
    assert found(path) == set()


def test_ten_configs_are_ordinary() -> None:
    """Ten configs follow LiteLLM's documentation."""
    assert len(ORDINARY) == 10
