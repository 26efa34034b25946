"""A soak: many callers of one Router at once, for a while, as its deployments break and heal at random.

It must show that no request is lost while a deployment can answer it, and that nothing is left behind. `run` does it,
`complaints` judges it: by counts and ratios, so that a slow machine changes how much is asked and not the verdict.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import psutil
from litellm import Router

from support.faulty_provider import (
    FAULTS,
    HEALTHY,
    PROVIDERS,
    REFUSED,
    SILENT,
    TORN,
    TRUNCATED,
    Fault,
    FaultyProvider,
)
from support.provider_formats import Json
from support.routing import STRATEGIES, ask, cooling_down, deployment, routed

MODES = ("async", "async-stream")
STREAMED = ("async-stream",)
ANSWER = "pong"

NOT_IN_A_SOAK = {
    "400": "blamed on the request",
    "unresolvable": "a host name, which a running provider cannot change",
    "truncated": "breaks a stream after its first words: in a soak of streams alone",
    "429-retry-after": "six seconds; one of a second stands in for it",
}
BREAKS: dict[str, Fault] = {
    **{name: fault for name, fault in FAULTS.items() if name not in NOT_IN_A_SOAK},
    "429-retry-1": Fault.status(429, retry_after=1),
}
CUT_STREAMS: dict[str, Fault] = {"truncated": TRUNCATED, "torn": TORN}
FAULT_NAMES = {
    **{fault: name for name, fault in (BREAKS | CUT_STREAMS).items()},
    HEALTHY: "healthy",
    REFUSED: "healthy",  # a request that is read was accepted before the port closed, and is answered
}

IMPATIENT = PROVIDERS[-1]
"""The deployment that gives up on an answer, so that silence ends in a timeout; never the one a request relies on."""

IMPATIENT_TIMEOUT = 1.0
TIMEOUT = 60.0
"""Seconds every other deployment may take: no request is lost because the machine is slow."""

COOLDOWN = 1.0
"""Seconds; so short that every deployment leaves the rotation and comes back many times."""

STEP = (0.1, 0.4)
"""Seconds, from and to, between two changes of the weather."""

ERA = (0.2, 1.0)
"""Seconds, from and to, before a successor is looked for to the deployment that requests rely on."""

DEADLINE = 60.0
"""Seconds a condition may take to come true; only something that hangs reaches it."""

DRAIN_DEADLINE = 10.0
"""Seconds the callbacks of the last requests may take; what is still there then is a leak."""

LOGGING_WORKER = 1
"""A task of LiteLLM's that lives as long as the event loop."""

PERIODIC_TASKS = {"usage-based-routing-v2": 1}
"""Tasks LiteLLM starts for a Router with that strategy and leaves running when it is discarded."""

RESENT = "reset"
"""After it LiteLLM's HTTP client sends a request once more by itself, within one attempt of the Router's."""

CACHES = 50_000
BLOCKS_A_REQUEST = 10
"""Memory blocks the process may grow by after the warm-up: once, for LiteLLM's caches and the source lines that
tracebacks quote, and for every request. Stock LiteLLM grows by 2000 to 40 000, the less the longer the warm-up, and not
with the number of requests. One exception kept with its traceback is some hundred blocks."""

RESIDENT_RATIO = 1.2
"""Resident memory at the end over that after the warm-up, at the most; stock LiteLLM's is 1.00 to 1.12."""


@dataclass(frozen=True)
class Soak:
    """What is done: a warm-up and `rounds`, equally long and `seconds` together, with a look at the process after each.

    `concurrency` callers ask again as soon as they have an answer. Everything drawn here is drawn from `seed`. Where
    all are `streams`, these also break after their first words.
    """

    seconds: float
    concurrency: int = 200
    seed: int = 0
    strategy: str = STRATEGIES[0]
    rounds: int = 3
    streams: bool = False

    @property
    def modes(self) -> Sequence[str]:
        """How is asked."""
        return STREAMED if self.streams else MODES

    @property
    def breaks(self) -> Sequence[Fault]:
        """What may be the matter with a provider."""
        return [*BREAKS.values(), *(CUT_STREAMS.values() if self.streams else ())]

    @property
    def litellms_tasks(self) -> int:
        """Tasks that LiteLLM itself leaves to the event loop, patched or not."""
        return LOGGING_WORKER + PERIODIC_TASKS.get(self.strategy, 0)


