"""The name of a caught exception is upstream's own, and another in each release: an edit takes it from the clause."""

from __future__ import annotations

from textwrap import dedent

import pytest

from fork.edits import (
    AddArgument,
    Edit,
    InsertAfterCall,
    InsertBeforeCall,
    InsertFirst,
    ReplaceExpression,
    WrapCall,
    apply_edits,
)
from fork.syntax import EditError, Location

WHERE = Location("litellm/router.py", "1.2.3")
MODULE = """\
def route(ask):
    try:
        opened = ask()
        begin()
    except (KeyError, OSError) as first:
        tell(first)
    except Exception as {name}:
        try:
            close(opened)
        except ValueError:
            quiet(opened)
        seen = answer({name}, code=500)
        try:
            note(seen)
        except TypeError as inner:
            drop(seen)
        return seen
"""


def applied(edit: Edit, name: str = "raised") -> str:
    return apply_edits(MODULE.format(name=name).encode(), [edit], WHERE).decode()


@pytest.mark.parametrize("name", ["e", "raised"])
@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (WrapCall("route", "answer", "told", "{error}, 1"), "seen = told(answer({name}, code=500), {name}, 1)"),
        (InsertAfterCall("route", "answer", "seen.of({error})"), "seen.of({name})"),
        (InsertBeforeCall("route", "answer", "{error} = mapped({error})"), "{name} = mapped({name})"),
        (AddArgument("route", "answer", "cause={error}"), "seen = answer({name}, code=500, cause={name})"),
        (WrapCall("route", "drop", "told", "{error}"), "told(drop(seen), inner)"),
        (WrapCall("route", "note", "told", "{error}"), "told(note(seen), {name})"),
        (WrapCall("route", "tell", "told", "{error}"), "told(tell(first), first)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_edit_uses_name_of_enclosing_handler(name: str, edit: Edit, line: str) -> None:
    """Whatever the innermost except clause around the place binds is what the edit passes on."""
    assert line.format(name=name) in map(str.strip, applied(edit, name).splitlines())


@pytest.mark.parametrize(
    ("edit", "sought"),
    [
        (WrapCall("route", "ask", "told", "{error}"), "an except clause around the call of ask"),
        (InsertAfterCall("route", "begin", "told({error})"), "an except clause around the call of begin"),
        (AddArgument("route", "quiet", "{error}"), "a name for what the except clause around the call of quiet"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_edit_without_named_handler_refused(edit: Edit, sought: str) -> None:
    """The refusal names the module, the function and what was looked for."""
    with pytest.raises(EditError) as refused:
        applied(edit)
    said = str(refused.value)
    assert said.startswith("litellm/router.py (base 1.2.3), function route: looked for ")
    assert sought in said


def test_handler_around_nested_function_does_not_count() -> None:
    """What an except clause binds is gone by the time a function defined in it runs."""
    source = """\
        def outer():
            try:
                begin()
            except Exception as raised:
                def later():
                    tell()
                return later
        """
    with pytest.raises(EditError, match="looked for an except clause around the call of tell"):
        apply_edits(dedent(source).encode(), [AddArgument("outer", "tell", "{error}")], WHERE)


@pytest.mark.parametrize(
    "edit", [InsertFirst("route", "told({error})"), ReplaceExpression("route", "500", by="code_of({error})")]
)
def test_error_placeholder_elsewhere_refused(edit: Edit) -> None:
    """An edit that has no call to stand at does not take the placeholder for a set."""
    with pytest.raises(EditError, match=r"`.*\{error\}\)` .* only where a call is the place"):
        applied(edit)
