"""The vocabulary patches are written in: an edit names one place in a LiteLLM module and changes that place only.

Places are found in the syntax tree (LibCST), so upstream's line numbers, layout and comments may move freely. An edit
that finds no place, or several, or its own result, raises `EditError`.

What an edit adds at a call may say `{error}` for the exception that the innermost `except` clause around the call has
caught: upstream's name for it differs by release. Refused where there is no such clause or it binds no name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar, cast

import libcst as cst
from packaging.specifiers import SpecifierSet

from fork.syntax import (
    Display,
    EditError,
    Location,
    appended,
    assigned_value,
    block_around,
    end_of_imports,
    holds_import,
    imported_names,
    indented_docstring,
    names_imported_from,
    one_argument_a_line,
    or_joined,
    parenthesized,
    parse_expression,
    parse_statements,
    replaced,
    same_code,
    walk,
    wrapped_call,
)
from fork.target import Target

LONGEST_LINE = 120  # characters, as upstream's formatter has it
LONGEST_IMPORT = 88  # characters; the narrower of the two line lengths upstream has formatted its releases with
JUMP_STATEMENTS = (cst.Return, cst.Raise, cst.Break, cst.Continue)

Part = TypeVar("Part", covariant=True)


class Edit(Protocol):
    """One structural change to one module."""

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        """Return the changed module; raises EditError."""


class Otherwise(Enum):
    """What holds for a release that gets none of a `ForReleases`."""

    NOT_NEEDED = "not needed"
    MISSING = "not available"
    MOVED = "moved"  # other edits of the patch do it there


@dataclass(frozen=True)
class ForReleases(Generic[Part]):
    """Parts of a patch, edits or paths of files it adds, for some of the base releases only, by the PEP 440 version
    specifier of those that get them; one of these at the most may name a release. `why` says what is different where
    none does, `otherwise` of which kind that is."""

    parts: Mapping[str, tuple[Part, ...]]
    why: str
    otherwise: Otherwise

    def at(self, base: str) -> tuple[Part, ...]:
        """The parts for the base release `base`; raises EditError if two entries name it."""
        naming = [releases for releases in self.parts if base in SpecifierSet(releases)]
        if len(naming) > 1:
            raise EditError(f"Both {' and '.join(naming)} name the base {base}: let one entry of ForReleases do so.")
        return self.parts[naming[0]] if naming else ()


AnyEdits = Sequence[Edit | ForReleases[Edit]]


def parts_for(parts: Sequence[Part | ForReleases[Part]], base: str) -> list[Part]:
    """Those of `parts`, edits or paths of files, that are for the base release `base`."""
    chosen: list[Part] = []
    for part in parts:
        chosen.extend(part.at(base) if isinstance(part, ForReleases) else [part])
    return chosen


_EDITED: dict[bytes, cst.Module] = {}
"""Modules as they were edited last, by their source: the next patch of one edits it further, and to parse it again
takes most of the time."""


def apply_edits(source: bytes, edits: Sequence[Edit], where: Location) -> bytes:
    """Apply `edits` in order to a module's source and check that the result is still Python.

    Encoding, line endings and all text no edit asked to change are returned as they came. Raises EditError.
    """
    edited, refused = apply_each(source, edits, where)
    if refused:
        raise refused[0][1]
    return edited


def apply_each(
    source: bytes | None, edits: Sequence[Edit], where: Location
) -> tuple[bytes, list[tuple[Edit, EditError]]]:
    """Apply those of `edits` that find their place in a module's source (None if there is no such module), and return
    with it the others, each with what it is refused for. Raises EditError if before or after it is not Python."""
    if source is None:
        gone = "looked for the module, which is not there"
        return b"", [(edit, where.error(gone, getattr(edit, "function", None))) for edit in edits]
    try:
        module = _EDITED.pop(source, None) or cst.parse_module(source)
    except cst.ParserSyntaxError as error:
        where.refuse(f"the base's source cannot be parsed ({error.message})")
    refused: list[tuple[Edit, EditError]] = []
    try:
        for edit in edits:
            try:
                module = edit.apply(module, where)
            except EditError as error:
                refused.append((edit, error))
        edited = module.bytes
        compile(edited, where.path, "exec", dont_inherit=True)
    except (SyntaxError, cst.CSTValidationError) as error:
        where.refuse(f"the edited module is not valid Python: {error}".rstrip("."))
    _EDITED[edited] = module
    return edited, refused


@dataclass(frozen=True)
class AddImport:
    """Add `from module import names`: to such an import at the top of the module if it has one without remarks, or else
    after the run of imports the module opens with (before an `if TYPE_CHECKING:` that ends the run). Refused if one of
    the names is imported already, from wherever."""

    module: str
    names: tuple[str, ...]

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        added = self._statement(self.names, where)
        taken = set(imported_names([added])) & set(imported_names(module.body))
        if taken:
            where.refuse(f"it already imports {', '.join(sorted(taken))}, so they were not imported from {self.module}")
        for statement in module.body:
            names = names_imported_from(self.module, statement, module)
            if names:
                joined = self._statement(sorted({*names, *self.names}), where)
                return replaced(
                    module, statement, statement, joined.with_changes(leading_lines=statement.leading_lines)
                )
        place = end_of_imports(module)
        if place and not holds_import(module.body[place - 1]):  # the docstring
            added = added.with_changes(leading_lines=[cst.EmptyLine(indent=False)])
        return module.with_changes(body=[*module.body[:place], added, *module.body[place:]])

    def _statement(self, names: Sequence[str], where: Location) -> cst.SimpleStatementLine:
        line = f"from {self.module} import {', '.join(names)}"
        if len(line) > LONGEST_IMPORT:
            line = f"from {self.module} import (\n" + "".join(f"    {name},\n" for name in names) + ")"
        (statement,) = parse_statements(line, where.refuse)
        return cst.ensure_type(statement, cst.SimpleStatementLine)


@dataclass(frozen=True)
class AddItem:
    """Append `item`, such as `"name"` or `"name": False`, to the collection that `name` is at the top of the module: a
    display of a tuple, list, set or dict with a comma after its last item, alone or as the only argument of a call,
    such as that of `frozenset`."""

    name: str
    item: str

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        statement, display = self._found(module, where)
        added = self._parsed(display, where)
        if any(same_code(added, present) for present in display.elements):
            where.refuse(f"{self.name} already has the item `{self.item}`")
        end = module.code_for_node(display).rpartition(",")[2]
        if not display.elements or end.strip() not in (")", "]", "}"):
            where.refuse(f"the items of {self.name} do not end in a comma without a remark behind it")
        elements = cast(Sequence[cst.BaseElement], display.elements)  # or those of a dict, which are laid out alike
        items = appended(elements, added, cst.SimpleWhitespace(""))
        return replaced(module, statement, display, display.with_changes(elements=items))

    def _found(self, module: cst.Module, where: Location) -> tuple[cst.SimpleStatementLine, Display]:
        """The one statement that assigns the collection, and the collection."""
        found: list[tuple[cst.SimpleStatementLine, Display]] = []
        for statement in module.body:
            value = assigned_value(statement, self.name)
            if isinstance(value, cst.Call) and len(value.args) == 1:
                value = value.args[0].value
            if isinstance(statement, cst.SimpleStatementLine) and isinstance(value, Display):
                found.append((statement, value))
        if len(found) != 1:
            where.refuse(f"looked for the collection {self.name}, expected one place and found {len(found)}")
        return found[0]

    def _parsed(self, display: Display, where: Location) -> cst.BaseElement:
        opening, closing = "{}" if isinstance(display, (cst.Dict, cst.Set)) else "[]"
        parsed = parse_expression(f"{opening}{self.item}{closing}", where.refuse)
        kind = cst.Dict if isinstance(display, cst.Dict) else (cst.Set, cst.List)
        if not isinstance(parsed, kind) or len(parsed.elements) != 1:
            where.refuse(f"`{self.item}` is not one item of {self.name}")
        return cast(cst.BaseElement, parsed.elements[0])


@dataclass(frozen=True)
class FunctionEdit(ABC):
    """An edit of one `function`, whose name is dotted for a method or an inner function: "Router.completion"."""

    function: str

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        """Return the changed module; raises EditError."""
        return self.edit(Target.find(module, where, self.function))

    @abstractmethod
    def edit(self, target: Target) -> cst.Module:
        """Return the module of `target`, changed there; raises EditError."""


@dataclass(frozen=True)
class Decorate(FunctionEdit):
    """Put `decorator` (written without the @) closest to `function`, so that staticmethod or property above it still
    work. A later patch's decorator is thus the innermost."""

    decorator: str

    def edit(self, target: Target) -> cst.Module:
        decorator = cst.Decorator(target.expression(self.decorator))
        present = target.tree.decorators
        if any(same_code(decorator, other) for other in present):
            target.refuse(f"it already carries the decorator {self.decorator}")
        return target.with_(target.tree, target.tree.with_changes(decorators=[*present, decorator]))


