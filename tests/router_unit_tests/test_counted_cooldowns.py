"""A cooldown for the sake of a fallback is one to who counts cooldowns, as metrics do."""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest

from router_unit_tests.test_cooldown_reports import FAULTS
from router_unit_tests.test_cooldown_reports import counted as counted
from support.faulty_provider import Fault, FaultyProvider
from support.routing import GROUP, MESSAGES, cooling_down, deployment, lost, outcomes, routed, until

A_MOMENT = 0.7
"""Seconds in which a second count would come; no event says that there will be none."""


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("mode", ["async", "sync"])
async def test_cooldown_before_fallback_is_counted_once(name: str, mode: str, counted: list[str]) -> None:
    """A lone deployment that a fallback has stood in for is cooled down once, whether LiteLLM does it or this branch;
    so is a lone fallback that has given way to the next one."""
    fault, status = FAULTS[name]
    with FaultyProvider(fault) as failing, FaultyProvider() as healthy:
        group = [
            deployment("a", "openai", failing.url),
            deployment("b", "openai", failing.url, group="second"),
            deployment("c", "openai", healthy.url, group="third"),
        ]
        with routed(group, num_retries=0, fallbacks=[{GROUP: ["second", "third"]}]) as router:
            assert lost(await outcomes(router, 1, mode)) == []
            assert await until(lambda: cooling_down(router) == {"a", "b"})
            assert await until(lambda: len(counted) >= 2)
            await asyncio.sleep(A_MOMENT)
            assert counted == [str(status)] * 2


def test_sync_cooldown_reaches_listeners() -> None:
    """A cooldown that follows a sync answer is told to who listens, such as Prometheus."""
    told = mock.AsyncMock()
    listener = mock.patch("litellm.router_utils.cooldown_handlers.router_cooldown_event_callback", told)
    with FaultyProvider(Fault.status(503)) as primary, FaultyProvider() as substitute, listener:
        group = [
            deployment("a", "openai", primary.url),
            deployment("b", "openai", substitute.url, group="second"),
        ]
        with routed(group, num_retries=0, fallbacks=[{GROUP: ["second"]}]) as router:
            router.completion(model=GROUP, messages=MESSAGES)
    assert [call.kwargs["deployment_id"] for call in told.await_args_list] == ["a"]
