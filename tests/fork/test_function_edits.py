"""An edit of a whole function (its decorators, parameters and body) keeps the layout around it."""

from __future__ import annotations

import pytest

from fork.edits import AddParameter, Decorate, InsertAfter, InsertFirst, ReplaceBody
from support.edited_module import MODULE, applied, refusal


def test_a_decorator_goes_closest_to_the_function() -> None:
    """A decorator goes closest to the function, below staticmethod and any other."""
    assert "@outer\n# a remark between\n@staticmethod\n@ours(1)\ndef simple(" in applied(
        MODULE, Decorate("simple", "ours(1)")
    )


def test_an_inner_function_has_a_dotted_name() -> None:
    """An inner function is named by all that encloses it, joined by dots."""
    edited = applied(MODULE, Decorate("Router.twice_over.inner", "ours"))
    assert "        @ours\n        def inner():" in edited


def test_statement_follows_the_definition() -> None:
    """A statement is put behind the function, into the class or the module that it is in, after an empty line."""
    assert "        return False\n\n    other = ours\n\n    def twice(self):" in applied(
        MODULE, InsertAfter("Router.method", "other = ours")
    )
    assert "    return result\n\nours()\nmore()\n\n\nclass Router" in applied(
        MODULE, InsertAfter("simple", "ours()\nmore()")
    )


def test_statement_that_follows_already_is_refused() -> None:
    """What is there already is not put there again; nor is what is no statement."""
    once = InsertAfter("Router.method", "other = ours")
    assert "function Router.method: `other = ours` already stands after it" in refusal(MODULE, once, once)
    assert "cannot be parsed" in refusal(MODULE, InsertAfter("simple", "other ="))


def test_a_decorator_that_is_no_expression_is_refused() -> None:
    """A decorator that is no expression, as one with its @, is refused."""
    assert "`@ours` is not a Python expression" in refusal(MODULE, Decorate("simple", "@ours"))


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


@pytest.mark.parametrize("parameter", ["a, b", "*args", "**kw", "", "a b"])
def test_what_is_not_one_plain_parameter_is_refused(parameter: str) -> None:
    """A text that is not one plain parameter is refused, and the message shows it."""
    assert f"`{parameter}` is not " in refusal(MODULE, AddParameter("simple", parameter))


def test_taken_parameter_is_refused() -> None:
    """A parameter whose name is taken is refused, with whatever default."""
    assert "already has a parameter text" in refusal(MODULE, AddParameter("Router.method", "text=None"))


def test_indentation_is_the_module_s() -> None:
    """What is put in has the indentation of the module, whatever it is in the patch."""
    edited = applied("class A:\n\tdef f():\n\t\tpass\n", ReplaceBody("A.f", "if 1:\n  return 2\n"))
    assert edited == "class A:\n\tdef f():\n\t\tif 1:\n\t\t\treturn 2\n"


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
