"""
What a stream's first event is waited for: another deployment to ask should there be none, and a caller who waits too.

Both are known where the stream is not: the first to the router, which makes the attempt, the second to the proxy, which
has the connection. Kept in context variables, because LiteLLM's functions in between take no such argument.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Protocol


class WaitingCaller(Protocol):
    """Who is to be told how far a stream has come that a router holds back."""

    def stream_opened(self) -> None:
        """A deployment has begun to stream; none of it has come yet."""

    def event_held_back(self) -> None:
        """Something of the stream has come that would have been sent to the caller by now, were it not held back."""


class _Nobody:
    def stream_opened(self) -> None:
        pass

    def event_held_back(self) -> None:
        pass


class _Told:
    """What a context variable holds. A connection or task that is begun in the context keeps that for good: what it
    stands for is let go of once the request is over."""

    def __init__(self, caller: WaitingCaller | None = None, decide: Callable[[], bool] | None = None) -> None:
        self.caller = caller
        self.decide = decide


NOBODY: Final = _Nobody()
"""Who is not to be told anything: the caller of a request that no proxy is looking after."""

_NOTHING: Final = _Told()
_CALLER: Final[ContextVar[_Told]] = ContextVar("litellm_waiting_caller", default=_NOTHING)
_ELSEWHERE: Final[ContextVar[_Told]] = ContextVar("litellm_stream_elsewhere", default=_NOTHING)


def waiting_caller() -> WaitingCaller:
    """The caller of the request in whose context this is called, or one who is not to be told anything."""
    return _CALLER.get().caller or NOBODY


@contextmanager
def notify_caller(caller: WaitingCaller) -> Iterator[None]:
    """Have `caller` told of the streams of the requests that are made meanwhile."""
    told: Final = _Told(caller=caller)
    token: Final = _CALLER.set(told)
    try:
        yield
    finally:
        told.caller = None
        _CALLER.reset(token)


def is_retry_possible() -> bool:
    """Whether the attempt in whose context this is called can be followed by another one, if its stream fails. True
    where nobody has said so: a stream is held back in vain then, which costs a little time and no answer."""
    decide: Final = _ELSEWHERE.get().decide
    return decide is None or decide()


@contextmanager
def retry_possible_if(decide: Callable[[], bool]) -> Iterator[None]:
    """Have `decide` say whether the attempt that is made meanwhile can be followed by another one. It is asked once its
    deployment has been chosen."""
    told: Final = _Told(decide=decide)
    token: Final = _ELSEWHERE.set(told)
    try:
        yield
    finally:
        told.decide = None
        _ELSEWHERE.reset(token)
