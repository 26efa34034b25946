"""Builds and tests every supported release, each in an environment of its own: what `nox -s compat` runs.

Prints which patch is applied on which release, and what the tests say there. Exit code 1 if any fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from packaging.requirements import Requirement

from fork import patches
from fork.base import supported
from fork.compat import matrix

ROOT = Path(__file__).parents[2]
SUITE = ["tests/exception_mapping", "tests/proxy_unit_tests", "tests/router_unit_tests", "tests/support"]
UV = [sys.executable, "-m", "uv"]
REQUIRES = "import importlib.metadata as m, json; print(json.dumps(m.requires('litellm')))"


class Outcome(NamedTuple):
    """What became of one release; `relaxed` are its requirements that the index could not meet."""

    passed: int
    failed: int
    build_seconds: float
    relaxed: list[str]

    def __str__(self) -> str:
        said = f"{self.passed} passed, " + (f"{self.failed} FAILED, " if self.failed else "")
        without = f", without {', '.join(self.relaxed)}" if self.relaxed else ""
        return f"{said}built in {self.build_seconds:.1f} s{without}"


class Environment:
    """A virtual environment for one release, below `work`; installs by uv."""

    def __init__(self, base: str, work: Path) -> None:
        self.base = base
        self.work = work / base
        self.folder = self.work / "environment"
        self.overrides = self.work / "overrides.txt"
        run(*UV, "venv", "--quiet", "--clear", self.folder)
        self.overrides.write_text("")

    def program(self, name: str) -> Path:
        """An executable of it."""
        windows = sys.platform == "win32"
        return self.folder / ("Scripts" if windows else "bin") / (f"{name}.exe" if windows else name)

    def install(self, *arguments: object) -> bool:
        """Whether `uv pip install` was able to; see what it says where it was not."""
        command = [*UV, "pip", "install", "--quiet", "--python", self.folder, "--override", self.overrides, *arguments]
        return subprocess.run(list(map(str, command)), cwd=ROOT, check=False).returncode == 0

    def relax(self) -> list[str]:
        """Let go of those requirements of the release that the index cannot meet, and return them."""
        if self.install("--dry-run", f"litellm==={self.base}"):
            return []
        require(self.install("--no-deps", f"litellm==={self.base}"), f"LiteLLM {self.base} cannot be installed")
        found = json.loads(output(self.program("python"), "-c", REQUIRES))
        needed = [Requirement(line) for line in found]
        needed = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
        missing = [one for one in needed if not self.install("--dry-run", "--no-deps", f"{one.name}{one.specifier}")]
        self.overrides.write_text("".join(f"{one.name}\n" for one in missing))
        return [f"{one.name}{one.specifier}" for one in missing]


def tried(base: str, work: Path, requirements: Sequence[str]) -> Outcome:
    """Build on `base` and run the suite on what was built."""
    environment = Environment(base, work)
    relaxed = environment.relax()
    require(environment.install(f"litellm==={base}", *requirements), f"LiteLLM {base} cannot be installed")
    began = time.monotonic()
    build = [*UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", environment.program("python")]
    run(*build, "-C", f"base={base}", "--out-dir", environment.work, ".")
    seconds = time.monotonic() - began
    [wheel] = environment.work.glob("*.whl")
    require(environment.install("--no-deps", wheel), f"{wheel.name} cannot be installed")
    report = environment.work / "tests.xml"
    pytest = [str(environment.program("pytest")), "-q", "--tb=short", "-n", "2", "--dist", "worksteal"]
    subprocess.run([*pytest, f"--junitxml={report}", *SUITE], cwd=ROOT, check=False)
    require(report.exists(), f"the tests on LiteLLM {base} did not run")
    counts = ElementTree.parse(report).getroot()[0].attrib
    failed = int(counts["failures"]) + int(counts["errors"])
    return Outcome(int(counts["tests"]) - failed - int(counts["skipped"]), failed, seconds, relaxed)


def run(*command: object) -> None:
    subprocess.run(list(map(str, command)), cwd=ROOT, check=True)


def output(*command: object) -> str:
    return subprocess.run(list(map(str, command)), cwd=ROOT, check=True, capture_output=True, text=True).stdout


def require(fact: bool, otherwise: str) -> None:
    if not fact:
        sys.exit(f"{otherwise}: see above")


def main() -> int:
    """Try the releases named after the folder to work in and the file of requirements, or all of them."""
    work, requirements = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).read_text("utf-8").splitlines()
    bases = sys.argv[3:] or list(supported(ROOT))
    outcomes = {}
    for base in bases:
        print(f"=== LiteLLM {base}", flush=True)
        outcomes[base] = tried(base, work, requirements)
        print(f"=== LiteLLM {base}: {outcomes[base]}", flush=True)
    series = patches.load(ROOT / "patches")
    print(matrix(series, bases, {base: str(outcome) for base, outcome in outcomes.items()}))
    return int(any(outcome.failed for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
