"""The proxy's background health checks, seen from outside: what reaches the provider and what a caller is answered."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from proxy.routes import ask, callers, comes_true
from support.faulty_provider import FAULTS, HEALTHY, Fault, FaultyProvider, litellm_params
from support.gateway import Gateway

GROUP = "the-group"
LONG = 600
"""Seconds of a cooldown that outlasts the test."""

A_SECOND_BY_DEFAULT = {"DEFAULT_HEALTH_CHECK_INTERVAL": "1"}
ROUTED = {"enable_health_check_routing": True}  # unknown to 1.82.6, whose checks leave routing alone
ONE_BROKEN_ROUND = """
import litellm.proxy.health_check as health_check
from litellm.integrations.custom_logger import CustomLogger

perform = health_check._perform_health_check
rounds = 0


async def perform_but_once(*args, **kwargs):
    global rounds
    rounds += 1
    if rounds == 2:
        raise RuntimeError("the second round is broken")
    return await perform(*args, **kwargs)


health_check._perform_health_check = perform_but_once
handler = CustomLogger()
"""


def config(*providers: FaultyProvider, group: str = GROUP, mode: str = "chat", **more: Any) -> dict[str, Any]:
    """A `group` with a deployment at each of `providers`, checked every second if `general_settings` say nothing."""
    deployments = [
        {"model_name": group, "litellm_params": litellm_params("openai", one.url), "model_info": {"mode": mode}}
        for one in providers
    ]
    settings = {"background_health_checks": True, "health_check_interval": 1, **more.pop("general_settings", {})}
    return {"model_list": deployments, "general_settings": settings, **more}


def checks(provider: FaultyProvider) -> int:
    """Health checks that have reached the provider; LiteLLM's look at /v1/models has no content and is none."""
    return sum(bool(request.body) for request in provider.requests) - callers(provider)


def is_checked_again(provider: FaultyProvider, rounds: int = 3) -> bool:
    """Whether `rounds` more checks reach the provider; the first of them may have begun before."""
    enough = checks(provider) + rounds
    return comes_true(lambda: checks(provider) >= enough)


def is_asked(provider: FaultyProvider, gateway: Gateway) -> bool:
    """Whether one of many callers' requests reaches the provider."""
    before = callers(provider)
    return comes_true(lambda: bool(ask(gateway, GROUP)) and callers(provider) > before)


def cool_down(provider: FaultyProvider, gateway: Gateway, fault: Fault) -> None:
    """Break `provider` until it has met a caller, who is answered by the other one of the group."""
    provider.fault = fault
    assert is_asked(provider, gateway), "the group's choice never fell on the broken deployment"
    provider.fault = HEALTHY


# --- how often they run


@pytest.mark.parametrize("interval", [0, "soon", 10**400], ids=["0", "text", "overflow"])
def test_invalid_interval_uses_default(interval: Any, tmp_path: Path) -> None:
    """An interval that is no number of seconds is reported once, and the default holds."""
    with FaultyProvider() as provider:
        settings = {"health_check_interval": interval}
        with Gateway(config(provider, general_settings=settings), tmp_path, **A_SECOND_BY_DEFAULT) as gateway:
            began, before = time.monotonic(), checks(provider)
            assert is_checked_again(provider)
            assert checks(provider) - before <= time.monotonic() - began + 2
            assert gateway.log.count("general_settings.health_check_interval is not a number of seconds") == 1


def test_an_interval_from_the_environment_is_a_number(tmp_path: Path) -> None:
    """An interval that the environment gives as text is read as a number."""
    with FaultyProvider() as provider:
        settings = {"health_check_interval": "os.environ/SECONDS_BETWEEN_CHECKS"}
        with Gateway(config(provider, general_settings=settings), tmp_path, SECONDS_BETWEEN_CHECKS="1") as gateway:
            assert is_checked_again(provider)
            assert "is not a number of seconds" not in gateway.log


def test_checks_survive_failed_round(tmp_path: Path) -> None:
    """The checks begin anew after a round that raises, and the log says what happened."""
    (tmp_path / "one_broken_round.py").write_text(ONE_BROKEN_ROUND)
    with FaultyProvider() as provider:
        settings = config(provider, litellm_settings={"callbacks": ["one_broken_round.handler"]})
        with Gateway(settings, tmp_path) as gateway:
            assert comes_true(lambda: checks(provider) >= 4)
            assert "the second round is broken" in gateway.log


def test_failed_check_keeps_interval(tmp_path: Path) -> None:
    """A failing provider is checked no more often than a healthy one."""
    with FaultyProvider(FAULTS["500"]) as provider, Gateway(config(provider), tmp_path):
        began, before = time.monotonic(), checks(provider)
        assert is_checked_again(provider)
        assert checks(provider) - before <= time.monotonic() - began + 2


# --- what they do to routing


def test_a_deployment_found_healthy_again_returns_to_rotation(tmp_path: Path) -> None:
    """A deployment found healthy again returns to rotation, however much is left of its cooldown."""
    settings = {"cooldown_time": LONG, "num_retries": 3}
    with FaultyProvider() as recovering, FaultyProvider() as other:
        with Gateway(config(recovering, other, router_settings=settings), tmp_path) as gateway:
            cool_down(recovering, gateway, FAULTS["401"])
            assert is_asked(recovering, gateway)


def test_recovery_ends_check_cooldown(tmp_path: Path) -> None:
    """A deployment that checks took out returns when one finds it healthy, before its cooldown is over."""
    settings = {"cooldown_time": LONG, "num_retries": 3}
    with FaultyProvider(FAULTS["401"]) as recovering, FaultyProvider() as other:
        providers = config(recovering, other, general_settings=ROUTED, router_settings=settings)
        with Gateway(providers, tmp_path) as gateway:
            assert is_checked_again(recovering)
            recovering.fault = HEALTHY
            assert is_asked(recovering, gateway)


def test_rate_limit_outlasts_health_check(tmp_path: Path) -> None:
    """A rate-limited deployment stays out until its Retry-After, although its checks pass."""
    limited = Fault.status(429, retry_after=LONG)
    with FaultyProvider() as recovering, FaultyProvider() as other:
        with Gateway(config(recovering, other, router_settings={"num_retries": 3}), tmp_path) as gateway:
            cool_down(recovering, gateway, limited)
            before = callers(recovering)
            assert is_checked_again(recovering)
            assert [ask(gateway, GROUP).status_code for _ in range(20)] == [200] * 20
            assert callers(recovering) == before


def test_a_failed_check_leaves_each_group_in_service(tmp_path: Path) -> None:
    """Failed checks leave each group in service, and callers get their answers."""
    with FaultyProvider() as alone, FaultyProvider() as one, FaultyProvider() as two:
        groups = config(one, two, mode="image_generation", general_settings=ROUTED)
        groups["model_list"] += config(alone, group="of one", mode="image_generation")["model_list"]
        with Gateway({**groups, "router_settings": {"cooldown_time": LONG}}, tmp_path) as gateway:
            for provider in (alone, one, two):
                assert is_checked_again(provider)
                assert {request.path for request in provider.requests if request.body} == {"/v1/images/generations"}
            assert [ask(gateway, "of one").status_code for _ in range(10)] == [200] * 10
            assert [ask(gateway, GROUP).status_code for _ in range(10)] == [200] * 10
