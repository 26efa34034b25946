"""Applies the patches one by one, in order: what `nox -s releases -- bisect` runs.

After each it builds a repository that holds the patches so far, with what they add and nothing of the later ones, and
runs the tests the patch adds, in the place upstream is to have them in. Exit code 1 if one fails.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from fork import patches
from fork.patches import Patch
from fork.series import upstream_path
from releases.environment import ROOT, UV, Counts, Environment, ReleaseError, arguments, counts, require, run

NEEDED = ("fork", "pyproject.toml")  # to build


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
    outcome = counts(environment, tests, repository)
    stock = environment.install("--reinstall", "--no-deps", f"litellm==={environment.base}")
    require(stock, f"LiteLLM {environment.base} cannot be installed again")
    return outcome


def main() -> int:
    """Take the releases named after the folder to work in and the file of requirements."""
    work, requirements, chosen = arguments()
    failed = 0
    for base in chosen:
        try:
            failed += sum(not outcome.all_pass for outcome in each(base, work, requirements))
        except ReleaseError as error:
            failed += 1
            print(f"=== LiteLLM {base}: {error}")
    return int(failed > 0)


def each(base: str, work: Path, requirements: Sequence[str]) -> list[Counts]:
    """What the own tests of each patch say on `base`, in order."""
    environment = Environment(base, work)
    environment.prepare(requirements)
    repository = environment.work / "repository"
    shutil.rmtree(repository, ignore_errors=True)
    for name in NEEDED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, repository / name)
    outcomes = []
    for patch in patches.load(ROOT / "patches"):
        outcome = applied(patch, repository, environment)
        outcomes += [outcome] if outcome else []
        print(f"=== LiteLLM {base}, up to {patch.name}: {outcome or 'not for this release'}", flush=True)
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
