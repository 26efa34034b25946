"""What a request remembers of its attempts, and what follows for the next one, without a provider or a socket."""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import httpx
import litellm
import litellm.google_genai
import pytest
from litellm import CustomStreamWrapper, Router
from litellm.litellm_core_utils.failure_signal import FailureSignal
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.router_utils import failover_attempts
from litellm.router_utils.failover_attempts import (
    FailedAttempt,
    as_a_preference,
    choosing,
    noting_its_failure,
    noting_the_deployment,
    remembering_attempts,
    retry_by_policy,
    unasked,
    untried,
)
from litellm.router_utils.pre_call_checks.deployment_affinity_check import DeploymentAffinityCheck
from litellm.types.router import AllowedFailsPolicy, Deployment

from support.routing import COMPILED_ROUTER, GROUP, cooldown_seconds, cooling_down, deployment, failures, routed

NOWHERE = "http://127.0.0.1:9"
ANOTHER = "another-group"
RATE_LIMITED = 429  # blamed on the deployment; on the same one a retry cannot help
BROKEN = 500  # blamed on the deployment; the same one may do
REJECTED = 400
ERROR = KeyError("choices")  # no provider's


def status(code: object) -> Any:
    return BaseLLMException(status_code=code, message="no")  # type: ignore[arg-type]


@pytest.fixture
def router() -> Iterator[Any]:
    """Three deployments of one group, one of another."""
    group = [deployment(name, "openai", NOWHERE) for name in "abc"]
    with routed([*group, deployment("z", "openai", NOWHERE, group=ANOTHER)]) as router:
        yield router


def members(router: Any, group: str = GROUP) -> list[Any]:
    return router.get_model_list(model_name=group) or []


def ids(deployments: Sequence[Any]) -> list[str]:
    return [one["model_info"]["id"] for one in deployments]


Body = Callable[[], Awaitable[Any]]


async def request(router: Any, body: Body, *, model: str = GROUP, **kwargs: Any) -> Any:
    """`body` as a request to `model`, or as its fallback to `model` where `fallback_depth` says so."""

    @remembering_attempts
    async def async_function_with_fallbacks(_: Any, **__: Any) -> Any:
        return await body()

    return await async_function_with_fallbacks(router, model=model, **kwargs)


async def _acompletion(**_: Any) -> None:
    """A method of the router by this name serves chat completions."""


async def attempt(
    router: Any,
    name: str,
    outcome: object,
    *,
    by: Any = _acompletion,
    among: list[Any] | None = None,
    preferring: Sequence[str] = (),
    **kwargs: Any,
) -> Any:
    """An attempt as the router makes one: out of those left, at deployment `name`, which raises or returns `outcome`.

    The router chooses `among` the group's deployments that are not cooling down, with callbacks `preferring` some.
    """
    chosen = {"model_info": {"id": name}}

    @noting_the_deployment
    def _update_kwargs_with_deployment(_: Any, deployment: Any, kwargs: dict[str, Any]) -> None:
        kwargs["model_info"] = deployment["model_info"]

    @noting_its_failure
    async def make_call(self: Any, original_function: Any, **_: Any) -> Any:
        left = await preferred(router, *preferring)
        untried(left if among is None else among)
        _update_kwargs_with_deployment(self, chosen, {})
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return await make_call(router, by, **kwargs)


async def fails(router: Any, name: str, error: Exception, **kwargs: Any) -> None:
    with pytest.raises(type(error)):
        await attempt(router, name, error, **kwargs)


async def offered(router: Any, preferring: Sequence[str] = (), by: Any = _acompletion) -> list[str]:
    """The deployments the next attempt may choose from."""

    @noting_its_failure
    async def make_call(*_: Any, **__: Any) -> Any:
        return ids(untried(await preferred(router, *preferring)))

    chosen_from: list[str] = await make_call(router, by)
    return chosen_from


async def preferred(router: Any, *preferences: str, among: list[Any] | None = None) -> list[Any]:
    """The deployments that are left by callbacks, each of which keeps to some."""

    @as_a_preference
    async def async_filter_deployments(names: Any, model: str, healthy_deployments: list[Any]) -> list[Any]:
        return [one for one in healthy_deployments if one["model_info"]["id"] in names] or healthy_deployments

    left = members(router) if among is None else among
    for names in preferences:
        left = await async_filter_deployments(names, model=GROUP, healthy_deployments=left)
    return left


async def attempts_of(router: Any, body: Body, **kwargs: Any) -> list[tuple[str, str, str, int | None]]:
    """What is noted of a request in which `body` happens before it fails."""

    async def then_fails() -> None:
        await body()
        raise KeyError("choices")

    with pytest.raises(KeyError) as raised:
        await request(router, then_fails, **kwargs)
    noted = raised.value.failed_attempts  # type: ignore[attr-defined]
    return [(one.deployment_id, one.model_group, one.signal.value, one.status_code) for one in noted]


# --- what is noted


async def test_each_failed_attempt_is_noted(router: Any) -> None:
    """Each failed attempt is noted with deployment, group, signal and status, and one that succeeds is not."""

    async def body() -> None:
        await fails(router, "a", status(429))
        await fails(router, "b", httpx.ConnectError("refused"))
        assert await attempt(router, "c", "an answer") == "an answer"
        await fails(router, "c", status("502"))

    assert await attempts_of(router, body) == [
        ("a", GROUP, "rate_limited", 429),
        ("b", GROUP, "unreachable", None),
        ("c", GROUP, "server_error", 502),
    ]


