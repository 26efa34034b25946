"""The two reports, as their reporters wrote them, over real sockets."""

from __future__ import annotations

import time

import pytest
from litellm import Router

from support.faulty_provider import HEALTHY, REFUSED, Fault, FaultyProvider
from support.routing import PATIENCE, cooldown_seconds, cooling_down, deployment, lost, outcomes, routed, until

RATE_LIMITED = Fault.status(429, message="Rate limit exceeded. Retry in 6s.", retry_after=6)


@pytest.mark.parametrize("provider", ["publicai", "scaleway", "veniceai"])
async def test_issue_24366_rate_limited_json_provider(provider: str) -> None:
    """A rate-limited provider of providers.json is cooled down, and no request is lost (#24366)."""
    with FaultyProvider(RATE_LIMITED) as limited, FaultyProvider() as healthy:
        group = [
            deployment("a-limited", "openai", limited.url, model=f"{provider}/some-model"),
            deployment("b-healthy", "openai", healthy.url, model=f"{provider}/some-model"),
        ]
        with routed(group, routing_strategy="usage-based-routing-v2") as router:
            assert lost(await outcomes(router, 12)) == []
            assert await until(lambda: cooling_down(router) == {"a-limited"})
            assert cooldown_seconds(router, "a-limited") == 6
            before = limited.attempts
            assert lost(await outcomes(router, 12)) == []
            assert limited.attempts == before


@pytest.mark.parametrize("strategy", [pytest.param("simple-shuffle", marks=pytest.mark.by_chance), "least-busy"])
async def test_issue_27362_unreachable_ollama_host(strategy: str) -> None:
    """An Ollama host that refuses connections is left alone, and the other one answers (#27362)."""
    with FaultyProvider(REFUSED) as down, FaultyProvider() as healthy:
        group = [
            deployment("a-down", "ollama_chat", down.url),
            deployment("b-healthy", "ollama_chat", healthy.url),
        ]
        with routed(group, routing_strategy=strategy) as router:
            results = await outcomes(router, 12)
            assert lost(results) == []
            assert healthy.answered == 12
            assert strategy == "simple-shuffle" or await until(lambda: cooling_down(router) == {"a-down"})


async def test_host_returns_after_cooldown() -> None:
    """A host that comes back is used again once its cooldown has ended by itself."""
    with FaultyProvider(REFUSED) as returning, FaultyProvider() as healthy:
        group = [
            deployment("a-returning", "ollama_chat", returning.url),
            deployment("b-healthy", "ollama_chat", healthy.url),
        ]
        with routed(group, routing_strategy="cost-based-routing", cooldown_time=0.3) as router:
            assert lost(await outcomes(router, 1)) == []
            assert await until(lambda: cooling_down(router) == {"a-returning"})
            returning.fault = HEALTHY
            assert await until(lambda: not cooling_down(router))
            assert await answers_again(router, returning)


async def answers_again(router: Router, host: FaultyProvider) -> bool:
    """Whether `host` answers one of the requests made from now on, none of which is lost. LiteLLM's store counts a
    cooldown from a moment before it hears of it, and so ends it a little before the router's own clock does."""
    deadline = time.monotonic() + PATIENCE
    while not host.answered and time.monotonic() < deadline:
        assert lost(await outcomes(router, 1)) == []
    return host.answered == 1
