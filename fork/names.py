"""What pyflakes finds in a patched module and not in the base's own, a name that is nowhere bound above all.

Python compiles such a module without a word and fails when the line runs: the name that an edit writes may be another
one in another release.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping

from pyflakes.checker import Checker

from fork import ForkError
from fork.base import Base

PLACE = re.compile(r" from line \d+")  # in a finding about two lines, of which an edit may move either


class NameFault(ForkError):
    """A patched module uses a name that it nowhere binds, or is in another way worse than the base's."""


def check(base: Base, changed: Mapping[str, bytes]) -> None:
    """Hold the patched modules in `changed` (source by path in the wheel) against those of `base`.

    Raises NameFault, naming each new finding's module, line and name.
    """
    found = [
        f"{path} (base {base.version}), {finding}"
        for path, source in sorted(changed.items())
        for finding in new_findings(base.read(path) or b"", source)
    ]
    if found:
        raise NameFault(f"The patched package has what the base has not: {'; '.join(found)}.")


def new_findings(before: bytes, after: bytes) -> list[str]:
    """The findings in `after` that are more than in `before`, each with its line in `after`."""
    known = Counter(text for text, _ in _findings(before))
    new = []
    for text, line in _findings(after):
        if known[text]:
            known[text] -= 1
        else:
            new.append(f"line {line}: {text}")
    return new


def _findings(source: bytes) -> list[tuple[str, int]]:
    """Each finding's text, without line numbers, and its line."""
    messages = sorted(Checker(ast.parse(source)).messages, key=lambda message: (message.lineno, message.col))
    return [(PLACE.sub("", message.message % message.message_args), message.lineno) for message in messages]
