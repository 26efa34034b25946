"""The workloads of the overhead benchmark: a Router call that succeeds, and exception_type() on a few failures.

Run as a program this is a worker: `{"workload": ..., "count": ...}` comes in as a JSON line, the CPU seconds of that
many calls go out as one. Which litellm is measured is decided by the interpreter that runs it.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

HAPPY_PATH = "Router.acompletion"
REQUEST: dict[str, Any] = {"model": "group", "messages": [{"role": "user", "content": "ping"}]}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1735689600,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}

# Provider, status: answers that stock LiteLLM maps rightly, so that both sides do the same work.
ANSWERS = {
    f"exception_type: {provider} {status}": (provider, status)
    for provider, status in (("openai", 429), ("anthropic", 401), ("hosted_vllm", 503), ("ollama_chat", 404))
}
# Failures the patched side looks further into: 500 is what LiteLLM writes on a failure without an answer too.
SECOND_LOOKS = ("exception_type: ollama_chat 500", "exception_type: ollama_chat refused", "exception_type: KeyError")

COUNTS: dict[str, int] = {HAPPY_PATH: 50, **dict.fromkeys((*ANSWERS, *SECOND_LOOKS), 500)}
"""Calls a block: enough to dwarf the clock's grain, few enough to change sides often."""


class RouterCalls:
    """Calls of a Router over two deployments, answered by a transport that touches no socket."""

    def __init__(self, litellm: Any, httpx: Any) -> None:
        transport = httpx.MockTransport(lambda request: httpx.Response(200, json=ANSWER))
        litellm.aclient_session = httpx.AsyncClient(transport=transport)
        params = {"model": "openai/gpt-4o-mini", "api_base": "http://127.0.0.1:9/v1", "api_key": "sk-test"}
        deployments = [{"model_name": "group", "litellm_params": dict(params)} for _ in range(2)]
        self._router = litellm.Router(model_list=deployments)
        self._loop = asyncio.new_event_loop()

    def seconds(self, count: int) -> float:
        return self._loop.run_until_complete(self._run(count))

    async def _run(self, count: int) -> float:
        begun = time.process_time()
        for _ in range(count):
            response = await self._router.acompletion(**REQUEST)
        spent = time.process_time() - begun
        if response.choices[0].message.content != "pong":
            raise RuntimeError("the Router's answer is not the transport's; the happy path was not measured")
        return spent


class Mapping:
    """Calls of exception_type() for `provider`, each with an exception of its own, as a real call has."""

    def __init__(self, litellm: Any, provider: str, failure: Callable[[], Exception]) -> None:
        self._map = litellm.litellm_core_utils.exception_mapping_utils.exception_type
        self._mapped = importlib.import_module("openai").OpenAIError
        self._provider = provider
        self._failure = failure

    def seconds(self, count: int) -> float:
        failures = [_raised(self._failure()) for _ in range(count)]
        map, provider, mapped = self._map, self._provider, self._mapped
        begun = time.process_time()
        for failure in failures:
            with suppress(mapped):  # anything else means that the mapping itself is broken
                map(model="gpt-4o-mini", original_exception=failure, custom_llm_provider=provider)
        return time.process_time() - begun


def _raised(failure: Exception) -> Exception:
    try:
        raise failure
    except Exception as caught:
        return caught


def workloads() -> dict[str, Callable[[int], float]]:
    """The CPU seconds of a number of calls, by workload."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    litellm: Any = importlib.import_module("litellm")
    openai: Any = importlib.import_module("openai")
    litellm.suppress_debug_info = True
    httpx: Any = importlib.import_module(_http_library(openai))
    provider_error: Any = importlib.import_module("litellm.llms.base_llm.chat.transformation").BaseLLMException

    def answer(status: int) -> Exception:
        headers = httpx.Headers({"content-type": "application/json"})
        error: Exception = provider_error(status_code=status, message="The provider said no.", headers=headers)
        return error

    def refused() -> Exception:
        error = answer(500)
        error.__context__ = httpx.ConnectError("All connection attempts failed")
        error.__context__.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        return error

    answers = [Mapping(litellm, provider, partial(answer, status)).seconds for provider, status in ANSWERS.values()]
    second_looks = [
        Mapping(litellm, "ollama_chat", partial(answer, 500)).seconds,
        Mapping(litellm, "ollama_chat", refused).seconds,
        Mapping(litellm, "openai", lambda: KeyError("choices")).seconds,
    ]
    return dict(zip(COUNTS, (RouterCalls(litellm, httpx).seconds, *answers, *second_looks), strict=True))


def _http_library(openai: Any) -> str:
    """The module whose clients the installed openai takes: httpx, or the httpx2 of newer releases."""
    modules: list[str] = [base.__module__ for base in openai.DefaultAsyncHttpxClient.__mro__]
    return next(name.partition(".")[0] for name in modules if name.startswith("httpx"))


def work() -> None:
    """Measure what standard input asks for until it ends."""
    results = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # litellm prints; only results may reach the reader
    known = workloads()
    for line in iter(sys.stdin.readline, ""):
        order = json.loads(line)
        gc.collect()
        gc.disable()
        print(json.dumps(known[order["workload"]](order["count"])), file=results)
        gc.enable()


if __name__ == "__main__":
    work()
