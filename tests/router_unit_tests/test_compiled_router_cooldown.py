"""Which cooldowns the compiled router is led to: by a failure's name and status, and once a fallback has answered."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from unittest import mock

import httpx
import litellm
import pytest
from litellm.router_utils.failover import compiled_router
from litellm.router_utils.failover.compiled_router import retry_by_policy
from litellm.router_utils.failover.compiled_router_cooldown import (
    ANY_ERROR,
    COOLS_DOWN_AND_RETRIES,
    rename_connection_errors,
    status_to_cool_by,
)

from support.compiled_host import (
    OF_THE_GATEWAY,
    OTHER,
    REFUSED,
    Host,
    answered,
    connection_error,
    fails,
    step,
    succeeds,
    told_of,
)
from support.compiled_host import router as router
from support.routing import GROUP


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (connection_error(REFUSED), ANY_ERROR),
        (connection_error(httpx.ReadError("reset")), ANY_ERROR),
        (connection_error(KeyError("choices")), "APIConnectionError"),
        (answered(503), "ServiceUnavailableError"),
    ],
)
def test_connection_error_is_renamed(error: Exception, name: str) -> None:
    """A connection error keeps its name, which prevents a cooldown, only if it is LiteLLM's own failure (#27362)."""

    def failure_kind(error: BaseException) -> str:
        return name if name != ANY_ERROR else "APIConnectionError"

    assert rename_connection_errors(failure_kind)(error) == name


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (connection_error(REFUSED), COOLS_DOWN_AND_RETRIES),
        (answered(403), COOLS_DOWN_AND_RETRIES),
        (answered(429), 429),
        (answered(402), 402),
        (answered(404), 404),
        (answered(503), 503),
        (connection_error(KeyError("choices")), 500),
        (litellm.APIConnectionError(message="429 rate limit", llm_provider="", model=""), 500),
    ],
)
def test_a_status_stands_for_a_cooldown_at_once(router: Any, error: Exception, told: int) -> None:
    """A proven failure for which the policy wants a cooldown at once is told as a status that leads to one."""
    core = SimpleNamespace(router=router)
    status = getattr(error, "status_code", None)
    assert status_to_cool_by(status, error, core, "a") == told
    assert status_to_cool_by(status, error, core, "z") == status  # alone, as before


@pytest.mark.parametrize("name", OF_THE_GATEWAY)
async def test_what_the_gateway_refuses_is_left_to_litellm(router: Any, name: str) -> None:
    """What the gateway itself refuses, as by a guardrail, is left to LiteLLM, and no deployment makes way."""
    host = Host(router)
    await fails(host, step("a", among="a"), answered(429))
    error = type(name, (Exception,), {"status_code": 503})()
    assert (await fails(host, step("a", among="a"), error)) == told_of(error)
    with mock.patch.object(compiled_router, "cooldown_after_fallback") as cooldown:
        await succeeds(host, step("z", among="z", level=1, group=OTHER))
    assert not cooldown.called


async def test_groups_before_fallback_cool_down(router: Any) -> None:
    """Once the fallback has answered, the groups that led to it make way and no others."""
    host = Host(router)
    await fails(host, step("a", among="a"), answered(429))
    await fails(host, step("z", among="z", level=1, group=OTHER), answered(429))
    with mock.patch.object(compiled_router, "cooldown_after_fallback") as cooldown:
        await succeeds(host, step("y", among="y", level=1, group="third"))
    assert [call.args[0].group for call in cooldown.call_args_list] == [GROUP]


async def test_whole_fallback_path_makes_way(router: Any) -> None:
    """Each group on the way to the answer makes way, also where a fallback's own fallback answers."""
    host = Host(router)
    for level, group in ((0, GROUP), (1, OTHER), (2, "third")):
        await fails(host, step("a", level=level, group=group), answered(500))
    with mock.patch.object(compiled_router, "cooldown_after_fallback") as cooldown:
        await succeeds(host, step("b", level=2, group="third"))
    assert [call.args[0].group for call in cooldown.call_args_list] == [GROUP, OTHER]


async def test_where_the_way_ended_is_forgotten(router: Any) -> None:
    """A way that ended is forgotten, and the next one of the first group's list starts from there again."""
    host = Host(router)
    way = ((0, GROUP), (1, OTHER), (2, "third"), (1, "fourth"), (1, "zeroth"), (1, "fourth"))
    for level, group in way:
        await fails(host, step("a", level=level, group=group), answered(500))
    attempts = host.failover.request_state.attempts
    assert [one.model_group for one in attempts] == [group for _, group in way]
    with mock.patch.object(compiled_router, "cooldown_after_fallback") as cooldown:
        await succeeds(host, step("b", level=1, group="fourth"))
    assert [call.args[0].group for call in cooldown.call_args_list] == [GROUP]


def test_cooldown_is_told_after_sync_answer(router: Any) -> None:
    """What is to be told of a cooldown is told after a sync answer, too."""
    host = Host(router)
    told: list[str] = []
    asyncio.run(fails(host, step("a"), answered(429)))

    async def tell() -> None:
        await asyncio.sleep(0)  # as when it takes a lock
        told.append("a")

    def cooldown(*_: Any) -> None:
        asyncio.ensure_future(tell())

    with mock.patch.object(compiled_router, "cooldown_after_fallback", cooldown):
        retry_by_policy(lambda *_: {"ok": True})(host, step("z", level=1, group=OTHER))
    assert told == ["a"]


def test_sync_answer_without_thread(router: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A sync answer is not lost where no thread can be started for the cooldown."""
    host = Host(router)
    asyncio.run(fails(host, step("a"), answered(429)))
    attempt = retry_by_policy(lambda *_: {"ok": True})
    with mock.patch.object(compiled_router, "ThreadPoolExecutor", side_effect=RuntimeError("no thread")):
        assert attempt(host, step("z", level=1, group=OTHER)) == {"ok": True}
    assert "No deployment was cooled down for the fallback: no thread" in caplog.text