@dataclass(frozen=True)
class Footprint:
    """What the process holds while no request is under way.

    `connections` are TCP connections with a provider, counted at both ends. `descriptors` are open files and sockets.
    `blocks` are memory blocks of Python objects. `resident` is the resident memory in bytes.
    """

    asked: int
    tasks: int
    connections: int
    descriptors: int
    blocks: int
    resident: int


@dataclass(frozen=True)
class Report:
    """What came of a soak; `checks` were made after the warm-up and after each round, `after` without the router.

    `lost` counts what reached the callers in place of an answer, `attempts` the faults that met the requests each
    provider read, and `again` the faults after which a request went to the same deployment once more. `eras` is how
    often requests got another deployment to rely on. A refused connection is not among the attempts.
    """

    soak: Soak
    asked: int
    lost: Mapping[str, int]
    attempts: Mapping[str, Mapping[str, int]]
    again: Mapping[str, int]
    eras: int
    before: Footprint
    checks: Sequence[Footprint]
    after: Footprint

    @property
    def faults_met(self) -> int:
        """Attempts that a provider read and did not answer as it should."""
        return sum(count for met in self.attempts.values() for fault, count in met.items() if fault != "healthy")

    @property
    def growth(self) -> int:
        """Memory blocks added after the warm-up."""
        return self.checks[-1].blocks - self.checks[0].blocks

    @property
    def growth_allowed(self) -> int:
        """The `growth` that is still flat."""
        return CACHES + BLOCKS_A_REQUEST * (self.asked - self.checks[0].asked)

    @property
    def resident_ratio(self) -> float:
        """Resident memory at the end over that after the warm-up."""
        return self.checks[-1].resident / self.checks[0].resident


def complaints(report: Report) -> list[str]:
    """What is wrong with `report`, a sentence each."""
    before, after = report.before, report.after
    findings = {
        f"lost {sum(report.lost.values())} of {report.asked} requests": report.lost,
        f"{sum(report.again.values())} attempts where the same request had failed before": report.again,
        f"tasks: {before.tasks} before, {after.tasks} after": after.tasks > before.tasks + report.soak.litellms_tasks,
        f"connections: {before.connections} before, {after.connections} after": after.connections > before.connections,
        f"descriptors: {before.descriptors} before, {after.descriptors} after": after.descriptors > before.descriptors,
        f"{report.growth} memory blocks more, {report.growth_allowed} may be": report.growth > report.growth_allowed,
        f"{report.resident_ratio:.2f} times the resident memory": report.resident_ratio > RESIDENT_RATIO,
        "no request met a fault, which proves nothing": not report.faults_met,
    }
    return [sentence for sentence, found in findings.items() if found]


async def run(soak: Soak) -> Report:
    """Does what `soak` says, over five providers on real sockets. Raises TimeoutError when something hangs."""
    random.seed(soak.seed)
    with ExitStack() as stack:
        providers = {name: stack.enter_context(FaultyProvider(answer=ANSWER)) for name in PROVIDERS}
        ledger = Ledger(providers)
        process = Process(ledger, [provider.port for provider in providers.values()])
        await _first_request(providers)
        before = process.footprint()
        at_rest = before.tasks + soak.litellms_tasks
        with routed(_group(providers), **_settings(soak)) as router:
            weather = Weather(providers, ledger, router, soak.seed, soak.breaks)
            async with weather.changing():
                checks = [
                    await process.footprint_at_rest(at_rest + Weather.TASKS)
                    async for _ in _rounds(soak, router, ledger)
                ]
        for provider in providers.values():
            provider.fault = HEALTHY  # one that refuses has a socket less
        after = await process.footprint_at_rest(at_rest)
    return Report(soak, ledger.asked, ledger.lost, ledger.attempts, ledger.again, weather.eras, before, checks, after)


