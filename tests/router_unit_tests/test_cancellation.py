"""A caller who leaves is no failure: whatever the provider, nothing is counted, retried or cooled down."""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import litellm
import pytest
from litellm import Router
from litellm.litellm_core_utils.exception_mapping_utils import exception_type
from litellm.llms.base_llm.chat.transformation import BaseLLMException

from exception_mapping.expectations import mapped
from support.faulty_provider import FAULTS, SILENT, FaultyProvider, litellm_params
from support.routing import MESSAGES, cooling_down, event_loop, failures, routed

AWS = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "aws_region_name": "us-east-1"}
FAMILIES = ("openai", "azure", "anthropic", "bedrock", "gemini")
"""Providers with a handler of their own in LiteLLM; all others are asked by one of these."""


def params_of(provider: str, url: str) -> dict[str, str]:
    own: dict[str, dict[str, str]] = {
        "azure": {"model": "azure/gpt-4o", "api_base": url, "api_key": "k", "api_version": "2024-10-21"},
        "bedrock": {"model": "bedrock/anthropic.claude-3-haiku-20240307-v1:0", "api_base": url, **AWS},
    }
    return own.get(provider) or litellm_params(provider, url)


def deployment(name: str, group: str, provider: str, url: str) -> dict[str, Any]:
    return {"model_name": group, "litellm_params": params_of(provider, url), "model_info": {"id": name}}


async def seen(condition: Callable[[], object]) -> None:
    """Waits for what happens on any router, however busy the machine is; raises TimeoutError after half a minute."""

    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(poll(), 30)


async def leave_and_look(router: Router, provider: FaultyProvider, stream: bool) -> BaseException | None:
    """What a request ends in whose caller leaves once the provider has it; the router's callbacks have run since."""
    request: dict[str, Any] = {"model": "asked", "messages": MESSAGES, "stream": stream, "timeout": 60}
    call = asyncio.create_task(router.acompletion(**request))
    await seen(lambda: provider.requests)
    call.cancel()
    done, _ = await asyncio.wait({call}, timeout=30)
    assert done
    with pytest.raises(litellm.InternalServerError):
        await router.acompletion(**{**request, "model": "fails", "stream": False}, num_retries=0)
    await seen(lambda: failures(router, "failing"))  # callbacks run in turn: those of the first call have run
    return asyncio.CancelledError() if call.cancelled() else call.exception()


@pytest.mark.parametrize(
    ("family", "stream"), [*((family, False) for family in FAMILIES), ("azure", True), ("anthropic", True)]
)
def test_a_hang_up_is_no_failure(family: str, stream: bool) -> None:
    """The request ends cancelled, was asked once, and its deployment is neither counted as failed nor cooled down."""
    with FaultyProvider(SILENT) as silent, FaultyProvider(FAULTS["500"]) as failing, event_loop() as loop:
        deployments = [
            deployment("one", "asked", family, silent.url),
            deployment("two", "asked", family, silent.url),
            deployment("failing", "fails", "openai", failing.url),
        ]
        with routed(deployments, num_retries=2, retry_after=0) as router:
            outcome = loop.run_until_complete(leave_and_look(router, silent, stream))
            assert isinstance(outcome, asyncio.CancelledError)
            assert len(silent.requests) == 1
            assert [failures(router, name) for name in ("one", "two")] == [0, 0]
            assert cooling_down(router).isdisjoint({"one", "two"})


async def mapped_while_cancelled(original: BaseException) -> BaseException:
    """What comes out of `exception_type` in a task that is being cancelled."""

    async def map_it() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            exception_type(model="m", original_exception=original, custom_llm_provider="azure")

    task = asyncio.create_task(map_it())
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=5)
    assert done
    return asyncio.CancelledError() if task.cancelled() else task.exception() or AssertionError("nothing was raised")


def caused_by(*causes: BaseException) -> BaseException:
    failure = BaseLLMException(status_code=500, message="")
    link: BaseException = failure
    for cause in causes:
        link.__context__ = cause
        link = cause
    return failure


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_a_cancellation_deep_in_the_chain_goes_on(depth: int) -> None:
    """However many exceptions a provider's code has raised on the way."""
    failure = caused_by(*(Exception(str(number)) for number in range(depth)), asyncio.CancelledError())
    with event_loop() as loop:
        assert isinstance(loop.run_until_complete(mapped_while_cancelled(failure)), asyncio.CancelledError)


@pytest.mark.parametrize(
    "causes",
    [
        (TimeoutError(), asyncio.CancelledError()),
        (httpx.ReadTimeout("slow"), TimeoutError(), asyncio.CancelledError()),
        (httpx.ConnectError("closed"), asyncio.CancelledError()),
        (ConnectionResetError(errno.ECONNRESET, "reset"), asyncio.CancelledError()),
    ],
    ids=["a timeout", "a client's timeout", "a connector", "a reset"],
)
def test_what_cancels_for_itself_is_a_failure(causes: tuple[BaseException, ...]) -> None:
    """A timeout cancels what it has waited for: that is the provider's silence, and no caller who left."""
    with event_loop() as loop:
        assert isinstance(loop.run_until_complete(mapped_while_cancelled(caused_by(*causes))), Exception)


@pytest.mark.parametrize("stray", [asyncio.CancelledError, concurrent.futures.CancelledError])
def test_a_stray_cancellation_is_told_as_a_failure(stray: type[BaseException]) -> None:
    """One of something else's, while nobody cancels the request, must not end it without an answer."""

    async def map_it() -> Any:
        return mapped(caused_by(stray()), "azure")

    with event_loop() as loop:
        error = loop.run_until_complete(map_it())
    assert (error.failure.kind, error.failure.http_status) == ("internal", None)


def test_anyios_cancellation_goes_on_too() -> None:
    """A scope of anyio's, in which the proxy's framework runs its requests, cancels in its own way."""

    async def main() -> str:
        with anyio.CancelScope() as scope:
            scope.cancel()
            try:
                await anyio.sleep(30)
            except anyio.get_cancelled_exc_class() as left:
                failure = caused_by(left)
                exception_type(model="m", original_exception=failure, custom_llm_provider="azure")
            return "went on"
        return "cancelled"

    assert anyio.run(main) == "cancelled"
