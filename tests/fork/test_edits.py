"""Every edit changes its one place and no other byte, and refuses anything else by name."""

from __future__ import annotations

import ast
from textwrap import dedent

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
    RemoveHandler,
    ReplaceBody,
    ReplaceExpression,
    WidenCondition,
    WrapCall,
    apply_edits,
)
from fork.syntax import EditError, Location

WHERE = Location("litellm/router.py", "1.2.3")


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


# --- AddImport


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


# --- Decorate


def test_a_decorator_goes_closest_to_the_function() -> None:
    """A decorator goes closest to the function, below staticmethod and any other."""
    assert "@outer\n# a remark between\n@staticmethod\n@ours(1)\ndef simple(" in applied(MODULE, EVERY_EDIT[1])


def test_an_inner_function_has_a_dotted_name() -> None:
    """An inner function is named by all that encloses it, joined by dots."""
    edited = applied(MODULE, Decorate("Router.twice_over.inner", "ours"))
    assert "        @ours\n        def inner():" in edited


def test_a_decorator_that_is_no_expression_is_refused() -> None:
    """A decorator that is no expression, as one with its @, is refused."""
    assert "`@ours` is not a Python expression" in refusal(MODULE, Decorate("simple", "@ours"))


# --- ReplaceBody


def test_a_body_is_replaced_with_its_docstring() -> None:
    """A new body is put in with its comments and docstring, below the signature, which stays."""
    body = '''
        """
        New.

            Deeper.
        """
        # a remark
        if True:
            return 1
    '''
    assert (
        '    ) -> bool:\n        """\n        New.\n\n            Deeper.\n        """\n        # a remark\n'
        "        if True:\n            return 1\n\n    def twice("
        in applied(MODULE, ReplaceBody("Router.method", body))
    )


@pytest.mark.parametrize("body", ["", "# only a remark", "return 1\n# lost"])
def test_body_without_final_statement_is_refused(body: str) -> None:
    """A new body that does not end in a statement is refused, as its last remark would be lost."""
    assert "does not end in a statement" in refusal(MODULE, ReplaceBody("simple", body))


def test_a_body_that_cannot_be_parsed_is_refused() -> None:
    """A new body that cannot be parsed is refused, and the message shows it."""
    assert "`return (` cannot be parsed" in refusal(MODULE, ReplaceBody("simple", "return ("))


def test_a_body_beside_the_colon_is_refused() -> None:
    """A body beside the colon is not replaced, as there is no block."""
    assert "found one beside the colon" in refusal("def simple(): pass\n", ReplaceBody("simple", "return 1"))


# --- WidenCondition


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


# --- AddParameter and AddArgument


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("", "new=None"),
        ("self", "self, new=None"),
        ("a,b", "a,b,new=None"),
        ("a, b, ", "a, b, new=None, "),
        ("\n    a\n", "\n    a,\n    new=None\n"),
        ("\n    a,\n    b,  # why\n", "\n    a,\n    b,  # why\n    new=None,\n"),
        ("\n    a,\n    b  # why\n", "\n    a,\n    b,  # why\n    new=None\n"),
        ("\n    a, b,  # why\n", "\n    a, b, new=None,  # why\n"),
        ("a,  # why\n  b", "a,  # why\n  b,\n  new=None"),
        ("a, **kw", "a, new=None, **kw"),
        ("a, *args", "a, *args, new=None"),
        ("a, *args, b, **kw", "a, *args, b, new=None, **kw"),
        ("a, *, b", "a, *, b, new=None"),
        ("a, /", "a, /, new=None"),
        ("\n    *args,\n    **kw,\n", "\n    *args,\n    new=None,\n    **kw,\n"),
    ],
)
def test_parameter_keeps_layout(parameters: str, expected: str) -> None:
    """A parameter is appended in the layout of the signature, whose commas and remarks stay."""
    source = "def f({}): ...\n"
    assert applied(source.format(parameters), AddParameter("f", "new=None")) == source.format(expected)


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


@pytest.mark.parametrize("parameter", ["a, b", "*args", "**kw", "", "a b"])
def test_what_is_not_one_plain_parameter_is_refused(parameter: str) -> None:
    """A text that is not one plain parameter is refused, and the message shows it."""
    assert f"`{parameter}` is not " in refusal(MODULE, AddParameter("simple", parameter))


def test_what_is_not_one_argument_is_refused() -> None:
    """A text that is not one argument is refused, and the message shows it."""
    assert "`a, b` is not one argument" in refusal(MODULE, AddArgument("Router.method", "decide", "a, b"))


def test_a_name_that_is_taken_is_refused() -> None:
    """A parameter or argument whose name is taken is refused, with whatever default or value."""
    assert "already has a parameter text" in refusal(MODULE, AddParameter("Router.method", "text=None"))
    assert "already passes `text=None`" in refusal(MODULE, AddArgument("Router.method", "decide", "text=None"))


# --- handlers


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


# --- calls


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


def test_indentation_is_the_module_s() -> None:
    """What is put in has the indentation of the module, whatever it is in the patch."""
    edited = applied("class A:\n\tdef f():\n\t\tpass\n", ReplaceBody("A.f", "if 1:\n  return 2\n"))
    assert edited == "class A:\n\tdef f():\n\t\tif 1:\n\t\t\treturn 2\n"


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


# --- InsertFirst


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('"""Doc."""\n    return 1', '"""Doc."""\n    check()\n    return 1'),
        ("# its remark\n    return 1", "check()\n    # its remark\n    return 1"),
        ('"""Only a docstring."""', '"""Only a docstring."""\n    check()'),
    ],
)
def test_a_statement_goes_first_but_for_the_docstring(body: str, expected: str) -> None:
    """A first statement goes where the function's own begin, after the docstring."""
    assert applied(f"def f():\n    {body}\n", InsertFirst("f", "check()")) == f"def f():\n    {expected}\n"


def test_inline_body_takes_no_statement() -> None:
    """A statement has no place in a body beside the colon, as there is no block to put it into."""
    assert "found one beside the colon" in refusal("def f(): pass\n", InsertFirst("f", "check()"))


# --- ReplaceExpression


def test_an_expression_is_replaced_as_a_whole() -> None:
    """An expression is replaced as a whole, also in a longer one and in whatever layout it is written."""
    assert applied("def f():\n    x = g(a  or  1) + 2\n", ReplaceExpression("f", "a or 1", "a if a else 1")) == (
        "def f():\n    x = g(a if a else 1) + 2\n"
    )


@pytest.mark.parametrize(("expression", "count"), [("missing", 0), ("first", 5)])
def test_ambiguous_expression_is_refused(expression: str, count: int) -> None:
    """An expression in no place or in several is refused, and the message counts them."""
    assert f"expected one place and found {count}" in refusal(MODULE, ReplaceExpression("simple", expression, "by"))
