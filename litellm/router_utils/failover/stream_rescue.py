"""
Has a stream of a chat, of /v1/messages or of /v1/responses that breaks off after its first words go on at another
deployment: one of the same group, then those of its fallbacks. `stream_recovery` says how the two halves are joined.
"""

import contextlib
import functools
import inspect
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, Final, NamedTuple, NoReturn, Protocol

import litellm
from litellm.exceptions import MidStreamFallbackError
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.failure import failure_of
from litellm.litellm_core_utils.stream_start import ErrorEvent, PeekedStream, error_told_by, is_async_stream
from litellm.router_utils.failover.chat_halves import ChatHalves
from litellm.router_utils.failover.deadline import Deadline, deadline_under_way
from litellm.router_utils.failover.message_halves import MessageHalves, split_at_error
from litellm.router_utils.failover.policy import is_deployment_fault
from litellm.router_utils.failover.responses_halves import ResponsesHalves, failed_response
from litellm.router_utils.failover.retry_state import (
    Attempt,
    FailedAttempt,
    GroupTurn,
    RequestState,
    carrying,
    current_turn,
)
from litellm.router_utils.failover.router_view import Router, as_router, deployment_setting, may_fall_back_to
from litellm.router_utils.failover.second_answers import Asks, Request, groups_beyond, second_answers
from litellm.router_utils.failover.stream_recovery import MOST_HELD, Diverged, Half, Halves
from litellm.router_utils.failover.stream_settings import held_for, mode_of, read_mode, without_settings
from litellm.router_utils.failover.total_timeout import deadline_for, run_within, timed_out

_EVENT: Final = 3500  # bytes that a chunk of LiteLLM's takes beside its text; measured on 1.110

RESCUED: Final = "rescued_failures"
"""Where the metadata of a request names the failures of halves that were rescued, for callbacks."""

Ask = Callable[..., Any]  # any-ok: the router's own method, async or not


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
    router: Final = as_router(owner)
    seconds: Final = held_for(router, kwargs.get("hold_ms"))
    return Rescue(owner, router, ask, without_settings({**named, **kwargs}), api, own=own, seconds=seconds)


