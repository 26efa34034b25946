"""A stream is an answer from its first event on; until then its failure is the failure of the attempt."""

from __future__ import annotations

import asyncio
import copy
import importlib
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import anyio
import litellm
import openai
import pytest
from litellm import CustomStreamWrapper, Router
from litellm.exceptions import APIConnectionError, MidStreamFallbackError
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.failure_signal import FailureSignal, classify
from litellm.litellm_core_utils.first_event import (
    await_first_event,
    failing_before_its_first_event,
    keeping_its_failure,
    wait_for_first_event,
)
from litellm.litellm_core_utils.litellm_logging import Logging
from litellm.types.utils import ModelResponseStream, TextChoices, TextCompletionResponse

from support.faulty_provider import EMPTY_200, HTML_200, Fault, FaultyProvider
from support.routing import GROUP, MESSAGES, RELEASE, cooling_down, deployment, failures, lost, outcomes, routed, until


def _messages_from_chat() -> Any:
    """LiteLLM's stream that translates a chat into a message; its folder has been renamed."""
    for folder in ("experimental_pass_through", "pass_through"):
        with suppress(ModuleNotFoundError):
            module = importlib.import_module(f"litellm.llms.anthropic.{folder}.adapters.streaming_iterator")
            return module.AnthropicStreamWrapper
    raise AssertionError("add the new name of the folder")


def chunk(finish_reason: str | None = None, **delta: Any) -> ModelResponseStream:
    return ModelResponseStream.model_validate(
        {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}
    )


def text(text: str, finish_reason: str | None = None) -> TextCompletionResponse:
    return TextCompletionResponse(choices=[TextChoices(text=text, finish_reason=finish_reason)])


def generic_chunk(text: str, finish_reason: str | None) -> dict[str, Any]:
    """What a user's own provider streams (`litellm.CustomLLM`)."""
    ended = {"is_finished": finish_reason is not None, "finish_reason": finish_reason or ""}
    return {"text": text, **ended, "index": 0, "tool_use": None, "usage": None}


def sse(data: str) -> bytes:
    return f"event: any\ndata: {data}\n\n".encode()


def event(kind: str) -> Any:
    return SimpleNamespace(type=kind)


ANTHROPIC_ERRORS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "an error of another time": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
CALL = {"id": "call_1", "type": "function", "index": 0, "function": {"name": "look", "arguments": ""}}
TELLING: dict[str, Any] = {
    "text": chunk(content="p"),
    "a tool call": chunk(tool_calls=[CALL]),
    "reasoning": chunk(reasoning_content="hm"),
    "an end": chunk(finish_reason="stop"),
    "text completion": text("p"),
    "text completion's end": text("", finish_reason="stop"),
    "response's text": event("response.output_text.delta"),
    "response's end": event("response.completed"),
    "message's text": sse('{"type": "content_block_delta", "delta": {"type": "text_delta", "text": "p"}}'),
    "message's end": sse('{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}'),
    "bytes of another kind": b"\x00\x01",
    "an object of another kind": object(),
}
NOTHING_YET: dict[str, Any] = {
    "role": chunk(role="assistant"),
    "role and empty text": chunk(role="assistant", content=""),
    "no delta": chunk(),
    "no choice": ModelResponseStream(choices=[]),
    "empty text completion": text(""),
    "response created": event("response.created"),
    "response in progress": event("response.in_progress"),
    "response's item": event("response.output_item.added"),
    "response's part": event("response.content_part.added"),
    "message": sse('{"type": "message_start", "message": {}}'),
    "message's keep-alive": sse('{"type": "ping"}'),
    "message's block": sse('{"type": "content_block_start", "content_block": {"type": "text", "text": ""}}'),
    "message's empty text": sse('{"type": "content_block_delta", "delta": {"type": "text_delta", "text": ""}}'),
    "a web page": b"\n<!DOCTYPE html><html></html>",
}


class Source:
    """An iterator, async and not, over `events`, of which exceptions are raised; notes what is done to it."""

    custom_llm_provider = "some-provider"
    model = "some-model"

    def __init__(self, events: Iterable[Any], closing: Callable[[], Awaitable[None]] | None = None) -> None:
        self.events = iter(events)
        self.taken = 0
        self.closed = False
        self._closing = closing

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(0)
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None

    def __next__(self) -> Any:
        self.taken += 1
        following = next(self.events)
        if isinstance(following, BaseException):
            raise following
        return following

    async def aclose(self) -> None:
        if self._closing is not None:
            await self._closing()
        self.closed = True


