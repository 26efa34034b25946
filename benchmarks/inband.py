"""Stock and patched LiteLLM side by side where one of two deployments answers 200 without an answer.

Provider × API × shape, over loopback sockets: what became of the request that met it. `nox -s bench -- inband` runs
this.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from harness import SIDES, Benchmark, Row, asked_together

from support.inband_calls import CALLS, Call
from support.inband_shapes import BREAKS

ANSWERED, PASSED, LOST = "answered", "passed", "lost"

EXPLANATION = """\
before a word: answered by the other deployment · passed on as an answer · lost
after the first words: finished by the other deployment · passed on · told
"""


@dataclass(frozen=True)
class Outcome:
    """One call on both sides: what became of each shape and what was heard of it."""

    call: int
    broken: bool
    stock: dict[str, list[str]] = field(default_factory=dict)
    patched: dict[str, list[str]] = field(default_factory=dict)

    @property
    def about(self) -> Call:
        return CALLS[self.call]

    def side(self, side: str) -> dict[str, list[str]]:
        """The outcomes on a side by shape."""
        found: dict[str, list[str]] = getattr(self, side)
        return found

    def wrong(self, side: str) -> list[str]:
        """The shapes that are not dealt with: after the first words an error is due as well."""
        due = (LOST, ANSWERED) if self.broken else (ANSWERED,)
        return [shape for shape, (became, _) in self.side(side).items() if became not in due]


def chosen(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The questions, a call each before and after its first words."""
    return [
        {"call": number, "broken": broken}
        for number, call in enumerate(CALLS)
        for broken in (False, True)
        if (not options.provider or call.provider in options.provider)
        and (not options.api or call.api in options.api)
        and (not broken or (call.streamed and call.format in BREAKS))
    ]


def run(pythons: Mapping[str, str], options: argparse.Namespace) -> Iterator[Outcome]:
    """Both sides of a call together, since they mostly wait."""
    questions = chosen(options)
    for question, answers in zip(questions, asked_together(pythons, "inband_work", questions), strict=True):
        yield Outcome(**question, **{side: answer["outcomes"] for side, answer in answers.items()})


COLUMNS = ("provider", "API", "cells", "answered", "passed on", "lost", "first that is wrong")


def _counts(outcome: Outcome, side: str) -> Counter[str]:
    return Counter(became for became, _ in outcome.side(side).values())


def row(outcome: Outcome) -> Row:
    """A call, stock → patched."""
    stock, patched = (_counts(outcome, side) for side in SIDES)
    wrong = outcome.wrong("patched")
    api = f"{outcome.about.api}, after its first words" if outcome.broken else outcome.about.api
    shown = [f"{stock[name]} → {patched[name]}" for name in (ANSWERED, PASSED, LOST)]
    return (outcome.about.provider, api, str(len(outcome.patched)), *shown, ", ".join(wrong[:3]))


def sentence(outcomes: Sequence[Outcome]) -> str:
    """The run in one sentence."""
    parts = []
    for broken, due in ((False, "before a word"), (True, "after the first words")):
        here = [outcome for outcome in outcomes if outcome.broken is broken]
        sums = [sum((_counts(outcome, side) for outcome in here), Counter[str]()) for side in SIDES]
        shown = "; ".join(
            f"{side} {counts[ANSWERED]} answered, {counts[PASSED]} passed on, {counts[LOST]} lost or told"
            for side, counts in zip(SIDES, sums, strict=True)
        )
        parts.append(f"{due}, of {sum(len(outcome.patched) for outcome in here)} cells: {shown}")
    return ". ".join(parts)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be left out."""
    parser.add_argument("--provider", nargs="+", help="only these")
    parser.add_argument("--api", nargs="+", help="only these")


BENCHMARK: Benchmark[Outcome] = Benchmark(
    name="inband",
    about=__doc__,
    add_arguments=add_arguments,
    steps=lambda options: len(chosen(options)),
    run=run,
    explain=lambda options: EXPLANATION,
    columns=COLUMNS,
    rows=lambda outcomes: list(map(row, outcomes)),
    remarks=lambda outcomes: (),
    sentence=sentence,
    report=lambda outcomes: {"calls": [{"name": one.about.name, **asdict(one)} for one in outcomes]},
    failed=lambda outcomes: any(outcome.wrong("patched") for outcome in outcomes),
)
