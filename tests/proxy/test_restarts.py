"""Providers and the proxy itself go down and come back while callers keep asking."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from proxy.load import grows, load
from proxy.routes import ROUTES, ask, comes_true
from support.faulty_provider import FAULTS, HEALTHY, SILENT, Fault, FaultyProvider, litellm_params
from support.gateway import Gateway

CALLERS = 8


def config(*providers: FaultyProvider, **router_settings: Any) -> dict[str, Any]:
    """One group with a deployment at each of `providers`."""
    params = [{**litellm_params("openai", provider.url), "timeout": 1.0} for provider in providers]
    return {
        "model_list": [{"model_name": "the-group", "litellm_params": one} for one in params],
        "router_settings": {"num_retries": 2, "cooldown_time": 1, **router_settings},
    }


def outcome_of(gateway: Gateway, stream: bool = False) -> str:
    """What became of one request: "answered", or else the proxy's words."""
    response = ask(gateway, "the-group", ROUTES["chat"], stream)
    return "answered" if response.is_success and "pong" in response.text else response.text


def die_and_come_back(provider: FaultyProvider, death: Fault, outcomes: list[str]) -> None:
    """It is dead for some requests of each caller, and then serves some."""
    provider.fault = death
    assert grows(lambda: len(outcomes), by=3 * CALLERS)
    provider.fault = HEALTHY
    assert grows(lambda: provider.answered, by=CALLERS)


def test_provider_restarts_lose_no_request(tmp_path: Path) -> None:
    """No request is lost while providers die and come back, and each is used again when it is back."""
    with FaultyProvider() as one, FaultyProvider() as other, Gateway(config(one, other), tmp_path) as gateway:
        with load(CALLERS, lambda number: outcome_of(gateway, stream=bool(number % 2))) as outcomes:
            for death, provider in itertools.product(("refused", "reset", "503", "429"), (one, other)):
                die_and_come_back(provider, FAULTS[death], outcomes)
        assert set(outcomes) == {"answered"}


def test_start_beside_dead_host(tmp_path: Path) -> None:
    """A proxy that starts beside a dead host answers its first request, though it knows of no cooldown."""
    with FaultyProvider(FAULTS["refused"]) as dead, FaultyProvider() as healthy:
        gateway = Gateway(config(dead, healthy, cooldown_time=600), tmp_path)
        for _ in range(3):
            with gateway:
                assert [outcome_of(gateway) for _ in range(6)] == ["answered"] * 6


def test_shutdown_finishes_pending_requests(tmp_path: Path) -> None:
    """A proxy that is stopped finishes the requests it has begun, also by going on to the next provider."""
    with FaultyProvider(SILENT) as silent, FaultyProvider() as healthy:
        group = config(silent, healthy, routing_strategy="cost-based-routing", num_retries=1)
        for price, deployment in zip((1e-6, 2e-6), group["model_list"], strict=True):
            deployment["litellm_params"] |= {"input_cost_per_token": price, "output_cost_per_token": price}
        with Gateway(group, tmp_path) as gateway, ThreadPoolExecutor(1) as pool:
            outcome = pool.submit(outcome_of, gateway)
            assert comes_true(lambda: silent.attempts == 1)
            gateway.stop()
            assert outcome.result() == "answered"
            assert healthy.answered == 1
