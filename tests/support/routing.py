"""Model groups for the router's tests: deployments, requests, and a wait for the router's callbacks.

The router counts a failure and decides on a cooldown in a callback that may run after the call has returned, so a test
waits for what it expects, with a deadline, and never for a fixed time.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any
from unittest import mock

import litellm
from litellm import Router
from litellm.router_utils.router_callbacks.track_deployment_metrics import (
    get_deployment_failures_for_current_minute,
)
from packaging.version import Version

from support.faulty_provider import litellm_params

RELEASE = Version(version("litellm")).release
"""LiteLLM's, as numbers; what the tests say of 1.107 and later was seen on 1.109."""

COMPILED_ROUTER = RELEASE >= (1, 110)
"""Its router is written in Rust, and this Python its host."""

GROUP = "the-group"
MESSAGES: list[Any] = [{"role": "user", "content": "ping"}]
DRAWN = ("simple-shuffle", "usage-based-routing-v2", "latency-based-routing")
"""Strategies that draw among equals: which requests stock LiteLLM loses under them is a matter of chance."""

STRATEGIES = (*DRAWN, "least-busy", "cost-based-routing")
MODES = ("async", "async-stream", "sync", "sync-stream")
CALLBACK_LISTS = (
    "callbacks",
    "success_callback",
    "failure_callback",
    "_async_success_callback",
    "_async_failure_callback",
    "input_callback",
    "service_callback",
)
"""Lists of the litellm module to which every Router adds its own, for good; past a limit it adds none."""

PATIENCE = float(os.environ.get("ROUTER_PATIENCE", "5"))
"""Seconds a callback of the router has to run; only a broken router, as stock LiteLLM's is here, reaches it."""


def deployment(name: str, provider: str, url: str, *, group: str = GROUP, **params: Any) -> dict[str, Any]:
    """A member of `group` with id `name`. Cost-based routing prefers the one named first in the alphabet."""
    price = ord(name[0]) / 1e6
    return {
        "model_name": group,
        "litellm_params": {
            **litellm_params(provider, url),
            "input_cost_per_token": price,
            "output_cost_per_token": price,
            **params,
        },
        "model_info": {"id": name},
    }


@contextmanager
def routed(deployments: Sequence[dict[str, Any]], **settings: Any) -> Iterator[Any]:
    """A Router over `deployments`, taken apart at the end. On 1.110 most of its members have no type."""
    with callbacks_put_back():
        router = Router(model_list=list(deployments), **settings)
        try:
            yield router
        finally:
            router.discard()


@contextmanager
def callbacks_put_back() -> Iterator[None]:
    """What is added to litellm's lists of callbacks is gone at the end."""
    before = {name: list(getattr(litellm, name)) for name in CALLBACK_LISTS}
    try:
        yield
    finally:
        for name, callbacks in before.items():
            getattr(litellm, name)[:] = callbacks


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that ends with nothing pending: routers leave periodic tasks behind."""
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        loop.run_until_complete(_end(asyncio.all_tasks(loop)))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def ask(router: Router, mode: str, **params: Any) -> str:
    """One request in one of MODES; its answer's text. Raises what the router raises."""
    call = {"model": GROUP, "messages": MESSAGES, "stream": mode.endswith("stream"), **params}
    if mode.startswith("sync"):
        return await asyncio.to_thread(lambda: _text(router.completion(**call)))
    answer = await router.acompletion(**call)
    if not call["stream"]:
        return str(answer.choices[0].message.content)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in answer])


def _text(answer: Any) -> str:
    if isinstance(answer, litellm.ModelResponse):
        return str(answer.choices[0].message.content)
    return "".join(chunk.choices[0].delta.content or "" for chunk in answer)


async def outcomes(router: Router, count: int, mode: str = "async", **params: Any) -> list[str | Exception]:
    """`count` requests one after the other: each one's text, or what it raised."""
    results: list[str | Exception] = []
    for _ in range(count):
        try:
            results.append(await ask(router, mode, **params))
        except Exception as error:
            results.append(error)
    return results


async def together(router: Router, count: int, **params: Any) -> int:
    """`count` requests at the same time: how many of them were lost."""
    results = await asyncio.gather(*(ask(router, "async", **params) for _ in range(count)), return_exceptions=True)
    return sum(isinstance(one, BaseException) for one in results)


def lost(results: Sequence[str | Exception]) -> list[int]:
    """Positions of the requests that were not answered."""
    return [position for position, result in enumerate(results) if isinstance(result, Exception)]


@contextmanager
def back_offs() -> Iterator[list[float]]:
    """The seconds the router would wait before each of its retries, which it makes at once instead."""
    waits: list[float] = []
    if COMPILED_ROUTER:
        host = importlib.import_module("litellm.router_python_host").PythonHost

        async def sleep(_: object, seconds: float) -> None:
            waits.append(seconds)

        with mock.patch.multiple(host, sleep=sleep, sleep_sync=lambda _, seconds: waits.append(seconds)):
            yield waits
        return
    original = Router._time_to_sleep_before_retry

    def noted(self: Router, *args: Any, **kwargs: Any) -> float:
        waits.append(float(original(self, *args, **kwargs)))
        return 0

    with mock.patch.object(Router, "_time_to_sleep_before_retry", noted):
        yield waits


def cooldown_cache(router: Any) -> Any:
    """LiteLLM's store of cooldowns, which on 1.110 has no type."""
    return router.cooldown_cache


def cooling_down(router: Router) -> set[str]:
    """Ids of the deployments that are cooling down."""
    active = cooldown_cache(router).get_active_cooldowns(model_ids=router.get_model_ids(), parent_otel_span=None)
    return {name for name, _ in active}


def cool_down(router: Router, name: str, seconds: float | None) -> None:
    """As the router does after a failure of deployment `name`; for its own time if `seconds` is None."""
    error = litellm.RateLimitError(message="busy", llm_provider="openai", model="gpt")
    cooldown_cache(router).add_deployment_to_cooldown(
        model_id=name, original_exception=error, exception_status=429, cooldown_time=seconds
    )


def cooldown_seconds(router: Router, name: str) -> float:
    """For how long deployment `name` was put into cooldown."""
    active = cooldown_cache(router).get_active_cooldowns(model_ids=[name], parent_otel_span=None)
    return float(dict(active)[name]["cooldown_time"])


def failures(router: Router, name: str) -> int:
    """Failures of deployment `name` the router has counted in this minute; a cooldown is decided right after."""
    count: Any = get_deployment_failures_for_current_minute
    return int(count(router, deployment_id=name))


def minute() -> int:
    """LiteLLM counts what a group may do, its `rpm` and `tpm`, by the clock's minute: a test may see two of them."""
    return int(time.time() // 60)


async def until(condition: Callable[[], object]) -> bool:
    """Waits for `condition`, for PATIENCE at the most; whether it came true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.005)
    return True
