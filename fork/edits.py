"""The vocabulary patches are written in: an edit names one place in a LiteLLM module and changes that place only.

Places are found in the syntax tree (LibCST), so upstream's line numbers, layout and comments may move freely. An edit
that finds no place, or several, or its own result, raises `EditError`.

What an edit adds at a call may say `{error}` for the exception that the innermost `except` clause around the call has
caught: upstream's name for it differs by release. Refused where there is no such clause or it binds no name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar, cast

import libcst as cst
from packaging.specifiers import SpecifierSet

from fork.syntax import (
    EditError,
    Location,
    appended,
    end_of_imports,
    exactly_one,
    find_call,
    find_function,
    find_statement,
    holds_import,
    imported_names,
    indented_docstring,
    lines_of,
    names_imported_from,
    one_argument_a_line,
    or_joined,
    parenthesized,
    parse_expression,
    parse_statements,
    replaced,
    same_code,
    walk,
    with_error_name,
    wrapped_call,
)

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


def apply_edits(source: bytes, edits: Sequence[Edit], where: Location) -> bytes:
    """Apply `edits` in order to a module's source and check that the result is still Python.

    Encoding, line endings and all text no edit asked to change are returned as they came. Raises EditError.
    """
    try:
        module = cst.parse_module(source)
    except cst.ParserSyntaxError as error:
        where.refuse(f"the base's source cannot be parsed ({error.message})")
    try:
        for edit in edits:
            module = edit.apply(module, where)
        edited = module.bytes
        compile(edited, where.path, "exec", dont_inherit=True)
    except (SyntaxError, cst.CSTValidationError) as error:
        where.refuse(f"the edited module is not valid Python: {error}".rstrip("."))
    return edited


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
        (statement,) = parse_statements(line, where)
        return cst.ensure_type(statement, cst.SimpleStatementLine)


@dataclass(frozen=True)
class Decorate:
    """Put `decorator` (written without the @) closest to `function`, so that staticmethod or property above it still
    work. `function` is dotted for a method or an inner function: "Router.completion"."""

    function: str
    decorator: str

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        function = find_function(module, self.function, where)
        decorator = cst.Decorator(parse_expression(self.decorator, where, self.function))
        if any(same_code(decorator, present) for present in function.decorators):
            where.refuse(f"it already carries the decorator {self.decorator}", self.function)
        return replaced(module, function, function, function.with_changes(decorators=[*function.decorators, decorator]))


@dataclass(frozen=True)
class ReplaceBody:
    """Replace all of `function`'s body, its docstring included, by `body` (dedented before use)."""

    function: str
    body: str

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        function = find_function(module, self.function, where)
        body = parse_statements(self.body, where, self.function)
        body = indented_docstring(body, module, depth=len(self.function.split(".")))
        if not isinstance(function.body, cst.IndentedBlock):
            where.refuse("looked for a body in lines of its own, found one beside the colon", self.function)
        if same_code(function.body.body, body):
            where.refuse("the body is already the one it was to be replaced by", self.function)
        return replaced(module, function, function.body, function.body.with_changes(body=body))


@dataclass(frozen=True)
class ReplaceExpression:
    """Replace the one `expression` in `function`'s body by `by`."""

    function: str
    expression: str
    by: str

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        function = find_function(module, self.function, where)
        expression = parse_expression(self.expression, where, self.function)
        by = parse_expression(self.by, where, self.function)
        if any(same_code(by, node) for node in walk(function.body)):
            where.refuse(f"`{self.by}` already stands there", self.function)
        found = [node for node in walk(function.body) if same_code(expression, node)]
        place = exactly_one(found, f"the expression `{self.expression}`", where, self.function)
        return replaced(module, function, place, by)


