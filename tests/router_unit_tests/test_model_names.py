"""A model group has one set of fallbacks, by whichever of its names it is asked for, and whichever names a fallback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from router_unit_tests.named_groups import (
    ALIAS,
    ASKED_FOR,
    AUTO,
    FALLBACK,
    OF_TEAM,
    OTHER_NAMES,
    SETTINGS,
    asked,
    auto_router,
    named,
    router_of,
)
from support.faulty_provider import FAULTS, HEALTHY, Fault, FaultyProvider
from support.routing import GROUP, MODES, ask, back_offs, deployment, outcomes, routed

ALIASES: dict[str, Any] = {"plain": {ALIAS: GROUP}, "hidden": {ALIAS: {"model": GROUP, "hidden": True}}}


@contextmanager
def lone(fault: Fault, **settings: Any) -> Iterator[tuple[Any, Callable[[], Any]]]:
    """A router over a lone deployment with `fault` and a fallback, and the attempts each has seen so far."""
    with FaultyProvider(fault) as bad, FaultyProvider(HEALTHY) as good:
        group = [deployment("a-bad", "openai", bad.url), deployment("b-good", "openai", good.url, group=FALLBACK)]
        with routed(group, num_retries=2, **settings) as router:
            yield router, lambda: (bad.attempts, good.attempts)


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("mode", MODES)
async def test_an_alias_has_its_groups_fallbacks(mode: str, alias: str) -> None:
    """At once, as under the group's own name."""
    settings: dict[str, Any] = {"model_group_alias": ALIASES[alias], "fallbacks": [{GROUP: [FALLBACK]}]}
    with lone(FAULTS["503"], **settings) as (router, attempts), back_offs():
        assert await ask(router, mode, model=ALIAS) == "pong"
        assert attempts() == (1, 1)


async def test_an_alias_finds_the_fallback_of_a_cooldown() -> None:
    """A group that is cooling down for its fallback is lost to nobody who asks by another name."""
    settings: dict[str, Any] = {"model_group_alias": ALIASES["plain"], "fallbacks": [{GROUP: [FALLBACK]}]}
    with lone(FAULTS["429"], **settings) as (router, attempts), back_offs():
        assert await ask(router, "async") == "pong"
        assert [await ask(router, "async", model=ALIAS) for _ in range(3)] == ["pong"] * 3
        assert attempts() == (1, 4)


@pytest.mark.parametrize("mode", MODES)
async def test_an_alias_keeps_fallbacks_of_its_own(mode: str) -> None:
    """What is set for the alias holds before what is set for the group."""
    settings: dict[str, Any] = {"model_group_alias": ALIASES["plain"]}
    fallbacks = [{GROUP: ["no-such-group"]}, {ALIAS: [FALLBACK]}]
    with lone(FAULTS["503"], fallbacks=fallbacks, **settings) as (router, attempts), back_offs():
        assert await ask(router, mode, model=ALIAS) == "pong"
        assert attempts() == (1, 1)


@pytest.mark.parametrize("mode", MODES)
async def test_a_fallback_may_be_named_by_an_alias(mode: str) -> None:
    """It is asked at once too."""
    settings: dict[str, Any] = {"model_group_alias": {ALIAS: FALLBACK}, "fallbacks": [{GROUP: [ALIAS]}]}
    with lone(FAULTS["503"], **settings) as (router, attempts), back_offs():
        assert await ask(router, mode) == "pong"
        assert attempts() == (1, 1)


@pytest.mark.parametrize("kind", ASKED_FOR)
async def test_requests_own_fallbacks_stand_under_any_name(kind: str) -> None:
    """As the router's do."""
    own = [{OTHER_NAMES.get(kind, GROUP): [FALLBACK]}]
    with router_of(kind, FAULTS["429"], count=1) as (router, bad, good), back_offs() as waits:
        assert await ask(router, "async", fallbacks=own, **asked(kind)) == "pong"
        assert (bad.attempts, good.attempts, waits) == (1, 1, [])


