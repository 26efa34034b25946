"""Where a failed request is tried again: elsewhere first, without back-off, and never for the caller's own fault."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import litellm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litellm.integrations.custom_logger import CustomLogger

from support.faulty_provider import FAULTS, PROVIDERS, FaultyProvider
from support.routing import GROUP, STRATEGIES, back_offs, deployment, outcomes, routed
from support.wire import OVER_THE_OPENAI_CLIENT, wired

ROUTED = settings(max_examples=60)
NAMES = ["a", "b", "c", "d", "e"]
API_KEY = "sk-test"

BLAMED_STATUSES = (401, 402, 403, 404, 408, 429, 500, 502, 503, 504, 522, 529, 599)
CUT_WIRES = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError)
REJECTED_STATUSES = (400, 405, 409, 413, 415, 418, 422)

MODES_AND_STRATEGIES = [("async", strategy) for strategy in STRATEGIES] + [
    ("sync", strategy) for strategy in STRATEGIES if strategy != "cost-based-routing"
]


@st.composite
def groups(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A provider, and what is wrong with each of two to five deployments: None with at least one."""
    provider = draw(st.sampled_from(PROVIDERS))
    wires = CUT_WIRES if provider in OVER_THE_OPENAI_CLIENT else ()
    names = NAMES[: draw(st.integers(2, len(NAMES)))]
    healthy = draw(st.sets(st.sampled_from(names), min_size=1, max_size=len(names) - 1))
    broken = st.sampled_from([*BLAMED_STATUSES, *wires])
    return provider, {name: None if name in healthy else draw(broken) for name in names}


@ROUTED
@given(group=groups(), how=st.sampled_from(MODES_AND_STRATEGIES))
async def test_no_deployment_is_tried_twice(group: tuple[str, dict[str, Any]], how: tuple[str, str]) -> None:
    """Every request is answered, with no deployment tried twice, if there are retries for the broken ones."""
    (provider, state), (mode, strategy) = group, how
    broken = [name for name, failure in state.items() if failure is not None]
    with wired(list(state)) as wire:
        wire.state.update({name: state[name] for name in broken})
        deployments = [deployment(name, provider, wire.url(name)) for name in state]
        with back_offs() as waits, routed(deployments, routing_strategy=strategy, num_retries=len(broken)) as router:
            for _ in range(3):
                wire.attempts = Counter()
                assert await outcomes(router, 1, mode) == ["pong"]
                assert max(wire.attempts.values()) == 1
                assert wire.attempts.total() <= len(broken) + 1
            assert set(waits) <= {0}


@ROUTED
@given(
    status=st.sampled_from(REJECTED_STATUSES),
    provider=st.sampled_from(PROVIDERS),
    how=st.sampled_from(MODES_AND_STRATEGIES),
    retries=st.integers(0, 4),
)
async def test_a_rejected_request_costs_exactly_one_attempt(
    status: int, provider: str, how: tuple[str, str], retries: int
) -> None:
    """A rejected request costs exactly one attempt, and the provider's reason reaches the caller."""
    mode, strategy = how
    with wired(NAMES[:3]) as wire:
        wire.words = "no such parameter"
        wire.state = dict.fromkeys(wire.state, status)
        deployments = [deployment(name, provider, wire.url(name)) for name in wire.state]
        with routed(deployments, routing_strategy=strategy, num_retries=retries) as router:
            (error,) = await outcomes(router, 1, mode)
            assert wire.attempts.total() == 1
            assert getattr(error, "status_code", None) == status
            assert "no such parameter" in str(error)
            assert "Attempts that failed" not in str(error)


@ROUTED
@given(
    failures=st.lists(st.sampled_from(BLAMED_STATUSES), min_size=2, max_size=5),
    provider=st.sampled_from(PROVIDERS),
    how=st.sampled_from(MODES_AND_STRATEGIES),
)
async def test_exception_names_tried_deployments(failures: list[int], provider: str, how: tuple[str, str]) -> None:
    """What is raised in the end names each deployment that was tried, by id and kind and never by key."""
    mode, strategy = how
    state = dict(zip(NAMES, failures))  # noqa: B905
    with wired(list(state)) as wire:
        wire.state.update(state)
        deployments = [deployment(name, provider, wire.url(name)) for name in state]
        with routed(deployments, routing_strategy=strategy, num_retries=len(state) - 1) as router:
            (error,) = await outcomes(router, 1, mode)
            assert isinstance(error, Exception)
            attempts = error.failed_attempts  # type: ignore[attr-defined]
            assert {attempt.deployment_id: attempt.status_code for attempt in attempts} == state
            assert len(attempts) == wire.attempts.total() == len(state)
            assert all(f"{one.deployment_id}: {one.kind.value} ({one.status_code})" in str(error) for one in attempts)
            assert API_KEY not in str(error)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_lone_deployment_retry_backs_off(provider: str) -> None:
    """Without another deployment a retry goes the same way, with back-off."""
    with FaultyProvider(FAULTS["503"]) as bad, back_offs() as waits:
        with routed([deployment("a-bad", provider, bad.url)], num_retries=2) as router:
            (error,) = await outcomes(router, 1)
            assert isinstance(error, Exception)
            assert bad.attempts == 3
            assert len(waits) == 3  # the last is after the last attempt
            assert all(wait > 0 for wait in waits)


