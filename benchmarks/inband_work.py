"""One cell of the in-band table: two deployments in a group, one of which answers 200 without an answer.

The harness runs `answerer` in the interpreter whose litellm is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import random
import threading
from collections.abc import Callable
from typing import Any

from failover_cell import own_callbacks, quiet_litellm

from support.inband_calls import CALLS, GROUP, Call
from support.inband_provider import InbandProvider, as_fault
from support.inband_shapes import BREAKS, Body, faults

MOST_REQUESTS = 40
"""After so many the healthy deployment has had all of them, which has never been seen."""

PATIENCE = 60.0
"""Seconds a request may take; the first over a bridge has the whole proxy to import, on some releases."""

TIMEOUT = 5.0
"""Seconds a deployment may take."""


class HungError(BaseException):
    """A request that never lets go of the event loop, as some releases read a stream of garbage."""


def _end(thread: int) -> None:
    """Have HungError raised in a thread, wherever it is."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(HungError))


def shapes(call: Call, broken: bool) -> dict[str, Body]:
    """What the deployment at fault answers; `broken` is whether that has begun to be an answer."""
    if broken:
        return BREAKS.get(call.format, {}) if call.streamed else {}
    return faults(call.format, call.streamed)


def router(litellm: Any, call: Call, deployments: dict[str, InbandProvider]) -> Any:
    models = [
        {"model_name": GROUP, "litellm_params": call.params(provider.url), "model_info": {"id": id}}
        for id, provider in deployments.items()
    ]
    return litellm.Router(models, num_retries=2, disable_cooldowns=True, timeout=TIMEOUT)


async def outcome(asked: Any, call: Call, faulty: InbandProvider, healthy: InbandProvider) -> tuple[str, str]:
    """What became of the first request that met the deployment at fault, and what was heard of it.

    Whatever the healthy one answers is the rest where it was asked to go on with what the other had begun.
    """
    for _ in range(MOST_REQUESTS):
        before, answers = len(faulty.requests), len(healthy.requests)
        alarm = threading.Timer(PATIENCE, _end, [threading.get_ident()])
        alarm.start()
        try:
            answer = await call.ask(asked)
        except (Exception, HungError) as error:
            return "lost", f"{type(error).__name__}: {str(error)[:150]}"
        finally:
            alarm.cancel()
        if len(faulty.requests) > before:
            is_finished = len(healthy.requests) > answers and str(answer).endswith(str(call.answer))
            return ("answered", "") if is_finished else ("passed", repr(answer)[:150])
    return "unasked", "never asked"


async def measure(litellm: Any, call: Call, broken: bool) -> dict[str, list[str]]:
    """The outcome of each shape."""
    found: dict[str, list[str]] = {}
    with InbandProvider() as healthy, InbandProvider() as faulty, own_callbacks(litellm):
        asked = router(litellm, call, {"faulty": faulty, "healthy": healthy})
        for name, body in shapes(call, broken).items():
            faulty.fault = as_fault(body)
            found[name] = list(await outcome(asked, call, faulty, healthy))
        with contextlib.suppress(Exception):
            asked.discard()
    return found


def answerer() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Answers the number of a call with the outcome of each shape."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # some releases would ask it how a model counts its tokens
    litellm, loop = quiet_litellm(), asyncio.new_event_loop()
    logging.disable(logging.CRITICAL)
    random.seed(1)
    gc.disable()  # as in `failover_cell`
    gc.freeze()

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        call = CALLS[question["call"]]
        found = loop.run_until_complete(measure(litellm, call, question["broken"]))
        gc.collect()
        return {"outcomes": found}

    return answer