class Rescue:
    """What is known of a stream for the case that it breaks off. `own` is the request's mode, if it has one, and
    `seconds` how long words are held back, None for to the end."""

    def __init__(
        self,
        owner: object,
        router: Router,
        ask: Ask,
        request: Request,
        api: "_Api",
        *,
        own: str | None,
        seconds: float | None,
    ) -> None:
        self.owner: Final = owner
        self.router: Final = router
        self.ask: Final = ask
        self.request: Final = request
        self.mode = own or mode_of(router)
        self.state: Final = RequestState(is_recovered=self.mode != "off")
        self.answer: Final = api.halves(request)
        self._metadata: Final = api.metadata
        self.deadline: Final = deadline_for(router, dict(request))  # what is held back keeps to
        self.hold_until = None if seconds is None else time.monotonic() + seconds
        if self.deadline is not None:
            self.hold_until = min(self.deadline.nearly, self.hold_until or math.inf)
        self.taken: Final[list[object]] = []  # what the caller is to get next
        self.is_plain = False  # whether nothing but passing on is to be done
        self.is_holding = False
        self.is_over = False  # whether the caller has been told of a failure
        self._is_settled = False
        self._has_own: Final = own is not None
        self._error: Exception | None = None

    def settle(self, stream: object) -> None:
        """Heed the mode of the deployment that `stream` comes from, if the request has none."""
        if self._is_settled:
            return
        self._is_settled = True
        name: Final = self._deployment_of(stream)
        if not self._has_own and name is not None:
            self.mode = read_mode(deployment_setting(self.router, str(name), "stream_recovery")) or self.mode
        self.is_holding = self.mode == "hold"
        if self.deadline is not None:
            turn: Final = GroupTurn(str(self.request.get("model")), self.router, self.request, self.state)
            turn.attempt = Attempt(deployment_id=None if name is None else str(name))
            self.deadline.turn = turn

    def broke(self, stream: object, error: Exception, held: str) -> None:
        """Remember that `stream` has broken off with `error`; `held` are the words that the caller was never sent."""
        self.is_plain = False
        self.answer.broke(str(safe_getattr(stream, "model") or ""), held)
        if isinstance(error, Diverged):
            return
        self._error = error
        name: Final = self._deployment_of(stream)
        failure: Final = failure_of(error)
        group: Final = str(self.request.get("model"))
        failed: Final = FailedAttempt(str(name), group, failure.kind, failure.http_status, failure.retry_after)
        self.state.attempts.append(failed)
        if self.request.get(self._metadata) is None:
            self.request[self._metadata] = {}
        metadata: Final = self.request[self._metadata]
        if isinstance(metadata, dict):
            metadata.setdefault(RESCUED, []).append(f"{name}: {failure.kind.value}")

    def _deployment_of(self, stream: object) -> object:
        """The id of the deployment that a stream comes from, None if nobody says."""
        params: Final = safe_getattr(stream, "_hidden_params")
        told: Final = params.get("model_id") if isinstance(params, dict) else None
        return self.state.asked if told is None else told

    def wanted(self, error: Exception) -> Sequence[Half]:
        """What to ask for after a break with `error`, in this order."""
        possible: Final = self.answer.wanted(self.request)
        if isinstance(error, Diverged):
            return (Half.RESTARTED,) if error.is_echo and possible else ()
        is_hopeless: Final = self.mode == "off" or not is_deployment_fault(failure_of(error).kind)
        return () if is_hopeless or _is_guarded() else possible

    def asks(self, error: Exception, wanted: Sequence[Half], denied: Sequence[str]) -> Asks:
        """The requests for a second answer, as `second_answers` has them. Raises what broke off if there is none."""
        rest: Final = self.answer.prefilled(self.request)
        found: Final = yield from second_answers(self.router, self.request, self.state, rest, wanted, denied)
        if found is None:
            self.is_over = True
            if self.is_holding and self.deadline is not None and self.deadline.has_passed:
                raise timed_out(self.deadline) from error
            raise self._error or error
        return found


def _is_guarded() -> bool:
    """Whether a guardrail looks at answers: what it has passed or changed of a half is not the other half's."""
    from litellm.integrations.custom_guardrail import CustomGuardrail
    from litellm.types.guardrails import GuardrailEventHooks

    return any(
        isinstance(one, CustomGuardrail) and one._event_hook_is_event_type(GuardrailEventHooks.post_call)
        for one in litellm.callbacks
    )


class _Calls(Protocol):
    """How a stream is read and a router asked: with or without an event loop."""

    async def next(self, stream: "RecoveringStream") -> object: ...
    async def close(self, stream: object) -> None: ...
    async def denied(self, rescue: Rescue) -> Sequence[str]: ...
    async def ask(self, rescue: Rescue, request: Request) -> object: ...
    async def hold(self, stream: "RecoveringStream") -> None: ...
    def events(self, answer: Any) -> object: ...  # any-ok: a stream of either kind


class _AsyncCalls:
    async def next(self, stream: "RecoveringStream") -> object:
        return await PeekedStream.__anext__(stream)

    async def close(self, stream: object) -> None:
        close: Final = safe_getattr(stream, "aclose")
        if callable(close):
            await close()

    async def denied(self, rescue: Rescue) -> Sequence[str]:
        beyond: Final = groups_beyond(rescue.router, rescue.request)
        return [one for one in beyond if not await may_fall_back_to(rescue.router, one, rescue.request)]

    async def ask(self, rescue: Rescue, request: Request) -> object:
        with carrying(rescue.state):
            return await rescue.ask(rescue.owner, **request)

    async def hold(self, stream: "RecoveringStream") -> None:
        deadline: Final[Deadline | None] = stream._rescue.deadline
        hold: Final = functools.partial(stream._hold, self)
        await (hold() if deadline is None else run_within(deadline, hold))

    def events(self, answer: AsyncIterator[object]) -> object:
        return answer.__aiter__()


