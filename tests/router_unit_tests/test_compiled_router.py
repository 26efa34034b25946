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
def test_a_connection_error_has_its_name_only_if_it_is_litellms_own_failure(error: Exception, name: str) -> None:
    """The name alone keeps the compiled router from a cooldown (#27362)."""

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
    """Where the policy table wants one that the provider's own status does not lead to, and the failure proves it."""
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
async def test_what_another_deployment_may_do_is_told_as_what_is_retried(
    router: Any, error: Exception, told: int
) -> None:
    """And what the request itself is to blame for as what is not."""
    outcome = await fails(Host(router), step("a"), error)
    assert outcome["status"] == told
    assert outcome["num_retries"] is None


async def test_a_missing_model_goes_by_another_name(router: Any) -> None:
    """The compiled router never retries a NotFoundError, whatever its status."""
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
    """A user's retry policy goes by it."""
    assert (await fails(Host(router), step("a"), error))["kind"] == type(error).__name__


@pytest.mark.parametrize(("status", "name"), [(429, "NotFoundError"), (503, "NotFoundError"), (500, ANY_ERROR)])
async def test_once_each_has_failed_the_fallback_is_asked(router: Any, status: int, name: str) -> None:
    """With one attempt at each; after a 500, though, the same deployment may do. The status stays, for the cooldown."""
    host = Host(router)
    for one in "ab":
        outcome = await fails(host, step(one), answered(status))
        assert (outcome["kind"], outcome["status"]) == (ANY_ERROR, status)
    outcome = await fails(host, step("c", retry=2), answered(status))
    assert (outcome["kind"], outcome["status"]) == (name, status)
    assert (outcome["classes"][-1] == name) is (name == "NotFoundError")


@pytest.mark.parametrize(("left", "retries"), [("ab", None), ("a", 0)])
async def test_a_deployment_that_the_choice_has_left_out_is_no_other_one(
    router: Any, left: str, retries: int | None
) -> None:
    """As what is cooling down, or what a filter lets not pass."""
    host = Host(router)
    chosen(host, FIRST, among=left)
    assert (await fails(host, step("a"), answered(503)))["num_retries"] == retries


@pytest.mark.parametrize(("cooling", "retries"), [("", None), ("b", None), ("bc", 0)])
async def test_without_a_choice_a_deployment_that_is_cooling_down_is_no_other_one(
    router: Any, cooling: str, retries: int | None
) -> None:
    """Where nothing is asked of the host."""
    for name in cooling:
        router.cooldown_cache.add_deployment_to_cooldown(name, answered(429), 429, 60)
    assert (await fails(Host(router), step("a"), answered(503)))["num_retries"] == retries