class LiteLLMCompletionStreamingIterator(Source):
    """Passes for LiteLLM's bridge to the Responses API, which makes up how an answer opens."""


class Wrapped(Source):
    """Passes for an iterator that a release has put around one of its own."""

    def __init__(self, inner: Source) -> None:
        super().__init__(inner.events)
        self._inner = inner


class AnotherSource(Source):
    """Passes for an iterator of LiteLLM's with a name before the bridge's in the alphabet."""


class HandingOver(Source):
    """Leaves its events to an iterator that it makes, and has none itself, as LiteLLM's stream for MCP."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return Source(self.events)

    def __iter__(self) -> Iterator[Any]:
        return Source(self.events)

    def __next__(self) -> Any:
        raise TypeError("there is nothing to take from")


class Silent(Source):
    """Never says anything."""

    async def __anext__(self) -> Any:
        await asyncio.Event().wait()


async def begun(mode: str, stream: Any) -> Any:
    """`stream` once it has begun, in one of "async" and "sync"."""
    return await await_first_event(stream) if mode == "async" else wait_for_first_event(stream)


async def the_rest(mode: str, stream: Any) -> list[Any]:
    return [event async for event in stream] if mode == "async" else list(stream)


in_both_modes = pytest.mark.parametrize("mode", ["async", "sync"])


def wrapper(source: Any, provider: str = "openai") -> CustomStreamWrapper:
    """LiteLLM's stream over chunks that are in its own format already."""
    logging = Logging("gpt-4o-mini", MESSAGES, True, "acompletion", datetime.now(), "call", "function")
    return CustomStreamWrapper(source, "gpt-4o-mini", logging_obj=logging, custom_llm_provider=provider)


class TestBeginning:
    @in_both_modes
    @pytest.mark.parametrize("told", TELLING)
    async def test_the_first_event_is_neither_lost_nor_doubled(self, told: str, mode: str) -> None:
        """The first event is waited for and delivered once, and nothing beyond it is taken before."""
        events = [TELLING[told], object(), object()]
        source = Source(events)
        stream = await begun(mode, source)
        assert source.taken == 1
        assert [id(got) for got in await the_rest(mode, stream)] == [id(event) for event in events]

    @pytest.mark.parametrize("iterator", [Source, AnotherSource])
    async def test_created_event_begins_response(self, iterator: type[Source]) -> None:
        """A response has begun when its own provider says so, before the first words."""
        events = [NOTHING_YET["response created"], NOTHING_YET["response in progress"], TELLING["response's text"]]
        source = iterator(events)
        stream = await await_first_event(source)
        assert source.taken == 1
        assert await the_rest("async", stream) == events

    @in_both_modes
    @pytest.mark.parametrize("nothing", NOTHING_YET)
    async def test_empty_events_are_held_back(self, nothing: str, mode: str) -> None:
        """Events that tell nothing are held back until one does, and are delivered in order."""
        events = [NOTHING_YET[nothing], NOTHING_YET[nothing], chunk(content="p"), object()]
        source = LiteLLMCompletionStreamingIterator(events)
        stream = await begun(mode, source)
        assert source.taken == 3
        assert [id(got) for got in await the_rest(mode, stream)] == [id(event) for event in events]

    @in_both_modes
    @pytest.mark.parametrize("nothing", NOTHING_YET)
    async def test_stream_of_empty_events_is_garbled(self, nothing: str, mode: str) -> None:
        """A stream of nothing but events that tell nothing is garbled."""
        with pytest.raises(APIConnectionError) as raised:
            await begun(mode, LiteLLMCompletionStreamingIterator([NOTHING_YET[nothing]]))
        assert classify(raised.value) is FailureSignal.GARBLED

    @in_both_modes
    @pytest.mark.parametrize(("inner", "taken"), [(LiteLLMCompletionStreamingIterator, 2), (Source, 1)])
    async def test_a_bridge_may_be_wrapped(self, mode: str, inner: type[Source], taken: int) -> None:
        """An opening that LiteLLM's bridge makes up tells nothing, also where the bridge is wrapped."""
        source = Wrapped(inner([NOTHING_YET["response created"], chunk(content="p")]))
        await begun(mode, source)
        assert source.taken == taken

    @in_both_modes
    async def test_a_stream_that_is_kept_alive_begins(self, mode: str) -> None:
        """A stream that is kept alive begins after a handful of empty chunks, of which none is lost."""
        events = [chunk(role="assistant", content="") for _ in range(100)]
        source = Source(events)
        stream = await begun(mode, source)
        assert source.taken < 20
        assert [id(got) for got in await the_rest(mode, stream)] == [id(event) for event in events]

    @in_both_modes
    async def test_a_chat_stream_is_told_as_it_came(self, mode: str) -> None:
        """A chat stream that passes through LiteLLM's own is delivered as it came."""
        chunks = [chunk(role="assistant"), chunk(content="po"), chunk(content="ng"), chunk(finish_reason="stop")]
        stream = await begun(mode, wrapper(_source(mode, chunks)))
        told = [got.choices[0].delta.content or "" for got in await the_rest(mode, stream)]
        assert "".join(told) == "pong"
        assert told.count("po") == 1

    @in_both_modes
    async def test_late_failure_reaches_caller(self, mode: str) -> None:
        """A stream that breaks after its first content raises that to the caller, who has seen a part of it."""
        broken = ConnectionResetError("cut")
        source = Source([chunk(content="po"), broken, chunk(content="ng")])
        stream = await begun(mode, source)
        with pytest.raises(ConnectionResetError) as raised:
            await the_rest(mode, stream)
        assert raised.value is broken
        assert (source.taken, source.closed) == (2, False)


