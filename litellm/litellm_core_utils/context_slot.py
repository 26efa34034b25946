"""
A context variable that has something for as long as a block runs.

A connection or a task that is begun in a context keeps what the context's variables hold for good: a slot lets go of it
once the block is over.
"""

import functools
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")


class ContextSlot(Generic[Value]):
    """A context variable, by its `name`, that is empty but in the blocks of `holding`."""

    def __init__(self, name: str) -> None:
        self._variable: Final[ContextVar[Holding[Value] | None]] = ContextVar(name, default=None)
        self.holding: Final[Callable[[Value], Holding[Value]]] = functools.partial(Holding, self._variable)
        """A context manager for a block in which it has the given value, which entering it returns."""

    def get(self) -> Value | None:
        """What it has in the context in which this is called, None if nothing."""
        held: Final = self._variable.get()
        return None if held is None else held.value


class Holding(Generic[Value]):
    """A block in which a slot has something. A class, since a generator costs each attempt more."""

    __slots__ = ("_token", "_variable", "value")

    def __init__(self, variable: "ContextVar[Holding[Value] | None]", value: Value) -> None:
        self.value: Value | None = value
        self._variable: Final = variable
        self._token: Token[Holding[Value] | None] | None = None

    def __enter__(self) -> Value:
        self._token = self._variable.set(self)
        return self.value  # type: ignore[return-value]  # which it has until the block is over

    def __exit__(self, *raised: object) -> None:
        self.value = None
        if self._token is None:
            return
        try:
            self._variable.reset(self._token)
        except ValueError:  # a coroutine that is closed in another context than its own
            return
