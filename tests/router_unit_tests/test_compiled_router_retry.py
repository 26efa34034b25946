"""What the compiled router is told of a failed attempt, for it to retry elsewhere, fall back, or raise."""

from __future__ import annotations

from typing import Any
from unittest import mock

import litellm
import pytest
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.router_utils.failover import compiled_router, driver_state
from litellm.router_utils.failover.compiled_router import (
    attach_attempts_to_error,
    exclude_failed_deployments,
    retry_by_policy,
)
from litellm.router_utils.failover.compiled_router_cooldown import (
    ANY_ERROR,
    COOLS_DOWN_AND_RETRIES,
    REJECTS,
    cooldown_by_policy,
    rename_connection_errors,
)

from support.compiled_host import (
    FIRST,
    NOWHERE,
    OTHER,
    REFUSED,
    Host,
    answered,
    chosen,
    connection_error,
    fails,
    step,
    told_of,
)
from support.compiled_host import router as router
from support.routing import GROUP, deployment, routed


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (answered(401), 401),
        (answered(402), COOLS_DOWN_AND_RETRIES),
        (answered(403), COOLS_DOWN_AND_RETRIES),
        (answered(404), COOLS_DOWN_AND_RETRIES),
        (answered(429), 429),
        (answered(500), 500),
        (answered(503), 503),
        (connection_error(REFUSED), COOLS_DOWN_AND_RETRIES),
        (answered(400), REJECTS),
        (answered(409), REJECTS),
        (connection_error(KeyError("choices")), 500),
    ],
)
async def test_retryable_failure_is_told(router: Any, error: Exception, told: int) -> None:
    """What another deployment may do is told as what is retried, and a rejection as what is not."""
    outcome = await fails(Host(router), step("a"), error)
    assert outcome["status"] == told
    assert outcome["num_retries"] is None


async def test_a_missing_model_goes_by_another_name(router: Any) -> None:
    """A NotFoundError, which the compiled router never retries, is told by another name."""
    error = litellm.NotFoundError(message="no", model="gpt", llm_provider="openai")
    outcome = await fails(Host(router), step("a"), error)
    assert (outcome["kind"], outcome["status"]) == (ANY_ERROR, COOLS_DOWN_AND_RETRIES)
    assert "NotFoundError" not in outcome["classes"]
    assert "APIStatusError" in outcome["classes"]


@pytest.mark.parametrize(
    "error",
    [
        litellm.AuthenticationError(message="no", model="", llm_provider=""),
        litellm.RateLimitError(message="no", model="", llm_provider=""),
    ],
    ids=["AuthenticationError", "RateLimitError"],
)
async def test_another_failure_keeps_its_name(router: Any, error: Exception) -> None:
    """A failure that a user's retry policy goes by keeps its name."""
    assert (await fails(Host(router), step("a"), error))["kind"] == type(error).__name__


def test_a_sync_attempt_is_noted_as_well(router: Any) -> None:
    """A sync attempt is noted by the same rules as an async one."""

    def attempt(self: Any, step: Any) -> Any:
        return self._failed(step, {}, None, answered(402))

    assert retry_by_policy(attempt)(Host(router), step("a"))["status"] == COOLS_DOWN_AND_RETRIES


async def test_deployment_bound_request_is_left_alone(router: Any) -> None:
    """A request for what only one deployment holds, such as a file, is left to LiteLLM."""
    for host in (
        Host(router, "acreate_file", "create_file"),
        Host(router, "aresponses", "generic", prompt={"id": "p"}),
    ):
        assert (await fails(host, step("a"), answered(402)))["status"] == 402
    for host in (
        Host(router, "aresponses", "generic", input="ping"),
        Host(router, "acompletion", "chat", prompt="ping"),
        Host(router, "atext_completion", "text_completion", prompt="ping"),
    ):
        assert (await fails(host, step("a"), answered(404)))["status"] == COOLS_DOWN_AND_RETRIES


