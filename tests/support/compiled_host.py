"""A stand-in for the compiled router's host, which tells of attempts, choices and answers as 1.110's does.

A test file imports the fixture by its own name, `router as router`, for pytest to find it there.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import httpx
import litellm
import pytest
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.router_utils.failover import compiled_router_cooldown, driver_state
from litellm.router_utils.failover.compiled_router import exclude_failed_deployments, retry_by_policy
from litellm.router_utils.failover.compiled_router_cooldown import ANY_ERROR, cooldown_by_policy
from litellm.router_utils.failover.driver_state import DriverState

from support.routing import GROUP, deployment, routed

NOWHERE = "http://127.0.0.1:9"
OTHER = "other-group"
REFUSED = httpx.ConnectError("refused")
OF_THE_GATEWAY = (
    "Declined",
    "GuardrailIntervention",
    "CallerCredentialAuthenticationError",
    "CallerCredentialRateLimitError",
)
FIRST = ("callback_filters", None)


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
        self._core: Any = SimpleNamespace(router=router)
        self._request: Any = request
        self._plan: Any = SimpleNamespace(handler=handler, kind=kind)
        self._last_error: Any = None
        self._level_errors: Any = {}
        self._level = self._fallback_depth = 0
        self.failover = DriverState(router)

    def _failed(self, step: Any, deployment: Any, call: Any, error: Exception) -> dict[str, Any]:
        self._last_error = error
        return told_of(error)


def told_of(error: Exception) -> dict[str, Any]:
    """What the host of 1.110 tells of an attempt that fails with `error`, where nobody changes it."""
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
    """Three deployments of one group, which falls back to another of one; its core is a stand-in's."""
    group = [deployment(name, "openai", NOWHERE) for name in "abc"]
    lone = [deployment("z", "openai", NOWHERE, group=OTHER)]
    with routed([*group, *lone], fallbacks=[{GROUP: [OTHER]}]) as router:
        of_the_stand_in = mock.Mock(side_effect=lambda core: core.router)
        with (
            mock.patch.object(compiled_router_cooldown, "router_of", of_the_stand_in),
            mock.patch.object(driver_state, "router_of", of_the_stand_in),
        ):
            yield router


async def fails(host: Host, wish: dict[str, Any], error: Exception) -> dict[str, Any]:
    """What the compiled router is told of an attempt that fails with `error`."""

    async def attempt(self: Any, step: Any) -> Any:
        return cooldown_by_policy(Host._failed)(self, step, {}, None, error)

    return dict(await retry_by_policy(attempt)(host, wish))


async def succeeds(host: Host, wish: dict[str, Any]) -> Any:
    async def attempt(self: Any, step: Any) -> Any:
        return {"ok": True}

    return await retry_by_policy(attempt)(host, wish)


def chosen(host: Host, *stages: tuple[str, Any], among: str = "abc") -> list[str]:
    """Whom the first stage of a choice leaves; each of `stages` has its answer, None being whoever is asked about."""

    def answer_to(self: Any, step: Any) -> Any:
        answer = dict(stages)[step["stage"]]
        return step["candidates"] if answer is None else answer

    select = exclude_failed_deployments(answer_to)
    (first, _), *later = stages
    found = select(host, {"stage": first, "candidates": list(among), "model": GROUP})
    for stage, _ in later:
        select(host, {"stage": stage, "candidates": found, "model": GROUP})
    return list(found)
