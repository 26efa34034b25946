"""Our hooks survive what stands for a router, a request or an exception in a test: none has an attribute to rely on."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi.responses import JSONResponse
from litellm.litellm_core_utils.failure import Failure, classify, failure_of, kept_failure, retry_after
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.litellm_core_utils.http_status_mapping import (
    align_with_http_status,
    is_json_provider,
    keep_failure_of_mapped,
    search_exception_chain,
)
from litellm.proxy._types import ProxyException
from litellm.proxy.failover_errors.handler import answer_by_policy, apply_failure_response, stream_error_event
from litellm.proxy.failover_errors.response import client_response, to_client_error
from litellm.router_utils.failover.cooldown import cools_down_now, requires_cooldown, served_by_fallback
from litellm.router_utils.failover.router_view import group_of, is_alone, leaves_no_deployment


class Mocked(Exception):
    """An exception whose every attribute is a MagicMock, as `MagicMock(spec=Exception)` makes them."""

    def __getattr__(self, name: str) -> Any:
        return MagicMock()


ROUTERS: list[Callable[[], Any]] = [SimpleNamespace, MagicMock, object]
FAILURES: list[Callable[[], Any]] = [MagicMock, SimpleNamespace, object, Mocked, Exception, lambda: None]
REQUESTS: list[Callable[[], Any]] = [MagicMock, SimpleNamespace, object, lambda: None]

# Each is given a stub of a failure; what it says of it must be that nothing is known.
OF_A_FAILURE: dict[str, tuple[Callable[[Any], Any], object]] = {
    "classify": (classify, FailureKind.INTERNAL),
    "failure_of": (lambda failure: failure_of(failure).http_status, None),
    "kept_failure": (kept_failure, None),
    "keep_failure_of_mapped": (keep_failure_of_mapped, None),
    "cools_down_now": (cools_down_now, False),
    "leaves_no_deployment": (leaves_no_deployment, False),
    "served_by_fallback": (served_by_fallback, False),
    "client_response": (lambda failure: client_response(failure), None),
    "search_exception_chain": (lambda failure: search_exception_chain(lambda error: None)(failure), None),
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
def test_router_stub_decides_as_litellm_would(hook: str, router: Callable[[], Any], failure: Callable[[], Any]) -> None:
    """No hook raises because the router has not the members of a real one."""
    ask, expected = OF_A_ROUTER[hook]
    assert ask(router(), failure()) == expected


@pytest.mark.parametrize("failure", FAILURES)
def test_a_stub_is_mapped_to_litellms_exception(failure: Callable[[], Any]) -> None:
    """A stub of a failure leaves the exception as it was mapped, with a kind that says nothing is known."""
    mapped = RuntimeError("mapped")
    agreed = align_with_http_status(mapped, failure(), "some-model", "openai")
    assert isinstance(agreed, Exception)
    assert kept_failure(agreed) == Failure(FailureKind.INTERNAL)


@pytest.mark.parametrize("failure", [Mocked, Exception])
def test_a_stub_has_no_retry_after(failure: Callable[[], Any]) -> None:
    """A MagicMock in place of headers is none."""
    assert retry_after(failure()) is None


@pytest.mark.parametrize("failure", [Mocked, Exception])
def test_a_stub_of_a_streams_failure_is_told(failure: Callable[[], Any]) -> None:
    """A stub of a stream's failure is told as it is, or as a failure with a status."""
    assert isinstance(to_client_error(failure()), Exception)


@pytest.mark.parametrize("name", [None, "", "nobody", MagicMock()], ids=["none", "empty", "unknown", "mock"])
def test_a_stub_of_a_provider_is_no_provider(name: Any) -> None:
    """Upstream's tests map exceptions whose provider is not known."""
    assert is_json_provider(name) is False


def answer() -> ProxyException:
    return ProxyException(message="declined", type="invalid_request_error", param="n", code=400)


@answer_by_policy
async def handler(request: Any, exc: ProxyException) -> JSONResponse:
    """Stands for the proxy's own, which does not look at the request."""
    return JSONResponse({"error": exc.to_dict()}, int(str(exc.code)))


@pytest.mark.parametrize("request_", REQUESTS)
async def test_a_stub_of_a_request_is_answered(request_: Callable[[], Any]) -> None:
    """A stub of a request is answered in OpenAI's format, as nothing says that it came to Anthropic's route."""
    response = await handler(request_(), answer())
    body = json.loads(bytes(response.body))
    assert (response.status_code, body["error"]["message"], body["error"]["type"]) == (
        400,
        "declined",
        "invalid_request_error",
    )


@pytest.mark.parametrize("failure", FAILURES)
def test_a_stub_of_a_failure_leaves_the_answer(failure: Callable[[], Any]) -> None:
    """A stub of a failure leaves the proxy's own words, as nobody knows what it stands for."""
    exc = answer()
    assert apply_failure_response(exc, failure()) is exc
    assert (exc.message, exc.code) == ("declined", "400")


@pytest.mark.parametrize("data", [{}, {"proxy_server_request": None}, {"proxy_server_request": {"url": MagicMock()}}])
def test_stream_of_unknown_route_ends_as_openais(data: dict[str, Any]) -> None:
    """A stream whose route nobody knows, as a stub's, ends in OpenAI's format."""
    assert json.loads(stream_error_event(answer(), data).removeprefix("data: "))["error"]["message"] == "declined"


@pytest.mark.parametrize("router", [SimpleNamespace, object])
def test_a_stub_of_a_router_has_no_groups(router: Callable[[], Any]) -> None:
    """A stub of a router, which has neither its members nor those of its context, has no groups."""
    assert group_of(router(), "a") is None
