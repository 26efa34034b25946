"""An edit of an expression or a handler finds the one place, by meaning and not by layout."""

from __future__ import annotations

import pytest

from fork.edits import Edit, RemoveHandler, ReplaceExpression, WidenCondition
from support.edited_module import MODULE, applied, changed, refusal


@pytest.mark.parametrize(
    ("test", "condition", "expected"),
    [
        ("a", "a", "a or X"),
        ("a == 1", "a==1", "a == 1 or X"),
        ("not a", "not a", "not a or X"),
        ("not a", "a", "not (a or X)"),
        ("a == 1 and not b", "a == 1", "(a == 1 or X) and not b"),
        ("a == 1 and not b", "not b", "a == 1 and (not b or X)"),
        ("a and b", "a and b", "(a and b) or X"),
        ("a or b", "a or b", "a or b or X"),
        ("(a or b) and c", "a or b", "(a or b or X) and c"),
        ("(a and b) and c", "a and b", "((a and b) or X) and c"),
        ("call(a) and b", "a", "call((a or X)) and b"),
        ("(\n        a\n        and b  # why\n    )", "a and b", "(\n        a\n        and b  # why\n    ) or X"),
        ("a if b else c", "a if b else c", "(a if b else c) or X"),
        ("x['k'] in (1, 2)", 'x["k"] in (1,2,)', "x['k'] in (1, 2) or X"),
    ],
)
@pytest.mark.parametrize("keyword", ["if", "while"])
def test_condition_is_widened_with_parentheses(keyword: str, test: str, condition: str, expected: str) -> None:
    """A condition, in whatever layout, is widened with the parentheses it takes."""
    source = "def f():\n    {} {}:\n        go()\n"
    edited = applied(source.format(keyword, test), WidenCondition("f", condition, "X"))
    assert edited == source.format(keyword, expected)


@pytest.mark.parametrize(
    ("added", "expected"), [("x and y", "(x and y)"), ("x or y", "(x or y)"), ("x if y else z", "(x if y else z)")]
)
def test_widening_condition_stays_one_operand(added: str, expected: str) -> None:
    """What a condition is widened by is in parentheses unless it binds more tightly than `or`."""
    assert f"elif status == 429 or {expected}:" in applied(
        MODULE, WidenCondition("Router.method", "status == 429", added)
    )


@pytest.mark.parametrize(("condition", "count"), [("status == 428", 0), ("first == 1 or second", 0), ("first", 2)])
def test_ambiguous_condition_is_refused(condition: str, count: int) -> None:
    """A condition that is the test of nothing, or of two statements, is refused and shown."""
    function = "simple" if count else "Router.twice"
    assert f"looked for the condition `{condition}`, expected one place and found {count}" in refusal(
        MODULE, WidenCondition(function, condition, "X")
    )


HANDLERS = """
def read(source):
    try:
        return source.read()
    # the first one's remark
    except (OSError, net.Torn) as error:
        # swallowed
        log.debug(error)
        return
    # the second one's remark
    except ValueError:
        raise
    finally:
        source.close()

def twice(source):
    try:
        read(source)
    except KeyError:
        pass
    try:
        read(source)
    except KeyError:
        pass
"""


def test_a_removed_handler_takes_its_remarks_along() -> None:
    """A removed handler takes its remarks along, and the other handlers and theirs stay."""
    removed, added = changed(HANDLERS, RemoveHandler("read", "(OSError, net.Torn)"))
    assert added == ""
    assert removed == "\n".join(HANDLERS.splitlines()[4:9])


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (RemoveHandler("read", "OSError"), "looked for a handler of OSError, expected one place and found 0"),
        (RemoveHandler("twice", "KeyError"), "looked for a handler of KeyError, expected one place and found 2"),
        (RemoveHandler("gone", "KeyError"), "function gone"),
    ],
)
def test_ambiguous_handler_is_refused(edit: Edit, reason: str) -> None:
    """A handler in no place or in two is refused, and the message names the exception."""
    assert reason in refusal(HANDLERS, edit)


def test_the_only_handler_of_a_try_stays() -> None:
    """The only handler of a `try` is not removed."""
    once = RemoveHandler("read", "(OSError, net.Torn)")
    last = RemoveHandler("read", "ValueError")
    assert "the handler of ValueError is the only one of its try" in refusal(HANDLERS, once, last)


def test_an_expression_is_replaced_as_a_whole() -> None:
    """An expression is replaced as a whole, also in a longer one and in whatever layout it is written."""
    assert applied("def f():\n    x = g(a  or  1) + 2\n", ReplaceExpression("f", "a or 1", "a if a else 1")) == (
        "def f():\n    x = g(a if a else 1) + 2\n"
    )


@pytest.mark.parametrize(("expression", "count"), [("missing", 0), ("first", 5)])
def test_ambiguous_expression_is_refused(expression: str, count: int) -> None:
    """An expression in no place or in several is refused, and the message counts them."""
    assert f"expected one place and found {count}" in refusal(MODULE, ReplaceExpression("simple", expression, "by"))
