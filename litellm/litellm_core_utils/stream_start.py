"""
Lets a stream count as an answer only once its first event is there.

A provider that answers 200 and then breaks off, stays silent or sends nothing has failed as surely as one that answers
503, and until the first event the caller has seen nothing of it: the router can still ask another deployment.
"""

import contextlib
import functools
import re
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeGuard, TypeVar

import anyio
import httpx
from litellm.exceptions import APIConnectionError, MidStreamFallbackError
from litellm.litellm_core_utils.answer_settings import EMPTY, fails
from litellm.litellm_core_utils.anthropic_errors import anthropic_stream_error
from litellm.litellm_core_utils.event_stream import RESPONSE_OPENINGS, EventStream
from litellm.litellm_core_utils.exception_chain import fields_of, safe_getattr
from litellm.litellm_core_utils.failure import Basis, Failure, FailureKind, keep_failure
from litellm.litellm_core_utils.release_differences import log_async_failure
from litellm.litellm_core_utils.stream_wait import NOBODY, is_retry_possible, waiting_caller
from litellm.types.utils import ModelResponseStream, StreamingChoices, TextCompletionResponse

if TYPE_CHECKING:  # which imports this module
    from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper

Result = TypeVar("Result")
Stream = TypeVar("Stream")

_MOST_HELD_BACK: Final = 8  # events; a stream kept alive with empty ones has begun
_MOST_BYTES_HELD_BACK: Final = 65536
_PREAMBLE: Final = frozenset({"message_start", "ping", "content_block_start", *RESPONSE_OPENINGS})
"""Events in which nothing of the answer is told: a provider sends them when it takes the request up, and may fail yet.
LiteLLM's bridges make them up before the provider has said a word."""

_GOOGLES_ANSWER: Final = frozenset({"candidates", "promptFeedback"})
"""What an event of Google's has of an answer, or of why there is none; its events have no type."""

_MADE_UP: Final = frozenset({"response.created", "response.in_progress"})
"""What LiteLLM's bridge to the Responses API begins with; on 1.82.6 it does so before its provider is asked."""

_RESPONSES_BRIDGE: Final = "LiteLLMCompletionStreamingIterator"

_CACHE: Final = "cached_response"
"""What LiteLLM has for a provider while it reads an answer out of its cache."""

_HTML: Final = (b"<!doctype html", b"<html")

_TOLD_BY_HTTP: Final = (httpx.HTTPStatusError, httpx.RequestError)
"""What LiteLLM's HTTP clients raise of an answer that has an error in it, or nothing, or that breaks off. Without a
status no release cools a deployment down for it, and since 1.110 none counts it."""


class _FailedStream(Protocol):
    """A stream that keeps what it has raised."""

    failure: Exception


class _StreamAttempt(Protocol):
    """An attempt of the compiled router's, as far as it is looked at."""

    op: str


def is_async_stream(response: object) -> TypeGuard[AsyncIterator[object]]:
    """Whether a response is to be iterated over asynchronously, also one that has the methods from what it wraps."""
    return safe_getattr(response, "__anext__") is not None


async def await_first_event(stream: AsyncIterator[object]) -> AsyncIterator[object]:
    """`stream`, an async iterator, once the first event of its answer is there; iterated, it begins at its beginning.

    Events that only open the answer do not count. Where no other deployment could be asked, a proxy waits for one
    event that LiteLLM has not made up, so that its caller hears of a failure by a status; nobody else waits, and of a
    chat `stream` itself comes back. Raises what the stream raises instead, or APIConnectionError with the kind GARBLED
    if it ends without an answer and `empty_answer` is not `pass`.
    """
    caller: Final = waiting_caller()
    can_be_retried: Final = is_retry_possible()
    if not can_be_retried and caller is NOBODY:
        return stream if _maps_its_failures(stream) else PeekedStream(stream, stream.__aiter__(), [])
    opening: Final = _Opening(stream, _MOST_HELD_BACK if can_be_retried else 0)
    events: Final = stream.__aiter__()  # not always the stream itself: LiteLLM's for MCP has its tools called there
    caller.stream_opened()
    try:
        while opening.says_nothing:
            try:
                event = await events.__anext__()
            except StopAsyncIteration:
                opening.end()
            else:
                opening.add(event)
                caller.event_held_back()
    except BaseException as error:
        await _close(stream)
        reason: Final = _reason(error, stream)
        raise reason from reason.__cause__
    return PeekedStream(stream, events, opening.held_back)


