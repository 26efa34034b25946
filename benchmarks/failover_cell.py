"""One cell of the failover table: two deployments in a group, one at fault, and what callers of the Router get.

The harness runs `answerer` in the interpreter whose litellm is measured.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from support.faulty_provider import FAULTS, PROVIDERS, FaultyProvider, litellm_params

STRATEGIES = (
    "simple-shuffle",
    "least-busy",
    "usage-based-routing-v2",
    "latency-based-routing",
    "cost-based-routing",
)
MODES = ("async", "sync", "async-stream", "sync-stream")

REQUEST: dict[str, Any] = {"model": "group", "messages": [{"role": "user", "content": "ping"}]}
ASYNC_ONLY = ("cost-based-routing",)
"""Strategies for which LiteLLM's synchronous Router finds no deployment, healthy or not."""

REQUESTS = 12
RETRIES = 2
PATIENCE = 10.0
"""Seconds a request may take, but for a silent provider: there every attempt costs the whole timeout."""
PATIENCE_WITH_SILENCE = 0.8
COOLDOWN_DEADLINE = 0.2
"""Seconds the Router has, after the last request, to have written down a cooldown."""

UNREACHABLE = ("refused", "unresolvable")

CALLBACK_LISTS = (
    "callbacks",
    "input_callback",
    "service_callback",
    "success_callback",
    "failure_callback",
    "_async_success_callback",
    "_async_failure_callback",
)


def modes(strategy: str) -> tuple[str, ...]:
    """The ways to call a Router with `strategy`."""
    return tuple(mode for mode in MODES if strategy not in ASYNC_ONLY or mode.startswith("async"))


# A provider on loopback and a host without an address must not be answered by a proxy.
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True)
class Cell:
    """What is measured; `cooldown_time` in seconds, None for LiteLLM's default."""

    provider: str
    fault: str
    strategy: str
    mode: str = "async"
    cooldown_time: float | None = None

    def __post_init__(self) -> None:
        choices = {"provider": PROVIDERS, "fault": tuple(FAULTS), "strategy": STRATEGIES, "mode": MODES}
        for field, known in choices.items():
            if getattr(self, field) not in known:
                raise ValueError(f"unknown {field} {getattr(self, field)!r}; choose one of {', '.join(known)}")


@dataclass(frozen=True)
class Result:
    """What came of a cell.

    `lost` holds the numbers, from 1, of the requests that got no answer; `attempts` counts the requests the faulty host
    read and `failures` those LiteLLM reported of it; `cooled_after` is the request after which the faulty deployment
    was first seen cooling down; `worst` the longest request in seconds; `errors` how often each exception reached the
    caller. A host that cannot be reached reads nothing: there the failures are the attempts.
    """

    cell: Cell
    asked: int
    answered: int
    lost: list[int]
    attempts: int
    failures: int
    cooled_after: int | None
    worst: float
    errors: dict[str, int]

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Result:
        """The result of a worker."""
        return cls(**{**content, "cell": Cell(**content["cell"])})


