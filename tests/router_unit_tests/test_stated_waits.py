"""Whatever form a provider states its wait in: cooldown, back-off and the caller's Retry-After are that long."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from typing import Any

import litellm
import pytest
from litellm.proxy.failover_errors.response import client_response

from support.faulty_provider import FAULTS, Fault, FaultyProvider
from support.routing import (
    COMPILED_ROUTER,
    MODES,
    back_offs,
    cooldown_seconds,
    cooling_down,
    deployment,
    lost,
    outcomes,
    routed,
    until,
)

MOMENT = {"Date": "Fri, 15 Jan 2027 08:00:00 GMT"}
"""The clock of a provider that is not ours."""


def limited(body: object = None, **headers: str) -> Fault:
    """A 429 with such headers, and a body where a format's own does not do."""
    content = None if body is None else json.dumps(body).encode()
    return Fault.status(429, body=content, headers={name.replace("_", "-"): text for name, text in headers.items()})


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "20.5s"}
GOOGLES = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "no", "details": [RETRY_INFO]}}
IN_WORDS = {"error": {"code": "rate_limit_exceeded", "message": "Limit reached. Please try again in 20.5s."}}
FORMS: dict[str, tuple[Fault, float]] = {
    "fraction": (limited(Retry_After="20.5"), 20.5),
    "milliseconds": (limited(retry_after_ms="20500", Retry_After="21"), 20.5),
    "milliseconds of Azure": (limited(x_ms_retry_after_ms="20500"), 20.5),
    "date of another clock": (limited(**MOMENT, Retry_After="Fri, 15 Jan 2027 08:00:20 GMT"), 20),
    "spent limit": (limited(x_ratelimit_remaining_tokens="0", x_ratelimit_reset_tokens="20s"), 20),
    "spent limit of Anthropic": (
        limited(
            **MOMENT,
            anthropic_ratelimit_requests_remaining="0",
            anthropic_ratelimit_requests_reset="2027-01-15T08:00:20Z",
        ),
        20,
    ),
    "spent limit of the draft": (limited(RateLimit='"default";r=0;t=20'), 20),
    "RetryInfo": (limited(GOOGLES), 20.5),
    "words": (limited(IN_WORDS), 20.5),
}
PROVIDERS = ("openai", "anthropic", "gemini", "hosted_vllm")
SETTINGS: dict[str, Any] = {"routing_strategy": "cost-based-routing", "num_retries": 0, "cooldown_time": 77}


def as_cooldown(wait: float) -> float:
    """The compiled router keeps fractions of a second; the others' cooldowns are in whole ones."""
    return wait if COMPILED_ROUTER else math.ceil(wait)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("form", FORMS)
async def test_cooldown_lasts_as_stated(form: str, provider: str) -> None:
    """A deployment is left alone for as long as its provider says, and the sibling answers meanwhile."""
    fault, wait = FORMS[form]
    with FaultyProvider(fault) as bad, FaultyProvider() as good:
        group = [deployment("a-bad", provider, bad.url), deployment("b-good", "openai", good.url)]
        with routed(group, **{**SETTINGS, "num_retries": 1}) as router:
            assert await outcomes(router, 1) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert cooldown_seconds(router, "a-bad") == as_cooldown(wait)
            assert await outcomes(router, 2) == ["pong"] * 2
            assert bad.attempts == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("form", FORMS)
async def test_back_off_lasts_as_stated(form: str, mode: str) -> None:
    """A lone deployment is tried again after the wait that its provider states, and not before."""
    fault, wait = FORMS[form]
    with FaultyProvider(fault) as bad, back_offs() as waits:
        with routed([deployment("a-bad", "openai", bad.url)], num_retries=1) as router:
            assert lost(await outcomes(router, 1, mode)) == [0]
    assert bad.attempts == 2
    assert wait <= waits[0] <= wait + 1


@pytest.mark.parametrize("form", FORMS)
async def test_caller_is_told_whole_seconds(form: str) -> None:
    """The caller's Retry-After is the wait in whole seconds, none of them too few."""
    fault, wait = FORMS[form]
    with FaultyProvider(fault) as bad, routed([deployment("a-bad", "openai", bad.url)], num_retries=0) as router:
        (error,) = await outcomes(router, 1)
    assert isinstance(error, litellm.RateLimitError)
    told = client_response(error)
    assert told is not None
    assert (told.status_code, told.retry_after) == (429, math.ceil(wait))
    assert isinstance(told.retry_after, int)


async def test_long_wait_is_not_slept_through() -> None:
    """No back-off lasts longer than a minute, whatever the provider asks for."""
    with FaultyProvider(limited(retry_after_ms="60001")) as bad, back_offs() as waits:
        with routed([deployment("a-bad", "openai", bad.url)], num_retries=1) as router:
            assert lost(await outcomes(router, 1)) == [0]
    assert 0 < waits[0] <= 9


