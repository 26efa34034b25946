"""What the patches cost: CPU time of a Router call that succeeds and of exception_type(), patched over stock.

The sides take turns block by block, two stock processes among them, so that one run measures its own noise.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from overhead_work import ANSWERS, COUNTS, HAPPY_PATH
from tqdm import tqdm
from worker import BenchmarkError, Worker, json_file, positive, version

SCRIPT = Path(__file__).with_name("overhead_work.py")

STOCK, PATCHED, CONTROL = "stock", "patched", "stock again"
TURNS = ((STOCK, PATCHED, CONTROL), (CONTROL, PATCHED, STOCK))
"""Patched stands in the middle and the stock sides change places: a drift of the machine falls on both alike."""

GENERATIONS = 3
"""Sets of fresh processes: where an interpreter's memory happens to lie makes it a few per cent faster or slower."""

MAPPING_LIMIT = 1.05
"""Patched over stock for exception_type(), all ANSWERS together."""

LEAST_NOISE = 1.02
"""Two runs of the same code differ by as much on a shared machine, however equal they came out this time."""


@dataclass
class Timings:
    """CPU seconds of the blocks of one workload: a list a side, in turn order over all generations."""

    count: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: {STOCK: [], PATCHED: [], CONTROL: []})

    def micros(self, side: str, of: Any = median) -> float:
        """Microseconds a call, the median (or `of`) of the blocks."""
        return float(of(self.seconds[side])) / self.count * 1e6

    def ratio(self, side: str) -> float:
        """`side` over stock: the median of the ratios within each turn."""
        return median(a / b for a, b in zip(self.seconds[side], self.seconds[STOCK], strict=True))


def measure(pythons: Mapping[str, str], turns: int) -> Iterator[tuple[str, str, float]]:
    """Yield workload, side and CPU seconds of every block."""
    for _ in range(GENERATIONS):
        workers: dict[str, Worker] = {}
        try:
            for side, python in pythons.items():
                workers[side] = Worker(python, SCRIPT)
            for turn in range(-1, turns):  # the first only warms up
                for workload, count in COUNTS.items():
                    for side in TURNS[turn % len(TURNS)]:
                        seconds = workers[side].ask({"workload": workload, "count": count})
                        if turn >= 0:
                            yield workload, side, seconds
        finally:
            for worker in workers.values():
                worker.close()


def together(timings: Mapping[str, Timings], side: str) -> float:
    """`side` over stock for exception_type() of an answer stock maps rightly: the median times added up."""
    mappings = [timings[workload] for workload in ANSWERS]
    return sum(timing.micros(side) for timing in mappings) / sum(timing.micros(STOCK) for timing in mappings)


def happy_path_limit(timings: Mapping[str, Timings]) -> float:
    """The ratio above which a successful call costs more than this run's own noise."""
    control = timings[HAPPY_PATH].ratio(CONTROL)
    return max(control, 1 / control, LEAST_NOISE)


def complaints(timings: Mapping[str, Timings]) -> list[str]:
    """What costs too much, one clause each."""
    happy, limit = timings[HAPPY_PATH].ratio(PATCHED), happy_path_limit(timings)
    mapping = together(timings, PATCHED)
    found = []
    if happy > limit:
        found.append(f"a successful Router call costs {happy:.3f} times the stock one, above the noise of {limit:.3f}")
    if mapping > MAPPING_LIMIT:
        found.append(f"exception_type() costs {mapping:.3f} times the stock one, above {MAPPING_LIMIT}")
    return found


def sentence(timings: Mapping[str, Timings]) -> str:
    """The run in one sentence."""
    found = complaints(timings)
    if found:
        return f"Too slow: {' and '.join(found)}."
    return (
        f"A successful Router call costs {timings[HAPPY_PATH].ratio(PATCHED):.3f} times the stock one (noise: "
        f"{happy_path_limit(timings):.3f}) and exception_type() {together(timings, PATCHED):.3f} times (at most "
        f"{MAPPING_LIMIT})."
    )


def table(timings: Mapping[str, Timings]) -> str:
    """A row a workload: microseconds a call, median and least, and the ratios to stock."""
    layout = "{:<38} {:>7}  {:>17}  {:>17}  {:>13}  {:>11}"
    lines = [
        layout.format("CPU µs a call", "calls", "stock (least)", "patched (least)", "patched/stock", "stock/stock")
    ]
    for workload, timing in timings.items():
        calls = timing.count * len(timing.seconds[STOCK])
        sides = [f"{timing.micros(side):.1f} ({timing.micros(side, min):.1f})" for side in (STOCK, PATCHED)]
        ratios = [f"{timing.ratio(side):.3f}" for side in (PATCHED, CONTROL)]
        lines.append(layout.format(workload, calls, *sides, *ratios))
    ratios = [f"{together(timings, side):.3f}" for side in (PATCHED, CONTROL)]
    lines.append(layout.format("exception_type, the four answers", "", "", "", *ratios))
    return "\n".join(lines)


def report(versions: Mapping[str, str], timings: Mapping[str, Timings]) -> dict[str, Any]:
    """Everything measured, for `--json`; times in CPU seconds a block."""
    blocks = {workload: {"count": timing.count, "seconds": timing.seconds} for workload, timing in timings.items()}
    ratios = {
        workload: {side: timing.ratio(side) for side in (PATCHED, CONTROL)} for workload, timing in timings.items()
    }
    return {
        "versions": dict(versions),
        "summary": sentence(timings),
        "ratios": ratios,
        "exception_type": {side: together(timings, side) for side in (PATCHED, CONTROL)},
        "blocks": blocks,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; 0 when the patches cost nothing that matters, 1 when they do, 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", required=True, metavar="PYTHON", help="interpreter that imports stock litellm")
    parser.add_argument("--patched", required=True, metavar="PYTHON", help="interpreter that imports the patched one")
    parser.add_argument("--json", metavar="FILE", type=json_file, help="write every block to FILE")
    parser.add_argument("--turns", type=positive, default=8, help=f"blocks a side in each of {GENERATIONS} generations")
    options = parser.parse_args(arguments)
    pythons = {STOCK: options.stock, PATCHED: options.patched, CONTROL: options.stock}
    timings = {workload: Timings(count) for workload, count in COUNTS.items()}
    total = GENERATIONS * options.turns * len(COUNTS) * len(pythons)
    try:
        versions = {side: version(pythons[side]) for side in (STOCK, PATCHED)}
        blocks = measure(pythons, options.turns)
        # disable=None: no bar where standard error is not a terminal.
        for workload, side, seconds in tqdm(blocks, total=total, unit="block", leave=False, disable=None):
            timings[workload].seconds[side].append(seconds)
    except BenchmarkError as error:
        print(f"overhead: {error}", file=sys.stderr)
        return 2
    if options.json is not None:
        options.json.write_text(json.dumps(report(versions, timings), indent=1) + "\n")
    print(f"litellm {versions[STOCK]} (stock) and {versions[PATCHED]} (patched)\n")
    print(table(timings), end="\n\n")
    print(sentence(timings))
    return int(bool(complaints(timings)))


if __name__ == "__main__":
    sys.exit(main())
