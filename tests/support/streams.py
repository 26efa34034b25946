"""Streams of a chat, a text completion, a message and a response, without a provider or a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from litellm import CustomStreamWrapper
from litellm.litellm_core_utils.litellm_logging import Logging
from litellm.litellm_core_utils.stream_start import await_first_event, wait_for_first_event
from litellm.types.utils import ModelResponseStream, TextChoices, TextCompletionResponse

from support.routing import MESSAGES

in_both_modes = pytest.mark.parametrize("mode", ["async", "sync"])


def chunk(finish_reason: str | None = None, **delta: Any) -> ModelResponseStream:
    return ModelResponseStream.model_validate(
        {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}
    )


def text(text: str, finish_reason: str | None = None) -> TextCompletionResponse:
    return TextCompletionResponse(choices=[TextChoices(text=text, finish_reason=finish_reason)])


def sse(data: str) -> bytes:
    return f"event: any\ndata: {data}\n\n".encode()


def event(kind: str) -> Any:
    return SimpleNamespace(type=kind)


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


async def begun(mode: str, stream: Any) -> Any:
    """`stream` once it has begun, in one of "async" and "sync"."""
    return await await_first_event(stream) if mode == "async" else wait_for_first_event(stream)


async def the_rest(mode: str, stream: Any) -> list[Any]:
    return [event async for event in stream] if mode == "async" else list(stream)


def wrapper(source: Any, provider: str = "openai") -> CustomStreamWrapper:
    """LiteLLM's stream over chunks that are in its own format already."""
    logging = Logging("gpt-4o-mini", MESSAGES, True, "acompletion", datetime.now(), "call", "function")
    return CustomStreamWrapper(source, "gpt-4o-mini", logging_obj=logging, custom_llm_provider=provider)


def source_in(mode: str, chunks: list[Any]) -> Any:
    """What LiteLLM's stream reads in `mode`; by its kind LiteLLM knows how to log."""
    return Source(chunks) if mode == "async" else iter(chunks)
