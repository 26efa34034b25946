"""A deployment that is held back for better ones is asked all the same where these cannot serve the request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger

from support.faulty_provider import HEALTHY, SILENT, FaultyProvider
from support.routing import ask, deployment, outcomes, routed, until

LONG: Any = [{"role": "user", "content": "word " * 400}]
SETTINGS: dict[str, Any] = {"timeout": 0.4, "num_retries": 1, "cooldown_time": 20}
CHECKED = {"enable_pre_call_checks": True}
in_both_modes = pytest.mark.parametrize("mode", ["async", "sync"])


@pytest.fixture
def sibling() -> Iterator[FaultyProvider]:
    """A healthy host, which answers "b"."""
    with FaultyProvider(answer="b") as provider:
        yield provider


@pytest.fixture
def host() -> Iterator[FaultyProvider]:
    """A host that is silent at first; it answers "a"."""
    with FaultyProvider(SILENT, answer="a") as provider:
        yield provider


def group(host: FaultyProvider, sibling: FaultyProvider, **infos: dict[str, Any]) -> list[dict[str, Any]]:
    """Deployments "a" and "b"; `infos` are their model_info."""
    models = [deployment(name, "openai", one.url) for name, one in (("a", host), ("b", sibling))]
    for one in models:
        one["model_info"].update(infos.get(one["model_info"]["id"], {}))
    return models


async def silence(router: Any, host: FaultyProvider, mode: str) -> None:
    """A request has waited for the host, which is well again."""
    for _ in range(40):
        await ask(router, mode)
        if host.attempts:
            break
    assert host.attempts
    host.fault = HEALTHY


@in_both_modes
async def test_context_window(mode: str, host: FaultyProvider, sibling: FaultyProvider) -> None:
    """Who alone can take a long prompt is asked with it."""
    windows = {"a": {"max_input_tokens": 100_000}, "b": {"max_input_tokens": 50}}
    with routed(group(host, sibling, **windows), **CHECKED, **SETTINGS) as router:
        await silence(router, host, mode)
        assert await ask(router, mode, messages=LONG) == "a"


@in_both_modes
async def test_requests_a_minute(mode: str, host: FaultyProvider, sibling: FaultyProvider) -> None:
    """So is who alone has requests left in this minute."""
    models = group(host, sibling)
    models[1]["litellm_params"]["rpm"] = 3
    with routed(models, routing_strategy="usage-based-routing-v2", **SETTINGS) as router:
        await silence(router, host, mode)
        assert "a" in await outcomes(router, 5, mode)


async def test_users_filter(host: FaultyProvider, sibling: FaultyProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is whom the user's own filter wants."""
    wanted: set[str] = {"a", "b"}

    class Filter(CustomLogger):
        async def async_filter_deployments(
            self, model: str, healthy_deployments: list[Any], *_: Any, **__: Any
        ) -> list[Any]:
            return [one for one in healthy_deployments if one["model_info"]["id"] in wanted]

    monkeypatch.setattr(litellm, "callbacks", [Filter()])
    with routed(group(host, sibling), **SETTINGS) as router:
        await silence(router, host, "async")
        wanted.discard("b")
        assert await ask(router, "async") == "a"


async def test_slow_one_with_the_larger_window(host: FaultyProvider, sibling: FaultyProvider) -> None:
    """A deployment that takes long over one prompt is asked with the next one that it alone can take."""
    host.fault = HEALTHY
    windows = {"a": {"max_input_tokens": 100_000}, "b": {"max_input_tokens": 50}}
    with routed(group(host, sibling, **windows), **CHECKED, timeout=30, num_retries=0) as router:
        while host.answered < 6:
            await ask(router, "async")
        host.fault = SILENT
        known = host.attempts
        first = asyncio.ensure_future(ask(router, "async", messages=LONG))
        await asyncio.sleep(1.2)
        second = asyncio.ensure_future(ask(router, "async", messages=LONG))
        assert await until(lambda: host.attempts == known + 2)
        await ended([first, second])


async def test_order_at_a_cold_start(host: FaultyProvider, sibling: FaultyProvider) -> None:
    """A first choice that has not answered yet keeps all requests until one has waited in vain."""
    models = group(host, sibling)
    for order, one in enumerate(models, 1):
        one["litellm_params"]["order"] = order
    with routed(models, **CHECKED, timeout=30, num_retries=0) as router:
        asked = []
        for number in range(1, 7):
            asked.append(asyncio.ensure_future(ask(router, "async")))
            assert await until(lambda: host.attempts + sibling.attempts == number)  # noqa: B023 - at once
        assert host.attempts == 6
        await ended(asked)


async def ended(asked: Sequence[asyncio.Future[str]]) -> None:
    """Nobody waits for these any more."""
    for one in asked:
        one.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
