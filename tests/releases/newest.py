"""Looks at the newest release on the index, if this branch does not support it yet: `nox -s releases -- newest`.

Ends in one sentence. Exit code 0: it is supported, or the patches apply to it and the tests fail without them.
Exit code 1: it cannot be built on, as when a patch has lost its place, or no test fails any more.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fork.base import PACKAGE, supported
from releases.environment import ROOT, UV, Environment, ReleaseError, arguments, counts, output


def newest() -> str:
    """The newest LiteLLM an installer would choose."""
    resolved = output(*UV, "pip", "compile", "--quiet", "--no-header", "--no-deps", "--no-annotate", "-", given=PACKAGE)
    return resolved.strip().removeprefix(f"{PACKAGE}==")


def judged(release: str, environment: Environment, requirements: list[str]) -> tuple[int, str]:
    """The exit code and the sentence for a release that is not in bases.toml."""
    relaxed = environment.prepare(requirements)
    without = f" (without {', '.join(relaxed)}, which the index does not have)" if relaxed else ""
    applied = [str(environment.program("python")), "-m", "fork", "apply", release]
    tried = subprocess.run(applied, cwd=ROOT, capture_output=True, text=True, check=False)
    if tried.returncode:
        why = tried.stderr.strip().removeprefix("litellm-failover: ")
        return 1, f"LiteLLM {release} is new, and this branch does not fit it: {why}"
    failed = counts(environment).failed  # without the errors: what imports our modules cannot pass
    if not failed:
        return 1, f"LiteLLM {release} is new and passes every test as it is{without}: are the patches merged?"
    said = f"the patches apply, and {failed} tests fail without them{without}"
    return 0, f"LiteLLM {release} is new: {said}. Add it with `nox -s base -- {release}`."


def looked_at(work: Path, requirements: list[str]) -> tuple[int, str]:
    """The exit code and the sentence for the newest release, whichever it is."""
    release = newest()
    if release in supported(ROOT):
        return 0, f"LiteLLM {release} is the newest release, and supported."
    return judged(release, Environment(release, work), requirements)


def main() -> int:
    """The arguments are a folder to work in and a file of requirements."""
    work, requirements, _ = arguments()
    try:
        code, sentence = looked_at(work, requirements)
    except ReleaseError as error:
        code, sentence = 1, f"The newest LiteLLM could not be looked at: {error}"
    print(sentence)
    return code


if __name__ == "__main__":
    sys.exit(main())
