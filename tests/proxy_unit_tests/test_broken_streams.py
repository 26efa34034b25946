"""What LiteLLM's streams of /v1/messages do with a failure of the provider's: the caller hears of it, none is lost."""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from litellm.exceptions import MidStreamFallbackError
from litellm.litellm_core_utils.stream_start import await_first_event, raise_stream_failure
from litellm.llms.bedrock.common_utils import BedrockError
from litellm.proxy.failover_errors.response import to_client_error
from litellm.types.utils import ModelResponseStream

BROKEN = BedrockError(status_code=500, message="internalServerException")
TELLS_BY_ITSELF = "since 1.104 LiteLLM tells of the failure in an event of its own"


def _streams_of(adapter: str) -> ModuleType:
    """LiteLLM's module that translates a stream into Anthropic's events; its folder has been renamed twice."""
    for folder in ("experimental_pass_through", "pass_through", "messages"):
        with suppress(ModuleNotFoundError):
            return importlib.import_module(f"litellm.llms.anthropic.{folder}.{adapter}.streaming_iterator")
    raise AssertionError("add the new name of the folder")


CHAT = _streams_of("adapters")
RESPONSES = _streams_of("responses_adapters")


async def broken_stream(*events: Any) -> AsyncIterator[Any]:
    """A provider's stream that fails after `events`."""
    for event in events:
        yield event
    raise BROKEN


def words(content: str) -> ModelResponseStream:
    return ModelResponseStream.model_validate({"choices": [{"index": 0, "delta": {"content": content}}]})


def from_chat(*chunks: ModelResponseStream) -> Any:
    """The bytes of a message that is translated from a chat, whose stream breaks."""
    wrapper = CHAT.AnthropicStreamWrapper(completion_stream=broken_stream(*chunks), model="some-model")
    return wrapper.async_anthropic_sse_wrapper()


def from_responses() -> Any:
    """A message that is translated from a response, whose stream breaks after its first words."""
    begun = {"type": "response.output_item.added", "item": {"id": "msg_1", "type": "message"}}
    said = {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "Once"}
    stream = broken_stream({"type": "response.created"}, begun, said)
    return RESPONSES.AnthropicResponsesStreamWrapper(responses_stream=stream, model="some-model")


def kinds(events: list[bytes]) -> list[str]:
    return [event.decode().partition("\n")[0].removeprefix("event: ") for event in events]


needs_an_error_event = pytest.mark.skipif(
    not hasattr(CHAT, "_mid_stream_error_sse_event"), reason="before 1.103 LiteLLM has no event for a failure"
)


@needs_an_error_event
@pytest.mark.parametrize("chunks", [[], [words("Once")]], ids=["before its first word", "after its first word"])
async def test_a_failure_ends_a_message_in_an_event(chunks: list[ModelResponseStream]) -> None:
    """It does not leave the wrapper as an exception, which would cut the caller's connection."""
    events = [event async for event in from_chat(*chunks)]
    told = json.loads(events[-1].decode().partition("data: ")[2])
    assert kinds(events)[-1] == "error"
    assert told["error"]["type"] == "api_error"
    assert "internalServerException" in told["error"]["message"]


async def test_who_awaits_the_first_event_gets_the_failure() -> None:
    """The provider's own exception, with all that it knows, so that the request can go elsewhere."""
    with pytest.raises(BedrockError) as raised:
        await await_first_event(from_chat())
    assert raised.value is BROKEN


@pytest.mark.skipif(hasattr(RESPONSES, "_failure_status_and_message"), reason=TELLS_BY_ITSELF)
async def test_a_broken_response_passes_on_what_came_before() -> None:
    """The events end without an exception, as upstream's tests want, and their bytes end with it."""
    assert [event["type"] async for event in from_responses()][-1] == "content_block_delta"
    passed_on: list[bytes] = []

    async def read() -> None:
        async for event in from_responses().async_anthropic_sse_wrapper():
            passed_on.append(event)

    with pytest.raises(BedrockError) as raised:
        await read()
    assert raised.value is BROKEN
    told = list(dict.fromkeys(kinds(passed_on)))  # 1.82.6 says twice that a message starts
    assert told == ["message_start", "content_block_start", "content_block_delta"]


@pytest.mark.parametrize("failure", [None, "no exception"])
async def test_a_stream_without_a_failure_just_ends(failure: object) -> None:
    """A stream whose `failure` is none, or no exception, ends without one."""

    async def events(self: Any) -> AsyncIterator[bytes]:
        yield b"one"

    assert [one async for one in raise_stream_failure(events)(SimpleNamespace(failure=failure))] == [b"one"]


def test_mid_stream_failure_keeps_the_providers_words() -> None:
    """LiteLLM's envelope around a mid-stream failure hides neither the provider's words nor its status."""
    envelope = MidStreamFallbackError(
        message="broke off", model="some-model", llm_provider="bedrock", original_exception=BROKEN
    )
    told: Any = to_client_error(envelope)
    assert (told.status_code, told.message) == (500, "internalServerException")
