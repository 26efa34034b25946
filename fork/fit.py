"""Whether the patches fit a release, which need not be a supported one."""

from __future__ import annotations

from pathlib import Path

from fork import ForkError, imports, names, tree
from fork.base import Base
from fork.patches import LostPlacesError


class MisfitError(ForkError):
    """Edits have lost their place in a release."""


def check(base: Base, root: Path) -> int:
    """Apply the patches of the repository `root` to `base` and return how many modules they change.

    Raises MisfitError, which names each edit that does not find its place, NameFault if a patched module uses a name
    that it does not bind, and UnusedModule if one of our modules is not imported.
    """
    try:
        package = tree.patched(base, root)
    except LostPlacesError as error:
        said = "\n".join(f"  {line}" for line in error.lost)
        raise MisfitError(f"{len(error.lost)} edits find no place on LiteLLM {base.version}:\n{said}") from None
    changed = {path: data for path, data in package.items() if path in base.package and data != base.read(path)}
    names.check(base, changed)
    imports.check(package, tree.own_modules(root), base.version, tree.scripts(base.version, root).values())
    return len(changed)
