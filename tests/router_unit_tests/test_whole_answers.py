"""A deployment that answers a request for a stream with a whole answer: the caller has it, as a stream."""

from __future__ import annotations

from typing import Any

import litellm
import pytest

from router_unit_tests.test_inband_answers import CALL, fault, group
from support.inband_calls import GROUP, MESSAGES
from support.inband_shapes import Body, json_body
from support.provider_formats import Format, whole

FORMATS: dict[str, Format] = {
    "chat": "openai",
    "text": "openai_text",
    "responses": "openai_responses",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "ollama": "ollama_chat",
}
SAID = "all of it at once"
CALL_OF_TOOL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}


@pytest.mark.by_chance
@pytest.mark.parametrize("name", [name for name, call in CALL.items() if call.streamed and call.format in FORMATS])
async def test_whole_answer_is_served(name: str) -> None:
    """A whole answer to a request for a stream is the caller's, and nobody else is asked."""
    call = CALL[name]
    with group(call, fault(json_body(whole(FORMATS[call.format], "m", SAID))), None) as (router, providers):
        assert await call.ask(router) == SAID
        assert providers[1].attempts == 0


async def test_tool_call_and_usage_are_served() -> None:
    """Tool calls, reason and usage of a whole answer arrive as those of a stream do."""
    answer: dict[str, Any] = whole("openai", "m", "")
    answer["choices"] = [
        {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [CALL_OF_TOOL]}}
        | {"finish_reason": "tool_calls"}
    ]
    with group(CALL["openai chat stream"], fault(json_body(answer))) as (router, _):
        messages: Any = MESSAGES
        stream: Any = await router.acompletion(
            model=GROUP, messages=messages, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    built: Any = litellm.stream_chunk_builder(chunks, messages=MESSAGES)
    call = built.choices[0].message.tool_calls[0]
    assert (call.id, call.function.name, call.function.arguments) == ("call_1", "look", '{"at": 1}')
    assert "tool_calls" in [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert built.usage.completion_tokens == answer["usage"]["completion_tokens"]


@pytest.mark.parametrize("name", ["openai chat stream", "anthropic messages stream", "openai responses stream"])
async def test_half_an_answer_is_not_served(name: str) -> None:
    """A whole answer that breaks off is no answer: the other deployment's is served."""
    call = CALL[name]
    half = Body(json_body(whole(FORMATS[call.format], "m", SAID)).content[:-20])
    with group(call, fault(half), None) as (router, providers):
        assert await call.ask(router) == call.answer
        assert providers[1].attempts == 1