class Measurement:
    """A Router over a faulty and a healthy deployment, and the record of its requests."""

    def __init__(self, litellm: Any, cell: Cell, faulty: FaultyProvider, healthy: FaultyProvider) -> None:
        self.cell = cell
        self.healthy = healthy
        self.faulty = faulty
        self.failures = 0
        self.lost: list[int] = []
        self.cooled_after: int | None = None
        self.worst = 0.0
        self.errors: Counter[str] = Counter()
        self.router = litellm.Router(
            model_list=[
                {
                    "model_name": "group",
                    "litellm_params": litellm_params(cell.provider, provider.url),
                    "model_info": {"id": id},
                }
                for id, provider in (("faulty", faulty), ("healthy", healthy))
            ],
            routing_strategy=cell.strategy,
            num_retries=RETRIES,
            timeout=PATIENCE_WITH_SILENCE if cell.fault == "silence" else PATIENCE,
            cooldown_time=cell.cooldown_time,
        )
        litellm.failure_callback.append(self._count_failure)

    def _count_failure(self, call: dict[str, Any], *_: object) -> None:
        self.failures += call["litellm_params"]["model_info"]["id"] == "faulty"

    async def run(self) -> Result:
        for number in range(1, REQUESTS + 1):
            await self._request(number)
            if self.cooled_after is None and self._cooling_down():
                self.cooled_after = number
        await self._wait_for_cooldown()
        return Result(
            cell=self.cell,
            asked=REQUESTS,
            answered=REQUESTS - len(self.lost),
            lost=self.lost,
            attempts=self.failures if self.cell.fault in UNREACHABLE else self.faulty.attempts,
            failures=self.failures,
            cooled_after=self.cooled_after,
            worst=round(self.worst, 4),
            errors=dict(self.errors),
        )

    async def _request(self, number: int) -> None:
        begun = time.monotonic()
        try:
            text = await self._ask()
        except Exception as error:  # whatever reaches the caller is what is measured
            self._lose(number, f"{type(error).__name__}({getattr(error, 'status_code', None)})")
        else:
            if text != self.healthy.answer:
                self._lose(number, "success without the answer")
        self.worst = max(self.worst, time.monotonic() - begun)

    def _lose(self, number: int, reason: str) -> None:
        self.lost.append(number)
        self.errors[reason] += 1

    async def _ask(self) -> str:
        if self.cell.mode.startswith("sync"):
            return await asyncio.to_thread(self._ask_sync)  # where no event loop runs, as in a plain program
        if self.cell.mode == "async":
            return _text(await self.router.acompletion(**REQUEST))
        return _joined([chunk async for chunk in await self.router.acompletion(stream=True, **REQUEST)])

    def _ask_sync(self) -> str:
        if self.cell.mode == "sync":
            return _text(self.router.completion(**REQUEST))
        return _joined(list(self.router.completion(stream=True, **REQUEST)))

    def _cooling_down(self) -> bool:
        return bool(self.router.cooldown_cache.get_active_cooldowns(model_ids=["faulty"], parent_otel_span=None))

    async def _wait_for_cooldown(self) -> None:
        # A stream that breaks is reported to the Router by a task that outlives the request.
        deadline = time.monotonic() + COOLDOWN_DEADLINE
        while self.lost and self.cooled_after is None and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
            if self._cooling_down():
                self.cooled_after = REQUESTS


def _text(response: Any) -> str:
    return response.choices[0].message.content or ""


def _joined(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def measure(litellm: Any, cell: Cell) -> Result:
    """Run `cell`; once more if it ran over the end of a minute, where LiteLLM forgets its failure counts."""
    minute = _minute()
    result = await _measure_once(litellm, cell)
    return result if _minute() == minute else await _measure_once(litellm, cell)


async def _measure_once(litellm: Any, cell: Cell) -> Result:
    random.seed(repr(cell))  # stock and patched draw the same deployments
    with FaultyProvider(FAULTS[cell.fault]) as faulty, FaultyProvider() as healthy, own_callbacks(litellm):
        return await Measurement(litellm, cell, faulty, healthy).run()


def _minute() -> int:
    return int(time.time() // 60)


async def _warm_up(litellm: Any) -> None:
    """Have the code of every provider, strategy and mode loaded before the first latency is taken."""
    for provider, strategy in zip(PROVIDERS, STRATEGIES, strict=True):
        for mode in modes(strategy):
            await _measure_once(litellm, Cell(provider, "429", strategy, mode))


@contextmanager
def own_callbacks(litellm: Any) -> Iterator[None]:
    """A Router hooks itself into lists all of litellm shares; leave none behind for the next cell."""
    try:
        yield
    finally:
        for name in CALLBACK_LISTS:
            getattr(litellm, name).clear()


def quiet_litellm() -> Any:
    for name in PROXY_VARIABLES:
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = True
    return litellm


def answerer() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Answers a cell with its result, both as dicts, in one event loop for all."""
    litellm, loop = quiet_litellm(), asyncio.new_event_loop()
    loop.run_until_complete(_warm_up(litellm))
    # A synchronous stream litellm has not read to its end closes when it is collected, and takes a lock of httpcore's
    # connection pool; collected inside that pool it would wait for itself for ever. So collect between cells only.
    gc.disable()
    gc.freeze()

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        result = loop.run_until_complete(measure(litellm, Cell(**question)))
        gc.collect()
        return asdict(result)

    return answer
