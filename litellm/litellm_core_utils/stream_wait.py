"""
What a stream's first event is waited for: another deployment to ask should there be none, and a caller who waits too.

Both are known where the stream is not: the first to the router, which makes the attempt, the second to the proxy, which
has the connection. Kept in context variables, because LiteLLM's functions in between take no such argument.
"""

from collections.abc import Callable
from typing import Final, Protocol

from litellm.litellm_core_utils.context_slot import ContextSlot


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


NOBODY: Final = _Nobody()
"""Who is not to be told anything: the caller of a request that no proxy is looking after."""

_CALLER: Final = ContextSlot[WaitingCaller]("litellm_waiting_caller")
_ELSEWHERE: Final = ContextSlot[Callable[[], bool]]("litellm_stream_elsewhere")

notify_caller: Final = _CALLER.holding
"""Have a `WaitingCaller` told of the streams of the requests that are made meanwhile."""

retry_possible_if: Final = _ELSEWHERE.holding
"""Have a function say whether the attempt that is made meanwhile can be followed by another one. It is asked once its
deployment has been chosen."""


def waiting_caller() -> WaitingCaller:
    """The caller of the request in whose context this is called, or one who is not to be told anything."""
    return _CALLER.get() or NOBODY


def is_retry_possible() -> bool:
    """Whether the attempt in whose context this is called can be followed by another one, if its stream fails. True
    where nobody has said so: a stream is held back in vain then, which costs a little time and no answer."""
    decide: Final = _ELSEWHERE.get()
    return decide is None or decide()
