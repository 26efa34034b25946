"""What the user set about cooldowns means what it meant, for the failures that are cooled down now as well."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import litellm
import pytest
from litellm import Router
from litellm.integrations.custom_logger import CustomLogger
from litellm.responses.utils import ResponsesAPIRequestUtils
from litellm.types.router import AllowedFailsPolicy, Deployment, RetryPolicy

from support.faulty_provider import FAULTS, HEALTHY, REFUSED, SILENT, Fault, FaultyProvider, patience
from support.routing import (
    GROUP,
    MESSAGES,
    RELEASE,
    cooldown_seconds,
    cooling_down,
    deployment,
    failures,
    lost,
    outcomes,
    routed,
    together,
    until,
)


def group(bad: FaultyProvider, good: FaultyProvider, **params: Any) -> list[dict[str, Any]]:
    return [deployment("a-bad", "ollama_chat", bad.url, **params), deployment("b-good", "ollama_chat", good.url)]


SETTINGS: dict[str, Any] = {"routing_strategy": "cost-based-routing", "num_retries": 0}


async def test_disabled_cooldowns_stay_disabled() -> None:
    """`disable_cooldowns` wins, at the price of every request."""
    with FaultyProvider(REFUSED) as bad, FaultyProvider() as good:
        with routed(group(bad, good), disable_cooldowns=True, **SETTINGS) as router:
            assert lost(await outcomes(router, 6)) == list(range(6))
            assert await until(lambda: failures(router, "a-bad") == 6)
            assert cooling_down(router) == set()


async def test_allowed_fails_are_allowed() -> None:
    """With `allowed_fails=2` an unreachable host is cooled down at its third failure."""
    with FaultyProvider(REFUSED) as bad, FaultyProvider() as good:
        with routed(group(bad, good), allowed_fails=2, **SETTINGS) as router:
            assert lost(await outcomes(router, 2)) == [0, 1]
            assert await until(lambda: failures(router, "a-bad") == 2)
            assert cooling_down(router) == set()
            assert lost(await outcomes(router, 1)) == [0]
            assert await until(lambda: cooling_down(router) == {"a-bad"})


async def test_an_allowed_fails_policy_is_kept() -> None:
    """The policy's count for timeouts decides about a silent host."""
    policy = AllowedFailsPolicy(TimeoutErrorAllowedFails=1)
    with FaultyProvider(SILENT) as bad, FaultyProvider() as good:
        with routed(group(bad, good, timeout=0.2), allowed_fails_policy=policy, **SETTINGS) as router:
            assert lost(await outcomes(router, 1)) == [0]
            assert await until(lambda: failures(router, "a-bad") == 1)
            assert cooling_down(router) == set()
            assert lost(await outcomes(router, 1)) == [0]
            assert await until(lambda: cooling_down(router) == {"a-bad"})


async def test_cooldown_time_is_the_users() -> None:
    """The user's cooldown time holds for an unreachable host as it does for a 429."""
    with FaultyProvider(REFUSED) as bad, FaultyProvider() as good:
        with routed(group(bad, good), cooldown_time=77, **SETTINGS) as router:
            await outcomes(router, 1)
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert cooldown_seconds(router, "a-bad") == 77


@pytest.mark.parametrize("fault", [Fault.status(429, retry_after=33), Fault.status(402, retry_after=33)])
async def test_retry_after_is_how_long_the_cooldown_lasts(fault: Fault) -> None:
    """A cooldown lasts as long as the provider's Retry-After says, where it gives one."""
    with FaultyProvider(fault) as bad, FaultyProvider() as good:
        with routed(group(bad, good), cooldown_time=77, **SETTINGS) as router:
            await outcomes(router, 1)
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert cooldown_seconds(router, "a-bad") == 33


@pytest.mark.parametrize("fault", ["refused", "reset", "402", "403", "429", "500"])
async def test_a_lone_deployment_is_not_cooled_down(fault: str) -> None:
    """A lone deployment is not cooled down, as there is no other to send the requests to."""
    with FaultyProvider(FAULTS[fault]) as bad:
        with routed([deployment("a-bad", "ollama_chat", bad.url)], **SETTINGS) as router:
            assert lost(await outcomes(router, 8)) == list(range(8))
            assert await until(lambda: failures(router, "a-bad") == 8)
            assert cooling_down(router) == set()


