"""What a 200 holds instead of an answer, over a socket: no status LiteLLM makes up for it is believed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import litellm
import pytest

from exception_mapping.expectations import mapped
from support.faulty_provider import Fault, FaultyProvider, litellm_params

MESSAGES = [{"role": "user", "content": "ping"}]
Json = dict[str, Any]


def body_of(error: object) -> Fault:
    return Fault.status(200, body=json.dumps({"error": error}).encode())


def event_of(data: Json) -> Fault:
    event = f"event: error\ndata: {json.dumps(data)}\n\n"
    return Fault.status(200, body=event.encode(), content_type="text/event-stream")


def params_of(provider: str, url: str) -> Json:
    own: dict[str, Json] = {
        "azure": {"model": "azure/gpt-4o", "api_base": url, "api_key": "k", "api_version": "2024-10-21"},
        "mistral": {"model": "mistral/mistral-small", "api_base": f"{url}/v1", "api_key": "k"},
    }
    return own.get(provider) or dict(litellm_params(provider, url))


def failure_of(fault: Fault, provider: str, **request: Any) -> Any:
    """What a chat completion raises, at once or by its stream: the provider's failure where it is wrapped."""

    async def ask(url: str) -> None:
        params = params_of(provider, url)
        answer: Any = await litellm.acompletion(messages=MESSAGES, num_retries=0, max_retries=0, **params, **request)
        if request.get("stream"):
            async for _ in answer:
                pass

    with FaultyProvider(fault) as server:
        try:
            asyncio.run(ask(server.url))
        except Exception as error:
            return getattr(error, "original_exception", None) or error
    raise AssertionError("the provider's error was taken for an answer")


def google(code: int, status: str) -> Json:
    return {"code": code, "message": "no", "status": status}


@pytest.mark.parametrize(
    "error", [google(503, "UNAVAILABLE"), google(429, "RESOURCE_EXHAUSTED"), google(500, "INTERNAL")]
)
def test_litellms_422_does_not_reject_the_request(error: Json) -> None:
    """What LiteLLM cannot parse of Gemini's 200 is an answer that cannot be used, whatever status it writes on it."""
    raised = failure_of(body_of(error), "gemini")
    assert raised.failure.kind not in ("request_rejected", "internal")
    assert not isinstance(raised, litellm.BadRequestError)


def test_ollamas_unreadable_event_does_not_either() -> None:
    """Ollama's event without an answer rejects no request, though LiteLLM writes 400 on it."""
    raised = failure_of(
        Fault.status(200, body=b'{"error": "no"}\n', content_type="application/x-ndjson"), "ollama_chat", stream=True
    )
    assert raised.failure.kind in ("garbled", "server_error")


CODES = [
    ("rate_limit_exceeded", litellm.RateLimitError, "rate_limited"),
    ("server_is_overloaded", litellm.ServiceUnavailableError, "unavailable"),
    ("invalid_api_key", litellm.AuthenticationError, "bad_credentials"),
    ("context_length_exceeded", litellm.ContextWindowExceededError, "request_rejected"),
    ("content_filter", litellm.ContentPolicyViolationError, "request_rejected"),
]


@pytest.mark.parametrize("provider", ["openai", "azure", "hosted_vllm", "mistral"])
@pytest.mark.parametrize(("code", "cls", "kind"), CODES)
def test_a_word_for_a_status_is_understood(code: str, cls: type[Exception], kind: str, provider: str) -> None:
    """OpenAI's format has a word where LiteLLM looks for a status."""
    raised = failure_of(body_of({"message": "no", "type": None, "code": code}), provider)
    assert (type(raised), raised.failure.kind) == (cls, kind)


@pytest.mark.parametrize("provider", ["openai", "azure"])
@pytest.mark.parametrize(("code", "cls", "kind"), CODES)
def test_a_word_in_a_stream_is_understood(code: str, cls: type[Exception], kind: str, provider: str) -> None:
    """A code in an event of a stream, where no status ever comes, has its class and its kind."""
    raised = failure_of(event_of({"error": {"message": "no", "type": None, "code": code}}), provider, stream=True)
    assert (type(raised), raised.failure.kind) == (cls, kind)


@pytest.mark.parametrize(
    ("error", "cls"),
    [
        ({"message": "no", "type": "requests", "code": "rate_limit_exceeded"}, litellm.RateLimitError),
        ({"message": "no", "type": "x", "code": 429}, litellm.RateLimitError),
        ({"message": "no", "type": "server_error", "code": None}, litellm.InternalServerError),
    ],
)
def test_an_error_in_a_response_is_understood(error: Json, cls: type[Exception]) -> None:
    """An error in a 200 of OpenAI's Responses API, which LiteLLM tries to read as a response, has its class."""
    with FaultyProvider(body_of(error)) as server:
        with pytest.raises(cls) as raised:
            asyncio.run(litellm.aresponses(input="ping", **litellm_params("openai", server.url)))
    assert type(raised.value) is cls


ANTHROPIC = [
    ("rate_limit_error", "rate_limited", 429),
    ("overloaded_error", "unavailable", 529),
    ("authentication_error", "bad_credentials", 401),
    ("billing_error", "out_of_credit", 402),
    ("invalid_request_error", "request_rejected", 400),
    ("conflict_error", "request_rejected", 409),
    ("request_too_large", "request_rejected", 413),
    ("api_error", "server_error", 500),
    ("timeout_error", "timed_out", 504),
    ("a_type_of_tomorrow", "server_error", 500),
]


@pytest.mark.parametrize(("error_type", "kind", "status"), ANTHROPIC)
def test_a_type_of_anthropics_has_its_status(error_type: str, kind: str, status: int) -> None:
    """An error event's type tells what a status tells before the stream; one nobody knows is the server's."""
    fault = event_of({"type": "error", "error": {"type": error_type, "message": "no"}})
    raised = failure_of(fault, "anthropic", stream=True)
    assert (raised.failure.kind, raised.failure.http_status) == (kind, status)


def test_an_unknown_type_is_still_a_500() -> None:
    """To the caller: nothing else is known of it."""
    raised = failure_of(
        event_of({"type": "error", "error": {"type": "novel", "message": "no"}}), "anthropic", stream=True
    )
    assert raised.status_code == 500


class ProviderError(Exception):
    def __init__(self, status_code: int) -> None:
        super().__init__("no")
        self.status_code = status_code


def test_a_made_up_400_for_content_stays() -> None:
    """LiteLLM refuses with one an image that was filtered: nothing was unreadable, and another attempt is as futile."""

    def transform_image_generation_response() -> None:
        raise ProviderError(400)

    with pytest.raises(ProviderError) as raised:
        transform_image_generation_response()
    assert mapped(raised.value, "stability").failure.kind == "request_rejected"


def test_real_422_is_believed_wherever_raised() -> None:
    """A failed answer that was met while reading another one is the provider's own word."""
    request = httpx.Request("POST", "https://provider.test")

    def transform_response() -> None:
        try:
            raise httpx.HTTPStatusError("no", request=request, response=httpx.Response(422, request=request))
        except httpx.HTTPStatusError:
            raise ProviderError(422)  # noqa: B904

    with pytest.raises(ProviderError) as raised:
        transform_response()
    assert mapped(raised.value, "x").failure.kind == "request_rejected"
