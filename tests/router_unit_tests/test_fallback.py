"""A lone deployment with a fallback group behind it: no waiting for what no retry can help, and no asking it anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import litellm
import pytest
from litellm.router_utils.cooldown_cache import CooldownCache
from litellm.types.router import AllowedFailsPolicy

from support.faulty_provider import FAULTS, HEALTHY, PROVIDERS, Fault, FaultyProvider
from support.routing import (
    GROUP,
    MODES,
    back_offs,
    cooldown_cache,
    cooling_down,
    deployment,
    lost,
    minute,
    outcomes,
    routed,
    until,
)

SUBSTITUTE = "the-fallback-group"
FALLBACKS: dict[str, Any] = {"fallbacks": [{GROUP: [SUBSTITUTE]}]}
NO_RETRY_CAN_HELP = (
    "401",
    "402",
    "403",
    "404",
    "429",
    "429-retry-after",
    "503",
    "529",
    "408",
    "refused",
    "unresolvable",
)
A_RETRY_MAY_HELP = ("500", "reset", "close")

FORMATS: dict[str, dict[str, Any]] = {
    "by group": FALLBACKS,
    "by alias": {"fallbacks": [{GROUP: ["alias"]}], "model_group_alias": {"alias": SUBSTITUTE}},
    "for any group": {"fallbacks": [{"*": [SUBSTITUTE]}]},
    "default": {"default_fallbacks": [SUBSTITUTE]},
}


def primary_and_substitute(primary: FaultyProvider, substitute: FaultyProvider, **params: Any) -> list[dict[str, Any]]:
    return [
        deployment("primary", params.pop("provider", "openai"), primary.url, **params),
        deployment("substitute", "openai", substitute.url, group=SUBSTITUTE),
    ]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", NO_RETRY_CAN_HELP)
async def test_fallback_takes_over_at_once(fault: str, provider: str) -> None:
    """The fallback answers after one attempt and keeps answering, while the lone deployment cools down."""
    with FaultyProvider(FAULTS[fault]) as primary, FaultyProvider() as substitute, back_offs() as waits:
        group = primary_and_substitute(primary, substitute, provider=provider)
        with routed(group, num_retries=2, cooldown_time=60, **FALLBACKS) as router:
            assert await outcomes(router, 1) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"primary"})
            assert await outcomes(router, 5) == ["pong"] * 5
            assert substitute.attempts == 6
            assert primary.attempts == (0 if fault in ("refused", "unresolvable") else 1)
            assert waits == []


@pytest.mark.parametrize("mode", MODES)
async def test_fallback_in_every_mode(mode: str) -> None:
    """Each way to call, sync or async and streamed or not, finds the fallback at once."""
    with FaultyProvider(FAULTS["429"]) as primary, FaultyProvider() as substitute, back_offs() as waits:
        with routed(
            primary_and_substitute(primary, substitute), num_retries=2, cooldown_time=60, **FALLBACKS
        ) as router:
            assert await outcomes(router, 1, mode) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"primary"})
            assert await outcomes(router, 2, mode) == ["pong"] * 2
            assert (primary.attempts, substitute.attempts, waits) == (1, 3, [])


@pytest.mark.parametrize("mode", MODES)
async def test_unwritable_cooldown_loses_no_answer(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    """An answer is not lost with a cooldown that cannot be written, of which the log tells."""
    lost_store = mock.patch.object(CooldownCache, "add_deployment_to_cooldown", side_effect=ConnectionError("no Redis"))
    with FaultyProvider(FAULTS["503"]) as primary, FaultyProvider() as substitute, lost_store as written:
        with routed(primary_and_substitute(primary, substitute), num_retries=0, **FALLBACKS) as router:
            assert await outcomes(router, 1, mode) == ["pong"]
            assert written.called
            assert f"A deployment of {GROUP} was not cooled down: no Redis" in caplog.text


async def test_a_silent_primary_is_waited_for_once() -> None:
    """A silent primary is waited for once, and the fallback answers after that."""
    with FaultyProvider(FAULTS["silence"]) as primary, FaultyProvider() as substitute:
        group = primary_and_substitute(primary, substitute, timeout=0.3)
        with routed(group, num_retries=2, **FALLBACKS) as router:
            assert await outcomes(router, 1) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"primary"})
            assert primary.attempts == 1


@pytest.mark.parametrize("fault", A_RETRY_MAY_HELP)
async def test_transient_failure_is_retried_first(fault: str) -> None:
    """A 500 or a lost connection, which may pass, is tried again on the same route first."""
    with FaultyProvider(FAULTS[fault]) as primary, FaultyProvider() as substitute, back_offs():
        with routed(primary_and_substitute(primary, substitute), num_retries=2, **FALLBACKS) as router:
            assert await outcomes(router, 1) == ["pong"]
            assert primary.attempts >= 3  # LiteLLM's transport sends a request twice when the connection is lost
            assert cooling_down(router) == set()


@pytest.mark.parametrize("settings", FORMATS.values(), ids=FORMATS)
async def test_every_way_to_configure_a_fallback_counts(settings: dict[str, Any]) -> None:
    """A fallback counts whether it is for this group, by alias, for any group, or by default."""
    with FaultyProvider(FAULTS["429"]) as primary, FaultyProvider() as substitute, back_offs() as waits:
        with routed(primary_and_substitute(primary, substitute), num_retries=2, **settings) as router:
            assert await outcomes(router, 1) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"primary"})
            assert (primary.attempts, waits) == (1, [])


async def test_primary_returns_after_cooldown() -> None:
    """The primary is asked again once its cooldown is over, and serves its own requests from then on."""
    with FaultyProvider(FAULTS["503"], answer="primary") as primary, FaultyProvider(answer="substitute") as substitute:
        group = primary_and_substitute(primary, substitute)
        with routed(group, num_retries=0, cooldown_time=0.5, **FALLBACKS) as router:
            assert await outcomes(router, 1) == ["substitute"]
            assert await until(lambda: cooling_down(router) == {"primary"})
            primary.fault = HEALTHY
            assert await until(lambda: cooling_down(router) == set())
            assert await outcomes(router, 2) == ["primary"] * 2


@pytest.mark.parametrize("per_request", [{"fallbacks": [SUBSTITUTE]}, FALLBACKS])
async def test_request_fallback_cools_nothing_down(per_request: dict[str, Any]) -> None:
    """A fallback of one request answers at once and cools nothing down for the others."""
    with FaultyProvider(FAULTS["503"]) as primary, FaultyProvider() as substitute, back_offs() as waits:
        with routed(primary_and_substitute(primary, substitute), num_retries=2) as router:
            assert await outcomes(router, 1, **per_request) == ["pong"]
            assert (primary.attempts, waits) == (1, [])
            assert cooling_down(router) == set()
            primary.fault = HEALTHY
            assert await outcomes(router, 1) == ["pong"]


USELESS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "for another group": ({"fallbacks": [{"another": [SUBSTITUTE]}]}, {}),
    "the group itself": ({"fallbacks": [{GROUP: [GROUP]}]}, {}),
    "none": ({"fallbacks": []}, {}),
    "of another kind": ({"context_window_fallbacks": [{GROUP: [SUBSTITUTE]}]}, {}),
    "beyond the limit": ({**FALLBACKS, "max_fallbacks": 0}, {}),
}


@pytest.mark.parametrize(("settings", "request_settings"), USELESS.values(), ids=USELESS)
async def test_unusable_fallback_means_retry(settings: dict[str, Any], request_settings: dict[str, Any]) -> None:
    """Without a fallback for it a request is tried again on the same route, with back-off."""
    with FaultyProvider(FAULTS["503"]) as primary, FaultyProvider() as substitute, back_offs() as waits:
        with routed(primary_and_substitute(primary, substitute), num_retries=2, **settings) as router:
            assert lost(await outcomes(router, 1, **request_settings)) == [0]
            assert primary.attempts == 3
            assert waits[0] > 0


async def test_a_fallback_that_is_cooling_down_is_none() -> None:
    """A fallback that is cooling down does not count, and the lone deployment is tried again with back-off."""
    with FaultyProvider(FAULTS["503"]) as primary, FaultyProvider(FAULTS["401"]) as substitute, back_offs() as waits:
        with routed(
            primary_and_substitute(primary, substitute), num_retries=2, cooldown_time=60, **FALLBACKS
        ) as router:
            assert lost(await outcomes(router, 1, model=SUBSTITUTE)) == [0]
            assert await until(lambda: cooling_down(router) == {"substitute"})
            assert lost(await outcomes(router, 1)) == [0]
            assert primary.attempts == 3
            assert waits[0] > 0
            assert cooling_down(router) == {"substitute"}


async def test_mutual_fallbacks_stay_in_rotation() -> None:
    """Two groups that fall back to each other stay in rotation when both fail."""
    with FaultyProvider(FAULTS["503"]) as one, FaultyProvider(FAULTS["503"]) as other, back_offs():
        mutual = [{GROUP: [SUBSTITUTE]}, {SUBSTITUTE: [GROUP]}]
        with routed(primary_and_substitute(one, other), num_retries=0, cooldown_time=60, fallbacks=mutual) as router:
            assert lost(await outcomes(router, 1)) == [0]
            assert lost(await outcomes(router, 1, model=SUBSTITUTE)) == [0]
            one.fault = other.fault = HEALTHY
            assert await outcomes(router, 2) == ["pong"] * 2
            assert cooling_down(router) == set()


@pytest.mark.parametrize("without", [{"disable_fallbacks": True}, {"fallbacks": []}])
async def test_disabled_fallback_means_retry(without: dict[str, Any]) -> None:
    """A request that disables its fallback is tried again on the same route and cools nothing down."""
    with FaultyProvider(FAULTS["503"]) as primary, FaultyProvider() as substitute, back_offs() as waits:
        with routed(primary_and_substitute(primary, substitute), num_retries=2, **FALLBACKS) as router:
            assert lost(await outcomes(router, 1, **without)) == [0]
            assert (primary.attempts, substitute.attempts) == (3, 0)
            assert waits[0] > 0
            assert cooling_down(router) == set()


async def test_short_timeout_cools_nothing_down() -> None:
    """The short timeout of one caller takes the primary from nobody."""
    with FaultyProvider(FAULTS["silence"]) as primary, FaultyProvider() as substitute:
        with routed(primary_and_substitute(primary, substitute), num_retries=0, **FALLBACKS) as router:
            assert await outcomes(router, 1, timeout=1.0) == ["pong"]
            assert cooling_down(router) == set()


@pytest.mark.parametrize(
    "allowance", [{"allowed_fails": 2}, {"allowed_fails_policy": AllowedFailsPolicy(RateLimitErrorAllowedFails=2)}]
)
async def test_allowed_fails_with_fallback(allowance: dict[str, Any]) -> None:
    """The fallback answers at once, and the cooldown begins where `allowed_fails` says."""
    with FaultyProvider(FAULTS["429"]) as primary, FaultyProvider() as substitute:
        with routed(primary_and_substitute(primary, substitute), num_retries=2, **allowance, **FALLBACKS) as router:
            assert await outcomes(router, 2) == ["pong"] * 2
            assert cooling_down(router) == set()
            assert await outcomes(router, 1) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"primary"})
            assert primary.attempts == 3


async def test_retry_after_is_honoured() -> None:
    """A rate-limited primary is left alone for as long as its Retry-After asks."""
    with FaultyProvider(Fault.status(429, retry_after=77)) as primary, FaultyProvider() as substitute:
        with routed(primary_and_substitute(primary, substitute), **FALLBACKS) as router:
            assert await outcomes(router, 1) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"primary"})
            (active,) = cooldown_cache(router).get_active_cooldowns(model_ids=["primary"], parent_otel_span=None)
            assert active[1]["cooldown_time"] == 77


async def test_failed_group_falls_back_at_once() -> None:
    """A whole group that failed falls back without a second round, and what is raised names all attempts."""
    faults = [FAULTS["429"], FAULTS["401"], FAULTS["404"]]
    with FaultyProvider(faults[0]) as a, FaultyProvider(faults[1]) as b, FaultyProvider(faults[2]) as substitute:
        group = [
            deployment("a", "openai", a.url),
            deployment("b", "openai", b.url),
            deployment("substitute", "openai", substitute.url, group=SUBSTITUTE),
        ]
        with routed(group, num_retries=5, **FALLBACKS) as router, back_offs() as waits:
            (error,) = await outcomes(router, 1)
            attempts = error.failed_attempts  # type: ignore[union-attr]
            assert {(one.model_group, one.deployment_id, one.kind.value) for one in attempts} == {
                (GROUP, "a", "rate_limited"),
                (GROUP, "b", "bad_credentials"),
                (SUBSTITUTE, "substitute", "model_missing"),
            }
            assert (len(attempts), set(waits)) == (3, {0})


@pytest.mark.parametrize("mode", MODES)
async def test_cooling_group_falls_back_at_once(mode: str) -> None:
    """A group of which the rest is cooling down falls back at once."""
    with FaultyProvider(FAULTS["503"]) as bad, FaultyProvider(FAULTS["401"]) as worse, FaultyProvider() as substitute:
        group = [*primary_and_substitute(bad, substitute), deployment("worse", "openai", worse.url)]
        with routed(group, num_retries=3, cooldown_time=60, **FALLBACKS) as router, back_offs() as waits:
            assert lost(await outcomes(router, 1, model="worse")) == [0]  # a deployment can be asked by its id
            assert await until(lambda: cooling_down(router) == {"worse"})
            assert await outcomes(router, 2, mode) == ["pong"] * 2
            assert (bad.attempts, worse.attempts, substitute.attempts, waits) == (2, 1, 2, [])


@pytest.mark.parametrize("mode", MODES)
async def test_group_cooldowns_keep_reason(mode: str) -> None:
    """The cooldowns of a group that fell back keep the status that led to them."""
    with FaultyProvider(FAULTS["429"]) as a, FaultyProvider(FAULTS["429"]) as b, FaultyProvider() as substitute:
        group = [*primary_and_substitute(a, substitute), deployment("b", "openai", b.url)]
        with routed(group, num_retries=3, cooldown_time=60, **FALLBACKS) as router, back_offs():
            assert await outcomes(router, 1, mode) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"primary", "b"})
            active = cooldown_cache(router).get_active_cooldowns(model_ids=["primary", "b"], parent_otel_span=None)
            assert [str(stored["status_code"]) for _, stored in active] == ["429", "429"]


@pytest.mark.parametrize("mode", MODES)
async def test_group_failures_count_once(mode: str) -> None:
    """Each failure of a group that falls back counts as one of those that `allowed_fails` allows."""
    with FaultyProvider(FAULTS["503"]) as a, FaultyProvider(FAULTS["503"]) as b, FaultyProvider() as substitute:
        group = [*primary_and_substitute(a, substitute), deployment("b", "openai", b.url)]
        with routed(group, num_retries=3, cooldown_time=60, allowed_fails=2, **FALLBACKS) as router, back_offs():
            assert await outcomes(router, 2, mode) == ["pong"] * 2
            assert cooling_down(router) == set()
            assert await outcomes(router, 1, mode) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"primary", "b"})
            assert (a.attempts, b.attempts, substitute.attempts) == (3, 3, 3)


async def test_shared_deployment_is_not_asked_again() -> None:
    """A fallback group does not ask a deployment again that failed in the group before it."""
    with FaultyProvider(FAULTS["500"]) as bad, FaultyProvider() as good:
        shared = {**deployment("a-bad", "openai", bad.url)}
        same_host = deployment("a-bad", "openai", bad.url, group=SUBSTITUTE)
        group = [
            shared,
            {**same_host, "model_info": {"id": "a-bad"}},
            deployment("b", "openai", good.url, group=SUBSTITUTE),
        ]
        with routed(group, num_retries=0, routing_strategy="cost-based-routing", **FALLBACKS) as router:
            assert await outcomes(router, 1) == ["pong"]
            assert (bad.attempts, good.attempts) == (1, 1)


@pytest.mark.parametrize("mode", ["async", "async-stream", "sync"])
async def test_the_routers_own_limit_falls_back_at_once(mode: str) -> None:
    """A request that meets the router's own limit falls back at once, without the wait its error asks for."""
    with FaultyProvider() as primary, FaultyProvider() as substitute, back_offs() as waits:
        group = primary_and_substitute(primary, substitute, rpm=1)
        settings = {"routing_strategy": "usage-based-routing-v2", "enable_pre_call_checks": True, "num_retries": 2}
        with routed(group, **settings, **FALLBACKS) as router:
            began = minute()
            assert await outcomes(router, 4, mode) == ["pong"] * 4
            minutes = 1 + minute() - began
            assert 1 <= primary.attempts <= minutes
            assert primary.attempts + substitute.attempts == 4
            assert waits == []


