"""Stock and patched LiteLLM side by side while one, two or four of five hosts are dead: what their callers pay for it.

`nox -s dead_hosts` runs this. It needs two interpreters, one with each litellm; it imports neither itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from dead_hosts_work import DEPLOYMENTS, REQUESTS, RETRIES, TIMEOUT_OF_THE_SILENT, Cell, Result
from failover import SIDES, aligned
from failover_cell import STRATEGIES
from tqdm import tqdm
from worker import BenchmarkError, Worker, json_file, version

from support.faulty_provider import PROVIDERS

SCRIPT = Path(__file__).with_name("dead_hosts_work.py")

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


def run(pythons: dict[str, str], cells: Sequence[Cell]) -> Iterator[Outcome]:
    """Go through `cells`, both sides of one together, since they mostly wait.

    Raises BenchmarkError as soon as a worker does.
    """
    with ExitStack() as stack:
        workers = {side: stack.enter_context(closing(Worker(python, SCRIPT))) for side, python in pythons.items()}
        with ThreadPoolExecutor(len(workers)) as pool:
            try:
                for cell in cells:
                    asked = {side: pool.submit(worker.ask, asdict(cell)) for side, worker in workers.items()}
                    yield Outcome(**{side: Result.from_json(answer.result()) for side, answer in asked.items()})
            finally:
                for worker in workers.values():
                    worker.kill()  # so that the pool need not wait for an answer


def added(result: Result, of: Callable[[Sequence[float]], float]) -> float | None:
    """Seconds the median (or `of`) answer took longer than the median one of the healthy group; None without any."""
    return of(result.seconds) - median(result.own) if result.seconds else None


COLUMNS = ("provider", "a dead host", "strategy", "dead", "wasted", "for one request", "lost", "median", "worst", "")


def table(outcomes: Sequence[Outcome]) -> str:
    """One row a cell, stock → patched; the latencies are what is added to the healthy host's own."""
    return aligned([COLUMNS, *map(_row, outcomes)])


def _row(outcome: Outcome) -> tuple[str, ...]:
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


def report(versions: dict[str, str], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything measured, for `--json`; times in seconds."""
    return {
        "versions": versions,
        "summary": sentence(outcomes),
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", required=True, metavar="PYTHON", help="interpreter that imports stock litellm")
    parser.add_argument("--patched", required=True, metavar="PYTHON", help="interpreter that imports the patched one")
    parser.add_argument("--json", metavar="FILE", type=json_file, help="write every cell to FILE")
    several: dict[str, Any] = {"nargs": "+", "help": "only these; default: %(default)s"}
    parser.add_argument("--provider", choices=PROVIDERS, default=USUAL_PROVIDERS, **several)
    parser.add_argument("--fault", choices=tuple(FAULTS), default=tuple(FAULTS), **several)
    parser.add_argument("--strategy", choices=STRATEGIES, default=USUAL_STRATEGIES, **several)
    parser.add_argument("--dead", type=int, choices=DEAD, default=DEAD, **several)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the table; 0 when the patched side loses nothing and wastes no more, 1 when it does, 2 without a result."""
    options = _parser().parse_args(arguments)
    pythons = {"stock": options.stock, "patched": options.patched}
    cells = [Cell(*key) for key in product(options.provider, options.fault, options.strategy, options.dead)]
    try:
        versions = {side: version(python) for side, python in pythons.items()}
        # disable=None: no bar where standard error is not a terminal.
        outcomes = list(tqdm(run(pythons, cells), total=len(cells), unit="cell", leave=False, disable=None))
    except BenchmarkError as error:
        print(f"dead_hosts: {error}", file=sys.stderr)
        return 2
    if options.json is not None:
        options.json.write_text(json.dumps(report(versions, outcomes), indent=1) + "\n")
    print("litellm {stock} (stock) → {patched} (patched)".format(**versions))
    print(EXPLANATION)
    print(table(outcomes), end="\n\n")
    print(sentence(outcomes))
    return int(any(outcome.complaints for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
