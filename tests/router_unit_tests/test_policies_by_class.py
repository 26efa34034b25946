"""What the user has set for a class of failures decides alone, in a group and for its fallbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from litellm.types.router import AllowedFailsPolicy, Deployment, RetryPolicy

from support.faulty_provider import FAULTS, Fault, FaultyProvider
from support.routing import GROUP, RELEASE, back_offs, cooling_down, deployment, outcomes, routed, until

CLASSES = {
    "401": "AuthenticationError",
    "404": "NotFoundError",
    "429": "RateLimitError",
    "500": "InternalServerError",
    "503": "ServiceUnavailableError",
}
HEEDED = (
    list(CLASSES) if RELEASE >= (1, 106) else ["401", "429", "500", "503"] if RELEASE >= (1, 102) else ["401", "429"]
)
"""Of these, the ones whose retries LiteLLM's policies count: since 1.102 a 500 and a 503, since 1.106 a 404."""


@contextmanager
def pair(fault: Fault, of_second: Fault | None, own: dict[str, Any], **settings: Any) -> Iterator[tuple[Any, Any, Any]]:
    """A router over two deployments, of which the one with `fault` is drawn first, and their providers; `own` is set
    for that one."""
    with FaultyProvider(fault) as first, FaultyProvider(of_second or Fault()) as second:
        group = [
            deployment("a", "openai", first.url, weight=10**9),
            deployment("b", "openai", second.url, weight=1),
        ]
        group[0]["model_info"].update(own)
        with routed(group, **{"num_retries": 1, "cooldown_time": 60, **settings}) as router:
            yield router, first, second


def cooled_down(router: Any, names: set[str]) -> Callable[[], bool]:
    """Whether exactly the deployments of these names are cooling down, as `until` asks it."""
    return lambda: cooling_down(router) == names


@pytest.mark.skipif(RELEASE < (1, 99), reason="before, a deployment has no policy of its own")
@pytest.mark.parametrize("allowed", [0, 2])
@pytest.mark.parametrize("fault", CLASSES)
async def test_own_policy_allows_failures(fault: str, allowed: int) -> None:
    """A deployment is cooled down after as many failures as its own policy allows of their class, and no sooner."""
    own = {"allowed_fails_policy": {f"{CLASSES[fault]}AllowedFails": allowed}}
    with pair(FAULTS[fault], None, own) as (router, first, second):
        assert await outcomes(router, allowed + 1) == ["pong"] * (allowed + 1)
        assert await until(lambda: cooling_down(router) == {"a"})
        assert await outcomes(router, 2) == ["pong"] * 2
        assert (first.attempts, second.attempts) == (allowed + 1, allowed + 3)


@pytest.mark.skipif(RELEASE < (1, 106), reason="before, no policy of the router's names a missing model")
@pytest.mark.parametrize("allowed", [0, 1, 5])
async def test_router_policy_counts_missing_models(allowed: int) -> None:
    """A 404 that is retried elsewhere counts by the router's own policy for it."""
    policy = AllowedFailsPolicy(NotFoundErrorAllowedFails=allowed)
    with pair(FAULTS["404"], None, {}, allowed_fails_policy=policy) as (router, first, _):
        for number in range(1, 7):
            assert await outcomes(router, 1) == ["pong"]
            assert await until(cooled_down(router, {"a"} if number > allowed else set()))
        assert first.attempts == min(allowed + 1, 6)


@pytest.mark.skipif(RELEASE < (1, 106), reason="before, no policy of the router's names a missing model")
async def test_policy_for_missing_models_counts_nothing_else() -> None:
    """What a request falls back for is not taken for a missing model."""
    policy = AllowedFailsPolicy(NotFoundErrorAllowedFails=0)
    with (
        pair(FAULTS["503"], FAULTS["503"], {}, allowed_fails_policy=policy) as (router, _, _),
        FaultyProvider() as third,
    ):
        router.add_deployment(Deployment(**deployment("third", "openai", third.url, group="other")))
        assert await outcomes(router, 1, fallbacks=["other"]) == ["pong"]
        assert await until(lambda: third.attempts == 1)
        assert cooling_down(router) == set()


@pytest.mark.parametrize("allowed", [0, 2])
@pytest.mark.parametrize("fault", ["401", "402", "403", "404", "429", "500", "503"])
async def test_allowed_fails_are_of_any_class(fault: str, allowed: int) -> None:
    """With `allowed_fails` a deployment is cooled down at the failure after these, whatever it fails with."""
    with pair(FAULTS[fault], None, {}, allowed_fails=allowed) as (router, first, second):
        assert await outcomes(router, allowed + 1) == ["pong"] * (allowed + 1)
        assert await until(lambda: cooling_down(router) == {"a"})
        assert await outcomes(router, 2) == ["pong"] * 2
        assert (first.attempts, second.attempts) == (allowed + 1, allowed + 3)


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("fault", HEEDED)
@pytest.mark.parametrize("of", ["router", "model group", "request"])
async def test_policy_counts_retries(of: str, fault: str, count: int) -> None:
    """A retry policy that names a class decides alone how often it is retried, elsewhere too."""
    policy = RetryPolicy(**{f"{CLASSES[fault]}Retries": count})
    per_group: dict[str, Any] = {"model_group_retry_policy": {GROUP: policy}}
    settings: dict[str, Any] = {"router": {"retry_policy": policy}, "model group": per_group, "request": {}}[of]
    failing = FAULTS[fault]
    with pair(failing, failing, {}, disable_cooldowns=True, **settings) as (router, first, second), back_offs():
        await outcomes(router, 1, **(per_group if of == "request" else {}))
        assert first.attempts + second.attempts == count + 1


@pytest.mark.parametrize("fault", [fault for fault in ("429", "503") if fault in HEEDED])
async def test_fallback_has_its_groups_policy(fault: str) -> None:
    """The retry policy of a fallback's group holds for the fallback, which makes way for the next one."""
    policy = RetryPolicy(RateLimitErrorRetries=0, ServiceUnavailableErrorRetries=0)
    failing = FAULTS[fault]
    with FaultyProvider(failing) as first, FaultyProvider(failing) as a, FaultyProvider() as b, FaultyProvider() as c:
        b.fault = failing
        second = [deployment(name, "openai", one.url, group="second") for name, one in (("a", a), ("b", b))]
        groups = [deployment("first", "openai", first.url), *second, deployment("c", "openai", c.url, group="third")]
        settings: dict[str, Any] = {"num_retries": 1, "model_group_retry_policy": {"second": policy}}
        with routed(groups, fallbacks=[{GROUP: ["second", "third"]}], **settings) as router, back_offs():
            assert await outcomes(router, 1) == ["pong"]
            assert (first.attempts, a.attempts + b.attempts, c.attempts) == (1, 1, 1)
