"""A deployment at fault is left alone under every routing strategy, sync and async, streaming and not."""

from __future__ import annotations

import pytest

from support.faulty_provider import FAULTS, PROVIDERS, FaultyProvider
from support.routing import DRAWN, MODES, STRATEGIES, cooling_down, deployment, lost, outcomes, routed, until

REQUESTS = 12
ENOUGH_TO_JUDGE_A_RATE = 40
"""Requests after which also the strategy that shuffles has met the faulty deployment often enough."""

AT_ONCE = ("refused", "unresolvable", "429")
REPEATED = ("reset", "close", "500", "503")
COOLED_BUT_NOT_YET_RETRIED_ELSEWHERE = ("401", "402", "403", "404")


BY_CHANCE = {strategy: [pytest.mark.by_chance] if strategy in DRAWN else [] for strategy in STRATEGIES}

STRATEGIES_AND_MODES = [
    pytest.param(strategy, mode, marks=BY_CHANCE[strategy])
    for strategy in STRATEGIES
    for mode in MODES
    if not (strategy == "cost-based-routing" and mode.startswith("sync"))
]
"""LiteLLM's cost-based routing is async only: see the last test here."""


@pytest.mark.parametrize(("strategy", "mode"), STRATEGIES_AND_MODES)
@pytest.mark.parametrize("fault", AT_ONCE)
async def test_no_request_is_lost_to_a_deployment_that_cools_down_at_once(strategy: str, fault: str, mode: str) -> None:
    """An unreachable or rate-limited deployment: the attempt it fails is retried, and it is not asked again."""
    with FaultyProvider(FAULTS[fault]) as bad, FaultyProvider() as good:
        group = [deployment("a-bad", "ollama_chat", bad.url), deployment("b-good", "ollama_chat", good.url)]
        with routed(group, routing_strategy=strategy, num_retries=2) as router:
            results = await outcomes(router, REQUESTS, mode)
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert lost(results) == []


@pytest.mark.parametrize("strategy", [pytest.param(strategy, marks=BY_CHANCE[strategy]) for strategy in STRATEGIES])
@pytest.mark.parametrize("fault", REPEATED)
async def test_at_most_the_first_request_is_lost_to_a_deployment_that_fails_repeatedly(
    strategy: str, fault: str
) -> None:
    """LiteLLM's failure rate needs five attempts; they are made within two requests."""
    with FaultyProvider(FAULTS[fault]) as bad, FaultyProvider() as good:
        group = [deployment("a-bad", "ollama_chat", bad.url), deployment("b-good", "ollama_chat", good.url)]
        with routed(group, routing_strategy=strategy, num_retries=2) as router:
            results = await outcomes(router, ENOUGH_TO_JUDGE_A_RATE)
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert len(lost(results)) <= 1


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", [*AT_ONCE, *REPEATED, *COOLED_BUT_NOT_YET_RETRIED_ELSEWHERE, "529", "truncated"])
async def test_every_fault_blamed_on_the_deployment_cools_it_down(provider: str, fault: str) -> None:
    """Whatever the provider's format and whichever branch its errors take."""
    with FaultyProvider(FAULTS[fault]) as bad, FaultyProvider() as good:
        group = [deployment("a-bad", provider, bad.url), deployment("b-good", provider, good.url)]
        with routed(group, routing_strategy="cost-based-routing", num_retries=2) as router:
            results = await outcomes(router, REQUESTS)
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert len(lost(results)) <= 1


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", ["400"])
async def test_a_fault_blamed_on_the_request_never_cools_a_deployment_down(provider: str, fault: str) -> None:
    """Every request is refused with the provider's reason, and the deployment stays in rotation."""
    with FaultyProvider(FAULTS[fault]) as bad, FaultyProvider() as good:
        group = [deployment("a-bad", provider, bad.url), deployment("b-good", provider, good.url)]
        with routed(group, routing_strategy="cost-based-routing", num_retries=2) as router:
            results = await outcomes(router, REQUESTS)
            assert lost(results) == list(range(REQUESTS))
            assert bad.attempts == REQUESTS
            assert cooling_down(router) == set()


async def test_cost_based_routing_has_no_sync_path_to_fail_over_on() -> None:
    """Nothing is broken here and no request is answered, so the tests above leave this combination out."""
    with FaultyProvider() as one, FaultyProvider() as other:
        group = [deployment("a", "ollama_chat", one.url), deployment("b", "ollama_chat", other.url)]
        with routed(group, routing_strategy="cost-based-routing", num_retries=0) as router:
            assert lost(await outcomes(router, 2, "sync")) == [0, 1]
