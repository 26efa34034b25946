"""A model group has one set of fallbacks, by whichever of its names it is asked for, and whichever names a fallback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.faulty_provider import FAULTS, HEALTHY, Fault, FaultyProvider
from support.routing import GROUP, MODES, ask, back_offs, deployment, routed

ALIAS = "the-alias"
FALLBACK = "the-fallback"
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