class TestLikeness:
    async def test_it_passes_for_the_stream_itself(self) -> None:
        """A begun stream has the class and the attributes of the stream itself, and sets them there."""
        original = wrapper(Source([chunk(content="p")]))
        stream = await await_first_event(original)
        assert isinstance(stream, CustomStreamWrapper)
        assert (stream.model, stream.logging_obj) == ("gpt-4o-mini", original.logging_obj)
        stream.model = "another-model"
        stream._hidden_params["additional_headers"] = {"x": "y"}
        assert (original.model, original._hidden_params["additional_headers"]) == ("another-model", {"x": "y"})
        assert not hasattr(stream, "no_such_attribute")

    async def test_a_copy_begins_at_its_beginning_too(self) -> None:
        """A copy of a begun stream begins at the beginning and takes nothing from the original."""
        events = [NOTHING_YET["message"], TELLING["message's text"], TELLING["message's end"]]
        stream = await await_first_event(Source(events))
        duplicate = copy.deepcopy(stream)
        assert await the_rest("async", duplicate) == events
        assert await the_rest("async", stream) == events

    @in_both_modes
    async def test_it_is_iterated_as_a_loop_would(self, mode: str) -> None:
        """A begun stream is iterated as a loop would, also where it hands its iteration over."""
        stream = await begun(mode, HandingOver([chunk(role="assistant"), chunk(content="p"), chunk("stop")]))
        assert [event.choices[0].delta.content for event in await the_rest(mode, stream)] == [None, "p", None]

    async def test_closing_it_closes_the_stream(self) -> None:
        """Closing a begun stream closes the stream itself."""
        source = Source([chunk(content="p"), chunk(content="q")])
        stream = await await_first_event(source)
        await stream.aclose()
        assert source.closed


