"""An edit at a call finds the one call, and keeps the layout of the call and of the statements around it."""

from __future__ import annotations

import pytest

from fork.edits import AddArgument, InsertAfterCall, InsertBeforeCall, WrapCall
from support.edited_module import MODULE, applied, refusal


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", "new=1"),
        ("a", "a, new=1"),
        ("a, **kw", "a, **kw, new=1"),
        ("\n        a,\n        b=2,  # why\n    ", "\n        a,\n        b=2,  # why\n        new=1,\n    "),
        ("\n        a\n    ", "\n        a,\n        new=1\n    "),
    ],
)
def test_argument_keeps_layout(arguments: str, expected: str) -> None:
    """An argument is appended in the layout of the call, whose commas and remarks stay."""
    source = "def f(kw):\n    return m.call({})\n"
    assert applied(source.format(arguments), AddArgument("f", "m.call", "new=1")) == source.format(expected)


def test_long_call_is_split() -> None:
    """A call that gets longer than 120 characters has its arguments one a line."""
    source = "def f(kw):\n    return m.call({}, b=2)\n"
    fits, does_not = "a" * 89, "a" * 90
    edit = AddArgument("f", "m.call", "new=1")
    assert applied(source.format(fits), edit) == source.format(fits).replace("b=2", "b=2, new=1")
    lines = f"m.call(\n        {does_not},\n        b=2,\n        new=1,\n    )\n"
    assert applied(source.format(does_not), edit) == "def f(kw):\n    return " + lines


def test_what_is_not_one_argument_is_refused() -> None:
    """A text that is not one argument is refused, and the message shows it."""
    assert "`a, b` is not one argument" in refusal(MODULE, AddArgument("Router.method", "decide", "a, b"))


def test_taken_keyword_is_refused() -> None:
    """An argument whose keyword is taken is refused, with whatever value."""
    assert "already passes `text=None`" in refusal(MODULE, AddArgument("Router.method", "decide", "text=None"))


CALL_EDITS = [
    lambda call: AddArgument("Router.twice", call, "1"),
    lambda call: InsertBeforeCall("Router.twice", call, "pass"),
    lambda call: InsertAfterCall("Router.twice", call, "pass"),
    lambda call: WrapCall("Router.twice", call, "checked", "self"),
]


@pytest.mark.parametrize(("call", "count"), [("helper", 2), ("other", 0)])
@pytest.mark.parametrize("edit", CALL_EDITS)
def test_ambiguous_call_is_refused(edit: object, call: str, count: int) -> None:
    """A call in no place or in two is refused, and the message names the callee."""
    assert f"looked for a call of {call}, expected one place and found {count}" in refusal(
        MODULE,
        edit(call),  # type: ignore[operator]
    )


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("m.call()", "ours(m.call(), e)"),
        ("m.call(a, b=1)", "ours(m.call(a, b=1), e)"),
        (
            """m.call(
        a,  # why
        b=[
            1,
        ],
    )""",
            """ours(
        m.call(
            a,  # why
            b=[
                1,
            ],
        ),
        e,
    )""",
        ),
        (
            """m.call(
        a)""",
            """ours(
        m.call(
            a),
        e,
    )""",
        ),
    ],
)
def test_wrapped_call_keeps_layout(call: str, expected: str) -> None:
    """A wrapped call keeps its layout, and one over several lines moves one step in, remarks and all."""
    source = "def f(a):\n    return {}\n"
    assert applied(source.format(call), WrapCall("f", "m.call", "ours", "e")) == source.format(expected)


def test_wrapped_call_takes_several_arguments() -> None:
    """A call is wrapped with all arguments that are given, each in a line of its own if the call has those."""
    source = "def f(a):\n    return {}\n"
    edit = WrapCall("f", "m", "ours", "e, of=True")
    assert applied(source.format("m(a)"), edit) == source.format("ours(m(a), e, of=True)")
    lines = "ours(\n        m(\n            a\n        ),\n        e,\n        of=True,\n    )"
    assert applied(source.format("m(\n        a\n    )"), edit) == source.format(lines)


def test_a_statement_goes_before_the_one_that_calls() -> None:
    """A statement goes before the one that calls, between the blank line and the remark of the call."""
    assert (
        "        return helper(first)\n\n    check(first)\n    # the remark of the call\n    result = helper.other("
        in applied(MODULE, InsertBeforeCall("simple", "helper.other", "check(first)"))
    )


def test_statement_before_compound_header() -> None:
    """A statement may go before an `if`, a `for` or a `with` whose header calls."""
    for header in ("if call():", "for x in call():", "with call() as x:"):
        source = f"def f():\n    {header}\n        pass\n"
        assert applied(source, InsertBeforeCall("f", "call", "# why\nfirst()")) == source.replace(
            f"    {header}", f"    # why\n    first()\n    {header}"
        )


@pytest.mark.parametrize(
    ("edit", "expected"),
    [(InsertBeforeCall, "first()\n            call()"), (InsertAfterCall, "call()\n            first()")],
)
def test_statement_joins_block_of_call(edit: type[InsertBeforeCall], expected: str) -> None:
    """A statement goes into the block of the call, however deep that is."""
    source = "def f(a):\n    if a:\n        for b in a:\n            call()\n"
    assert applied(source, edit("f", "call", "first()")) == source.replace("call()", expected)


def test_several_statements_go_after_the_one_that_calls() -> None:
    """Several statements go after the one that calls, in their order and indented like it."""
    edited = applied(
        MODULE, InsertAfterCall("Router.method", "decide", "\n    if value:\n        note(value)\n    go()\n")
    )
    assert "        )\n        if value:\n            note(value)\n        go()\n        if (" in edited


@pytest.mark.parametrize(
    "body", ["while call():\n        pass", "if a:\n        pass\n    elif call():\n        pass", "if a: call()"]
)
@pytest.mark.parametrize("edit", [InsertBeforeCall, InsertAfterCall])
def test_call_without_own_statement_is_refused(edit: type[InsertBeforeCall], body: str) -> None:
    """A call without a statement of its own, as in the test of a `while`, is refused."""
    assert "looked for a statement of its own around the call of call" in refusal(
        f"def f(a):\n    {body}\n", edit("f", "call", "pass")
    )


@pytest.mark.parametrize("body", ["return call()", "raise call()", "if call():\n        pass"])
def test_unreachable_statement_is_refused(body: str) -> None:
    """A statement that would not run right after the call, as after a `return`, is refused."""
    assert "nothing can be inserted right after the call of call" in refusal(
        f"def f():\n    {body}\n", InsertAfterCall("f", "call", "pass")
    )
