"""A deployment that stands for a pattern of names is cooled down while another one of its group is in rotation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import litellm
import pytest

from support.faulty_provider import FAULTS, HEALTHY, Fault, FaultyProvider
from support.routing import (
    GROUP,
    MODES,
    RELEASE,
    back_offs,
    cooldown_seconds,
    cooling_down,
    deployment,
    failures,
    lost,
    outcomes,
    routed,
    until,
)

PATTERN = "openai/*"
MODEL = "openai/gpt-x"
SETTINGS: dict[str, Any] = {"num_retries": 1, "cooldown_time": 60}
WEIGHTS = {"a": 10**9, "b": 1}
"""With these the first is drawn, as long as it can be."""


def of_pattern(name: str, url: str) -> dict[str, Any]:
    """A deployment that stands for every model of OpenAI's."""
    return deployment(name, "openai", url, group=PATTERN, model=PATTERN, weight=WEIGHTS[name])


@contextmanager
def pair(fault: Fault, **settings: Any) -> Iterator[tuple[Any, FaultyProvider, FaultyProvider]]:
    """A router over two deployments of a pattern, which asks the one with `fault` first, and their providers."""
    with FaultyProvider(fault) as bad, FaultyProvider() as good:
        group = [of_pattern("a", bad.url), of_pattern("b", good.url)]
        with routed(group, **{**SETTINGS, **settings}) as router:
            yield router, bad, good


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", ["401", "402", "403", "429", "refused"])
async def test_failed_deployment_is_left_alone(fault: str, mode: str) -> None:
    """A deployment of a pattern that failed for a reason of its own is not asked again while its cooldown lasts."""
    with pair(FAULTS[fault]) as (router, bad, good):
        assert await outcomes(router, 1, mode, model=MODEL) == ["pong"]
        assert await until(lambda: cooling_down(router) == {"a"})
        assert await outcomes(router, 3, mode, model="openai/gpt-y") == ["pong"] * 3
        assert (bad.attempts, good.attempts) == (0 if fault == "refused" else 1, 4)


@pytest.mark.parametrize("mode", ["async", "sync"])
async def test_repeated_failures_count(mode: str) -> None:
    """A deployment of a pattern that fails again and again is cooled down by LiteLLM's failure rate."""
    with pair(FAULTS["503"]) as (router, bad, good):
        assert await outcomes(router, 5, mode, model=MODEL) == ["pong"] * 5
        assert await until(lambda: cooling_down(router) == {"a"})
        assert await outcomes(router, 2, mode, model=MODEL) == ["pong"] * 2
        assert (bad.attempts, good.attempts) == (5, 7)


async def test_retry_after_is_kept() -> None:
    """A deployment of a pattern is left alone for as long as its provider has said."""
    with pair(Fault.status(429, retry_after=30)) as (router, _, _):
        assert await outcomes(router, 1, model=MODEL) == ["pong"]
        assert await until(lambda: cooling_down(router) == {"a"})
        assert cooldown_seconds(router, "a") == 30


async def test_last_of_pattern_stays() -> None:
    """The last deployment of a pattern in rotation stays for those who ask for another model."""
    with pair(FAULTS["429"]) as (router, bad, other), back_offs():
        other.fault = FAULTS["429"]
        assert lost(await outcomes(router, 2, model=MODEL)) == [0, 1]
        assert await until(lambda: cooling_down(router) == {"a"})
        other.fault = HEALTHY
        assert await outcomes(router, 1, model="openai/gpt-y") == ["pong"]
        assert bad.attempts == 1


async def test_lone_pattern_stays() -> None:
    """The only deployment of a pattern stays in rotation, beside a group of another name as well."""
    with FaultyProvider(FAULTS["401"]) as bad, FaultyProvider() as good:
        group = [of_pattern("a", bad.url), deployment("b", "openai", good.url)]
        with routed(group, num_retries=0, cooldown_time=60) as router:
            assert lost(await outcomes(router, 2, model=MODEL)) == [0, 1]
            assert (bad.attempts, cooling_down(router)) == (2, set())


@pytest.mark.parametrize("mode", ["async", "sync"])
async def test_missing_model_counts_for_nobody(mode: str) -> None:
    """A model that one caller named and that a provider does not have takes the deployment from nobody else."""
    with pair(FAULTS["404"]) as (router, bad, good):
        assert await outcomes(router, 6, mode, model=MODEL) == ["pong"] * 6
        assert (bad.attempts, good.attempts) == (6, 6)
        assert (failures(router, "a"), cooling_down(router)) == (0, set())


@pytest.mark.skipif(RELEASE < (1, 99), reason="before, a deployment has no policy of its own")
async def test_own_policy_counts_missing_models() -> None:
    """A deployment's own policy for a missing model decides alone while another deployment is in rotation."""
    with FaultyProvider(FAULTS["404"]) as bad, FaultyProvider() as good:
        first = of_pattern("a", bad.url)
        first["model_info"]["allowed_fails_policy"] = {"NotFoundErrorAllowedFails": 0}
        with routed([first, of_pattern("b", good.url)], **SETTINGS) as router:
            await outcomes(router, 1, model=MODEL)
            assert await until(lambda: cooling_down(router) == {"a"})


@pytest.mark.parametrize("settings", [{"disable_cooldowns": True}, {"allowed_fails": 9}])
async def test_settings_hold_for_patterns(settings: dict[str, Any]) -> None:
    """A setting against cooldowns holds for the deployments of a pattern as for others."""
    with pair(FAULTS["429"], **settings) as (router, bad, good):
        assert await outcomes(router, 3, model=MODEL) == ["pong"] * 3
        assert (bad.attempts, good.attempts, cooling_down(router)) == (3, 3, set())


async def test_later_deployment_of_pattern() -> None:
    """A deployment of a pattern that is declared while the router runs is cooled down as well."""
    with FaultyProvider(FAULTS["429"]) as bad, FaultyProvider() as good:
        with routed([of_pattern("b", good.url)], **SETTINGS) as router:
            router.add_deployment(litellm.Deployment(**of_pattern("a", bad.url)))
            assert await outcomes(router, 1, model=MODEL) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"a"})


async def test_named_default_deployment_stays() -> None:
    """A deployment of no pattern that is named among the provider's defaults is never cooled down, as by LiteLLM."""
    with FaultyProvider(FAULTS["429"]) as bad, FaultyProvider() as good:
        group = [deployment(name, "openai", one.url, weight=WEIGHTS[name]) for name, one in (("a", bad), ("b", good))]
        with routed(group, **SETTINGS) as router:
            router.provider_default_deployment_ids = ["a"]
            assert await outcomes(router, 3, model=GROUP) == ["pong"] * 3
            assert (bad.attempts, cooling_down(router)) == (3, set())
