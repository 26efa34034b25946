"""A module with a little of everything, and what becomes of one by edits of a patch."""

from __future__ import annotations

from textwrap import dedent

import pytest

from fork.edits import Edit, apply_edits
from fork.syntax import EditError, Location

WHERE = Location("litellm/router.py", "1.2.3")

MODULE = '''\
# licence
"""What it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

try:
    import fast
except ImportError:
    fast = None

from .near import (
    thing,  # a remark
)

if TYPE_CHECKING:
    from far import Far

# about the constant
LIMIT = 3

import late


@outer
# a remark between
@staticmethod
def simple(first, second=None):  # type: ignore
    """Docstring."""
    if first == 1 and not second:
        return helper(first)

    # the remark of the call
    result = helper.other(first, key="a")
    while first or second:
        first = False
    return result


class Router:
    def method(
        self,
        status: int,  # of the answer
        text: str = "",
    ) -> bool:
        value = decide(
            status,
            text=text,  # as received
        )
        if ("x" in text
                or status >= 500):
            return True
        elif status == 429:
            return bool(value)
        return False

    def twice(self):
        helper()
        helper()
        return 1 == 1 == 1

    def twice_over(self):
        def inner():
            pass
        return inner
'''


def applied(source: str, *edits: Edit) -> str:
    return apply_edits(dedent(source).encode(), edits, WHERE).decode()


def changed(source: str, edit: Edit) -> tuple[str, str]:
    """The lines removed and the lines added, in order."""
    before, after = dedent(source).splitlines(), applied(source, edit).splitlines()
    removed = [line for line in before if line not in after]
    return "\n".join(removed), "\n".join(line for line in after if line not in before)


def refusal(source: str, *edits: Edit) -> str:
    with pytest.raises(EditError) as refused:
        applied(source, *edits)
    return str(refused.value)
