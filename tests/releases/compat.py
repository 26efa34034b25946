"""Builds and tests every supported release, each in an environment of its own: what `nox -s releases` runs.

Prints which patch is applied on which release, and what the tests say there. Exit code 1 if any fails, or a release
cannot be built or tested.
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
from releases.environment import (
    AT_THE_PROXY,
    ROOT,
    SUITE,
    UV,
    Counts,
    Environment,
    ReleaseError,
    arguments,
    counts,
    require,
    run,
)


class Outcome(NamedTuple):
    """What became of one release; `relaxed` are its requirements that the index could not meet."""

    tests: Counts
    build_seconds: float
    relaxed: list[str]

    def __str__(self) -> str:
        without = f", without {', '.join(self.relaxed)}" if self.relaxed else ""
        return f"{self.tests}, built in {self.build_seconds:.1f} s{without}"


def tried(base: str, work: Path, requirements: Sequence[str]) -> Outcome:
    """Build on `base`, with its names checked and the series for `git am` held against it, and run the suite on what
    was built."""
    environment = Environment(base, work)
    relaxed = environment.prepare(requirements)
    applied = run(environment.program("python"), "-m", "fork", "apply", base, check=False)
    require(applied == 0, f"the patches do not fit LiteLLM {base}")
    proof = run(environment.program("python"), "-m", "fork", "series", "--base", base, "--prove", check=False)
    require(proof == 0, f"the series of patches for LiteLLM {base} could not be proved")
    began = time.monotonic()
    build = [*UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", environment.program("python")]
    run(*build, "-C", f"base={base}", "--out-dir", environment.work, ".")
    seconds = time.monotonic() - began
    [wheel] = environment.work.glob("*.whl")
    require(environment.install("--no-deps", wheel), f"{wheel.name} cannot be installed")
    return Outcome(counts(environment, [*SUITE, AT_THE_PROXY]), seconds, relaxed)


def verdict(base: str, work: Path, requirements: Sequence[str]) -> tuple[bool, str]:
    """Whether all is well with a release, and what to say of it. One that cannot be tested hides none of the others."""
    try:
        outcome = tried(base, work, requirements)
    except ReleaseError as error:
        return False, f"NOT TESTED: {error}"
    return outcome.tests.all_pass and outcome.tests.passed > 0, str(outcome)


def main() -> int:
    """Try the releases named after the folder to work in and the file of requirements, or all of them."""
    work, requirements, chosen = arguments()
    bases = chosen or list(supported(ROOT))
    verdicts = {}
    for base in bases:
        print(f"=== LiteLLM {base}", flush=True)
        verdicts[base] = verdict(base, work, requirements)
        print(f"=== LiteLLM {base}: {verdicts[base][1]}", flush=True)
    series = patches.load(ROOT / "patches")
    print(matrix(series, bases, {base: said for base, (_, said) in verdicts.items()}))
    return int(not all(well for well, _ in verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