async def _first_request(providers: Mapping[str, FaultyProvider]) -> None:
    """Starts what LiteLLM keeps until the process ends, such as the compiled router's runtime with its descriptors."""
    with routed(_group(providers)) as router:
        await ask(router, "sync")


def _group(providers: Mapping[str, FaultyProvider]) -> list[Json]:
    timeouts = {name: IMPATIENT_TIMEOUT if name == IMPATIENT else TIMEOUT for name in providers}
    return [deployment(name, name, provider.url, timeout=timeouts[name]) for name, provider in providers.items()]


def _settings(soak: Soak) -> Json:
    return {"routing_strategy": soak.strategy, "num_retries": len(PROVIDERS) - 1, "cooldown_time": COOLDOWN}


async def _rounds(soak: Soak, router: Router, ledger: Ledger) -> AsyncIterator[int]:
    """Yields after the warm-up and after each round, when every caller has its last answer."""
    begun = time.monotonic()
    draws = [random.Random(f"{soak.seed} {number}") for number in range(soak.concurrency)]
    for part in range(soak.rounds + 1):
        end = begun + soak.seconds * (part + 1) / (soak.rounds + 1)
        await asyncio.gather(*(_call_until(end, router, ledger, draw, soak.modes) for draw in draws))
        yield part


async def _call_until(end: float, router: Router, ledger: Ledger, draw: random.Random, modes: Sequence[str]) -> None:
    """At least once, however late it is."""
    while True:
        with ledger.request() as number:
            messages = [{"role": "user", "content": f"ping {number}"}]
            if await ask(router, draw.choice(modes), messages=messages) != ANSWER:
                raise NoAnswer
        if time.monotonic() > end:
            return


class NoAnswer(Exception):
    """A success without the provider's answer in it."""


class Ledger:
    """Every request: whether it is under way, what came of it, and what it met where."""

    def __init__(self, providers: Mapping[str, FaultyProvider]) -> None:
        self.asked = 0
        self.lost: Counter[str] = Counter()
        self.attempts: dict[str, Counter[str]] = {name: Counter() for name in providers}
        self.again: Counter[str] = Counter()
        self.under_way: dict[int, list[tuple[str, str]]] = {}
        self._providers = providers

    @contextmanager
    def request(self) -> Iterator[int]:
        """A new request's number; it is under way until the block ends, and lost if that raises."""
        self.asked += 1
        number = self.asked
        self.under_way[number] = []
        try:
            yield number
        except Exception as error:  # whatever reaches a caller in place of an answer
            self.lost[_described(error)] += 1
        finally:
            self._read_logs()
            self.again.update(_met_again(self.under_way.pop(number)))

    def _read_logs(self) -> None:
        for name, provider in self._providers.items():
            read = provider.requests[:]
            del provider.requests[: len(read)]  # its thread may have added more; kept, they would be a leak of ours
            for request in read:
                if number := _number(request.body):
                    met = FAULT_NAMES[request.fault]
                    self.attempts[name][met] += 1
                    self.under_way.get(number, []).append((name, met))


def _described(error: Exception) -> str:
    status = getattr(error, "status_code", None)
    return type(error).__name__ + (f" {status}" if status else "")


def _number(body: Json) -> int | None:
    """None for LiteLLM's looks at a model, which hold no message."""
    found = re.search(r"ping (\d+)", json.dumps(body.get("messages")))
    return int(found[1]) if found else None


