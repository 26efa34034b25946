"""docs/drill.md says what the rules are and shows what the command says, and the recipes follow them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drill.configs import FOLDER, found, run, written
from litellm_drill.rules import RULES

DOCS = FOLDER.parents[1] / "docs"
DOCUMENT = (DOCS / "drill.md").read_text("utf-8")
RECIPES = sorted((DOCS / "recipes").glob("*.yaml"))
ROW = re.compile(r"^\| `([a-z-]+)` \| (\w+) \| (.+) \| (.+) \|$", re.MULTILINE)


def test_table_is_that_of_the_code() -> None:
    """The table has a row for each rule, in order, with its severity, what it finds and the remedy."""
    assert ROW.findall(DOCUMENT) == [(rule.id, rule.severity.value, rule.what, rule.remedy) for rule in RULES]


def test_rules_have_ordinary_ids() -> None:
    """A rule's id is of lower case words, and no two have the same."""
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", name) for name in ids)


def test_example_is_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example's output is that of a file with its defect in its line."""
    monkeypatch.chdir(tmp_path)
    source = FOLDER / "seeded" / "fallbacks.yaml"
    text = source.read_text("utf-8").replace("- gtp: [claude]", "- claude: [gpt]")
    path = written(tmp_path, text.replace("gpt-4-turbo-preview", "gpt").replace("slow: llama", "slow: gpt"))
    said = run("--ignore", "environment-unset,fallback-loop,fallback-smaller-context", path.name).stdout.splitlines()
    assert said[0] in DOCUMENT
    assert f"1 finding, by {len(RULES)} rules." in DOCUMENT


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_have_no_findings(path: Path) -> None:
    """None of the four recipes has a finding where its variables are set."""
    assert len(RECIPES) == 4
    assert found(path) == set()
