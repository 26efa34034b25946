"""All deployments of a group are cooling down: for a moment, which a request waits out, or for others' fallbacks."""

from __future__ import annotations

import time
from typing import Any

import pytest

from router_unit_tests.named_groups import ASKED_FOR, FALLBACK, NEVER_COOLED_DOWN, OTHER_NAMES, asked, router_of
from support.faulty_provider import FAULTS, HEALTHY, Fault, FaultyProvider
from support.routing import (
    COMPILED_ROUTER,
    GROUP,
    MODES,
    ask,
    back_offs,
    cooling_down,
    deployment,
    lost,
    outcomes,
    routed,
    until,
)

SUBSTITUTE = "the-fallback-group"
FALLBACKS: dict[str, Any] = {"fallbacks": [{GROUP: [SUBSTITUTE]}]}
ALIAS: dict[str, Any] = {"model_group_alias": {"the-alias": GROUP}}
FOR_A_MOMENT = Fault.status(429, retry_after=1)
A_FEW_SECONDS = Fault.status(429, retry_after=3)
FOR_LONG = Fault.status(429, retry_after=60)


class Recovering:
    """Two deployments of one group which are rate-limited until `heal`."""

    def __init__(self, one: FaultyProvider, other: FaultyProvider) -> None:
        self.providers = (one, other)
        self.deployments = [deployment("a", "openai", one.url), deployment("b", "openai", other.url)]

    def heal(self) -> None:
        for provider in self.providers:
            provider.fault = HEALTHY

    @property
    def attempts(self) -> int:
        return sum(provider.attempts for provider in self.providers)


async def load(mode: str) -> None:
    """Have LiteLLM load what the first answer, failure and cooldown in a process need, which may take seconds."""
    with FaultyProvider(FOR_LONG) as one, FaultyProvider(FOR_LONG) as other, FaultyProvider() as substitute:
        groups = [*Recovering(one, other).deployments, deployment("c", "openai", substitute.url, group=SUBSTITUTE)]
        with routed(groups, num_retries=2, **FALLBACKS) as router:
            assert await outcomes(router, 2, mode) == ["pong"] * 2


@pytest.mark.parametrize("mode", MODES)
async def test_group_limited_for_a_moment_answers(mode: str) -> None:
    """A group that is rate-limited as a whole for a second loses no request that has retries left."""
    with FaultyProvider(FOR_A_MOMENT) as one, FaultyProvider(FOR_A_MOMENT) as other:
        both = Recovering(one, other)
        with routed(both.deployments, num_retries=2) as router:
            assert lost(await outcomes(router, 1, "async", num_retries=1)) == [0]
            assert await until(lambda: cooling_down(router) == {"a", "b"})
            both.heal()
            began = time.monotonic()
            assert await outcomes(router, 6, mode) == ["pong"] * 6
            assert 0.3 < time.monotonic() - began < 20
            assert both.attempts == 2 + 6


@pytest.mark.parametrize("kind", ["alias", "public name", "auto router"])
async def test_a_moment_is_waited_for_by_any_name(kind: str) -> None:
    """A group that is rate-limited for a second answers when that is over."""
    with router_of(kind, FOR_A_MOMENT, count=2) as (router, bad, other):
        other.fault = FOR_A_MOMENT
        await outcomes(router, 1, **{**asked(kind), "num_retries": 1})
        bad.fault = other.fault = HEALTHY
        began = time.monotonic()
        assert await ask(router, "async", **asked(kind)) == "pong"
        assert time.monotonic() - began < 3
        assert bad.attempts + other.attempts == 3


@pytest.mark.parametrize("mode", MODES)
async def test_retry_waits_for_the_first_to_return(mode: str) -> None:
    """Once each deployment of the group has refused a request for a second, its next retry is a second later."""
    await load(mode)
    with FaultyProvider(FOR_A_MOMENT) as one, FaultyProvider(FOR_A_MOMENT) as other:
        both = Recovering(one, other)
        with routed(both.deployments, num_retries=2, cooldown_time=1) as router:
            began = time.monotonic()
            assert lost(await outcomes(router, 1, mode)) == [0]
            assert both.attempts == 3
            assert 0.9 < time.monotonic() - began < 4


@pytest.mark.parametrize("mode", ["async", "sync"])
async def test_long_cooldowns_are_not_waited_for(mode: str) -> None:
    """A wait of more than a few seconds is the caller's to make."""
    await load(mode)
    with FaultyProvider(FOR_LONG) as one, FaultyProvider(FOR_LONG) as other:
        both = Recovering(one, other)
        with routed(both.deployments, num_retries=2) as router:
            began = time.monotonic()
            assert lost(await outcomes(router, 3, mode)) == [0, 1, 2]
            assert time.monotonic() - began < 3
            assert both.attempts == 2


