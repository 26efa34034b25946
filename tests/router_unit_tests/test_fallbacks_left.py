"""Which fallbacks a request has left: by its settings, by the groups it has been to, and by the orders of a group."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from litellm.router_utils.failover import fallbacks
from litellm.router_utils.failover.fallbacks import skip_visited_fallbacks
from litellm.router_utils.failover.python_router import decide_retry
from litellm.types.router import Deployment

from support.attempts import (
    ANOTHER,
    ERROR,
    FALLBACK,
    NOWHERE,
    RATE_LIMITED,
    attempts_of,
    decision,
    fails,
    members,
    request,
    status,
)
from support.attempts import router as router
from support.routing import GROUP, deployment, routed

NO_FALLBACK: dict[str, dict[str, Any]] = {
    "none configured": {},
    "an empty list": {"fallbacks": []},
    "for another group": {"fallbacks": [{"yet-another": [ANOTHER]}]},
    "itself": {"fallbacks": [{GROUP: [GROUP]}]},
    "disabled": {**FALLBACK, "disable_fallbacks": True},
    "none allowed": {**FALLBACK, "max_fallbacks": 0},
    "used up": {**FALLBACK, "max_fallbacks": 1, "fallback_depth": 1},
    "more than used up": {**FALLBACK, "max_fallbacks": 1, "fallback_depth": 2},
}
A_FALLBACK: dict[str, dict[str, Any]] = {
    "configured": FALLBACK,
    "not disabled": {**FALLBACK, "disable_fallbacks": False},
    "not quite disabled": {**FALLBACK, "disable_fallbacks": None},
    "one allowed": {**FALLBACK, "max_fallbacks": 1},
    "one left": {**FALLBACK, "max_fallbacks": 2, "fallback_depth": 1},
    "one of five left": {**FALLBACK, "max_fallbacks": 5, "fallback_depth": 4},
}


@pytest.mark.parametrize("settings", [*NO_FALLBACK.values(), *A_FALLBACK.values()], ids=[*NO_FALLBACK, *A_FALLBACK])
async def test_a_fallback_counts_if_litellm_will_use_it(router: Any, settings: dict[str, Any]) -> None:
    """A fallback counts if LiteLLM will use it by the request's settings."""
    expected = False if settings in A_FALLBACK.values() else None
    assert await decision(router, {"a": RATE_LIMITED}, "", **settings) is expected


async def test_request_settings_override_router(router: Any) -> None:
    """The router's settings for fallbacks count where the request has none of its own."""
    router.fallbacks = FALLBACK["fallbacks"]
    assert await decision(router, {"a": RATE_LIMITED}, "") is False
    assert await decision(router, {"a": RATE_LIMITED}, "", fallbacks=[]) is None
    router.max_fallbacks = 0
    assert await decision(router, {"a": RATE_LIMITED}, "") is None
    assert await decision(router, {"a": RATE_LIMITED}, "", max_fallbacks=1) is False


