"""A group of five deployments, some of them dead, inside one interpreter: what its callers lose, waste and wait for.

The harness runs `answerer` in the interpreter whose litellm is measured.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from failover_cell import STRATEGIES, UNREACHABLE, own_callbacks, quiet_litellm

from support.faulty_provider import FAULTS, PROVIDERS, FaultyProvider, litellm_params

DEPLOYMENTS = 5
RETRIES = 4
"""As many as may be needed: with them a request can reach the one deployment that is left."""

REQUESTS = 60
TIMEOUT = 10.0
TIMEOUT_OF_THE_SILENT = 0.3
COOLDOWN = 60.0
"""Seconds, more than a cell takes: else how often a dead host is tried again would depend on the machine's speed."""

WARM_UP = 2
"""Requests before the first cell of a provider and a fault, whose code would be loaded in a measured one."""

MEASURED, HEALTHY = "measured", "healthy"
"""Model groups: the one with dead members, and one that has only the healthy host behind all of its own."""

MESSAGES = [{"role": "user", "content": "ping"}]


@dataclass(frozen=True)
class Cell:
    """What is measured: `dead` of the deployments behave as `fault`, a key of FAULTS."""

    provider: str
    fault: str
    strategy: str
    dead: int

    def __post_init__(self) -> None:
        choices = {"provider": PROVIDERS, "fault": tuple(FAULTS), "strategy": STRATEGIES, "dead": range(DEPLOYMENTS)}
        for field, known in choices.items():
            if getattr(self, field) not in known:
                names = ", ".join(map(str, known))
                raise ValueError(f"unknown {field} {getattr(self, field)!r}; choose one of {names}")


@dataclass(frozen=True)
class Result:
    """What came of a cell.

    `asked` requests were sent one after the other and `lost` of them not answered. `wasted` attempts went to the dead
    hosts, `most` of them for a single request. `seconds` is what each answer took, `own` what each answer of the
    healthy group did, asked in turn with the other.
    """

    cell: Cell
    asked: int
    lost: int
    wasted: int
    most: int
    seconds: list[float]
    own: list[float]

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Result:
        """The result of a worker."""
        return cls(**{**content, "cell": Cell(**content["cell"])})


class Measurement:
    """A Router over both groups, and the record of its requests."""

    def __init__(self, litellm: Any, cell: Cell, dead: FaultyProvider, healthy: FaultyProvider) -> None:
        self.cell = cell
        self.dead = dead
        self.healthy = healthy
        self.sent_to_the_dead = 0
        # The dead stand first, where least-busy begins among equals.
        group = [("dead", dead)] * cell.dead + [("alive", healthy)] * (DEPLOYMENTS - cell.dead)
        self.router = litellm.Router(
            model_list=[_deployment(MEASURED, cell, *member, place) for place, member in enumerate(group)]
            + [_deployment(HEALTHY, cell, "own", healthy, place) for place in range(DEPLOYMENTS)],
            routing_strategy=cell.strategy,
            num_retries=RETRIES,
            timeout=TIMEOUT_OF_THE_SILENT if cell.fault == "silence" else TIMEOUT,
            cooldown_time=COOLDOWN,
        )
        litellm.input_callback.append(self._counter(litellm))

    def _counter(self, litellm: Any) -> Any:
        """What LiteLLM runs before it sends anything: who refuses a connection cannot count it."""

        def log_pre_api_call(_: object, model: object, messages: object, kwargs: dict[str, Any]) -> None:
            self.sent_to_the_dead += kwargs["litellm_params"]["model_info"]["id"].startswith("dead")

        custom_logger = litellm.integrations.custom_logger.CustomLogger
        return type("Counter", (custom_logger,), {"log_pre_api_call": log_pre_api_call})()

    @property
    def wasted(self) -> int:
        """Attempts on dead hosts so far."""
        return self.sent_to_the_dead if self.cell.fault in UNREACHABLE else self.dead.attempts

    async def run(self, requests: int) -> Result:
        """Ask each group `requests` times, in turn."""
        own, seconds, wasted = [], [], [0]
        for _ in range(requests):
            own.append(await self._seconds(HEALTHY))
            seconds.append(await self._seconds(MEASURED))
            wasted.append(self.wasted)
        answers = [one for one in seconds if one is not None]
        return Result(
            cell=self.cell,
            asked=requests,
            lost=requests - len(answers),
            wasted=self.wasted,
            most=max(after - before for before, after in pairwise(wasted)),
            seconds=answers,
            own=[one for one in own if one is not None],
        )

    async def _seconds(self, group: str) -> float | None:
        """How long the answer to one request took, None where there was none."""
        begun = time.monotonic()
        try:
            response = await self.router.acompletion(model=group, messages=MESSAGES)
        except Exception:  # whatever reaches the caller, the request is lost
            return None
        seconds = time.monotonic() - begun
        return round(seconds, 5) if response.choices[0].message.content == self.healthy.answer else None


def _deployment(group: str, cell: Cell, name: str, provider: FaultyProvider, place: int) -> dict[str, Any]:
    return {
        "model_name": group,
        "litellm_params": litellm_params(cell.provider, provider.url),
        "model_info": {"id": f"{name}-{place}"},
    }


async def measure(litellm: Any, cell: Cell, requests: int = REQUESTS) -> Result:
    """Run `cell`; once more if it ran over the end of a minute, where LiteLLM forgets its failure counts."""
    minute = _minute()
    result = await _measure_once(litellm, cell, requests)
    return result if _minute() == minute else await _measure_once(litellm, cell, requests)


async def _measure_once(litellm: Any, cell: Cell, requests: int) -> Result:
    random.seed(repr(cell))  # stock and patched draw from the same numbers
    with FaultyProvider(FAULTS[cell.fault]) as dead, FaultyProvider() as healthy, own_callbacks(litellm):
        return await Measurement(litellm, cell, dead, healthy).run(requests)


def _minute() -> int:
    return int(time.time() // 60)


def answerer() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Answers a cell with its result, both as dicts, in one event loop for all."""
    litellm, loop = quiet_litellm(), asyncio.new_event_loop()
    warm: set[tuple[str, str]] = set()

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        cell = Cell(**question)
        if (cell.provider, cell.fault) not in warm:
            loop.run_until_complete(_measure_once(litellm, cell, WARM_UP))
            warm.add((cell.provider, cell.fault))
        gc.collect()
        gc.freeze()  # a collection during the cell would be its worst latency
        gc.disable()
        result = loop.run_until_complete(measure(litellm, cell))
        gc.enable()
        return asdict(result)

    return answer
