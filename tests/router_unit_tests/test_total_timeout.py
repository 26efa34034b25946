"""One deadline for attempts, back-offs and fallbacks, over sockets: silent and slow hosts, what the caller is told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import litellm
import pytest
from litellm.router_utils.failover.deadline import TOTAL_TIMEOUT

from support.faulty_provider import REFUSED, SILENT, FaultyProvider
from support.routing import (
    GROUP,
    MESSAGES,
    MODES,
    ask,
    cooling_down,
    deployment,
    event_loop,
    lost,
    outcomes,
    routed,
    until,
)
from support.scripted_provider import ScriptedProvider, Stream
from support.slow_host import SlowHost

TOTAL = 0.5
SLACK = 10.0
"""Seconds more than the deadline that a busy machine may need; a host's own timeout is longer."""

LONGER = 0.6
"""Where something is to happen before it: a timeout, or words that are held back and break off."""

OWN_TIMEOUT = 30.0
OTHER = "the-fallback"
THREAD = "litellm-total-timeout"


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """What the first requests import is there; it takes longer than a deadline here."""

    async def ask_each() -> None:
        with FaultyProvider() as well, routed([deployment("a", "openai", well.url)]) as router:
            for mode in MODES:
                await ask(router, mode)
        with FaultyProvider(REFUSED) as refused, routed([deployment("a", "openai", refused.url)]) as router:
            for mode in MODES:
                await timed(router, mode, num_retries=0)

    with event_loop() as loop:
        loop.run_until_complete(ask_each())


@pytest.fixture(autouse=True)
async def threads_end() -> AsyncIterator[None]:
    """Synchronous requests that were left alone have ended: the routers of other tests are not told of them."""
    yield
    await join_threads()


async def join_threads() -> None:
    """Waits for what synchronous requests have left to run."""
    for one in threading.enumerate():
        if one.name == THREAD:
            await asyncio.to_thread(one.join, OWN_TIMEOUT)
            assert not one.is_alive()


@pytest.fixture
def silent() -> Iterator[FaultyProvider]:
    """A silent host."""
    with FaultyProvider(SILENT) as provider:
        yield provider


@pytest.fixture
def well() -> Iterator[FaultyProvider]:
    """A healthy host."""
    with FaultyProvider() as provider:
        yield provider


def models(shape: str, first: str, others: str) -> list[dict[str, Any]]:
    """One deployment, three of a group, or one and its fallback; the first of them at an address of its own."""
    if shape == "one":
        return [deployment("a", "openai", others)]
    second = {"three": GROUP, "fallback": OTHER}[shape]
    more = [deployment(name, "openai", others, group=second) for name in ("b", "c")]
    return [deployment("a", "openai", first), *more]


async def timed(router: Any, mode: str, **params: Any) -> tuple[float, Exception]:
    """How many seconds a request took, and what it ended with."""
    began = time.monotonic()
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the tests look at it
        await ask(router, mode, **params)
    return time.monotonic() - began, raised.value


def states(router: Any) -> dict[str, str]:
    """Which deployment is in rotation, or is not."""
    return {one["model_id"]: one["state"] for one in router.get_rotation_state()}


@pytest.mark.parametrize(("host", "shape"), [("slow", "three"), ("refused", "fallback")])
async def test_ends_at_its_deadline(host: str, shape: str, silent: FaultyProvider) -> None:
    """Whatever the hosts do, and however the request is made, it ends at its deadline with a 504 that names attempts;
    nobody is cooled down for having been asked late. More of these are in tests/proxy."""
    total = 1.0
    fallbacks = [{GROUP: [OTHER]}] if shape == "fallback" else []
    with SlowHost() as slow, FaultyProvider(REFUSED) as refused:
        first = {"silent": silent.url, "slow": slow.url, "refused": refused.url}[host]
        group = models(shape, first, slow.url if host == "slow" else silent.url)
        with routed(group, timeout=OWN_TIMEOUT, num_retries=3, fallbacks=fallbacks, total_timeout=total) as router:
            for elapsed, error in await asyncio.gather(*(timed(router, mode) for mode in ("async-stream", "sync"))):
                assert total <= elapsed < total + SLACK, error
                assert isinstance(error, litellm.Timeout)
                assert error.status_code == 504
                assert TOTAL_TIMEOUT in error.message
                assert "Attempts that failed" in error.message
            assert cooling_down(router) <= ({"a"} if host == "refused" else set())


async def test_back_off_ends_at_the_deadline() -> None:
    """A back-off that would last longer ends at the deadline."""
    with FaultyProvider(REFUSED) as refused:
        group = [deployment("a", "openai", refused.url)]
        with routed(group, num_retries=1, retry_after=20, total_timeout=TOTAL) as router:
            elapsed, error = await timed(router, "async")
        assert TOTAL <= elapsed < TOTAL + SLACK
        assert getattr(error, "status_code", None) == 504
        assert "unreachable" in str(error)


