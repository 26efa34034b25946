"""A provider's connection is closed when nobody reads its answer on, and left to LiteLLM when it was read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

import pytest
from litellm.litellm_core_utils.abandoned_stream import close_when_abandoned


class Answer:
    """Passes for LiteLLM's reader of an answer over aiohttp: two chunks, then a third, an `error` or none for ever."""

    def __init__(self, *, stalls: bool = False, error: Exception | None = None) -> None:
        self.stalls = stalls
        self.error = error
        self._aiohttp_response = mock.Mock()

    @property
    def is_closed(self) -> bool:
        return bool(self._aiohttp_response.close.called)


async def __aiter__(self: Any) -> AsyncIterator[bytes]:
    yield b"po"
    yield b"ng"
    if self.stalls:
        await asyncio.Event().wait()
    if self.error is not None:
        raise self.error
    yield b"!"


def chunks_of(answer: Any) -> Any:
    """The chunks of `answer` as its reader gets them."""
    return close_when_abandoned(__aiter__)(answer)


async def test_read_answer_is_left_open() -> None:
    """The connection of an answer that was read to its end is LiteLLM's to keep."""
    answer = Answer()
    assert [chunk async for chunk in chunks_of(answer)] == [b"po", b"ng", b"!"]
    assert not answer.is_closed


async def test_failed_answer_is_left_to_litellm() -> None:
    """The connection of an answer that broke off is closed by whoever is told of that."""
    answer = Answer(error=ConnectionResetError("cut"))
    with pytest.raises(ConnectionResetError):
        [chunk async for chunk in chunks_of(answer)]
    assert not answer.is_closed


async def test_reader_that_leaves_closes_the_connection() -> None:
    """The connection is closed when the reader drops the rest of the answer."""
    answer = Answer()
    chunks = chunks_of(answer)
    assert await chunks.__anext__() == b"po"
    await chunks.aclose()
    assert answer.is_closed


async def test_cancelled_reader_closes_the_connection() -> None:
    """The connection is closed when the task that waits for the rest of the answer is cancelled."""
    answer = Answer(stalls=True)

    async def read() -> None:
        async for _ in chunks_of(answer):
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert answer.is_closed


def test_wrapped_reader_keeps_its_name() -> None:
    """The wrapped method keeps the name of LiteLLM's."""
    assert close_when_abandoned(__aiter__).__name__ == "__aiter__"