@pytest.mark.parametrize(("limit", "seconds"), [(None, 3600), (40, 40)])
async def test_day_does_not_cool_down_for_a_day(
    limit: int | None, seconds: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A cooldown is as long as `max_retry_after` allows, an hour by default, and the log says so once an attempt."""
    monkeypatch.setattr(litellm, "max_retry_after", limit, raising=False)
    monkeypatch.setattr(logging.getLogger("LiteLLM"), "propagate", True)
    with FaultyProvider(Fault.status(429, retry_after=86400)) as bad, FaultyProvider() as good:
        group = [deployment("a-bad", "openai", bad.url), deployment("b-good", "openai", good.url)]
        with routed(group, **SETTINGS) as router:
            (error,) = await outcomes(router, 1)
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert cooldown_seconds(router, "a-bad") == seconds
    told = client_response(error)  # type: ignore[arg-type]
    assert told is not None
    assert told.retry_after == seconds
    assert len([one for one in caplog.records if "max_retry_after" in one.getMessage()]) == bad.attempts == 1


@pytest.mark.parametrize("text", ["-5", "nan", "soon", "1e999", "Fri, 15 Jan 1999 08:00:00 GMT"])
async def test_what_is_no_wait_is_none(text: str) -> None:
    """Where a provider's wait makes no sense, the cooldown is the router's own and the caller is told none."""
    with FaultyProvider(Fault.status(429, retry_after=text)) as bad, FaultyProvider() as good:
        group = [deployment("a-bad", "openai", bad.url), deployment("b-good", "openai", good.url)]
        with routed(group, **SETTINGS) as router:
            (error,) = await outcomes(router, 1)
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert cooldown_seconds(router, "a-bad") == 77
            told = client_response(error)  # type: ignore[arg-type]
            assert told is not None
            assert told.retry_after is None


NOTHINGS = (
    limited(Retry_After="0"),
    limited(Retry_After="0.0"),
    limited(retry_after_ms="0"),
    limited(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="0s"),
)


@pytest.mark.parametrize("fault", NOTHINGS, ids=str)
async def test_wait_of_nothing_cools_down(fault: Fault) -> None:
    """Who fails, and asks for no wait, is left alone for as long as the router's own cooldown says."""
    with FaultyProvider(fault) as bad, FaultyProvider() as good:
        group = [deployment("a-bad", "openai", bad.url), deployment("b-good", "openai", good.url)]
        with routed(group, **SETTINGS) as router:
            assert lost(await outcomes(router, 1)) == [0]
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert cooldown_seconds(router, "a-bad") == 77
            assert await outcomes(router, 3) == ["pong"] * 3


async def test_moments_do_not_add_up() -> None:
    """Who asks to be left alone for a few milliseconds each time does not fail each caller who comes after them."""
    fault = limited(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="5ms")
    with FaultyProvider(fault) as bad, FaultyProvider() as good:
        group = [deployment("a-bad", "openai", bad.url), deployment("b-good", "openai", good.url)]
        with routed(group, **SETTINGS) as router:
            for _ in range(20):
                await outcomes(router, 1)
                await asyncio.sleep(0.02)
    assert 1 <= bad.attempts <= 2


async def test_own_cooldown_time_wins() -> None:
    """A deployment's own `cooldown_time` holds whatever its provider states."""
    with FaultyProvider(limited(retry_after_ms="20500")) as bad, FaultyProvider() as good:
        group = [deployment("a-bad", "openai", bad.url, cooldown_time=33), deployment("b-good", "openai", good.url)]
        with routed(group, **SETTINGS) as router:
            assert lost(await outcomes(router, 1)) == [0]
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert cooldown_seconds(router, "a-bad") == 33


async def test_lone_deployment_of_fallback_cools_as_stated() -> None:
    """A lone deployment that a fallback stood in for is left alone for as long as its provider says."""
    with FaultyProvider(limited(GOOGLES)) as bad, FaultyProvider() as good:
        group = [deployment("a-bad", "gemini", bad.url), deployment("z", "openai", good.url, group="another")]
        with routed(group, **{**SETTINGS, "fallbacks": [{"the-group": ["another"]}]}) as router:
            assert await outcomes(router, 1) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert math.ceil(cooldown_seconds(router, "a-bad")) == 21


async def test_failed_fallback_cools_as_stated() -> None:
    """A deployment that fails as a fallback is left alone for as long as its provider says, too."""
    with FaultyProvider(FAULTS["503"]) as first, FaultyProvider(limited(GOOGLES)) as bad, FaultyProvider() as good:
        group = [
            deployment("a", "openai", first.url),
            deployment("b-bad", "gemini", bad.url, group="another"),
            deployment("c-good", "openai", good.url, group="another"),
        ]
        with routed(group, **{**SETTINGS, "fallbacks": [{"the-group": ["another"]}]}) as router:
            assert lost(await outcomes(router, 1)) == [0]
            assert await until(lambda: "b-bad" in cooling_down(router))
            assert math.ceil(cooldown_seconds(router, "b-bad")) == 21
