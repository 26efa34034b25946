"""Reads the files of `patches/`, one pull request each, and applies them to a base release's modules.

`patches/p0001_some_name.py` opens with the pull request's text as its docstring and defines `EDITS`, a mapping from a
module's path in the wheel to the edits it gets, and `ADDS`, the files of this repository that come with it: each module
of `litellm/` with one patch. Both may hold `ForReleases`, so that a release has only what it uses. `MERGED`, if there,
is the first release that has the patch: from then on neither its edits nor its files are needed. A release that gets
none of the edits gets none of the files either. `SCRIPTS`, if there, holds the commands that are installed with the
package, as "package.module:function" by name; a patch with such needs no edits. `EXPORT = False` says that it is no
pull request, as what newer releases do by themselves is none.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.version import InvalidVersion, Version

from fork import ForkError
from fork.edits import AnyEdits, ForReleases, parts_for
from fork.edits import apply_each as edit_each
from fork.renames import location
from fork.syntax import EditError

FILE_NAME = re.compile(r"p(\d{4})_[a-z0-9_]+\.py")
FUNCTION = re.compile(r"[a-z0-9_.]+:[a-z0-9_]+")  # as an entry point names one


class PatchError(ForkError):
    """A file in `patches/` is not a patch."""


class LostPlacesError(EditError):
    """Edits that do not find their place. `lost` says of each which it is and where it looked for what, the message of
    the first; one that builds on another may have lost its place with it."""

    def __init__(self, lost: Sequence[str]) -> None:
        super().__init__(lost[0])
        self.lost = tuple(lost)


@dataclass(frozen=True)
class Patch:
    """One pull request: `edits` holds, by module path ("litellm/router.py"), what it changes there, in order; `adds`
    the paths of our modules and tests; `merged` the release that has it by itself; whether it is `exported` says if it
    is sent upstream. `scripts` holds its commands, "package.module:function" by name."""

    number: int
    name: str
    text: str
    edits: Mapping[str, AnyEdits]
    adds: Sequence[str | ForReleases[str]] = ()
    merged: str | None = None
    exported: bool = True
    scripts: Mapping[str, str] = field(default_factory=dict)

    def is_merged(self, base: str) -> bool:
        """Whether upstream has merged it in the release `base` or before."""
        return self.merged is not None and Version(base) >= Version(self.merged)

    def applies_to(self, base: str) -> bool:
        """Whether the release `base` gets any of its edits, or its commands, and with them its files."""
        edited = any(parts_for(edits, base) for edits in self.edits.values())
        return not self.is_merged(base) and (edited or bool(self.scripts))

    def files(self, base: str) -> list[str]:
        """The paths of our files that the release `base` gets with it, in order."""
        return parts_for(self.adds, base) if self.applies_to(base) else []

    def all_files(self) -> set[str]:
        """The paths of our files that any release gets with it."""
        tables = [{"": (part,)} if isinstance(part, str) else part.parts for part in self.adds]
        return {path for table in tables for paths in table.values() for path in paths}


def load(folder: Path) -> tuple[Patch, ...]:
    """All patches of `folder`, in series order.

    Raises PatchError for a file that is not named pNNNN_name.py, a number that is missing or taken twice, an empty
    docstring, an `EDITS` that is not a mapping from module paths to tuples of edits, an `ADDS` that is no tuple, a
    `SCRIPTS` that names no functions, a `MERGED` that is no version, or an `EXPORT` that is neither True nor False.
    """
    patches = [_read(path) for path in sorted(folder.glob("*.py"))]
    for expected, patch in enumerate(patches, 1):
        if patch.number != expected:
            raise PatchError(
                f"patches/{patch.name}.py has number {patch.number:04} where {expected:04} is next in the series: "
                "number the patches from 0001 without a gap."
            )
    return tuple(patches)


def files_for_others(patches: Sequence[Patch], base: str) -> set[str]:
    """The paths of our files that other releases than `base` get with `patches`. Those of a patch that is merged there
    are none of them: their tests are run on what upstream has made of it."""
    added = {path for patch in patches if not patch.is_merged(base) for path in patch.all_files()}
    return added.difference(*(patch.files(base) for patch in patches))


def scripts(patches: Sequence[Patch], base: str) -> dict[str, str]:
    """The commands that the release `base` gets with `patches`, "package.module:function" by name."""
    return {name: what for patch in patches if patch.applies_to(base) for name, what in patch.scripts.items()}


def apply(patches: Sequence[Patch], read: Callable[[str], bytes | None], base: str) -> dict[str, bytes]:
    """The changed modules' sources by path; `read(path)` gives a module of the base release `base`,
    None where it has no such module.

    Raises LostPlacesError where an edit does not find its place or the base has no such module: it goes on with the
    others, to name all.
    """
    changed: dict[str, bytes] = {}
    lost: list[str] = []
    for patch in (patch for patch in patches if patch.applies_to(base)):
        for oldest_path, all_edits in patch.edits.items():
            where, edits = location(oldest_path, base), parts_for(all_edits, base)
            if not edits:
                continue
            source = changed[where.path] if where.path in changed else read(where.path)
            try:
                edited, refused = edit_each(source, edits, where)
            except EditError as error:
                lost.append(f"patches/{patch.name}.py: {error}")
                continue
            for edit, refusal in refused:
                number = f"{type(edit).__name__} ({edits.index(edit) + 1} of {len(edits)})"
                lost.append(f"patches/{patch.name}.py, {number}: {refusal}")
            if source is not None:
                changed[where.path] = edited
    if lost:
        raise LostPlacesError(lost)
    return changed


def _read(path: Path) -> Patch:
    where = f"patches/{path.name}"
    match = FILE_NAME.fullmatch(path.name)
    if match is None:
        raise PatchError(f"{where} is not named like a patch: p, four digits, an underscore and a name in lower case.")
    try:
        contents = runpy.run_path(str(path))
    except Exception as error:
        raise PatchError(f"{where} cannot be read ({type(error).__name__}: {error}).") from error
    text = (contents.get("__doc__") or "").strip()
    if not text:
        raise PatchError(f"{where} has no docstring: it is the text of the pull request.")
    scripts = contents.get("SCRIPTS", {})
    if not isinstance(scripts, dict) or not all(map(_is_script, scripts.items())):
        raise PatchError(f'{where} must define SCRIPTS, if any, as a dict from commands to "package.module:function".')
    edits = contents.get("EDITS", {} if scripts else None)
    if not isinstance(edits, dict) or not (edits or scripts) or not all(map(_is_entry, edits.items())):
        raise PatchError(f"{where} must define EDITS, a dict from module paths to non-empty tuples of edits.")
    adds = contents.get("ADDS", ())
    if not isinstance(adds, tuple) or not all(map(_is_file, adds)):
        raise PatchError(f"{where} must define ADDS, if any, as a tuple of paths in this repository, or ForReleases.")
    merged = contents.get("MERGED")
    try:
        Version("0" if merged is None else merged)
    except (InvalidVersion, TypeError):
        raise PatchError(f'{where} must define MERGED, if any, as a LiteLLM release such as "1.111.0".') from None
    exported = contents.get("EXPORT", True)
    if not isinstance(exported, bool):
        raise PatchError(f"{where} must define EXPORT, if any, as True or False.")
    return Patch(int(match[1]), path.stem, text, edits, adds, merged, exported, scripts)


def _is_script(entry: tuple[object, object]) -> bool:
    name, what = entry
    return isinstance(name, str) and isinstance(what, str) and FUNCTION.fullmatch(what) is not None


def _is_file(part: object) -> bool:
    tables = part.parts.values() if isinstance(part, ForReleases) else [(part,)]
    return all(isinstance(paths, tuple) and all(isinstance(path, str) for path in paths) for paths in tables)


def _is_entry(entry: tuple[object, object]) -> bool:
    path, edits = entry
    return (
        isinstance(path, str)
        and isinstance(edits, tuple)
        and bool(edits)
        and all(isinstance(edit, ForReleases) or callable(getattr(edit, "apply", None)) for edit in edits)
    )