@dataclass(frozen=True)
class ReplaceBody(FunctionEdit):
    """Replace all of `function`'s body, its docstring included, by `body` (dedented before use)."""

    body: str

    def edit(self, target: Target) -> cst.Module:
        body = target.statements(self.body)
        body = indented_docstring(body, target.module, depth=len(self.function.split(".")))
        block = target.block()
        if same_code(block.body, body):
            target.refuse("the body is already the one it was to be replaced by")
        return target.with_(block, block.with_changes(body=body))


@dataclass(frozen=True)
class ReplaceExpression(FunctionEdit):
    """Replace the one `expression` in `function`'s body by `by`."""

    expression: str
    by: str

    def edit(self, target: Target) -> cst.Module:
        expression = target.expression(self.expression)
        by = target.expression(self.by)
        if any(same_code(by, node) for node in target.nodes()):
            target.refuse(f"`{self.by}` already stands there")
        found = [node for node in target.nodes() if same_code(expression, node)]
        place = target.exactly_one(found, f"the expression `{self.expression}`")
        return target.with_(place, by)


@dataclass(frozen=True)
class WidenCondition(FunctionEdit):
    """Make the test of an `if`, `elif` or `while`, or a part of such a test, `condition or or_`, with the parentheses
    that takes: `a` in `if a and b` becomes `if (a or or_) and b`."""

    condition: str
    or_: str

    def edit(self, target: Target) -> cst.Module:
        condition = target.expression(self.condition)
        added = parenthesized(target.expression(self.or_))
        tests = [node.test for node in target.nodes() if isinstance(node, (cst.If, cst.While))]
        parts = [node for test in tests for node in walk(test)]
        widened = cst.BooleanOperation(condition, cst.Or(), added)
        if any(same_code(widened, part) for part in parts):
            target.refuse(f"the condition `{self.condition}` is already widened by `or {self.or_}`")
        found = [part for part in parts if same_code(condition, part)]
        place = cast(cst.BaseExpression, target.exactly_one(found, f"the condition `{self.condition}`"))
        return target.with_(place, or_joined(place, added, whole=any(place is test for test in tests)))


