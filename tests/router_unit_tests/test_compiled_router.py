"""What the compiled router of 1.110 and later is told of a failure, and what it makes of that.

The first part needs no such router: it tells a stand-in for its host of failures, on every release.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import httpx
import litellm
import pytest
from litellm.litellm_core_utils.failure_signal import FailureSignal
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.router_utils import compiled_router_cooldown, compiled_router_retry
from litellm.router_utils.compiled_router_cooldown import (
    ANY_ERROR,
    COOLS_DOWN_AND_RETRIES,
    NOT_RETRIED,
    REJECTS,
    cooling_down_by_policy,
    naming_no_failure_of_the_deployment,
    status_to_cool_by,
)
from litellm.router_utils.compiled_router_retry import (
    among_the_untried,
    among_the_untried_in_sync,
    retrying_by_policy,
    retrying_by_policy_in_sync,
    saying_what_was_tried,
)
from litellm.router_utils.failover_attempts import as_a_preference

from support.faulty_provider import FAULTS, FaultyProvider
from support.routing import (
    COMPILED_ROUTER,
    GROUP,
    MESSAGES,
    MODES,
    callbacks_put_back,
    deployment,
    outcomes,
    routed,
)

NOWHERE = "http://127.0.0.1:9"
OTHER = "other-group"
REFUSED = httpx.ConnectError("refused")
COMPILED = pytest.mark.skipif(not COMPILED_ROUTER, reason="the router is compiled since 1.110")


def answered(status: int) -> BaseLLMException:
    return BaseLLMException(status_code=status, message="no")


def connection_error(cause: Exception) -> litellm.APIConnectionError:
    """As LiteLLM wraps what never became an answer."""
    error = litellm.APIConnectionError(message="gone", llm_provider="openai", model="gpt")
    error.__cause__ = cause
    return error


class Host:
    """Stands in for the compiled router's host: it is told which error an attempt fails with, and tells of it as
    1.110's does. The router it is of has a group of three deployments, which falls back to another of one."""

    def __init__(self, router: Any, handler: str = "acompletion", kind: str = "chat", **request: Any) -> None:
        self._core = SimpleNamespace(router=router)
        self._request: dict[str, Any] = request
        self._plan = SimpleNamespace(handler=handler, kind=kind)
        self._last_error: Exception | None = None
        self._level = self._fallback_depth = 0

    def _failed(self, step: Any, deployment: Any, call: Any, error: Exception) -> dict[str, Any]:
        self._last_error = error
        return told_of(error)


def told_of(error: Exception) -> dict[str, Any]:
    classes = [one.__name__ for one in type(error).__mro__]
    known = ("NotFoundError", "AuthenticationError", "RateLimitError", "APIConnectionError", *OF_THE_GATEWAY)
    kind = next((name for name in classes if name in known), ANY_ERROR)
    status = getattr(error, "status_code", None)
    return {"ok": False, "kind": kind, "classes": classes, "status": status, "num_retries": None}


def step(name: str, among: str = "abc", *, level: int = 0, group: str = GROUP, retry: int = 0) -> dict[str, Any]:
    """The compiled router's wish for an attempt at deployment `name`, which it has chosen `among` some."""
    place = {"fallback_level": level, "fallback_depth": level, "target_order": None, "model": group}
    return {**place, "deployment_id": name, "candidate_ids": list(among), "retry": retry}


@pytest.fixture
def router() -> Iterator[Any]:
    group = [deployment(name, "openai", NOWHERE) for name in "abc"]
    lone = [deployment("z", "openai", NOWHERE, group=OTHER)]
    with routed([*group, *lone], fallbacks=[{GROUP: [OTHER]}]) as router:
        of_the_stand_in = mock.Mock(side_effect=lambda core: core.router)
        with (
            mock.patch.object(compiled_router_cooldown, "router_of", of_the_stand_in),
            mock.patch.object(compiled_router_retry, "router_of", of_the_stand_in),
        ):
            yield router


