"""What a drill has found out, as a table, as JSON and as JUnit's XML; page.py makes the page."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from litellm_drill.finding import Finding
from litellm_drill.outcome import Outcome, Report, Scope, Verdict, about_streams, is_loss, matrix, remarks, sentence
from litellm_drill.report import rows
from litellm_drill.stand_in import Fault

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
MARKS = {Verdict.ANSWERED: "✓", Verdict.CUT: "~", Verdict.FAILED: "✗", Verdict.UNASKED: "–"}
SCOPES = {Scope.ONE: "one deployment", Scope.PAIR: "a pair", Scope.ALL: "the whole group"}
STYLES = {Verdict.ANSWERED: "green", Verdict.CUT: "yellow", Verdict.FAILED: "red", Verdict.UNASKED: "dim"}


def told(outcome: Outcome | None) -> str:
    """An outcome as a cell: who answered, or what the caller saw, after how many attempts, and the added time."""
    if outcome is None:
        return ""
    mark = MARKS[outcome.verdict]
    if outcome.verdict is Verdict.UNASKED:
        return f"{mark} not asked"
    who = outcome.answered_by or f"{outcome.seen}{' (streamed)' if outcome.scenario.streamed else ''}"
    times = f"{outcome.attempts} attempt{'' if outcome.attempts == 1 else 's'}"
    return f"{mark} {who}, {times}, {_seconds(outcome)}"


def _seconds(outcome: Outcome) -> str:
    """The added time; with the config's own timeouts where they are longer than the drill's."""
    if outcome.own is None:
        return f"+{outcome.added:.1f} s here"
    return f"+{outcome.own:.1f} s" if outcome.own < 10 else f"+{outcome.own:.0f} s"


def show(console: Console, report: Report, other: Report | None) -> None:
    """Print the table, what was replaced and not drilled, and the sentence."""
    reports = [report] if other is None else [report, other]
    for one in reports:
        console.print(_table(one, titled=other is not None))
    for what in report.replaced:
        console.print(Text(_plain(f"replaced: {what}")))
    for name, reason in report.left_out.items():
        console.print(Text(_plain(f"not drilled: {name}: {reason}")))
    for what in report.denied:
        console.print(Text(_plain(f"denied: the proxy wanted {what}")))
    for one in reports:
        named = f"LiteLLM {one.release}: " if other is not None else ""
        for line in remarks(one):
            console.print(Text(_plain(named + line)), soft_wrap=True)


def _table(report: Report, titled: bool) -> Table:
    has_pairs = any(one.scenario.scope is Scope.PAIR for one in report.outcomes)
    scopes = [scope for scope in Scope if scope is not Scope.PAIR or has_pairs]
    table = Table(title=f"LiteLLM {report.release}" if titled else None)
    for heading in ("group", "fault", *(f"{SCOPES[scope]} broken" for scope in scopes)):
        table.add_column(heading, overflow="fold")
    for group in report.groups:
        for place, fault in enumerate(Fault):
            cells = matrix(report.outcomes, group, fault)
            row = [_styled(cells[scope]) for scope in scopes]
            table.add_row(Text("" if place else _plain(group)), fault.value, *row, end_section=fault is list(Fault)[-1])
    return table


def _styled(outcome: Outcome | None) -> Text:
    return Text(_plain(told(outcome)), style="" if outcome is None else STYLES[outcome.verdict])


def _plain(text: str) -> str:
    """A text without what steers a terminal, and what XML may not have."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def as_json(report: Report, other: Report | None, findings: Sequence[Finding]) -> str:
    """All of it as one object; `stock` is the other LiteLLM's, or null."""
    stock = None if other is None else _object(other)
    return json.dumps({**_object(report), "stock": stock, "findings": rows(findings)}, indent=2)


def _object(report: Report) -> dict[str, object]:
    return {
        "release": report.release,
        "sentence": sentence(report),
        "about_streams": about_streams(report),
        "groups": report.groups,
        "not_surviving": report.lost(),
        "seconds": round(report.seconds, 1),
        "replaced": list(report.replaced),
        "not_drilled": report.left_out,
        "unwell": list(report.unwell),
        "denied": list(report.denied),
        "outcomes": [_row(one) for one in report.outcomes],
    }


def _row(one: Outcome) -> dict[str, object]:
    return {
        "group": one.scenario.group,
        "broken": list(one.broken),
        "scope": one.scenario.scope.value,
        "fault": one.scenario.fault.value,
        "streamed": one.scenario.streamed,
        "verdict": one.verdict.value,
        "answered_by": one.answered_by or None,
        "seen": one.seen or None,
        "attempts": one.attempts,
        "added_seconds": round(one.added, 3),
        "added_seconds_by_own_timeouts": None if one.own is None else round(one.own, 3),
    }


def write_junit(path: Path, report: Report) -> None:
    """A suite for each group, a case for each fault and set of broken deployments; a failure is one that a caller sees
    though only one deployment is broken, others are told in the case's output."""
    from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

    document = JUnitXml("litellm-drill")
    for group in report.groups:
        suite = TestSuite(_plain(group))
        for one in report.outcomes:
            if one.scenario.group != group:
                continue
            how = "streamed" if one.scenario.streamed else "whole"
            named = _plain(f"{one.scenario.fault.value}, {how}, {' and '.join(one.broken)}")
            case = TestCase(named, _plain(group), one.added)
            if is_loss(one) and one.scenario.scope is Scope.ONE:
                case.result = [Failure(_plain(told(one)))]
            elif one.verdict is Verdict.UNASKED:
                case.result = [Skipped("not asked")]
            case.system_out = _plain(told(one))
            suite.add_testcase(case)
        document.add_testsuite(suite)
    for name, seen in report.unwell.items():
        suite, case = TestSuite(_plain(name)), TestCase("nothing broken", _plain(name))
        case.result = [Error(_plain(f"does not answer: {seen}"))]
        suite.add_testcase(case)
        document.add_testsuite(suite)
    document.write(str(path), pretty=True)
