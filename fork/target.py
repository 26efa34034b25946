"""What an edit is about: one function in a release's module, or the one call of something in that function.

Either names module, release and function where it refuses, so that no edit has to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import libcst as cst

from fork.syntax import (
    ERROR,
    Location,
    Statement,
    begins_with,
    functions,
    handler_around,
    holds,
    parse_expression,
    parse_statements,
    replaced,
    same_code,
    walk,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """The function of `module` that edits know as `name`, dotted for a method or an inner one; `tree` is all of it.
    What is asked of it raises EditError where it is not to be had."""

    module: cst.Module
    where: Location
    name: str
    tree: cst.FunctionDef

    @classmethod
    def find(cls, module: cst.Module, where: Location, name: str) -> Target:
        """The one such function; raises EditError if there is none, or another one."""
        found = list(functions(module, where.current_name(name).split(".")))
        if len(found) != 1:
            where.refuse(f"looked for the function, expected one place and found {len(found)}", name)
        return cls(module, where, name, found[0])

    def refuse(self, why: str) -> NoReturn:
        """Raise EditError for `why`, with the module, the release and the function."""
        self.where.refuse(why, self.name)

    def exactly_one(self, found: Sequence[T], sought: str) -> T:
        """The only one of what was `found`, which `sought` says in words."""
        if len(found) != 1:
            self.refuse(f"looked for {sought}, expected one place and found {len(found)}")
        return found[0]

    def expression(self, source: str) -> cst.BaseExpression:
        """The expression that an edit has written."""
        return parse_expression(source, self.refuse)

    def statements(self, source: str) -> list[Statement]:
        """The statements that an edit has written, dedented."""
        return parse_statements(source, self.refuse)

    def nodes(self) -> Iterator[cst.CSTNode]:
        """All there is in its body."""
        return walk(self.tree.body)

    def block(self) -> cst.IndentedBlock:
        """Its body, which must not be beside the colon."""
        if not isinstance(self.tree.body, cst.IndentedBlock):
            self.refuse("looked for a body in lines of its own, found one beside the colon")
        return self.tree.body

    def call_site(self, callee: str) -> CallSite:
        """The one call of `callee` in it."""
        wanted = self.expression(callee)
        calls = [node for node in self.nodes() if isinstance(node, cst.Call) and same_code(wanted, node.func)]
        return CallSite(self, callee, self.exactly_one(calls, f"a call of {callee}"))

    def with_(self, old: cst.CSTNode, new: cst.CSTNode) -> cst.Module:
        """The module with `new` in the place of `old`, which is in the function or is all of it."""
        return replaced(self.module, self.tree, old, new)

    def lines(self) -> set[str]:
        """Its lines, each as it stands in the module."""
        indent = self.module.default_indent * self.name.count(".")
        return {indent + line for line in self.module.code_for_node(self.tree).splitlines()}


@dataclass(frozen=True)
class CallSite:
    """The one call of `callee` in `target`, and its `tree`."""

    target: Target
    callee: str
    tree: cst.Call

    def holder(self) -> tuple[cst.IndentedBlock, int]:
        """The innermost block with a statement that holds the call, and that statement's place in it. Raises EditError
        where the statement may run the call more than once, or after something in its body."""
        holders = [
            (block, place)
            for block in self.target.nodes()
            if isinstance(block, cst.IndentedBlock)
            for place, statement in enumerate(block.body)
            if holds(statement, self.tree)
        ]
        block, place = holders[-1] if holders else (None, 0)
        if block is None or not begins_with(block.body[place], self.tree):
            self.target.refuse(f"looked for a statement of its own around the call of {self.callee}, found none")
        return block, place

    def with_error_name(self, text: str) -> str:
        """`text`, to be added at the call, with `ERROR` replaced by the name upstream has for the exception there.

        Raises EditError where no except clause of the function is around the call, or one that binds no name.
        """
        if ERROR not in text:
            return text
        handler = handler_around(self.target.tree.body, self.tree)
        if handler is None:
            self.target.refuse(f"looked for an except clause around the call of {self.callee}, found none")
        if handler.name is None:
            self.target.refuse(f"looked for a name for what the except clause around the call of {self.callee} catches")
        return text.replace(ERROR, cst.ensure_type(handler.name.name, cst.Name).value)