async def test_a_setting_that_makes_no_sense_is_logged(router: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A setting that makes no sense is logged, and LiteLLM's own rule decides."""
    with caplog.at_level(logging.WARNING, logger="LiteLLM Router"):
        assert await decision(router, {"a": RATE_LIMITED}, "", **FALLBACK, max_fallbacks="many") is None
    assert any(GROUP in record.getMessage() for record in caplog.records)
    caplog.clear()

    async def fallback() -> None:
        await fails(router, "z", status(429), among=members(router, ANOTHER))
        assert decide_retry(ERROR, [], members(router, ANOTHER)) is None

    async def body() -> None:
        await request(router, fallback, model=ANOTHER, fallback_depth=1, max_fallbacks="many")

    await attempts_of(router, body)
    assert any(ANOTHER in record.getMessage() for record in caplog.records)


async def test_visited_group_is_not_asked_again(router: Any) -> None:
    """A group that the request has been to is not asked again, in whichever format it is named."""
    again = {"model": ANOTHER, "temperature": 0}  # for another answer

    async def fallback() -> None:
        assert list(skip_visited_fallbacks([GROUP, ANOTHER, {"model": "third"}])) == [{"model": "third"}]

    async def body() -> None:
        fallbacks = skip_visited_fallbacks([GROUP, {"model": GROUP}, ANOTHER, ANOTHER, again, again, "third", "last"])
        assert next(fallbacks) == ANOTHER
        await request(router, fallback, model=ANOTHER, fallback_depth=1)
        assert list(fallbacks) == [again, "last"]

    await request(router, body)


def test_without_a_request_each_fallback_is_asked_once() -> None:
    """Without a request each fallback is asked once, and what names no group is left to LiteLLM."""
    assert list(skip_visited_fallbacks([GROUP, ANOTHER, GROUP, {}])) == [GROUP, ANOTHER, {}]


async def test_visited_group_is_no_fallback(router: Any) -> None:
    """A group that this request has been to is no fallback, as where two fall back to each other."""
    each_other = {"fallbacks": [{GROUP: [ANOTHER]}, {ANOTHER: [GROUP]}]}
    decided: list[bool | None] = []

    async def fallback() -> None:
        await fails(router, "z", status(429), among=members(router, ANOTHER))
        decided.append(decide_retry(ERROR, [], members(router, ANOTHER)))

    async def body() -> None:
        await fails(router, "a", status(429))
        await request(router, fallback, model=ANOTHER, fallback_depth=1, **each_other)

    await attempts_of(router, body, **each_other)
    await request(router, fallback, model=ANOTHER, **each_other)
    assert decided == [None, False]


@pytest.fixture
def ordered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Deployments of two orders, one written at another place, and one of none."""
    monkeypatch.setattr(fallbacks, "FALLS_BACK_BY_ORDER", True)
    first, second = deployment("a", "openai", NOWHERE, order=1), deployment("b", "openai", NOWHERE)
    second["model_info"]["order"] = "2"
    with routed([first, second, deployment("c", "openai", NOWHERE)]) as router:
        yield router


async def test_a_later_order_is_a_fallback(ordered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later order is a fallback until the request is at the last one."""
    failed = {"a": RATE_LIMITED}
    assert await decision(ordered, failed, "") is False
    assert await decision(ordered, failed, "", _target_order=1) is False
    assert await decision(ordered, failed, "", _target_order=2) is None
    assert await decision(ordered, failed, "", _target_order=3) is None
    assert await decision(ordered, failed, "", disable_fallbacks=True) is None
    assert await decision(ordered, failed, "", max_fallbacks=1, fallback_depth=2) is None
    monkeypatch.setattr(fallbacks, "FALLS_BACK_BY_ORDER", False)
    assert await decision(ordered, failed, "") is None


async def test_orders_of_current_group_count(ordered: Any) -> None:
    """The orders of the group that a request is at count, not those of the group it began with."""
    ordered.add_deployment(Deployment(**deployment("z", "openai", NOWHERE, group=ANOTHER)))
    decided: list[bool | None] = []

    async def fallback() -> None:
        await fails(ordered, "z", status(429), among=members(ordered, ANOTHER))
        decided.append(decide_retry(ERROR, [], members(ordered, ANOTHER)))

    async def body() -> None:
        await request(ordered, fallback, model=ANOTHER, fallback_depth=1)

    await attempts_of(ordered, body)
    assert decided == [None]


async def test_one_order_is_no_fallback(router: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of a single order, or of none, has no fallback in it."""
    monkeypatch.setattr(fallbacks, "FALLS_BACK_BY_ORDER", True)
    assert await decision(router, {"a": RATE_LIMITED}, "") is None
    assert await decision(router, {"a": RATE_LIMITED}, "", model="forgotten") is None
    for one in router.model_list:
        one["litellm_params"]["order"] = 1
    assert await decision(router, {"a": RATE_LIMITED}, "") is None