async def test_an_attempt_that_got_no_deployment_is_none(router: Any) -> None:
    """An attempt that got no deployment is not noted, nor does it inherit the one before it."""

    async def body() -> None:
        await fails(router, "a", status(429))

        @noting_its_failure
        async def make_call(*_: Any, **__: Any) -> None:
            raise status(429)

        with pytest.raises(BaseLLMException):
            await make_call(router, _acompletion)
        assert retry_by_policy(ERROR, members(router), members(router)) is None

    assert [one[0] for one in await attempts_of(router, body)] == ["a"]


async def test_outside_of_a_request_nothing_is_remembered(router: Any) -> None:
    """Attempts outside of a request are not remembered."""
    deployments = members(router)
    await fails(router, "a", status(429))
    assert untried(deployments) is deployments
    assert retry_by_policy(ERROR, deployments, deployments) is None


async def test_a_request_leaves_nothing_behind(router: Any) -> None:
    """A request leaves its attempts neither to what follows it nor to a request made within it."""

    async def body() -> None:
        await fails(router, "a", status(429))
        assert await offered(router) == ["b", "c"]

        async def another() -> None:
            assert await offered(router) == ["a", "b", "c"]

        assert await attempts_of(router, another) == []
        assert await offered(router) == ["b", "c"]

    assert len(await attempts_of(router, body)) == 1
    assert untried(deployments := members(router)) is deployments


ANY_DEPLOYMENT_WILL_DO = (
    "_acompletion",
    "_completion",
    "_atext_completion",
    "_aadapter_completion",
    "_aembedding",
    "_embedding",
    "_arerank",
    "_aimage_generation",
    "_image_generation",
    "_aspeech",
    "_atranscription",
    "agenerate_content",
    "agenerate_content_stream",
    "amoderation",
    "anthropic_messages",
    "aresponses",
)
HELD_BY_ONE_PROVIDER = ("_acreate_file", "_acreate_batch", "_acancel_batch", "aget_responses", "avideo_status")


def named(name: str) -> Callable[..., None]:
    """A function by that name."""

    def function(**_: Any) -> None: ...

    function.__name__ = name
    return function


@pytest.mark.parametrize("name", [*ANY_DEPLOYMENT_WILL_DO, *HELD_BY_ONE_PROVIDER])
async def test_attempts_are_noted_where_any_deployment_will_do(router: Any, name: str) -> None:
    """Attempts are noted where any deployment will do, and not for what one provider holds."""
    noted = name in ANY_DEPLOYMENT_WILL_DO

    async def directly() -> None:
        await fails(router, "a", status(429), by=named(name))
        assert await offered(router) == (["b", "c"] if noted else ["a", "b", "c"])

    async def by_way_of_the_generic_method() -> None:
        await fails(router, "a", status(429), by=named("_ageneric_api_call"), original_generic_function=named(name))

    assert len(await attempts_of(router, directly)) == noted
    assert len(await attempts_of(router, by_way_of_the_generic_method)) == noted


async def test_nameless_function_is_left_to_litellm(router: Any) -> None:
    """Attempts by a function without a name, as a user's may be, are left to LiteLLM's own rule."""

    async def body() -> None:
        await fails(router, "a", status(429), by=functools.partial(_acompletion))

    assert await attempts_of(router, body) == []


def test_every_name_is_one_of_litellms() -> None:
    """Every name in the list is a method of LiteLLM's router or a function of its package."""
    places = (Router, litellm, litellm.google_genai)
    names = {name.lstrip("_") if COMPILED_ROUTER else name for name in ANY_DEPLOYMENT_WILL_DO}
    missing = {name for name in names if not any(hasattr(place, name) for place in places)}
    assert missing <= {"_aspeech"}  # younger than 1.82.6


GENERIC = "_ageneric_api_call"


@pytest.mark.parametrize("what", ["previous_response_id", "conversation", "prompt"])
async def test_provider_bound_request_is_not_noted(router: Any, what: str) -> None:
    """A request that names something only one provider has is left to LiteLLM's own rule."""

    async def body() -> None:
        held: Any = {"id": "id_1"} if what == "prompt" else "id_1"  # a prompt's text names nothing
        for value in (held, None, ""):
            generic = {"original_generic_function": named("aresponses"), what: value}
            await fails(router, "abc"[len(value or "") % 3], status(429), by=named(GENERIC), **generic)
        await fails(router, "b", status(429), **{what: "of a chat completion"})

    assert [one[0] for one in await attempts_of(router, body)] == ["a", "a", "b"]


@pytest.mark.parametrize(
    ("request_parts", "code", "signal"),
    [
        ({"input": [{"type": "input_file", "file_id": "file_1"}]}, 404, "request_rejected"),
        ({"messages": [{"content": [{"file": {"file_id": "file_1"}}]}]}, 404, "request_rejected"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, 404, "request_rejected"),
        ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, 404, "request_rejected"),
        ({"tools": [{"type": "web_search"}], "messages": [], "input": None}, 404, "model_missing"),
        ({"prompt": "which file_id?"}, 404, "model_missing"),
        ({"input": "file_id"}, 403, "bad_credentials"),
        ({"input": "file_id"}, 405, "request_rejected"),
        ({"input": "file_id"}, 503, "unavailable"),
        ({}, 404, "model_missing"),
    ],
)
async def test_404_for_named_resource_is_rejection(
    router: Any, request_parts: dict[str, Any], code: int, signal: str
) -> None:
    """A 404 that may be about what the caller named counts as a rejected request."""

    async def body() -> None:
        await fails(router, "a", status(code), **request_parts)

    assert [(one[2], one[3]) for one in await attempts_of(router, body)] == [(signal, code)]


