"""Reading and rewriting LibCST trees for the edits: finding the one place, comparing by meaning, keeping the layout.

What fails here raises `EditError` through `Location.refuse`, so that each message names the same things.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import dedent
from typing import NoReturn, TypeVar, cast

import libcst as cst

from fork import ForkError

Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
Refusal = Callable[[str], NoReturn]
Item = TypeVar("Item", cst.Param, cst.Arg, cst.BaseElement)
Display = cst.Tuple | cst.List | cst.Set | cst.Dict

LAYOUT = (  # what the names of fields open with that hold layout, not meaning
    "whitespace",
    "lpar",
    "rpar",
    "comma",
    "semicolon",
    "leading_lines",
    "lines_after",
    "header",
    "footer",
    "indent",
)
NESTING = ("body", "handlers", "cases", "orelse", "finalbody")  # the fields of statements that hold statements
ERROR = "{error}"
"""Stands, in what an edit adds at a call, for the name of the exception the innermost `except` clause there binds."""

HEADERS = {cst.If: "test", cst.For: "iter", cst.With: "items"}  # evaluated once, before the statement's body


class EditError(ForkError):
    """An edit did not find exactly one place, or found itself already applied."""


@dataclass(frozen=True)
class Location:
    """The module an edit is applied to: its path in the wheel, the version of the base release it comes from, and the
    `names` it has for classes and methods that edits know by older ones."""

    path: str
    base: str
    names: Mapping[str, str] = field(default_factory=dict)

    def current_name(self, function: str) -> str:
        """The dotted name the module has for `function`."""
        name, dot, rest = function.partition(".")
        return self.names.get(function) or self.names.get(name, name) + dot + rest

    def error(self, why: str, function: str | None = None) -> EditError:
        """What an edit of the module, or of the `function` in it, is refused with."""
        place = f"{self.path} (base {self.base})" + (f", function {self.current_name(function)}" if function else "")
        return EditError(f"{place}: {why}.")

    def refuse(self, why: str, function: str | None = None) -> NoReturn:
        """Raise that error."""
        raise self.error(why, function)


def functions(node: cst.CSTNode, path: Sequence[str]) -> Iterator[cst.FunctionDef]:
    """The functions of the dotted name `path` among the statements in `node`."""
    for statement in (part for _, parts in _statements_in(node) for part in parts):
        if not isinstance(statement, (cst.ClassDef, cst.FunctionDef)):
            yield from functions(statement, path)
        elif statement.name.value == path[0]:
            if len(path) > 1:
                yield from functions(statement, path[1:])
            elif isinstance(statement, cst.FunctionDef) and not _is_overload(statement):
                yield statement


def _is_overload(function: cst.FunctionDef) -> bool:
    """Whether this is a signature of the function that follows (PEP 484), and not the function."""
    return any(same_code(cst.Name("overload"), present.decorator) for present in function.decorators)


def _statements_in(node: cst.CSTNode) -> Iterator[tuple[str, Sequence[cst.CSTNode]]]:
    """The fields of `node` that hold statements, or a block of them."""
    for field_name in NESTING:
        held = getattr(node, field_name, None)
        parts = held if isinstance(held, Sequence) else [held]
        yield field_name, [part for part in parts if isinstance(part, cst.CSTNode)]


def assigned_value(statement: cst.CSTNode, name: str) -> cst.BaseExpression | None:
    """What `statement` assigns to `name`, with an annotation or without; None if it is no such assignment."""
    match statement:
        case cst.SimpleStatementLine(body=[cst.AnnAssign(target=cst.Name(value=found), value=value)]) if found == name:
            return value
        case cst.SimpleStatementLine(
            body=[cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=found))], value=value)]
        ) if found == name:
            return value
    return None


def begins_with(statement: cst.CSTNode, call: cst.Call) -> bool:
    """Whether `statement` runs `call` once and before anything in its body."""
    header = getattr(statement, HEADERS.get(type(statement), ""), None)
    return isinstance(statement, cst.SimpleStatementLine) or holds(header, call)


def holds(tree: object, wanted: cst.CSTNode) -> bool:
    nodes = tree if isinstance(tree, Sequence) else [tree]
    return any(part is wanted for node in nodes if isinstance(node, cst.CSTNode) for part in walk(node))


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """`node` and all below it, parents before their children."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.children)


def same_code(one: object, other: object) -> bool:
    """Whether two trees are the same program text but for layout, comments, parentheses and the style of quotes."""
    if isinstance(one, Sequence) and isinstance(other, Sequence) and not isinstance(one, str):
        return len(one) == len(other) and all(map(same_code, one, other))
    if type(one) is not type(other) or not isinstance(one, cst.CSTNode):
        return one == other
    if isinstance(one, cst.SimpleString):
        return one.evaluated_value == cast(cst.SimpleString, other).evaluated_value
    names = (field.name for field in dataclasses.fields(one) if not field.name.startswith(LAYOUT))
    return all(same_code(getattr(one, name), getattr(other, name)) for name in names)


def holds_import(statement: cst.CSTNode) -> bool:
    return any(isinstance(node, (cst.Import, cst.ImportFrom)) for node in statement.children)


