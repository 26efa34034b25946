"""The soak at length: what a Router loses and leaves behind while its deployments break and heal at random.

`nox -s bench -- soak` runs this on the patched LiteLLM; any interpreter with a litellm will do. Needs tests/ on
PYTHONPATH.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from harness import positive

# Both are read when litellm, which `support` imports, is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ.setdefault("LITELLM_LOG", "ERROR")

import litellm  # noqa: E402

from support.routing import STRATEGIES  # noqa: E402
from support.soak import Report, Soak, complaints, run  # noqa: E402

MEBIBYTE = 2**20


def table(report: Report) -> str:
    """A row a deployment: the attempts that reached its provider, by what they met there."""
    layout = "{:<12} {:>8} {:>8} {:>8}   {}"
    lines = [layout.format("deployment", "attempts", "healthy", "faulty", "faults met")]
    for name, met in report.attempts.items():
        attempts, healthy = sum(met.values()), met.get("healthy", 0)
        faults = {fault: count for fault, count in met.items() if fault != "healthy"}
        lines.append(layout.format(name, attempts, healthy, attempts - healthy, _counts(faults)))
    return "\n".join(lines)


def footprints(report: Report) -> str:
    """A row a look at the process: when, and what it held."""
    layout = "{:<18} {:>8} {:>6} {:>12} {:>12} {:>14} {:>9}"
    lines = [layout.format("", "asked", "tasks", "connections", "descriptors", "memory blocks", "resident")]
    rounds = [f"after round {number}" for number in range(1, len(report.checks))]
    names = ["before", "after the warm-up", *rounds, "without the router"]
    for name, seen in zip(names, (report.before, *report.checks, report.after), strict=True):
        resident = f"{seen.resident / MEBIBYTE:.0f} MiB"
        lines.append(
            layout.format(name, seen.asked, seen.tasks, seen.connections, seen.descriptors, seen.blocks, resident)
        )
    return "\n".join(lines)


def summary(report: Report) -> str:
    """What was lost, repeated and kept, in three lines."""
    lost, again = sum(report.lost.values()), sum(report.again.values())
    return "\n".join(
        (
            f"lost {lost} of {report.asked} requests{_in_brackets(report.lost)}",
            f"{again} attempts where the same request had failed before{_in_brackets(report.again)}",
            f"memory since the warm-up: {report.growth} blocks more of {report.growth_allowed} allowed, "
            f"{report.resident_ratio:.3f} times resident",
        )
    )


def _in_brackets(counts: Mapping[str, int]) -> str:
    return f" ({_counts(counts)})" if counts else ""


def _counts(counts: Mapping[str, int]) -> str:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} × {name}" for name, count in ranked)


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak and report; 0 when nothing was lost or left behind, 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=positive, default=60, help="how long, the warm-up included; default 60")
    parser.add_argument("--concurrency", type=positive, default=200, help="callers at once; default 200")
    parser.add_argument("--seed", type=int, default=0, help="what everything is drawn from; default 0")
    parser.add_argument("--strategy", choices=STRATEGIES, default=STRATEGIES[0], help=f"default {STRATEGIES[0]}")
    parser.add_argument("--streams", action="store_true", help="stream all answers, and break some after their words")
    options = parser.parse_args(arguments)
    soak = Soak(options.seconds, options.concurrency, options.seed, options.strategy, streams=options.streams)
    litellm.suppress_debug_info = True
    # LiteLLM leaves its aiohttp sessions to the garbage collector, which complains of each.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    begun = time.monotonic()
    report = asyncio.run(run(soak))
    print(f"litellm {version('litellm')}, {soak.strategy}, seed {soak.seed}: {soak.concurrency} callers for", end=" ")
    print(f"{time.monotonic() - begun:.0f} s, relying on {report.eras + 1} deployments in turn\n")
    print(table(report), footprints(report), summary(report), sep="\n\n")
    found = complaints(report)
    print(f"\n{'Wrong: ' + '; '.join(found) if found else 'Nothing was lost, nothing was left behind'}.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