@pytest.mark.parametrize("fault", ["refused", "reset", "402", "403"])
async def test_a_lone_deployment_is_not_counted_out_either(fault: str) -> None:
    """Failures for which LiteLLM never cooled down a lone deployment do not use up `allowed_fails`."""
    with FaultyProvider(FAULTS[fault]) as bad:
        alone = [deployment("a-bad", "ollama_chat", bad.url)]
        with routed(alone, allowed_fails=0, **SETTINGS) as router:
            assert lost(await outcomes(router, 4)) == list(range(4))
            assert await until(lambda: failures(router, "a-bad") == 4)
            assert cooling_down(router) == set()


@pytest.mark.parametrize(("silent", "cools_down"), [(3, False), (4, True)])
async def test_silence_counts_in_the_failure_rate(silent: int, cools_down: bool) -> None:
    """A host that falls silent is cooled down once five requests have been made and most of them have failed."""
    with FaultyProvider() as bad, FaultyProvider() as good:
        with routed(group(bad, good, timeout=0.4), **SETTINGS) as router:
            assert await outcomes(router, 1) == [bad.answer]
            bad.fault = SILENT
            assert await together(router, silent) == silent
            assert await until(lambda: failures(router, "a-bad") == silent)
            if cools_down:
                assert await until(lambda: cooling_down(router) == {"a-bad"})
            else:
                assert cooling_down(router) == set()


# --- retries


@pytest.mark.parametrize("fault", ["401", "402", "404", "429", "500", "refused", "silence"])
async def test_no_retries_means_one_attempt(fault: str) -> None:
    """With `num_retries=0` a request gets one attempt, though another deployment could answer."""
    with FaultyProvider(FAULTS[fault]) as bad, FaultyProvider() as good:
        with routed(group(bad, good, **patience(FAULTS[fault])), **SETTINGS) as router:
            assert lost(await outcomes(router, 1)) == [0]
            assert good.attempts == 0


ONE_RETRY: dict[str, Any] = {"num_retries": 1}


@pytest.mark.parametrize("place", ["router", "request", "deployment"])
async def test_num_retries_in_every_place(place: str) -> None:
    """The user's `num_retries` holds whether router, request or deployment sets it."""
    of_router = ONE_RETRY if place == "router" else {"num_retries": 0}
    of_request = ONE_RETRY if place == "request" else {}
    of_deployment = ONE_RETRY if place == "deployment" else {}
    with FaultyProvider(FAULTS["404"]) as a, FaultyProvider(FAULTS["404"]) as b, FaultyProvider() as c:
        three = [deployment(name, "openai", host.url, **of_deployment) for name, host in (("a", a), ("b", b), ("c", c))]
        with routed(three, routing_strategy="cost-based-routing", **of_router) as router:
            (error,) = await outcomes(router, 1, **of_request)
            assert [one.deployment_id for one in error.failed_attempts] == ["a", "b"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fault", "policy", "attempts"),
    [
        ("429", RetryPolicy(RateLimitErrorRetries=0), 1),
        ("401", RetryPolicy(AuthenticationErrorRetries=0), 1),
        ("silence", RetryPolicy(TimeoutErrorRetries=0), 1),
        ("400", RetryPolicy(BadRequestErrorRetries=2), 3),
    ],
)
@pytest.mark.parametrize("of", ["router", "model group"])
async def test_a_retry_policy_wins(fault: str, policy: RetryPolicy, attempts: int, of: str) -> None:
    """A retry policy wins where it asks for less than the policy table, or to retry a rejected request."""
    chosen = {"retry_policy": policy} if of == "router" else {"model_group_retry_policy": {GROUP: policy}}
    with FaultyProvider(FAULTS[fault]) as a, FaultyProvider(FAULTS[fault]) as b:
        two = group(a, b, **patience(FAULTS[fault]))
        with routed(
            two, routing_strategy="cost-based-routing", num_retries=1, disable_cooldowns=True, **chosen
        ) as router:
            (error,) = await outcomes(router, 1)
            assert len(error.failed_attempts) == a.attempts + b.attempts == attempts  # type: ignore[union-attr]