class TestFailing:
    @in_both_modes
    @pytest.mark.parametrize("before", [[], [chunk(role="assistant")]], ids=["at once", "after the role"])
    async def test_what_the_stream_raises_is_raised(self, before: list[Any], mode: str) -> None:
        """What a stream raises before its first content is raised unchanged."""
        broken = litellm.RateLimitError("slow down", "some-provider", "some-model")
        with pytest.raises(litellm.RateLimitError) as raised:
            await begun(mode, Source([*before, broken]))
        assert raised.value is broken

    @in_both_modes
    async def test_the_routers_own_wrapping_is_taken_off(self, mode: str) -> None:
        """A MidStreamFallbackError before the first content gives way to the exception it wraps."""
        cause = litellm.RateLimitError("slow down", "some-provider", "some-model")
        wrapped = MidStreamFallbackError("slow down", "some-model", "some-provider", original_exception=cause)
        with pytest.raises(litellm.RateLimitError) as raised:
            await begun(mode, Source([wrapped]))
        assert raised.value is cause
        bare = MidStreamFallbackError("slow down", "some-model", "some-provider")
        with pytest.raises(MidStreamFallbackError) as kept:
            await begun(mode, Source([bare]))
        assert kept.value is bare

    @in_both_modes
    async def test_an_empty_stream_is_garbled(self, mode: str) -> None:
        """An empty stream is garbled, and the error says whose it was."""
        with pytest.raises(APIConnectionError, match="some-provider answered with a stream that ended") as raised:
            await begun(mode, Source([]))
        error: Any = raised.value
        assert error.failure_signal is FailureSignal.GARBLED
        assert (error.llm_provider, error.model) == ("some-provider", "some-model")

    async def test_an_event_that_is_an_error_is_raised(self) -> None:
        """An error event before the first content is raised, and a later one is delivered."""
        overloaded = sse('{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}')
        opened = NOTHING_YET["message"]
        with pytest.raises(litellm.exceptions.APIError, match="Overloaded") as raised:
            await await_first_event(Source([opened, overloaded]))
        assert raised.value.status_code == 529
        events = [opened, TELLING["message's text"], overloaded]
        assert await the_rest("async", await await_first_event(Source(events))) == events

    @pytest.mark.parametrize(("kind", "status"), ANTHROPIC_ERRORS.items())
    async def test_error_event_status_by_type(self, kind: str, status: int) -> None:
        """An error event has the status of its type, and the stream's provider."""
        failed = sse(json.dumps({"type": "error", "error": {"type": kind, "message": "what is wrong"}}))
        with pytest.raises(openai.APIError, match="what is wrong") as raised:
            await await_first_event(Source([failed]))
        error: Any = raised.value
        assert (error.status_code, error.llm_provider, error.model) == (status, "some-provider", "some-model")

    async def test_textual_error_event_is_raised(self) -> None:
        """An error event that has only a text for an error is raised as the provider's 500."""
        with pytest.raises(openai.APIError, match="what is wrong") as raised:
            await await_first_event(Source([sse('{"type": "error", "error": "what is wrong"}')]))
        error: Any = raised.value
        assert error.status_code == 500

    @pytest.mark.parametrize("events", [[], [ConnectionResetError("cut")], [chunk(role="assistant")]])
    async def test_a_failed_stream_is_closed(self, events: list[Any]) -> None:
        """A stream that fails before its first content is closed."""
        source = Source(events)
        with pytest.raises((APIConnectionError, ConnectionResetError)):
            await await_first_event(source)
        assert source.closed

    @pytest.mark.parametrize("closing", [ConnectionResetError("cut"), RuntimeError("is running already")])
    async def test_failed_close_keeps_failure(self, closing: Exception) -> None:
        """A stream that cannot be closed still raises the failure it was to be closed for."""

        async def fail() -> None:
            raise closing

        with pytest.raises(litellm.RateLimitError):
            await await_first_event(Source([litellm.RateLimitError("slow down", "some-provider", "m")], fail))

    async def test_it_is_closed_when_nobody_waits_any_more(self) -> None:
        """A stream is closed by the time the cancelled task that waited for it has ended."""
        source = Silent([], closing=lambda: asyncio.sleep(0.01))
        task = asyncio.create_task(await_first_event(source))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.closed

    async def test_it_is_closed_when_its_cancel_scope_ends(self) -> None:
        """A stream is closed when anyio's cancel scope around the wait for it ends."""
        source = Silent([], closing=lambda: asyncio.sleep(0.01))
        with anyio.move_on_after(0.01) as scope:
            await await_first_event(source)
        assert (scope.cancelled_caught, source.closed) == (True, True)


DISPATCHING = ("failure_handler", "async_failure_handler", "dispatch_failure_handlers")
ON_THEIR_OWN = ("failure_handler", "async_failure_handler")  # in releases such as 1.82.6