async def test_retry_may_return_after_all_failed() -> None:
    """A retry may return to a deployment once all have failed."""
    with wired(["a", "b"]) as wire:
        wire.state.update({"a": 500, "b": 500})
        deployments = [deployment(name, "openai", wire.url(name)) for name in wire.state]
        with routed(deployments, num_retries=4) as router:
            (error,) = await outcomes(router, 1)
            assert isinstance(error, Exception)
            assert wire.attempts.total() == 5
            assert min(wire.attempts.values()) >= 1


def with_tags(name: str, url: str, *, refused: bool) -> dict[str, Any]:
    return deployment(name, "openai", url, tags=["another"] if refused else ["wanted"])


def with_a_window(name: str, url: str, *, refused: bool) -> dict[str, Any]:
    found = deployment(name, "openai", url, model=f"openai/{name}-with-a-window")  # LiteLLM remembers it by that too
    found["model_info"]["max_input_tokens"] = 1 if refused else 1000
    return found


def with_a_region(name: str, url: str, *, refused: bool) -> dict[str, Any]:
    return deployment(name, "openai", url, region_name="us" if refused else "eu")


@pytest.mark.parametrize("strategy", ["simple-shuffle", "least-busy"])
@pytest.mark.parametrize(
    ("described", "settings", "request_settings"),
    [
        (with_tags, {"enable_tag_filtering": True}, {"metadata": {"tags": ["wanted"]}}),
        (with_a_window, {"enable_pre_call_checks": True}, {}),
        (with_a_region, {"enable_pre_call_checks": True}, {"allowed_model_region": "eu"}),
    ],
    ids=["tags", "context window", "region"],
)
async def test_unfit_deployment_is_no_alternative(
    described: Callable[..., dict[str, Any]], settings: dict[str, Any], request_settings: dict[str, Any], strategy: str
) -> None:
    """A deployment that cannot take the request is not asked, though all others have failed."""
    with FaultyProvider(FAULTS["500"]) as a, FaultyProvider(FAULTS["500"]) as b, FaultyProvider() as unfit:
        able = [described("a", a.url, refused=False), described("b", b.url, refused=False)]
        group = [*able, described("c", unfit.url, refused=True)]
        with routed(group, num_retries=3, routing_strategy=strategy, **settings) as router, back_offs():
            (error,) = await outcomes(router, 1, **request_settings)
            assert isinstance(error, litellm.InternalServerError)
            assert (a.attempts, b.attempts, unfit.attempts) in [(2, 2, 0), (3, 1, 0), (1, 3, 0)]
            first_two = [one.deployment_id for one in error.failed_attempts[:2]]  # type: ignore[attr-defined]
            assert sorted(first_two) == ["a", "b"]


async def test_concurrent_requests_share_no_attempts() -> None:
    """Requests at the same time do not share what they tried."""
    with wired(["a", "b"]) as wire:
        wire.state.update({"a": 500, "b": 500})
        deployments = [deployment(name, "openai", wire.url(name)) for name in wire.state]
        with routed(deployments, num_retries=1, disable_cooldowns=True) as router:
            many = await asyncio.gather(*(outcomes(router, 1) for _ in range(20)))
            tried = [{one.deployment_id for one in error.failed_attempts} for (error,) in many]  # type: ignore[union-attr]
            assert tried == [{"a", "b"}] * 20


@pytest.mark.parametrize(("named", "attempts"), [({}, 2), ({"previous_response_id": "resp_of_somebody"}, 1)])
async def test_named_resource_404_is_not_retried(named: dict[str, str], attempts: int) -> None:
    """A 404 for something that the caller named is not asked of the other deployments."""
    with wired(["a", "b"]) as wire:
        wire.state.update({"a": 404, "b": 404})
        deployments = [deployment(name, "openai", wire.url(name)) for name in wire.state]
        with routed(deployments, num_retries=1) as router:
            with pytest.raises(Exception, match="the provider said no"):
                await router.aresponses(model=GROUP, input="ping", **named)
            assert wire.attempts.total() == attempts


async def test_hook_choice_is_no_attempt() -> None:
    """What a hook asks the router meanwhile is no attempt of the request."""

    class Hook(CustomLogger):
        async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any]:
            await router.async_get_available_deployment(model="another", request_kwargs={})
            return kwargs

    with FaultyProvider(FAULTS["404"]) as bad, FaultyProvider() as good, FaultyProvider() as unused:
        group = [deployment(*one) for one in (("a-bad", "openai", bad.url), ("b-good", "openai", good.url))]
        group.append(deployment("c", "openai", unused.url, group="another"))
        with routed(group, num_retries=1, routing_strategy="cost-based-routing") as router:
            litellm.callbacks.append(Hook())
            assert await outcomes(router, 1) == ["pong"]
            assert (bad.attempts, good.attempts) == (1, 1)