# --- which deployments a request may go to


A_LATER_ORDER_IS_ASKED_AT_ONCE = pytest.mark.skipif(
    RELEASE < (1, 84), reason="1.82.6 asks a later order once the earlier one is cooling down"
)


@pytest.mark.parametrize("fault", ["429", pytest.param("503", marks=A_LATER_ORDER_IS_ASKED_AT_ONCE)])
async def test_order_decides_who_is_asked_first_and_next(fault: str) -> None:
    """A later order is asked once the earlier one has failed."""
    with FaultyProvider(FAULTS[fault]) as first, FaultyProvider(answer="second") as second:
        with routed(
            [deployment("z", "openai", first.url, order=1), deployment("a", "openai", second.url, order=2)],
            num_retries=2,
            enable_pre_call_checks=True,
        ) as router:
            assert await outcomes(router, 1) == ["second"]
            assert first.attempts == 1


async def test_retry_respects_tags() -> None:
    """A request is rather lost than served by a deployment that its tags exclude."""
    with FaultyProvider(FAULTS["500"]) as paid, FaultyProvider() as free:
        deployments = [
            deployment("paid", "openai", paid.url, tags=["paid"]),
            deployment("free", "openai", free.url, tags=["free"]),
        ]
        with routed(deployments, num_retries=2, enable_tag_filtering=True) as router:
            assert lost(await outcomes(router, 2, metadata={"tags": ["paid"]})) == [0, 1]
            assert free.attempts == 0


async def test_retry_ignores_weights() -> None:
    """A deployment with hardly any weight is still a substitute for the one that fails."""
    with FaultyProvider(FAULTS["500"]) as heavy, FaultyProvider() as light:
        deployments = [
            deployment("heavy", "openai", heavy.url, weight=10**9),
            deployment("light", "openai", light.url, weight=1),
        ]
        with routed(deployments, num_retries=1) as router:
            assert await outcomes(router, 1) == ["pong"]
            assert (heavy.attempts, light.attempts) == (1, 1)


# --- a deployment that is preferred


LONG = [{"type": "text", "text": "a" + " word" * 300, "cache_control": {"type": "ephemeral"}}] * 9
PREFERENCES: dict[str, dict[str, Any]] = {
    "session_affinity": {"metadata": {"session_id": "one"}},
    "deployment_affinity": {"metadata": {"user_api_key_hash": "two"}},
    "prompt_caching": {"messages": [{"role": "user", "content": LONG}]},
}
"""Of each check, requests that it sends to the deployment that one of them was at before."""


class Logged(CustomLogger):
    """Counts the answers of `hosts` that LiteLLM has told its callbacks of, this one being the last of them."""

    def __init__(self, hosts: Sequence[FaultyProvider]) -> None:
        self.urls = tuple(host.url for host in hosts)
        self.answers = 0

    async def async_log_success_event(self, kwargs: Any, *args: Any, **more: Any) -> None:
        self.answers += str(kwargs["litellm_params"]["api_base"]).startswith(self.urls)


async def preferred(router: Router, hosts: Sequence[FaultyProvider], request: dict[str, Any]) -> FaultyProvider:
    """The one of `hosts` that gets each `request`, once LiteLLM has noted where the first one was."""
    logged = Logged(hosts)
    litellm.callbacks.append(logged)
    attempts: list[list[int]] = []
    while len(attempts) < 8:
        assert await outcomes(router, 1, **deepcopy(request)) == ["pong"]
        assert await until(lambda: logged.answers > len(attempts))
        attempts.append([host.attempts for host in hosts])
    (host,) = (host for host, first, last in zip(hosts, attempts[0], attempts[-1], strict=True) if last > first)
    return host


