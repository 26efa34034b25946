"""Breaks a config's deployments one by one, in pairs and all at once, and asks the proxy meanwhile.

What one fault leaves behind must not meet the next: before each the proxy begins anew, which takes some hundredths of a
second. Groups that do not fall back to each other share no deployment, so one of each is drilled at the same time; and
several proxies share the work, most of which is waiting.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from litellm_drill.copied import SHORT, Copy, copied, lines, with_short_timeouts
from litellm_drill.document import ConfigError
from litellm_drill.gateway import FORKS, Answer, Gateway, Gateways
from litellm_drill.limit_rules import patience
from litellm_drill.outcome import Outcome, Report, Scenario, Step, Verdict, is_cut_stream, worst
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
LANES = 3 if FORKS else 2
WORDS = 160
"""Characters of an error that are told."""

OURS = "+failover"
"""What a LiteLLM's version has whose router has total_timeout."""

Way = tuple[str, bool]
"""A group, and whether it is asked for a stream."""


@dataclass(frozen=True)
class Files:
    """The two copies of the config: with its own timeouts, and with short ones for silence."""

    usual: Path
    silent: Path


async def drill(plan: Plan, python: str, release: str, advance: Progress) -> Report:
    """Drill all of `plan` with the LiteLLM of the interpreter `python`, and call `advance` with each round's
    scenarios. Raises ConfigError if its proxy does not start."""
    began = time.monotonic()
    count = min(LANES, max(len(rounds(plan.scenarios, plan.components)), 1))
    outcomes: list[Outcome] = []
    async with AsyncExitStack() as stack:
        lanes = await _lanes(stack, plan, python, count, has_total=OURS in release)
        await _together(lane.measure() for lane in lanes)
        unwell = {way: seen for lane in lanes for way, seen in lane.unwell.items()}
        drilled = [one for one in plan.scenarios if (one.group, one.streamed) not in unwell]
        advance(len(plan.scenarios) - len(drilled))
        waiting = deque(rounds(drilled, plan.components))
        await _together(_work(lane, waiting, outcomes, advance) for lane in lanes)
        denied = sorted({what for lane in lanes for what in lane.gateway.denied})
    order = {scenario: index for index, scenario in enumerate(plan.scenarios)}
    outcomes.sort(key=lambda one: order[one.scenario])
    replaced = tuple(lines(lanes[0].copy.replaced))
    seconds = time.monotonic() - began
    return Report(release, tuple(outcomes), plan.not_drilled, replaced, tuple(denied), seconds, _by_group(plan, unwell))