async def test_hook_choice_is_not_noted(router: Any) -> None:
    """What a hook asks the router meanwhile is offered all deployments and is not noted as the attempt's."""

    @noting_the_deployment
    def _update_kwargs_with_deployment(_: Any, deployment: Any, kwargs: dict[str, Any]) -> None:
        kwargs["model_info"] = {"id": deployment}

    @noting_its_failure
    async def make_call(self: Any, *_: Any, **__: Any) -> None:
        for name in ("b", "c"):
            untried(members(router))
            _update_kwargs_with_deployment(self, name, {})
            assert ids(untried(members(router))) == ["a", "b", "c"]
            assert ids(await preferred(router, "a")) == ["a"]
        raise status(429)

    async def body() -> None:
        await fails(router, "a", status(429))
        with pytest.raises(BaseLLMException):
            await make_call(router, _acompletion)
        assert retry_by_policy(ERROR, members(router), members(router)) is True

    assert [one[0] for one in await attempts_of(router, body)] == ["a", "b"]


async def test_what_update_kwargs_is_given_reaches_litellm(router: Any) -> None:
    """All that `_update_kwargs_with_deployment` is given reaches LiteLLM."""

    @noting_the_deployment
    def _update_kwargs_with_deployment(
        _: Any, deployment: Any, kwargs: dict[str, Any], *more: Any, **named: Any
    ) -> None:
        kwargs.update(deployment=deployment, more=more, **named)

    @noting_its_failure
    async def make_call(self: Any, *_: Any, **__: Any) -> None:
        kwargs: dict[str, Any] = {}
        _update_kwargs_with_deployment(self, "d", kwargs, "positional", function_name="named")
        assert kwargs == {"deployment": "d", "more": ("positional",), "function_name": "named"}
        raise status(429)

    async def body() -> None:
        with pytest.raises(BaseLLMException):
            await make_call(router, _acompletion)

    assert await attempts_of(router, body) == []


# --- what the caller is told


async def failing(router: Any, body: Body, error: Exception, **kwargs: Any) -> Any:
    """What comes out of a request in which `body` happens and then `error`."""

    async def then() -> None:
        await body()
        raise error

    with pytest.raises(type(error)) as raised:
        await request(router, then, **kwargs)
    assert raised.value is error
    return error


async def test_the_message_names_what_was_tried(router: Any) -> None:
    """The message names what was tried, in the order it was."""

    async def body() -> None:
        await fails(router, "b", status(429))
        await fails(router, "a", httpx.ConnectError("refused"))

    error = await failing(router, body, status(429))
    attempts = error.failed_attempts
    assert attempts == (
        FailedAttempt("b", GROUP, FailureSignal.RATE_LIMITED, 429),
        FailedAttempt("a", GROUP, FailureSignal.UNREACHABLE, None),
    )
    lines = [f"{GROUP}, deployment b: rate_limited (429)", f"{GROUP}, deployment a: unreachable"]
    assert error.message == f"no\nAttempts that failed: {'; '.join(lines)}"


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        ([], False),
        ([REJECTED], False),
        ([REJECTED, REJECTED], False),
        ([REJECTED, RATE_LIMITED], True),
        ([BROKEN], True),
    ],
)
async def test_rejection_lists_no_attempts(router: Any, failures: list[int], told: bool) -> None:
    """The message lists no attempts where all were rejected, and the attribute is there all the same."""

    async def body() -> None:
        for name, code in zip("abc", failures, strict=False):
            await fails(router, name, status(code))

    error = await failing(router, body, status(400))
    assert ("Attempts that failed" in error.message) is told
    assert len(error.failed_attempts) == len(failures)


