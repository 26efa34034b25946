"""One outage inside one interpreter: a Router over a scripted primary and a healthy fallback, and what its caller sees.

The harness runs `answerer` in the interpreter whose litellm is measured.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from failover_cell import own_callbacks, quiet_litellm
from scenarios import (
    ANSWER,
    COOLDOWN,
    FALLBACK,
    FALLBACK_TOKENS,
    FAST,
    LARGER,
    PRIMARY,
    PRIMARY_TOKENS,
    RETRIES,
    SCENARIOS,
    STREAM_TIMEOUT,
    TIMEOUT,
    Attempt,
    Observation,
    Reply,
    Scenario,
)

from support.scripted_provider import HEALTHY_STREAM, Arrival, ScriptedProvider, Step, Stream

GROUPS = {"primary": PRIMARY, "fallback": FALLBACK, "larger": LARGER}
"""Each group of the Router and the model of its only deployment."""

REQUEST: dict[str, Any] = {
    "messages": [{"role": "user", "content": "ping"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}

LITELLMS_OWN_TIME = 10.0
"""Seconds a request may spend on back-off, over its timeouts, before it counts as hanging."""

WARM_UP = ("S12", "S13")
"""Scenarios without a wait; they load what a failure and a fallback need before the first time is taken."""


def patience(scale: float) -> float:
    """Seconds after which a request hangs: every retry and the fallback have timed out."""
    return (RETRIES + 2) * TIMEOUT * scale + LITELLMS_OWN_TIME


class Heard:
    """What has reached the caller of one request so far."""

    def __init__(self) -> None:
        self.first_word: float | None = None
        self.text = ""
        self.finish_reason: str | None = None
        self.models: list[str] = []
        self.usage: Any = None

    def take(self, chunk: Any) -> None:
        """Add a chunk of the stream."""
        if chunk.model not in self.models:
            self.models.append(chunk.model)
        self.usage = getattr(chunk, "usage", None) or self.usage
        for choice in chunk.choices:
            self.finish_reason = choice.finish_reason or self.finish_reason
            if choice.delta.content:
                self.first_word = self.first_word or time.monotonic()
                self.text += choice.delta.content


class Outage:
    """A Router, its two providers and the clock of one scenario."""

    def __init__(
        self, litellm: Any, scenario: Scenario, scale: float, primary: ScriptedProvider, fallback: ScriptedProvider
    ) -> None:
        self.scenario = scenario
        self.scale = scale
        self.primary = primary
        self.fallback = fallback
        self.zero = 0.0
        self.errors: type[Exception] = importlib.import_module("openai").OpenAIError
        self.router = litellm.Router(
            model_list=[_deployment(group, primary if group == "primary" else fallback) for group in GROUPS],
            fallbacks=[{"primary": ["fallback"]}],
            context_window_fallbacks=[{"primary": ["larger"]}],
            content_policy_fallbacks=[{"primary": []}],
            num_retries=RETRIES,
            timeout=TIMEOUT * scale,
            stream_timeout=STREAM_TIMEOUT * scale,
            cooldown_time=COOLDOWN * scale,
        )

    async def run(self) -> Observation:
        await self._ask("fallback")  # opens what the next one finds open
        own_time = (await self._ask("fallback")).seconds
        before = len(self.fallback.arrivals)
        self.zero = time.monotonic()
        replies, healed = await asyncio.gather(self._requests(), self._heal())
        primary = self._attempts(self.primary.arrivals)
        fallback = self._attempts(self.fallback.arrivals[before:])
        return Observation(
            scenario=self.scenario.id,
            scale=self.scale,
            own_time=own_time,
            replies=tuple(replies),
            primary=primary,
            fallback=fallback,
            healed=healed,
            afterwards=await self._ask_afterwards(replies),
        )

    async def _requests(self) -> list[Reply]:
        # Each at its time, whether the ones before have been answered or not.
        times = [number * self.scenario.interval * self.scale for number in range(self.scenario.requests)]
        return await asyncio.gather(*map(self._ask_at, times))

    async def _ask_at(self, moment: float) -> Reply:
        await self._until(moment)
        return await self._ask("primary")

    async def _heal(self) -> float | None:
        if self.scenario.heals_after is None:
            return None
        await self._until(self.scenario.heals_after * self.scale)
        healed = self._now()
        self.primary.play([HEALTHY_STREAM])
        return healed

    async def _ask_afterwards(self, replies: Sequence[Reply]) -> Reply | None:
        if not self.scenario.asked_afterwards or any(reply.hung for reply in replies):
            return None
        self.primary.play([HEALTHY_STREAM])
        return await self._ask("primary")

    async def _until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, self.zero + moment - time.monotonic()))

    def _now(self) -> float:
        return time.monotonic() - self.zero

    async def _ask(self, group: str) -> Reply:
        heard = Heard()
        begun = self._now()
        reading = asyncio.ensure_future(self._read(group, heard))
        await asyncio.wait([reading], timeout=patience(self.scale))
        ended, hung = self._now(), not reading.done()
        reading.cancel()
        [error] = await asyncio.gather(reading, return_exceptions=True)
        return Reply(
            begun=begun,
            ended=ended,
            first_word=None if heard.first_word is None else heard.first_word - self.zero,
            text=heard.text,
            finish_reason=heard.finish_reason,
            models=tuple(heard.models),
            prompt_tokens=getattr(heard.usage, "prompt_tokens", None),
            completion_tokens=getattr(heard.usage, "completion_tokens", None),
            error=None if error is None or hung else type(error).__name__,
            message="" if error is None else str(error),
            clean=error is None or hung or isinstance(error, self.errors),
            hung=hung,
        )

    async def _read(self, group: str, heard: Heard) -> None:
        async for chunk in await self.router.acompletion(model=group, **REQUEST):
            heard.take(chunk)

    def _attempts(self, arrivals: Sequence[Arrival]) -> tuple[Attempt, ...]:
        return tuple(
            Attempt(arrival.at - self.zero, arrival.model, arrival.prefilled, arrival.step != HEALTHY_STREAM)
            for arrival in arrivals
        )


def _deployment(group: str, provider: ScriptedProvider) -> dict[str, Any]:
    params = {"model": f"openai/{GROUPS[group]}", "api_base": f"{provider.url}/v1", "api_key": "sk-test"}
    info = {"id": f"{group}-deployment", "supports_assistant_prefill": True}
    return {"model_name": group, "litellm_params": params, "model_info": info}


def _scaled(script: Sequence[Step], scale: float) -> list[Step]:
    return [step.scaled(scale) if isinstance(step, Stream) else step for step in script]


async def observe(litellm: Any, scenario: Scenario, scale: float) -> Observation:
    """Run `scenario` with every time multiplied by `scale`."""
    script = _scaled(scenario.script, scale)
    with (
        ScriptedProvider(script, answer=ANSWER, prompt_tokens=PRIMARY_TOKENS) as primary,
        ScriptedProvider(
            [HEALTHY_STREAM], answer=ANSWER, prompt_tokens=FALLBACK_TOKENS, take_prefill=scenario.takes_prefill
        ) as fallback,
        own_callbacks(litellm),
    ):
        return await Outage(litellm, scenario, scale, primary, fallback).run()


def answerer() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Answers `{"scenario": ..., "scale": ...}` with an Observation as a dict, in one event loop for all."""
    litellm, loop = quiet_litellm(), asyncio.new_event_loop()
    known = {scenario.id: scenario for scenario in SCENARIOS}
    for name in WARM_UP:
        loop.run_until_complete(observe(litellm, known[name], FAST))

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        return asdict(loop.run_until_complete(observe(litellm, known[question["scenario"]], question["scale"])))

    return answer
