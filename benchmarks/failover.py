"""Stock and patched LiteLLM side by side: two deployments, one at fault, and who still gets an answer.

`nox -s bench -- failover` runs this.
"""

from __future__ import annotations

import argparse
import queue
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from failover_cell import REQUESTS, STRATEGIES, Cell, Result, modes
from harness import SIDES, Benchmark, BenchmarkError, Row, Worker, positive

from support.faulty_provider import FAULTS, PROVIDERS


@dataclass(frozen=True)
class Expectation:
    """What the policy promises: requests that `may_lose` (None: any), failures it `cools_after` (None: not judged).

    `NEVER` failures cool a deployment down where the caller is to blame.
    """

    may_lose: int | None
    cools_after: int | None


NEVER = 0

# Five failures are LiteLLM's own minimum for its failure rate.
AT_ONCE = Expectation(may_lose=0, cools_after=1)
REPEATED = Expectation(may_lose=0, cools_after=5)
CALLER_TO_BLAME = Expectation(may_lose=None, cools_after=NEVER)
LATER = Expectation(may_lose=None, cools_after=None)

EXPECTATIONS: dict[str, Expectation] = {
    "400": CALLER_TO_BLAME,
    "401": AT_ONCE,
    "402": AT_ONCE,
    "403": AT_ONCE,
    "404": AT_ONCE,
    "408": REPEATED,
    "429": AT_ONCE,
    "429-retry-after": AT_ONCE,
    "500": REPEATED,
    "503": REPEATED,
    "529": REPEATED,
    "refused": AT_ONCE,
    "unresolvable": AT_ONCE,
    "reset": REPEATED,
    "close": REPEATED,
    "truncated": REPEATED,
    "silence": REPEATED,
    "html-200": REPEATED,
    "empty-200": REPEATED,
}

BREAKS_AFTER_ITS_FIRST_WORDS = ("truncated",)
"""Streamed, this fails once the caller has seen a part of the answer: shown, and judged by a later issue."""


def expectation(cell: Cell) -> Expectation:
    """What the policy promises of `cell`."""
    streamed = cell.mode.endswith("stream")
    return LATER if streamed and cell.fault in BREAKS_AFTER_ITS_FIRST_WORDS else EXPECTATIONS[cell.fault]


def complaint(result: Result) -> str | None:
    """How `result` breaks the policy, None where it keeps it."""
    expected = expectation(result.cell)
    if expected.may_lose is not None and len(result.lost) > expected.may_lose:
        return f"lost {len(result.lost)} of {result.asked} requests where {expected.may_lose} may be"
    if expected.cools_after == NEVER and _cooled(result):
        return "cooled down for a fault of the caller"
    if cooldown_is_due(result) and not _cooled(result):
        return f"not cooled down after {result.failures} failures"
    return None


def cooldown_is_due(result: Result) -> bool:
    """Whether the deployment failed often enough in `result` that the policy cools it down."""
    needed = expectation(result.cell).cools_after or NEVER
    return needed != NEVER and result.failures >= needed


SLOW = ("silence", "unresolvable")
"""Measured first, so that no worker is left alone with them at the end; there every failed attempt is a timeout."""

SILENCE_STRATEGIES = ("simple-shuffle", "least-busy")
"""Strategies a silent provider is measured under unless the whole grid is asked for: one draws, one does not."""


def grid(full: bool, cooldown_time: float | None) -> list[Cell]:
    """Every provider, fault and strategy; in one mode each, which rotates, or in all when `full`."""
    cells = []
    for (p, provider), (f, fault), (s, strategy) in product(*map(enumerate, (PROVIDERS, FAULTS, STRATEGIES))):
        if fault == "silence" and not full and strategy not in SILENCE_STRATEGIES:
            continue
        possible = modes(strategy)
        judged = [mode for mode in possible if expectation(Cell(provider, fault, strategy, mode)) is not LATER]
        chosen = possible if full else (judged[(p + f + s) % len(judged)],)
        cells += [Cell(provider, fault, strategy, mode, cooldown_time) for mode in chosen]
    return sorted(cells, key=lambda cell: cell.fault not in SLOW)


Outcome = tuple[str, Result]


def chosen(options: argparse.Namespace) -> list[Cell]:
    """The cells that were asked for."""
    cells = grid(options.full, options.cooldown_time)
    return [cell for cell in cells if cell.provider in options.provider and cell.fault in options.fault]


def run(pythons: Mapping[str, str], options: argparse.Namespace) -> Iterator[Outcome]:
    """Measure the cells on every side with `options.jobs` workers each; yields side and result as they come."""
    cells = chosen(options)
    outcomes: queue.SimpleQueue[Outcome | BenchmarkError] = queue.SimpleQueue()
    workers, threads = [], []
    for side, python in pythons.items():
        waiting = _filled(cells)
        for _ in range(options.jobs):
            worker = Worker(python, "failover_cell")
            workers.append(worker)
            threads.append(threading.Thread(target=_drain, args=(side, worker, waiting, outcomes)))
    for thread in threads:
        thread.start()
    try:
        for _ in range(len(pythons) * len(cells)):
            outcome = outcomes.get()
            if isinstance(outcome, BenchmarkError):
                raise outcome
            yield outcome
    finally:
        for worker in workers:
            worker.kill()
        for thread in threads:
            thread.join()
        for worker in workers:
            worker.close()