async def test_the_message_says_it_once(router: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message lists the attempts once, and not at all where the user hides such things."""

    async def body() -> None:
        await fails(router, "a", status(429))

    error = status(429)
    for _ in range(2):
        await failing(router, body, error)
        assert error.message.count("Attempts that failed") == 1
    monkeypatch.setattr(litellm, "expose_router_debug_in_errors", False, raising=False)
    hidden = await failing(router, body, status(429))
    assert (hidden.message, len(hidden.failed_attempts)) == ("no", 1)
    monkeypatch.delattr(litellm, "expose_router_debug_in_errors")
    assert "Attempts that failed" in (await failing(router, body, status(429))).message


async def test_an_exception_without_a_message_has_the_attribute(router: Any) -> None:
    """An exception without a message has the attempts as an attribute, and gets no message."""

    async def body() -> None:
        await fails(router, "a", status(429))

    for error in (ValueError("?"), Messaged(None), Messaged(7)):
        told = await failing(router, body, error)
        assert len(told.failed_attempts) == 1
        assert getattr(told, "message", None) in (None, 7)


class Messaged(Exception):
    """With a message of some kind."""

    def __init__(self, message: object) -> None:
        self.message = message


# --- fallbacks


async def test_fallback_extends_attempts(router: Any) -> None:
    """A fallback adds to the attempts before it, and only what is raised in the end lists them."""

    async def fallback() -> None:
        assert await offered(router) == ["b", "c"]
        await fails(router, "z", status(401), among=members(router, ANOTHER))
        raise status(401)

    async def body() -> None:
        await fails(router, "a", status(429))
        with pytest.raises(BaseLLMException) as raised:
            await request(router, fallback, model=ANOTHER, fallback_depth=1)
        assert raised.value.message == "no"
        assert not hasattr(raised.value, "failed_attempts")
        await fails(router, "b", status(429))

    assert [one[:2] for one in await attempts_of(router, body)] == [("a", GROUP), ("z", ANOTHER), ("b", GROUP)]


async def test_visited_group_is_not_asked_again(router: Any) -> None:
    """A group that the request has been to is not asked again, in whichever format it is named."""
    again = {"model": ANOTHER, "temperature": 0}  # for another answer

    async def fallback() -> None:
        assert list(unasked([GROUP, ANOTHER, {"model": "third"}])) == [{"model": "third"}]

    async def body() -> None:
        fallbacks = unasked([GROUP, {"model": GROUP}, ANOTHER, ANOTHER, again, again, "third", "last"])
        assert next(fallbacks) == ANOTHER
        await request(router, fallback, model=ANOTHER, fallback_depth=1)
        assert list(fallbacks) == [again, "last"]

    await request(router, body)


def test_without_a_request_each_fallback_is_asked_once() -> None:
    """Without a request each fallback is asked once, and what names no group is left to LiteLLM."""
    assert list(unasked([GROUP, ANOTHER, GROUP, {}])) == [GROUP, ANOTHER, {}]


async def test_a_request_made_within_another_is_its_own(router: Any) -> None:
    """A request that is made within another one has attempts of its own."""

    async def inner() -> None:
        await fails(router, "b", status(429))

    async def body() -> None:
        await fails(router, "a", status(429))
        told = await failing(router, inner, status(429), model=ANOTHER)
        assert [one.deployment_id for one in told.failed_attempts] == ["b"]

    assert [one[0] for one in await attempts_of(router, body)] == ["a"]


# --- what follows


@pytest.mark.parametrize(
    ("failed", "left"),
    [
        ({}, "abc"),
        ({"a": RATE_LIMITED}, "bc"),
        ({"a": BROKEN}, "bc"),
        ({"a": REJECTED}, "abc"),
        ({"a": RATE_LIMITED, "c": BROKEN}, "b"),
        ({"a": RATE_LIMITED, "b": REJECTED, "c": BROKEN}, "b"),
        ({"a": RATE_LIMITED, "b": BROKEN, "c": RATE_LIMITED}, "abc"),
    ],
)
async def test_blamed_deployments_are_skipped(router: Any, failed: dict[str, int], left: str) -> None:
    """Deployments that are to blame are skipped while another one is left."""

    async def body() -> None:
        for name, code in failed.items():
            await fails(router, name, status(code))
        assert await offered(router) == list(left)

    await attempts_of(router, body)


async def test_a_preferred_deployment_is_skipped_too(router: Any) -> None:
    """A preferred deployment that has failed is skipped as any other is."""

    async def body() -> None:
        assert await offered(router, preferring=("b",)) == ["b"]
        await fails(router, "b", status(REJECTED))
        assert await offered(router, preferring=("b",)) == ["b"]
        for name, left in (("b", "ac"), ("a", "c"), ("c", "b")):
            await fails(router, name, status(BROKEN))
            assert await offered(router, preferring=("b",)) == list(left)

    await attempts_of(router, body)


async def test_of_two_preferences_the_first_wins(router: Any) -> None:
    """Of two preferences the first one wins until its deployment has failed."""

    async def body() -> None:
        assert await offered(router, preferring=("abc", "b", "a")) == ["b"]
        assert await offered(router) == ["a", "b", "c"]
        await fails(router, "b", status(BROKEN))
        assert await offered(router, preferring=("b", "a")) == ["a"]

    await attempts_of(router, body)


@pytest.mark.parametrize(
    ("orders", "names", "left"),
    [
        ({"a": 1, "b": 1, "c": 2}, "a", "abc"),
        ({"a": 1, "b": 1, "c": 2}, "c", "c"),
        ({"a": 1, "b": 1, "c": 2}, "bc", "bc"),
        ({"a": 1, "b": 1}, "c", "c"),
        ({}, "c", "abc"),
    ],
)
async def test_later_order_preference_is_kept(router: Any, orders: dict[str, int], names: str, left: str) -> None:
    """A preference for a deployment of a later order keeps to it until that has failed."""
    group = [{"model_info": {"id": name}, "litellm_params": {"order": orders.get(name)}} for name in "abc"]
    attempts: list[FailedAttempt] = []
    with choosing(GROUP, attempts, is_noting=True):
        assert ids(await preferred(router, names, among=group)) == list(left)
        attempts += [FailedAttempt(name, GROUP, FailureSignal.UNAVAILABLE, 503) for name in names]
        assert ids(await preferred(router, names, among=group)) == ["a", "b", "c"]


async def test_retry_may_leave_preferred_order(router: Any) -> None:
    """A retry may ask those that a preference for a later order leaves out."""
    group = [{"model_info": {"id": name}, "litellm_params": {"order": order}} for name, order in (("a", 1), ("b", 2))]
    with choosing(GROUP, [], is_noting=True) as hop:
        assert ids(untried(await preferred(router, "b", among=group))) == ["b"]
        assert set(ids(hop.candidates)) == {"a", "b"}
        untried(group[1:])
        assert ids(hop.candidates) == ["b"]


async def test_request_end_clears_preference(router: Any) -> None:
    """A request that ends lets go of the deployments that a preference has left out."""
    group = [{"model_info": {"id": name}, "litellm_params": {"order": order}} for name, order in (("a", 1), ("b", 2))]
    hops: list[Any] = []

    @noting_its_failure
    async def make_call(*_: Any, **__: Any) -> None:
        await preferred(router, "b", among=group)
        hops.append(failover_attempts.TURN.get())
        assert hops[0].held_back == group

    await request(router, lambda: make_call(router, _acompletion))
    assert [hop.held_back for hop in hops] == [()]


async def test_preference_without_alternative(router: Any) -> None:
    """A deployment is still preferred where no other will do, or where no request is under way."""

    async def body() -> None:
        await fails(router, "a", status(BROKEN))
        assert await offered(router, preferring=("a",), by=named("create_file")) == ["a"]

    await attempts_of(router, body)
    assert ids(await preferred(router, "a")) == ["a"]


async def test_choosing_with_external_attempts(router: Any) -> None:
    """Attempts that are kept elsewhere, as by the compiled router's host, count for one choice and no longer."""
    with choosing(GROUP, [], is_noting=False) as hop:
        assert ids(await preferred(router, "a")) == ["a"]
        assert hop.preferred == set()
    with choosing(GROUP, [], is_noting=True) as hop:
        assert ids(await preferred(router, "a")) == ["a", "b", "c"]
        assert hop.preferred == {"a"}
    assert ids(await preferred(router, "a")) == ["a"]


async def decision(
    router: Any, failed: dict[str, Any], healthy: str | None = "abc", preferring: Sequence[str] = (), **kwargs: Any
) -> bool | None:
    """What `retry_by_policy` says after attempts at `failed`, with the `healthy` not cooling down."""
    decided: list[bool | None] = []

    async def body() -> None:
        for name, outcome in failed.items():
            error = outcome if isinstance(outcome, Exception) else status(outcome)
            await fails(router, name, error, preferring=preferring)
        up = None if healthy is None else [one for one in members(router) if one["model_info"]["id"] in healthy]
        decided.append(retry_by_policy(ERROR, up, members(router)))

    await attempts_of(router, body, **kwargs)
    return decided[0]


FALLBACK: dict[str, Any] = {"fallbacks": [{GROUP: [ANOTHER]}]}


@pytest.mark.parametrize("fallbacks", [{}, FALLBACK])
@pytest.mark.parametrize(
    ("failed", "healthy", "decided"),
    [
        ({}, "abc", None),
        ({"a": REJECTED}, "abc", False),
        ({"a": KeyError("choices")}, "abc", None),
        ({"a": RATE_LIMITED}, "abc", True),
        ({"a": RATE_LIMITED}, "b", True),
        ({"a": BROKEN}, "abc", True),
        ({"a": RATE_LIMITED, "b": BROKEN}, "abc", True),
        ({"a": BROKEN, "b": REJECTED}, "abc", False),
        ({"a": REJECTED, "b": RATE_LIMITED}, "abc", True),
        ({"a": BROKEN}, "a", None),
        ({"a": BROKEN}, "", None),
        ({"a": BROKEN}, None, None),
        ({"a": RATE_LIMITED, "b": RATE_LIMITED, "c": BROKEN}, "abc", None),
    ],
)
async def test_a_retry_goes_elsewhere_while_another_is_left(
    router: Any, failed: dict[str, Any], healthy: str | None, decided: bool | None, fallbacks: dict[str, Any]
) -> None:
    """A retry goes elsewhere while another deployment is left, and else LiteLLM's own rule decides."""
    assert await decision(router, failed, healthy, **fallbacks) is decided


@pytest.mark.parametrize("failed", [{"a": RATE_LIMITED}, {"a": BROKEN, "b": BROKEN, "c": RATE_LIMITED}])
@pytest.mark.parametrize("healthy", ["a", "", None])
async def test_useless_retry_yields_to_fallback(router: Any, failed: dict[str, Any], healthy: str | None) -> None:
    """Where no retry can help the fallback is asked at once, and without one LiteLLM's own rule decides."""
    assert await decision(router, failed, healthy, **FALLBACK) is False
    assert await decision(router, failed, healthy) is None


@pytest.mark.parametrize(
    ("failed", "healthy", "decided"),
    [
        ("a", "abc", True),
        ("a", "b", True),
        ("a", "a", None),
        ("ab", "abc", True),
        ("ab", "ab", None),
        ("abc", "abc", None),
    ],
)
async def test_retry_avoids_preferred_deployment(router: Any, failed: str, healthy: str, decided: bool | None) -> None:
    """A retry goes elsewhere than to the preferred deployment, to one that is not cooling down."""
    assert await decision(router, dict.fromkeys(failed, RATE_LIMITED), healthy, preferring=("a",)) is decided


async def test_filtered_deployment_gives_no_retry(router: Any) -> None:
    """A deployment that a later filter excludes, as by tags, is no reason for a retry."""

    async def body() -> None:
        await fails(router, "a", status(BROKEN), preferring=("a",), among=members(router)[:1])
        assert retry_by_policy(ERROR, members(router), members(router)) is None

    await attempts_of(router, body)


async def test_unchosen_deployment_is_left_to_litellm(router: Any) -> None:
    """A deployment that the policy did not choose from, as one named by its id, is left to LiteLLM's own rule."""

    async def body() -> None:
        await fails(router, "stranger", status(429))
        assert retry_by_policy(ERROR, members(router), members(router)) is None

    await attempts_of(router, body, **FALLBACK)


@pytest.mark.parametrize("looked_up", [None, []])
async def test_unlisted_group_has_alternatives(router: Any, looked_up: Any) -> None:
    """A group that was not looked up, as behind a team's name for a model, has other deployments too."""

    async def body() -> None:
        await fails(router, "a", status(429))
        for unrelated in (looked_up, members(router, ANOTHER)):
            assert retry_by_policy(ERROR, [], unrelated) is True
        for name in "bc":
            await fails(router, name, status(429))
        assert retry_by_policy(ERROR, [], looked_up) is None

    await attempts_of(router, body)


NO_FALLBACK: dict[str, dict[str, Any]] = {
    "none configured": {},
    "an empty list": {"fallbacks": []},
    "for another group": {"fallbacks": [{"yet-another": [ANOTHER]}]},
    "itself": {"fallbacks": [{GROUP: [GROUP]}]},
    "disabled": {**FALLBACK, "disable_fallbacks": True},
    "none allowed": {**FALLBACK, "max_fallbacks": 0},
    "used up": {**FALLBACK, "max_fallbacks": 1, "fallback_depth": 1},
    "more than used up": {**FALLBACK, "max_fallbacks": 1, "fallback_depth": 2},
}
A_FALLBACK: dict[str, dict[str, Any]] = {
    "configured": FALLBACK,
    "not disabled": {**FALLBACK, "disable_fallbacks": False},
    "not quite disabled": {**FALLBACK, "disable_fallbacks": None},
    "one allowed": {**FALLBACK, "max_fallbacks": 1},
    "one left": {**FALLBACK, "max_fallbacks": 2, "fallback_depth": 1},
    "one of five left": {**FALLBACK, "max_fallbacks": 5, "fallback_depth": 4},
}


@pytest.mark.parametrize("settings", [*NO_FALLBACK.values(), *A_FALLBACK.values()], ids=[*NO_FALLBACK, *A_FALLBACK])
async def test_a_fallback_counts_if_litellm_will_use_it(router: Any, settings: dict[str, Any]) -> None:
    """A fallback counts if LiteLLM will use it by the request's settings."""
    expected = False if settings in A_FALLBACK.values() else None
    assert await decision(router, {"a": RATE_LIMITED}, "", **settings) is expected


async def test_request_settings_override_router(router: Any) -> None:
    """The router's settings for fallbacks count where the request has none of its own."""
    router.fallbacks = FALLBACK["fallbacks"]
    assert await decision(router, {"a": RATE_LIMITED}, "") is False
    assert await decision(router, {"a": RATE_LIMITED}, "", fallbacks=[]) is None
    router.max_fallbacks = 0
    assert await decision(router, {"a": RATE_LIMITED}, "") is None
    assert await decision(router, {"a": RATE_LIMITED}, "", max_fallbacks=1) is False


async def test_visited_group_is_no_fallback(router: Any) -> None:
    """A group that this request has been to is no fallback, as where two fall back to each other."""
    each_other = {"fallbacks": [{GROUP: [ANOTHER]}, {ANOTHER: [GROUP]}]}
    decided: list[bool | None] = []

    async def fallback() -> None:
        await fails(router, "z", status(429), among=members(router, ANOTHER))
        decided.append(retry_by_policy(ERROR, [], members(router, ANOTHER)))

    async def body() -> None:
        await fails(router, "a", status(429))
        await request(router, fallback, model=ANOTHER, fallback_depth=1, **each_other)

    await attempts_of(router, body, **each_other)
    await request(router, fallback, model=ANOTHER, **each_other)
    assert decided == [None, False]


async def test_a_setting_that_makes_no_sense_is_logged(router: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A setting that makes no sense is logged, and LiteLLM's own rule decides."""
    with caplog.at_level(logging.WARNING, logger="LiteLLM Router"):
        assert await decision(router, {"a": RATE_LIMITED}, "", **FALLBACK, max_fallbacks="many") is None
    assert any(GROUP in record.getMessage() for record in caplog.records)
    caplog.clear()

    async def fallback() -> None:
        await fails(router, "z", status(429), among=members(router, ANOTHER))
        assert retry_by_policy(ERROR, [], members(router, ANOTHER)) is None

    async def body() -> None:
        await request(router, fallback, model=ANOTHER, fallback_depth=1, max_fallbacks="many")

    await attempts_of(router, body)
    assert any(ANOTHER in record.getMessage() for record in caplog.records)


@pytest.fixture
def ordered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Deployments of two orders, one written at another place, and one of none."""
    monkeypatch.setattr(failover_attempts, "_FALLS_BACK_BY_ORDER", True)
    first, second = deployment("a", "openai", NOWHERE, order=1), deployment("b", "openai", NOWHERE)
    second["model_info"]["order"] = "2"
    with routed([first, second, deployment("c", "openai", NOWHERE)]) as router:
        yield router


async def test_a_later_order_is_a_fallback(ordered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later order is a fallback until the request is at the last one."""
    failed = {"a": RATE_LIMITED}
    assert await decision(ordered, failed, "") is False
    assert await decision(ordered, failed, "", _target_order=1) is False
    assert await decision(ordered, failed, "", _target_order=2) is None
    assert await decision(ordered, failed, "", _target_order=3) is None
    assert await decision(ordered, failed, "", disable_fallbacks=True) is None
    assert await decision(ordered, failed, "", max_fallbacks=1, fallback_depth=2) is None
    monkeypatch.setattr(failover_attempts, "_FALLS_BACK_BY_ORDER", False)
    assert await decision(ordered, failed, "") is None


async def test_orders_of_current_group_count(ordered: Any) -> None:
    """The orders of the group that a request is at count, not those of the group it began with."""
    ordered.add_deployment(Deployment(**deployment("z", "openai", NOWHERE, group=ANOTHER)))
    decided: list[bool | None] = []

    async def fallback() -> None:
        await fails(ordered, "z", status(429), among=members(ordered, ANOTHER))
        decided.append(retry_by_policy(ERROR, [], members(ordered, ANOTHER)))

    async def body() -> None:
        await request(ordered, fallback, model=ANOTHER, fallback_depth=1)

    await attempts_of(ordered, body)
    assert decided == [None]


async def test_one_order_is_no_fallback(router: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of a single order, or of none, has no fallback in it."""
    monkeypatch.setattr(failover_attempts, "_FALLS_BACK_BY_ORDER", True)
    assert await decision(router, {"a": RATE_LIMITED}, "") is None
    assert await decision(router, {"a": RATE_LIMITED}, "", model="forgotten") is None
    for one in router.model_list:
        one["litellm_params"]["order"] = 1
    assert await decision(router, {"a": RATE_LIMITED}, "") is None


# --- the deployment another group has stood in for


@pytest.fixture
def relieved() -> Iterator[Any]:
    """A router with a lone deployment and a group behind it."""
    group = [deployment("a", "openai", NOWHERE), deployment("z", "openai", NOWHERE, group=ANOTHER)]
    with routed(group, cooldown_time=77, **FALLBACK) as router:
        yield router


async def answered(router: Any, error: Exception | None, **kwargs: Any) -> set[str]:
    """What is cooling down after a request in which the lone deployment failed so and another group answered."""

    async def body() -> str:
        if error is not None:
            await fails(router, "a", error)
        return "an answer"

    assert await request(router, body, **kwargs) == "an answer"
    return cooling_down(router)


TIMED_OUT = httpx.ReadTimeout("slow")


@pytest.mark.parametrize(
    ("error", "kwargs", "cooled"),
    [
        (None, {}, set()),
        (status(429), {}, {"a"}),
        (status(503), {}, {"a"}),
        (status(429), {"timeout": 1}, {"a"}),
        (TIMED_OUT, {}, {"a"}),
        (TIMED_OUT, {"timeout": None}, {"a"}),
        (TIMED_OUT, {"timeout": 1}, set()),
        (status(500), {}, set()),
        (status(400), {}, set()),
        (KeyError("choices"), {}, set()),
    ],
)
async def test_relieved_deployment_is_cooled_down(
    relieved: Any, error: Exception | None, kwargs: dict[str, Any], cooled: set[str]
) -> None:
    """A deployment that a fallback stood in for is cooled down where no retry on it can help."""
    assert await answered(relieved, error, **kwargs) == cooled


async def test_it_stays_where_the_others_have_no_fallback(relieved: Any) -> None:
    """A lone deployment stays in rotation where only one request has brought a fallback along."""
    relieved.fallbacks = []
    assert await answered(relieved, status(429), **FALLBACK) == set()
    relieved.fallbacks = [{ANOTHER: [GROUP]}]
    assert await answered(relieved, status(429)) == set()


async def test_it_stays_while_the_request_fails(relieved: Any) -> None:
    """A lone deployment stays in rotation while no other group has stood in for it."""

    async def body() -> None:
        await fails(relieved, "a", status(429))

    await attempts_of(relieved, body)
    assert cooling_down(relieved) == set()


async def test_one_of_several_is_left_to_litellms_callback(router: Any) -> None:
    """One of several deployments of a group is left to LiteLLM's callback."""
    router.fallbacks = FALLBACK["fallbacks"]
    assert await answered(router, status(429)) == set()


async def test_recovered_deployment_is_not_cooled_down(relieved: Any) -> None:
    """A deployment that answered in the end, after a back-off, is not cooled down."""

    async def body() -> None:
        await fails(relieved, "a", status(429))
        await attempt(relieved, "a", "an answer")

    await request(relieved, body)
    assert cooling_down(relieved) == set()


@pytest.mark.parametrize(
    ("of_router", "of_deployment"),
    [
        ({"allowed_fails": 0}, {}),
        ({"allowed_fails_policy": AllowedFailsPolicy(RateLimitErrorAllowedFails=0)}, {}),
        ({}, {"model_info": {"allowed_fails": 0}}),
        ({}, {"model_info": {"allowed_fails_policy": {"RateLimitErrorAllowedFails": 0}}}),
        ({}, {"litellm_params": {"allowed_fails": 0}}),
    ],
)
async def test_allowed_fails_are_for_litellms_callback_to_count(
    of_router: dict[str, Any], of_deployment: dict[str, Any]
) -> None:
    """Where allowed fails are set, for all deployments or for one, LiteLLM's callback counts them."""
    alone = deployment("a", "openai", NOWHERE)
    for holder, settings in of_deployment.items():
        alone[holder].update(settings)
    with routed([alone, deployment("z", "openai", NOWHERE, group=ANOTHER)], **of_router, **FALLBACK) as router:
        assert await answered(router, litellm.RateLimitError("slow down", "openai", "m")) == set()


@pytest.mark.parametrize(
    ("of_deployment", "retry_after", "seconds"),
    [
        (None, None, 77),
        (None, "33", 33),
        (55, None, 55),
        (0.5, None, 0.5),
        (55, "33", 55),
        (-1, "33", 33),
        (None, "nonsense", 77),
    ],
)
async def test_the_cooldown_is_as_long_as_litellms(of_deployment: Any, retry_after: str | None, seconds: float) -> None:
    """The cooldown is as long as the deployment says, else as the provider asks, else as the router says."""
    alone = deployment("a", "openai", NOWHERE)
    if of_deployment is not None:
        alone["model_info"]["cooldown_time"] = of_deployment
    headers = {} if retry_after is None else {"retry-after": retry_after}
    failure = status(429)
    failure.response = httpx.Response(429, headers=headers)
    group = [alone, deployment("z", "openai", NOWHERE, group=ANOTHER)]
    with routed(group, cooldown_time=77, **FALLBACK) as router:
        assert await answered(router, failure) == {"a"}
        assert cooldown_seconds(router, "a") == seconds


async def test_a_cooldown_of_no_time_is_none() -> None:
    """A deployment with a cooldown time of zero is not cooled down."""
    alone = deployment("a", "openai", NOWHERE)
    alone["model_info"]["cooldown_time"] = 0
    group = [alone, deployment("z", "openai", NOWHERE, group=ANOTHER)]
    with routed(group, cooldown_time=77, **FALLBACK) as router:
        assert await answered(router, status(429)) == set()


async def test_a_provider_may_ask_for_no_time(relieved: Any) -> None:
    """A Retry-After of zero means no cooldown, and the attempt tells it from none."""
    failure = status(429)
    failure.response = httpx.Response(429, headers={"retry-after": "0"})
    assert await answered(relieved, failure) == set()

    async def body() -> None:
        await fails(relieved, "a", failure)

    assert [one.retry_after for one in (await failing(relieved, body, status(429))).failed_attempts] == [0]


async def test_failed_fallback_is_cooled_down(relieved: Any) -> None:
    """A fallback that gave way to another group in its turn is cooled down too."""
    relieved.fallbacks = [{ANOTHER: [GROUP]}]

    async def fallback() -> str:
        await fails(relieved, "z", status(429), among=members(relieved, ANOTHER))
        return "an answer"

    async def body() -> Any:
        await fails(relieved, "a", status(500))
        return await request(relieved, fallback, model=ANOTHER, fallback_depth=1)

    assert await request(relieved, body) == "an answer"
    assert cooling_down(relieved) == {"z"}


# --- streams


async def events(*outcomes: object) -> AsyncIterator[object]:
    """A stream, which an exception among `outcomes` breaks."""
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome


async def test_stream_is_attempt_until_first_event(router: Any) -> None:
    """A stream that breaks before its first event is a failed attempt, and one that breaks later is not."""

    async def body() -> None:
        with pytest.raises(BaseLLMException):
            await attempt(router, "a", events(status(529)), stream=True)
        begun = await attempt(router, "b", events(b"\0", status(529)), stream=True)
        assert await begun.__anext__() == b"\0"
        with pytest.raises(BaseLLMException):
            await begun.__anext__()

    assert [one[::3] for one in await attempts_of(router, body)] == [("a", 529)]


@pytest.mark.parametrize("function", ["anthropic_messages", "aresponses"])
async def test_failed_messages_stream_is_counted(router: Any, function: str) -> None:
    """A stream of Anthropic's messages that fails is counted here, as LiteLLM does not notice it."""
    counted = function == "anthropic_messages"
    generic: dict[str, Any] = {"original_generic_function": named(function), "stream": True}

    async def body() -> None:
        with pytest.raises(BaseLLMException):
            await attempt(router, "a", events(status(429)), by=named(GENERIC), **generic)

    assert len(await attempts_of(router, body)) == 1
    assert failures(router, "a") == counted
    assert cooling_down(router) == ({"a"} if counted else set())
    with pytest.raises(BaseLLMException):
        await attempt(router, "b", events(status(429)), by=named(GENERIC), **generic)
    assert failures(router, "b") == 0


@pytest.mark.parametrize("asked_for", [{}, {"stream": False}, {"stream": None}, {"stream": "yes"}])
async def test_unrequested_stream_is_not_read(router: Any, asked_for: dict[str, Any]) -> None:
    """A stream that was not asked for, such as a file's content, is not read."""

    async def body() -> None:
        stream = events(status(529))
        assert await attempt(router, "a", stream, **asked_for) is stream

    assert await attempts_of(router, body) == []


async def test_whole_answer_is_returned_unchanged(router: Any) -> None:
    """A whole answer, or a chat completion's stream that has begun, is returned as it is."""

    async def body() -> None:
        answer = object()
        assert await attempt(router, "a", answer, stream=True) is answer
        chat = CustomStreamWrapper.__new__(CustomStreamWrapper)
        assert await attempt(router, "a", chat, stream=True) is chat

    assert await attempts_of(router, body) == []


OF_THE_ROUTER = (
    ("attempt", "attempt_sync", "select", "select_sync", "failed", "_failed")  # of the compiled router's host
    if COMPILED_ROUTER
    else ("async_function_with_fallbacks", "make_call", "_update_kwargs_with_deployment")
)
ROUTER = importlib.import_module("litellm.router_rust.core")._Driver if COMPILED_ROUTER else Router
WRAPPED = [*((ROUTER, name) for name in OF_THE_ROUTER), (DeploymentAffinityCheck, "async_filter_deployments")]


@pytest.mark.parametrize(("owner", "name"), WRAPPED)
def test_a_wrapped_method_looks_as_it_did(owner: type, name: str) -> None:
    """A wrapped method keeps its name and its signature."""
    method = getattr(owner, name)
    assert method.__name__ == name
    assert inspect.signature(method) == inspect.signature(inspect.unwrap(method))
    assert inspect.unwrap(method) is not method


def test_a_router_without_automatic_fallbacks_has_none() -> None:
    """A router without the change that brings automatic fallbacks has none."""
    assert failover_attempts._automatic_fallbacks(object(), GROUP, {}) == []
