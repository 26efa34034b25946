"""A deployment at fault costs no request and is left alone, under every routing strategy and in every mode."""

from __future__ import annotations

from itertools import product

import pytest

from support.faulty_provider import FAULTS, PROVIDERS, FaultyProvider
from support.routing import MODES, STRATEGIES, cooling_down, deployment, lost, outcomes, routed, until

REQUESTS = 3
ENOUGH_TO_JUDGE_A_RATE = 12
"""LiteLLM's failure rate needs five failures, of more than half of the attempts."""

AT_ONCE = ("refused", "unresolvable", "429", "401", "402", "403", "404")
REPEATED = ("reset", "close", "truncated", "500", "503", "529", "408", "html-200", "empty-200")
SILENT = ("silence",)
BLAMED_ON_THE_DEPLOYMENT = (*AT_ONCE, *REPEATED, *SILENT)
IN_EVERY_MODE = ("refused", "429", "404", "503", "reset", "empty-200", "silence")
PATIENCE = 1.0
"""Seconds the router waits for the provider at fault; the other has all the time a busy machine needs."""

FAULTS_PROVIDERS_STRATEGIES = [
    (fault, provider, STRATEGIES[(row + column) % len(STRATEGIES)])
    for row, fault in enumerate(BLAMED_ON_THE_DEPLOYMENT)
    for column, provider in enumerate(PROVIDERS)
]
"""Any two of them meet, most only once. All three at a time are for `nox -s bench -- failover`."""


def modes(strategy: str) -> list[str]:
    """LiteLLM's cost-based routing is async only: see the last test here."""
    return [mode for mode in MODES if strategy != "cost-based-routing" or not mode.startswith("sync")]


FAULTS_STRATEGIES_MODES = [
    (fault, strategy, modes(strategy)[(row + column) % len(modes(strategy))])
    for row, fault in enumerate(IN_EVERY_MODE)
    for column, strategy in enumerate(STRATEGIES)
]
"""As above: any two of them meet."""


def test_any_two_choices_meet() -> None:
    """Each fault, provider, strategy and mode of the tests below is tried with each of the others."""
    usual = FAULTS_PROVIDERS_STRATEGIES
    assert {(fault, provider) for fault, provider, _ in usual} == set(product(BLAMED_ON_THE_DEPLOYMENT, PROVIDERS))
    assert {(fault, strategy) for fault, _, strategy in usual} == set(product(BLAMED_ON_THE_DEPLOYMENT, STRATEGIES))
    assert {(provider, strategy) for _, provider, strategy in usual} == set(product(PROVIDERS, STRATEGIES))
    moded = FAULTS_STRATEGIES_MODES
    assert {(fault, strategy) for fault, strategy, _ in moded} == set(product(IN_EVERY_MODE, STRATEGIES))
    assert {(fault, mode) for fault, _, mode in moded} == set(product(IN_EVERY_MODE, MODES))
    assert {(name, mode) for _, name, mode in moded} == {(name, mode) for name in STRATEGIES for mode in modes(name)}


@pytest.mark.by_chance
@pytest.mark.parametrize(("fault", "provider", "strategy"), FAULTS_PROVIDERS_STRATEGIES)
async def test_failover_loses_no_request(fault: str, provider: str, strategy: str) -> None:
    """No request is lost while another deployment can answer it, whatever is wrong with the first."""
    with FaultyProvider(FAULTS[fault]) as bad, FaultyProvider() as good:
        group = [deployment("a-bad", provider, bad.url, timeout=PATIENCE), deployment("b-good", provider, good.url)]
        with routed(group, routing_strategy=strategy, num_retries=2) as router:
            results = await outcomes(router, REQUESTS if fault not in SILENT else 1)
            assert results == ["pong"] * len(results)
            assert good.attempts == len(results)


@pytest.mark.by_chance
@pytest.mark.parametrize(("fault", "strategy", "mode"), FAULTS_STRATEGIES_MODES)
async def test_no_request_is_lost_in_any_mode(fault: str, strategy: str, mode: str) -> None:
    """No request is lost in any mode, sync or async, streamed or not."""
    with FaultyProvider(FAULTS[fault]) as bad, FaultyProvider() as good:
        at_fault = deployment("a-bad", "ollama_chat", bad.url, timeout=PATIENCE)
        group = [at_fault, deployment("b-good", "ollama_chat", good.url)]
        with routed(group, routing_strategy=strategy, num_retries=2) as router:
            results = await outcomes(router, REQUESTS if fault not in SILENT else 1, mode)
            assert results == ["pong"] * len(results)


@pytest.mark.by_chance
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", [*AT_ONCE, *REPEATED])
async def test_deployment_fault_cools_down(provider: str, fault: str) -> None:
    """A fault of the deployment cools it down at once, or once it has failed often enough."""
    with FaultyProvider(FAULTS[fault]) as bad, FaultyProvider() as good:
        group = [deployment("a-bad", provider, bad.url), deployment("b-good", provider, good.url)]
        with routed(group, routing_strategy="cost-based-routing", num_retries=2) as router:
            results = await outcomes(router, ENOUGH_TO_JUDGE_A_RATE)
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert lost(results) == []


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", ["400"])
async def test_request_fault_never_cools_down(provider: str, fault: str) -> None:
    """A fault of the request costs one attempt, and the deployment stays in rotation."""
    with FaultyProvider(FAULTS[fault]) as bad, FaultyProvider() as good:
        group = [deployment("a-bad", provider, bad.url), deployment("b-good", provider, good.url)]
        with routed(group, routing_strategy="cost-based-routing", num_retries=2) as router:
            results = await outcomes(router, REQUESTS)
            assert lost(results) == list(range(REQUESTS))
            assert (bad.attempts, good.attempts) == (REQUESTS, 0)
            assert cooling_down(router) == set()


async def test_cost_based_routing_is_async_only() -> None:
    """LiteLLM's cost-based routing answers no sync request, even if nothing is broken."""
    with FaultyProvider() as one, FaultyProvider() as other:
        group = [deployment("a", "ollama_chat", one.url), deployment("b", "ollama_chat", other.url)]
        with routed(group, routing_strategy="cost-based-routing", num_retries=0) as router:
            assert lost(await outcomes(router, 2, "sync")) == [0, 1]
