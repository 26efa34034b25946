"""Every edit changes its one place and no other byte, and refuses anything else by name."""

from __future__ import annotations

import ast

import pytest

from fork.edits import (
    AddArgument,
    AddImport,
    AddParameter,
    Decorate,
    Edit,
    InsertAfterCall,
    InsertBeforeCall,
    InsertFirst,
    ReplaceBody,
    ReplaceExpression,
    WidenCondition,
    WrapCall,
    apply_edits,
)
from support.edited_module import MODULE, WHERE, applied, refusal

FUTURE = "from __future__ import annotations\n"

EVERY_EDIT: list[Edit] = [
    AddImport("litellm.ours", ("ours",)),
    Decorate("simple", "ours(1)"),
    ReplaceBody("Router.method", '"""First.\n\nLast.\n"""\nreturn False'),
    WidenCondition("Router.method", "status == 429", "status == 402"),
    AddParameter("Router.method", "error: Exception | None = None"),
    AddArgument("Router.method", "decide", "error=None"),
    InsertBeforeCall("simple", "helper.other", "check(first)"),
    InsertAfterCall("simple", "helper.other", "check(result)"),
    InsertFirst("simple", "check(first)"),
    ReplaceExpression("Router.method", "status >= 500", "status > 500"),
    WrapCall("simple", "helper.other", "checked", "first"),
]
EVERY_EDIT_IN_A_FUNCTION = EVERY_EDIT[1:]
ids = pytest.mark.parametrize("edit", EVERY_EDIT, ids=lambda edit: type(edit).__name__)
ids_in_a_function = pytest.mark.parametrize("edit", EVERY_EDIT_IN_A_FUNCTION, ids=lambda edit: type(edit).__name__)


@ids
def test_an_edit_applied_twice_is_refused(edit: Edit) -> None:
    """An edit that is applied a second time finds its own result and is refused."""
    assert "already" in refusal(MODULE, edit, edit)


@ids
def test_edit_changes_one_place(edit: Edit) -> None:
    """An edit changes one piece in one place and leaves the text around it as it is, byte for byte."""
    after = applied(MODULE, edit)
    start = next(i for i, (a, b) in enumerate(zip(MODULE, after)) if a != b)  # noqa: B905
    end = next(i for i, (a, b) in enumerate(zip(reversed(MODULE), reversed(after))) if a != b)  # noqa: B905
    touched = MODULE[start : len(MODULE) - end]
    assert len(touched) < {ReplaceBody: 400, WrapCall: 30}.get(type(edit), 10)
    ast.parse(after)


@ids_in_a_function
def test_a_function_that_is_not_there_is_refused(edit: Edit) -> None:
    """A function that is not there is refused by module, base, function and how many were found."""
    gone = refusal("x = 1\n", edit)
    assert gone.startswith(f"litellm/router.py (base 1.2.3), function {edit.function}: ")  # type: ignore[attr-defined]
    assert gone.endswith("looked for the function, expected one place and found 0.")


@ids_in_a_function
def test_a_function_that_is_there_twice_is_refused(edit: Edit) -> None:
    """A function that is defined twice is refused, as it is two places."""
    assert "expected one place and found 2" in refusal(MODULE + MODULE.replace(FUTURE, ""), edit)


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
@ids
def test_line_endings_and_encoding_are_kept(edit: Edit, ending: str) -> None:
    """The lines that an edit adds have the line ends and the encoding of the module."""
    source = "# -*- coding: latin-1 -*-\nNAME = 'é'\n" + MODULE.replace(FUTURE, "")
    edited = apply_edits(source.replace("\n", ending).encode("latin-1"), [edit], WHERE)
    assert "é".encode("latin-1") in edited
    assert edited.count(b"\n") == edited.count(ending.encode())


@pytest.mark.parametrize("edit", [AddParameter("Router.method", "error"), AddArgument("Router.method", "decide", "1")])
def test_a_result_that_is_no_python_is_refused(edit: Edit) -> None:
    """An edit after which the module would be no valid Python is refused."""
    assert "the edited module is not valid Python" in refusal(MODULE, edit)


def test_a_base_that_is_no_python_is_refused() -> None:
    """A module that cannot be parsed before any edit is refused as the base's."""
    assert "the base's source cannot be parsed" in refusal("def :\n", EVERY_EDIT[0])
