"""A stream that fails before its first event fails the attempt; a later failure is its caller's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import litellm
import openai
import pytest
from litellm.exceptions import APIConnectionError, MidStreamFallbackError
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.litellm_core_utils.stream_start import await_first_event, keep_failure_in_event, keep_stream_failure
from litellm.litellm_core_utils.stream_wait import notify_caller, retry_possible_if

from support.streams import NOTHING_YET, TELLING, Source, begun, chunk, in_both_modes, sse, the_rest

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


class Silent(Source):
    """Never says anything."""

    async def __anext__(self) -> Any:
        await asyncio.Event().wait()


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
        assert error.failure.kind is FailureKind.GARBLED
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


MESSAGE_BLOCK = NOTHING_YET["message's block"]


class Caller:
    """Who waits at a proxy."""

    def stream_opened(self) -> None: ...

    def event_held_back(self) -> None: ...


FAILED = sse('{"type": "error", "error": {"type": "api_error", "message": "cut"}}')


class Translation:
    """Passes for LiteLLM's translation of a stream into Anthropic's events, which makes an event of a failure."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    @keep_stream_failure
    async def __anext__(self) -> Any:
        return await self.source.__anext__()

    @keep_failure_in_event
    async def events(self) -> AsyncIterator[bytes]:
        try:
            async for event in self:
                yield event
        except ConnectionResetError:
            yield FAILED


class TestTranslation:
    @pytest.mark.parametrize("before", [[], [NOTHING_YET["message"], MESSAGE_BLOCK]])
    async def test_translation_fails_before_answer(self, before: list[bytes]) -> None:
        """A translated stream fails as its source did if the answer has not begun."""
        broken = ConnectionResetError("cut")
        with pytest.raises(ConnectionResetError) as raised:
            await await_first_event(Translation(Source([*before, broken])).events())
        assert raised.value is broken
        assert [event async for event in Translation(Source([*before, broken])).events()] == [*before, FAILED]

    @pytest.mark.parametrize("opening", [[], [NOTHING_YET["message"]], [NOTHING_YET["message"], MESSAGE_BLOCK]])
    async def test_made_up_opening_hides_no_failure(self, opening: list[bytes]) -> None:
        """A proxy's caller hears of a lone stream's failure though the translation has made up an opening."""
        broken = ConnectionResetError("cut")
        with notify_caller(Caller()), retry_possible_if(lambda: False):
            with pytest.raises(ConnectionResetError) as raised:
                await await_first_event(Translation(Source([*opening, broken])).events())
        assert raised.value is broken

    async def test_opening_of_provider_is_passed_on(self) -> None:
        """A lone stream begins, for a proxy's caller, with the first event that its provider has sent."""
        source = Source([NOTHING_YET["message"], ConnectionResetError("cut")])
        with notify_caller(Caller()), retry_possible_if(lambda: False):
            stream = await await_first_event(source)
        assert await stream.__anext__() == NOTHING_YET["message"]

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
