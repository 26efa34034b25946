"""The report as one page that needs nothing else: the matrix, a timeline for each group, and what `check` finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment

from litellm_drill.drill_report import MARKS, SCOPES, told
from litellm_drill.finding import Finding
from litellm_drill.outcome import Outcome, Report, Scope, Verdict, matrix, remarks, sentence
from litellm_drill.stand_in import Fault

WIDTH, LEFT, ROW = 640.0, 76.0, 26.0
"""Of a timeline, in units of its own."""


@dataclass(frozen=True)
class Bar:
    """An attempt in a timeline: where, how wide, which deployment, and whether it answered."""

    x: float
    y: float
    width: float
    text: str
    is_good: bool
    title: str


@dataclass(frozen=True)
class Timeline:
    """The attempts of one group's questions, a row for each fault; `left_alone` is from where on a broken deployment
    was asked no more."""

    group: str
    height: float
    rows: tuple[tuple[float, str], ...]
    bars: tuple[Bar, ...]
    left_alone: tuple[tuple[float, float], ...]
    longest: float


def page(report: Report, other: Report | None, findings: Sequence[Finding]) -> str:
    """The page about `report`, with another LiteLLM's beside it, as HTML."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("litellm_drill").joinpath("page.html").read_text("utf-8"))
    reports = [report] if other is None else [report, other]
    return template.render(
        reports=[_of(one) for one in reports],
        timelines=[_timeline(report, group) for group in report.groups],
        findings=findings,
        replaced=report.replaced,
        not_drilled=report.left_out,
        denied=report.denied,
        width=WIDTH,
        left=LEFT,
    )


def _of(report: Report) -> dict[str, object]:
    """What the template needs of one LiteLLM's report."""
    has_pairs = any(one.scenario.scope is Scope.PAIR for one in report.outcomes)
    scopes = [scope for scope in Scope if has_pairs or scope is not Scope.PAIR]
    rows = [
        (group, fault.value, [_cell(matrix(report.outcomes, group, fault)[scope]) for scope in scopes])
        for group in report.groups
        for fault in Fault
    ]
    return {
        "release": report.release,
        "sentence": sentence(report),
        "remarks": remarks(report)[:-1],
        "lost": bool(report.lost()) or not report.groups,
        "headings": [SCOPES[scope] for scope in scopes],
        "rows": rows,
        "faults": len(Fault),
    }


def _cell(outcome: Outcome | None) -> tuple[str, str, str]:
    """The class, the mark and the text of a cell."""
    if outcome is None:
        return "none", "", "does not apply"
    mark = MARKS[outcome.verdict]
    return outcome.verdict.name.lower(), mark, told(outcome).removeprefix(mark).strip()


def _timeline(report: Report, group: str) -> Timeline:
    shown = [one for fault in Fault if (one := matrix(report.outcomes, group, fault)[Scope.ONE]) is not None]
    longest = max([0.1, *(step.ended for one in shown for step in one.steps)])
    scale = (WIDTH - LEFT - 24) / longest
    rows, bars, alone = [], [], []
    for place, outcome in enumerate(shown):
        y = place * ROW + 4
        rows.append((y, outcome.scenario.fault.value))
        for step in outcome.steps:
            is_good = step.result == "answered" and outcome.verdict is Verdict.ANSWERED
            width = max((step.ended - step.began) * scale, 4.0)
            title = f"{step.label}: {step.result}, {step.ended - step.began:.2f} s"
            bars.append(Bar(LEFT + max(step.began, 0.0) * scale, y, width, step.label, is_good, title))
        failed = [step.ended for step in outcome.steps if step.label in outcome.broken]
        if failed:
            alone.append((LEFT + max(failed) * scale, y))
    return Timeline(group, len(shown) * ROW + 8, tuple(rows), tuple(bars), tuple(alone), longest)