@pytest.mark.parametrize("mode", ["async-stream", "sync"])
async def test_answers_within_the_deadline(mode: str, silent: FaultyProvider, well: FaultyProvider) -> None:
    """A deployment's own timeout, which is shorter, leaves time for another one, which answers, and counts."""
    group = [
        deployment("a", "openai", silent.url, timeout=0.1, stream_timeout=0.1),
        deployment("b", "openai", well.url),
    ]
    with routed(group, num_retries=1) as router:
        assert await outcomes(router, 4, mode, total_timeout=20) == ["pong"] * 4
        assert not silent.attempts or states(router) == {"a": "ejected", "b": "in_rotation"}


@pytest.mark.parametrize("mode", ["async", "sync"])
async def test_routers_deadline_ejects_who_had_it(mode: str, silent: FaultyProvider, well: FaultyProvider) -> None:
    """Who has answered nobody for a whole deadline of the router's is silent, as if that were its timeout."""
    group = [deployment("a", "openai", silent.url, weight=1e9), deployment("b", "openai", well.url, weight=1)]
    with routed(group, timeout=OWN_TIMEOUT, total_timeout=TOTAL) as router:
        assert lost(await outcomes(router, 1, mode)) == [0]
        assert await until(lambda: states(router)["a"] == "ejected")
        assert await outcomes(router, 3, mode, total_timeout=20) == ["pong"] * 3
        assert cooling_down(router) == set()
    assert silent.attempts == 1


@pytest.mark.parametrize("mode", ["async", "sync"])
async def test_callers_deadline_ejects_nobody(mode: str, silent: FaultyProvider) -> None:
    """A deadline that is the request's own says nothing to others."""
    with routed([deployment(name, "openai", silent.url) for name in "ab"], timeout=OWN_TIMEOUT) as router:
        assert lost(await outcomes(router, 2, mode, total_timeout=0.1)) == [0, 1]
        assert states(router) == dict.fromkeys("ab", "in_rotation")


async def test_late_attempt_is_not_blamed(silent: FaultyProvider) -> None:
    """Who was asked when little was left of the router's deadline is not out of rotation for that."""
    group = [
        deployment("a", "openai", silent.url, timeout=0.1, weight=1e9),
        deployment("b", "openai", silent.url, timeout=OWN_TIMEOUT, weight=1),
    ]
    with routed(group, num_retries=1, total_timeout=LONGER) as router:
        _, error = await timed(router, "sync")
        assert "deployment a: timed_out" in str(error)
        await join_threads()
        assert states(router) == {"a": "ejected", "b": "in_rotation"}


async def test_request_wins_over_router(silent: FaultyProvider) -> None:
    """A request's own deadline counts, though it is longer."""
    group = [deployment("a", "openai", silent.url)]
    with routed(group, num_retries=0, timeout=OWN_TIMEOUT, total_timeout=0.05) as router:
        elapsed, _ = await timed(router, "async", total_timeout=TOTAL)
        assert elapsed >= TOTAL


async def test_begun_stream_goes_on() -> None:
    """Once a stream's first words are there, neither the deadline nor what was left of it ends it."""
    with ScriptedProvider([Stream(stall_after=1, stall=TOTAL + 0.2)], answer="some words") as provider:
        with routed([deployment("a", "openai", provider.url)], total_timeout=TOTAL) as router:
            assert await ask(router, "async-stream") == "some words"


async def test_held_words_end_at_the_deadline() -> None:
    """A stream that is held back and stalls ends at the deadline: its words are with nobody."""
    steps = [Stream(), Stream(stall_after=2, stall=OWN_TIMEOUT)]
    with ScriptedProvider(steps, answer="some more words") as provider:
        with routed([deployment("a", "openai", provider.url)], stream_recovery="hold") as router:
            assert await ask(router, "async-stream")  # what is imported by the first one takes a while
            elapsed, error = await timed(router, "async-stream", total_timeout=LONGER)
    assert LONGER <= elapsed < LONGER + SLACK
    assert getattr(error, "status_code", None) == 504
    assert "deployment a: timed_out" in str(error)


