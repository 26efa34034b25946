"""Breaks a config's deployments one by one, in pairs and all at once, and asks the proxy meanwhile.

What one fault leaves behind must not meet the next: before each the proxy begins anew, which takes some hundredths of a
second. Groups that do not fall back to each other share no deployment, so one of each is drilled at the same time; and
two proxies share the work.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from litellm_drill.copied import SHORT, Copy, copied, lines, with_short_timeouts
from litellm_drill.document import ConfigError
from litellm_drill.gateway import Answer, Gateway
from litellm_drill.outcome import SEVERITIES, Outcome, Report, Scenario, Step, Verdict, is_cut_stream
from litellm_drill.plan import Plan, rounds
from litellm_drill.stand_in import QUESTION, Attempt, Fault, StandIn

QUESTIONS = 8
"""Questions for each deployment of a group, until all broken ones have been met: one of two is missed once in 65536."""

HEALTHY = 3
"""Questions to a healthy group, whose median is what an answer takes without a fault."""

SLOW = 5.0
"""How many times as long as an answer takes a silent deployment is waited for, so that none that is well is taken for
one."""

Progress = Callable[[float], None]
LANES = min(2, os.cpu_count() or 1)


@dataclass(frozen=True)
class Files:
    """The two copies of the config: with its own timeouts, and with short ones for silence."""

    usual: Path
    silent: Path


async def drill(plan: Plan, python: str, release: str, advance: Progress) -> Report:
    """Drill all of `plan` with the LiteLLM of the interpreter `python`, and call `advance` with each round's
    scenarios. Raises ConfigError if its proxy does not start."""
    began = time.monotonic()
    waiting = deque(rounds(plan.scenarios, plan.components))
    outcomes: list[Outcome] = []
    async with AsyncExitStack() as stack:
        lanes = [await _lane(stack, plan, python) for _ in range(min(LANES, max(len(waiting), 1)))]
        work = [asyncio.ensure_future(_work(lane, waiting, outcomes, advance)) for lane in lanes]
        try:
            await asyncio.gather(*work)
        finally:
            for task in work:
                task.cancel()
        denied = sorted({what for lane in lanes for what in lane.gateway.denied})
    order = {scenario: index for index, scenario in enumerate(plan.scenarios)}
    outcomes.sort(key=lambda one: order[one.scenario])
    replaced = (*lines(lanes[0].copy.replaced),) if lanes else ()
    return Report(release, tuple(outcomes), plan.not_drilled, replaced, tuple(denied), time.monotonic() - began)


@dataclass
class Lane:
    """A proxy with stand-ins of its own, by the numbers of their deployments."""

    plan: Plan
    gateway: Gateway
    stand_ins: Mapping[int, StandIn]
    files: Files
    copy: Copy
    baselines: dict[tuple[str, bool], float]
    short: float = SHORT

    async def ask(self, group: str, streamed: bool) -> tuple[Answer, list[Attempt]]:
        """The answer to one question, and the attempts it made."""
        members = self.plan.reach(group)
        before = {i: len(self.stand_ins[i].attempts) for i in members}
        seen = len(self.gateway.connections()) if self._refuses(members) else 0
        question = f"{QUESTION} {time.monotonic()}."
        embed = group in self.plan.embeddings
        answer = await self.gateway.ask(group, question, embed=embed, streamed=streamed)
        attempts = [one for i in members for one in self.stand_ins[i].attempts[before[i] :]]
        if self._refuses(members):
            refusing = {self.stand_ins[i].port: i for i in members if self.stand_ins[i].fault is Fault.REFUSED}
            for at, port in self.gateway.connections()[seen:]:
                if port in refusing:
                    attempts.append(Attempt(refusing[port], at, Fault.REFUSED, at))
        return answer, sorted(attempts, key=lambda one: one.began)

    def _refuses(self, members: Sequence[int]) -> bool:
        return any(self.stand_ins[i].fault is Fault.REFUSED for i in members)

    async def measure(self, groups: Sequence[str]) -> None:
        """Find out how long each group takes while it is well."""
        for group in groups:
            for streamed in (False,) if group in self.plan.embeddings else (False, True):
                took = [(await self.ask(group, streamed))[0].seconds for _ in range(HEALTHY)]
                self.baselines[group, streamed] = statistics.median(took)
        self.short = max(SHORT, SLOW * max(self.baselines.values(), default=0.0))
        self.files.silent.write_text(json.dumps(with_short_timeouts(self.copy.data, self.short)), "utf-8")

    async def run(self, scenario: Scenario) -> Outcome:
        """Break, ask until each broken deployment has been met, and mend."""
        for i in scenario.broken:
            await self.stand_ins[i].turn(scenario.fault)
        unmet = set(scenario.broken)
        found: list[Outcome] = []
        try:
            for _ in range(QUESTIONS * len(self.plan.members[scenario.group])):
                answer, attempts = await self.ask(scenario.group, scenario.streamed)
                met = {one.number for one in attempts} & set(scenario.broken)
                if met or answer.by is None:
                    found.append(self._outcome(scenario, answer, attempts))
                unmet -= met
                if not unmet or answer.by is None:
                    break
        finally:
            for i in scenario.broken:
                await self.stand_ins[i].turn(None)
        nothing = Outcome(scenario, Verdict.UNASKED, self._labels(scenario), "", "", 0.0, 0.0, ())
        return max(found, key=lambda one: (SEVERITIES.index(one.verdict), one.added), default=nothing)

    def _outcome(self, scenario: Scenario, answer: Answer, attempts: Sequence[Attempt]) -> Outcome:
        label = self.plan.labels
        ended = answer.began + answer.seconds
        steps = tuple(
            Step(label[one.number], one.began - answer.began, (one.ended or ended) - answer.began, _result(one))
            for one in attempts
        )
        if answer.by is not None:
            verdict = Verdict.ANSWERED
        else:
            verdict = Verdict.CUT if is_cut_stream(scenario) and answer.status == 200 else Verdict.FAILED
        added = max(answer.seconds - self.baselines[scenario.group, scenario.streamed], 0.0)
        by = "" if answer.by is None else label.get(answer.by, "the spare")
        own = self._own(scenario, added, attempts)
        return Outcome(scenario, verdict, self._labels(scenario), by, answer.seen, added, own, steps)

    def _own(self, scenario: Scenario, added: float, attempts: Sequence[Attempt]) -> float | None:
        """What `added` would be with the timeouts of the config, None where they are not in it."""
        own = added
        for one in attempts:
            if one.fault is Fault.SILENT:
                seconds = self.plan.timeout(one.number, scenario.streamed)
                if seconds is None:
                    return None
                own += max(seconds - self.short, 0.0)
        return own

    def _labels(self, scenario: Scenario) -> tuple[str, ...]:
        return tuple(self.plan.labels[i] for i in scenario.broken)


def _result(attempt: Attempt) -> str:
    return "answered" if attempt.fault is None else attempt.fault.value


async def _lane(stack: AsyncExitStack, plan: Plan, python: str) -> Lane:
    """Stand-ins for all that `plan` can reach, and a proxy that is not started yet."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="litellm-drill-", ignore_cleanup_errors=True)))
    stand_ins = {i: StandIn(i) for i in sorted(plan.reachable)}
    spare = StandIn(len(plan.config.deployments))
    for server in (spare, *stand_ins.values()):
        await server.open()
        stack.push_async_callback(server.close)
    urls = {i: server.url for i, server in stand_ins.items()}
    copy = copied(plan.config, urls, plan.spoken, spare.url)
    files = Files(folder / "config.yaml", folder / "silent.yaml")
    files.usual.write_text(json.dumps(copy.data), "utf-8")  # JSON is YAML
    gateway = Gateway(python, folder)
    stack.push_async_callback(gateway.stop)
    return Lane(plan, gateway, stand_ins, files, copy, {})


async def _work(lane: Lane, waiting: deque[tuple[Scenario, ...]], outcomes: list[Outcome], advance: Progress) -> None:
    """Drill one round after the other, until none is left for this lane or another."""
    try:
        await lane.gateway.start(lane.files.usual)
    except ConfigError as error:
        raise ConfigError(lane.copy.scrubbed(str(error))) from None
    await lane.measure(lane.plan.groups)
    while waiting:
        scenarios = waiting.popleft()
        is_silent = any(scenario.fault is Fault.SILENT for scenario in scenarios)
        await lane.gateway.begin_anew(lane.files.silent if is_silent else lane.files.usual)
        outcomes += await asyncio.gather(*map(lane.run, scenarios))
        advance(len(scenarios))
