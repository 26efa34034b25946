"""Findings as text for people, as JSON, and as SARIF 2.1.0 for GitHub's code scanning."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from litellm_drill.finding import Finding, Rule

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_text(findings: Sequence[Finding], rules: Sequence[Rule]) -> str:
    """A line for each finding, and how many there are."""
    lines = [
        f"{one.place.file}:{one.place.line}: {one.rule.severity.value} {one.rule.id}: {one.text} {one.remedy}"
        for one in findings
    ]
    count = f"{len(findings)} finding{'' if len(findings) == 1 else 's'}"
    return "\n".join([*lines, f"{count}, by {len(rules)} rules."])


def as_json(findings: Sequence[Finding], rules: Sequence[Rule]) -> str:
    """A list of objects with rule, severity, file, line, text and remedy."""
    return json.dumps(rows(findings), indent=2)


def as_sarif(findings: Sequence[Finding], rules: Sequence[Rule]) -> str:
    """A SARIF log of one run, with the rules that were asked and a result for each finding."""
    driver = {"name": "litellm-drill", "rules": [_rule(rule) for rule in rules]}
    run = {"tool": {"driver": driver}, "results": [_result(one) for one in findings], "columnKind": "unicodeCodePoints"}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


FORMATS: Mapping[str, Callable[[Sequence[Finding], Sequence[Rule]], str]] = {
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
}


def rows(findings: Sequence[Finding]) -> list[dict[str, str | int]]:
    """An object for each finding, for JSON."""
    return [_row(one) for one in findings]


def _row(one: Finding) -> dict[str, str | int]:
    return {
        "rule": one.rule.id,
        "severity": one.rule.severity.value,
        "file": one.place.file,
        "line": one.place.line,
        "text": one.text,
        "remedy": one.remedy,
    }


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.what},
        "help": {"text": rule.remedy},
        "defaultConfiguration": {"level": rule.severity.value},
    }


def _result(one: Finding) -> dict[str, object]:
    location = {
        "artifactLocation": {"uri": _uri(one.place.file)},
        "region": {"startLine": one.place.line},
    }
    return {
        "ruleId": one.rule.id,
        "level": one.rule.severity.value,
        "message": {"text": f"{one.text} {one.remedy}"},
        "locations": [{"physicalLocation": location}],
    }


def _uri(file: str) -> str:
    """The path as GitHub takes it: relative to the folder the command runs in, if it is in there, and without `..`."""
    path = Path(os.path.abspath(file))
    return quote(path.relative_to(Path.cwd()).as_posix()) if path.is_relative_to(Path.cwd()) else path.as_uri()