def end_of_imports(module: cst.Module) -> int:
    """The place after the last plain import of the run a module opens with; a `try:` or `if TYPE_CHECKING:` around
    imports does not end the run, anything else does."""
    end = 1 if module.get_docstring() is not None else 0
    for place, statement in enumerate(module.body[end:], end):
        if holds_import(statement):
            end = place + 1
        elif not (isinstance(statement, (cst.If, cst.Try)) and any(map(holds_import, walk(statement)))):
            break
    return end


def imported_names(body: Sequence[cst.CSTNode]) -> Iterator[str]:
    """The names that imports at the top level of `body` bind."""
    for imported in (node for statement in body for node in statement.children):
        if isinstance(imported, (cst.Import, cst.ImportFrom)) and not isinstance(imported.names, cst.ImportStar):
            for alias in imported.names:
                yield alias.evaluated_alias or alias.evaluated_name.split(".")[0]


def names_imported_from(package: str, statement: cst.CSTNode, module: cst.Module) -> list[str]:
    """What `statement`, if it is no more than `from package import ...` without a remark, imports, as it is written."""
    match statement:
        case cst.SimpleStatementLine(body=[cst.ImportFrom(module=cst.CSTNode() as of, names=[*aliases], relative=[])]):
            text = module.code_for_node(statement.with_changes(leading_lines=[]))
            if "#" not in text and module.code_for_node(of) == package:
                return [module.code_for_node(alias.with_changes(comma=cst.MaybeSentinel.DEFAULT)) for alias in aliases]
    return []


def indented_docstring(body: list[Statement], module: cst.Module, depth: int) -> list[Statement]:
    """`body` with the lines of a docstring it opens with laid out as its statements will be, `depth` levels deep."""
    match body[0]:
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.SimpleString() as string), *_]):
            first, *rest = string.value.split("\n")
            indent = module.default_indent * depth
            value = module.default_newline.join([first, *(indent + line if line.strip() else "" for line in rest)])
            return [cast(Statement, body[0].deep_replace(string, string.with_changes(value=value))), *body[1:]]
    return body


def replaced(module: cst.Module, within: cst.CSTNode, old: cst.CSTNode, new: cst.CSTNode) -> cst.Module:
    """`module` with `new` in the place of `old`, which is in the statement `within` or that itself.

    Only the statements around it are made anew: LibCST would look for it in all of the module, a second in router.py.
    """
    return cst.ensure_type(_with_statement(module, within, within.deep_replace(old, new)), cst.Module)


def _with_statement(node: cst.CSTNode, old: cst.CSTNode, new: cst.CSTNode) -> cst.CSTNode | None:
    """`node` with the statement `old` in it, at any depth, replaced by `new`; None if it is not there."""
    if node is old:
        return new
    for field_name, parts in _statements_in(node):
        for place, part in enumerate(parts):
            put = _with_statement(part, old, new)
            if put is not None:
                held = [*parts[:place], put, *parts[place + 1 :]]
                return node.with_changes(
                    **{field_name: held if isinstance(getattr(node, field_name), Sequence) else put}
                )
    return None


def block_around(node: cst.CSTNode, statement: cst.CSTNode) -> cst.Module | cst.IndentedBlock:
    """The block in `node`, or the module that it is, which has `statement` among its own."""
    if isinstance(node, (cst.Module, cst.IndentedBlock)) and any(one is statement for one in node.body):
        return node
    return block_around(next(child for child in node.children if holds(child, statement)), statement)


def handler_around(node: cst.CSTNode, wanted: cst.CSTNode) -> cst.ExceptHandler | None:
    """The innermost except clause in `node` with `wanted` in it; what one binds is gone when a function defined there
    runs."""
    handler: cst.ExceptHandler | None = None
    while node is not wanted:
        if isinstance(node, cst.ExceptHandler):
            handler = node
        elif isinstance(node, (cst.FunctionDef, cst.Lambda)):
            handler = None
        node = next(child for child in node.children if holds(child, wanted))
    return handler


def parse_expression(source: str, refuse: Refusal) -> cst.BaseExpression:
    """The expression that is written in `source`."""
    _refuse_error_name(source, refuse)
    try:
        return cst.parse_expression(source.strip())
    except cst.ParserSyntaxError:
        refuse(f"`{source}` is not a Python expression")


def parse_statements(source: str, refuse: Refusal) -> list[Statement]:
    """The statements of `source`; indentation and line ends will be those of the module they are put into."""
    _refuse_error_name(source, refuse)
    try:
        parsed = cst.parse_module(dedent(source).strip() + "\n")
    except cst.ParserSyntaxError:
        refuse(f"`{source}` cannot be parsed")
    if not parsed.body or parsed.footer:
        refuse(f"`{source}` does not end in a statement")
    first, *rest = parsed.body
    return [first.with_changes(leading_lines=[*parsed.header, *first.leading_lines]), *rest]


def _refuse_error_name(source: str, refuse: Refusal) -> None:
    if ERROR in source:
        refuse(f"`{source}` can have the name of an exception only where a call is the place")