@dataclass(frozen=True)
class WidenCondition:
    """Make the test of an `if`, `elif` or `while`, or a part of such a test, `condition or or_`, with the parentheses
    that takes: `a` in `if a and b` becomes `if (a or or_) and b`."""

    function: str
    condition: str
    or_: str

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        function = find_function(module, self.function, where)
        condition = parse_expression(self.condition, where, self.function)
        added = parenthesized(parse_expression(self.or_, where, self.function))
        tests = [node.test for node in walk(function.body) if isinstance(node, (cst.If, cst.While))]
        parts = [node for test in tests for node in walk(test)]
        widened = cst.BooleanOperation(condition, cst.Or(), added)
        if any(same_code(widened, part) for part in parts):
            where.refuse(f"the condition `{self.condition}` is already widened by `or {self.or_}`", self.function)
        found = [part for part in parts if same_code(condition, part)]
        place = cast(cst.BaseExpression, exactly_one(found, f"the condition `{self.condition}`", where, self.function))
        return replaced(module, function, place, or_joined(place, added, whole=any(place is test for test in tests)))


@dataclass(frozen=True)
class RemoveHandler:
    """Remove the one `except` clause for `exception` in `function`, with the comments in it, so that the exception goes
    where those without a clause go. Refused for the only one of its `try`."""

    function: str
    exception: str

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        function = find_function(module, self.function, where)
        exception = parse_expression(self.exception, where, self.function)
        handlers = [
            (statement, handler)
            for statement in walk(function.body)
            if isinstance(statement, cst.Try)
            for handler in statement.handlers
            if same_code(exception, handler.type)
        ]
        statement, handler = exactly_one(handlers, f"a handler of {self.exception}", where, self.function)
        if len(statement.handlers) == 1:
            where.refuse(f"the handler of {self.exception} is the only one of its try", self.function)
        kept = [other for other in statement.handlers if other is not handler]
        return replaced(module, function, statement, statement.with_changes(handlers=kept))


@dataclass(frozen=True)
class AddParameter:
    """Append `parameter`, such as "cause: Exception | None = None", to `function`'s parameters: the last of the
    positional ones, or keyword-only where the function takes *args or has keyword-only parameters already."""

    function: str
    parameter: str

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        function = find_function(module, self.function, where)
        added = self._parsed(where)
        if any(isinstance(node, cst.Param) and same_code(node.name, added.name) for node in walk(function.params)):
            where.refuse(f"it already has a parameter {added.name.value}", self.function)
        params = function.params
        opening = function.whitespace_before_params
        if isinstance(params.star_arg, cst.Param) and not params.kwonly_params:
            star_arg, added = appended([params.star_arg], added, opening)
            return replaced(module, function, params, params.with_changes(star_arg=star_arg, kwonly_params=[added]))
        field = "kwonly_params" if params.kwonly_params else "params"
        return replaced(
            module, function, params, params.with_changes(**{field: appended(getattr(params, field), added, opening)})
        )

    def _parsed(self, where: Location) -> cst.Param:
        try:
            parsed = cst.ensure_type(cst.parse_statement(f"def _({self.parameter}): ..."), cst.FunctionDef).params
        except cst.ParserSyntaxError:
            where.refuse(f"`{self.parameter}` is not a parameter", self.function)
        if len(parsed.params) != 1 or len([node for node in parsed.children if isinstance(node, cst.Param)]) != 1:
            where.refuse(f"`{self.parameter}` is not one plain parameter", self.function)
        return parsed.params[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)


