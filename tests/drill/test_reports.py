"""The three forms of a report say the same, each in its own way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drill.configs import run, written
from litellm_drill.rules import RULES

CONFIG = "router_settings:\n  cooldown_time: 0\n  disable_cooldowns: true\n"
REMEDY = "Set `cooldown_time` to seconds above zero, such as 60."
TEXT = "A `cooldown_time` of 0 leaves a failing deployment in rotation."


def test_text_has_a_line_each(tmp_path: Path) -> None:
    """The text has file, line, severity, rule, sentence and remedy of each finding in a line, and their number."""
    path = written(tmp_path, CONFIG)
    lines = run(path).stdout.splitlines()
    assert lines[0] == f"{path}:2: warning cooldown-zero: {TEXT} {REMEDY}"
    assert lines[1].startswith(f"{path}:3: warning cooldowns-disabled: ")
    assert lines[2:] == [f"2 findings, by {len(RULES)} rules."]


def test_json_has_all_fields(tmp_path: Path) -> None:
    """The JSON is a list of objects with each part of a finding by name."""
    path = written(tmp_path, CONFIG)
    first, _ = json.loads(run("--format", "json", path).stdout)
    assert first == {
        "rule": "cooldown-zero",
        "severity": "warning",
        "file": str(path),
        "line": 2,
        "text": TEXT,
        "remedy": REMEDY,
    }


def test_sarif_is_as_github_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SARIF log has the version, rules and levels that GitHub needs, and a relative path with slashes."""
    (tmp_path / "my configs").mkdir()
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path / "my configs", CONFIG)
    for named in (path, path.relative_to(tmp_path), Path("my configs/../my configs/config.yaml")):
        log = json.loads(run("--format", "sarif", named).stdout)
        [one] = log["runs"]
        assert (log["version"], one["tool"]["driver"]["name"]) == ("2.1.0", "litellm-drill")
        assert [rule["id"] for rule in one["tool"]["driver"]["rules"]] == [rule.id for rule in RULES]
        first = one["results"][0]
        assert (first["ruleId"], first["level"]) == ("cooldown-zero", "warning")
        assert first["message"] == {"text": f"{TEXT} {REMEDY}"}
        assert first["locations"] == [
            {"physicalLocation": {"artifactLocation": {"uri": "my%20configs/config.yaml"}, "region": {"startLine": 2}}}
        ]


def test_sarif_without_findings_is_a_run(tmp_path: Path) -> None:
    """A config without a finding has a SARIF log all the same, which clears the ones that GitHub knows."""
    log = json.loads(run("--format", "sarif", written(tmp_path, "router_settings: {}")).stdout)
    assert log["runs"][0]["results"] == []


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--select", "cooldown-zero"], ["cooldown-zero"]),
        (["--select", "cooldown-zero,cooldowns-disabled"], ["cooldown-zero", "cooldowns-disabled"]),
        (["--ignore", "cooldown-zero", "--ignore", "cooldowns-disabled"], []),
        (["--select", "cooldown-zero", "--ignore", "cooldown-zero"], []),
    ],
)
def test_rules_are_chosen(tmp_path: Path, options: list[str], found: list[str]) -> None:
    """Only the selected rules are asked, without the ignored ones, and the exit code follows from what is left."""
    result = run("--format", "json", *options, written(tmp_path, CONFIG))
    assert [row["rule"] for row in json.loads(result.stdout)] == found
    assert result.exit_code == bool(found)


@pytest.mark.parametrize("option", ["--select", "--ignore"])
def test_unknown_rule_is_refused(tmp_path: Path, option: str) -> None:
    """A rule that does not exist is refused with the names of those that do, so that none is left out by mistake."""
    result = run(option, "cooldown-zer0", written(tmp_path, CONFIG))
    assert result.exit_code == 2
    assert "there is no rule cooldown-zer0" in result.stderr
    assert "cooldown-zero" in result.stderr
