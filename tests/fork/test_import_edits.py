"""An import is added where a reader looks for it, and never hides another."""

from __future__ import annotations

import pytest

from fork.edits import AddImport
from support.edited_module import MODULE, applied, refusal


def test_import_follows_opening_imports() -> None:
    """An import goes after the module's opening imports, with those in a try and before TYPE_CHECKING."""
    assert "    thing,  # a remark\n)\nfrom litellm.ours import a, b as c\n\nif TYPE_CHECKING:" in applied(
        MODULE, AddImport("litellm.ours", ("a", "b as c"))
    )


def test_long_import_is_split() -> None:
    """A long import is written with one name a line, as a formatter would write it."""
    names = ("a_rather_long_name_to_import", "another_rather_long_name", "a_third_one")
    added = applied("import os\n", AddImport("litellm.some.module", names))
    assert added == "import os\nfrom litellm.some.module import (\n" + "".join(f"    {n},\n" for n in names) + ")\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1\n", "from ours import a\nx = 1\n"),
        ('"""Doc."""\nx = 1\n', '"""Doc."""\n\nfrom ours import a\nx = 1\n'),
    ],
)
def test_first_import_of_module(source: str, expected: str) -> None:
    """The first import of a module goes after its docstring, or else to the very top."""
    assert applied(source, AddImport("ours", ("a",))) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from ours import b\nx = 1\n", "from ours import a, b\nx = 1\n"),
        ("# why\nfrom ours import (\n    c as d,\n)\n", "# why\nfrom ours import a, c as d\n"),
        ("from ours import b  # a remark\n", "from ours import b  # a remark\nfrom ours import a\n"),
        ("from .ours import b\n", "from .ours import b\nfrom ours import a\n"),
        ("from ours import b; x = 1\n", "from ours import b; x = 1\nfrom ours import a\n"),
        ("from ours import *\n", "from ours import *\nfrom ours import a\n"),
    ],
)
def test_an_import_joins_one_from_the_same_module(source: str, expected: str) -> None:
    """An import joins one from the same module, unless that would lose a remark."""
    assert applied(source, AddImport("ours", ("a",))) == expected


@pytest.mark.parametrize(
    "line", ["from ours import a", "from theirs import a", "import a.b", "from theirs import x as a"]
)
def test_a_name_that_is_imported_already_is_refused(line: str) -> None:
    """A name that the module imports already is refused, as one would hide the other."""
    assert "already imports a," in refusal(f"{line}\n", AddImport("ours", ("a", "b")))
