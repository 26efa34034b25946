"""A config file and the files it includes, as one tree in which each value knows its file and line."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

LARGEST = 2_000_000
"""Bytes: a file of 500 deployments has a tenth of that, and one of 10 MB is no config but keeps a parser busy."""

INCLUDE = "include"


class ConfigError(Exception):
    """A config cannot be read; its text is one sentence, with no value of the file in it."""


@dataclass(frozen=True)
class Place:
    """Where something stands: the path of the file as it was named, and the line, from 1 on."""

    file: str
    line: int


@dataclass(frozen=True)
class Node:
    """A value of a config at its `place`: of a mapping's value that is its key. `value` holds what is no mapping and no
    list; of the three only one is filled."""

    place: Place
    value: object = None
    entries: Mapping[str, Node] = field(default_factory=dict)
    items: Sequence[Node] = ()
    is_mapping: bool = False
    is_list: bool = False

    def get(self, *keys: str) -> Node | None:
        """What is there below `keys`, one in the other; None where one of them is missing or is null."""
        found: Node | None = self
        for key in keys:
            found = None if found is None else found.entries.get(key)
        return None if found is None or found.is_null() else found

    def is_null(self) -> bool:
        """Whether nothing is given."""
        return self.value is None and not self.is_mapping and not self.is_list

    def text(self) -> str | None:
        """The value if it is a text, else None."""
        return str(self.value) if isinstance(self.value, str) else None

    def walk(self) -> Iterator[Node]:
        """This node and all below it; what an anchor repeats comes once."""
        seen: set[int] = set()
        waiting = [self]
        while waiting:
            node = waiting.pop()
            if id(node) not in seen:
                seen.add(id(node))
                yield node
                waiting += [*node.items, *node.entries.values()]


def load(path: Path) -> Node:
    """The config at `path` with what it includes, merged as LiteLLM does: lists are joined, all else is replaced, and
    what an included file includes comes after all that the first one does.

    Raises ConfigError if one of the files is missing, too large, or not a YAML mapping, or if they include each other.
    """
    document = _read(path)
    merged = dict(document.entries)
    read = {path.resolve()}
    waiting = deque(_includes(document, path, ()))
    while waiting:
        entry, declared_in, chain = waiting.popleft()
        named = _located(entry, declared_in, path)
        whole = named.resolve()
        if whole in chain:
            raise ConfigError(f"{_at(entry.place)}: the config includes itself: take this entry out of `{INCLUDE}`.")
        if whole in read:
            continue
        read.add(whole)
        included = _read(named)
        for key, node in included.entries.items():
            merged[key] = _joined(merged.get(key), node)
        waiting += _includes(included, named, chain)
    merged.pop(INCLUDE, None)
    return Node(document.place, entries=merged, is_mapping=True)


def _includes(document: Node, path: Path, chain: tuple[Path, ...]) -> list[tuple[Node, Path, tuple[Path, ...]]]:
    """What the `document` at `path` includes, where that is declared, and the `chain` of files that leads to it."""
    return [(entry, path, (*chain, path.resolve())) for entry in _included(document)]


def _included(document: Node) -> Sequence[Node]:
    listed = document.get(INCLUDE)
    if listed is None:
        return ()
    if not listed.is_list or any(item.text() is None for item in listed.items):
        raise ConfigError(f"{_at(listed.place)}: `{INCLUDE}` must be a list of file paths.")
    return listed.items


def _located(entry: Node, declared_in: Path, root: Path) -> Path:
    """The file an entry names: beside the file it stands in, else beside the first one, as LiteLLM looks for it."""
    for folder in (declared_in.parent, root.parent):
        path = folder / (entry.text() or "")
        if path.is_file():
            return path
    raise ConfigError(f"{_at(entry.place)}: the file that `{INCLUDE}` names here is not there.")


def _joined(ours: Node | None, theirs: Node) -> Node:
    if ours is None or not (ours.is_list and theirs.is_list):
        return theirs
    return Node(ours.place, items=[*ours.items, *theirs.items], is_list=True)


def _read(path: Path) -> Node:
    try:
        data = path.read_bytes() if path.stat().st_size <= LARGEST else None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {(error.strerror or 'no such file').lower()}.") from None
    if data is None:
        raise ConfigError(f"{path}: is larger than {LARGEST // 1_000_000} MB, which no config is.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text.") from None
    loaded = _parsed(text, path)
    if loaded is None:
        raise ConfigError(f"{path}: is empty.")
    if not isinstance(loaded, CommentedMap):
        what = "a list" if isinstance(loaded, CommentedSeq) else "a single value"
        raise ConfigError(f"{path}: is {what} where a config is a mapping such as `model_list: [...]`.")
    try:
        return _Tree(str(path)).node(loaded, 0)
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply.") from None


def _parsed(text: str, path: Path) -> object:
    """What ruamel.yaml makes of `text`. What it says of a fault may quote the file, so only the place is told."""
    parser = YAML(typ="rt")
    try:
        return parser.load(text)
    except DuplicateKeyError as error:
        raise ConfigError(f"{_marked(error, path)}: a key is given twice: keep one of the two.") from None
    except MarkedYAMLError as error:
        fault = "a tab, where YAML wants spaces" if "\\t" in str(error.problem) else "not YAML"
        raise ConfigError(f"{_marked(error, path)}: {fault}.") from None
    except (YAMLError, ValueError, TypeError, RecursionError):
        raise ConfigError(f"{path}: is not YAML.") from None


def _marked(error: MarkedYAMLError, path: Path) -> str:
    mark = error.problem_mark or error.context_mark
    return str(path) if mark is None else _at(Place(str(path), mark.line + 1))


def _at(place: Place) -> str:
    return f"{place.file}:{place.line}"


class _Tree:
    """Makes nodes of what ruamel.yaml has read from `file`; what an anchor repeats becomes one node."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._made: dict[tuple[int, int], Node] = {}

    def node(self, loaded: object, line: int) -> Node:
        """The node of what was `loaded` at the `line` ruamel.yaml gives, from 0 on."""
        place = Place(self._file, line + 1)
        if not isinstance(loaded, (CommentedMap, CommentedSeq)):
            return Node(place, value=loaded)
        if (id(loaded), line) not in self._made:
            made = self._mapping(loaded, place) if isinstance(loaded, CommentedMap) else self._list(loaded, place)
            self._made[id(loaded), line] = made
        return self._made[id(loaded), line]

    def _mapping(self, loaded: CommentedMap, place: Place) -> Node:
        lines: Mapping[object, Sequence[int]] = loaded.lc.data or {}
        entries = {str(key): self.node(value, _line(lines, key, place)) for key, value in loaded.items()}
        return Node(place, entries=entries, is_mapping=True)

    def _list(self, loaded: CommentedSeq, place: Place) -> Node:
        lines: Mapping[object, Sequence[int]] = loaded.lc.data or {}
        items = [self.node(value, _line(lines, index, place)) for index, value in enumerate(loaded)]
        return Node(place, items=items, is_list=True)


def _line(lines: Mapping[object, Sequence[int]], key: object, place: Place) -> int:
    """Where an entry stands; one that `<<` brings along, where what it is merged into does."""
    return lines[key][0] if key in lines else place.line - 1
