"""What a config includes is checked with it, at the included file's own lines."""

from __future__ import annotations

import json
from pathlib import Path

from drill.configs import run, written

ONE = "model_list:\n  - model_name: one\n    litellm_params: {model: hosted_vllm/a, api_base: http://a, timeout: 60}\n"


def places(path: Path) -> set[tuple[str, int, str]]:
    rows = json.loads(run("--format", "json", path).stdout)
    return {(Path(row["file"]).name, row["line"], row["rule"]) for row in rows}


def test_lists_of_included_files_are_joined(tmp_path: Path) -> None:
    """A deployment of an included file is in the group of the first one, and a finding there names that file."""
    written(tmp_path, ONE.replace("http://a, timeout: 60", "http://b"), "more.yaml")
    assert places(written(tmp_path, f"include: [more.yaml]\n{ONE}")) == {("more.yaml", 2, "timeout-missing")}


def test_included_sections_replace_others(tmp_path: Path) -> None:
    """A section of an included file stands for the first one's own, as in LiteLLM."""
    written(tmp_path, "router_settings: {cooldown_time: 0}\n", "more.yaml")
    assert places(written(tmp_path, "include: [more.yaml]\nrouter_settings: {disable_cooldowns: true}\n")) == {
        ("more.yaml", 1, "cooldown-zero")
    }


def test_nested_includes_are_followed(tmp_path: Path) -> None:
    """A file is looked for beside the one that includes it, then beside the first, and is read once."""
    (tmp_path / "below").mkdir()
    written(tmp_path / "below", "include: [beside.yaml, first.yaml]\n", "nested.yaml")
    written(tmp_path / "below", ONE, "beside.yaml")
    written(tmp_path, ONE.replace("one", "two"), "first.yaml")
    assert places(written(tmp_path, "include: [below/nested.yaml, first.yaml]\n")) == {
        ("beside.yaml", 2, "group-alone"),
        ("first.yaml", 2, "group-alone"),
    }


def test_nearer_includes_come_first(tmp_path: Path) -> None:
    """What an included file includes comes after all that the first file does, and replaces it, as in LiteLLM."""
    written(tmp_path, "include: [last.yaml]\n", "nested.yaml")
    written(tmp_path, "router_settings: {cooldown_time: 0}\n", "last.yaml")
    written(tmp_path, "router_settings: {disable_cooldowns: true}\n", "more.yaml")
    assert places(written(tmp_path, "include: [nested.yaml, more.yaml]\n")) == {("last.yaml", 1, "cooldown-zero")}
