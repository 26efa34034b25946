"""
Has a stream of a chat, of /v1/messages or of /v1/responses that breaks off after its first words go on at another
deployment: one of the same group, then those of its fallbacks. `stream_recovery` says how the two halves are joined.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from litellm.exceptions import MidStreamFallbackError
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.stream_start import PeekedStream, is_async_stream
from litellm.router_utils.failover.chat_halves import ChatHalves
from litellm.router_utils.failover.message_halves import MessageHalves
from litellm.router_utils.failover.recovering_events import RecoveringMessages, RecoveringResponses
from litellm.router_utils.failover.recovering_stream import Ask, RecoveringStream, Rescue
from litellm.router_utils.failover.responses_halves import ResponsesHalves
from litellm.router_utils.failover.retry_state import carrying, current_turn
from litellm.router_utils.failover.second_answers import Request
from litellm.router_utils.failover.stream_recovery import Halves
from litellm.router_utils.failover.stream_settings import held_for, read_mode, without_settings


def recover_streams(ask: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    """Wrap the router's `acompletion`: the stream it gives goes on at another deployment should it break off."""
    return _recovering(ask, _CHAT)


def recover_message_streams(ask: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    """As `recover_streams`, for `aanthropic_messages`."""
    return _recovering(ask, _MESSAGES)


def recover_response_streams(ask: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    """As `recover_streams`, for `aresponses`."""
    return _recovering(ask, _RESPONSES)


def _recovering(ask: Callable[..., Awaitable[object]], api: "_Api") -> Callable[..., Awaitable[object]]:
    @functools.wraps(ask)
    async def recovering(self: object, *args: object, **kwargs: object) -> object:
        rescue: Final = _begin(self, ask, args, kwargs, api)
        if rescue is None:
            return await ask(self, *args, **without_settings(kwargs))
        with carrying(rescue.state):
            response: Final = await ask(self, **rescue.request)
        return api.stream(response, response.__aiter__(), rescue) if is_async_stream(response) else response

    return recovering


def recover_sync_streams(ask: Callable[..., object]) -> Callable[..., object]:
    """As `recover_streams`, for `completion`."""

    @functools.wraps(ask)
    def completion(self: object, *args: object, **kwargs: object) -> object:
        rescue: Final = _begin(self, ask, args, kwargs, _CHAT)
        if rescue is None:
            return ask(self, *args, **without_settings(kwargs))
        with carrying(rescue.state):
            response: Final[Any] = ask(self, **rescue.request)
        is_stream: Final = safe_getattr(response, "__next__") is not None
        return _CHAT.stream(response, iter(response), rescue) if is_stream else response

    return completion


def recover_built_streams(build: Callable[..., Any]) -> Callable[..., Any]:  # any-ok: a method of whichever API
    """Wrap `Router.factory_function`, which before 1.110 makes the methods for /v1/messages and /v1/responses."""

    @functools.wraps(build)
    def factory_function(self: object, original_function: object, *args: object, **kwargs: object) -> object:
        built: Final = build(self, original_function, *args, **kwargs)
        api: Final = next((_BUILT[name] for name in (*args, kwargs.get("call_type")) if name in _BUILT), None)
        if api is None:
            return built
        return functools.partial(_recovering(lambda _, **request: built(**request), api), self)

    return factory_function


def leave_to_recovery(wrap: Callable[..., Any]) -> Callable[..., Any]:  # any-ok: async on one, not on the other
    """Wrap `Router._acompletion_streaming_iterator` and its sync twin, which before 1.108 have a fallback go on after
    any words without a look at what it says, the twin again and again: a stream that is recovered, or read without an
    event loop, raises the provider's failure there."""
    is_async: Final = inspect.iscoroutinefunction(wrap)

    @functools.wraps(wrap)
    def streaming_iterator(  # any-ok: LiteLLM's stream, and what awaits or is one
        self: object, model_response: Any, *args: object, **kwargs: object
    ) -> Any:
        turn: Final = current_turn()
        if is_async and (turn is None or not turn.state.is_recovered):
            return wrap(self, model_response, *args, **kwargs)
        events: Final = model_response.__aiter__() if is_async else iter(model_response)
        return wrap(self, _PlainFailures(model_response, events, []), *args, **kwargs)

    return streaming_iterator


def leave_responses_to_recovery(wrap: Callable[..., Any]) -> Callable[..., Any]:  # any-ok: async before 1.110
    """As `leave_to_recovery`, for `Router._aresponses_streaming_iterator` since 1.88 and `wrap_responses_stream` since
    1.110, which pass on a fallback's events after those of a first half: another response, with words that the caller
    may have."""

    @functools.wraps(wrap)
    def wrapped(owner: object, response: Any, *args: object, **kwargs: object) -> Any:  # any-ok: LiteLLM's stream
        turn: Final = current_turn()
        is_recovered: Final = turn is not None and turn.state.is_recovered
        plain: Final = _PlainFailures(response, response.__aiter__(), []) if is_recovered else response
        return wrap(owner, plain, *args, **kwargs)

    return wrapped


class _PlainFailures(PeekedStream):
    """A stream that raises what the provider's failure is, and not what LiteLLM's router makes of that."""

    async def __anext__(self) -> object:
        try:
            return await super().__anext__()
        except MidStreamFallbackError as error:
            raise error.original_exception or error from error

    def __next__(self) -> object:
        try:
            return super().__next__()
        except MidStreamFallbackError as error:
            raise error.original_exception or error from error


def _begin(owner: object, ask: Ask, args: tuple[object, ...], kwargs: Request, api: "_Api") -> "Rescue | None":
    """What rescues the stream that a call asks for; None if it asks for none, or for one that is not recovered."""
    named: Final = dict(zip(api.arguments, args, strict=False))
    if named.get("stream", kwargs.get("stream")) is not True:
        return None
    own: Final = read_mode(kwargs.get("stream_recovery"))
    if own == "off":
        return None
    seconds: Final = held_for(owner, kwargs.get("hold_ms"))
    request: Final = without_settings({**named, **kwargs})
    answer: Final = api.halves(request)
    return Rescue(owner, ask, request, answer, metadata=api.metadata, own=own, seconds=seconds)


class _Api(NamedTuple):
    """What APIs differ in: how the halves of an answer are joined, where a request has LiteLLM's own metadata, what
    passes for a stream, and what the method's first arguments are called."""

    halves: Callable[[Request], Halves]
    metadata: str
    stream: type[RecoveringStream]
    arguments: Sequence[str] = ("model", "messages", "stream")


_CHAT: Final = _Api(lambda request: ChatHalves(request.get("messages")), "metadata", RecoveringStream)
_MESSAGES: Final = _Api(lambda request: MessageHalves(request.get("messages")), "litellm_metadata", RecoveringMessages)
_RESPONSES: Final = _Api(
    lambda request: ResponsesHalves(request.get("input")), "litellm_metadata", RecoveringResponses, ("input", "model")
)
_BUILT: Final = {"anthropic_messages": _MESSAGES, "aresponses": _RESPONSES}
"""The APIs whose methods `Router.factory_function` makes, by its `call_type`."""
