"""Which attempts a request records, and for how long it remembers them."""

from __future__ import annotations

import asyncio
import functools
import gc
import weakref
from contextvars import copy_context
from typing import Any

import httpx
import pytest
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.router_utils.failover.affinity import exclude_failed_deployments
from litellm.router_utils.failover.python_router import (
    decide_retry,
    record_failed_attempt,
    record_selected_deployment,
    track_retry_state,
)
from litellm.router_utils.failover.retry_state import current_turn

from support.attempts import (
    ANOTHER,
    CHAT_COMPLETION,
    ERROR,
    GENERIC,
    attempt,
    attempts_of,
    failing,
    fails,
    ids,
    members,
    named,
    offered,
    preferred,
    request,
    status,
)
from support.attempts import router as router
from support.router_methods import ANY_DEPLOYMENT_WILL_DO
from support.routing import GROUP


async def test_each_failed_attempt_is_noted(router: Any) -> None:
    """Each failed attempt is noted with deployment, group, kind and status, and one that succeeds is not."""

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

        @record_failed_attempt
        async def make_call(*_: Any, **__: Any) -> None:
            raise status(429)

        with pytest.raises(BaseLLMException):
            await make_call(router, CHAT_COMPLETION)
        assert decide_retry(ERROR, members(router), members(router)) is None

    assert [one[0] for one in await attempts_of(router, body)] == ["a"]


async def test_outside_of_a_request_nothing_is_remembered(router: Any) -> None:
    """Attempts outside of a request are not remembered."""
    deployments = members(router)
    await fails(router, "a", status(429))
    assert exclude_failed_deployments(deployments) is deployments
    assert decide_retry(ERROR, deployments, deployments) is None


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
    assert exclude_failed_deployments(deployments := members(router)) is deployments


HELD_BY_ONE_PROVIDER = ("_acreate_file", "_acreate_batch", "_acancel_batch", "aget_responses", "avideo_status")


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
        await fails(router, "a", status(429), by=functools.partial(CHAT_COMPLETION))

    assert await attempts_of(router, body) == []


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
    ("request_parts", "code", "kind"),
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
    router: Any, request_parts: dict[str, Any], code: int, kind: str
) -> None:
    """A 404 that may be about what the caller named counts as a rejected request."""

    async def body() -> None:
        await fails(router, "a", status(code), **request_parts)

    assert [(one[2], one[3]) for one in await attempts_of(router, body)] == [(kind, code)]


async def test_hook_choice_is_not_noted(router: Any) -> None:
    """What a hook asks the router meanwhile is offered all deployments and is not noted as the attempt's."""

    @record_selected_deployment
    def _update_kwargs_with_deployment(_: Any, deployment: Any, kwargs: dict[str, Any]) -> None:
        kwargs["model_info"] = {"id": deployment}

    @record_failed_attempt
    async def make_call(self: Any, *_: Any, **__: Any) -> None:
        for name in ("b", "c"):
            exclude_failed_deployments(members(router))
            _update_kwargs_with_deployment(self, name, {})
            assert ids(exclude_failed_deployments(members(router))) == ["a", "b", "c"]
            assert ids(await preferred(router, "a")) == ["a"]
        raise status(429)

    async def body() -> None:
        await fails(router, "a", status(429))
        with pytest.raises(BaseLLMException):
            await make_call(router, CHAT_COMPLETION)
        assert decide_retry(ERROR, members(router), members(router)) is True

    assert [one[0] for one in await attempts_of(router, body)] == ["a", "b"]


async def test_what_update_kwargs_is_given_reaches_litellm(router: Any) -> None:
    """All that `_update_kwargs_with_deployment` is given reaches LiteLLM."""

    @record_selected_deployment
    def _update_kwargs_with_deployment(
        _: Any, deployment: Any, kwargs: dict[str, Any], *more: Any, **named: Any
    ) -> None:
        kwargs.update(deployment=deployment, more=more, **named)

    @record_failed_attempt
    async def make_call(self: Any, *_: Any, **__: Any) -> None:
        kwargs: dict[str, Any] = {}
        _update_kwargs_with_deployment(self, "d", kwargs, "positional", function_name="named")
        assert kwargs == {"deployment": "d", "more": ("positional",), "function_name": "named"}
        raise status(429)

    async def body() -> None:
        with pytest.raises(BaseLLMException):
            await make_call(router, CHAT_COMPLETION)

    assert await attempts_of(router, body) == []


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


async def test_a_request_made_within_another_is_its_own(router: Any) -> None:
    """A request that is made within another one has attempts of its own."""

    async def inner() -> None:
        await fails(router, "b", status(429))

    async def body() -> None:
        await fails(router, "a", status(429))
        told = await failing(router, inner, status(429), model=ANOTHER)
        assert [one.deployment_id for one in told.failed_attempts] == ["b"]

    assert [one[0] for one in await attempts_of(router, body)] == ["a"]


async def test_request_end_clears_turn(router: Any) -> None:
    """A task that is begun during a request does not keep what the request held."""
    tasks: list[Any] = []

    async def later(end: asyncio.Event) -> object:
        await end.wait()
        return current_turn()

    end = asyncio.Event()

    async def body() -> None:
        assert current_turn() is not None
        tasks.append(asyncio.ensure_future(later(end)))

    await request(router, body)
    end.set()
    assert await tasks[0] is None


async def test_request_context_is_released(router: Any) -> None:
    """A context that outlives a request, as a pooled connection's may, keeps nothing of it."""
    contexts = []

    async def answer(_: Any, **kwargs: Any) -> None:
        contexts.append(copy_context())

    messages = BaseLLMException(status_code=200, message="anything that can be watched")
    alive = weakref.ref(messages)
    await track_retry_state(answer)(router, model=GROUP, messages=messages)
    del messages
    gc.collect()
    assert len(contexts) == 1
    assert alive() is None
