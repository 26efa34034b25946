"""Of two cooldowns of a deployment the longer one counts, whichever came first (#40130)."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import mock

import pytest

from support.faulty_provider import Fault, FaultyProvider, Request, read_request
from support.routing import ask, cool_down, cooldown_cache, cooldown_seconds, cooling_down, deployment, routed, until

GROUP_OF_TWO = [deployment(name, "openai", "http://127.0.0.1:9") for name in ("a", "b")]


@pytest.mark.parametrize(
    ("first", "second", "lasting"),
    [(60, 1, 60), (1, 60, 60), (60, 60, 60), (60, None, 60), (None, 60, 60), (2, None, 30), (60, 0, 60)],
)
def test_longer_cooldown_counts(first: float | None, second: float | None, lasting: float) -> None:
    """A cooldown lasts as long as the longer one of two, with the router's own time for one that has none."""
    with routed(GROUP_OF_TWO, cooldown_time=30) as router:
        cool_down(router, "a", first)
        cool_down(router, "a", second)
        assert cooldown_seconds(router, "a") == lasting


async def test_shorter_one_after_the_longer_has_ended() -> None:
    """A cooldown that is over keeps none from beginning."""
    with routed(GROUP_OF_TWO, cooldown_time=30) as router:
        cool_down(router, "a", 0.3)
        assert await until(lambda: not cooling_down(router))
        cool_down(router, "a", 20)
        assert cooldown_seconds(router, "a") == 20


def test_deployments_have_cooldowns_of_their_own() -> None:
    """What one deployment is told says nothing about another one."""
    with routed(GROUP_OF_TWO, cooldown_time=30) as router:
        cool_down(router, "a", 60)
        cool_down(router, "b", 1)
        assert (cooldown_seconds(router, "a"), cooldown_seconds(router, "b")) == (60, 1)


class TwoAtOnce(FaultyProvider):
    """Is rate-limited for a minute to the first request, once a second one is under way, and for a second to that, once
    it is released."""

    def __init__(self) -> None:
        super().__init__()
        self._both_came, self._released = asyncio.Event(), asyncio.Event()

    def __enter__(self) -> TwoAtOnce:
        self.start()
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path, body = await read_request(reader)
        is_first = not self.requests
        fault = Fault.status(429, retry_after=60 if is_first else 1)
        self.requests.append(Request(path, body, fault))
        if not is_first:
            self._both_came.set()
        await (self._both_came if is_first else self._released).wait()
        await self._send(writer, fault, path, body)

    def release(self) -> None:
        """Let the second request fail."""
        self._in_loop(self._release())

    async def _release(self) -> None:
        self._released.set()


@pytest.mark.parametrize("mode", ["async", "async-stream"])
async def test_simultaneous_failures_leave_the_longer(mode: str) -> None:
    """Of two requests under way at once, the one that fails last does not shorten the other's cooldown."""
    with TwoAtOnce() as limited, FaultyProvider() as healthy:
        group = [deployment("a-limited", "openai", limited.url), deployment("b-healthy", "openai", healthy.url)]
        with routed(group, routing_strategy="cost-based-routing", num_retries=1) as router:
            requests = [asyncio.create_task(ask(router, mode)) for _ in range(2)]
            assert await until(lambda: cooling_down(router) == {"a-limited"})
            assert cooldown_seconds(router, "a-limited") == 60
            limited.release()
            assert await asyncio.gather(*requests) == ["pong", "pong"]
            assert cooldown_seconds(router, "a-limited") == 60


async def test_unreadable_store_takes_a_new_cooldown() -> None:
    """A store that cannot be read, such as a Redis that is away, is written to all the same."""
    with routed(GROUP_OF_TWO, cooldown_time=30) as router:
        store = cooldown_cache(router)
        with unreadable(store):
            cool_down(router, "a", 20)
        assert cooldown_seconds(router, "a") == 20


def unreadable(store: Any) -> Any:
    """A patch under which what says whether "a" is cooling down fails."""
    stored = getattr(store, "cooldown_store", None)
    holder, name = (stored, "active_sync") if hasattr(stored, "active_sync") else (store, "get_active_cooldowns")
    return mock.patch.object(type(holder), name, side_effect=ConnectionError("the store is away"))