@dataclass(frozen=True)
class AddArgument:
    """Append `argument`, such as "cause=error", to the one call of `call` (a name, dotted or not) in `function`. A call
    that gets too long for its line has its arguments one a line then."""

    function: str
    call: str
    argument: str

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        function = find_function(module, self.function, where)
        call = find_call(function, self.call, where, self.function)
        argument = with_error_name(self.argument, function, call, self.call, where, self.function)
        parsed = parse_expression(f"_({argument})", where, self.function)
        if not isinstance(parsed, cst.Call) or len(parsed.args) != 1:
            where.refuse(f"`{self.argument}` is not one argument", self.function)
        added = parsed.args[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        if any(same_code(added, arg) or (arg.keyword and same_code(added.keyword, arg.keyword)) for arg in call.args):
            where.refuse(f"the call of {self.call} already passes `{self.argument}`", self.function)
        longer = call.with_changes(args=appended(call.args, added, call.whitespace_before_args))
        edited = replaced(module, function, call, longer)
        new_lines = lines_of(edited, self.function, where) - lines_of(module, self.function, where)
        if any(len(line) > LONGEST_LINE for line in new_lines):
            edited = replaced(module, function, call, one_argument_a_line(longer))
        return edited


@dataclass(frozen=True)
class WrapCall:
    """Pass the value of the one call of `call` in `function` on to `wrapper`, followed by `arguments`: `f(x)` becomes
    `wrapper(f(x), arguments)`, over as many lines as the call has."""

    function: str
    call: str
    wrapper: str
    arguments: str

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        function = find_function(module, self.function, where)
        call = find_call(function, self.call, where, self.function)
        arguments = with_error_name(self.arguments, function, call, self.call, where, self.function)
        pattern = parse_expression(f"{self.wrapper}({arguments})", where, self.function)
        wrapped = wrapped_call(call, cst.ensure_type(pattern, cst.Call))
        if any(same_code(wrapped, node) for node in walk(function.body)):
            where.refuse(f"the call of {self.call} is already wrapped in {self.wrapper}", self.function)
        return replaced(module, function, call, wrapped)


@dataclass(frozen=True)
class InsertFirst:
    """Insert `statement` (one or several, dedented) as the first thing `function` does, after its docstring."""

    function: str
    statement: str

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        function = find_function(module, self.function, where)
        if not isinstance(function.body, cst.IndentedBlock):
            where.refuse("looked for a body in lines of its own, found one beside the colon", self.function)
        added = parse_statements(self.statement, where, self.function)
        body = list(function.body.body)
        place = 0 if function.get_docstring() is None else 1
        if same_code(body[place : place + len(added)], added):
            where.refuse(f"`{self.statement}` already stands first", self.function)
        return replaced(
            module, function, function.body, function.body.with_changes(body=[*body[:place], *added, *body[place:]])
        )


@dataclass(frozen=True)
class InsertBeforeCall:
    """Insert `statement` (one or several, dedented) before the statement that holds the one call of `call` in
    `function`; a comment above that statement stays with it."""

    function: str
    call: str
    statement: str

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        function = find_function(module, self.function, where)
        call = find_call(function, self.call, where, self.function)
        block, place = find_statement(function, call, self.call, where, self.function)
        statement = with_error_name(self.statement, function, call, self.call, where, self.function)
        first, *rest = parse_statements(statement, where, self.function)
        holder = block.body[place]
        if same_code(block.body[max(0, place - 1 - len(rest)) : place], [first, *rest]):
            where.refuse(f"`{self.statement}` already stands before the call of {self.call}", self.function)
        lines = list(getattr(holder, "leading_lines", ()))
        blank = next((n for n, line in enumerate(lines) if line.comment), len(lines))
        first = first.with_changes(leading_lines=[*lines[:blank], *first.leading_lines])
        holder = holder.with_changes(leading_lines=lines[blank:])
        body = [*block.body[:place], first, *rest, holder, *block.body[place + 1 :]]
        return replaced(module, function, block, block.with_changes(body=body))


@dataclass(frozen=True)
class InsertAfterCall:
    """Insert `statement` (one or several, dedented) after the simple statement that holds the one call of `call` in
    `function`. Refused after a return or raise, where it would never run."""

    function: str
    call: str
    statement: str

    def apply(self, module: cst.Module, where: Location) -> cst.Module:
        function = find_function(module, self.function, where)
        call = find_call(function, self.call, where, self.function)
        block, place = find_statement(function, call, self.call, where, self.function)
        holder = block.body[place]
        if not isinstance(holder, cst.SimpleStatementLine) or isinstance(holder.body[-1], JUMP_STATEMENTS):
            where.refuse(f"nothing can be inserted right after the call of {self.call}", self.function)
        statement = with_error_name(self.statement, function, call, self.call, where, self.function)
        added = parse_statements(statement, where, self.function)
        if same_code(block.body[place + 1 : place + 1 + len(added)], added):
            where.refuse(f"`{self.statement}` already stands after the call of {self.call}", self.function)
        body = [*block.body[: place + 1], *added, *block.body[place + 1 :]]
        return replaced(module, function, block, block.with_changes(body=body))
