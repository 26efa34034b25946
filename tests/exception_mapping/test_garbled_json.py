"""Whether JSON that cannot be parsed is the provider's answer or the caller's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import litellm
import openai
import pytest
from litellm.litellm_core_utils.failure import classify
from litellm.litellm_core_utils.failure_evidence import FailureKind

from exception_mapping.failures import REQUEST
from support.faulty_provider import HTML_200, FaultyProvider, litellm_params

PING: Any = [{"role": "user", "content": "ping"}]
CALLS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "chat": lambda params: litellm.completion(**params, messages=PING),
    "text": lambda params: litellm.text_completion(**params, prompt="ping"),
    "embeddings": lambda params: litellm.embedding(**params, input="ping"),
}


def test_json_error_depends_on_origin() -> None:
    """Broken JSON from the provider is garbled, and broken JSON from the caller is internal."""
    with pytest.raises(json.JSONDecodeError) as answer:
        httpx.Response(200, content=b"<html>", request=REQUEST).json()
    with pytest.raises(json.JSONDecodeError) as arguments:
        json.loads("{broken")
    assert classify(answer.value) is FailureKind.GARBLED
    assert classify(arguments.value) is FailureKind.INTERNAL


def parsed_by(module: str, function: str = "parse") -> json.JSONDecodeError:
    """What json raises where it is called by `function` of `module`."""
    namespace: dict[str, Any] = {"__name__": module, "json": json}
    exec(f"def {function}(): json.loads('<html>')", namespace)
    with pytest.raises(json.JSONDecodeError) as caught:
        namespace[function]()
    return caught.value


@pytest.mark.parametrize(
    "module", ["aiohttp.client_reqrep", "httpx._models", "httpx2", "openai._response", "requests.models"]
)
def test_client_json_error_is_garbled(module: str) -> None:
    """JSON that an HTTP client failed to parse came over the wire and is garbled."""
    assert classify(parsed_by(module)) is FailureKind.GARBLED
    assert classify(parsed_by(f"application.{module}")) is FailureKind.INTERNAL


def test_transform_response_json_is_garbled() -> None:
    """JSON that `transform_response` failed to parse is garbled, and in the functions around it internal."""
    assert classify(parsed_by("litellm.llms.x.chat.transformation", "transform_response")) is FailureKind.GARBLED
    for function in ("transform_request", "transform_response_", "aaa", "zzz"):
        assert classify(parsed_by("litellm.llms.x.chat.transformation", function)) is FailureKind.INTERNAL


def test_transform_response_bug_is_internal() -> None:
    """A KeyError while an answer is transformed is LiteLLM's own failure and not a garbled answer."""

    def transform_response() -> None:
        raise KeyError("choices")

    with pytest.raises(KeyError) as caught:
        transform_response()
    assert classify(caught.value) is FailureKind.INTERNAL


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
@pytest.mark.parametrize("call", CALLS)
def test_page_for_answer_is_garbled(call: str, provider: str) -> None:
    """A page of HTML in place of an answer is garbled, whatever status LiteLLM makes of it."""
    with FaultyProvider(HTML_200) as misconfigured:
        with pytest.raises(openai.APIError) as raised:
            CALLS[call]({**litellm_params(provider, misconfigured.url), "max_retries": 0})
    assert classify(raised.value) is FailureKind.GARBLED