async def fails(host: Host, wish: dict[str, Any], error: Exception) -> dict[str, Any]:
    """What the compiled router is told of an attempt that fails with `error`."""

    async def attempt(self: Any, step: Any) -> Any:
        return cooling_down_by_policy(Host._failed)(self, step, {}, None, error)

    return dict(await retrying_by_policy(attempt)(host, wish))


async def succeeds(host: Host, wish: dict[str, Any]) -> Any:
    async def attempt(self: Any, step: Any) -> Any:
        return {"ok": True}

    return await retrying_by_policy(attempt)(host, wish)


# --- cooldowns


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

    assert naming_no_failure_of_the_deployment(failure_kind)(error) == name


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


# --- retries


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


async def test_unreadable_store_keeps_failure(router: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A store that cannot be read is logged, and LiteLLM is told of the provider's failure and decides."""
    lost_store = mock.patch.object(compiled_router_retry, "any_in_rotation", side_effect=ConnectionError("no Redis"))
    with lost_store:
        outcome = await fails(Host(router), step("a"), answered(503))
    assert (outcome["status"], outcome["num_retries"]) == (503, None)
    assert f"LiteLLM decides on the retries of {GROUP}: no Redis" in caplog.text


def test_cooldown_is_told_after_sync_answer(router: Any) -> None:
    """What is to be told of a cooldown is told after a sync answer, too."""
    host = Host(router)
    told: list[str] = []
    asyncio.run(fails(host, step("a"), answered(429)))

    async def tell() -> None:
        await asyncio.sleep(0)  # as when it takes a lock
        told.append("a")

    def make_way(*_: Any) -> None:
        asyncio.ensure_future(tell())

    with mock.patch.object(compiled_router_retry, "make_way_for_the_fallback", make_way):
        retrying_by_policy_in_sync(lambda *_: {"ok": True})(host, step("z", level=1, group=OTHER))
    assert told == ["a"]


def test_sync_answer_without_thread(router: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A sync answer is not lost where no thread can be started for the cooldown."""
    host = Host(router)
    asyncio.run(fails(host, step("a"), answered(429)))
    attempt = retrying_by_policy_in_sync(lambda *_: {"ok": True})
    with mock.patch.object(compiled_router_retry, "ThreadPoolExecutor", side_effect=RuntimeError("no thread")):
        assert attempt(host, step("z", level=1, group=OTHER)) == {"ok": True}
    assert "No deployment was cooled down for the fallback: no thread" in caplog.text


@pytest.mark.parametrize(("status", "retries"), [(429, 0), (503, 0), (500, None)])
async def test_lone_deployment_yields_at_once(router: Any, status: int, retries: int | None) -> None:
    """A lone deployment with a fallback has no retries left at its first failure, unless one may help."""
    outcome = await fails(Host(router), step("a", among="a"), answered(status))
    assert (outcome["status"], outcome["num_retries"]) == (status, retries)


@COMPILED
@pytest.mark.parametrize(("order", "retries"), [(None, 0), (1, 0), (2, None)])
async def test_a_later_order_is_a_fallback_too(order: int | None, retries: int | None) -> None:
    """A later order is a fallback too, until the request is at the last one."""
    group = [deployment(name, "openai", NOWHERE, order=place) for name, place in (("a", 1), ("b", 2))]
    with routed(group) as router, mock.patch.object(compiled_router_retry, "router_of", lambda core: core.router):
        wish = {**step("a", among="a"), "target_order": order}
        assert (await fails(Host(router), wish, answered(429)))["num_retries"] == retries


@pytest.mark.parametrize(("depth", "retries"), [(4, 0), (5, None)])
async def test_a_fallback_beyond_the_limit_is_none(router: Any, depth: int, retries: int | None) -> None:
    """A fallback beyond LiteLLM's limit of five groups does not count."""
    wish = {**step("z", among="z", level=1, group=OTHER), "fallback_depth": depth}
    host = Host(router, fallbacks=[{OTHER: ["third"]}], model=GROUP)
    router.add_deployment(litellm.types.router.Deployment(**deployment("y", "openai", NOWHERE, group="third")))
    assert (await fails(host, wish, answered(429)))["num_retries"] == retries


async def test_lone_deployment_without_fallback(router: Any) -> None:
    """Without a fallback LiteLLM decides about a lone deployment, as it always has."""
    outcome = await fails(Host(router, fallbacks=[]), step("a", among="a"), answered(429))
    assert (outcome["status"], outcome["num_retries"]) == (429, None)


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


OF_THE_GATEWAY = (
    "Declined",
    "GuardrailIntervention",
    "CallerCredentialAuthenticationError",
    "CallerCredentialRateLimitError",
)


@pytest.mark.parametrize("name", OF_THE_GATEWAY)
async def test_what_the_gateway_refuses_is_left_to_litellm(router: Any, name: str) -> None:
    """What the gateway itself refuses, as by a guardrail, is left to LiteLLM, and no deployment makes way."""
    host = Host(router)
    await fails(host, step("a", among="a"), answered(429))
    error = type(name, (Exception,), {"status_code": 503})()
    assert (await fails(host, step("a", among="a"), error)) == told_of(error)
    with mock.patch.object(compiled_router_retry, "make_way_for_the_fallback") as make_way:
        await succeeds(host, step("z", among="z", level=1, group=OTHER))
    assert not make_way.called


def chosen(host: Host, *stages: tuple[str, Any], among: str = "abc") -> list[str]:
    """Whom the first stage of a choice leaves; each of `stages` has its answer, None being whoever is asked about."""

    def answer_to(self: Any, step: Any) -> Any:
        answer = dict(stages)[step["stage"]]
        return step["candidates"] if answer is None else answer

    select = among_the_untried_in_sync(answer_to)
    (first, _), *later = stages
    found = select(host, {"stage": first, "candidates": list(among), "model": GROUP})
    for stage, _ in later:
        select(host, {"stage": stage, "candidates": found, "model": GROUP})
    return list(found)


FIRST = ("callback_filters", None)


async def test_failed_deployments_are_not_offered(router: Any) -> None:
    """Deployments that have failed the request are not offered again, unless each has failed it."""
    host = Host(router)
    choice = {"stage": "callback_filters", "candidates": ["a", "b", "c"], "model": GROUP}

    async def select(self: Any, step: Any) -> Any:
        return step["candidates"]

    assert await among_the_untried(select)(host, choice) == ["a", "b", "c"]
    for name, left in (("a", ["b", "c"]), ("b", ["c"]), ("c", ["a", "b", "c"])):
        await fails(host, step(name), answered(500))
        assert await among_the_untried(select)(host, choice) == left
        assert chosen(host, FIRST) == left
    assert choice["candidates"] == ["a", "b", "c"]


def fact(limit: int | None = None, *, lacks: bool = False) -> dict[str, Any]:
    return {"max_input_tokens": limit, "lacks_params": lacks, "rejects_params": lacks}


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("callback_filters", (["a", "b"], None)),
        ("tags", ["a", "b"]),
        ("embedding_batch", ["b", "a"]),
        ("text_only", ["c"]),
        ("route_incapable", ["c"]),
        ("media_refusing", ["c"]),
        ("pre_call", {"input_tokens": 9, "deployments": {"a": fact(), "b": fact(9), "c": fact(8)}}),
        ("pre_call", {"input_tokens": 9, "deployments": {"a": fact(9), "b": fact(10), "c": fact(8)}}),
        ("pre_call", {"input_tokens": None, "deployments": {"a": fact(9), "b": fact(), "c": fact(lacks=True)}}),
    ],
)
async def test_retry_respects_earlier_filters(router: Any, stage: str, answer: Any) -> None:
    """A retry is between those that the stages of the choice before it have left."""
    host = Host(router)
    chosen(host, *([(stage, answer)] if stage == "callback_filters" else [FIRST, (stage, answer)]))
    await fails(host, step("a"), answered(500))
    assert chosen(host, FIRST) == ["b"]
    await fails(host, step("b"), answered(500))
    assert chosen(host, FIRST) == ["a", "b", "c"]  # whom the stages to come filter anew


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("text_only", ["a", "b", "c"]),
        ("pre_call", {"has_input": False}),
        ("strategy", ["a"]),
        ("routing_plugins", ["a-model"]),
    ],
)
async def test_unfiltering_stage_leaves_all(router: Any, stage: str, answer: Any) -> None:
    """A stage that filters nobody, such as a strategy, leaves all to a retry."""
    host = Host(router)
    chosen(host, FIRST, (stage, answer))
    await fails(host, step("a"), answered(500))
    assert chosen(host, FIRST) == ["b", "c"]


