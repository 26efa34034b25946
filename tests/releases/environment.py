"""An environment for one release of LiteLLM, and what the suite says there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from packaging.requirements import Requirement

from fork import ForkError
from fork.base import allowed

ROOT = Path(__file__).parents[2]
UV = [sys.executable, "-m", "uv"]
SUITE = ["tests/exception_mapping", "tests/proxy_unit_tests", "tests/router_unit_tests", "tests/support"]
AT_THE_PROXY = "tests/proxy/test_routes.py"
"""A failing request a route, at the real proxy, which has requirements of its own."""

EXTRA = "proxy"
REQUIRES = "import importlib.metadata as m, json; print(json.dumps(m.requires('litellm')))"


class ReleaseError(Exception):
    """A release of LiteLLM could not be looked at; the reason is for whoever reads the end of the output."""


class Counts(NamedTuple):
    """How many tests. Those in `error` did not come as far as to fail: what they import is not there, say."""

    passed: int
    failed: int
    error: int = 0
    skipped: int = 0

    @property
    def all_pass(self) -> bool:
        return not self.failed and not self.error

    def __str__(self) -> str:
        without = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed{without}" + ("" if self.all_pass else f", {self.failed + self.error} FAILED")


class Environment:
    """A virtual environment for one release, below `work`; installs by uv."""

    def __init__(self, base: str, work: Path) -> None:
        try:
            allowed(base)  # before anything of it is installed
        except ForkError as error:
            raise ReleaseError(str(error)) from None
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
        return run(*command, check=False) == 0

    def prepare(self, requirements: Sequence[str]) -> list[str]:
        """Install the stock release with its extra and `requirements`; return those of its own that the index cannot
        meet, which are let go of from then on."""
        relaxed = self.relax()
        whole = f"litellm[{EXTRA}]==={self.base}"
        require(self.install(whole, *requirements), f"LiteLLM {self.base} cannot be installed")
        return relaxed

    def relax(self) -> list[str]:
        """Let go of those requirements of the release that the index cannot meet, and return them."""
        if self.install("--dry-run", f"litellm[{EXTRA}]==={self.base}"):
            return []
        require(self.install("--no-deps", f"litellm==={self.base}"), f"LiteLLM {self.base} cannot be installed")
        found = json.loads(output(self.program("python"), "-c", REQUIRES))
        needed = [Requirement(line) for line in found]
        needed = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": EXTRA})]
        missing = [one for one in needed if not self.install("--dry-run", "--no-deps", f"{one.name}{one.specifier}")]
        self.overrides.write_text("".join(f"{self._without(one.name)}\n" for one in missing))
        return [f"{one.name}{one.specifier}" for one in missing]

    def _without(self, name: str) -> str:
        """The override by which a requirement's versions are let go of; all of it where the index has none."""
        return name if self.install("--dry-run", "--no-deps", name) else f'{name}; python_version < "0"'


def counts(environment: Environment, tests: Sequence[str] = SUITE, folder: Path = ROOT) -> Counts:
    """What `tests` of the repository in `folder` say there."""
    report = environment.work / "tests.xml"
    options = ["-q", "--tb=short", "-n", "2", "--dist", "worksteal", "--continue-on-collection-errors"]
    report.unlink(missing_ok=True)
    code = run(environment.program("pytest"), *options, f"--junitxml={report}", *tests, check=False, folder=folder)
    require(code in (0, 1) and report.exists(), f"the tests on LiteLLM {environment.base} did not run")
    found = ElementTree.parse(report).getroot()[0].attrib
    number = {name: int(found[name]) for name in ("tests", "failures", "errors", "skipped")}
    passed = number["tests"] - number["failures"] - number["errors"] - number["skipped"]
    return Counts(passed, number["failures"], number["errors"], number["skipped"])


def arguments() -> tuple[Path, list[str], list[str]]:
    """What `nox` gives a script here: a folder to work in, the requirements in a file, and whatever else there is."""
    return Path(sys.argv[1]).resolve(), Path(sys.argv[2]).read_text("utf-8").splitlines(), sys.argv[3:]


def run(*command: object, check: bool = True, folder: Path = ROOT) -> int:
    code = subprocess.run(list(map(str, command)), cwd=folder, check=False).returncode
    require(not check or code == 0, f"`{' '.join(map(str, command))}` ended with {code}")
    return code


def output(*command: object, given: str | None = None) -> str:
    arguments = list(map(str, command))
    done = subprocess.run(arguments, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True, input=given)
    require(done.returncode == 0, f"`{' '.join(arguments)}` ended with {done.returncode}")
    return done.stdout


def require(fact: bool, otherwise: str) -> None:
    if not fact:
        raise ReleaseError(f"{otherwise}: see above")
