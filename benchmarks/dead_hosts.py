"""Stock and patched LiteLLM side by side while one, two or four of five hosts are dead: what their callers pay for it.

`nox -s bench -- dead_hosts` runs this.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from statistics import median
from typing import Any

from dead_hosts_work import DEPLOYMENTS, REQUESTS, RETRIES, TIMEOUT_OF_THE_SILENT, Cell, Result
from failover_cell import STRATEGIES
from harness import SIDES, Benchmark, Row, asked_together

from support.faulty_provider import PROVIDERS

FAULTS = {"refused": "refuses connections", "silence": "accepts and is silent", "503": "answers 503"}
"""Ways to be dead, by their name among the faulty provider's."""

DEAD = (1, 2, 4)
USUAL_PROVIDERS = ("openai", "ollama_chat")
"""One that LiteLLM knows well and one that it does not."""

USUAL_STRATEGIES = ("simple-shuffle", "least-busy")
"""One draws, the other keeps to an order."""

EXPLANATION = f"""\
{REQUESTS} requests a cell, one after the other, num_retries={RETRIES}; a silent host costs {TIMEOUT_OF_THE_SILENT} s
wasted: attempts on dead hosts
median, worst: latency of an answer over the healthy host's own; a request that is lost has none
"""


@dataclass(frozen=True)
class Outcome:
    """One cell on both sides."""

    stock: Result
    patched: Result

    @property
    def cell(self) -> Cell:
        return self.patched.cell

    @property
    def complaints(self) -> list[str]:
        """What the patched side does worse than stock, or than it promises."""
        found = []
        if self.patched.lost:
            found.append(f"lost {self.patched.lost} of {self.patched.asked} requests")
        if self.patched.wasted > self.stock.wasted:
            found.append(f"wasted {self.patched.wasted} attempts where stock wasted {self.stock.wasted}")
        if self.patched.most > self.cell.dead:
            found.append(f"tried {self.cell.dead} dead hosts {self.patched.most} times for one request")
        return found

    @property
    def better(self) -> bool:
        """Whether the patched side lost or wasted less."""
        return self.patched.lost < self.stock.lost or self.patched.wasted < self.stock.wasted


def run(pythons: Mapping[str, str], options: argparse.Namespace) -> Iterator[Outcome]:
    """Go through the cells that were asked for, both sides of one together, since they mostly wait."""
    for answers in asked_together(pythons, "dead_hosts_work", list(map(asdict, chosen(options)))):
        yield Outcome(**{side: Result.from_json(answer) for side, answer in answers.items()})


def chosen(options: argparse.Namespace) -> list[Cell]:
    """The cells that were asked for."""
    return [Cell(*key) for key in product(options.provider, options.fault, options.strategy, options.dead)]


def added(result: Result, of: Callable[[Sequence[float]], float]) -> float | None:
    """Seconds the median (or `of`) answer took longer than the median one of the healthy group; None without any."""
    return of(result.seconds) - median(result.own) if result.seconds else None


COLUMNS = ("provider", "a dead host", "strategy", "dead", "wasted", "for one request", "lost", "median", "worst", "")


def row(outcome: Outcome) -> Row:
    """A cell, stock → patched; the latencies are what is added to the healthy host's own."""
    cell = outcome.cell

    def change(show: Callable[[Result], str]) -> str:
        return f"{show(outcome.stock)} → {show(outcome.patched)}"

    return (
        cell.provider,
        FAULTS[cell.fault],
        cell.strategy,
        f"{cell.dead} of {DEPLOYMENTS}",
        change(lambda result: str(result.wasted)),
        change(lambda result: str(result.most)),
        change(lambda result: str(result.lost)),
        change(lambda result: _milliseconds(added(result, median))),
        change(lambda result: _milliseconds(added(result, max))),
        "WRONG" if outcome.complaints else "better" if outcome.better else "",
    )


def _milliseconds(seconds: float | None) -> str:
    return "no answer" if seconds is None else f"{round(seconds * 1e3):+d} ms"


def sentence(outcomes: Sequence[Outcome]) -> str:
    """The run in one sentence."""
    asked = sum(outcome.patched.asked for outcome in outcomes)
    stock, patched = (
        f"{sum(side.wasted for side in sides)} attempts and lost {sum(side.lost for side in sides)} requests"
        for sides in ([outcome.stock for outcome in outcomes], [outcome.patched for outcome in outcomes])
    )
    numbers = f"with {asked} requests stock LiteLLM wasted {stock}, the patched one {patched}"
    wrong = [(outcome.cell, complaint) for outcome in outcomes for complaint in outcome.complaints]
    if not wrong:
        return f"In {len(outcomes)} cells, {numbers}."
    broken = "; ".join(f"{describe(cell)}: {complaint}" for cell, complaint in wrong)
    return f"The patched LiteLLM is wrong: {broken}; {numbers}."


def describe(cell: Cell) -> str:
    """`cell` in words."""
    return f"{cell.provider}, {cell.fault}, {cell.strategy}, {cell.dead} dead"


def report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything measured, for `--json`; times in seconds."""
    return {
        "cells": [
            {
                **asdict(outcome.cell),
                "complaints": outcome.complaints,
                **{side: _side(getattr(outcome, side)) for side in SIDES},
            }
            for outcome in outcomes
        ],
    }


def _side(result: Result) -> dict[str, Any]:
    measured = {name: value for name, value in asdict(result).items() if name != "cell"}
    return {"added_median": added(result, median), "added_worst": added(result, max), **measured}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be left out or asked for."""
    several: dict[str, Any] = {"nargs": "+", "help": "only these; default: %(default)s"}
    parser.add_argument("--provider", choices=PROVIDERS, default=USUAL_PROVIDERS, **several)
    parser.add_argument("--fault", choices=tuple(FAULTS), default=tuple(FAULTS), **several)
    parser.add_argument("--strategy", choices=STRATEGIES, default=USUAL_STRATEGIES, **several)
    parser.add_argument("--dead", type=int, choices=DEAD, default=DEAD, **several)


BENCHMARK: Benchmark[Outcome] = Benchmark(
    name="dead_hosts",
    about=__doc__,
    add_arguments=add_arguments,
    steps=lambda options: len(chosen(options)),
    run=run,
    explain=lambda options: EXPLANATION,
    columns=COLUMNS,
    rows=lambda outcomes: list(map(row, outcomes)),
    remarks=lambda outcomes: (),
    sentence=sentence,
    report=report,
    failed=lambda outcomes: any(outcome.complaints for outcome in outcomes),
)
