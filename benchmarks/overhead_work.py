"""The workloads of the overhead benchmark: Router calls that succeed, and exception_type() on a few failures.

The harness runs `answerer` in the interpreter whose litellm is measured.
"""

from __future__ import annotations

import asyncio
import cProfile
import errno
import gc
import importlib
import itertools
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from statistics import median
from typing import Any

from failover_cell import REQUEST, quiet_litellm
from quick_provider import ANSWER, COMPLETION, MODEL, STREAMED_WORDS

CPU = "CPU µs a call"
RATE = "requests per second"
FIRST_WORD = "ms to the first word"
FUNCTION_CALLS = "function calls"
PEAK = "KiB held at the peak"
UNCOLLECTED = "memory blocks left to collect"

CROWD = 50
IN_PROCESS = "Router.acompletion, no socket"
ONE_CALLER = "Router.acompletion, 1 caller"
MANY_CALLERS = f"Router.acompletion, {CROWD} callers"
STREAMED = "Router.acompletion, streamed"

SPEED: dict[str, tuple[str, ...]] = {
    IN_PROCESS: (CPU,),
    ONE_CALLER: (RATE, CPU),
    MANY_CALLERS: (RATE, CPU),
    STREAMED: (FIRST_WORD, CPU),
}
"""What is measured of a successful call; all but the first one's go to a provider in another process."""

COUNTED: dict[str, tuple[str, ...]] = {
    f"{workload}, each": (FUNCTION_CALLS, PEAK, UNCOLLECTED) for workload in (ONE_CALLER, MANY_CALLERS, STREAMED)
}
"""What each of these calls does and allocates, which hardly varies."""

# Provider, status: answers that stock LiteLLM maps rightly, so that both sides do the same work.
ANSWERS = {
    f"exception_type: {provider} {status}": (provider, status)
    for provider, status in (("openai", 429), ("anthropic", 401), ("hosted_vllm", 503), ("ollama_chat", 404))
}
# Failures the patched side looks further into: 500 is what LiteLLM writes on a failure without an answer too.
SECOND_LOOKS = ("exception_type: ollama_chat 500", "exception_type: ollama_chat refused", "exception_type: KeyError")

MEASURES: dict[str, tuple[str, ...]] = {**SPEED, **COUNTED, **dict.fromkeys((*ANSWERS, *SECOND_LOOKS), (CPU,))}
"""The measures of every workload."""

COUNTS: dict[str, int] = {
    IN_PROCESS: 10,
    ONE_CALLER: 10,
    MANY_CALLERS: CROWD,
    STREAMED: 5,
    **dict.fromkeys(COUNTED, CROWD),
    **dict.fromkeys((*ANSWERS, *SECOND_LOOKS), 60),
}
"""Calls a block: enough to dwarf the clock's grain, few enough to change sides many times."""

TRACED_ROUNDS = 3
SWEPT = 200
"""Cancelled timers after which asyncio sweeps all of them out; it does at 100, if they are half of all."""

Block = dict[str, float]
Workload = Callable[[int], Block]


class RouterCalls:
    """Calls of a Router over two deployments at `url`."""

    def __init__(self, litellm: Any, loop: asyncio.AbstractEventLoop, url: str) -> None:
        params = {"model": f"openai/{MODEL}", "api_base": url, "api_key": "sk-test"}
        deployments = [{"model_name": "group", "litellm_params": dict(params), "model_info": {"id": id}} for id in "ab"]
        self._router = litellm.Router(model_list=deployments)
        self._loop = loop
        worker: Any = importlib.import_module("litellm.litellm_core_utils.logging_worker").GLOBAL_LOGGING_WORKER
        self._logged: Callable[[], Awaitable[None]] = worker.flush

    async def whole(self) -> float:
        """The seconds to the answer of one call."""
        begun = time.perf_counter()
        response = await self._router.acompletion(**REQUEST)
        seconds = time.perf_counter() - begun
        _expect(ANSWER, response.choices[0].message.content)
        return seconds

    async def streamed(self) -> float:
        """The seconds to the first word of one call, whose answer is read to its end."""
        begun, words, seconds = time.perf_counter(), [], 0.0
        async for chunk in await self._router.acompletion(stream=True, **REQUEST):
            if word := chunk.choices[0].delta.content:
                seconds = seconds or time.perf_counter() - begun
                words.append(word)
        _expect("".join(STREAMED_WORDS), "".join(words))
        return seconds

    def speed(self, call: Callable[[], Awaitable[float]], callers: int, count: int) -> Block:
        """What `count` calls take from `callers` that ask again once answered, LiteLLM's log of them included."""
        wall, cpu = time.perf_counter(), time.process_time()
        seconds = self._loop.run_until_complete(self._calls(call, callers, count))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return {CPU: cpu / count * 1e6, RATE: count / wall, FIRST_WORD: median(seconds) * 1e3}

    def counts(self, call: Callable[[], Awaitable[float]], callers: int, count: int) -> Block:
        """What each of `count` calls does and allocates, `callers` at a time: the functions it calls, what it leaves
        behind that only the garbage collector, which is off, would free, and what it holds when all hold most."""
        before = self._blocks()
        self._loop.run_until_complete(self._calls(call, callers, count))
        blocks = self._blocks() - before
        profile = cProfile.Profile()
        profile.runcall(self._loop.run_until_complete, self._calls(call, callers, count))
        function_calls = sum(entry.callcount for entry in profile.getstats())
        tracemalloc.start()
        peaks = [self._peak(call, callers) for _ in range(TRACED_ROUNDS)]
        tracemalloc.stop()
        return {
            FUNCTION_CALLS: function_calls / count,
            PEAK: median(peaks) / callers / 1024,
            UNCOLLECTED: blocks / count,
        }

    def _blocks(self) -> int:
        """The memory blocks in use."""
        # A cancelled timer keeps the context it was made in until enough of them have come together.
        for _ in range(SWEPT):
            self._loop.call_later(1.0, _expect, ANSWER, ANSWER).cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        return sys.getallocatedblocks()

    def _peak(self, call: Callable[[], Awaitable[float]], callers: int) -> int:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        self._loop.run_until_complete(self._calls(call, callers, callers))
        return tracemalloc.get_traced_memory()[1] - before

    async def _calls(self, call: Callable[[], Awaitable[float]], callers: int, count: int) -> list[float]:
        waiting = iter(range(count))

        async def caller() -> list[float]:
            return [await call() for _ in waiting]

        seconds = await asyncio.gather(*(caller() for _ in range(callers)))
        await self._logged()
        return [one for its in seconds for one in its]


