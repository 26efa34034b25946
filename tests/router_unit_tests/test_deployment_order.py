"""Deployments of a later `order` stand in for those of the one before, each of them once."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from support.faulty_provider import FAULTS, FaultyProvider
from support.routing import GROUP, RELEASE, back_offs, deployment, lost, outcomes, routed

pytestmark = pytest.mark.skipif(RELEASE < (1, 84), reason="1.82.6 knows no order of deployments")

FALLBACK = "the-fallback"


@pytest.mark.parametrize("request_settings", [{}, {"num_retries": 2}], ids=["router's retries", "request's retries"])
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("fault", ["429", "503", "refused"])
async def test_each_order_is_asked_once(fault: str, count: int, request_settings: dict[str, Any]) -> None:
    """A request goes through the orders and then to the fallback, without a deployment that has failed it before."""
    with ExitStack() as stack:
        failing = [
            stack.enter_context(FaultyProvider(FAULTS["503" if fault == "refused" else fault])) for _ in range(count)
        ]
        fallback = stack.enter_context(FaultyProvider(answer="the fallback"))
        if fault == "refused":
            for one in failing:
                one.fault = FAULTS["refused"]
        group = [deployment(f"d{order}", "openai", one.url, order=order) for order, one in enumerate(failing, 1)]
        group.append(deployment("fallback", "openai", fallback.url, group=FALLBACK))
        waits = stack.enter_context(back_offs())
        with routed(group, num_retries=2, fallbacks=[{GROUP: [FALLBACK]}]) as router:
            assert await outcomes(router, 1, **request_settings) == ["the fallback"]
        assert [one.attempts for one in failing] == [0 if fault == "refused" else 1] * count
        assert waits == []


async def test_last_order_is_retried_without_fallback() -> None:
    """Where nobody else is left, the last order has the retries of the request."""
    with FaultyProvider(FAULTS["503"]) as first, FaultyProvider(FAULTS["503"]) as second, back_offs():
        group = [deployment("a", "openai", first.url, order=1), deployment("b", "openai", second.url, order=2)]
        with routed(group, num_retries=2) as router:
            assert lost(await outcomes(router, 1)) == [0]
        assert (first.attempts, second.attempts) == (1, 3)