class _SyncCalls:
    """Nothing here waits, so that `_at_once` can run what calls it."""

    async def next(self, stream: "RecoveringStream") -> object:
        try:
            return PeekedStream.__next__(stream)
        except StopIteration:
            raise StopAsyncIteration from None

    async def close(self, stream: object) -> None:
        close: Final = safe_getattr(stream, "close")
        if callable(close):
            close()

    async def denied(self, rescue: Rescue) -> Sequence[str]:
        return ()  # a proxy, which has keys, asks without blocking

    async def ask(self, rescue: Rescue, request: Request) -> object:
        with carrying(rescue.state):
            return rescue.ask(rescue.owner, **request)

    async def hold(self, stream: "RecoveringStream") -> None:
        deadline: Final[Deadline | None] = stream._rescue.deadline
        with contextlib.nullcontext() if deadline is None else deadline_under_way(deadline):
            await stream._hold(self)

    def events(self, answer: Iterator[object]) -> object:
        return iter(answer)


_ASYNC: Final[_Calls] = _AsyncCalls()
_SYNC: Final[_Calls] = _SyncCalls()


def _at_once(reading: Coroutine[object, None, object]) -> object:
    """What a coroutine returns that waits for nothing."""
    try:
        reading.send(None)
    except StopIteration as done:
        return done.value
    except StopAsyncIteration:
        raise StopIteration from None
    raise RuntimeError("a stream that is read without an event loop has waited for one")


class RecoveringStream(PeekedStream):
    """A stream that goes on at another deployment should it break off; it passes for the one that is being read."""

    def __init__(self, stream: object, events: object, rescue: Rescue) -> None:
        super().__init__(stream, events, [])
        object.__setattr__(self, "_rescue", rescue)

    async def __anext__(self) -> object:
        rescue: Final[Rescue] = self._rescue
        if not rescue.is_plain:
            return await self._next(_ASYNC)
        try:
            item = await super().__anext__()
        except StopAsyncIteration:
            raise
        except Exception as error:
            return await self._next(_ASYNC, error)
        rescue.answer.passed_on.append(item)
        return item

    def __next__(self) -> object:
        rescue: Final[Rescue] = self._rescue
        if not rescue.is_plain:
            return _at_once(self._next(_SYNC))
        try:
            item = super().__next__()
        except StopIteration:
            raise
        except Exception as error:
            return _at_once(self._next(_SYNC, error))
        rescue.answer.passed_on.append(item)
        return item

    async def _next(self, calls: _Calls, error: Exception | None = None) -> object:
        """What the caller gets next, where that is more than the stream's next item, or after an `error` of it."""
        rescue: Final[Rescue] = self._rescue
        if rescue.is_over:
            raise StopAsyncIteration
        rescue.settle(self._stream)
        while not rescue.taken:
            if error is not None:
                await self._recover(calls, error)
            if rescue.is_holding:
                await self._hold_back(calls)
            try:
                rescue.taken.extend(rescue.answer.take(await self._read(calls)))
            except StopAsyncIteration:
                if rescue.answer.is_joined:
                    raise
                error = Diverged(is_echo=rescue.answer.half is Half.CONTINUED)
            except Exception as failure:
                error = failure
            else:
                error = None
                rescue.is_plain = rescue.answer.is_first
        return rescue.taken.pop(0)

    async def _read(self, calls: _Calls) -> object:
        return await calls.next(self)

    async def _recover(self, calls: _Calls, error: Exception, held: str = "") -> None:
        """Go on with a second answer. Raises what the stream broke off with if there is none."""
        rescue: Final[Rescue] = self._rescue
        rescue.broke(self._stream, error, held)
        if isinstance(error, Diverged):
            await calls.close(self._stream)
        wanted: Final = rescue.wanted(error)
        asks: Final = rescue.asks(error, wanted, await calls.denied(rescue) if wanted else ())
        try:
            asked = next(asks)
            while True:
                try:
                    answer = await calls.ask(rescue, asked)
                except Exception as failure:
                    asked = asks.throw(failure)
                else:
                    asked = asks.send(answer)
        except StopIteration as found:
            answer, half = found.value
        object.__setattr__(self, "_stream", answer)
        object.__setattr__(self, "_events", calls.events(answer))
        rescue.answer.join(half)

    async def _hold_back(self, calls: _Calls) -> None:
        try:
            await calls.hold(self)
        except Exception:
            self._rescue.is_over = True
            raise

    async def _hold(self, calls: _Calls) -> None:
        """Keep back what comes, until it is complete or has been kept back for long enough."""
        rescue: Final[Rescue] = self._rescue
        held = _Held(rescue.hold_until)
        while not held.is_enough:
            try:
                item = await self._read(calls)
                held.add(item, rescue.answer.words_of(item))
            except StopAsyncIteration:
                break
            except Exception as error:
                await self._recover(calls, error, held.text)
                held = _Held(rescue.hold_until)
        rescue.is_holding = False
        object.__setattr__(self, "_held_back", held.items)