@pytest.mark.parametrize("request_settings", [{"num_retries": 0}, {"timeout": 0.2}])
async def test_waits_are_bounded_by_the_request(request_settings: dict[str, Any]) -> None:
    """A request without retries, or with less time than the wait takes, is told at once."""
    with FaultyProvider(FOR_A_MOMENT) as one, FaultyProvider(FOR_A_MOMENT) as other:
        both = Recovering(one, other)
        with routed(both.deployments, num_retries=1) as router:
            await outcomes(router, 1)
            assert await until(lambda: cooling_down(router) == {"a", "b"})
            began = time.monotonic()
            assert lost(await outcomes(router, 1, **request_settings)) == [0]
            assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("mode", MODES)
async def test_fallback_is_asked_before_waiting(mode: str) -> None:
    """Where another group can answer at once, nobody waits."""
    await load(mode)
    with FaultyProvider(A_FEW_SECONDS) as one, FaultyProvider(A_FEW_SECONDS) as other, FaultyProvider() as substitute:
        both = Recovering(one, other)
        groups = [*both.deployments, deployment("substitute", "openai", substitute.url, group=SUBSTITUTE)]
        with routed(groups, num_retries=2, **FALLBACKS) as router:
            began = time.monotonic()
            assert await outcomes(router, 4, mode) == ["pong"] * 4
            assert time.monotonic() - began < 2.8
            assert substitute.attempts == 4


# --- a lone deployment that is kept out for others' fallbacks

WITHOUT_THE_FALLBACK: dict[str, dict[str, Any]] = {
    "no fallbacks": {"disable_fallbacks": True},
    "fallbacks of its own": {"fallbacks": []},
    "none that is a group": {"fallbacks": [{GROUP: ["no-such-group"]}]},
    "none to go to": {"max_fallbacks": 0},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("own", WITHOUT_THE_FALLBACK.values(), ids=WITHOUT_THE_FALLBACK)
async def test_caller_without_fallback_asks_the_lone_deployment(own: dict[str, Any], mode: str) -> None:
    """What keeps a lone deployment in cooldown for the others' fallback keeps nobody from it who has none."""
    with FaultyProvider(FOR_LONG, answer="primary") as primary, FaultyProvider(answer="substitute") as substitute:
        groups = [
            deployment("primary", "openai", primary.url),
            deployment("substitute", "openai", substitute.url, group=SUBSTITUTE),
        ]
        with routed(groups, num_retries=0, **FALLBACKS) as router:
            assert await outcomes(router, 1) == ["substitute"]
            assert await until(lambda: cooling_down(router) == {"primary"})
            primary.fault = HEALTHY
            assert await outcomes(router, 3, mode, **own) == ["primary"] * 3
            assert await outcomes(router, 1, mode) == ["substitute"]


@pytest.mark.parametrize("fault", ["402", "403", "429", "refused"])
async def test_each_cooldown_for_fallbacks_lets_others_pass(fault: str) -> None:
    """Whatever LiteLLM itself cools no lone deployment down for, who has no fallback may ask it all the same."""
    with FaultyProvider(FAULTS[fault], answer="primary") as primary, FaultyProvider(answer="substitute") as substitute:
        groups = [
            deployment("primary", "openai", primary.url),
            deployment("substitute", "openai", substitute.url, group=SUBSTITUTE),
        ]
        with routed(groups, num_retries=0, cooldown_time=60, **FALLBACKS) as router:
            assert await outcomes(router, 1) == ["substitute"]
            assert await until(lambda: cooling_down(router) == {"primary"})
            primary.fault = HEALTHY
            assert await outcomes(router, 2, disable_fallbacks=True) == ["primary"] * 2


async def test_alias_is_served_while_the_fallback_stands_in() -> None:
    """Callers of an alias are answered, by the fallback or by the deployment itself."""
    with FaultyProvider(FOR_LONG) as primary, FaultyProvider() as substitute:
        groups = [
            deployment("primary", "openai", primary.url),
            deployment("substitute", "openai", substitute.url, group=SUBSTITUTE),
        ]
        with routed(groups, num_retries=0, **FALLBACKS, **ALIAS) as router:
            assert await outcomes(router, 1) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"primary"})
            primary.fault = HEALTHY
            assert await outcomes(router, 4, model="the-alias") == ["pong"] * 4


@pytest.mark.parametrize("mode", MODES)
async def test_let_through_request_is_retried_as_before(mode: str) -> None:
    """The lone deployment is tried again with back-off, as for anyone whose group has no fallback."""
    with FaultyProvider(FOR_A_MOMENT) as primary, FaultyProvider() as substitute, back_offs():
        groups = [
            deployment("primary", "openai", primary.url),
            deployment("substitute", "openai", substitute.url, group=SUBSTITUTE),
        ]
        with routed(groups, num_retries=2, cooldown_time=60, **FALLBACKS) as router:
            primary.fault = FOR_LONG
            assert await outcomes(router, 1) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"primary"})
            assert lost(await outcomes(router, 1, mode, disable_fallbacks=True)) == [0]
            assert primary.attempts == 1 + 3