@pytest.mark.parametrize("fault", ["401", "402", "429", "500", "503", "refused"])
@pytest.mark.parametrize("kind", [kind for kind in ASKED_FOR if kind != "internal name"])
async def test_a_retry_sees_the_group_behind_its_name(kind: str, fault: str) -> None:
    """No request is lost while one of the group's two deployments answers."""
    cheapest_first = {"routing_strategy": "cost-based-routing"}
    with router_of(kind, FAULTS[fault], count=2, **cheapest_first) as (router, bad, good), back_offs():
        assert await ask(router, "async", **asked(kind)) == "pong"
        assert (bad.attempts, good.attempts) == (0 if fault == "refused" else 1, 1)


@pytest.mark.parametrize("kind", [*ASKED_FOR, "id"])
async def test_a_rejected_request_is_lost_by_any_name(kind: str) -> None:
    """What the request itself is to blame for is asked once."""
    with router_of(kind, FAULTS["400"], count=1) as (router, bad, _), back_offs():
        results = await outcomes(router, 1, **(asked(kind) if kind in ASKED_FOR else {"model": "a"}))
        assert (getattr(results[0], "status_code", None), bad.attempts) == (400, 1)


@pytest.mark.parametrize("kind", ["public name", "auto router"])
async def test_a_lone_deployment_is_retried_by_any_name(kind: str) -> None:
    """As by its group's own name: what was an accident is tried again."""
    with router_of(kind, FAULTS["500"], count=1) as (router, bad, _), back_offs():
        results = await outcomes(router, 1, **asked(kind))
        assert (getattr(results[0], "status_code", None), bad.attempts) == (500, 3)


TARGETS: dict[str, dict[str, Any]] = {
    "hidden alias": {"fallbacks": [{"first": [ALIAS]}]},
    "public name": {"fallbacks": [{"first": [GROUP]}]},
    "auto router": {"fallbacks": [{"first": [AUTO]}]},
    "pattern": {"fallbacks": [{"first": ["openai/gpt-x"]}]},
    "id": {"fallbacks": [{"first": ["b"]}]},
}


@pytest.mark.parametrize("kind", TARGETS)
async def test_a_fallback_may_have_any_name(kind: str) -> None:
    """It is asked at once, and the lone deployment it stood in for is left alone."""
    with FaultyProvider(FAULTS["429"]) as bad, FaultyProvider(HEALTHY) as good, back_offs() as waits:
        group = [deployment("a", "openai", bad.url, group="first"), named(kind, 1, good.url), auto_router(GROUP)]
        aliases = {ALIAS: {"model": GROUP, "hidden": True}}
        with routed(group, **SETTINGS, model_group_alias=aliases, **TARGETS[kind]) as router:
            metadata = OF_TEAM["metadata"]
            assert await outcomes(router, 3, model="first", metadata=dict(metadata)) == ["pong"] * 3
            assert (bad.attempts, good.attempts, waits) == (1, 3, [])


async def test_who_names_an_id_gets_that_deployment() -> None:
    """What is set for its group is not followed, as by LiteLLM; what is set for all is."""
    for fallbacks, answers in (([{GROUP: [FALLBACK]}], 0), ([{"*": [FALLBACK]}], 1)):
        with router_of("id", FAULTS["503"], count=1, fallbacks=fallbacks) as (router, bad, good), back_offs():
            results = await outcomes(router, 1, model="a")
            assert (results.count("pong"), bad.attempts, good.attempts) == (answers, 1, answers)


async def test_a_name_keeps_what_is_set_for_it() -> None:
    """The fallbacks of the name that was asked for hold before those of the group's other names."""
    for kind in ("alias", "internal name"):
        own = [{GROUP: ["no-such-group"]}, {asked(kind)["model"]: [FALLBACK]}]
        with router_of(kind, FAULTS["503"], count=1, fallbacks=own) as (router, bad, good), back_offs():
            assert await ask(router, "async", **asked(kind)) == "pong"
            assert (bad.attempts, good.attempts) == (1, 1)


async def test_a_retry_policy_holds_for_a_tier() -> None:
    """How often a tier is tried is for who has set a policy to say, as for the group by its own name."""
    policy = {"InternalServerErrorRetries": 1}
    with router_of("auto router", FAULTS["500"], count=1, retry_policy=policy) as (router, bad, _), back_offs():
        await outcomes(router, 1, model=GROUP)
        by_its_name = bad.attempts
        await outcomes(router, 1, model=AUTO)
        assert bad.attempts == 2 * by_its_name
