"""A group under a steady load, one or two of whose hosts never answer, inside one interpreter: who waits for them.

The harness runs `answerer` in the interpreter whose litellm is measured.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from failover_cell import own_callbacks, quiet_litellm

from support.faulty_provider import SILENT, FaultyProvider, litellm_params
from support.redis_server import RedisServer

GROUP = "measured"
MESSAGES = [{"role": "user", "content": "ping"}]

PER_SECOND = 8
SECONDS = 30.0
TIMEOUT = 2.0
"""Seconds an attempt has; a request has waited a whole timeout if it took as long."""

SCALE = 1 / 30
"""Of a heavy-tailed host's times, which would be 1 to 30 s."""
MEDIAN, SIGMA = 5.5, 0.85
"""Of those times, a lognormal one: 95 % of them are between 1 and 30 s."""

VARIANTS = {"one_of_two": (2, 1, 1), "heavy_tail": (2, 1, 1), "two_of_five": (5, 2, 1), "two_workers": (2, 1, 2)}
"""The deployments of a group, how many of them are silent, and the Routers that share the requests, and a Redis if they
are several."""


@dataclass(frozen=True)
class Result:
    """What came of `asked` requests: how many were `lost`, how many `waited` a whole timeout, and the `attempts` that
    the silent hosts read."""

    variant: str
    asked: int
    lost: int
    waited: int
    attempts: int


class TailedProvider(FaultyProvider):
    """A healthy host whose answers take what a lognormal distribution says."""

    def __init__(self) -> None:
        super().__init__()
        self._times = random.Random(1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(min(MEDIAN * self._times.lognormvariate(0, SIGMA), 30.0) * SCALE)
        await super()._serve(reader, writer)


def router(litellm: Any, variant: str, silent: FaultyProvider, healthy: FaultyProvider, **settings: Any) -> Any:
    """A Router with LiteLLM's defaults but for the timeout and `settings`."""
    members, dead, _ = VARIANTS[variant]
    hosts = [("silent", silent)] * dead + [("alive", healthy)] * (members - dead)
    models = [
        {
            "model_name": GROUP,
            "litellm_params": litellm_params("openai", host.url),
            "model_info": {"id": f"{name}-{place}"},
        }
        for place, (name, host) in enumerate(hosts)
    ]
    return litellm.Router(model_list=models, timeout=TIMEOUT, **settings)


@contextmanager
def shared_redis(workers: int) -> Iterator[dict[str, Any]]:
    """What Routers are told of a Redis of their own, which is nothing where one needs none."""
    if workers == 1:
        yield {}
        return
    with TemporaryDirectory() as folder, RedisServer(Path(folder)) as redis:
        yield {"redis_host": "127.0.0.1", "redis_port": redis.port}


async def measure(litellm: Any, variant: str, seconds: float = SECONDS) -> Result:
    """Ask `PER_SECOND` requests a second, whatever becomes of those before."""
    random.seed(variant)  # stock and patched draw from the same numbers
    tailed = variant == "heavy_tail"
    *_, workers = VARIANTS[variant]
    with (
        shared_redis(workers) as shared,
        FaultyProvider(SILENT) as silent,
        TailedProvider() if tailed else FaultyProvider() as healthy,
        own_callbacks(litellm),
    ):
        asked = [router(litellm, variant, silent, healthy, **shared) for _ in range(workers)]
        requests = []
        for number in range(round(seconds * PER_SECOND)):
            requests.append(asyncio.create_task(_taken(asked[number % workers], healthy.answer)))
            await asyncio.sleep(1 / PER_SECOND)
        taken = await asyncio.gather(*requests)
        answered = [one for one in taken if one is not None]
        return Result(
            variant=variant,
            asked=len(taken),
            lost=len(taken) - len(answered),
            waited=sum(one is None or one >= TIMEOUT for one in taken),
            attempts=silent.attempts,
        )


async def _taken(asked: Any, answer: str, **params: Any) -> float | None:
    """The seconds until a request was answered, None if it was not."""
    begun = time.monotonic()
    try:
        response = await asked.acompletion(model=GROUP, messages=MESSAGES, **params)
    except Exception:  # whatever reaches the caller, the request is lost
        return None
    return time.monotonic() - begun if response.choices[0].message.content == answer else None


async def _warm_up(litellm: Any) -> None:
    """Load the code of an answer and of a timeout, which in a measured request would hold up the others."""
    with FaultyProvider(SILENT) as silent, FaultyProvider() as healthy, own_callbacks(litellm):
        asked = router(litellm, "one_of_two", silent, healthy)
        await asyncio.gather(*(_taken(asked, healthy.answer, timeout=0.2) for _ in range(8)))


def answerer() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Answers a variant with its result, both as dicts, in one event loop for all."""
    litellm, loop = quiet_litellm(), asyncio.new_event_loop()
    loop.run_until_complete(_warm_up(litellm))
    gc.disable()  # as in `failover_cell`
    gc.freeze()

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        result = loop.run_until_complete(measure(litellm, **question))
        gc.collect()
        return asdict(result)

    return answer