async def test_a_store_that_cannot_be_read_does_not_take_the_providers_failure(
    router: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """LiteLLM is told of it, and decides."""
    lost_store = mock.patch.object(compiled_router_retry, "any_in_rotation", side_effect=ConnectionError("no Redis"))
    with lost_store:
        outcome = await fails(Host(router), step("a"), answered(503))
    assert (outcome["status"], outcome["num_retries"]) == (503, None)
    assert f"LiteLLM decides on the retries of {GROUP}: no Redis" in caplog.text


def test_what_is_to_be_told_of_a_cooldown_is_told_after_a_sync_answer(router: Any) -> None:
    """LiteLLM leaves that to the event loop."""
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


def test_a_sync_answer_is_not_lost_where_no_thread_can_be_started(
    router: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """As when the interpreter is about to end."""
    host = Host(router)
    asyncio.run(fails(host, step("a"), answered(429)))
    attempt = retrying_by_policy_in_sync(lambda *_: {"ok": True})
    with mock.patch.object(compiled_router_retry, "ThreadPoolExecutor", side_effect=RuntimeError("no thread")):
        assert attempt(host, step("z", level=1, group=OTHER)) == {"ok": True}
    assert "No deployment was cooled down for the fallback: no thread" in caplog.text


@pytest.mark.parametrize(("status", "retries"), [(429, 0), (503, 0), (500, None)])
async def test_a_lone_deployment_makes_way_at_its_first_failure(router: Any, status: int, retries: int | None) -> None:
    """By having no retries left, so that the status stays what decides about the cooldown."""
    outcome = await fails(Host(router), step("a", among="a"), answered(status))
    assert (outcome["status"], outcome["num_retries"]) == (status, retries)


@COMPILED
@pytest.mark.parametrize(("order", "retries"), [(None, 0), (1, 0), (2, None)])
async def test_a_later_order_is_a_fallback_too(order: int | None, retries: int | None) -> None:
    """Of which the request may be at the last one."""
    group = [deployment(name, "openai", NOWHERE, order=place) for name, place in (("a", 1), ("b", 2))]
    with routed(group) as router, mock.patch.object(compiled_router_retry, "router_of", lambda core: core.router):
        wish = {**step("a", among="a"), "target_order": order}
        assert (await fails(Host(router), wish, answered(429)))["num_retries"] == retries


@pytest.mark.parametrize(("depth", "retries"), [(4, 0), (5, None)])
async def test_a_fallback_beyond_the_limit_is_none(router: Any, depth: int, retries: int | None) -> None:
    """LiteLLM's is of five groups."""
    wish = {**step("z", among="z", level=1, group=OTHER), "fallback_depth": depth}
    host = Host(router, fallbacks=[{OTHER: ["third"]}], model=GROUP)
    router.add_deployment(litellm.types.router.Deployment(**deployment("y", "openai", NOWHERE, group="third")))
    assert (await fails(host, wish, answered(429)))["num_retries"] == retries


async def test_without_a_fallback_litellm_decides_about_a_lone_deployment(router: Any) -> None:
    """As it always has."""
    outcome = await fails(Host(router, fallbacks=[]), step("a", among="a"), answered(429))
    assert (outcome["status"], outcome["num_retries"]) == (429, None)


async def test_what_only_one_deployment_holds_is_left_to_litellm(router: Any) -> None:
    """A file is where it was uploaded, and a response where it was given."""
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
    """A guardrail, say, speaks of the request, with whatever status; no deployment has failed, nor makes way."""
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


async def test_those_that_have_failed_the_request_are_not_offered_again(router: Any) -> None:
    """Before anything else is asked about a choice; unless each has failed it."""
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
async def test_a_retry_is_between_those_that_the_choice_before_has_left(router: Any, stage: str, answer: Any) -> None:
    """Of the others the stages to come would leave nobody, and the router an error about that."""
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
async def test_a_stage_that_filters_nobody_leaves_all_to_a_retry(router: Any, stage: str, answer: Any) -> None:
    """As a strategy, which says whom it would choose, or a filter that nobody would pass."""
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
    """It is named beside them, so that the compiled router asks the strategy about it alone."""
    host = Host(router)
    assert await preferring(host, "a", ("strategy", ["a"])) == (["a", "b", "c"], "a")
    for name, left in (("a", ["b", "c"]), ("b", ["c"])):
        assert (await fails(host, step(name), answered(404)))["status"] == COOLS_DOWN_AND_RETRIES
        assert await preferring(host, "a") == (left, None)
    assert (await fails(host, step("c", retry=2), answered(404)))["kind"] == "NotFoundError"


async def test_whom_a_later_stage_excludes_is_no_other_one_for_the_preferred_one(router: Any) -> None:
    """As for any."""
    host = Host(router, fallbacks=[])
    await preferring(host, "a", ("tags", ["a", "c"]), ("strategy", ["a"]))
    assert (await fails(host, step("a"), answered(404)))["status"] == COOLS_DOWN_AND_RETRIES
    assert (await preferring(host, "a", ("tags", ["c"])))[0] == ["c"]
    assert (await fails(host, step("c"), answered(404)))["status"] == 404


async def test_where_a_prompt_was_cached_is_one_of_several_deployments(router: Any) -> None:
    """Which the compiled router's host says by itself. A session comes first."""
    host = Host(router)
    assert await preferring(host, "nobody", ("strategy", ["a"]), prompt="a") == (["a", "b", "c"], "a")
    assert (await preferring(Host(router), "b", prompt="a"))[1] == "b"
    assert (await fails(host, step("a"), answered(404)))["status"] == COOLS_DOWN_AND_RETRIES
    assert await preferring(host, "nobody", prompt="c") == (["b", "c"], "c")


async def test_what_only_one_deployment_holds_is_preferred_there(router: Any) -> None:
    """A response, say, that is continued."""
    host = Host(router, "aresponses", "generic", previous_response_id="r")
    await preferring(host, "a")
    assert (await fails(host, step("a"), answered(402)))["status"] == 402
    assert await preferring(host, "a") == (["a"], None)


async def test_what_the_compiled_router_has_left_out_by_itself_is_left_out_of_the_retry(router: Any) -> None:
    """The last stage is about those that are left."""
    host = Host(router)
    chosen(host, FIRST)
    chosen(host, ("strategy", ["a"]), among="ab")
    await fails(host, step("a"), answered(500))
    assert chosen(host, FIRST) == ["b"]


async def test_a_retry_stays_within_the_region_that_is_asked_for() -> None:
    """It is the deployment's, of which the router does not speak."""
    group = [deployment(name, "openai", NOWHERE, region_name=region) for name, region in (("a", "eu"), ("b", "eu"))]
    group.append(deployment("c", "openai", NOWHERE))
    with routed(group) as router, mock.patch.object(compiled_router_retry, "router_of", lambda core: core.router):
        host = Host(router)
        facts = {"allowed_model_region": "eu", "deployments": {name: fact() for name in "abc"}}
        chosen(host, FIRST, ("pre_call", facts))
        await fails(host, step("a"), answered(500))
        assert chosen(host, FIRST) == ["b"]


@pytest.mark.parametrize("group", ["another", "yet-another"])
async def test_what_one_group_has_left_says_nothing_of_the_next(router: Any, group: str) -> None:
    """They may share a deployment."""
    host = Host(router)
    chosen(host, FIRST, among="ab")
    await fails(host, step("a"), answered(500))
    select = among_the_untried_in_sync(lambda _, step: step["candidates"])
    assert select(host, {"stage": "callback_filters", "candidates": ["a", "z"], "model": group}) == ["z"]


async def test_what_one_order_has_left_says_nothing_of_the_next(router: Any) -> None:
    """The deployments of all orders are offered, and those of another one filtered out later."""
    host = Host(router)
    chosen(host, FIRST)
    chosen(host, ("strategy", ["a"]), among="ab")
    await fails(host, step("a"), answered(500))
    select = among_the_untried_in_sync(lambda _, step: step["candidates"])
    later = {"stage": "callback_filters", "candidates": ["a", "b", "c"], "model": GROUP, "target_order": 2}
    assert select(host, later) == ["b", "c"]


async def test_what_was_rejected_is_offered_again(router: Any) -> None:
    """Its deployment is not to blame."""
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
def test_under_the_routers_own_limit_a_fallback_is_asked(
    router: Any, error: Exception, fallbacks: list[Any] | None, told: int
) -> None:
    """No deployment could be chosen; one without a fallback, and what is no limit, is left to LiteLLM."""
    host = Host(router)
    host._request = {} if fallbacks is None else {"fallbacks": fallbacks}
    host._last_error = error
    select = among_the_untried_in_sync(lambda *_: {"raised": True, "status": 429})
    assert select(host, {"stage": "strategy", "candidates": ["a"], "model": GROUP})["status"] == told


async def test_the_exception_says_what_was_tried(router: Any) -> None:
    """In each group the request has been to."""
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


async def test_a_group_that_is_asked_by_another_name_keeps_its_attempts(router: Any) -> None:
    """An alias is another name of the first group, where a fallback's is another group."""
    host = Host(router)
    await fails(host, step("a"), answered(429))
    await fails(host, step("b", group="an-alias"), answered(429))
    error = litellm.RateLimitError(message="no", model="", llm_provider="")
    saying_what_was_tried(lambda *_: error)(host, {})
    assert [one.deployment_id for one in error.failed_attempts] == ["a", "b"]  # type: ignore[attr-defined]


async def test_what_was_never_tried_is_not_spoken_of(router: Any) -> None:
    """As where no deployment was left."""
    error = ValueError("none")
    assert saying_what_was_tried(lambda *_: error)(Host(router), {}) is error
    assert not hasattr(error, "failed_attempts")


async def test_once_the_fallback_has_answered_the_groups_before_it_make_way(router: Any) -> None:
    """Those that led to it, and not one that was left for another of the same level."""
    host = Host(router)
    await fails(host, step("a", among="a"), answered(429))
    await fails(host, step("z", among="z", level=1, group=OTHER), answered(429))
    with mock.patch.object(compiled_router_retry, "make_way_for_the_fallback") as make_way:
        await succeeds(host, step("y", among="y", level=1, group="third"))
    assert [call.args[1].group for call in make_way.call_args_list] == [GROUP]


async def test_each_group_on_the_way_to_the_answer_makes_way(router: Any) -> None:
    """A fallback's own fallback may be what answers, at its second attempt."""
    host = Host(router)
    for level, group in ((0, GROUP), (1, OTHER), (2, "third")):
        await fails(host, step("a", level=level, group=group), answered(500))
    with mock.patch.object(compiled_router_retry, "make_way_for_the_fallback") as make_way:
        await succeeds(host, step("b", level=2, group="third"))
    assert [call.args[1].group for call in make_way.call_args_list] == [GROUP, OTHER]


async def test_where_the_way_ended_is_forgotten(router: Any) -> None:
    """The next one of the first group's list starts from there again."""
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
async def test_a_fallbacks_fallback_makes_way_for_the_next_one_of_its_list(
    router: Any, third: list[str], retries: int | None
) -> None:
    """If there is one: the lists of the groups before it have been asked."""
    for name, group in (("x", "third"), ("y", "fourth")):
        router.add_deployment(litellm.types.router.Deployment(**deployment(name, "openai", NOWHERE, group=group)))
    host = Host(router, model=GROUP, fallbacks=[{GROUP: [OTHER]}, {OTHER: third}])
    await fails(host, step("a", among="a"), answered(429))
    await fails(host, step("z", among="z", level=1, group=OTHER), answered(429))
    outcome = await fails(host, step("x", among="x", level=2, group="third"), answered(429))
    assert outcome["num_retries"] == retries


async def test_a_fallback_of_a_fallback_is_none_of_the_next_one_in_the_list(router: Any) -> None:
    """That which stands beside another one does not come after it."""
    for name, group in (("x", "third"), ("y", "fourth")):
        router.add_deployment(litellm.types.router.Deployment(**deployment(name, "openai", NOWHERE, group=group)))
    host = Host(router, model=GROUP, fallbacks=[{GROUP: [OTHER, "fourth"]}, {OTHER: ["third"]}])
    await fails(host, step("a", among="a"), answered(429))
    await fails(host, step("z", among="z", level=1, group=OTHER), answered(400))
    outcome = await fails(host, step("y", among="y", level=1, group="fourth"), answered(429))
    assert outcome["num_retries"] is None


async def test_what_another_group_has_failed_is_no_other_one_to_try(router: Any) -> None:
    """Where nobody was asked to choose."""
    host = Host(router, model=GROUP)
    await fails(host, step("a", among="a"), answered(429))
    outcome = await fails(host, step("z", among="z", level=1, group=OTHER), answered(404))
    assert outcome["status"] == 404


async def test_a_fallback_whose_group_had_nobody_to_choose_makes_way_for_the_next_one(router: Any) -> None:
    """The group that was asked for may be cooling down as a whole; its list of fallbacks holds all the same."""
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
    """Upstream's traces and profiles show it."""
    assert decorator(told_of).__name__ == "told_of"


def test_a_sync_attempt_is_noted_as_well(router: Any) -> None:
    """By the same rules."""

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
def test_the_compiled_router_does_with_a_status_what_it_is_told_for(
    status: int, retried: bool, cools_down: bool, cools_down_alone: bool
) -> None:
    """All that is told rests on this."""
    tried, cooling = what_becomes_of({"status": status}, size=3, retries=1)
    assert len(tried) == 1 + retried
    assert set(cooling) == (set(tried) if cools_down else set())
    assert bool(what_becomes_of({"status": status}, size=1)[1]) is cools_down_alone
    assert (status in NOT_RETRIED) is (status in (402, 404))


@COMPILED
def test_the_compiled_router_goes_by_names_too() -> None:
    """It never cools down for the one, and never retries the other."""
    connection = {"kind": "APIConnectionError", "status": 429}
    assert what_becomes_of(connection, size=2)[1] == []
    missing = {"kind": "NotFoundError", "classes": ["NotFoundError"], "status": 500}
    assert len(what_becomes_of(missing, size=2, retries=1)[0]) == 1


@COMPILED
def test_the_number_of_retries_is_read_at_the_first_failure() -> None:
    """Which is how a lone deployment makes way."""
    assert len(what_becomes_of({"status": 500, "num_retries": 0}, size=3, retries=2)[0]) == 1


@COMPILED
@pytest.mark.parametrize("fault", ["500", "400"])
@pytest.mark.parametrize("strategy", ["simple-shuffle", "least-busy"])
@pytest.mark.parametrize("mode", MODES)
async def test_a_later_order_is_asked_whatever_chose_among_the_first(mode: str, strategy: str, fault: str) -> None:
    """Also where one of the first order has not been tried."""
    with FaultyProvider(FAULTS[fault]) as bad, FaultyProvider() as good:
        first = [deployment(name, "openai", bad.url, order=1) for name in "ab"]
        group = [*first, deployment("c", "openai", good.url, order=2)]
        with routed(group, num_retries=0, routing_strategy=strategy) as router:
            assert await outcomes(router, 1, mode) == ["pong"]


@COMPILED
def test_a_cooldown_that_follows_a_sync_answer_is_told_to_who_listens() -> None:
    """To Prometheus, say: LiteLLM leaves that to an event loop, which a sync caller need not have."""
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
    """The router that was made for it may be gone while a request is under way."""
    with callbacks_put_back():
        router: Any = litellm.Router(model_list=[deployment("a", "openai", NOWHERE)])
        core = router._core
        del router
        gc.collect()
        assert core._core_owner() is None
        assert compiled_router_cooldown.router_of(core).get_model_ids() == ["a"]


@COMPILED
def test_a_switch_that_is_not_available_is_refused_by_name() -> None:
    """Nobody is to count on fallbacks that are not there."""
    with pytest.raises(TypeError, match="automatic_fallbacks"), routed([], automatic_fallbacks=True):
        pass