@dataclass(frozen=True)
class RemoveHandler(FunctionEdit):
    """Remove the one `except` clause for `exception` in `function`, with the comments in it, so that the exception goes
    where those without a clause go. Refused for the only one of its `try`."""

    exception: str

    def edit(self, target: Target) -> cst.Module:
        exception = target.expression(self.exception)
        handlers = [
            (statement, handler)
            for statement in target.nodes()
            if isinstance(statement, cst.Try)
            for handler in statement.handlers
            if same_code(exception, handler.type)
        ]
        statement, handler = target.exactly_one(handlers, f"a handler of {self.exception}")
        if len(statement.handlers) == 1:
            target.refuse(f"the handler of {self.exception} is the only one of its try")
        kept = [other for other in statement.handlers if other is not handler]
        return target.with_(statement, statement.with_changes(handlers=kept))


@dataclass(frozen=True)
class AddParameter(FunctionEdit):
    """Append `parameter`, such as "cause: Exception | None = None", to `function`'s parameters: the last of the
    positional ones, or keyword-only where the function takes *args or has keyword-only parameters already."""

    parameter: str

    def edit(self, target: Target) -> cst.Module:
        added = self._parsed(target)
        params, opening = target.tree.params, target.tree.whitespace_before_params
        if any(isinstance(node, cst.Param) and same_code(node.name, added.name) for node in walk(params)):
            target.refuse(f"it already has a parameter {added.name.value}")
        if isinstance(params.star_arg, cst.Param) and not params.kwonly_params:
            star_arg, added = appended([params.star_arg], added, opening)
            return target.with_(params, params.with_changes(star_arg=star_arg, kwonly_params=[added]))
        field = "kwonly_params" if params.kwonly_params else "params"
        return target.with_(params, params.with_changes(**{field: appended(getattr(params, field), added, opening)}))

    def _parsed(self, target: Target) -> cst.Param:
        try:
            parsed = cst.ensure_type(cst.parse_statement(f"def _({self.parameter}): ..."), cst.FunctionDef).params
        except cst.ParserSyntaxError:
            target.refuse(f"`{self.parameter}` is not a parameter")
        if len(parsed.params) != 1 or len([node for node in parsed.children if isinstance(node, cst.Param)]) != 1:
            target.refuse(f"`{self.parameter}` is not one plain parameter")
        return parsed.params[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)


