"""The answer is in the error format of its route, and so is the event that ends a stream."""

from __future__ import annotations

import json

import httpx
import pytest
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.proxy._types import ProxyException
from litellm.proxy.failover_errors.handler import apply_failure_response, stream_error_event
from litellm.proxy.failover_errors.response import to_client_error

from support.answers import (
    HOST,
    answer_at,
    as_litellm_answers,
    body_at,
    from_provider,
    raised_while_handling,
    without_answer,
)


def test_the_answer_in_openais_format() -> None:
    """An answer in OpenAI's format has status and type, null for a missing param, and one Retry-After."""
    failure = from_provider(429, "Slow down.", **{"retry-after": "6"})
    headers = {"Retry-After": "60", "x-litellm-call-id": "1", "llm_provider-date": "today"}
    answer = apply_failure_response(as_litellm_answers(failure, headers=headers), failure)
    assert answer.headers == {"x-litellm-call-id": "1", "llm_provider-date": "today", "retry-after": "6"}
    assert answer.to_dict() == {
        "message": answer.message,
        "type": "rate_limit_error",
        "param": None,
        "code": "429",
    }
    assert "Slow down." in answer.message


def test_the_answers_words_are_the_policys() -> None:
    """The answer and its text in the log are both in the policy's words."""
    failure = without_answer(httpx.ConnectError(f"to {HOST}"))
    answer = apply_failure_response(as_litellm_answers(failure), failure)
    assert (answer.message, str(answer)) == ("The provider cannot be reached.",) * 2


@pytest.mark.parametrize("param", ["Instances", "temperature"])
def test_the_parameter_a_provider_named_is_the_answers(param: str) -> None:
    """The parameter that a provider named is the answer's."""
    failure = from_provider(400)
    answer = as_litellm_answers(failure)
    answer.param = param
    assert apply_failure_response(answer, failure).param == param


@pytest.mark.parametrize(
    ("status", "openai", "anthropic"),
    [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "authentication_error", "authentication_error"),
        (402, "insufficient_quota", "billing_error"),
        (403, "permission_error", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (413, "invalid_request_error", "request_too_large"),
        (422, "invalid_request_error", "invalid_request_error"),
        (429, "rate_limit_error", "rate_limit_error"),
        (499, "invalid_request_error", "api_error"),
        (500, "server_error", "api_error"),
        (503, "server_error", "api_error"),
        (504, "server_error", "timeout_error"),
        (529, "server_error", "overloaded_error"),
    ],
)
def test_the_type_is_the_statuss_in_each_taxonomy(status: int, openai: str, anthropic: str) -> None:
    """The type of an error follows from its status in OpenAI's taxonomy and in Anthropic's."""
    failure = from_provider(status)
    answer = apply_failure_response(as_litellm_answers(failure), failure)
    assert answer.type == openai
    assert body_at("/v1/messages", answer)["error"]["type"] == anthropic


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", "/openai/deployments/m/chat/completions"])
def test_handler_restates_error_context(path: str) -> None:
    """The handler restates the failure that the proxy's error was raised from, whatever the route."""
    answer = answer_at(path, raised_while_handling(without_answer(httpx.ConnectError("refused"))))
    assert answer.status_code == 502
    assert json.loads(bytes(answer.body))["error"]["type"] == "server_error"


@pytest.mark.parametrize("path", ["/v1/messages", "/anthropic/v1/messages", "/v1/messages/count_tokens"])
def test_anthropics_route_answers_in_anthropics_format(path: str) -> None:
    """Anthropic's routes answer in Anthropic's format, with the length of the new body."""
    error = raised_while_handling(from_provider(529, "Overloaded.", **{"retry-after": "3"}))
    error.headers = {"cache-control": "no-store"}
    answer = answer_at(path, error)
    body = json.loads(bytes(answer.body))
    assert body == {"type": "error", "error": {"type": "overloaded_error", "message": body["error"]["message"]}}
    assert (answer.status_code, answer.headers["retry-after"]) == (529, "3")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-length"] == str(len(bytes(answer.body)))


def test_proxy_error_in_anthropic_format() -> None:
    """On Anthropic's route the proxy's own error is in Anthropic's format, too."""
    error = ProxyException("Invalid proxy server token", "auth_error", "key", 401, provider_specific_fields={"a": 1})
    assert body_at("/v1/messages", error) == {
        "type": "error",
        "error": {
            "type": "authentication_error",
            "message": "Invalid proxy server token",
            "provider_specific_fields": {"a": 1},
        },
    }


def test_broken_stream_ends_with_error_event() -> None:
    """A stream that has begun ends with an error event in the format of its route."""
    failure = without_answer(httpx.ReadError("reset"))
    error = apply_failure_response(as_litellm_answers(failure), failure)
    assert stream_error_event(error, {}) == f"data: {json.dumps({'error': error.to_dict()})}\n\n"
    url = "http://gateway:4000/v1/messages?beta=true"
    name, _, data = stream_error_event(error, {"proxy_server_request": {"url": url}}).partition("\n")
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: ")) == {
        "type": "error",
        "error": {"type": "api_error", "message": error.message},
    }


def test_unmapped_stream_failure_is_restated() -> None:
    """An exception of an HTTP client's that a stream raises is told as any other failure."""
    error = to_client_error(httpx.ReadError(f"reset by {HOST}"))
    assert isinstance(error, BaseLLMException)
    assert (error.status_code, error.message) == (502, "The connection to the provider broke off.")
    request = httpx.Request("POST", "http://127.0.0.1:9")
    refusal = httpx.HTTPStatusError("No such voice.", request=request, response=httpx.Response(422, request=request))
    error = to_client_error(refusal)
    assert isinstance(error, BaseLLMException)
    assert (error.status_code, error.message) == (422, "No such voice.")


def test_stream_bug_is_unchanged() -> None:
    """A bug in the code of a stream is not the provider's, and is raised as it is."""
    bug = KeyError("choices")
    assert to_client_error(bug) is bug


def test_error_without_status_is_api_error() -> None:
    """An error without a status is an api_error in Anthropic's format."""
    event = stream_error_event(ProxyException("m", "t", None), {"proxy_server_request": {"url": "/v1/messages"}})
    assert '"type": "api_error"' in event
