"""What the patches cost, patched over stock: a Router call that succeeds, in speed and memory, and exception_type().

The sides take turns block by block, two stock processes among them, so that one run measures its own noise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from harness import Benchmark, Row, Worker, positive
from overhead_work import (
    ANSWERS,
    COUNTED,
    COUNTS,
    CPU,
    FUNCTION_CALLS,
    MANY_CALLERS,
    MEASURES,
    ONE_CALLER,
    PEAK,
    RATE,
    SPEED,
    UNCOLLECTED,
)

WORK, PROVIDER = "overhead_work", "quick_provider"
STOCK, PATCHED, CONTROL = "stock", "patched", "stock again"
TURNS = ((STOCK, PATCHED, CONTROL), (CONTROL, PATCHED, STOCK))
"""Patched stands in the middle and the stock sides change places: a drift of the machine falls on both alike."""

GENERATIONS = 9
"""Sets of fresh processes: where an interpreter's memory happens to lie makes it a few per cent faster or slower."""

PARTS = 3
"""What the run is divided into to see how far stock is from itself."""

MAPPING_LIMIT = 1.05
"""Patched over stock for exception_type(), all ANSWERS together."""

EXACT_LIMITS = {FUNCTION_CALLS: 1.05, PEAK: 1.07, UNCOLLECTED: 1.06}
"""Patched over stock for what hardly varies: what the patch does and keeps in mind for a request shows, and may. The
compiled router asks its host in Python for each step of a request, and each of these asks what is ours; of a stream
each event is looked at that is no plain one, and each chunk is remembered until the end."""

LEAST_NOISE = 1.03
"""Processes of the same code differ by as much, however equal they came out this time. Less shows in the counts."""


class Figure(NamedTuple):
    """A measure of a workload."""

    workload: str
    measure: str

    def __str__(self) -> str:
        return f"{self.workload}: {self.measure}"


FIGURES = [Figure(workload, measure) for workload, measures in MEASURES.items() for measure in measures]