def _filled(cells: Sequence[Cell]) -> queue.SimpleQueue[Cell]:
    waiting: queue.SimpleQueue[Cell] = queue.SimpleQueue()
    for cell in cells:
        waiting.put(cell)
    return waiting


def _drain(
    side: str,
    worker: Worker,
    waiting: queue.SimpleQueue[Cell],
    outcomes: queue.SimpleQueue[Outcome | BenchmarkError],
) -> None:
    """Have `worker` measure what is waiting until nothing is, or it fails."""
    while True:
        try:
            cell = waiting.get_nowait()
            outcomes.put((side, Result.from_json(worker.ask(asdict(cell)))))
        except queue.Empty:
            return
        except BenchmarkError as error:
            outcomes.put(error)
            return


def describe(cell: Cell) -> str:
    """`cell` in words."""
    return f"{cell.provider}, {cell.fault}, {cell.strategy}, {cell.mode}"


COLUMNS = ("provider", "fault", "answered/asked", "attempts on it", "cooled/due", "worst latency", "")


def rows(outcomes: Iterable[Outcome]) -> list[Row]:
    """One row a provider and fault, its strategies and modes added up; stock → patched in each column."""
    found: dict[tuple[str, str], dict[str, list[Result]]] = {}
    for side, result in outcomes:
        sides = found.setdefault((result.cell.provider, result.cell.fault), {side: [] for side in SIDES})
        sides[side].append(result)
    ordered = sorted(found.items(), key=lambda row: (PROVIDERS.index(row[0][0]), list(FAULTS).index(row[0][1])))
    lines: list[Row] = []
    for key, sides in ordered:
        stock, patched = (_sums(sides[side]) for side in SIDES)
        changes = [f"{before} → {after}" for before, after in zip(stock, patched, strict=True)]
        lines.append((*key, *changes, _verdict(sides)))
    return lines


def _sums(results: Sequence[Result]) -> tuple[str, ...]:
    return (
        f"{sum(r.answered for r in results)}/{sum(r.asked for r in results)}",
        str(sum(r.attempts for r in results)),
        f"{sum(map(_cooled, results))}/{sum(_cooled(r) or cooldown_is_due(r) for r in results)}",
        f"{max(r.worst for r in results):.2f} s",
    )


def _cooled(result: Result) -> bool:
    return result.cooled_after is not None


def _verdict(sides: dict[str, list[Result]]) -> str:
    stock, patched = (sum(complaint(result) is not None for result in sides[side]) for side in SIDES)
    if patched:
        return "WRONG"
    return "fixed" if stock else ""


def sentence(outcomes: Sequence[Outcome]) -> str:
    """The run in one sentence."""
    answered = {side: sum(result.answered for s, result in outcomes if s == side) for side in SIDES}
    asked = sum(result.asked for side, result in outcomes if side == "stock")
    wrong = {side: [(r, c) for s, r in outcomes if s == side and (c := complaint(r))] for side in SIDES}
    numbers = (
        f"of {asked} requests stock LiteLLM answered {answered['stock']} and the patched one {answered['patched']}"
    )
    cells = len(outcomes) // len(SIDES)
    if not wrong["patched"]:
        return f"In {cells} cells, {numbers}; stock broke the policy in {len(wrong['stock'])}, the patched one in none."
    result, reason = wrong["patched"][0]
    return (
        f"The patched LiteLLM breaks the policy in {len(wrong['patched'])} of {cells} cells "
        f"(stock: {len(wrong['stock'])}), first in {describe(result.cell)}: {reason}; {numbers}."
    )


def report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything measured, for `--json`."""
    return {"cells": [{"side": side, **asdict(result), "complaint": complaint(result)} for side, result in outcomes]}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be left out or asked for."""
    parser.add_argument(
        "--full", action="store_true", help="every cell async and sync, streamed and not; four times as long"
    )
    parser.add_argument("--cooldown-time", metavar="SECONDS", type=float, help="the Router's; default LiteLLM's, 5")
    parser.add_argument("--jobs", type=positive, default=3, help="worker processes a side; default 3")
    parser.add_argument("--provider", nargs="+", choices=PROVIDERS, default=PROVIDERS, help="only these")
    parser.add_argument("--fault", nargs="+", choices=tuple(FAULTS), default=tuple(FAULTS), help="only these")


BENCHMARK: Benchmark[Outcome] = Benchmark(
    name="failover",
    about=__doc__,
    add_arguments=add_arguments,
    steps=lambda options: len(SIDES) * len(chosen(options)),
    run=run,
    explain=lambda options: f"{REQUESTS} requests a cell; a row adds up {len(STRATEGIES)} routing strategies\n",
    columns=COLUMNS,
    rows=rows,
    remarks=lambda outcomes: (),
    sentence=sentence,
    report=report,
    failed=lambda outcomes: any(side == "patched" and complaint(result) for side, result in outcomes),
)
