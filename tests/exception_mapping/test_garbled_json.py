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
from pydantic import TypeAdapter

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


@pytest.mark.parametrize("bug", [KeyError, TypeError, AttributeError, ValueError])
@pytest.mark.parametrize(
    ("module", "function", "kind"),
    [
        ("litellm.llms.x", "transform_response", FailureKind.GARBLED),
        ("litellm.llms.x", "transform_request", FailureKind.INTERNAL),
        ("openai._legacy_response", "parse", FailureKind.GARBLED),
        ("openai._response", "parse", FailureKind.GARBLED),
        ("openai._base_client", "parse", FailureKind.INTERNAL),
        ("litellm.llms.x", "parse", FailureKind.INTERNAL),
    ],
)
def test_misread_answer_is_garbled(module: str, function: str, kind: FailureKind, bug: type[Exception]) -> None:
    """A bug that shows while an answer is transformed is the provider's garbled answer, and elsewhere LiteLLM's own."""
    namespace: dict[str, Any] = {"__name__": module, "bug": bug}
    exec(f"def {function}(): raise bug('choices')", namespace)
    with pytest.raises(bug) as caught:
        namespace[function]()
    assert classify(caught.value) is kind


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
@pytest.mark.parametrize("call", CALLS)
def test_page_for_answer_is_garbled(call: str, provider: str) -> None:
    """A page of HTML in place of an answer is garbled, whatever status LiteLLM makes of it."""
    with FaultyProvider(HTML_200) as misconfigured:
        with pytest.raises(openai.APIError) as raised:
            CALLS[call]({**litellm_params(provider, misconfigured.url), "max_retries": 0})
    assert classify(raised.value) is FailureKind.GARBLED


def convert_dict_to_response() -> None:
    TypeAdapter(int).validate_python("no number")


def test_invalid_model_of_answer_is_garbled() -> None:
    """What pydantic refuses of an answer is garbled, whoever wraps it."""
    with pytest.raises(ValueError, match="valid integer") as caught:
        convert_dict_to_response()
    wrapped = RuntimeError("it failed")
    wrapped.__cause__ = caught.value
    assert classify(wrapped) is FailureKind.GARBLED