async def preferring(host: Host, name: str, *later: tuple[str, Any], prompt: str | None = None) -> Any:
    """The answer to the first stage of a choice, with a callback that keeps to deployment `name` and another one that
    knows where a `prompt` was cached. Of the `later` stages the strategy is asked about the preferred one alone."""

    @as_a_preference
    async def async_filter_deployments(_: Any, model: str, healthy_deployments: list[Any]) -> list[Any]:
        return [one for one in healthy_deployments if one["model_info"]["id"] == name] or healthy_deployments

    async def answer_to(self: Any, step: Any) -> Any:
        if step["stage"] != "callback_filters":
            return dict(later)[step["stage"]]
        records = [{"model_info": {"id": one}} for one in step["candidates"]]
        left = await async_filter_deployments(None, model=GROUP, healthy_deployments=records)
        return [one["model_info"]["id"] for one in left], prompt

    select = among_the_untried(answer_to)
    left, preferred = await select(host, {"stage": "callback_filters", "candidates": ["a", "b", "c"], "model": GROUP})
    for stage, _ in later:
        asked = [preferred] if stage == "strategy" else left
        await select(host, {"stage": stage, "candidates": asked, "model": GROUP})
    return left, preferred


async def test_a_preferred_deployment_gives_way_to_the_others(router: Any) -> None:
    """A preferred deployment is named beside the others, and gives way to them once it has failed."""
    host = Host(router)
    assert await preferring(host, "a", ("strategy", ["a"])) == (["a", "b", "c"], "a")
    for name, left in (("a", ["b", "c"]), ("b", ["c"])):
        assert (await fails(host, step(name), answered(404)))["status"] == COOLS_DOWN_AND_RETRIES
        assert await preferring(host, "a") == (left, None)
    assert (await fails(host, step("c", retry=2), answered(404)))["kind"] == "NotFoundError"


