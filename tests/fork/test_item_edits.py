"""An item is added to a collection at the top of a module, laid out as the others are."""

from __future__ import annotations

import pytest

from fork.edits import AddItem
from support.edited_module import applied, refusal

LINES = '    "a",  # a remark\n    "b",\n'


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("NAMES = (\n", ")\n"),
        ("NAMES = [\n", "]\n"),
        ("NAMES = {\n", "}\n"),
        ("NAMES: Final[tuple[str, ...]] = (\n", ")\n"),
        ("NAMES: Final = frozenset(\n    {\n", "    }\n)\n"),
    ],
)
def test_item_follows_the_last(opening: str, closing: str) -> None:
    """An item follows the last one in a line of its own, and remarks stay where they were."""
    indent = "    " if "frozenset" in opening else ""
    lines = "".join(f"{indent}{line}\n" for line in LINES.splitlines())
    expected = f'x = 1\n{opening}{lines}{indent}    "c",\n{closing}y = 2\n'
    assert applied(f"x = 1\n{opening}{lines}{closing}y = 2\n", AddItem("NAMES", '"c"')) == expected


def test_item_of_dict_has_key() -> None:
    """An item of a dict is its key and its value, also where the dict is a call's only argument."""
    assert applied('D = view({"a": 1,})\n', AddItem("D", '"b": 2')) == 'D = view({"a": 1, "b": 2,})\n'


@pytest.mark.parametrize(
    ("source", "item", "why"),
    [
        ("OTHER = (1,)\n", "2", "expected one place and found 0"),
        ("N = (1,)\nN = (1,)\n", "2", "expected one place and found 2"),
        ("N = f(1, 2)\n", "2", "expected one place and found 0"),
        ("def f():\n    N = (1,)\n", "2", "expected one place and found 0"),
        ("N = (1,)\n", "1", "already has the item `1`"),
        ("N = ('a',)\n", '"a"', "already has the item"),
        ("N = (1, 2)\n", "3", "do not end in a comma"),
        ("N = []\n", "3", "do not end in a comma"),
        ("N = (\n    1,  # one\n)\n", "3", "do not end in a comma without a remark"),
        ("N = (1,)\n", "2, 3", "is not one item of N"),
        ("N = {1,}\n", "2: 3", "is not one item of N"),
        ("N = {1: 2,}\n", "3", "is not one item of N"),
        ("N = (1,)\n", "2 3", "is not a Python expression"),
    ],
)
def test_item_without_its_place_is_refused(source: str, item: str, why: str) -> None:
    """An item is refused that is there already, is none or several, or has no one place to go to."""
    assert why in refusal(source, AddItem("N", item))
