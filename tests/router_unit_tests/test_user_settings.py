"""What the user set about cooldowns means what it meant, for the failures that are cooled down now as well."""

from __future__ import annotations

from typing import Any

import pytest
from litellm.types.router import AllowedFailsPolicy

from support.faulty_provider import FAULTS, REFUSED, SILENT, Fault, FaultyProvider
from support.routing import cooldown_seconds, cooling_down, deployment, failures, lost, outcomes, routed, until


def group(bad: FaultyProvider, good: FaultyProvider, **params: Any) -> list[dict[str, Any]]:
    return [deployment("a-bad", "ollama_chat", bad.url, **params), deployment("b-good", "ollama_chat", good.url)]


SETTINGS: dict[str, Any] = {"routing_strategy": "cost-based-routing", "num_retries": 0}


async def test_disabled_cooldowns_stay_disabled() -> None:
    """`disable_cooldowns` wins, at the price of every request."""
    with FaultyProvider(REFUSED) as bad, FaultyProvider() as good:
        with routed(group(bad, good), disable_cooldowns=True, **SETTINGS) as router:
            assert lost(await outcomes(router, 6)) == list(range(6))
            assert await until(lambda: failures(router, "a-bad") == 6)
            assert cooling_down(router) == set()


async def test_allowed_fails_are_allowed() -> None:
    """With `allowed_fails=2` an unreachable host is cooled down at its third failure."""
    with FaultyProvider(REFUSED) as bad, FaultyProvider() as good:
        with routed(group(bad, good), allowed_fails=2, **SETTINGS) as router:
            assert lost(await outcomes(router, 2)) == [0, 1]
            assert await until(lambda: failures(router, "a-bad") == 2)
            assert cooling_down(router) == set()
            assert lost(await outcomes(router, 1)) == [0]
            assert await until(lambda: cooling_down(router) == {"a-bad"})


async def test_an_allowed_fails_policy_is_kept() -> None:
    """The policy's count for timeouts decides about a silent host."""
    policy = AllowedFailsPolicy(TimeoutErrorAllowedFails=1)
    with FaultyProvider(SILENT) as bad, FaultyProvider() as good:
        with routed(group(bad, good, timeout=0.2), allowed_fails_policy=policy, **SETTINGS) as router:
            assert lost(await outcomes(router, 1)) == [0]
            assert await until(lambda: failures(router, "a-bad") == 1)
            assert cooling_down(router) == set()
            assert lost(await outcomes(router, 1)) == [0]
            assert await until(lambda: cooling_down(router) == {"a-bad"})


async def test_cooldown_time_is_the_users() -> None:
    """For an unreachable host as for a 429."""
    with FaultyProvider(REFUSED) as bad, FaultyProvider() as good:
        with routed(group(bad, good), cooldown_time=77, **SETTINGS) as router:
            await outcomes(router, 1)
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert cooldown_seconds(router, "a-bad") == 77


@pytest.mark.parametrize("fault", [Fault.status(429, retry_after=33), Fault.status(402, retry_after=33)])
async def test_retry_after_is_how_long_the_cooldown_lasts(fault: Fault) -> None:
    """Where the provider gives one."""
    with FaultyProvider(fault) as bad, FaultyProvider() as good:
        with routed(group(bad, good), cooldown_time=77, **SETTINGS) as router:
            await outcomes(router, 1)
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert cooldown_seconds(router, "a-bad") == 33


@pytest.mark.parametrize("fault", ["refused", "reset", "402", "403", "429", "500"])
async def test_a_lone_deployment_is_not_cooled_down(fault: str) -> None:
    """There is no other to send the requests to."""
    with FaultyProvider(FAULTS[fault]) as bad:
        with routed([deployment("a-bad", "ollama_chat", bad.url)], **SETTINGS) as router:
            assert lost(await outcomes(router, 8)) == list(range(8))
            assert await until(lambda: failures(router, "a-bad") == 8)
            assert cooling_down(router) == set()


@pytest.mark.parametrize("fault", ["refused", "reset", "402", "403"])
async def test_a_lone_deployment_is_not_counted_out_either(fault: str) -> None:
    """What LiteLLM never cooled down there does not use up `allowed_fails`."""
    with FaultyProvider(FAULTS[fault]) as bad:
        alone = [deployment("a-bad", "ollama_chat", bad.url)]
        with routed(alone, allowed_fails=0, **SETTINGS) as router:
            assert lost(await outcomes(router, 4)) == list(range(4))
            assert await until(lambda: failures(router, "a-bad") == 4)
            assert cooling_down(router) == set()


async def test_silence_counts_in_the_failure_rate() -> None:
    """A host that accepts and never answers is cooled down once it has failed five times."""
    with FaultyProvider(SILENT) as bad, FaultyProvider() as good:
        with routed(group(bad, good, timeout=0.2), **SETTINGS) as router:
            assert lost(await outcomes(router, 4)) == [0, 1, 2, 3]
            assert await until(lambda: failures(router, "a-bad") == 4)
            assert cooling_down(router) == set()
            assert lost(await outcomes(router, 1)) == [0]
            assert await until(lambda: cooling_down(router) == {"a-bad"})