async def _close(stream: object) -> None:
    """Let go of a stream that has failed; why it did is what matters."""
    with anyio.CancelScope(shield=True), contextlib.suppress(Exception):
        close: Final = safe_getattr(stream, "aclose")
        if callable(close):
            await close()


def wait_for_first_event(stream: Iterable[object]) -> "PeekedStream":
    """As `await_first_event`, for an iterator that is not async; where no other deployment could be asked, it waits for
    one event, whichever that is: LiteLLM counts no failure of such a stream that nobody has read."""
    opening: Final = _Opening(stream, _MOST_HELD_BACK if is_retry_possible() else 0)
    events: Final = iter(stream)
    try:
        while opening.says_nothing:
            try:
                event = next(events)
            except StopIteration:
                opening.end()
            else:
                opening.add(event)
    except Exception as error:
        reason: Final = _reason(error, stream)
        raise reason from reason.__cause__
    return PeekedStream(stream, events, opening.held_back)


def await_first_google_event(open_stream: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    """Wrap the compiled router's `open_attempt_stream`, which knows no stream of `agenerate_content_stream`."""

    @functools.wraps(open_stream)
    async def open_attempt_stream(attempt: _StreamAttempt, response: object) -> object:
        opened: Final = await open_stream(attempt, response)
        is_googles: Final = attempt.op == "agenerate_content_stream"
        return await await_first_event(opened) if is_googles and is_async_stream(opened) else opened

    return open_attempt_stream


def fail_on_empty_stream(
    finish_reason_handler: Callable[["CustomStreamWrapper"], Result],
) -> Callable[["CustomStreamWrapper"], Result]:
    """Wrap `CustomStreamWrapper.finish_reason_handler`, which makes up the end of a stream that had none: not of one
    that had nothing at all. An empty or HTML body with status 200 fails there, and is logged as a failure; not so what
    comes out of LiteLLM's cache, or with `empty_answer: pass`."""

    @functools.wraps(finish_reason_handler)
    def fail_or_finish(self: "CustomStreamWrapper") -> Result:
        if (
            not self.received_finish_reason
            and not self.intermittent_finish_reason
            and self.custom_llm_provider != _CACHE
            and all(map(_is_preamble, self.chunks))
            and fails(EMPTY)
        ):
            error: Final = _nothing_received(self)
            _log_failure(self, error)
            self._handle_stream_fallback_error(error)
        return finish_reason_handler(self)

    return fail_or_finish


def keep_stream_failure(anext: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `AnthropicStreamWrapper.__anext__` for `keep_failure_in_event`."""

    @functools.wraps(anext)
    async def __anext__(self: _FailedStream) -> Result:
        try:
            return await anext(self)
        except Exception as error:
            if not isinstance(error, StopAsyncIteration):
                self.failure = error
            raise

    return __anext__


def keep_failure_in_event(sse: Callable[[Stream], AsyncIterator[bytes]]) -> Callable[[Stream], AsyncIterator[bytes]]:
    """Wrap what makes the bytes of an `AnthropicStreamWrapper` or an `AnthropicResponsesStreamWrapper`, which puts a
    failure into an event of the stream. That has the failure itself with it, since the request can still go elsewhere.
    What opens the answer until then is marked, since the wrapper has made it up.
    """

    @functools.wraps(sse)
    async def async_anthropic_sse_wrapper(self: Stream) -> AsyncIterator[bytes]:
        begun = False
        async with contextlib.aclosing(sse(self)) as events:  # type: ignore[type-var]  # an async generator
            async for event in events:
                failure = safe_getattr(self, "failure")
                if isinstance(failure, Exception):
                    yield ErrorEvent(event, failure)
                    continue
                begun = begun or not _is_preamble(event)
                yield event if begun else _MadeUpEvent(event)

    return async_anthropic_sse_wrapper


def raise_stream_failure(sse: Callable[[Stream], AsyncIterator[bytes]]) -> Callable[[Stream], AsyncIterator[bytes]]:
    """Wrap what makes the bytes of an `AnthropicResponsesStreamWrapper`, which before 1.104 ends as if all were well
    when the provider's stream fails: its `failure` is raised once all that came before it has been passed on."""

    @functools.wraps(sse)
    async def events(self: Stream) -> AsyncIterator[bytes]:
        async with contextlib.aclosing(sse(self)) as passed_on:  # type: ignore[type-var]  # an async generator
            async for event in passed_on:
                yield event
        failure: Final = safe_getattr(self, "failure")
        if isinstance(failure, Exception):
            raise failure

    return events


class ErrorEvent(bytes):
    """An event that tells of a failure, with the failure."""

    failure: Exception

    def __new__(cls, event: bytes, failure: Exception) -> "ErrorEvent":
        told: Final = super().__new__(cls, event)
        told.failure = failure
        return told


class _MadeUpEvent(bytes):
    """An event of a bridge's own, which shows of no deployment that it answers."""


class PeekedStream:
    """A stream with the events taken from it put back. It passes for the stream itself, whose class callers look at.

    An error in an event, which some of LiteLLM's streams raise as their HTTP client does, is LiteLLM's own here too.
    """

    _stream: object

    def __init__(self, stream: object, events: object, held_back: list[object]) -> None:
        object.__setattr__(self, "_stream", stream)
        object.__setattr__(self, "_events", events)
        object.__setattr__(self, "_held_back", held_back)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return self._stream.__class__

    def __getattr__(self, name: str) -> Any:  # any-ok: whatever the stream has
        if name[:2] == "__":  # for how to copy it, which a copy is asked before it has a stream
            raise AttributeError(name)
        return getattr(self._stream, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._stream, name, value)

    def __aiter__(self) -> "PeekedStream":
        return self

    def __iter__(self) -> "PeekedStream":
        return self

    async def __anext__(self) -> object:
        try:
            return self._held_back.pop(0) if self._held_back else await self._events.__anext__()
        except _TOLD_BY_HTTP as error:
            raise _mapped(self._stream, error) from error

    def __next__(self) -> object:
        try:
            return self._held_back.pop(0) if self._held_back else next(self._events)
        except _TOLD_BY_HTTP as error:
            raise _mapped(self._stream, error) from error


class _Opening:
    """What has come of a stream, as long as that tells nothing of its answer. A stream that goes on like that for more
    than `most` events has begun."""

    def __init__(self, stream: object, most: int) -> None:
        self.says_nothing = True
        self.held_back: list[object] = []
        self._stream = stream
        self._pieces = EventStream()
        self._most = most
        self._events = 0
        self._bytes = 0

    def add(self, item: object) -> None:
        """Hold back what the stream has yielded: an event, or a piece of the bytes of some. Raises the error that an
        event is."""
        if isinstance(item, ErrorEvent):
            raise item.failure
        self.held_back.append(item)
        if isinstance(item, ModelResponseStream):  # of a chat, which no bridge makes up
            self._count(_is_preamble(item))
        elif isinstance(item, (bytes, str)):
            if not isinstance(item, _MadeUpEvent):
                self._add_piece(item if isinstance(item, bytes) else item.encode())
        elif not _is_made_up(self._stream, item):
            self._count(_is_preamble(item))

    def end(self) -> None:
        """Take the end of the stream into account. Raises APIConnectionError if that was no answer."""
        self._judge(self._pieces.end())
        if self.says_nothing and fails(EMPTY):
            raise _nothing_received(self._stream)
        self.says_nothing = False

    def _add_piece(self, piece: bytes) -> None:
        self._bytes += len(piece)
        self._judge(self._pieces.feed(piece))
        if self._pieces.is_another_format and not self._is_html() or self._bytes > _MOST_BYTES_HELD_BACK:
            self.says_nothing = False

    def _judge(self, events: list[Mapping[str, object]]) -> None:
        for event in events:
            if self.says_nothing:
                error = error_told_by(self._stream, event)
                if error is not None:
                    raise error
                self._count(_is_preamble_data(event))

    def _count(self, is_preamble: bool) -> None:
        self._events += 1
        self.says_nothing = is_preamble and self._events <= self._most

    def _is_html(self) -> bool:
        """Whether the pieces are the beginning of a web page, or may yet become one."""
        text: Final = b"".join(piece for piece in self.held_back if isinstance(piece, bytes)).lstrip().lower()
        return any(text.startswith(page) or page.startswith(text) for page in _HTML)


def _maps_its_failures(stream: object) -> bool:
    from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper

    return isinstance(stream, CustomStreamWrapper)


def _is_a_bridge(stream: object) -> bool:
    """Also one that a release such as 1.95 has wrapped, for a place to put its headers."""
    return _RESPONSES_BRIDGE in (type(stream).__name__, type(safe_getattr(stream, "_inner")).__name__)


def _is_made_up(stream: object, event: object) -> bool:
    """Whether LiteLLM's bridge to the Responses API may begin with an event like this before its provider has."""
    return _is_a_bridge(stream) and safe_getattr(event, "type") in _MADE_UP


def _is_preamble(event: object) -> bool:
    """Whether an event comes before the answer: names the role, opens a block, keeps the connection alive."""
    if isinstance(event, ModelResponseStream):
        return not any(map(_has_content, event.choices))
    if isinstance(event, TextCompletionResponse):
        return not any(choice.text or choice.finish_reason for choice in event.choices)
    if isinstance(event, bytes):
        return _are_preamble(event)
    return safe_getattr(event, "type") in _PREAMBLE


def _are_preamble(events: bytes) -> bool:
    """Whether whole events, as bytes, all come before the answer."""
    opening: Final = EventStream()
    told: Final = [*opening.feed(events), *opening.end()]
    return bool(told) and all(map(_is_preamble_data, told))


def _is_preamble_data(data: Mapping[str, object]) -> bool:
    if "type" not in data:
        return _GOOGLES_ANSWER.isdisjoint(data)
    return data["type"] in _PREAMBLE or data.get("delta") == {"type": "text_delta", "text": ""}


def error_told_by(stream: object, data: Mapping[str, object]) -> Exception | None:
    """The error that an event of `stream` is, as its status would have been raised before the stream; None if none."""
    failure: Final = _error_in(data)
    return None if failure is None else _mapped(stream, failure)


def unreadable_event(stream: object) -> Exception:
    """What a stream has failed with, of which an event is no JSON."""
    return _mapped(stream, httpx.DecodingError("an event of the answer is no JSON"))


def _mapped(stream: object, failure: Exception) -> Exception:
    """As LiteLLM's exception mapping has it. A stream that does not say whose it is is one of /v1/messages."""
    from litellm.litellm_core_utils.exception_mapping_utils import exception_type

    try:
        exception_type(
            model=str(safe_getattr(stream, "model") or ""),
            original_exception=failure,
            custom_llm_provider=str(safe_getattr(stream, "custom_llm_provider") or "anthropic"),
        )
    except Exception as mapped:
        return mapped
    return failure


def _error_in(data: Mapping[str, object]) -> Exception | None:
    """The failure an event tells of, None if it is no error. Anthropic has types of errors for that, Google gives the
    status itself (its AIP-193)."""
    from litellm.llms.base_llm.chat.transformation import BaseLLMException

    said: Final = data.get("error")
    if data.get("type") == "error":
        return anthropic_stream_error(said)
    code: Final = str(said.get("code")) if isinstance(said, Mapping) else ""
    if not isinstance(said, Mapping) or re.fullmatch(r"[45]\d\d", code, re.ASCII) is None:
        return None
    return BaseLLMException(status_code=int(code), message=str(said.get("message")))


def _has_content(choice: StreamingChoices) -> bool:
    has: Final = fields_of(choice)
    said: Final = {**fields_of(has["delta"]), "role": None}
    return has.get("finish_reason") is not None or any(said.values())


def _reason(error: BaseException, stream: object) -> BaseException:
    """Why there is no first event, as the router would have been told before the stream began: some of LiteLLM's
    streams raise what their HTTP client does."""
    if isinstance(error, _TOLD_BY_HTTP):
        return _mapped(stream, error)
    return (error.original_exception or error) if isinstance(error, MidStreamFallbackError) else error


def _nothing_received(stream: object) -> APIConnectionError:
    provider: Final = str(safe_getattr(stream, "custom_llm_provider") or "unknown")
    error: Final = APIConnectionError(
        message=f"{provider} answered with a stream that ended without a single event",
        llm_provider=provider,
        model=str(safe_getattr(stream, "model") or ""),
    )
    keep_failure(error, Failure(FailureKind.GARBLED, None, Basis.LITELLM))
    return error


def _log_failure(stream: "CustomStreamWrapper", error: Exception) -> None:
    """As the stream wrapper logs what its stream raises, which it can no longer do once the stream has ended."""
    logging: Final = stream.logging_obj
    trace: Final = "".join(traceback.format_exception(error))
    of_call: Final = logging.model_call_details.get("litellm_params") or {}
    if not (of_call.get("acompletion") or of_call.get("atext_completion")):
        threading.Thread(target=logging.failure_handler, args=(error, trace)).start()
    else:
        log_async_failure(logging, error, trace)