async def _together(work: Iterable[Coroutine[None, None, None]]) -> None:
    """Do all of `work` at the same time; if a part of it fails, the rest is left."""
    tasks = [asyncio.ensure_future(part) for part in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _by_group(plan: Plan, unwell: Mapping[Way, str]) -> dict[str, str]:
    """What was seen of each group that does not answer, by its name, and by how it was asked if only one way fails."""
    told: dict[str, str] = {}
    for (group, streamed), seen in unwell.items():
        fails_either_way = group in plan.embeddings or (group, not streamed) in unwell
        told[group if fails_either_way else f"{group}, {'streamed' if streamed else 'not streamed'}"] = seen
    return told


@dataclass
class Lane:
    """A proxy with stand-ins of its own, by the numbers of their deployments."""

    plan: Plan
    gateway: Gateway
    stand_ins: Mapping[int, StandIn]
    files: Files
    copy: Copy
    baselines: dict[Way, float]
    unwell: dict[Way, str] = field(default_factory=dict)
    short: float = SHORT
    has_total: bool = True

    async def ask(self, group: str, streamed: bool) -> tuple[Answer, list[Attempt]]:
        """The answer to one question, and the attempts it made."""
        members = self.plan.reach(group)
        before = {i: len(self.stand_ins[i].attempts) for i in members}
        seen = len(self.gateway.connections()) if self._refuses(members) else 0
        question = f"{QUESTION} {time.monotonic()}."
        embed = group in self.plan.embeddings
        waits = self.plan.waits(group)
        answer = await self.gateway.ask(group, question, embed=embed, streamed=streamed, waits=waits)
        attempts = [one for i in members for one in self.stand_ins[i].attempts[before[i] :]]
        if self._refuses(members):
            refusing = {self.stand_ins[i].port: i for i in members if self.stand_ins[i].fault is Fault.REFUSED}
            for at, port in self.gateway.connections()[seen:]:
                if port in refusing:
                    attempts.append(Attempt(refusing[port], at, Fault.REFUSED, at))
        return answer, sorted(attempts, key=lambda one: one.began)

    def _refuses(self, members: Sequence[int]) -> bool:
        return any(self.stand_ins[i].fault is Fault.REFUSED for i in members)

    async def measure(self) -> None:
        """Find out how long each group takes while nothing is broken, and which does not answer even then."""
        took: list[float] = []
        for group in self.plan.groups:
            for streamed in (False,) if group in self.plan.embeddings else (False, True):
                answers = [(await self.ask(group, streamed))[0] for _ in range(HEALTHY)]
                own = [one for one in answers if one.by in self.plan.members[group]]
                if own:
                    took += [one.seconds for one in own]
                    self.baselines[group, streamed] = statistics.median(took[-len(own) :])
                else:
                    self.unwell[group, streamed] = self._told(answers[0])
        self.short = max(SHORT, SLOW * statistics.median(took or [0.0]))  # the first ones still import
        self.files.silent.write_text(json.dumps(with_short_timeouts(self.copy.data, self.short)), "utf-8")

    def _told(self, answer: Answer) -> str:
        """What a group says that should answer: another's answer would stay whatever of it is broken."""
        if answer.by is not None:
            return f"only {self.plan.labels.get(answer.by, 'the spare')} answers for it"
        words = self.copy.scrubbed(answer.words)
        cut = words if len(words) <= WORDS else f"{words[:WORDS]}…"
        return f"{answer.seen}{f': {cut}' if cut else ''}"

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
        return worst(found) or nothing

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
        own, seen = self._own(scenario, added, attempts), answer.seen
        limit, whose = patience(self.plan.config, has_total=self.has_total)
        if scenario.fault is Fault.SILENT and verdict is Verdict.ANSWERED and own is not None and own > limit:
            verdict, by, seen = Verdict.FAILED, "", f"no answer in the {limit:g} s that {whose}"
        return Outcome(scenario, verdict, self._labels(scenario), by, seen, added, own, steps)

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


async def _lanes(stack: AsyncExitStack, plan: Plan, python: str, count: int, *, has_total: bool) -> list[Lane]:
    """Proxies that answer, with stand-ins for all that `plan` can reach. Raises ConfigError if one does not start."""
    made = [await _stood_in(stack, plan) for _ in range(count)]
    gateways = Gateways(python, [files.usual.parent for _, files, _ in made])
    stack.push_async_callback(gateways.stop)
    try:
        await gateways.start()
    except ConfigError as error:
        raise ConfigError(made[0][2].scrubbed(str(error))) from None
    return [
        Lane(plan, gateway, stand_ins, files, copy, {}, has_total=has_total)
        for gateway, (stand_ins, files, copy) in zip(gateways.each, made, strict=True)
    ]


async def _stood_in(stack: AsyncExitStack, plan: Plan) -> tuple[dict[int, StandIn], Files, Copy]:
    """Stand-ins for all that `plan` can reach, and a copy of the config with them in a folder of its own."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="litellm-drill-", ignore_cleanup_errors=True)))
    stand_ins = {i: StandIn(i) for i in sorted(plan.reachable)}
    spare = StandIn(len(plan.config.deployments))
    for server in (spare, *stand_ins.values()):
        await server.open()
        stack.push_async_callback(server.close)
    urls = {i: server.url for i, server in stand_ins.items()}
    asked = None if plan.sample is None else plan.reachable  # a router of hundreds takes seconds to begin anew
    copy = copied(plan.config, urls, plan.spoken, spare.url, asked)
    files = Files(folder / "config.yaml", folder / "silent.yaml")
    files.usual.write_text(json.dumps(copy.data), "utf-8")  # JSON is YAML
    ports = [spare.port, *(server.port for server in stand_ins.values())]
    (folder / "ports").write_text("\n".join(map(str, ports)), "utf-8")
    return stand_ins, files, copy


async def _work(lane: Lane, waiting: deque[tuple[Scenario, ...]], outcomes: list[Outcome], advance: Progress) -> None:
    """Drill one round after the other, until none is left for this lane or another."""
    while waiting:
        scenarios = waiting.popleft()
        is_silent = any(scenario.fault is Fault.SILENT for scenario in scenarios)
        await lane.gateway.begin_anew(lane.files.silent if is_silent else lane.files.usual)
        outcomes += await asyncio.gather(*map(lane.run, scenarios))
        advance(len(scenarios))