async def test_cooldown_the_user_has_set_is_kept() -> None:
    """With `allowed_fails` set the cooldown is the user's own, and holds for callers without a fallback too."""
    with FaultyProvider(FAULTS["429"]) as primary, FaultyProvider() as substitute:
        groups = [
            deployment("primary", "openai", primary.url),
            deployment("substitute", "openai", substitute.url, group=SUBSTITUTE),
        ]
        with routed(groups, num_retries=0, cooldown_time=60, allowed_fails=0, **FALLBACKS) as router:
            assert await outcomes(router, 1) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"primary"})
            primary.fault = HEALTHY
            assert lost(await outcomes(router, 1, disable_fallbacks=True)) == [0]
            assert primary.attempts == 1


@pytest.mark.parametrize("fault", ["429", "503"])
@pytest.mark.parametrize("kind", ASKED_FOR)
async def test_fallbacks_stand_under_any_name(kind: str, fault: str) -> None:
    """The fallback is asked at once, and the deployment it stood in for is left alone while its cooldown lasts."""
    fallbacks = [{OTHER_NAMES.get(kind, GROUP): [FALLBACK]}]
    with router_of(kind, FAULTS[fault], count=1, fallbacks=fallbacks) as (router, bad, good), back_offs() as waits:
        assert [await ask(router, "async", **asked(kind)) for _ in range(3)] == ["pong"] * 3
        # The compiled router finds a tier's fallbacks only once an attempt on the tier has failed.
        asked_each_time = kind in NEVER_COOLED_DOWN or (COMPILED_ROUTER and "auto" in kind)
        assert (bad.attempts, good.attempts, waits) == (3 if asked_each_time else 1, 3, [])


# --- a fallback that fails


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("retries", [0, 2])
async def test_failing_fallback_is_left_alone(mode: str, retries: int) -> None:
    """A rate-limited fallback is asked once in its cooldown, and not by every request."""
    with FaultyProvider(FAULTS["503"]) as primary, FaultyProvider(FOR_LONG) as substitute, back_offs():
        groups = [
            deployment("primary", "openai", primary.url),
            deployment("substitute", "openai", substitute.url, group=SUBSTITUTE),
        ]
        with routed(groups, num_retries=retries, **FALLBACKS) as router:
            assert lost(await outcomes(router, 1, mode)) == [0]
            asked = substitute.attempts
            assert await until(lambda: cooling_down(router) == {"substitute"})
            assert lost(await outcomes(router, 5, mode)) == [0, 1, 2, 3, 4]
            assert substitute.attempts == asked
            assert primary.attempts >= 6


async def test_failing_fallback_serves_who_asks_it_by_name() -> None:
    """Its cooldown is for those it stands in for; LiteLLM cools no lone deployment down for a rate limit."""
    with FaultyProvider(FAULTS["503"]) as primary, FaultyProvider(FOR_LONG) as substitute, back_offs():
        groups = [
            deployment("primary", "openai", primary.url),
            deployment("substitute", "openai", substitute.url, group=SUBSTITUTE),
        ]
        with routed(groups, num_retries=0, **FALLBACKS) as router:
            assert lost(await outcomes(router, 1)) == [0]
            assert await until(lambda: cooling_down(router) == {"substitute"})
            substitute.fault = HEALTHY
            assert await outcomes(router, 3, model=SUBSTITUTE) == ["pong"] * 3


async def test_fallback_that_fails_often_is_left_alone() -> None:
    """A fallback that answers 500 is left alone once LiteLLM's failure rate is reached, as in a group."""
    with FaultyProvider(FAULTS["503"]) as primary, FaultyProvider(FAULTS["500"]) as substitute, back_offs():
        groups = [
            deployment("primary", "openai", primary.url),
            deployment("substitute", "openai", substitute.url, group=SUBSTITUTE),
        ]
        with routed(groups, num_retries=0, cooldown_time=60, **FALLBACKS) as router:
            assert len(lost(await outcomes(router, 12))) == 12
            assert cooling_down(router) >= {"substitute"}
            assert 5 <= substitute.attempts <= 7


async def test_fallback_with_other_parameters() -> None:
    """The same group with other parameters, such as a shorter prompt, is another fallback."""
    shorter = {"model": SUBSTITUTE, "messages": [{"role": "user", "content": "p"}]}
    with FaultyProvider(FAULTS["429"]) as primary, FaultyProvider(FAULTS["429"]) as substitute:
        groups = [
            deployment("primary", "openai", primary.url),
            deployment("substitute", "openai", substitute.url, group=SUBSTITUTE),
        ]
        with routed(groups, num_retries=0) as router:
            assert lost(await outcomes(router, 1, fallbacks=[{"model": SUBSTITUTE}, shorter])) == [0]
            assert (primary.attempts, substitute.attempts) == (1, 2)
            assert substitute.requests[-1].body["messages"] == shorter["messages"]
