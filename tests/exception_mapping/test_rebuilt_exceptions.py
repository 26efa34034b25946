"""What an exception of another class has of the one it replaces, and of the provider's answer."""

from __future__ import annotations

from typing import Any

import httpx
import litellm
import pytest
from litellm.litellm_core_utils.http_status_mapping import align_with_http_status

from exception_mapping.aligned import ProviderError, agreed, picked
from exception_mapping.failures import REQUEST


def test_rebuilt_exception_keeps_attributes() -> None:
    """A rebuilt exception has the old one's attributes, and the provider's where the old one had none."""
    old = picked(litellm.APIConnectionError, "no credit")
    old.param, old.provider_specific_fields = "mapped", {"mapped": 1}
    original = ProviderError(409, body={"a": 1}, code="E7", param="original", provider_specific_fields={"original": 1})
    new: Any = align_with_http_status(old, original, "some-model", "acme")
    assert (new.model, new.llm_provider, new.litellm_debug_info) == ("some-model", "acme", "debug")
    assert (new.body, new.param, new.provider_specific_fields) == ({"a": 1}, "mapped", {"mapped": 1})
    assert (new.code, new.__cause__) == ("E7", original)


def test_what_a_rebuilt_exception_says_itself_is_kept() -> None:
    """A code of the rebuilt exception's own is not replaced by the provider's."""
    fresh = picked(litellm.RateLimitError)
    rebuilt = agreed(litellm.APIConnectionError, ProviderError(429, code="E7", body=None))
    assert rebuilt.code == (fresh.code if fresh.code is not None else "E7")


@pytest.mark.parametrize(
    ("message", "rebuilt"),
    [
        ("no credit", "no credit"),
        ("litellm.BadRequestError: no credit", "no credit"),
        ("BadRequestError: litellm.BadRequestError: no credit", "no credit"),
        ("no litellm.BadRequestError: credit", "no litellm.BadRequestError: credit"),
        ("litellmXBadRequestError: no credit", "litellmXBadRequestError: no credit"),
        ("OpenAIException - BadRequestError: no credit", "OpenAIException - BadRequestError: no credit"),
    ],
)
def test_old_class_label_is_removed(message: str, rebuilt: str) -> None:
    """The old class's labels are removed from the front of a message, and its words stay."""
    error = agreed(litellm.BadRequestError, ProviderError(404), message=message)
    assert error.message.endswith(f"NotFoundError: {rebuilt}")


TRACEBACK = "Traceback (most recent call last):\n  File main.py"


@pytest.mark.parametrize(
    ("message", "words", "rebuilt"),
    [
        (f"oops\n{TRACEBACK}", "no credit", "AcmeException - no credit"),
        (f"oops\n{TRACEBACK}", f"no credit\n{TRACEBACK}", f"oops\n{TRACEBACK}"),
        ("oops", f"no credit\n{TRACEBACK}", "oops"),
        ("oops", "no credit", "oops"),
    ],
)
def test_added_traceback_is_replaced(message: str, words: str, rebuilt: str) -> None:
    """A traceback that LiteLLM added is replaced by the provider's words, and one the provider sent stays."""
    error = agreed(litellm.APIConnectionError, ProviderError(404, words), "acme", message)
    assert error.message == f"litellm.NotFoundError: {rebuilt}"


@pytest.mark.parametrize(("provider", "label"), [("acme", "Acme"), ("acMe_ai", "AcMe_ai"), ("", "Unknown"), ("x", "X")])
def test_the_providers_words_are_labelled_with_its_name(provider: str, label: str) -> None:
    """The message of the provider's exception, or else its text, is labelled with the provider's name."""
    old = picked(litellm.APIConnectionError)
    old.message = None
    for original in (ProviderError(404, "no credit"), ProviderError(404, "?", message="no credit")):
        new: Any = align_with_http_status(old, original, "some-model", provider)
        assert new.message == f"litellm.NotFoundError: {label}Exception - no credit"


def answered(status: int, **answer: Any) -> ProviderError:
    return ProviderError(status, response=httpx.Response(status, request=REQUEST, **answer))


def test_a_rebuilt_exception_has_the_providers_answer() -> None:
    """A rebuilt exception has the status, body, headers and request of the provider's answer."""
    original = answered(409, headers={"retry-after": "6", "x-id": "7"}, json={"error": "no"})
    answer = agreed(litellm.APIConnectionError, original).response
    assert (answer.status_code, answer.json(), answer.request.url) == (409, {"error": "no"}, REQUEST.url)
    assert (answer.headers["retry-after"], answer.headers["x-id"]) == ("6", "7")


def test_transfer_headers_are_dropped() -> None:
    """A rebuilt answer, whose body is decoded, drops the headers that say how it was sent."""
    original = answered(409, content=b"{}")
    sent = {"Content-Encoding": "gzip", "Content-Length": "99", "Transfer-Encoding": "chunked", "X-Id": "7"}
    original.__dict__["response"].headers = httpx.Headers(sent)
    headers = agreed(litellm.APIConnectionError, original).response.headers
    assert (headers.get("content-encoding"), headers.get("transfer-encoding")) == (None, None)
    assert (headers.get("content-length"), headers["x-id"]) == ("2", "7")


def test_without_an_answer_there_is_an_empty_one() -> None:
    """A rebuilt exception without an answer has an empty response with its status."""
    answer = agreed(litellm.APIConnectionError, ProviderError(409)).response
    assert (answer.status_code, answer.content, dict(answer.headers)) == (409, b"", {})
    assert answer.request.url.host


def test_non_bytes_body_becomes_empty() -> None:
    """An answer whose body is no bytes is rebuilt as an empty one."""
    original = ProviderError(409, response=type("Answer", (), {"_content": "text", "_request": "request"})())
    answer = agreed(litellm.APIConnectionError, original).response
    assert (answer.status_code, answer.content) == (409, b"")
