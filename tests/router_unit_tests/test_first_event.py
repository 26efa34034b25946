"""A stream is an answer from its first event on, which is waited for and neither lost nor doubled."""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from litellm import CustomStreamWrapper, Router
from litellm.exceptions import APIConnectionError
from litellm.litellm_core_utils.failure import classify
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.litellm_core_utils.stream_start import await_first_event
from litellm.litellm_core_utils.stream_wait import notify_caller, retry_possible_if

from support.routing import GROUP, MESSAGES, deployment, routed
from support.streams import NOTHING_YET, TELLING, Source, begun, chunk, in_both_modes, source_in, the_rest, wrapper
from support.thinking_provider import ThinkingProvider


def _messages_from_chat() -> Any:
    """LiteLLM's stream that translates a chat into a message; its folder has been renamed."""
    for folder in ("experimental_pass_through", "pass_through"):
        with suppress(ModuleNotFoundError):
            module = importlib.import_module(f"litellm.llms.anthropic.{folder}.adapters.streaming_iterator")
            return module.AnthropicStreamWrapper
    raise AssertionError("add the new name of the folder")


class LiteLLMCompletionStreamingIterator(Source):
    """Passes for LiteLLM's bridge to the Responses API, which makes up how an answer opens."""


class Wrapped(Source):
    """Passes for an iterator that a release has put around one of its own."""

    def __init__(self, inner: Source) -> None:
        super().__init__(inner.events)
        self._inner = inner


class AnotherSource(Source):
    """Passes for an iterator of LiteLLM's with a name before the bridge's in the alphabet."""


class Waiting:
    """Who waits at a proxy."""

    def stream_opened(self) -> None: ...

    def event_held_back(self) -> None: ...


class HandingOver(Source):
    """Leaves its events to an iterator that it makes, and has none itself, as LiteLLM's stream for MCP."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return Source(self.events)

    def __iter__(self) -> Iterator[Any]:
        return Source(self.events)

    def __next__(self) -> Any:
        raise TypeError("there is nothing to take from")


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
    async def test_created_event_begins_no_response(self, iterator: type[Source]) -> None:
        """A response has begun with its first words, not when its provider says that it takes it up."""
        events = [NOTHING_YET["response created"], NOTHING_YET["response in progress"], TELLING["response's text"]]
        source = iterator(events)
        stream = await await_first_event(source)
        assert source.taken == 3
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
        assert classify(raised.value) is FailureKind.GARBLED

    @in_both_modes
    @pytest.mark.parametrize("inner", [LiteLLMCompletionStreamingIterator, Source])
    async def test_a_bridge_may_be_wrapped(self, mode: str, inner: type[Source]) -> None:
        """An opening that LiteLLM's bridge makes up tells nothing, also where the bridge is wrapped."""
        source = Wrapped(inner([NOTHING_YET["response created"], chunk(content="p")]))
        await begun(mode, source)
        assert source.taken == 2

    @pytest.mark.parametrize("opening", [(), ("response created",), ("response created", "response in progress")])
    async def test_bridge_opening_hides_no_failure(self, opening: tuple[str, ...]) -> None:
        """A proxy's caller hears by a status that a lone stream fails after what LiteLLM's bridge makes up."""
        broken = ConnectionResetError("cut")
        source = LiteLLMCompletionStreamingIterator([*(NOTHING_YET[name] for name in opening), broken])
        with notify_caller(Waiting()), retry_possible_if(lambda: False):
            with pytest.raises(ConnectionResetError):
                await await_first_event(source)

    @pytest.mark.parametrize("iterator", [LiteLLMCompletionStreamingIterator, Source])
    async def test_provider_event_begins_lone_stream(self, iterator: type[Source]) -> None:
        """A proxy's caller of a lone stream waits for one event that its provider has sent, and no longer."""
        source = iterator([NOTHING_YET["response's item"], TELLING["response's text"]])
        with notify_caller(Waiting()), retry_possible_if(lambda: False):
            await await_first_event(source)
        assert source.taken == 1

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
        stream = await begun(mode, wrapper(source_in(mode, chunks)))
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
        stream: Any = await await_first_event(source)
        await stream.aclose()
        assert source.closed


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


async def _messages(router: Router) -> bytes:
    stream: Any = await router.aanthropic_messages(model=GROUP, messages=MESSAGES, max_tokens=9, stream=True)
    return b"".join([part async for part in stream])


async def _contents(router: Router) -> bytes:
    contents = [{"role": "user", "parts": [{"text": "ping"}]}]
    stream: Any = await router.agenerate_content_stream(model=GROUP, contents=contents, stream=True)
    return b"".join([part async for part in stream])


@pytest.mark.parametrize(("provider", "ask"), [("anthropic", _messages), ("gemini", _contents)])
@pytest.mark.parametrize("cut_at", [None, 1, 9, 30, -1])
async def test_error_event_sends_the_request_elsewhere(provider: str, ask: Any, cut_at: int | None) -> None:
    """The other deployment answers when the first one's stream begins with an error, cut or not."""
    with ThinkingProvider(0.01, fails_with=503, cut_at=cut_at) as bad, ThinkingProvider(0.01) as good:
        group = [deployment("a-bad", provider, bad.url), deployment("b-good", provider, good.url)]
        with routed(group, num_retries=1, routing_strategy="cost-based-routing") as router:
            for _ in range(3):
                assert b"pong" in await ask(router)
        assert bad.stays
