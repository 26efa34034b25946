"""A router whose deployments break and heal in any order, under a clock the test turns."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest import mock

import httpx
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from litellm import Router

from support.faulty_provider import PROVIDERS
from support.routing import STRATEGIES, cooling_down, deployment, event_loop, lost, outcomes, routed
from support.wire import HEALTHY, wired

NAMES = ["a", "b", "c"]
COOLDOWN = 30.0
"""Seconds of virtual time."""

COOLS_DOWN_AT_ONCE: list[Any] = [429, httpx.ConnectError, httpx.ConnectTimeout]
NEVER_COOLS_DOWN: list[Any] = [400, 422]

names = st.sampled_from(NAMES)


class BreakingAndHealing(RuleBasedStateMachine):
    """Three deployments and a model of what each has done since the last cooldown could have begun."""

    @initialize(provider=st.sampled_from(PROVIDERS), strategy=st.sampled_from(STRATEGIES))
    def start(self, provider: str, strategy: str) -> None:
        """A fresh router over healthy deployments."""
        self.now = time.time()
        self.resources = ExitStack()
        self.resources.enter_context(mock.patch("time.time", lambda: self.now))
        self.loop = self.resources.enter_context(event_loop())
        self.wire = self.resources.enter_context(wired(NAMES))
        group = [deployment(name, provider, self.wire.url(name)) for name in NAMES]
        router = routed(group, routing_strategy=strategy, num_retries=len(NAMES) - 1, cooldown_time=COOLDOWN)
        self.router = self.loop.run_until_complete(self.enter(router))
        self.blamed_since: dict[str, float] = {}

    async def enter(self, router: AbstractContextManager[Router]) -> Router:
        """In the loop, where a router starts its periodic tasks."""
        return self.resources.enter_context(router)

    def teardown(self) -> None:
        """Also when it never started."""
        if hasattr(self, "resources"):
            self.resources.close()

    @rule(name=names, failure=st.sampled_from(COOLS_DOWN_AT_ONCE))
    def break_down(self, name: str, failure: Any) -> None:
        """Any number of deployments may be out of order."""
        self.wire.state[name] = failure

    @rule(name=names)
    def heal(self, name: str) -> None:
        """The router is not told."""
        self.wire.state[name] = HEALTHY

    @rule(seconds=st.sampled_from([1.0, COOLDOWN / 2, COOLDOWN + 1]))
    def wait(self, seconds: float) -> None:
        """Virtual seconds."""
        self.now += seconds

    @rule()
    def ask(self) -> None:
        """Answered if a healthy deployment is in rotation; one that is cooling down is not bothered."""
        cooling = cooling_down(self.router)
        in_rotation = [name for name in NAMES if name not in cooling]
        before = dict(self.wire.attempts)
        results = self.loop.run_until_complete(outcomes(self.router, 1))
        asked = {name for name in NAMES if self.wire.attempts[name] > before.get(name, 0)}
        for name in asked:
            if self.wire.state[name] != HEALTHY:
                self.blamed_since[name] = self.now
        if any(self.wire.state[name] == HEALTHY for name in in_rotation):
            assert lost(results) == []
        if in_rotation:
            assert asked.isdisjoint(cooling)

    @rule(name=names, status=st.sampled_from(NEVER_COOLS_DOWN))
    def ask_for_nonsense(self, name: str, status: int) -> None:
        """A request every deployment rejects leaves the rotation as it was."""
        cooling, states = cooling_down(self.router), dict(self.wire.state)
        self.wire.state.update({name: status for name in NAMES if states[name] == HEALTHY})
        healthy_only = all(state == HEALTHY for state in states.values())
        self.loop.run_until_complete(outcomes(self.router, 1))
        self.wire.state.update(states)
        if healthy_only:
            assert cooling_down(self.router) == cooling
        else:
            self.blamed_since.update({name: self.now for name in NAMES if states[name] != HEALTHY})

    @invariant()
    def only_the_blamed_cool_down_and_not_for_ever(self) -> None:
        """Every cooldown has a failure of its deployment behind it, no older than the cooldown lasts."""
        if hasattr(self, "router"):
            for name in cooling_down(self.router):
                assert self.now - self.blamed_since[name] <= COOLDOWN


TestBreakingAndHealing = BreakingAndHealing.TestCase
TestBreakingAndHealing.settings = settings(max_examples=80, stateful_step_count=30)
