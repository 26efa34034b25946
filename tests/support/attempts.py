"""Requests and their attempts as LiteLLM's Python router makes them, without a provider or a socket.

A test file imports the fixture by its own name, `router as router`, for pytest to find it there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.router_utils.failover.affinity import exclude_failed_deployments, soft_affinity
from litellm.router_utils.failover.python_router import (
    decide_retry,
    record_failed_attempt,
    record_selected_deployment,
    track_retry_state,
)
from litellm.router_utils.failover.retry_state import Attempt, FailedAttempt, GroupTurn, RequestState, turn_under_way

from support.routing import GROUP, deployment, routed

NOWHERE = "http://127.0.0.1:9"
ANOTHER = "another-group"
RATE_LIMITED = 429  # blamed on the deployment; on the same one a retry cannot help
BROKEN = 500  # blamed on the deployment; the same one may do
REJECTED = 400
ERROR = KeyError("choices")  # no provider's
GENERIC = "_ageneric_api_call"
FALLBACK: dict[str, Any] = {"fallbacks": [{GROUP: [ANOTHER]}]}
Body = Callable[[], Awaitable[Any]]


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


async def request(router: Any, body: Body, *, model: str = GROUP, **kwargs: Any) -> Any:
    """`body` as a request to `model`, or as its fallback to `model` where `fallback_depth` says so."""

    @track_retry_state
    async def async_function_with_fallbacks(_: Any, **__: Any) -> Any:
        return await body()

    return await async_function_with_fallbacks(router, model=model, **kwargs)


def named(name: str) -> Callable[..., None]:
    """A function by that name."""

    def function(**_: Any) -> None: ...

    function.__name__ = name
    return function


CHAT_COMPLETION = named("_acompletion")
"""A method of the router by this name serves chat completions."""


async def attempt(
    router: Any,
    name: str,
    outcome: object,
    *,
    by: Any = CHAT_COMPLETION,
    among: list[Any] | None = None,
    preferring: Sequence[str] = (),
    **kwargs: Any,
) -> Any:
    """An attempt as the router makes one: out of those left, at deployment `name`, which raises or returns `outcome`.

    The router chooses `among` the group's deployments that are not cooling down, with callbacks `preferring` some.
    """
    chosen = {"model_info": {"id": name}}

    @record_selected_deployment
    def _update_kwargs_with_deployment(_: Any, deployment: Any, kwargs: dict[str, Any]) -> None:
        kwargs["model_info"] = deployment["model_info"]

    @record_failed_attempt
    async def make_call(self: Any, original_function: Any, **_: Any) -> Any:
        left = await preferred(router, *preferring)
        exclude_failed_deployments(left if among is None else among)
        _update_kwargs_with_deployment(self, chosen, {})
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return await make_call(router, by, **kwargs)


async def fails(router: Any, name: str, error: Exception, **kwargs: Any) -> None:
    with pytest.raises(type(error)):
        await attempt(router, name, error, **kwargs)


async def offered(router: Any, preferring: Sequence[str] = (), by: Any = CHAT_COMPLETION) -> list[str]:
    """The deployments the next attempt may choose from."""

    @record_failed_attempt
    async def make_call(*_: Any, **__: Any) -> Any:
        return ids(exclude_failed_deployments(await preferred(router, *preferring)))

    chosen_from: list[str] = await make_call(router, by)
    return chosen_from


async def preferred(router: Any, *preferences: str, among: list[Any] | None = None) -> list[Any]:
    """The deployments that are left by callbacks, each of which keeps to some."""

    @soft_affinity
    async def async_filter_deployments(names: Any, model: str, healthy_deployments: list[Any]) -> list[Any]:
        return [one for one in healthy_deployments if one["model_info"]["id"] in names] or healthy_deployments

    left = members(router) if among is None else among
    for names in preferences:
        left = await async_filter_deployments(names, model=GROUP, healthy_deployments=left)
    return left


def choosing(router: Any, attempts: Sequence[FailedAttempt] = (), *, is_recorded: bool = True) -> Any:
    """A turn of the group for as long as one of its deployments is chosen, after the `attempts` that have failed."""
    state = RequestState(attempts if isinstance(attempts, list) else [])
    return turn_under_way(GroupTurn(GROUP, router, {}, state, attempt=Attempt(is_recorded=is_recorded)))


async def attempts_of(router: Any, body: Body, **kwargs: Any) -> list[tuple[str, str, str, int | None]]:
    """What is noted of a request in which `body` happens before it fails."""

    async def then_fails() -> None:
        await body()
        raise KeyError("choices")

    with pytest.raises(KeyError) as raised:
        await request(router, then_fails, **kwargs)
    noted = raised.value.failed_attempts  # type: ignore[attr-defined]
    return [(one.deployment_id, one.model_group, one.kind.value, one.status_code) for one in noted]


async def failing(router: Any, body: Body, error: Exception, **kwargs: Any) -> Any:
    """What comes out of a request in which `body` happens and then `error`."""

    async def then() -> None:
        await body()
        raise error

    with pytest.raises(type(error)) as raised:
        await request(router, then, **kwargs)
    assert raised.value is error
    return error


async def decision(
    router: Any, failed: dict[str, Any], healthy: str | None = "abc", preferring: Sequence[str] = (), **kwargs: Any
) -> bool | None:
    """What `decide_retry` says after attempts at `failed`, with the `healthy` not cooling down."""
    decided: list[bool | None] = []

    async def body() -> None:
        for name, outcome in failed.items():
            error = outcome if isinstance(outcome, Exception) else status(outcome)
            await fails(router, name, error, preferring=preferring)
        up = None if healthy is None else [one for one in members(router) if one["model_info"]["id"] in healthy]
        decided.append(decide_retry(ERROR, up, members(router)))

    await attempts_of(router, body, **kwargs)
    return decided[0]