def _met_again(attempts: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The fault before each attempt on a deployment that had failed; the attempts on one deployment are in order."""
    for name in {name for name, _ in attempts}:
        met = [fault for at, fault in attempts if at == name]
        yield from met[met[0] == RESENT : -1]


class Weather:
    """Breaks and heals providers at random, but so that each request has one it can rely on from its first to its last.

    That is what makes a lost request a defect and never bad luck. At any time one deployment is sound: healthy, and in
    rotation. To give that part to another, heal it and wait, for conditions and never for a time: until no request
    is under way that may have met it broken, until it has cooled off, and until no request is under way that may have
    seen it cooling down. Only then may the old one break. A request that began earlier had the old one to its end, and
    one that begins later has the new one.
    """

    TASKS = 2

    def __init__(
        self,
        providers: Mapping[str, FaultyProvider],
        ledger: Ledger,
        router: Router,
        seed: int,
        breaks: Sequence[Fault],
    ) -> None:
        self.eras = 0
        self.sound = {PROVIDERS[0]}  # two, while one takes over from the other
        self._providers = providers
        self._ledger = ledger
        self._router = router
        self._breaks = breaks
        self._draw = random.Random(seed)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """From the beginning of the block to its end. Raises what stopped the weather, if something did."""
        tasks = [asyncio.create_task(work) for work in (self._break_and_heal(), self._change_the_sound_one())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks)

    async def _break_and_heal(self) -> None:
        while True:
            for name, provider in self._providers.items():
                if name not in self.sound and self._draw.random() < self._readiness(name, provider.fault):
                    provider.fault = self._draw.choice([HEALTHY, *self._breaks])
            await asyncio.sleep(self._draw.uniform(*STEP))

    def _readiness(self, name: str, fault: Fault) -> float:
        """The probability of a change: silence holds up every request that meets it, but at the impatient."""
        if name == IMPATIENT:
            return 0.1
        return 1.0 if fault == SILENT else 0.5

    async def _change_the_sound_one(self) -> None:
        candidates = [name for name in self._providers if name != IMPATIENT]
        while True:
            await asyncio.sleep(self._draw.uniform(*ERA))
            successor = self._draw.choice([name for name in candidates if name not in self.sound])
            self.sound.add(successor)
            self._providers[successor].fault = HEALTHY
            await self._all_to_end()
            while True:
                await until(partial(self._is_in_rotation, successor), f"{successor} to cool off")
                await self._all_to_end()
                if self._is_in_rotation(successor):  # LiteLLM hears of a broken stream in a thread of its own
                    break
            self.sound = {successor}
            self.eras += 1

    def _is_in_rotation(self, name: str) -> bool:
        return name not in cooling_down(self._router)

    async def _all_to_end(self) -> None:
        """Waits for every request that is under way now."""
        now = set(self._ledger.under_way)
        await until(lambda: now.isdisjoint(self._ledger.under_way), "the requests under way to end")


class Process:
    """What this process holds: all of LiteLLM's side and, in threads of their own, the providers'."""

    def __init__(self, ledger: Ledger, ports: Sequence[int]) -> None:
        self._ledger = ledger
        self._ports = ports
        self._process = psutil.Process()

    async def footprint_at_rest(self, tasks: int) -> Footprint:
        """The footprint once no more than `tasks` tasks and no connections are left, or after DRAIN_DEADLINE."""
        with suppress(TimeoutError):
            await until(lambda: len(asyncio.all_tasks()) <= tasks and not self._connections(), "", DRAIN_DEADLINE)
        return self.footprint()

    def footprint(self) -> Footprint:
        """The footprint now."""
        gc.collect()
        return Footprint(
            asked=self._ledger.asked,
            tasks=len(asyncio.all_tasks()),
            connections=self._connections(),
            descriptors=self._process.num_fds(),
            blocks=sys.getallocatedblocks(),
            resident=self._process.memory_info().rss,
        )

    def _connections(self) -> int:
        connected = [connection for connection in self._process.net_connections("tcp") if connection.raddr]
        return sum(end.laddr.port in self._ports or end.raddr.port in self._ports for end in connected)


async def until(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    """Waits for `condition`, for `deadline` seconds at the most. Raises TimeoutError, which says `what` for."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {deadline:.0f} s for {what}")
        await asyncio.sleep(0.02)
