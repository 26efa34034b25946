"""A stream is held back only while another deployment could be asked in its place."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import litellm
import pytest
from litellm import Router
from litellm.litellm_core_utils.stream_wait import is_retry_possible, notify_caller, retry_possible_if, waiting_caller

from support.routing import GROUP, MESSAGES, RELEASE, deployment, routed
from support.thinking_provider import ThinkingProvider

THINKING = 2.0
AT_ONCE = 1.5


async def _seconds_until_open(router: Router, **request: Any) -> float:
    began = time.monotonic()
    stream: Any = await router.acompletion(model=GROUP, messages=MESSAGES, stream=True, **request)
    took = time.monotonic() - began
    await stream.aclose()
    return took


async def _seconds_until_first_event(url: str) -> float:
    """As without a router. A release such as 1.82.6 passes nothing on before the first word."""
    began = time.monotonic()
    params = {"model": "openai/m", "api_base": f"{url}/v1", "api_key": "sk-test"}
    stream: Any = await litellm.acompletion(**params, messages=MESSAGES, stream=True)
    await stream.__anext__()
    took = time.monotonic() - began
    await stream.aclose()
    return took


@pytest.fixture(scope="module")
def first_event() -> float:
    """Seconds until LiteLLM by itself passes on what a provider sends at once; what it needs is loaded before."""
    with ThinkingProvider(THINKING) as provider, routed([deployment("d", "openai", provider.url)]) as router:
        asyncio.run(_seconds_until_open(router))
        return asyncio.run(_seconds_until_first_event(provider.url))


@pytest.mark.parametrize(
    ("deployments", "settings", "request_", "waits"),
    [
        (1, {"num_retries": 2}, {}, False),
        (1, {"num_retries": 2, "fallbacks": [{GROUP: ["another"]}]}, {}, True),
        (1, {"num_retries": 2, "fallbacks": [{GROUP: ["another"]}]}, {"disable_fallbacks": True}, False),
        (1, {"num_retries": 2}, {"fallbacks": ["another"]}, True),
        (1, {"num_retries": 2, "content_policy_fallbacks": [{GROUP: ["another"]}]}, {}, True),
        (2, {"num_retries": 2}, {}, True),
        (2, {"num_retries": 0}, {}, False),
        (2, {"num_retries": 2}, {"num_retries": 0}, False),
        (2, {"num_retries": 0}, {"num_retries": 1}, True),
        (2, {"num_retries": 0, "fallbacks": [{GROUP: ["another"]}]}, {}, True),
    ],
)
async def test_waits_only_with_somewhere_to_go(
    deployments: int, settings: dict[str, Any], request_: dict[str, Any], waits: bool, first_event: float
) -> None:
    """A lone deployment's stream is the caller's as soon as it is there, and so is that of a request's last attempt."""
    with ThinkingProvider(THINKING) as provider, ThinkingProvider(THINKING) as other:
        group = [deployment(f"d{number}", "openai", provider.url) for number in range(deployments)]
        model_list = [*group, deployment("e", "openai", other.url, group="another")]
        with routed(model_list, **settings) as router:
            took = await _seconds_until_open(router, **request_)
    read_by_litellm = RELEASE >= (1, 107) and first_event > AT_ONCE  # its own router reads one event, since then
    assert (took > AT_ONCE) is (waits or read_by_litellm)


async def test_cancelled_call_closes_the_connection() -> None:
    """A provider hears at once that nobody waits for it any more."""
    with ThinkingProvider(10 * THINKING) as provider:
        group = [deployment(name, "openai", provider.url) for name in ("a", "b")]
        with routed(group, num_retries=2) as router:
            call = asyncio.create_task(_seconds_until_open(router))
            while not provider.stays:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.sleep(0.3)
    assert [stay.left is not None for stay in provider.stays] == [True]


async def test_nothing_is_remembered_after_the_request() -> None:
    """A task that outlives a request must not keep its router and messages alive."""

    class Caller:
        def stream_opened(self) -> None: ...

        def event_held_back(self) -> None: ...

    over = asyncio.Event()

    async def outlive() -> tuple[bool, bool]:
        await over.wait()
        return isinstance(waiting_caller(), Caller), is_retry_possible()

    with notify_caller(Caller()), retry_possible_if(lambda: False):
        task = asyncio.create_task(outlive())
        assert (isinstance(waiting_caller(), Caller), is_retry_possible()) == (True, False)
        await asyncio.sleep(0)
    over.set()
    assert await task == (False, True)
