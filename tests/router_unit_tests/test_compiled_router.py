"""What the compiled router of 1.110 and later does with what its host tells it."""

from __future__ import annotations

import asyncio
import gc
import importlib
from typing import Any
from unittest import mock

import litellm
import pytest
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.router_utils.failover import driver_state
from litellm.router_utils.failover.compiled_router_cooldown import COOLS_DOWN_AND_RETRIES, NOT_RETRIED, REJECTS
from litellm.router_utils.failover.router_view import ids_of

from support.compiled_host import NOWHERE, answered, told_of
from support.faulty_provider import FAULTS, FaultyProvider
from support.routing import GROUP, MESSAGES, MODES, callbacks_put_back, cooldown_cache, deployment, outcomes, routed


def what_becomes_of(told: dict[str, Any], size: int, retries: int = 0, **settings: Any) -> tuple[list[str], list[str]]:
    """The deployments the compiled router tries if it is told of each attempt what is `told`, and those it cools
    down."""
    group = [deployment(name, "openai", NOWHERE) for name in "abcd"[:size]]
    tried: list[str] = []

    async def attempt(self: Any, step: Any) -> Any:
        tried.append(step["deployment_id"])
        self._last_error = self._level_errors[0] = answered(500)
        nobody_elses = {"outside_deployment": False, "caller_scoped": False, "recorded": False}
        return {**told_of(answered(500)), **nobody_elses, "detail": "", **told}

    with routed(group, num_retries=retries, **settings) as router:
        driver = importlib.import_module("litellm.router_rust.core")._Driver
        with mock.patch.object(driver, "attempt", attempt), pytest.raises(BaseLLMException):
            asyncio.run(router.acompletion(model=GROUP, messages=MESSAGES))
        active = cooldown_cache(router).get_active_cooldowns(model_ids=list("abcd"), parent_otel_span=None)
    return tried, [name for name, _ in active]


@pytest.mark.parametrize(
    ("status", "retried", "cools_down", "cools_down_alone"),
    [
        (COOLS_DOWN_AND_RETRIES, True, True, True),
        (402, False, True, False),
        (REJECTS, False, False, False),
        (500, True, False, False),
        (429, True, True, False),
        (404, False, True, True),
    ],
)
def test_compiled_router_obeys_status(status: int, retried: bool, cools_down: bool, cools_down_alone: bool) -> None:
    """The compiled router does with each status, about cooldown and retry, what it is told for."""
    tried, cooling = what_becomes_of({"status": status}, size=3, retries=1)
    assert len(tried) == 1 + retried
    assert set(cooling) == (set(tried) if cools_down else set())
    assert bool(what_becomes_of({"status": status}, size=1)[1]) is cools_down_alone
    assert (status in NOT_RETRIED) is (status in (402, 404))


def test_the_compiled_router_goes_by_names_too() -> None:
    """The compiled router never cools down for an APIConnectionError and never retries a NotFoundError."""
    connection = {"kind": "APIConnectionError", "status": 429}
    assert what_becomes_of(connection, size=2)[1] == []
    missing = {"kind": "NotFoundError", "classes": ["NotFoundError"], "status": 500}
    assert len(what_becomes_of(missing, size=2, retries=1)[0]) == 1


def test_retries_are_read_at_first_failure() -> None:
    """The compiled router reads the number of retries at the first failure."""
    assert len(what_becomes_of({"status": 500, "num_retries": 0}, size=3, retries=2)[0]) == 1


@pytest.mark.parametrize("fault", ["500", "400"])
@pytest.mark.parametrize("strategy", ["simple-shuffle", "least-busy"])
@pytest.mark.parametrize("mode", MODES)
async def test_later_order_is_asked(mode: str, strategy: str, fault: str) -> None:
    """A later order is asked whatever chose among the first, also if one of that has not been tried."""
    with FaultyProvider(FAULTS[fault]) as bad, FaultyProvider() as good:
        first = [deployment(name, "openai", bad.url, order=1) for name in "ab"]
        group = [*first, deployment("c", "openai", good.url, order=2)]
        with routed(group, num_retries=0, routing_strategy=strategy) as router:
            assert await outcomes(router, 1, mode) == ["pong"]


def test_a_core_is_enough_to_know_its_router() -> None:
    """A core is enough to know the deployments of a router that is gone."""
    with callbacks_put_back():
        router: Any = litellm.Router(model_list=[deployment("a", "openai", NOWHERE)])
        core = router._core
        del router
        gc.collect()
        assert core._core_owner() is None
        assert ids_of(driver_state.router_of(core).model_list) == {"a"}