class TestWrapper:
    """What LiteLLM's own stream makes of a provider's that ends without an answer."""

    @in_both_modes
    @pytest.mark.parametrize("chunks", [[], [chunk(role="assistant", content="")]], ids=["nothing", "a role"])
    async def test_answer_end_is_not_made_up(self, chunks: list[Any], mode: str) -> None:
        """LiteLLM's stream does not make up the end of an answer that never began."""
        with pytest.raises(APIConnectionError) as raised:
            await begun(mode, wrapper(_source(mode, chunks)))
        told_by_litellm = chunks and RELEASE >= (1, 107)
        assert classify(raised.value) is (FailureSignal.INTERRUPTED if told_by_litellm else FailureSignal.GARBLED)

    @pytest.mark.parametrize("noted_as", ["received_finish_reason", "intermittent_finish_reason"])
    def test_it_passes_on_an_end_it_was_told(self, noted_as: str) -> None:
        """LiteLLM's stream passes on an end that was noted and did not come with a chunk."""
        stream = wrapper(iter([]))
        setattr(stream, noted_as, "length")
        assert stream.finish_reason_handler().choices[0].finish_reason == "length"

    def test_it_needs_no_event_loop(self) -> None:
        """LiteLLM's stream fails without an answer even where there is no event loop."""
        with pytest.raises(APIConnectionError):
            wait_for_first_event(wrapper(iter([])))

    @in_both_modes
    @pytest.mark.parametrize("provider", ["openai", "the-users-own"])
    @pytest.mark.parametrize(
        ("chunks", "end"),
        [([("p", None)], "stop"), ([("", "length")], "length"), ([("", None), ("", "length")], "length")],
        ids=["text without an end", "an end", "an empty chunk and an end"],
    )
    async def test_partial_answer_counts(
        self, chunks: list[Any], end: str, provider: str, mode: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A stream with only a text, or with only an end, is an answer."""
        monkeypatch.setattr(litellm, "_custom_providers", ["the-users-own"])
        native = [chunk(finish_reason, content=text) for text, finish_reason in chunks]
        custom = [generic_chunk(text, finish_reason) for text, finish_reason in chunks]
        source = _source(mode, native if provider == "openai" else custom)
        stream = await begun(mode, wrapper(source, provider))
        if end == "stop" and provider == "openai" and RELEASE >= (1, 107):  # a provider that is known not to forget it
            with pytest.raises(MidStreamFallbackError):
                await the_rest(mode, stream)
        else:
            assert (await the_rest(mode, stream))[-1].choices[0].finish_reason == end

    @pytest.mark.parametrize(
        ("of_call", "handlers", "told"),
        [
            ({"litellm_params": {"acompletion": True}}, DISPATCHING, ["dispatched"]),
            ({"litellm_params": {"atext_completion": True}}, DISPATCHING, ["dispatched"]),
            ({"litellm_params": {"acompletion": True}}, ON_THEIR_OWN, ["async", "sync"]),
            ({"litellm_params": {}}, DISPATCHING, ["sync"]),
            ({"litellm_params": None}, ON_THEIR_OWN, ["sync"]),
            ({}, ON_THEIR_OWN, ["sync"]),
        ],
    )
    async def test_failure_is_logged_by_call_type(
        self, of_call: dict[str, Any], handlers: tuple[str, ...], told: list[str]
    ) -> None:
        """LiteLLM's stream logs its failure by the handlers of the call, preferring the async ones of an async call."""
        logged: list[str] = []

        def failure_handler(error: Exception, trace: str) -> None:
            assert f"{error}" in trace
            logged.append("sync")

        async def async_failure_handler(error: Exception, trace: str) -> None:
            assert f"{error}" in trace
            logged.append("async")

        async def dispatch_failure_handlers(error: Exception, trace: str, prefer_async_handlers: bool = False) -> None:
            assert f"{error}" in trace
            logged.append("dispatched" if prefer_async_handlers else "sync")

        known = {function.__name__: function for function in (failure_handler, async_failure_handler)}
        known["dispatch_failure_handlers"] = dispatch_failure_handlers
        stream: Any = wrapper(Source([]))
        stream.logging_obj = SimpleNamespace(model_call_details=of_call, **{name: known[name] for name in handlers})
        with pytest.raises(openai.APIError):
            stream.finish_reason_handler()
        assert await until(lambda: sorted(logged) == told)


class Translation:
    """Passes for LiteLLM's translation of a stream into Anthropic's events, which makes an event of a failure."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    @keeping_its_failure
    async def __anext__(self) -> Any:
        return await self.source.__anext__()

    @failing_before_its_first_event
    async def events(self) -> AsyncIterator[bytes]:
        try:
            async for event in self:
                yield event
        except ConnectionResetError:
            yield FAILED


FAILED = sse('{"type": "error", "error": {"type": "api_error", "message": "cut"}}')


class TestTranslation:
    @pytest.mark.parametrize("before", [[], [NOTHING_YET["message"], NOTHING_YET["message's block"]]])
    async def test_translation_fails_before_answer(self, before: list[bytes]) -> None:
        """A translated stream fails as its source did if the answer has not begun."""
        broken = ConnectionResetError("cut")
        with pytest.raises(ConnectionResetError) as raised:
            await await_first_event(Translation(Source([*before, broken])).events())
        assert raised.value is broken
        assert [event async for event in Translation(Source([*before, broken])).events()] == [*before, FAILED]

    @pytest.mark.parametrize("end", [[], [NOTHING_YET["message's keep-alive"]]])
    async def test_translation_tells_late_failure(self, end: list[bytes]) -> None:
        """A translated stream tells of the failure in an event if the answer has begun."""
        answer = [NOTHING_YET["message"], TELLING["message's text"], *end]
        told = [event async for event in Translation(Source([*answer, ConnectionResetError("cut")])).events()]
        assert told == [*answer, FAILED]

    @pytest.mark.parametrize("events", [[], [NOTHING_YET["message"]], [TELLING["message's text"]]])
    async def test_it_ends_as_its_source_does(self, events: list[bytes]) -> None:
        """A translated stream ends as its source does."""
        assert [event async for event in Translation(Source(events)).events()] == events


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (CustomStreamWrapper, "finish_reason_handler"),
        (_messages_from_chat(), "__anext__"),
        (_messages_from_chat(), "async_anthropic_sse_wrapper"),
    ],
)
def test_a_wrapped_method_looks_as_it_did(owner: type, name: str) -> None:
    """A wrapped method keeps its name."""
    method = getattr(owner, name)
    assert method.__name__ == name
    assert inspect.unwrap(method) is not method


class Logger(CustomLogger):
    """Notes which of its methods is told of which failure."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str]] = []

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.told.append(("sync", type(kwargs["exception"]).__name__))

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.told.append(("async", type(kwargs["exception"]).__name__))


FAILURES_THAT_MAKE_A_RATE = 5
"""Of one deployment within a minute; LiteLLM judges none by fewer."""


class TestRouter:
    @pytest.mark.parametrize("mode", ["async-stream", "sync-stream"])
    @pytest.mark.parametrize("provider", ["openai", "anthropic", "ollama_chat"])
    @pytest.mark.parametrize("fault", [EMPTY_200, HTML_200], ids=["empty", "html"])
    async def test_an_empty_stream_counts_as_one_failure(self, fault: Fault, provider: str, mode: str) -> None:
        """An empty stream counts as one failure of its deployment, which cools down once they make a rate."""
        with FaultyProvider(fault) as a, FaultyProvider(fault) as b:
            group = [deployment("a", provider, a.url), deployment("b", provider, b.url)]
            with routed(group, num_retries=0) as router:
                while max(a.attempts, b.attempts) < FAILURES_THAT_MAKE_A_RATE:
                    assert cooling_down(router) == set()
                    assert lost(await outcomes(router, 1, mode)) == [0]
                    assert await until(lambda: _counted(router) == a.attempts + b.attempts)
                failing = "a" if a.attempts == FAILURES_THAT_MAKE_A_RATE else "b"
                assert await until(lambda: cooling_down(router) == {failing})
                assert _counted(router) == a.attempts + b.attempts

    @pytest.mark.parametrize("mode", ["async", "sync"])
    async def test_an_empty_stream_is_logged_once(self, mode: str) -> None:
        """An empty stream is logged once with each callback, by its method for the mode."""
        with FaultyProvider(EMPTY_200) as bad:
            with routed([deployment("a-bad", "openai", bad.url)], num_retries=0) as router:
                logger = Logger()
                litellm.callbacks.append(logger)
                for count in (1, 2):
                    assert lost(await outcomes(router, 1, f"{mode}-stream")) == [0]
                    assert await until(lambda: len(logger.told) >= bad.attempts)
                    assert logger.told == [(mode, "APIConnectionError")] * count

    async def test_late_failure_is_not_retried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A stream that breaks after its first content is not retried, and its caller is told why."""
        sources: list[Source] = []

        async def completion(**_: Any) -> CustomStreamWrapper:
            sources.append(Source([chunk(content="po"), ConnectionResetError(104, "cut"), chunk(content="ng")]))
            return wrapper(sources[-1])

        monkeypatch.setattr(litellm, "acompletion", completion)
        group = [deployment(name, "openai", "http://127.0.0.1:9") for name in ("a", "b")]
        with routed(group, num_retries=2) as router:
            stream: Any = await router.acompletion(GROUP, MESSAGES, stream=True)  # type: ignore[call-overload]
            told: list[str] = []

            async def read() -> None:
                async for got in stream:
                    told.append(got.choices[0].delta.content)

            with pytest.raises(openai.APIError, match="cut"):
                await read()
        assert (told, len(sources), sources[0].closed) == (["po"], 1, True)


def _source(mode: str, chunks: list[Any]) -> Any:
    """What LiteLLM's stream reads in `mode`; by its kind LiteLLM knows how to log."""
    return Source(chunks) if mode == "async" else iter(chunks)


def _counted(router: Router) -> int:
    return failures(router, "a") + failures(router, "b")
