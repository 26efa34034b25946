"""What a model group's retries may add to the load of a brownout, over sockets."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import litellm
import pytest
from litellm.router_utils.failover import budgeted_retries, rotation_metrics
from litellm.router_utils.failover.budgeted_retries import budget_of
from litellm.router_utils.failover.retry_budget import FEWEST
from litellm.router_utils.failover.rotation import rotation_of
from litellm.types.router import RetryPolicy

from support.faulty_provider import FAULTS, HEALTHY, SILENT, FaultyProvider
from support.routing import GROUP, ask, back_offs, cool_down, deployment, lost, outcomes, routed, together

MODES = ("async", "async-stream", "sync")
ASKED = 5
FALLBACK = "the-fallback"
EACH = {"num_retries": 2, "disable_cooldowns": True}
"""Settings under which each failure could be retried."""

SCARCE = {"retry_budget": 0, **EACH}
"""The same, and three retries in ten seconds."""


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No back-off takes its time, and the budgets' ten seconds are not over before the test is."""
    monkeypatch.setattr(budgeted_retries, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    with back_offs():
        yield


@pytest.fixture
def one() -> Iterator[FaultyProvider]:
    """A host in a brownout that is all that there is: it fails each request."""
    with FaultyProvider(FAULTS["500"], answer="a") as provider:
        yield provider


@pytest.fixture
def other() -> Iterator[FaultyProvider]:
    """The host beside it."""
    with FaultyProvider(FAULTS["500"], answer="b") as provider:
        yield provider


def pair(one: FaultyProvider, other: FaultyProvider) -> list[dict[str, Any]]:
    return [deployment("a", "openai", one.url), deployment("b", "openai", other.url)]


def have_failed(router: Any, *names: str, times: int = FEWEST) -> None:
    """The router has seen so many attempts fail at each of the deployments."""
    for name in names * times:
        budget_of(rotation_of(router)).record(name, failed=True)


@pytest.mark.parametrize("more", [{}, {"total_timeout": 60}], ids=["", "deadline"])
@pytest.mark.parametrize("mode", MODES)
async def test_spent_budget_ends_retries(
    mode: str, more: dict[str, Any], one: FaultyProvider, other: FaultyProvider
) -> None:
    """Where both fail, retries add little to the requests, and the caller is told of the provider's failure."""
    with routed(pair(one, other), **SCARCE, **more) as router:
        have_failed(router, "a", "b")
        results = await outcomes(router, ASKED, mode)
    assert all(isinstance(error, litellm.InternalServerError) for error in results)
    assert one.attempts + other.attempts == ASKED + 3


async def test_callers_deadline_spends_no_budget(one: FaultyProvider, other: FaultyProvider) -> None:
    """Who had no time to answer within a caller's own deadline has not failed: retries are as free as before."""
    one.fault = other.fault = SILENT
    with routed(pair(one, other), **SCARCE) as router:
        asked = [ask(router, "async", total_timeout=0.2) for _ in range(2 * FEWEST)]
        ends = await asyncio.gather(*asked, return_exceptions=True)
        assert {getattr(end, "status_code", end) for end in ends} == {504}
        one.fault = other.fault = FAULTS["500"]
        known = one.attempts + other.attempts
        assert len(lost(await outcomes(router, ASKED))) == ASKED
        assert one.attempts + other.attempts - known == ASKED * 3


async def test_brownout_is_noticed(one: FaultyProvider, other: FaultyProvider) -> None:
    """That both fail the router finds out from their answers alone."""
    with routed(pair(one, other), **EACH) as router:
        assert len(lost(await outcomes(router, 20))) == 20
        known = one.attempts + other.attempts
        assert len(lost(await outcomes(router, ASKED))) == ASKED
        assert one.attempts + other.attempts - known <= ASKED + 3


@pytest.mark.parametrize("mode", MODES)
async def test_healthy_sibling_answers_all(mode: str, one: FaultyProvider, other: FaultyProvider) -> None:
    """Where one is well, no answer is lost for the budget, however little there is of it."""
    other.fault = HEALTHY
    with routed(pair(one, other), **SCARCE) as router:
        have_failed(router, "a")
        assert await outcomes(router, ASKED, mode) == ["b"] * ASKED


async def test_healthy_sibling_answers_together(one: FaultyProvider, other: FaultyProvider) -> None:
    """Nor where the requests come at once, before anything is known of the two."""
    other.fault = HEALTHY
    with routed(pair(one, other), **SCARCE) as router:
        assert await together(router, 20) == 0


async def test_policy_for_timeouts_wins(one: FaultyProvider, other: FaultyProvider) -> None:
    """Who says how often a timeout is retried has it so, whatever is left of the budget."""
    one.fault = other.fault = SILENT
    settings = {"retry_policy": RetryPolicy(TimeoutErrorRetries=2), "timeout": 0.1, **SCARCE}
    with routed(pair(one, other), **settings) as router:
        have_failed(router, "a", "b")
        assert len(lost(await outcomes(router, ASKED))) == ASKED
    assert one.attempts + other.attempts == ASKED * 3


async def test_last_one_is_retried(one: FaultyProvider, other: FaultyProvider) -> None:
    """One that is well, and whose sibling is out of rotation, is retried as a lone one."""
    with routed(pair(one, other), retry_budget=0, num_retries=1) as router:
        with mock.patch.object(router, "disable_cooldowns", True):
            cool_down(router, "b", 60)
        assert len(lost(await outcomes(router, 2))) == 2
        assert (one.attempts, other.attempts) == (4, 0)


@pytest.mark.parametrize("mode", MODES)
async def test_fallback_is_asked_at_once(mode: str, one: FaultyProvider, other: FaultyProvider) -> None:
    """When the budget is spent, the fallback answers."""
    with FaultyProvider(answer="f") as third:
        models = [*pair(one, other), deployment("f", "openai", third.url, group=FALLBACK)]
        with routed(models, fallbacks=[{GROUP: [FALLBACK]}], **SCARCE) as router:
            have_failed(router, "a", "b")
            assert await outcomes(router, ASKED, mode) == ["f"] * ASKED
    assert one.attempts + other.attempts == ASKED + 3


async def test_lone_deployment_is_retried(one: FaultyProvider) -> None:
    """A lone one is retried as LiteLLM does."""
    with routed([deployment("a", "openai", one.url)], retry_budget=0, num_retries=1) as router:
        have_failed(router, "a")
        assert len(lost(await outcomes(router, 4))) == one.attempts // 2 == 4
        assert router.get_rotation_state()[0]["retries_left"] is None


@pytest.mark.parametrize(
    ("settings", "is_limited"),
    [
        ({"retry_budget": False}, False),
        ({"retry_budget": True}, True),
        ({"retry_policy": {"InternalServerErrorRetries": 1, "DefaultRetries": 1}, "retry_budget": 0}, False),
        ({"retry_policy": {"RateLimitErrorRetries": 1}}, True),
        ({"model_group_retry_policy": {GROUP: {"InternalServerErrorRetries": 1, "DefaultRetries": 1}}}, False),
    ],
    ids=["off", "on", "policy names it", "policy names another", "policy of the group"],
)
async def test_what_wins(
    one: FaultyProvider, other: FaultyProvider, settings: dict[str, Any], is_limited: bool
) -> None:
    """Without a budget each request is retried as often as the user says; so it is by a retry policy that names the
    failure."""
    with routed(pair(one, other), num_retries=1, disable_cooldowns=True, **settings) as router:
        have_failed(router, "a", "b")
        assert len(lost(await outcomes(router, 12))) == 12
    assert (one.attempts + other.attempts < 24) is is_limited


async def test_denials_are_told(
    one: FaultyProvider, other: FaultyProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Denials are in the router's state, counted by deployment and kind, and the first of a row is in the log."""
    counted: Counter[tuple[str, ...]] = Counter()

    def counter(name: str) -> mock.Mock:
        return mock.Mock(labels=lambda *labels: mock.Mock(inc=lambda: counted.update([(name, *labels)])))

    monkeypatch.setattr(rotation_metrics, "_counter", counter)
    with routed(pair(one, other), **{**SCARCE, "num_retries": 1}) as router:
        monkeypatch.setattr(rotation_metrics, "_is_on", lambda: True)
        monkeypatch.setattr(logging.getLogger("LiteLLM Router"), "propagate", True)
        have_failed(router, "a", "b")
        await outcomes(router, ASKED)
        states = router.get_rotation_state()
    assert [(one["retries_left"], one["retries_denied"]) for one in states] == [(0, ASKED - 3)] * 2
    assert counted.total() == ASKED - 3
    assert {labels[:1] + labels[2:] for labels in counted} == {("litellm_deployment_retries_denied", "server_error")}
    assert caplog.text.count(f"The retry budget of model group {GROUP} is spent (0 %") == 1


async def test_alias_shares_the_budget(one: FaultyProvider, other: FaultyProvider) -> None:
    """Requests under an alias draw on the group's own budget."""
    with routed(pair(one, other), model_group_alias={"an-alias": GROUP}, **SCARCE) as router:
        have_failed(router, "a", "b")
        results = await asyncio.gather(
            *(ask(router, "async", model=name) for name in (GROUP, "an-alias") * 4), return_exceptions=True
        )
    assert all(isinstance(error, litellm.InternalServerError) for error in results)
    assert one.attempts + other.attempts == 8 + 3


@pytest.mark.parametrize("setting", [-1, 101, "20", {"percent": 20}, float("nan")], ids=str)
def test_bad_setting(setting: object, one: FaultyProvider) -> None:
    """What is no budget is refused with what to write."""
    with (
        pytest.raises(ValueError, match="retry_budget is .*a number from 0 to 100 such as 20, or as false"),
        routed([deployment("a", "openai", one.url)], retry_budget=setting),
    ):
        pass
