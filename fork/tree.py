"""The patched package as files: the base's, with the modules `patches/` changes and the ones `litellm/` adds, and
beside it our commands' own package, `litellm_drill/`.

`litellm/` in the repository holds our files and, after `nox -s patches -- vendor` or an editable install, the rest of
the patched package beside them. `litellm/.vendored` lists those; whatever else is there is ours.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from fork import ForkError, patches
from fork.base import COMMANDS, PACKAGE, Base
from fork.patches import Patch

OWN_FOLDERS = (f"{PACKAGE}/", f"{COMMANDS}/")
MANIFEST = ".vendored"
IGNORE_FILE = ".gitignore"


class TreeError(ForkError):
    """The patched tree cannot be put together, or cannot be written over what is there."""


def own_files(root: Path) -> dict[str, Path]:
    """The files this branch adds to the package, by path in the wheel; never bytecode or names with a leading dot."""
    vendored = _vendored(root)
    found = (path for folder in OWN_FOLDERS for path in sorted((root / folder).rglob("*")) if path.is_file())
    paths = {path.relative_to(root).as_posix(): path for path in found}
    return {
        name: path
        for name, path in paths.items()
        if name not in vendored and path.suffix != ".pyc" and not any(part.startswith(".") for part in Path(name).parts)
    }


def own_modules(root: Path) -> set[str]:
    """The paths in the wheel of the modules that `patches/` say they add to the package, on whichever release."""
    files = {path for patch in patches.load(root / "patches") for path in patch.all_files()}
    return {path for path in files if path.startswith(OWN_FOLDERS) and path.endswith(".py")}


def shipped_files(base: str, root: Path, *, exported: bool = False) -> dict[str, Path]:
    """Those of our files that the release `base` is built with, by path in the wheel, or those that the `exported`
    patches add to it. Raises TreeError if one of ours is not added by one patch."""
    series = patches.load(root / "patches")
    check_added(series, root, below=OWN_FOLDERS)
    shipped = {path for patch in series if patch.exported or not exported for path in patch.files(base)}
    return {name: path for name, path in own_files(root).items() if name in shipped}


def scripts(base: str, root: Path) -> dict[str, str]:
    """The commands that the release `base` gets beside its own, "package.module:function" by name."""
    return patches.scripts(patches.load(root / "patches"), base)


def check_added(series: Sequence[Patch], root: Path, *, below: str | tuple[str, ...] = "") -> None:
    """Raises TreeError, naming the file, unless each of ours in the package, and each below the folders `below` that a
    patch says it adds, is there and added by one patch of `series`."""
    times = Counter(path for patch in series for path in patch.all_files() if path.startswith(below))
    wrong = {
        "is added by no patch: name it in ADDS of the one that needs it first": own_files(root).keys() - times.keys(),
        "is added by several patches: name it in one of them": {path for path, count in times.items() if count > 1},
        "is added by a patch and is not there: take it out of ADDS": {
            path for path in times if not (root / path).is_file()
        },
    }
    for what, paths in wrong.items():
        if paths:
            raise TreeError(f"{sorted(paths)[0]} {what}.")


def changed_files(base: Base, root: Path, *, exported: bool = False) -> dict[str, bytes]:
    """The modules of the base that `patches/` changes, or the `exported` ones of them, as changed, by path. Raises
    ForkError as `patches` does."""
    series = [patch for patch in patches.load(root / "patches") if patch.exported or not exported]
    return patches.apply(series, base.read, base.version)


def patched(base: Base, root: Path, *, exported: bool = False) -> dict[str, bytes]:
    """Every file of the patched package by path in the wheel, sorted; or of one with the `exported` patches alone.

    Raises TreeError if one of our files is where the base has one too, or is not added by one patch, and ForkError as
    `patches` does. Of our files it has those that a patch adds on this base; one it has merged has them by itself.
    """
    own = shipped_files(base.version, root, exported=exported)
    twice = sorted(own.keys() & base.package.keys())
    if twice:
        raise TreeError(
            f"LiteLLM {base.version} has {', '.join(twice)} too: rename our file, change theirs by a patch, or "
            "say in the patch that adds ours which release has MERGED it."
        )
    changed = changed_files(base, root, exported=exported)
    unchanged = {name: path for name, path in {**base.package, **own}.items() if name not in changed}
    return dict(sorted({**{name: path.read_bytes() for name, path in unchanged.items()}, **changed}.items()))


def diff(base: Base, root: Path) -> str:
    """What the patches change in the base's modules, as a unified diff."""
    lines: list[str] = []
    for name, new in sorted(changed_files(base, root).items()):
        before, after = (text.decode().splitlines(keepends=True) for text in (base.read(name) or b"", new))
        lines += difflib.unified_diff(before, after, f"a/{name}", f"b/{name}")
    return "".join(lines)


def vendor(base: Base, root: Path) -> int:
    """Write the rest of the patched package beside our files in `litellm/`, hidden from git, and return how many files.
    Other packages of the base, which no patch is about, are left out.

    Files vendored earlier are replaced or removed. Raises TreeError if one of them was edited since, or if the base
    would overwrite one of ours, which it has merged, before anything is written, and as `patched` does.
    """
    files = patched(base, root)
    earlier = _vendored(root)
    edited = [name for name, digest in earlier.items() if _digest(root / name) not in (digest, None)]
    if edited:
        raise TreeError(
            f"{', '.join(edited)} was edited after it was vendored: move the change into a patch or delete the file, "
            "which this step would overwrite."
        )
    theirs = {name: data for name, data in files.items() if name in base.package and name.startswith(f"{PACKAGE}/")}
    ours = sorted(theirs.keys() & own_files(root).keys())
    if ours:
        raise TreeError(f"LiteLLM {base.version} has {', '.join(ours)} by itself, which must not be written over ours.")
    _write_lists(root, {**earlier, **{name: hashlib.sha256(data).hexdigest() for name, data in theirs.items()}})
    for name in earlier.keys() - theirs.keys():
        (root / name).unlink(missing_ok=True)
    for name, data in theirs.items():
        path = root / name
        if _digest(path) != hashlib.sha256(data).hexdigest():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    _write_lists(root, {name: hashlib.sha256(data).hexdigest() for name, data in theirs.items()})
    return len(theirs)


def _vendored(root: Path) -> dict[str, str]:
    """What .vendored lists: path in the wheel and SHA-256 of each file vendored into `litellm/`."""
    manifest = root / PACKAGE / MANIFEST
    lines = manifest.read_text("utf-8").splitlines() if manifest.exists() else []
    return {name: digest for digest, name in (line.split(" ", 1) for line in lines)}


def _write_lists(root: Path, vendored: Mapping[str, str]) -> None:
    """Write .vendored, and a .gitignore of the same files, so that a new file of ours is never hidden from git.

    Written before the files themselves: after an interruption no file of the base is taken for one of ours.
    """
    folder = root / PACKAGE
    (folder / MANIFEST).write_text("".join(f"{vendored[name]} {name}\n" for name in sorted(vendored)), "utf-8")
    names = [f"/{IGNORE_FILE}", f"/{MANIFEST}", *(name[len(PACKAGE) :] for name in sorted(vendored))]
    ignored = "".join(re.sub(r"([\\*?\[])", r"\\\1", name) + "\n" for name in names)
    (folder / IGNORE_FILE).write_text(ignored, "utf-8")


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