@dataclass
class Samples:
    """A figure's values: one a block and side, in turn order over all generations."""

    values: dict[str, list[float]] = field(default_factory=lambda: {STOCK: [], PATCHED: [], CONTROL: []})

    def typical(self, side: str) -> float:
        """The median of the blocks."""
        return median(self.values[side])

    def ratio(self, side: str) -> float:
        """`side` over stock: the median of the ratios within each turn."""
        return median(self._ratios(side))

    def noise(self) -> float:
        """The factor by which stock differs from itself in either direction, in the part where it is largest."""
        ratios = self._ratios(CONTROL)
        size = max(1, len(ratios) // PARTS)
        parts = [median(ratios[begin : begin + size]) for begin in range(0, len(ratios), size)]
        return max(max(ratio, 1 / ratio) for ratio in parts)

    def _ratios(self, side: str) -> list[float]:
        return [a / b for a, b in zip(self.values[side], self.values[STOCK], strict=True)]


Run = Mapping[Figure, Samples]
Block = tuple[str, str, dict[str, float]]
"""Workload, side and what was measured of it."""


def blocks(turns: int) -> Iterator[tuple[int, str, str]]:
    """Turn, workload and side of the blocks of a generation, one after the other; turn -1 only warms up."""
    for turn in range(-1, turns):
        for workload in MEASURES:
            if workload not in COUNTED or turn == turns - 1:  # they hardly vary: once
                yield from ((turn, workload, side) for side in TURNS[turn % len(TURNS)])


def measure(pythons: Mapping[str, str], options: argparse.Namespace) -> Iterator[Block]:
    """Yield what was measured of every block."""
    interpreters = {STOCK: pythons[STOCK], PATCHED: pythons[PATCHED], CONTROL: pythons[STOCK]}
    with closing(Worker(sys.executable, PROVIDER)) as provider:
        url = provider.ask({})
        for _ in range(GENERATIONS):
            with ExitStack() as stack:
                workers = {
                    side: stack.enter_context(closing(Worker(python, WORK))) for side, python in interpreters.items()
                }
                for worker in workers.values():
                    worker.ask({"provider": url})
                for turn, workload, side in blocks(options.turns):
                    measured = workers[side].ask({"workload": workload, "count": COUNTS[workload]})
                    if turn >= 0:
                        yield workload, side, measured


def gathered(measured: Sequence[Block]) -> Run:
    """The values of each figure."""
    run = {figure: Samples() for figure in FIGURES}
    for workload, side, block in measured:
        for name in MEASURES[workload]:
            run[Figure(workload, name)].values[side].append(block[name])
    return run


def together(run: Run, side: str) -> float:
    """`side` over stock for exception_type() of an answer stock maps rightly: the median times added up."""
    mappings = [run[Figure(workload, CPU)] for workload in ANSWERS]
    return sum(samples.typical(side) for samples in mappings) / sum(samples.typical(STOCK) for samples in mappings)


def limit(figure: Figure, samples: Samples) -> float | None:
    """How many times the stock figure the patched one may be worse; None where it is shown only."""
    if figure.workload in SPEED:
        return max(samples.noise(), LEAST_NOISE)
    return EXACT_LIMITS.get(figure.measure)


def worse_by(figure: Figure, samples: Samples) -> float:
    """How many times worse than stock the patched side is; below 1 where it is better."""
    ratio = samples.ratio(PATCHED)
    return 1 / ratio if figure.measure == RATE else ratio


def complaints(run: Run) -> list[str]:
    """What costs too much, one clause each."""
    found = []
    for figure, samples in run.items():
        most, worse = limit(figure, samples), worse_by(figure, samples)
        if most is not None and worse > most:
            found.append(f"{figure} is {worse:.3f} times worse than stock, above {most:.3f}")
    mapping = together(run, PATCHED)
    if mapping > MAPPING_LIMIT:
        found.append(f"exception_type() costs {mapping:.3f} times the stock one, above {MAPPING_LIMIT}")
    return found


def sentence(run: Run) -> str:
    """The run in one sentence."""
    found = complaints(run)
    if found:
        return f"Too much: {'; '.join(found)}."
    rates = [run[Figure(workload, RATE)] for workload in (ONE_CALLER, MANY_CALLERS)]
    one, many = (f"{samples.ratio(PATCHED):.3f} times (noise: {samples.noise():.3f})" for samples in rates)
    counted = max(samples.ratio(PATCHED) for figure, samples in run.items() if figure.workload in COUNTED)
    return (
        f"Successful Router calls: {one} the requests per second of stock with one caller, {many} with many; each does "
        f"and holds at most {counted:.3f} times as much. exception_type() costs {together(run, PATCHED):.3f} times "
        f"(at most {MAPPING_LIMIT})."
    )


COLUMNS = ("", "blocks", "stock", "patched", "patched/stock", "stock/stock", "noise", "worse at most")


def rows(run: Run) -> list[Row]:
    """A row a figure: the medians of its blocks, the ratios to stock, their noise, and the limit."""
    ratios = [f"{together(run, side):.3f}" for side in (PATCHED, CONTROL)]
    four = ("exception_type, the four answers", "", "", "", *ratios, "", f"{MAPPING_LIMIT}")
    return [*(_row(figure, samples) for figure, samples in run.items()), four]


def _row(figure: Figure, samples: Samples) -> tuple[str, ...]:
    most = limit(figure, samples)
    return (
        str(figure),
        str(len(samples.values[STOCK])),
        *(f"{samples.typical(side):.1f}" for side in (STOCK, PATCHED)),
        *(f"{samples.ratio(side):.3f}" for side in (PATCHED, CONTROL)),
        f"{samples.noise():.3f}",
        "" if most is None else f"{most:.3f}",
    )


def report(run: Run) -> dict[str, Any]:
    """Everything measured, for `--json`: of each figure the value of every block."""
    figures = [
        {
            **figure._asdict(),
            "patched/stock": samples.ratio(PATCHED),
            "stock/stock": samples.ratio(CONTROL),
            "noise": samples.noise(),
            "worse at most": limit(figure, samples),
            "values": samples.values,
        }
        for figure, samples in run.items()
    ]
    return {
        "exception_type": {side: together(run, side) for side in (PATCHED, CONTROL)},
        "figures": figures,
    }


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--turns", type=positive, default=5, help=f"blocks a side in each of {GENERATIONS} generations")


BENCHMARK: Benchmark[Block] = Benchmark(
    name="overhead",
    about=__doc__,
    add_arguments=_add_arguments,
    steps=lambda options: GENERATIONS * sum(turn >= 0 for turn, *_ in blocks(options.turns)),
    run=measure,
    explain=lambda options: "",
    columns=COLUMNS,
    rows=lambda measured: rows(gathered(measured)),
    remarks=lambda measured: (),
    sentence=lambda measured: sentence(gathered(measured)),
    report=lambda measured: report(gathered(measured)),
    failed=lambda measured: bool(complaints(gathered(measured))),
)
