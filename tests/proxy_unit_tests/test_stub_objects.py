"""Our hooks survive what stands for a router, a request or an exception in a test: none has an attribute to rely on."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi.responses import JSONResponse
from litellm.litellm_core_utils.failure_signal import FailureSignal, carried_signal, classify, diagnose
from litellm.litellm_core_utils.http_status_mapping import (
    agreeing_with_http_status,
    carry_signal,
    is_json_provider,
    searching_the_chain,
)
from litellm.proxy._types import ProxyException
from litellm.proxy.common_utils.provider_errors import answering_by_the_policy, in_band_error, restate
from litellm.router_utils.failover_attempts import (
    noting_its_failure,
    remembering_attempts,
    retry_after,
    retry_by_policy,
)
from litellm.router_utils.failover_policy import (
    cools_down_now,
    group_of,
    is_alone,
    leaves_no_deployment,
    requires_cooldown,
    yields_to_a_fallback,
)
from litellm.router_utils.failure_response import as_told, response_to


class Mocked(Exception):
    """An exception whose every attribute is a MagicMock, as `MagicMock(spec=Exception)` makes them."""

    def __getattr__(self, name: str) -> Any:
        return MagicMock()


ROUTERS: list[Callable[[], Any]] = [SimpleNamespace, MagicMock, object]
FAILURES: list[Callable[[], Any]] = [MagicMock, SimpleNamespace, object, Mocked, Exception, lambda: None]
REQUESTS: list[Callable[[], Any]] = [MagicMock, SimpleNamespace, object, lambda: None]

# Each is given a stub of a failure; what it says of it must be that nothing is known.
OF_A_FAILURE: dict[str, tuple[Callable[[Any], Any], object]] = {
    "classify": (classify, FailureSignal.INTERNAL),
    "diagnose": (lambda failure: diagnose(failure).http_status, None),
    "carried_signal": (carried_signal, None),
    "carry_signal": (carry_signal, None),
    "cools_down_now": (cools_down_now, False),
    "leaves_no_deployment": (leaves_no_deployment, False),
    "yields_to_a_fallback": (yields_to_a_fallback, False),
    "retry_by_policy": (lambda failure: retry_by_policy(failure, None, None), None),
    "response_to": (lambda failure: response_to(failure), None),
    "searching_the_chain": (lambda failure: searching_the_chain(lambda error: None)(failure), None),
}
# Each is given a stub of a router and one of a failure.
OF_A_ROUTER: dict[str, tuple[Callable[[Any, Any], Any], object]] = {
    "requires_cooldown": (lambda router, failure: requires_cooldown(router, "a", 429, "slow down", failure), True),
    "is_alone": (lambda router, failure: is_alone(router, "a"), False),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("hook", OF_A_FAILURE)
def test_a_stub_of_a_failure_tells_nothing(hook: str, failure: Callable[[], Any]) -> None:
    """Each hook that reads a failure says so, and none raises."""
    ask, expected = OF_A_FAILURE[hook]
    assert ask(failure()) == expected


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("hook", OF_A_ROUTER)
def test_a_stub_of_a_router_decides_as_litellm_would(
    hook: str, router: Callable[[], Any], failure: Callable[[], Any]
) -> None:
    """No hook raises because the router has not the members of a real one."""
    ask, expected = OF_A_ROUTER[hook]
    assert ask(router(), failure()) == expected


@pytest.mark.parametrize("failure", FAILURES)
def test_a_stub_is_mapped_to_litellms_exception(failure: Callable[[], Any]) -> None:
    """As it was mapped, with the signal that nothing is known of it."""
    mapped = RuntimeError("mapped")
    agreed = agreeing_with_http_status(mapped, failure(), "some-model", "openai")
    assert isinstance(agreed, Exception)
    assert carried_signal(agreed) is FailureSignal.INTERNAL


@pytest.mark.parametrize("failure", [Mocked, Exception])
def test_a_stub_has_no_retry_after(failure: Callable[[], Any]) -> None:
    """A MagicMock in place of headers is none."""
    assert retry_after(failure()) is None


@pytest.mark.parametrize("failure", [Mocked, Exception])
def test_a_stub_of_a_streams_failure_is_told(failure: Callable[[], Any]) -> None:
    """As it is, or as a failure with a status."""
    assert isinstance(as_told(failure()), Exception)


@pytest.mark.parametrize("name", [None, "", "nobody", MagicMock()], ids=["none", "empty", "unknown", "mock"])
def test_a_stub_of_a_provider_is_no_provider(name: Any) -> None:
    """Upstream's tests map exceptions whose provider is not known."""
    assert is_json_provider(name) is False


def answer() -> ProxyException:
    return ProxyException(message="declined", type="invalid_request_error", param="n", code=400)


@answering_by_the_policy
async def handler(request: Any, exc: ProxyException) -> JSONResponse:
    """Stands for the proxy's own, which does not look at the request."""
    return JSONResponse({"error": exc.to_dict()}, int(str(exc.code)))


@pytest.mark.parametrize("request_", REQUESTS)
async def test_a_stub_of_a_request_is_answered(request_: Callable[[], Any]) -> None:
    """In OpenAI's format, since nothing says that it came to Anthropic's route."""
    response = await handler(request_(), answer())
    body = json.loads(bytes(response.body))
    assert (response.status_code, body["error"]["message"], body["error"]["type"]) == (
        400,
        "declined",
        "invalid_request_error",
    )


@pytest.mark.parametrize("failure", FAILURES)
def test_a_stub_of_a_failure_leaves_the_answer(failure: Callable[[], Any]) -> None:
    """What it stands for is not known, so the proxy's own words stay."""
    exc = answer()
    assert restate(exc, failure()) is exc
    assert (exc.message, exc.code) == ("declined", "400")


@pytest.mark.parametrize("data", [{}, {"proxy_server_request": None}, {"proxy_server_request": {"url": MagicMock()}}])
def test_a_stream_of_an_unknown_route_ends_in_openais_format(data: dict[str, Any]) -> None:
    """So it does where the route is a stub's."""
    assert json.loads(in_band_error(answer(), data).removeprefix("data: "))["error"]["message"] == "declined"


@pytest.mark.parametrize("router", ROUTERS)
async def test_a_stub_of_a_router_makes_its_call(router: Callable[[], Any]) -> None:
    """What is wrapped is called, and what it returns comes back."""

    async def call(self: Any, *args: Any, **kwargs: Any) -> str:
        return "answered"

    assert await remembering_attempts(call)(router(), model="group") == "answered"
    assert await noting_its_failure(call)(router(), call) == "answered"


@pytest.mark.parametrize("router", [SimpleNamespace, object])
def test_a_stub_of_a_router_has_no_groups(router: Callable[[], Any]) -> None:
    """Neither the members of a router nor those of its context are there."""
    assert group_of(router(), "a") is None
