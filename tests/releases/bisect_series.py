"""Applies the patches one by one, in order: what `nox -s releases -- bisect` runs.

After each it builds a repository that holds the patches so far, with what they add and nothing of the later ones, and
runs the tests the patch adds, in the place upstream is to have them in. The last line of a release names the patches
with a test that fails, and exit code 1 says that there is one.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from fork import patches
from fork.patches import Patch
from fork.series import upstream_path
from releases.environment import ROOT, UV, Counts, Environment, ReleaseError, arguments, counts, require, run

NEEDED = ("fork", "pyproject.toml")  # to build
PATIENCE = {"ROUTER_PATIENCE": "30"}  # seconds: a package that has just been installed is slow to load


def applied(patch: Patch, repository: Path, environment: Environment) -> Counts | None:
    """Add `patch` to those in `repository`, build and install that, and return what the patch's own tests say; None if
    the release gets none of it."""
    for path in (f"patches/{patch.name}.py", *patch.all_files()):
        place = repository / upstream_path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, place)
    if not patch.applies_to(environment.base):
        return None
    dist = environment.work / patch.name
    build = [*UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", environment.program("python")]
    run(*build, "-C", f"base={environment.base}", "--out-dir", dist, repository)
    installed = environment.install("--reinstall", "--no-deps", *dist.glob("*.whl"))
    require(installed, f"LiteLLM {environment.base} cannot be installed with the patches up to {patch.name}")
    tests = [upstream_path(path) for path in patch.files(environment.base) if Path(path).name.startswith("test_")]
    outcome = counts(environment, tests, repository) if tests else Counts(0, 0)  # some leave theirs to later patches
    stock = environment.install("--reinstall", "--no-deps", f"litellm==={environment.base}")
    require(stock, f"LiteLLM {environment.base} cannot be installed again")
    return outcome


def main() -> int:
    """Take the releases named after the folder to work in and the file of requirements."""
    work, requirements, chosen = arguments()
    os.environ.update(PATIENCE)
    failed = False
    for base in chosen:
        try:
            failing = [name for name, outcome in each(base, work, requirements) if not outcome.all_pass]
        except ReleaseError as error:
            failed = True
            print(f"=== LiteLLM {base}: {error}", flush=True)
        else:
            failed = failed or bool(failing)
            print(f"=== LiteLLM {base}: {verdict(failing)}", flush=True)
    return int(failed)


def verdict(failing: Sequence[str]) -> str:
    """What is said at the end of a release, where tests of the patches named `failing` fail."""
    if not failing:
        return "each patch passes its own tests"
    return f"tests FAILED with {', '.join(failing)}: name those that need a later patch in ADDS of that one"


def each(base: str, work: Path, requirements: Sequence[str]) -> Iterator[tuple[str, Counts]]:
    """The name of each patch that `base` gets any of, in order, and what its own tests say."""
    environment = Environment(base, work)
    environment.prepare(requirements)
    repository = environment.work / "repository"
    shutil.rmtree(repository, ignore_errors=True)
    for name in NEEDED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, repository / name)
    for patch in patches.load(ROOT / "patches"):
        try:
            outcome = applied(patch, repository, environment)
        except ReleaseError as error:
            raise ReleaseError(f"up to {patch.name}: {error}") from None
        print(f"=== LiteLLM {base}, up to {patch.name}: {outcome or 'not for this release'}", flush=True)
        if outcome:
            yield patch.name, outcome


if __name__ == "__main__":
    sys.exit(main())
