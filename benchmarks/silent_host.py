"""Stock and patched LiteLLM side by side while a host of the group never answers: how many callers wait for it.

`nox -s bench -- silent_host` runs this.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness import SIDES, Benchmark, Row, asked_together, concluded
from silent_host_work import PER_SECOND, SECONDS, TIMEOUT, VARIANTS, Result

NAMES = {
    "one_of_two": "1 of 2 silent",
    "heavy_tail": "1 of 2 silent, the other heavy-tailed",
    "two_of_five": "2 of 5 silent",
    "two_workers": "1 of 2 silent, two Routers on one Redis",
}
MOST_WAITED = 4
"""Requests of a run that may wait a whole timeout: those made before anything can be known of the host."""
MOST_ATTEMPTS = 12

EXPLANATION = f"""\
{PER_SECOND} requests/s for {SECONDS:g} s, timeout {TIMEOUT:g} s, LiteLLM's defaults
waited: requests that took a whole timeout or longer; attempts: what the silent hosts read
"""


@dataclass(frozen=True)
class Outcome:
    """One variant on both sides."""

    stock: Result
    patched: Result

    @property
    def complaints(self) -> list[str]:
        """What the patched side does worse than it promises."""
        found = []
        if self.patched.lost:
            found.append(f"lost {self.patched.lost} of {self.patched.asked} requests")
        if self.patched.waited > MOST_WAITED:
            found.append(f"{self.patched.waited} requests waited a whole timeout")
        if self.patched.attempts > MOST_ATTEMPTS:
            found.append(f"{self.patched.attempts} attempts at the silent")
        return found


def run(pythons: Mapping[str, str], options: argparse.Namespace) -> Iterator[Outcome]:
    """Both sides of a variant together, since they mostly wait."""
    questions = [{"variant": variant, "seconds": options.seconds} for variant in options.variant]
    for answers in asked_together(pythons, "silent_host_work", questions):
        yield Outcome(**{side: Result(**answer) for side, answer in answers.items()})


COLUMNS = ("group", "asked", "waited", "attempts", "lost", "")


def row(outcome: Outcome) -> Row:
    """A variant, stock → patched."""

    def change(of: Callable[[Result], int]) -> str:
        return f"{of(outcome.stock)} → {of(outcome.patched)}"

    return (
        NAMES[outcome.patched.variant],
        str(outcome.patched.asked),
        change(lambda result: result.waited),
        change(lambda result: result.attempts),
        change(lambda result: result.lost),
        "WRONG" if outcome.complaints else "",
    )


def sentence(outcomes: Sequence[Outcome]) -> str:
    """The run in one sentence."""
    waited = {side: sum(getattr(one, side).waited for one in outcomes) for side in SIDES}
    asked = sum(one.patched.asked for one in outcomes)
    said = f"of {asked} requests {waited['stock']} waited a whole timeout on stock LiteLLM, {waited['patched']} patched"
    wrong = [f"{NAMES[one.patched.variant]}: {complaint}" for one in outcomes for complaint in one.complaints]
    return concluded(said, wrong)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be left out or made shorter."""
    parser.add_argument("--variant", nargs="+", choices=tuple(VARIANTS), default=tuple(VARIANTS), help="only these")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each; default: %(default)s")


def report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything measured, for `--json`."""
    return {"variants": [{**asdict(one), "complaints": one.complaints} for one in outcomes]}


BENCHMARK: Benchmark[Outcome] = Benchmark(
    name="silent_host",
    about=__doc__,
    add_arguments=add_arguments,
    steps=lambda options: len(options.variant),
    run=run,
    explain=lambda options: EXPLANATION,
    columns=COLUMNS,
    rows=lambda outcomes: list(map(row, outcomes)),
    remarks=lambda outcomes: (),
    sentence=sentence,
    report=report,
    failed=lambda outcomes: any(outcome.complaints for outcome in outcomes),
)
