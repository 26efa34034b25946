"""Up to which of its events a stream is a part of the attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from litellm import CustomStreamWrapper
from litellm.llms.base_llm.chat.transformation import BaseLLMException

from support.attempts import GENERIC, attempt, attempts_of, named, status
from support.attempts import router as router
from support.routing import cooling_down, failures


async def events(*outcomes: object) -> AsyncIterator[object]:
    """A stream, which an exception among `outcomes` breaks."""
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome


async def test_stream_is_attempt_until_first_event(router: Any) -> None:
    """A stream that breaks before its first event is a failed attempt, and one that breaks later is not."""

    async def body() -> None:
        with pytest.raises(BaseLLMException):
            await attempt(router, "a", events(status(529)), stream=True)
        begun = await attempt(router, "b", events(b"\0", status(529)), stream=True)
        assert await begun.__anext__() == b"\0"
        with pytest.raises(BaseLLMException):
            await begun.__anext__()

    assert [one[::3] for one in await attempts_of(router, body)] == [("a", 529)]


@pytest.mark.parametrize("function", ["anthropic_messages", "aresponses"])
async def test_failed_messages_stream_is_counted(router: Any, function: str) -> None:
    """A stream of Anthropic's messages that fails is counted here, as LiteLLM does not notice it."""
    counted = function == "anthropic_messages"
    generic: dict[str, Any] = {"original_generic_function": named(function), "stream": True}

    async def body() -> None:
        with pytest.raises(BaseLLMException):
            await attempt(router, "a", events(status(429)), by=named(GENERIC), **generic)

    assert len(await attempts_of(router, body)) == 1
    assert failures(router, "a") == counted
    assert cooling_down(router) == ({"a"} if counted else set())
    with pytest.raises(BaseLLMException):
        await attempt(router, "b", events(status(429)), by=named(GENERIC), **generic)
    assert failures(router, "b") == 0


@pytest.mark.parametrize("asked_for", [{}, {"stream": False}, {"stream": None}, {"stream": "yes"}])
async def test_unrequested_stream_is_not_read(router: Any, asked_for: dict[str, Any]) -> None:
    """A stream that was not asked for, such as a file's content, is not read."""

    async def body() -> None:
        stream = events(status(529))
        assert await attempt(router, "a", stream, **asked_for) is stream

    assert await attempts_of(router, body) == []


async def test_whole_answer_is_returned_unchanged(router: Any) -> None:
    """A whole answer, or a chat completion's stream that has begun, is returned as it is."""

    async def body() -> None:
        answer = object()
        assert await attempt(router, "a", answer, stream=True) is answer
        chat = CustomStreamWrapper.__new__(CustomStreamWrapper)
        assert await attempt(router, "a", chat, stream=True) is chat

    assert await attempts_of(router, body) == []
