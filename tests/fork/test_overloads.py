"""An edit of an overloaded function is one of the function itself, not of the signatures before it (PEP 484)."""

from __future__ import annotations

import pytest

from fork.edits import InsertBeforeCall, apply_edits
from fork.syntax import EditError, Location

WHERE = Location("litellm/images/main.py", "1.2.3")
DRAW = "def draw(size):\n    return paint(size)\n"
EDIT = InsertBeforeCall("draw", "paint", "size += 1")


def test_overloads_are_passed_over() -> None:
    """Each of them is declared under the name of the function that does the work."""
    overloads = "@overload\ndef draw(size: int): ...\n\n\n@overload\ndef draw(size: str): ...\n\n\n"
    edited = apply_edits((overloads + DRAW).encode(), [EDIT], WHERE).decode()
    assert edited == overloads + DRAW.replace("    return", "    size += 1\n    return")


def test_another_decorator_makes_no_overload() -> None:
    """Two functions of one name are still a place that cannot be told."""
    with pytest.raises(EditError, match="draw"):
        apply_edits(f"@cached\n{DRAW}\n\n{DRAW}".encode(), [EDIT], WHERE)