@pytest.mark.parametrize("fault", ["404", "429", "500", "503"])
@pytest.mark.parametrize("preference", PREFERENCES)
@pytest.mark.parametrize("strategy", ["simple-shuffle", "least-busy"])
async def test_affinity_yields_to_healthy_deployment(strategy: str, preference: str, fault: str) -> None:
    """A preferred deployment gives way at once to one that answers when it fails a request."""
    request = PREFERENCES[preference]
    with FaultyProvider() as a, FaultyProvider() as b:
        two = [deployment(name, "anthropic", host.url) for name, host in (("a", a), ("b", b))]
        with routed(two, routing_strategy=strategy, optional_pre_call_checks=[preference], num_retries=1) as router:
            first = await preferred(router, (a, b), request)
            before = first.attempts
            first.fault = FAULTS[fault]
            assert await outcomes(router, 1, **deepcopy(request)) == ["pong"]
            assert first.attempts == before + 1


@pytest.mark.parametrize("preference", PREFERENCES)
@pytest.mark.parametrize("strategy", ["simple-shuffle", "least-busy"])
async def test_affinity_tries_each_deployment_once(strategy: str, preference: str) -> None:
    """A preferred deployment gives way to one after the other, and none is asked twice while another is left."""
    request = PREFERENCES[preference]
    with FaultyProvider() as a, FaultyProvider() as b, FaultyProvider() as c:
        three = [deployment(name, "anthropic", host.url) for name, host in (("a", a), ("b", b), ("c", c))]
        with routed(three, routing_strategy=strategy, optional_pre_call_checks=[preference], num_retries=2) as router:
            first = await preferred(router, (a, b, c), request)
            for host in (a, b, c):
                host.fault = FAULTS["503"]
            (error,) = await outcomes(router, 1, **deepcopy(request))
            attempts = [one.deployment_id for one in error.failed_attempts]  # type: ignore[union-attr]
            assert attempts[0] == {a: "a", b: "b", c: "c"}[first]
            assert sorted(attempts) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("of_b", "of_c", "settings", "metadata"),
    [
        ({"tags": ["free"]}, {"tags": ["paid"]}, {"enable_tag_filtering": True}, {"tags": ["paid"]}),
        ({"weight": 0}, {"weight": 1}, {}, {}),
        ({"input_cost_per_token": 1}, {}, {"routing_strategy": "cost-based-routing"}, {}),
    ],
    ids=["tags", "weight", "price"],
)
async def test_affinity_respects_filters(
    of_b: dict[str, Any], of_c: dict[str, Any], settings: dict[str, Any], metadata: dict[str, Any]
) -> None:
    """A preferred deployment gives way to whom tags, weights or prices choose among the others."""
    of_a = {"weight": 10**9, "tags": ["paid"]}
    with FaultyProvider() as a, FaultyProvider() as b, FaultyProvider() as c:
        hosts = (("a", a, of_a), ("b", b, of_b), ("c", c, of_c))
        three = [deployment(name, "openai", host.url, **params) for name, host, params in hosts]
        settings = {**settings, "optional_pre_call_checks": ["session_affinity"], "disable_cooldowns": True}
        with routed(three, num_retries=1, **settings) as router:
            for session in range(6):
                a.fault = HEALTHY
                request: dict[str, Any] = {"metadata": {"session_id": str(session), **metadata}}
                assert await outcomes(router, 1, **deepcopy(request)) == ["pong"]
                a.fault = FAULTS["503"]
                assert await outcomes(router, 1, **deepcopy(request)) == ["pong"]
            assert (a.attempts, b.attempts, c.attempts) == (12, 0, 6)


@pytest.mark.parametrize("preference", PREFERENCES)
@pytest.mark.parametrize("fault", ["429", pytest.param("503", marks=A_LATER_ORDER_IS_ASKED_AT_ONCE)])
async def test_affinity_respects_order(fault: str, preference: str) -> None:
    """A preferred deployment gives way to the others of its order and then to a later order."""
    with FaultyProvider() as a, FaultyProvider() as b, FaultyProvider() as later:
        hosts = {"a": (a, 1), "b": (b, 1), "c": (later, 2)}
        three = [deployment(name, "anthropic", host.url, order=order) for name, (host, order) in hosts.items()]
        checks = [preference]
        with routed(three, num_retries=2, enable_pre_call_checks=True, optional_pre_call_checks=checks) as router:
            await preferred(router, (a, b, later), PREFERENCES[preference])
            before = a.attempts + b.attempts
            a.fault = b.fault = FAULTS[fault]
            assert await outcomes(router, 1, **deepcopy(PREFERENCES[preference])) == ["pong"]
            assert (a.attempts + b.attempts - before, later.attempts) == (2, 1)