class _RecoveringEvents(RecoveringStream):
    """As `RecoveringStream`; a failure that came in an event is told by that event."""

    def __init__(self, stream: object, events: object, rescue: Rescue) -> None:
        super().__init__(stream, events, rescue)
        object.__setattr__(self, "_told", None)

    async def __anext__(self) -> object:
        try:
            return await self._next(_ASYNC)
        except Exception as error:
            if self._told is None:
                raise
            event, failure = self._told
            if error is not failure:
                raise
            return event

    def _raise(self, event: object, failure: Exception) -> NoReturn:
        """Take an event for the failure that it tells of."""
        object.__setattr__(self, "_told", (event, failure))
        raise failure


class RecoveringMessages(_RecoveringEvents):
    """For the events of /v1/messages, of which several may be in a piece. One of failure is the provider's or that of
    one of LiteLLM's bridges."""

    async def _read(self, calls: _Calls) -> object:
        item = await super()._read(calls)
        found: Final = split_at_error(item) if isinstance(item, bytes) and not isinstance(item, ErrorEvent) else None
        if found is not None:
            before, told, data = found
            item = ErrorEvent(told, error_told_by(self._stream, data) or Exception(told))
            if before:
                self._held_back.insert(0, item)
                return before
        if isinstance(item, ErrorEvent):
            self._raise(item, item.failure)
        return item


class RecoveringResponses(_RecoveringEvents):
    """For the events of /v1/responses, of which LiteLLM before 1.95 passes on one of failure."""

    async def _read(self, calls: _Calls) -> object:
        item: Final = await super()._read(calls)
        told: Final = failed_response(item)
        failure: Final = None if told is None else error_told_by(self._stream, told)
        if failure is not None:
            self._raise(item, failure)
        return item


class _Held:
    """What is kept back of a stream, `until` a moment of the monotonic clock or, without one, its end."""

    def __init__(self, until: float | None) -> None:
        self.items: Final[list[object]] = []
        self._words: Final[list[str]] = []
        self._size = 0
        self._until: Final = until

    @property
    def text(self) -> str:
        return "".join(self._words)

    @property
    def is_enough(self) -> bool:
        return self._size > MOST_HELD or (self._until is not None and time.monotonic() >= self._until)

    def add(self, item: object, words: str) -> None:
        self.items.append(item)
        self._words.append(words)
        self._size += _EVENT + (len(item) if isinstance(item, bytes) else len(words))


class _Api(NamedTuple):
    """What APIs differ in: how the halves of an answer are joined, where a request has LiteLLM's own metadata, what
    passes for a stream, and what the method's first arguments are called."""

    halves: Callable[[Request], Halves]
    metadata: str
    stream: type[RecoveringStream]
    arguments: Sequence[str] = ("model", "messages", "stream")


_CHAT: Final = _Api(lambda request: ChatHalves(request.get("messages")), "metadata", RecoveringStream)
_MESSAGES: Final = _Api(lambda request: MessageHalves(), "litellm_metadata", RecoveringMessages)
_RESPONSES: Final = _Api(
    lambda request: ResponsesHalves(request.get("input")), "litellm_metadata", RecoveringResponses, ("input", "model")
)
_BUILT: Final = {"anthropic_messages": _MESSAGES, "aresponses": _RESPONSES}
"""The APIs whose methods `Router.factory_function` makes, by its `call_type`."""