async def test_held_words_that_flow_are_passed_on() -> None:
    """Words that are held back and keep coming are passed on by the deadline, and the answer is whole."""
    words = " ".join(map(str, range(600)))
    heard: list[tuple[float, str]] = []
    with ScriptedProvider([Stream()], answer=words) as provider:
        with routed([deployment("a", "openai", provider.url)], stream_recovery="hold", total_timeout=0.8) as router:
            async for chunk in await router.acompletion(model=GROUP, messages=MESSAGES, stream=True):
                heard.append((time.monotonic(), chunk.choices[0].delta.content or ""))
    assert "".join(text for _, text in heard) == words
    assert heard[-1][0] - heard[0][0] > 0.05


@pytest.mark.parametrize("mode", ["async-stream", "sync-stream"])
async def test_second_answer_shares_the_deadline(mode: str, silent: FaultyProvider) -> None:
    """What is asked in place of a stream that broke while it was held back has what is left of the deadline."""
    with ScriptedProvider([Stream(), Stream(cut_after=1)], answer="some words") as provider:
        group = [
            deployment("a", "openai", provider.url, weight=1e9),
            deployment("b", "openai", silent.url, weight=1),
        ]
        with routed(group, timeout=OWN_TIMEOUT, stream_recovery="hold", num_retries=1) as router:
            assert await ask(router, mode)
            elapsed, error = await timed(router, mode, total_timeout=LONGER)
    assert LONGER <= elapsed < LONGER + SLACK
    assert getattr(error, "status_code", None) == 504
    assert "deployment a" in str(error)


@pytest.mark.parametrize("mode", ["async", "sync-stream"])
async def test_provider_is_not_sent_it(mode: str, well: FaultyProvider) -> None:
    """The provider's request does not have it."""
    with routed([deployment("a", "openai", well.url)]) as router:
        assert await ask(router, mode, total_timeout=20) == "pong"
        assert await until(lambda: bool(well.requests))
        assert all(TOTAL_TIMEOUT not in str(one.body) for one in well.requests)


@pytest.mark.parametrize("kind", ["aembedding", "atext_completion", "aresponses", "aanthropic_messages"])
async def test_other_endpoints(kind: str, silent: FaultyProvider) -> None:
    """Other requests are held to it as well."""
    of_kind: dict[str, dict[str, Any]] = {
        "aembedding": {"input": ["ping"]},
        "atext_completion": {"prompt": "ping"},
        "aresponses": {"input": "ping"},
        "aanthropic_messages": {"messages": MESSAGES, "max_tokens": 9},
    }
    provider = "anthropic" if kind == "aanthropic_messages" else "openai"
    with routed([deployment("a", provider, silent.url)], timeout=OWN_TIMEOUT, total_timeout=0.2) as router:
        began = time.monotonic()
        with pytest.raises(litellm.Timeout) as raised:
            await getattr(router, kind)(model=GROUP, **of_kind[kind])
        assert time.monotonic() - began < TOTAL + SLACK
        assert raised.value.status_code == 504


async def test_synchronous_response(silent: FaultyProvider) -> None:
    """A synchronous response, of which LiteLLM makes one attempt, is held to it."""
    with routed([deployment("a", "openai", silent.url)], timeout=OWN_TIMEOUT, total_timeout=0.2) as router:
        began = time.monotonic()
        with pytest.raises(litellm.Timeout) as raised:
            await asyncio.to_thread(router.responses, model=GROUP, input="ping")
        assert time.monotonic() - began < TOTAL + SLACK
        assert raised.value.status_code == 504


@pytest.mark.parametrize("mode", ["async", "sync"])
async def test_fallback_after_a_deadline(mode: str, silent: FaultyProvider, well: FaultyProvider) -> None:
    """A lone deployment that has used up the router's deadline leaves the next request to its fallback."""
    group = [deployment("a", "openai", silent.url), deployment("b", "openai", well.url, group=OTHER)]
    settings = {"timeout": OWN_TIMEOUT, "total_timeout": 0.3, "num_retries": 1, "fallbacks": [{GROUP: [OTHER]}]}
    with routed(group, **settings) as router:
        _, error = await timed(router, mode)
        assert "b" not in [one.deployment_id for one in getattr(error, "failed_attempts", ())]
        assert await until(lambda: cooling_down(router) == {"a"})
        assert await ask(router, mode) == "pong"
        assert silent.attempts == 1


@pytest.mark.parametrize("value", [-1, "soon", float("nan")])
async def test_senseless_values(value: Any, well: FaultyProvider) -> None:
    """A value that makes no sense is refused by name, the router's when it is made, a request's as a bad request."""
    group = [deployment("a", "openai", well.url)]
    with pytest.raises(ValueError, match="total_timeout of the router"), routed(group, total_timeout=value):
        pass
    with routed(group) as router:
        for mode in ("async", "sync"):
            with pytest.raises(litellm.BadRequestError, match="total_timeout of the request"):
                await ask(router, mode, total_timeout=value)
    assert well.attempts == 0
