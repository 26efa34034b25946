"""Groups of two in a brownout, inside one interpreter: the attempts of their requests, and how many are answered.

The harness runs `answerer` in the interpreter whose litellm is measured.
"""

from __future__ import annotations

import asyncio
import importlib.util
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from failover_cell import own_callbacks, quiet_litellm

from support.faulty_provider import FAULTS, HEALTHY, Fault, FaultyProvider, Json, litellm_params

GROUP = "measured"
MESSAGES = [{"role": "user", "content": "ping"}]

PER_SECOND = 8
SECONDS = 60.0
PERCENTS = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
"""Of a host's attempts, that fail."""

BOTH, ONE = "both", "one"
VARIANTS = (BOTH, ONE)
"""Which of the two hosts fail."""

BUDGET = "litellm.router_utils.failover.retry_budget"
"""A module that stock LiteLLM does not have."""


@dataclass(frozen=True)
class Count:
    """What came of the requests to a group whose hosts fail `percent` of their attempts: how many were `asked` and
    `answered`, and the `attempts` that the hosts read."""

    percent: int
    asked: int
    answered: int
    attempts: int


class FlakyProvider(FaultyProvider):
    """A host that answers a part of its requests with a 503, by chance."""

    def __init__(self, percent: int, seed: str) -> None:
        super().__init__()
        self._percent, self._chance = percent, random.Random(seed)

    async def _send(self, writer: asyncio.StreamWriter, fault: Fault, path: str, body: Json) -> None:
        fails = 100 * self._chance.random() < self._percent
        await super()._send(writer, FAULTS["503"] if fails else HEALTHY, path, body)


def router(litellm: Any, hosts: Sequence[FaultyProvider], *, keeps: bool, has_budget: bool) -> Any:
    """A Router with LiteLLM's defaults, but for the cooldowns where it `keeps` its deployments in rotation."""
    models = [
        {
            "model_name": GROUP,
            "litellm_params": litellm_params("openai", host.url),
            "model_info": {"id": str(place)},
        }
        for place, host in enumerate(hosts)
    ]
    budget = {} if has_budget else {"retry_budget": False}
    return litellm.Router(model_list=models, disable_cooldowns=keeps, **budget)


def knows_the_budget() -> bool:
    """Whether the litellm that is measured has a budget to switch off."""
    return bool(importlib.util.find_spec("litellm.router_utils.failover") and importlib.util.find_spec(BUDGET))


async def measure(
    litellm: Any, variant: str, *, keeps: bool, has_budget: bool, seconds: float, percents: Sequence[int]
) -> list[Count]:
    """Ask each of the groups `PER_SECOND` requests a second, all groups at the same time."""
    with ExitStack() as stack, own_callbacks(litellm):
        groups = []
        for percent in percents:
            rates = (percent, percent if variant == BOTH else 0)
            flaky = [FlakyProvider(rate, f"{percent} {place}") for place, rate in enumerate(rates)]
            hosts = [stack.enter_context(one) for one in flaky]
            groups.append((percent, hosts, router(litellm, hosts, keeps=keeps, has_budget=has_budget)))
        asked = round(seconds * PER_SECOND)
        answered = await asyncio.gather(*(_answered(one, asked) for _, _, one in groups))
        return [
            Count(percent, asked, number, sum(host.attempts for host in hosts))
            for (percent, hosts, _), number in zip(groups, answered, strict=True)
        ]


async def _answered(asked: Any, count: int) -> int:
    """How many of so many requests are answered."""
    requests = []
    for _ in range(count):
        requests.append(asyncio.create_task(_is_answered(asked)))
        await asyncio.sleep(1 / PER_SECOND)
    return sum(await asyncio.gather(*requests))


async def _is_answered(asked: Any) -> bool:
    try:
        return bool((await asked.acompletion(model=GROUP, messages=MESSAGES)).choices[0].message.content)
    except Exception:  # whatever reaches the caller, the request is lost
        return False


def answerer() -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
    """Answers a variant with its counts, as dicts, in one event loop for all."""
    litellm, loop = quiet_litellm(), asyncio.new_event_loop()

    def answer(question: dict[str, Any]) -> list[dict[str, Any]]:
        if not question["has_budget"] and not knows_the_budget():
            return []  # it would be measured twice
        return list(map(asdict, loop.run_until_complete(measure(litellm, **question))))

    return answer