def _expect(answer: str, text: str | None) -> None:
    if text != answer:
        raise RuntimeError(f"the Router's answer is {text!r}, not the provider's; the happy path was not measured")


class Mapping:
    """Calls of exception_type() for `provider`, each with an exception of its own, as a real call has."""

    def __init__(self, litellm: Any, provider: str, failure: Callable[[], Exception]) -> None:
        self._map = litellm.litellm_core_utils.exception_mapping_utils.exception_type
        self._mapped = importlib.import_module("openai").OpenAIError
        self._provider = provider
        self._failure = failure

    def speed(self, count: int) -> Block:
        failures = [_raised(self._failure()) for _ in range(count)]
        map, provider, mapped = self._map, self._provider, self._mapped
        begun = time.process_time()
        for failure in failures:
            with suppress(mapped):  # anything else means that the mapping itself is broken
                map(model="gpt-4o-mini", original_exception=failure, custom_llm_provider=provider)
        return {CPU: (time.process_time() - begun) / count * 1e6}


def _raised(failure: Exception) -> Exception:
    try:
        raise failure
    except Exception as caught:
        return caught


def workloads(url: str) -> dict[str, Workload]:
    """What a number of calls costs, by workload; `url` is the provider's."""
    litellm = quiet_litellm()
    httpx: Any = importlib.import_module(_http_library(importlib.import_module("openai")))
    loop = asyncio.new_event_loop()
    in_process, calls = _in_process(litellm, httpx, loop), RouterCalls(litellm, loop, url)
    works: list[Workload] = [
        partial(in_process.speed, in_process.whole, 1),
        partial(calls.speed, calls.whole, 1),
        partial(calls.speed, calls.whole, CROWD),
        partial(calls.speed, calls.streamed, 1),
        partial(calls.counts, calls.whole, 1),
        partial(calls.counts, calls.whole, CROWD),
        partial(calls.counts, calls.streamed, 1),
        *_mappings(litellm, httpx),
    ]
    return dict(zip(MEASURES, works, strict=True))


def _in_process(litellm: Any, httpx: Any, loop: asyncio.AbstractEventLoop) -> RouterCalls:
    """Calls answered by a transport that touches no socket: nothing listens at their port."""
    calls = RouterCalls(litellm, loop, "http://127.0.0.1:9/v1")
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=COMPLETION))
    litellm.aclient_session = httpx.AsyncClient(transport=transport)
    loop.run_until_complete(calls.whole())
    litellm.aclient_session = None  # LiteLLM keeps the client it made for these deployments, and makes others anew
    return calls


def _mappings(litellm: Any, httpx: Any) -> list[Workload]:
    """A workload for each of ANSWERS and SECOND_LOOKS, in this order."""
    provider_error: Any = importlib.import_module("litellm.llms.base_llm.chat.transformation").BaseLLMException

    numbers = itertools.count(1)

    def answer(status: int) -> Exception:
        headers = httpx.Headers({"content-type": "application/json"})
        message = f"The provider said no to request {next(numbers)}."  # no two alike, as in life
        error: Exception = provider_error(status_code=status, message=message, headers=headers)
        return error

    def refused() -> Exception:
        error = answer(500)
        error.__context__ = httpx.ConnectError("All connection attempts failed")
        error.__context__.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        return error

    return [
        *(Mapping(litellm, provider, partial(answer, status)).speed for provider, status in ANSWERS.values()),
        Mapping(litellm, "ollama_chat", partial(answer, 500)).speed,
        Mapping(litellm, "ollama_chat", refused).speed,
        Mapping(litellm, "openai", lambda: KeyError("choices")).speed,
    ]


def _http_library(openai: Any) -> str:
    """The module whose clients the installed openai takes: httpx, or the httpx2 of newer releases."""
    modules: list[str] = [base.__module__ for base in openai.DefaultAsyncHttpxClient.__mro__]
    return next(name.partition(".")[0] for name in modules if name.startswith("httpx"))


def answerer() -> Callable[[dict[str, Any]], Any]:
    """Answers `{"provider": URL}`, the first question, with the names of the workloads, and then `{"workload": ...,
    "count": ...}` with what that many calls cost, a number a measure."""
    known: dict[str, Workload] = {}

    def answer(question: dict[str, Any]) -> Any:
        if "provider" in question:
            known.update(workloads(question["provider"]))
            return list(known)
        gc.collect()
        gc.freeze()  # so that the next collection need not go through all of litellm again
        gc.disable()
        block = known[question["workload"]](question["count"])
        gc.enable()
        return block

    return answer