@pytest.mark.parametrize("preference", PREFERENCES)
@pytest.mark.parametrize("fault", ["404", "429", "503"])
async def test_affinity_yields_to_earlier_order(fault: str, preference: str) -> None:
    """A preferred deployment of a later order gives way to one of an earlier order that was added since."""
    with FaultyProvider() as a, FaultyProvider() as b:
        first = Deployment(**deployment("a", "anthropic", a.url, order=1))
        later = deployment("b", "anthropic", b.url, order=2)
        checks = [preference]
        with routed([later], num_retries=2, enable_pre_call_checks=True, optional_pre_call_checks=checks) as router:
            assert await preferred(router, (a, b), PREFERENCES[preference]) is b
            router.add_deployment(first)
            before = (a.attempts, b.attempts)
            b.fault = FAULTS[fault]
            assert await outcomes(router, 1, **deepcopy(PREFERENCES[preference])) == ["pong"]
            assert (a.attempts - before[0], b.attempts - before[1]) == (1, 1)


@pytest.mark.parametrize("fault", ["404", "503"])
async def test_response_affinity_is_strict(fault: str) -> None:
    """What follows a response of one deployment goes to no other one, which does not have it."""
    with FaultyProvider() as a, FaultyProvider() as b:
        two = [deployment(name, "openai", host.url) for name, host in (("a", a), ("b", b))]
        for one in two:
            one["litellm_params"]["model"] = one["litellm_params"]["model"].replace("openai/", "openai/responses/")
        with routed(two, optional_pre_call_checks=["responses_api_deployment_check"], num_retries=2) as router:
            a.fault = FAULTS[fault]
            response_id = ResponsesAPIRequestUtils._build_responses_api_response_id("openai", "a", "resp_1")
            assert lost(await outcomes(router, 1, previous_response_id=response_id)) == [0]
            assert a.attempts
            assert not b.attempts


async def test_encrypted_content_affinity_is_strict() -> None:
    """What was encrypted for one deployment goes to no other one, which could not read it."""
    session = {"litellm_metadata": PREFERENCES["session_affinity"]["metadata"]}
    with FaultyProvider() as a, FaultyProvider() as b:
        hosts = {"a": a, "b": b}
        two = [deployment(name, "openai", host.url) for name, host in hosts.items()]
        checks = ["session_affinity", "encrypted_content_affinity"]
        with routed(two, optional_pre_call_checks=checks, num_retries=2) as router:
            await router.aresponses(model=GROUP, input=MESSAGES, **deepcopy(session))
            (origin,) = (name for name, host in hosts.items() if not host.attempts)
            item_id = ResponsesAPIRequestUtils._build_encrypted_item_id(origin, "rs_1")
            reasoning = {"type": "reasoning", "id": item_id, "encrypted_content": "cipher", "summary": []}
            hosts[origin].fault = FAULTS["503"]
            with pytest.raises(litellm.ServiceUnavailableError):
                await router.aresponses(model=GROUP, input=[reasoning, *MESSAGES], **deepcopy(session))
            assert (hosts[origin].attempts, a.attempts + b.attempts) == (3, 3 + 1)


# --- fallbacks


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("context_window_fallbacks", Fault.status(400, message="This model's maximum context length is 10 tokens.")),
        (
            "content_policy_fallbacks",
            Fault.status(400, message="invalid_request_error: content_policy_violation, your request was flagged"),
        ),
    ],
)
async def test_context_and_policy_fallbacks(kind: str, fault: Fault) -> None:
    """A rejected request goes to the fallback of its kind after one attempt, and cools nothing down."""
    with FaultyProvider(fault) as small, FaultyProvider() as large:
        deployments = [
            deployment("small", "openai", small.url),
            deployment("large", "openai", large.url, group="large"),
        ]
        with routed(deployments, num_retries=2, **{kind: [{GROUP: ["large"]}]}) as router:
            assert await outcomes(router, 1) == ["pong"]
            assert (small.attempts, large.attempts) == (1, 1)
            assert cooling_down(router) == set()
