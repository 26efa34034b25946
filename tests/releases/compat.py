"""Builds and tests every supported release, each in an environment of its own: what `nox -s compat` runs.

Prints which patch is applied on which release, and what the tests say there. Exit code 1 if any fails.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fork import patches
from fork.base import supported
from fork.compat import matrix
from releases.environment import ROOT, UV, Counts, Environment, arguments, counts, require, run


class Outcome(NamedTuple):
    """What became of one release; `relaxed` are its requirements that the index could not meet."""

    tests: Counts
    build_seconds: float
    relaxed: list[str]

    def __str__(self) -> str:
        without = f", without {', '.join(self.relaxed)}" if self.relaxed else ""
        return f"{self.tests}, built in {self.build_seconds:.1f} s{without}"


def tried(base: str, work: Path, requirements: Sequence[str]) -> Outcome:
    """Build on `base`, with the series for `git am` held against it, and run the suite on what was built."""
    environment = Environment(base, work)
    relaxed = environment.prepare(requirements)
    proof = run(environment.program("python"), "-m", "fork", "series", "--base", base, "--prove", check=False)
    require(proof == 0, f"the series of patches for LiteLLM {base} could not be proved")
    began = time.monotonic()
    build = [*UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", environment.program("python")]
    run(*build, "-C", f"base={base}", "--out-dir", environment.work, ".")
    seconds = time.monotonic() - began
    [wheel] = environment.work.glob("*.whl")
    require(environment.install("--no-deps", wheel), f"{wheel.name} cannot be installed")
    return Outcome(counts(environment), seconds, relaxed)


def main() -> int:
    """Try the releases named after the folder to work in and the file of requirements, or all of them."""
    work, requirements, chosen = arguments()
    bases = chosen or list(supported(ROOT))
    outcomes = {}
    for base in bases:
        print(f"=== LiteLLM {base}", flush=True)
        outcomes[base] = tried(base, work, requirements)
        print(f"=== LiteLLM {base}: {outcomes[base]}", flush=True)
    series = patches.load(ROOT / "patches")
    print(matrix(series, bases, {base: str(outcome) for base, outcome in outcomes.items()}))
    return int(any(outcome.tests.failed for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