async def test_unreadable_store_keeps_failure(router: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A store that cannot be read is logged, and LiteLLM is told of the provider's failure and decides."""
    lost_store = mock.patch.object(compiled_router, "any_in_rotation", side_effect=ConnectionError("no Redis"))
    with lost_store:
        outcome = await fails(Host(router), step("a"), answered(503))
    assert (outcome["status"], outcome["num_retries"]) == (503, None)
    assert f"LiteLLM decides on the retries of {GROUP}: no Redis" in caplog.text


@pytest.mark.parametrize(("status", "name"), [(429, "NotFoundError"), (503, "NotFoundError"), (500, ANY_ERROR)])
async def test_once_each_has_failed_the_fallback_is_asked(router: Any, status: int, name: str) -> None:
    """The fallback is asked once each deployment has failed, unless the same one may do, as after a 500."""
    host = Host(router)
    for one in "ab":
        outcome = await fails(host, step(one), answered(status))
        assert (outcome["kind"], outcome["status"]) == (ANY_ERROR, status)
    outcome = await fails(host, step("c", retry=2), answered(status))
    assert (outcome["kind"], outcome["status"]) == (name, status)
    assert (outcome["classes"][-1] == name) is (name == "NotFoundError")


@pytest.mark.parametrize(("left", "retries"), [("ab", None), ("a", 0)])
async def test_excluded_deployment_is_no_alternative(router: Any, left: str, retries: int | None) -> None:
    """A deployment that the choice has left out is no other one to try."""
    host = Host(router)
    chosen(host, FIRST, among=left)
    assert (await fails(host, step("a"), answered(503)))["num_retries"] == retries


@pytest.mark.parametrize(("cooling", "retries"), [("", None), ("b", None), ("bc", 0)])
async def test_cooling_deployment_is_no_alternative(router: Any, cooling: str, retries: int | None) -> None:
    """Without a choice a deployment that is cooling down is no other one to try."""
    for name in cooling:
        router.cooldown_cache.add_deployment_to_cooldown(name, answered(429), 429, 60)
    assert (await fails(Host(router), step("a"), answered(503)))["num_retries"] == retries


async def test_other_group_gives_no_alternative(router: Any) -> None:
    """A deployment of another group that has failed leaves this group no other one to try."""
    host = Host(router, model=GROUP)
    await fails(host, step("a", among="a"), answered(429))
    outcome = await fails(host, step("z", among="z", level=1, group=OTHER), answered(404))
    assert outcome["status"] == 404


@pytest.mark.parametrize(("status", "retries"), [(429, 0), (503, 0), (500, None)])
async def test_lone_deployment_yields_at_once(router: Any, status: int, retries: int | None) -> None:
    """A lone deployment with a fallback has no retries left at its first failure, unless one may help."""
    outcome = await fails(Host(router), step("a", among="a"), answered(status))
    assert (outcome["status"], outcome["num_retries"]) == (status, retries)


async def test_lone_deployment_without_fallback(router: Any) -> None:
    """Without a fallback LiteLLM decides about a lone deployment, as it always has."""
    outcome = await fails(Host(router, fallbacks=[]), step("a", among="a"), answered(429))
    assert (outcome["status"], outcome["num_retries"]) == (429, None)


@pytest.mark.parametrize(("order", "retries"), [(None, 0), (1, 0), (2, None)])
async def test_a_later_order_is_a_fallback_too(order: int | None, retries: int | None) -> None:
    """A later order is a fallback too, until the request is at the last one."""
    group = [deployment(name, "openai", NOWHERE, order=place) for name, place in (("a", 1), ("b", 2))]
    with routed(group) as router, mock.patch.object(driver_state, "router_of", lambda core: core.router):
        wish = {**step("a", among="a"), "target_order": order}
        assert (await fails(Host(router), wish, answered(429)))["num_retries"] == retries


@pytest.mark.parametrize(("depth", "retries"), [(4, 0), (5, None)])
async def test_a_fallback_beyond_the_limit_is_none(router: Any, depth: int, retries: int | None) -> None:
    """A fallback beyond LiteLLM's limit of five groups does not count."""
    wish = {**step("z", among="z", level=1, group=OTHER), "fallback_depth": depth}
    host = Host(router, fallbacks=[{OTHER: ["third"]}], model=GROUP)
    router.add_deployment(litellm.types.router.Deployment(**deployment("y", "openai", NOWHERE, group="third")))
    assert (await fails(host, wish, answered(429)))["num_retries"] == retries


@pytest.mark.parametrize(("third", "retries"), [(["third", "fourth"], 0), (["third"], None)])
async def test_nested_fallback_yields_to_next(router: Any, third: list[str], retries: int | None) -> None:
    """A fallback's fallback makes way for the next one of its list, if there is one."""
    for name, group in (("x", "third"), ("y", "fourth")):
        router.add_deployment(litellm.types.router.Deployment(**deployment(name, "openai", NOWHERE, group=group)))
    host = Host(router, model=GROUP, fallbacks=[{GROUP: [OTHER]}, {OTHER: third}])
    await fails(host, step("a", among="a"), answered(429))
    await fails(host, step("z", among="z", level=1, group=OTHER), answered(429))
    outcome = await fails(host, step("x", among="x", level=2, group="third"), answered(429))
    assert outcome["num_retries"] == retries


async def test_nested_fallback_is_not_shared(router: Any) -> None:
    """A fallback of one fallback is none of the next one in the list."""
    for name, group in (("x", "third"), ("y", "fourth")):
        router.add_deployment(litellm.types.router.Deployment(**deployment(name, "openai", NOWHERE, group=group)))
    host = Host(router, model=GROUP, fallbacks=[{GROUP: [OTHER, "fourth"]}, {OTHER: ["third"]}])
    await fails(host, step("a", among="a"), answered(429))
    await fails(host, step("z", among="z", level=1, group=OTHER), answered(400))
    outcome = await fails(host, step("y", among="y", level=1, group="fourth"), answered(429))
    assert outcome["num_retries"] is None


async def test_cooling_group_keeps_its_fallbacks(router: Any) -> None:
    """A fallback makes way for the next one even if the first group had nobody to choose."""
    host = Host(router, model=GROUP, fallbacks=[{GROUP: ["third", OTHER]}])
    outcome = await fails(host, step("y", among="y", level=1, group="third"), answered(429))
    assert outcome["num_retries"] == 0


@pytest.mark.parametrize(
    ("error", "fallbacks", "told"),
    [
        (litellm.RateLimitError(message="no", model="", llm_provider=""), None, REJECTS),
        (ValueError("No deployments available for selected model"), None, REJECTS),
        (KeyError("a strategy's own"), None, 429),
        (ValueError("No deployments available for selected model"), [], 429),
    ],
)
def test_router_limit_asks_fallback(router: Any, error: Exception, fallbacks: list[Any] | None, told: int) -> None:
    """Under the router's own limit, where no deployment could be chosen, a fallback is asked."""
    host = Host(router)
    host._request = {} if fallbacks is None else {"fallbacks": fallbacks}
    host._last_error = error
    select = exclude_failed_deployments(lambda *_: {"raised": True, "status": 429})
    assert select(host, {"stage": "strategy", "candidates": ["a"], "model": GROUP})["status"] == told


@pytest.mark.parametrize(
    "decorator",
    [
        cooldown_by_policy,
        rename_connection_errors,
        retry_by_policy,
        exclude_failed_deployments,
        attach_attempts_to_error,
    ],
)
def test_what_is_wrapped_keeps_its_name(decorator: Any) -> None:
    """A wrapped function keeps its name, which upstream's traces and profiles show."""
    assert decorator(told_of).__name__ == "told_of"


async def test_the_exception_says_what_was_tried(router: Any) -> None:
    """The exception says what was tried in each group that the request has been to."""
    host = Host(router)
    await fails(host, step("a"), answered(429))
    await fails(host, step("z", among="z", level=1, group=OTHER), answered(503))
    error = litellm.RateLimitError(message="no", model="", llm_provider="")
    assert attach_attempts_to_error(lambda *_: error)(host, {}) is error
    attempts = error.failed_attempts  # type: ignore[attr-defined]
    assert [(one.model_group, one.deployment_id, one.status_code) for one in attempts] == [
        (GROUP, "a", 429),
        (OTHER, "z", 503),
    ]
    assert f"{OTHER}, deployment z: {FailureKind.UNAVAILABLE.value} (503)" in error.message


async def test_alias_keeps_attempts(router: Any) -> None:
    """A group that is asked by an alias keeps its attempts."""
    host = Host(router)
    await fails(host, step("a"), answered(429))
    await fails(host, step("b", group="an-alias"), answered(429))
    error = litellm.RateLimitError(message="no", model="", llm_provider="")
    attach_attempts_to_error(lambda *_: error)(host, {})
    assert [one.deployment_id for one in error.failed_attempts] == ["a", "b"]  # type: ignore[attr-defined]


async def test_what_was_never_tried_is_not_spoken_of(router: Any) -> None:
    """An exception before any attempt, as where no deployment was left, lists none."""
    error = ValueError("none")
    assert attach_attempts_to_error(lambda *_: error)(Host(router), {}) is error
    assert not hasattr(error, "failed_attempts")