async def test_preference_respects_later_filters(router: Any) -> None:
    """A deployment that a later stage excludes is no other one to try for the preferred one."""
    host = Host(router, fallbacks=[])
    await preferring(host, "a", ("tags", ["a", "c"]), ("strategy", ["a"]))
    assert (await fails(host, step("a"), answered(404)))["status"] == COOLS_DOWN_AND_RETRIES
    assert (await preferring(host, "a", ("tags", ["c"])))[0] == ["c"]
    assert (await fails(host, step("c"), answered(404)))["status"] == 404


async def test_prompt_cache_is_a_preference(router: Any) -> None:
    """The deployment where a prompt was cached is preferred among several, after that of a session."""
    host = Host(router)
    assert await preferring(host, "nobody", ("strategy", ["a"]), prompt="a") == (["a", "b", "c"], "a")
    assert (await preferring(Host(router), "b", prompt="a"))[1] == "b"
    assert (await fails(host, step("a"), answered(404)))["status"] == COOLS_DOWN_AND_RETRIES
    assert await preferring(host, "nobody", prompt="c") == (["b", "c"], "c")


async def test_what_only_one_deployment_holds_is_preferred_there(router: Any) -> None:
    """A request for what only one deployment holds, such as a response to continue, keeps to that one."""
    host = Host(router, "aresponses", "generic", previous_response_id="r")
    await preferring(host, "a")
    assert (await fails(host, step("a"), answered(402)))["status"] == 402
    assert await preferring(host, "a") == (["a"], None)


async def test_retry_respects_router_exclusions(router: Any) -> None:
    """What the compiled router has left out by itself is left out of the retry."""
    host = Host(router)
    chosen(host, FIRST)
    chosen(host, ("strategy", ["a"]), among="ab")
    await fails(host, step("a"), answered(500))
    assert chosen(host, FIRST) == ["b"]


