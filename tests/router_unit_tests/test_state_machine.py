"""A router whose deployments break and heal in any order, with retries and a fallback, under a clock the test turns."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest import mock

import httpx
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from litellm import Router

from support.faulty_provider import PROVIDERS
from support.routing import (
    COMPILED_ROUTER,
    GROUP,
    STRATEGIES,
    back_offs,
    cooldown_cache,
    cooling_down,
    deployment,
    event_loop,
    lost,
    outcomes,
    routed,
)
from support.wire import HEALTHY, OVER_THE_OPENAI_CLIENT, wired

NAMES = ["a", "b", "c"]
ALONE = "alone"
LONE_GROUP = "the-lone-group"
"""ALONE's group, which falls back to the group of the others; LiteLLM would take a group named like an id for that."""

COOLDOWN = 30.0
"""Seconds of virtual time."""

COOLS_DOWN_AT_ONCE: list[Any] = [401, 402, 404, 429, httpx.ConnectError, httpx.ConnectTimeout]
COOLS_DOWN_WHEN_REPEATED: list[Any] = [408, 500, 503, httpx.ReadTimeout, httpx.ReadError]
NEVER_COOLS_DOWN: list[Any] = [400, 422]
A_RETRY_MAY_HELP: list[Any] = [500, httpx.ReadError]

names = st.sampled_from([*NAMES, ALONE])


class BreakingAndHealing(RuleBasedStateMachine):
    """Four deployments and a model of what each has done since the last cooldown could have begun."""

    @initialize(provider=st.sampled_from(PROVIDERS), strategy=st.sampled_from(STRATEGIES))
    def start(self, provider: str, strategy: str) -> None:
        """A fresh router over healthy deployments."""
        self.now = time.time()
        self.provider = provider
        self.resources = ExitStack()
        self.resources.enter_context(mock.patch("time.time", lambda: self.now))
        self.resources.enter_context(back_offs())
        self.loop = self.resources.enter_context(event_loop())
        self.wire = self.resources.enter_context(wired([*NAMES, ALONE]))
        group = [deployment(name, provider, self.wire.url(name)) for name in NAMES]
        group.append(deployment(ALONE, provider, self.wire.url(ALONE), group=LONE_GROUP))
        router = routed(
            group,
            routing_strategy=strategy,
            num_retries=len(NAMES) - 1,
            cooldown_time=COOLDOWN,
            fallbacks=[{LONE_GROUP: [GROUP]}],
        )
        self.router = self.loop.run_until_complete(self.enter(router))
        self.blamed_since: dict[str, float] = {}
        self.cooling_since: dict[str, float] = {}

    async def enter(self, router: AbstractContextManager[Router]) -> Router:
        """In the loop, where a router starts its periodic tasks."""
        return self.resources.enter_context(router)

    def teardown(self) -> None:
        """Also when it never started."""
        if hasattr(self, "resources"):
            self.resources.close()

    @rule(name=names, failure=st.sampled_from(COOLS_DOWN_AT_ONCE + COOLS_DOWN_WHEN_REPEATED))
    def break_down(self, name: str, failure: Any) -> None:
        """Any number of deployments may be out of order."""
        self.wire.state[name] = failure

    @rule(name=names)
    def heal(self, name: str) -> None:
        """The router is not told."""
        self.wire.state[name] = HEALTHY

    @rule(seconds=st.sampled_from([1.0, COOLDOWN / 2, COOLDOWN + 1]))
    def wait(self, seconds: float) -> None:
        """Virtual seconds. Since 1.110 the cooldowns are in a compiled store, whose clock is not the test's."""
        self.now += seconds
        ended = [name for name, since in self.cooling_since.items() if self.now - since >= COOLDOWN]
        for name in ended if COMPILED_ROUTER else ():
            store: Any = cooldown_cache(self.router).cooldown_store
            store.evict_local(name)

    @rule(group=st.sampled_from([GROUP, LONE_GROUP]))
    def ask(self, group: str) -> None:
        """Answered if a healthy deployment is in rotation; one that is cooling down is not bothered, but for a lone one
        whose fallback is cooling down as a whole."""
        cooling = cooling_down(self.router)
        rotation = [name for name in NAMES if name not in cooling]
        if group == LONE_GROUP and ALONE not in cooling:
            rotation.append(ALONE)
        answered, asked = self.answer_and_attempts(group)
        if group == LONE_GROUP and not rotation and ALONE in asked:
            rotation.append(ALONE)
        assert answered == any(self.wire.state[name] == HEALTHY for name in rotation)
        assert asked.keys() <= set(rotation)
        twice = [name for name, count in asked.items() if count > self.sends(name)]
        if ALONE in twice:  # of a fallback that is cooling down as a whole there is nothing to expect
            assert self.wire.state[ALONE] in A_RETRY_MAY_HELP or rotation == [ALONE]
        if set(twice) & set(NAMES):
            assert set(rotation) - {ALONE} <= asked.keys()

    def answer_and_attempts(self, group: str) -> tuple[bool, Counter[str]]:
        """Whether a request of `group` is answered, and how often each deployment was asked for it."""
        self.wire.attempts = Counter()
        results = self.loop.run_until_complete(outcomes(self.router, 1, model=group))
        broken = [name for name in self.wire.attempts if self.wire.state[name] != HEALTHY]
        self.blamed_since.update(dict.fromkeys(broken, self.now))
        return lost(results) == [], self.wire.attempts

    def sends(self, name: str) -> int:
        """How often one attempt is seen on the wire: LiteLLM's own HTTP client sends again what the wire cut."""
        return 1 if isinstance(self.wire.state[name], int) or self.provider in OVER_THE_OPENAI_CLIENT else 2

    @rule(name=names, status=st.sampled_from(NEVER_COOLS_DOWN))
    def ask_for_nonsense(self, name: str, status: int) -> None:
        """A request every deployment rejects leaves the rotation as it was."""
        cooling, states = cooling_down(self.router), dict(self.wire.state)
        self.wire.state.update({name: status for name in states if states[name] == HEALTHY})
        healthy_only = all(state == HEALTHY for state in states.values())
        self.loop.run_until_complete(outcomes(self.router, 1))
        self.wire.state.update(states)
        if healthy_only:
            assert cooling_down(self.router) == cooling
        else:
            self.blamed_since.update({name: self.now for name in states if states[name] != HEALTHY})

    @invariant()
    def only_the_blamed_cool_down_and_not_for_ever(self) -> None:
        """Every cooldown has a failure of its deployment behind it, no older than the cooldown lasts."""
        if hasattr(self, "router"):
            cooling = cooling_down(self.router)
            self.cooling_since = {name: self.cooling_since.get(name, self.now) for name in cooling}
            for name in cooling:
                assert self.now - self.blamed_since[name] <= COOLDOWN


TestBreakingAndHealing = BreakingAndHealing.TestCase
TestBreakingAndHealing.settings = settings(max_examples=40, stateful_step_count=30)