# --- chains of groups, named a, b and c


@contextmanager
def chain(**faults: Fault) -> Iterator[tuple[list[dict[str, Any]], list[FaultyProvider]]]:
    """Groups of one deployment each, whose id is the name of the group twice, and their providers."""
    with ExitStack() as stack:
        providers = {name: stack.enter_context(FaultyProvider(fault, answer=name)) for name, fault in faults.items()}
        deployments = [deployment(name * 2, "openai", it.url, group=name) for name, it in providers.items()]
        yield deployments, list(providers.values())


def attempts(providers: list[FaultyProvider]) -> list[int]:
    return [provider.attempts for provider in providers]


LOOPS: dict[str, list[dict[str, list[str]]]] = {
    "of two": [{"a": ["b"]}, {"b": ["a"]}],
    "of three": [{"a": ["b"]}, {"b": ["c"]}, {"c": ["a"]}],
    "of a list and back": [{"a": ["b", "c"]}, {"b": ["c", "a"]}, {"c": ["a", "b"]}],
    "by default": [{"*": ["a", "b", "c"]}],
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("loop", LOOPS)
async def test_fallback_loop_ends(loop: str, mode: str) -> None:
    """A loop of fallbacks ends once each group was asked, with the first failure's reason and a list of all."""
    with chain(a=FAULTS["429"], b=FAULTS["401"], c=FAULTS["402"]) as (groups, providers), back_offs() as waits:
        with routed(groups, fallbacks=LOOPS[loop], num_retries=2) as router:
            (error,) = await outcomes(router, 1, mode, model="a")
            once = [1, 1, 0] if loop == "of two" else [1, 1, 1]
            assert (attempts(providers), waits) == (once, [])
            assert isinstance(error, litellm.RateLimitError)
            assert str(error).startswith(
                "litellm.RateLimitError: RateLimitError: OpenAIException - Rate limit exceeded."
            )
            asked = [one.model_group for one in error.failed_attempts]  # type: ignore[attr-defined]
            assert asked == list("abc")[: sum(once)]


@pytest.mark.parametrize("fallbacks", [[{"a": ["b"]}, {"b": ["c"]}], [{"a": ["b", "c"]}]], ids=["chain", "list"])
async def test_a_fallback_that_is_cooling_down_is_skipped(fallbacks: list[dict[str, list[str]]]) -> None:
    """A fallback that is cooling down is skipped at once for the next one in the list, or for its own."""
    with chain(a=HEALTHY, b=FAULTS["401"], c=HEALTHY) as (groups, providers), back_offs() as waits:
        with routed(groups, fallbacks=[*fallbacks, {"b": ["c"]}], num_retries=2, cooldown_time=60) as router:
            assert await outcomes(router, 1, model="b") == ["c"]
            assert await until(lambda: cooling_down(router) == {"bb"})
            providers[0].fault = FAULTS["503"]
            assert await outcomes(router, 2, model="a") == ["c", "c"]
            assert (attempts(providers), waits) == ([1, 1, 3], [])


@pytest.mark.parametrize("mode", MODES)
async def test_failed_fallback_yields_to_next(mode: str) -> None:
    """A fallback that fails makes way for the next one in the list, without a retry on its route."""
    with chain(a=FAULTS["429"], b=FAULTS["503"], c=HEALTHY) as (groups, providers), back_offs() as waits:
        with routed(groups, fallbacks=[{"a": ["b", "c"]}], num_retries=2) as router:
            assert await outcomes(router, 1, mode, model="a") == ["c"]
            assert (attempts(providers), waits) == ([1, 1, 1], [])
            assert await until(lambda: cooling_down(router) == {"aa"})
            assert await outcomes(router, 2, mode, model="a") == ["c"] * 2
            assert (attempts(providers), waits) == ([1, 3, 3], [])


async def test_last_fallback_is_retried() -> None:
    """The last fallback, behind which nobody stands, is tried again with back-off."""
    with chain(a=FAULTS["429"], b=FAULTS["429"], c=FAULTS["503"]) as (groups, providers), back_offs() as waits:
        with routed(groups, fallbacks=[{"a": ["b", "c"]}], num_retries=2) as router:
            assert lost(await outcomes(router, 1, model="a")) == [0]
            assert attempts(providers) == [1, 1, 3]
            assert waits[0] > 0
