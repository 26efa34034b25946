"""Which of our modules a patched release imports: what it ships it is to use."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.util import resolve_name
from pathlib import PurePosixPath

from fork import ForkError


class UnusedModule(ForkError):
    """A release ships a module of ours that it does not import."""


def check(package: Mapping[str, bytes], ours: Collection[str], base: str, scripts: Iterable[str] = ()) -> None:
    """Hold the `package` built on the release `base` (contents by path in the wheel) against `ours`, the paths of our
    modules for whichever release, and the commands, "package.module:function", that lead to some of them.

    Raises UnusedModule, naming each of ours that is in the package and that nothing there leads to.
    """
    unused = sorted((package.keys() & set(ours)) - imported_modules(package, ours, scripts))
    if unused:
        raise UnusedModule(
            f"Nothing on LiteLLM {base} imports {', '.join(unused)}: say in ADDS, by ForReleases, which releases do."
        )


def imported_modules(package: Mapping[str, bytes], ours: Collection[str], scripts: Iterable[str] = ()) -> set[str]:
    """Those of `ours` that the other modules of `package` import, by their whole names as edits are written, or that
    `scripts` name, and those that these import in turn."""
    names = {_module_name(path): path for path in ours}
    statement = _any_import(names)  # to parse only what has one: LiteLLM has two thousand modules
    theirs = package.keys() - set(ours)
    found = {names[name] for script in scripts for name in _with_packages(script.partition(":")[0]) if name in names}
    waiting = [path for path in theirs if path.endswith(".py") and statement.search(package[path])]
    waiting += found
    while waiting:
        path = waiting.pop()
        new = {names[name] for name in _imports(package.get(path, b""), path) if name in names} - found
        found |= new
        waiting.extend(new)
    return found


def _any_import(names: Iterable[str]) -> re.Pattern[bytes]:
    """What looks like an import of one of the modules `names`, or of what is in it, in every form."""
    modules: dict[str, list[str]] = {}
    for name in names:
        package, _, module = name.rpartition(".")
        modules.setdefault(package, []).append(re.escape(module))
    listed = r"(?:\([^)]*|(?:[^\n\\]|\\\n)*)"  # what is imported before it: in parentheses, or in a line that may go on
    forms: list[str] = []
    for package, inside in modules.items():
        before = rf"{re.escape(package)}(?:\.|\s+import\s+{listed}\b)" if package else r"(?:from|import)\s+"
        forms.append(rf"{before}(?:{'|'.join(inside)})\b")
    return re.compile("|".join(forms).encode())


def _module_name(path: str) -> str:
    """The dotted name of the module at `path` in the wheel."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(source: bytes, path: str) -> Iterator[str]:
    """The dotted names that the module at `path` may import, with the packages they are in."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inside = ".".join(PurePosixPath(path).parts[:-1])
            of = resolve_name("." * node.level + (node.module or ""), inside)
            names = [of, *(f"{of}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            yield from _with_packages(name)


def _with_packages(name: str) -> list[str]:
    """The dotted `name` and those of the packages it is in."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