@dataclass(frozen=True)
class AddArgument(FunctionEdit):
    """Append `argument`, such as "cause=error", to the one call of `call` (a name, dotted or not) in `function`. A call
    that gets too long for its line has its arguments one a line then."""

    call: str
    argument: str

    def edit(self, target: Target) -> cst.Module:
        site = target.call_site(self.call)
        argument = site.with_error_name(self.argument)
        parsed = target.expression(f"_({argument})")
        if not isinstance(parsed, cst.Call) or len(parsed.args) != 1:
            target.refuse(f"`{self.argument}` is not one argument")
        added = parsed.args[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        call = site.tree
        if any(same_code(added, arg) or (arg.keyword and same_code(added.keyword, arg.keyword)) for arg in call.args):
            target.refuse(f"the call of {self.call} already passes `{self.argument}`")
        longer = call.with_changes(args=appended(call.args, added, call.whitespace_before_args))
        edited = target.with_(call, longer)
        new_lines = Target.find(edited, target.where, self.function).lines() - target.lines()
        if any(len(line) > LONGEST_LINE for line in new_lines):
            edited = target.with_(call, one_argument_a_line(longer))
        return edited


@dataclass(frozen=True)
class WrapCall(FunctionEdit):
    """Pass the value of the one call of `call` in `function` on to `wrapper`, followed by `arguments`: `f(x)` becomes
    `wrapper(f(x), arguments)`, over as many lines as the call has."""

    call: str
    wrapper: str
    arguments: str

    def edit(self, target: Target) -> cst.Module:
        site = target.call_site(self.call)
        arguments = site.with_error_name(self.arguments)
        pattern = target.expression(f"{self.wrapper}({arguments})")
        wrapped = wrapped_call(site.tree, cst.ensure_type(pattern, cst.Call))
        if any(same_code(wrapped, node) for node in target.nodes()):
            target.refuse(f"the call of {self.call} is already wrapped in {self.wrapper}")
        return target.with_(site.tree, wrapped)


@dataclass(frozen=True)
class InsertFirst(FunctionEdit):
    """Insert `statement` (one or several, dedented) as the first thing `function` does, after its docstring."""

    statement: str

    def edit(self, target: Target) -> cst.Module:
        block = target.block()
        added = target.statements(self.statement)
        body = list(block.body)
        place = 0 if target.tree.get_docstring() is None else 1
        if same_code(body[place : place + len(added)], added):
            target.refuse(f"`{self.statement}` already stands first")
        return target.with_(block, block.with_changes(body=[*body[:place], *added, *body[place:]]))


@dataclass(frozen=True)
class InsertAfter(FunctionEdit):
    """Insert `statement` (one or several, dedented) after the definition of `function`, where that stands: in a class,
    it may give it another member."""

    statement: str

    def edit(self, target: Target) -> cst.Module:
        block = block_around(target.module, target.tree)
        place = 1 + next(place for place, one in enumerate(block.body) if one is target.tree)
        added = target.statements(self.statement)
        if same_code(block.body[place : place + len(added)], added):
            target.refuse(f"`{self.statement}` already stands after it")
        spaced = [
            added[0].with_changes(leading_lines=[cst.EmptyLine(indent=False), *added[0].leading_lines]),
            *added[1:],
        ]
        body = [*block.body[:place], *spaced, *block.body[place:]]
        return replaced(target.module, block, block, block.with_changes(body=body))


@dataclass(frozen=True)
class InsertBeforeCall(FunctionEdit):
    """Insert `statement` (one or several, dedented) before the statement that holds the one call of `call` in
    `function`; a comment above that statement stays with it."""

    call: str
    statement: str

    def edit(self, target: Target) -> cst.Module:
        site = target.call_site(self.call)
        block, place = site.holder()
        statement = site.with_error_name(self.statement)
        first, *rest = target.statements(statement)
        holder = block.body[place]
        if same_code(block.body[max(0, place - 1 - len(rest)) : place], [first, *rest]):
            target.refuse(f"`{self.statement}` already stands before the call of {self.call}")
        lines = list(getattr(holder, "leading_lines", ()))
        blank = next((n for n, line in enumerate(lines) if line.comment), len(lines))
        first = first.with_changes(leading_lines=[*lines[:blank], *first.leading_lines])
        holder = holder.with_changes(leading_lines=lines[blank:])
        body = [*block.body[:place], first, *rest, holder, *block.body[place + 1 :]]
        return target.with_(block, block.with_changes(body=body))


@dataclass(frozen=True)
class InsertAfterCall(FunctionEdit):
    """Insert `statement` (one or several, dedented) after the simple statement that holds the one call of `call` in
    `function`. Refused after a return or raise, where it would never run."""

    call: str
    statement: str

    def edit(self, target: Target) -> cst.Module:
        site = target.call_site(self.call)
        block, place = site.holder()
        holder = block.body[place]
        if not isinstance(holder, cst.SimpleStatementLine) or isinstance(holder.body[-1], JUMP_STATEMENTS):
            target.refuse(f"nothing can be inserted right after the call of {self.call}")
        statement = site.with_error_name(self.statement)
        added = target.statements(statement)
        if same_code(block.body[place + 1 : place + 1 + len(added)], added):
            target.refuse(f"`{self.statement}` already stands after the call of {self.call}")
        body = [*block.body[: place + 1], *added, *block.body[place + 1 :]]
        return target.with_(block, block.with_changes(body=body))