async def test_retry_respects_region() -> None:
    """A retry stays within the region that is asked for."""
    group = [deployment(name, "openai", NOWHERE, region_name=region) for name, region in (("a", "eu"), ("b", "eu"))]
    group.append(deployment("c", "openai", NOWHERE))
    with routed(group) as router, mock.patch.object(compiled_router_retry, "router_of", lambda core: core.router):
        host = Host(router)
        facts = {"allowed_model_region": "eu", "deployments": {name: fact() for name in "abc"}}
        chosen(host, FIRST, ("pre_call", facts))
        await fails(host, step("a"), answered(500))
        assert chosen(host, FIRST) == ["b"]


@pytest.mark.parametrize("group", ["another", "yet-another"])
async def test_choices_are_kept_per_group(router: Any, group: str) -> None:
    """Whom the choice of one group has left says nothing of the next group, which may share a deployment."""
    host = Host(router)
    chosen(host, FIRST, among="ab")
    await fails(host, step("a"), answered(500))
    select = among_the_untried_in_sync(lambda _, step: step["candidates"])
    assert select(host, {"stage": "callback_filters", "candidates": ["a", "z"], "model": group}) == ["z"]


async def test_choices_are_kept_per_order(router: Any) -> None:
    """Whom the choice of one order has left says nothing of the next order."""
    host = Host(router)
    chosen(host, FIRST)
    chosen(host, ("strategy", ["a"]), among="ab")
    await fails(host, step("a"), answered(500))
    select = among_the_untried_in_sync(lambda _, step: step["candidates"])
    later = {"stage": "callback_filters", "candidates": ["a", "b", "c"], "model": GROUP, "target_order": 2}
    assert select(host, later) == ["b", "c"]


async def test_what_was_rejected_is_offered_again(router: Any) -> None:
    """A deployment that rejected the request is offered again, as it is not to blame."""
    host = Host(router)
    await fails(host, step("a"), answered(400))
    assert chosen(host, FIRST, among="ab") == ["a", "b"]


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
    select = among_the_untried_in_sync(lambda *_: {"raised": True, "status": 429})
    assert select(host, {"stage": "strategy", "candidates": ["a"], "model": GROUP})["status"] == told


async def test_the_exception_says_what_was_tried(router: Any) -> None:
    """The exception says what was tried in each group that the request has been to."""
    host = Host(router)
    await fails(host, step("a"), answered(429))
    await fails(host, step("z", among="z", level=1, group=OTHER), answered(503))
    error = litellm.RateLimitError(message="no", model="", llm_provider="")
    assert saying_what_was_tried(lambda *_: error)(host, {}) is error
    attempts = error.failed_attempts  # type: ignore[attr-defined]
    assert [(one.model_group, one.deployment_id, one.status_code) for one in attempts] == [
        (GROUP, "a", 429),
        (OTHER, "z", 503),
    ]
    assert f"{OTHER}, deployment z: {FailureSignal.UNAVAILABLE.value} (503)" in error.message


async def test_alias_keeps_attempts(router: Any) -> None:
    """A group that is asked by an alias keeps its attempts."""
    host = Host(router)
    await fails(host, step("a"), answered(429))
    await fails(host, step("b", group="an-alias"), answered(429))
    error = litellm.RateLimitError(message="no", model="", llm_provider="")
    saying_what_was_tried(lambda *_: error)(host, {})
    assert [one.deployment_id for one in error.failed_attempts] == ["a", "b"]  # type: ignore[attr-defined]


async def test_what_was_never_tried_is_not_spoken_of(router: Any) -> None:
    """An exception before any attempt, as where no deployment was left, lists none."""
    error = ValueError("none")
    assert saying_what_was_tried(lambda *_: error)(Host(router), {}) is error
    assert not hasattr(error, "failed_attempts")


async def test_groups_before_fallback_make_way(router: Any) -> None:
    """Once the fallback has answered, the groups that led to it make way and no others."""
    host = Host(router)
    await fails(host, step("a", among="a"), answered(429))
    await fails(host, step("z", among="z", level=1, group=OTHER), answered(429))
    with mock.patch.object(compiled_router_retry, "make_way_for_the_fallback") as make_way:
        await succeeds(host, step("y", among="y", level=1, group="third"))
    assert [call.args[1].group for call in make_way.call_args_list] == [GROUP]


