"""Looks at the newest release on the index, or at one that is named: `nox -s releases -- newest [VERSION]`.

Nothing of it is installed: a wheel is downloaded and the patches are applied to what it holds. Exit code 0: it is
supported, or the patches apply to it. Exit code 1: they do not, and each edit that has lost its place is named.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from fork import ForkError, fit, wheels
from fork.base import PACKAGE, allowed, supported
from releases.environment import ROOT, UV, ReleaseError, arguments, output


def newest() -> str:
    """The newest LiteLLM an installer would choose, which is printed."""
    resolved = output(*UV, "pip", "compile", "--quiet", "--no-header", "--no-deps", "--no-annotate", "-", given=PACKAGE)
    release = resolved.strip().removeprefix(f"{PACKAGE}==")
    print(f"The newest release on the index is LiteLLM {release}.")
    return release


def changed_modules(release: str, work: Path) -> int:
    """How many modules of `release` the patches change; raises ForkError if they do not apply, ReleaseError if there is
    nothing to apply them to."""
    found = (wheels.download(name, work) for name in wheels.names(allowed(release)))
    for base in wheels.unpacked(release, filter(None, found)):
        return fit.check(base, ROOT)  # the modules are the same in each wheel, so one will do
    raise ReleaseError(f"no wheel of LiteLLM {release} could be downloaded: see above")


def looked_at(release: str, work: Path) -> tuple[int, str]:
    """The exit code, and what to say of a release."""
    if release in supported(ROOT):
        return 0, f"LiteLLM {release} is supported."
    began = time.monotonic()
    try:
        changed = changed_modules(release, work)
        code, said = 0, f"the patches apply to {changed} modules of it. Add it with `nox -s base -- {release}`."
    except ForkError as error:
        code, said = 1, str(error)
    return code, f"LiteLLM {release} is not in fork/bases.toml. Looked at in {time.monotonic() - began:.0f} s: {said}"


def main() -> int:
    """The arguments are a folder to work in, a file of requirements, and maybe a release."""
    work, _, named = arguments()
    try:
        code, said = looked_at(named[0] if named else newest(), work)
    except ReleaseError as error:
        code, said = 1, f"The release could not be looked at: {error}"
    print(said)
    return code


if __name__ == "__main__":
    sys.exit(main())