def parenthesized(node: cst.BaseExpression) -> cst.BaseExpression:
    """`node` in the parentheses it needs, or a reader would want, as an operand of `or`."""
    loose = isinstance(node, (cst.BooleanOperation, cst.IfExp, cst.Lambda, cst.NamedExpr)) and not node.lpar
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()]) if loose else node


def or_joined(place: cst.BaseExpression, added: cst.BaseExpression, *, whole: bool) -> cst.BooleanOperation:
    """`place or added`; around it the parentheses of `place`, or new ones, where it is not the whole of a test."""
    lpar, rpar = place.lpar, place.rpar
    if not whole:
        place = place.with_changes(lpar=[], rpar=[])
    left_is_or = isinstance(place, cst.BooleanOperation) and isinstance(place.operator, cst.Or)
    joined = cst.BooleanOperation(place if left_is_or else parenthesized(place), cst.Or(), added)
    if whole:
        return joined
    return joined.with_changes(lpar=lpar or [cst.LeftParen()], rpar=rpar or [cst.RightParen()])


def appended(items: Sequence[Item], added: Item, opening: cst.BaseParenthesizableWhitespace) -> list[Item]:
    """`items` and `added`, laid out as the items are: in the same line or one a line, with a trailing comma or without.

    `opening` is the space after the opening parenthesis; it shows the layout where there is a single item.
    """
    if not items:
        return [added]
    *before, last = items
    gap: cst.BaseParenthesizableWhitespace = cst.SimpleWhitespace(" ")
    if before and isinstance(before[-1].comma, cst.Comma):
        gap = before[-1].comma.whitespace_after
    elif isinstance(opening, cst.ParenthesizedWhitespace):
        gap = opening
    after_item = "whitespace_after_param" if isinstance(last, cst.Param) else "whitespace_after_arg"
    if isinstance(last.comma, cst.Comma):
        between, closing = _shared(gap, last.comma.whitespace_after)
        added = added.with_changes(comma=last.comma.with_changes(whitespace_after=closing))
    else:
        between, closing = _shared(gap, getattr(last, after_item))
        added = added.with_changes(**{after_item: closing})
        last = last.with_changes(**{after_item: cst.SimpleWhitespace("")})
    return [*before, last.with_changes(comma=cst.Comma(whitespace_after=between)), added]


def _shared(
    gap: cst.BaseParenthesizableWhitespace, tail: cst.BaseParenthesizableWhitespace
) -> tuple[cst.BaseParenthesizableWhitespace, cst.BaseParenthesizableWhitespace]:
    """The space before and after an appended item: laid out as `gap` and `tail`, the comments of `tail` kept once."""
    plain = {"first_line": cst.TrailingWhitespace(), "empty_lines": []}
    if not isinstance(gap, cst.ParenthesizedWhitespace):
        return gap, tail
    if not isinstance(tail, cst.ParenthesizedWhitespace):
        return gap.with_changes(**plain), tail
    return (
        gap.with_changes(first_line=tail.first_line, empty_lines=tail.empty_lines),
        tail.with_changes(**plain),
    )


def one_argument_a_line(call: cst.Call) -> cst.Call:
    """`call` with each of its arguments in a line of its own."""
    next_line, end = (cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace(s)) for s in ("    ", ""))
    *before, last = call.args
    arguments = [
        *(argument.with_changes(comma=cst.Comma(whitespace_after=next_line)) for argument in before),
        last.with_changes(comma=cst.Comma(whitespace_after=end)),
    ]
    return call.with_changes(args=arguments, whitespace_before_args=next_line)


class _Indent(cst.CSTTransformer):
    def leave_ParenthesizedWhitespace(
        self, original_node: cst.ParenthesizedWhitespace, updated_node: cst.ParenthesizedWhitespace
    ) -> cst.ParenthesizedWhitespace:
        return updated_node.with_changes(last_line=cst.SimpleWhitespace(updated_node.last_line.value + "    "))


def wrapped_call(call: cst.Call, outer: cst.Call) -> cst.Call:
    """`outer` with `call` before its arguments: in one line, or with the call's own lines one step further in."""
    opening = call.whitespace_before_args
    if not call.args or not isinstance(opening, cst.ParenthesizedWhitespace):
        return outer.with_changes(args=[cst.Arg(call), *outer.args])
    last = call.args[-1]
    closing = last.comma.whitespace_after if isinstance(last.comma, cst.Comma) else last.whitespace_after_arg
    before, after = (cst.ParenthesizedWhitespace(indent=True, last_line=_last_line(gap)) for gap in (opening, closing))
    inner = cst.ensure_type(call.visit(_Indent()), cst.Call)
    *others, final = [cst.Arg(inner), *outer.args]
    arguments = [
        *(argument.with_changes(comma=cst.Comma(whitespace_after=before)) for argument in others),
        final.with_changes(comma=cst.Comma(whitespace_after=after)),
    ]
    return outer.with_changes(args=arguments, whitespace_before_args=before)


def _last_line(gap: cst.BaseParenthesizableWhitespace) -> cst.SimpleWhitespace:
    return gap.last_line if isinstance(gap, cst.ParenthesizedWhitespace) else cst.SimpleWhitespace("")