async def test_whole_fallback_path_makes_way(router: Any) -> None:
    """Each group on the way to the answer makes way, also where a fallback's own fallback answers."""
    host = Host(router)
    for level, group in ((0, GROUP), (1, OTHER), (2, "third")):
        await fails(host, step("a", level=level, group=group), answered(500))
    with mock.patch.object(compiled_router_retry, "make_way_for_the_fallback") as make_way:
        await succeeds(host, step("b", level=2, group="third"))
    assert [call.args[1].group for call in make_way.call_args_list] == [GROUP, OTHER]


async def test_where_the_way_ended_is_forgotten(router: Any) -> None:
    """A way that ended is forgotten, and the next one of the first group's list starts from there again."""
    host = Host(router)
    way = ((0, GROUP), (1, OTHER), (2, "third"), (1, "fourth"), (1, "zeroth"), (1, "fourth"))
    for level, group in way:
        await fails(host, step("a", level=level, group=group), answered(500))
    attempts = host.__dict__["failover_hops"][0].attempts
    assert [one.model_group for one in attempts] == [group for _, group in way]
    with mock.patch.object(compiled_router_retry, "make_way_for_the_fallback") as make_way:
        await succeeds(host, step("b", level=1, group="fourth"))
    assert [call.args[1].group for call in make_way.call_args_list] == [GROUP]


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


async def test_other_group_gives_no_alternative(router: Any) -> None:
    """A deployment of another group that has failed leaves this group no other one to try."""
    host = Host(router, model=GROUP)
    await fails(host, step("a", among="a"), answered(429))
    outcome = await fails(host, step("z", among="z", level=1, group=OTHER), answered(404))
    assert outcome["status"] == 404


async def test_cooling_group_keeps_its_fallbacks(router: Any) -> None:
    """A fallback makes way for the next one even if the first group had nobody to choose."""
    host = Host(router, model=GROUP, fallbacks=[{GROUP: ["third", OTHER]}])
    outcome = await fails(host, step("y", among="y", level=1, group="third"), answered(429))
    assert outcome["num_retries"] == 0


@pytest.mark.parametrize(
    "decorator",
    [
        cooling_down_by_policy,
        naming_no_failure_of_the_deployment,
        retrying_by_policy,
        retrying_by_policy_in_sync,
        among_the_untried,
        among_the_untried_in_sync,
        saying_what_was_tried,
    ],
)
def test_what_is_wrapped_keeps_its_name(decorator: Any) -> None:
    """A wrapped function keeps its name, which upstream's traces and profiles show."""
    assert decorator(told_of).__name__ == "told_of"


def test_a_sync_attempt_is_noted_as_well(router: Any) -> None:
    """A sync attempt is noted by the same rules as an async one."""

    def attempt(self: Any, step: Any) -> Any:
        return self._failed(step, {}, None, answered(402))

    assert retrying_by_policy_in_sync(attempt)(Host(router), step("a"))["status"] == COOLS_DOWN_AND_RETRIES


# --- the compiled router itself


def what_becomes_of(told: dict[str, Any], size: int, retries: int = 0, **settings: Any) -> tuple[list[str], list[str]]:
    """The deployments the compiled router tries if it is told of each attempt what is `told`, and those it cools
    down."""
    group = [deployment(name, "openai", NOWHERE) for name in "abcd"[:size]]
    tried: list[str] = []

    async def attempt(self: Any, step: Any) -> Any:
        tried.append(step["deployment_id"])
        self._last_error = self._level_errors[0] = answered(500)
        nobody_elses = {"outside_deployment": False, "caller_scoped": False, "recorded": False}
        return {**told_of(answered(500)), **nobody_elses, "detail": "", **told}

    with routed(group, num_retries=retries, **settings) as router:
        driver = importlib.import_module("litellm.router_rust.core")._Driver
        with mock.patch.object(driver, "attempt", attempt), pytest.raises(BaseLLMException):
            asyncio.run(router.acompletion(model=GROUP, messages=MESSAGES))  # type: ignore[arg-type]
        active = router.cooldown_cache.get_active_cooldowns(model_ids=list("abcd"), parent_otel_span=None)
    return tried, [name for name, _ in active]


