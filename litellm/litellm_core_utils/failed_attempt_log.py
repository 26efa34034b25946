"""
How a stream that fails after its first words is logged: as the failed attempt it was, though the next one has begun.
At the proxy all attempts of a request share one logging object, on which the next one writes its own deployment before
LiteLLM has told anybody of this one's failure.
"""

import contextlib
import copy
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import httpx
from litellm._logging import verbose_logger
from litellm.litellm_core_utils.exception_chain import safe_getattr

_HAS_LOGGED: Final = ("has_logged_async_failure", "has_logged_sync_failure")
"""By which LiteLLM knows that it has told callbacks of a failure, be it that of an earlier attempt."""

_LOGGED: Final = "_failed_attempt_logged"
"""Where a logging object keeps the parameters of the attempt whose failure has been logged."""


Logged: TypeAlias = Coroutine[Any, Any, None]  # any-ok: nobody sends into one, or looks at what it waits for
Pieces: TypeAlias = AsyncGenerator[Any, None]  # any-ok: the provider's bytes, or what LiteLLM makes of them


def log_attempt(log: Callable[..., Logged]) -> Callable[..., Logged]:
    """Wrap a method of LiteLLM's `Logging` that tells callbacks of a failure when its coroutine runs: the failure of a
    stream is that of the attempt which was under way when it was called."""

    @functools.wraps(log)
    def logged(self: Any, *args: object, **kwargs: object) -> Logged:  # any-ok: LiteLLM's Logging
        if self.stream is not True:
            return log(self, *args, **kwargs)
        attempt: Final = _attempt_of(self)
        return _given_back(log(attempt, *args, **kwargs), self, attempt)

    return logged


def log_attempt_in_thread(log: Callable[..., None]) -> Callable[..., None]:
    """As `log_attempt`, for a method that has told of the failure when it returns."""

    @functools.wraps(log)
    def logged(self: Any, *args: object, **kwargs: object) -> None:  # any-ok: LiteLLM's Logging
        if self.stream is not True:
            log(self, *args, **kwargs)
            return
        attempt: Final = _attempt_of(self)
        log(attempt, *args, **kwargs)
        _give_back(self, attempt)

    return logged


def _attempt_of(logging: Any) -> Any:  # any-ok: LiteLLM's Logging
    """A copy that the next attempt, which shares `logging`, writes nothing on; LiteLLM takes it for logged if this
    attempt has been, and not an earlier one."""
    attempt: Final = copy.copy(logging)
    attempt.model_call_details = dict(logging.model_call_details)
    if safe_getattr(logging, _LOGGED) is not logging.litellm_params:
        for flag in _HAS_LOGGED:
            attempt.model_call_details.pop(flag, None)
    return attempt


async def _given_back(logged: Logged, shared: object, attempt: object) -> None:
    await logged
    _give_back(shared, attempt)


def _give_back(shared: Any, attempt: Any) -> None:  # any-ok: LiteLLM's Logging
    """Have the proxy, which writes what the callbacks were told, find it where it looks, unless the next attempt has
    begun: each starts with parameters of its own."""
    if shared.litellm_params is attempt.litellm_params:
        shared.model_call_details.update(attempt.model_call_details)
        setattr(shared, _LOGGED, attempt.litellm_params)


class Closing:
    """Why a stream is closed: an event of it has told of a `failure`, or, without one, it is not what was asked for."""

    def __init__(self, failure: Exception | None) -> None:
        self.failure: Final = failure
        self.is_logged = False  # whether LiteLLM logs the stream as failed


_CLOSING: Final[ContextVar[Closing | None]] = ContextVar("closing", default=None)


@contextlib.contextmanager
def closed_for(failure: Exception | None) -> Iterator[Closing]:
    """While this lasts, a stream that is closed is logged as failed with `failure`; without one it is not logged, since
    the log of the answer that is asked for in its place has what it has taken."""
    closing: Final = Closing(failure)
    token: Final = _CLOSING.set(closing)
    try:
        yield closing
    finally:
        _CLOSING.reset(token)


def log_closed_stream(process: Callable[..., Pieces]) -> Callable[..., Pieces]:
    """Wrap `PassThroughStreamingHandler.chunk_processor`, which reads and logs a provider's own stream of /v1/messages:
    one that is closed for a second answer was not left by its reader, for whom LiteLLM logs a success."""

    @functools.wraps(process)
    async def chunk_processor(response: httpx.Response, *args: object, **kwargs: object) -> Pieces:
        pieces: Final = process(response, *args, **kwargs)
        try:
            async for piece in pieces:
                yield piece
        except GeneratorExit:
            await _close(pieces, response)
            raise

    return chunk_processor


async def _close(pieces: Pieces, response: httpx.Response) -> None:
    closing: Final = _CLOSING.get()
    if closing is not None and closing.failure is not None:
        closing.is_logged = True
        with contextlib.suppress(type(closing.failure), StopAsyncIteration):
            await pieces.athrow(closing.failure)
        return
    if closing is not None:
        response.status_code = HTTPStatus.CONFLICT  # of what is no success LiteLLM logs none
    await pieces.aclose()


async def report_failed_stream(logging: object, failure: Exception) -> None:
    """Have LiteLLM's proxy account for a failure of which its caller is told by an event alone: its own way is that of
    streams whose caller has left. `logging` is the request's, None where there is no proxy."""
    report: Final = safe_getattr(logging, "on_detached_stream_failure")
    if not callable(report):
        return
    try:
        await report(failure)
    except Exception:  # the caller gets the event all the same
        verbose_logger.exception("The failure of a stream is not accounted for")