@COMPILED
@pytest.mark.parametrize(
    ("status", "retried", "cools_down", "cools_down_alone"),
    [
        (COOLS_DOWN_AND_RETRIES, True, True, True),
        (402, False, True, False),
        (REJECTS, False, False, False),
        (500, True, False, False),
        (429, True, True, False),
        (404, False, True, True),
    ],
)
def test_compiled_router_obeys_status(status: int, retried: bool, cools_down: bool, cools_down_alone: bool) -> None:
    """The compiled router does with each status, about cooldown and retry, what it is told for."""
    tried, cooling = what_becomes_of({"status": status}, size=3, retries=1)
    assert len(tried) == 1 + retried
    assert set(cooling) == (set(tried) if cools_down else set())
    assert bool(what_becomes_of({"status": status}, size=1)[1]) is cools_down_alone
    assert (status in NOT_RETRIED) is (status in (402, 404))


@COMPILED
def test_the_compiled_router_goes_by_names_too() -> None:
    """The compiled router never cools down for an APIConnectionError and never retries a NotFoundError."""
    connection = {"kind": "APIConnectionError", "status": 429}
    assert what_becomes_of(connection, size=2)[1] == []
    missing = {"kind": "NotFoundError", "classes": ["NotFoundError"], "status": 500}
    assert len(what_becomes_of(missing, size=2, retries=1)[0]) == 1


@COMPILED
def test_retries_are_read_at_first_failure() -> None:
    """The compiled router reads the number of retries at the first failure."""
    assert len(what_becomes_of({"status": 500, "num_retries": 0}, size=3, retries=2)[0]) == 1


@COMPILED
@pytest.mark.parametrize("fault", ["500", "400"])
@pytest.mark.parametrize("strategy", ["simple-shuffle", "least-busy"])
@pytest.mark.parametrize("mode", MODES)
async def test_later_order_is_asked(mode: str, strategy: str, fault: str) -> None:
    """A later order is asked whatever chose among the first, also if one of that has not been tried."""
    with FaultyProvider(FAULTS[fault]) as bad, FaultyProvider() as good:
        first = [deployment(name, "openai", bad.url, order=1) for name in "ab"]
        group = [*first, deployment("c", "openai", good.url, order=2)]
        with routed(group, num_retries=0, routing_strategy=strategy) as router:
            assert await outcomes(router, 1, mode) == ["pong"]


@COMPILED
def test_sync_cooldown_reaches_listeners() -> None:
    """A cooldown that follows a sync answer is told to who listens, such as Prometheus."""
    told = mock.AsyncMock()
    listener = mock.patch("litellm.router_utils.cooldown_handlers.router_cooldown_event_callback", told)
    with FaultyProvider(FAULTS["503"]) as primary, FaultyProvider() as substitute, listener:
        group = [
            deployment("a", "openai", primary.url),
            deployment("z", "openai", substitute.url, group=OTHER),
        ]
        with routed(group, num_retries=0, fallbacks=[{GROUP: [OTHER]}]) as router:
            router.completion(model=GROUP, messages=MESSAGES)
    assert [call.kwargs["deployment_id"] for call in told.await_args_list] == ["a"]


@COMPILED
def test_a_core_is_enough_to_know_its_router() -> None:
    """A core is enough to know the deployments of a router that is gone."""
    with callbacks_put_back():
        router: Any = litellm.Router(model_list=[deployment("a", "openai", NOWHERE)])
        core = router._core
        del router
        gc.collect()
        assert core._core_owner() is None
        assert compiled_router_cooldown.router_of(core).get_model_ids() == ["a"]


@COMPILED
def test_unavailable_switch_is_refused() -> None:
    """A switch that is not available with the compiled router is refused by name."""
    with pytest.raises(TypeError, match="automatic_fallbacks"), routed([], automatic_fallbacks=True):
        pass
