"""`agreeing_with_http_status` at its edges: every status, every class `exception_type` may have picked, odd answers."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import litellm
import pytest
from litellm.litellm_core_utils import exception_mapping_utils
from litellm.litellm_core_utils.failure_signal import FailureSignal, diagnose, signal_of_status
from litellm.litellm_core_utils.http_status_mapping import (
    agreeing_with_http_status,
    carry_signal,
    is_json_provider,
)
from litellm.llms.openai_like.json_loader import JSONProviderRegistry

from exception_mapping.expectations import ROWS_UPSTREAM_ASSERTS, expected_class, expected_status, mapped

REQUEST = httpx.Request("POST", "https://provider.test/v1/chat/completions")
STATUSES = [*range(100, 200), *range(300, 600)]
WITH_A_ROW = sorted({provider for provider, _, _ in ROWS_UPSTREAM_ASSERTS})

RECOGNISED: dict[tuple[str, int], set[type[Exception]]] = {
    **{(name, 400): {litellm.AuthenticationError, litellm.RateLimitError} for name in ("gemini", "vertex_ai")},
    **{(name, status): {litellm.RateLimitError} for name in ("gemini", "vertex_ai") for status in (500, 502, 503)},
    ("vertex_ai_beta", 400): {litellm.AuthenticationError, litellm.RateLimitError},
    ("vertex_ai_beta", 500): {litellm.RateLimitError},
    ("vertex_ai_beta", 502): {litellm.RateLimitError},
    ("vertex_ai_beta", 503): {litellm.RateLimitError},
    ("bedrock", 400): {litellm.RateLimitError},
    ("fireworks_ai", 400): {litellm.RateLimitError},
    ("watsonx", 400): {litellm.RateLimitError},
    ("watsonx", 403): {litellm.RateLimitError},
    ("cohere", 400): {litellm.AuthenticationError},
    ("cohere", 498): {litellm.AuthenticationError},
    ("cohere_chat", 400): {litellm.AuthenticationError},
    ("cohere_chat", 498): {litellm.AuthenticationError},
}
RECOGNISING = sorted({provider for provider, _ in RECOGNISED})


class ProviderError(Exception):
    """A provider's exception: a status, and whatever else a test gives it."""

    def __init__(self, status: int | None, text: str = "the provider said no", **attributes: Any) -> None:
        super().__init__(text)
        self.status_code = status
        self.__dict__.update(attributes)


def picked(kind: type[Exception], message: str = "failed") -> Any:
    """An exception as one of `exception_type`'s branches makes it."""
    arguments: dict[str, Any] = {"message": message, "model": "m", "llm_provider": "p", "litellm_debug_info": "debug"}
    if kind is litellm.APIError:
        arguments["status_code"] = 500
    if kind in (litellm.PermissionDeniedError, litellm.UnprocessableEntityError):
        arguments["response"] = httpx.Response(403, request=REQUEST)
    return kind(**arguments)


def agreed(kind: type[Exception], original: object, provider: str = "unheard_of", message: str = "failed") -> Any:
    """What becomes of it."""
    return agreeing_with_http_status(picked(kind, message), original, "some-model", provider)


# --- classes


@pytest.mark.parametrize("provider", [*WITH_A_ROW, "unheard_of"])
def test_every_status_has_its_class(provider: str) -> None:
    """Every status has its class, but for the rows that upstream's tests assert for a provider."""
    found = {status: mapped(ProviderError(status), provider) for status in STATUSES}
    assert {status: (type(error), error.status_code, error.failure_signal) for status, error in found.items()} == {
        status: (expected_class(status, provider), expected_status(status, provider), signal_of_status(status))
        for status in STATUSES
    }


PICKED = [
    litellm.APIConnectionError,
    litellm.APIError,
    litellm.AuthenticationError,
    litellm.BadGatewayError,
    litellm.BadRequestError,
    litellm.InternalServerError,
    litellm.NotFoundError,
    litellm.PermissionDeniedError,
    litellm.RateLimitError,
    litellm.ServiceUnavailableError,
    litellm.Timeout,
]


@pytest.mark.parametrize("kind", PICKED)
def test_disagreeing_class_is_replaced(kind: type[Exception]) -> None:
    """A class that does not agree with the status is replaced, and a more exact one is kept."""
    for status in range(400, 600):
        error: Any = agreed(kind, ProviderError(status))
        expected = expected_class(status, "unheard_of")
        assert issubclass(type(error), expected)
        assert type(error) in (expected, kind)
        assert (error.status_code, error.failure_signal) == (status, signal_of_status(status))


@pytest.mark.parametrize("provider", [*RECOGNISING, "unheard_of"])
@pytest.mark.parametrize("kind", [litellm.AuthenticationError, litellm.RateLimitError, litellm.NotFoundError])
def test_recognised_type_statuses(provider: str, kind: type[Exception]) -> None:
    """A recognised error type keeps its class and signal under the provider's statuses for it, and no others."""
    kept = {status for status in range(400, 600) if type(agreed(kind, ProviderError(status), provider)) is kind}
    usual = {litellm.AuthenticationError: 401, litellm.RateLimitError: 429, litellm.NotFoundError: 404}[kind]
    assert kept == {usual} | {
        status for name, status in RECOGNISED if name == provider and kind in RECOGNISED[name, status]
    }
    for status in kept:
        assert agreed(kind, ProviderError(status), provider).failure_signal == signal_of_status(usual)


@pytest.mark.parametrize("status", [200, 204, 299])
def test_failed_success_is_garbled(status: int) -> None:
    """A 2xx answer that failed is garbled and surfaces with status 500."""
    error = agreed(litellm.BadRequestError, ProviderError(status))
    assert (type(error), error.status_code) == (litellm.APIConnectionError, 500)
    assert error.failure_signal is FailureSignal.GARBLED


@pytest.mark.parametrize("status", [199, 300, 399])
def test_1xx_and_3xx_are_api_errors(status: int) -> None:
    """A status that is neither success nor failure becomes an APIError with that status."""
    error = agreed(litellm.APIConnectionError, ProviderError(status))
    assert (type(error), error.status_code, error.failure_signal) == (litellm.APIError, status, FailureSignal.GARBLED)


FAULTS = {
    "unreachable": (httpx.ConnectError("refused"), litellm.APIConnectionError),
    "interrupted": (httpx.ReadError("broke off"), litellm.APIConnectionError),
    "garbled": (httpx.DecodingError("not gzip"), litellm.APIConnectionError),
    "timed_out": (httpx.ReadTimeout("slow"), litellm.Timeout),
}


@pytest.mark.parametrize("signal", FAULTS)
def test_without_an_answer_the_signal_has_a_class(signal: str) -> None:
    """Without an answer the signal decides the class, except for two that users have policies for."""
    original, expected = FAULTS[signal]
    kept = {kind for kind in PICKED if type(agreed(kind, original)) is kind}
    users_have_policies = {litellm.InternalServerError, litellm.Timeout}
    assert kept == {expected} | (users_have_policies if expected is litellm.APIConnectionError else set())
    assert type(agreed(litellm.BadRequestError, original)) is expected
    assert {agreed(kind, original).failure_signal.value for kind in PICKED} == {signal}


def test_local_failure_keeps_class() -> None:
    """A failure of this side is internal and keeps whatever class LiteLLM gave it."""
    original = httpx.PoolTimeout("busy")
    for kind in PICKED:
        error = agreed(kind, original)
        assert (type(error), error.failure_signal) == (kind, FailureSignal.INTERNAL)


def test_what_is_no_exception_of_litellms_becomes_one() -> None:
    """An exception that is not LiteLLM's becomes an APIConnectionError that is marked as internal."""
    error: Any = agreeing_with_http_status(ValueError("?"), KeyError("choices"), "some-model", "openai")
    assert (type(error), error.status_code) == (litellm.APIConnectionError, 500)
    assert error.failure_signal is FailureSignal.INTERNAL


def test_recognised_wording_without_proof() -> None:
    """The wording that `exception_type` recognised counts where nothing is proven."""
    error = agreed(litellm.NotFoundError, Exception("no such model: rate limit"))
    assert (type(error), error.failure_signal) == (litellm.NotFoundError, FailureSignal.MODEL_MISSING)
    error = agreed(litellm.APIConnectionError, Exception("rate limit"))
    assert (type(error), error.status_code) == (litellm.RateLimitError, 429)


@pytest.mark.parametrize("kind", [litellm.ContextWindowExceededError, litellm.ContentPolicyViolationError])
def test_request_fault_under_any_status(kind: type[Exception]) -> None:
    """A context-window or content-policy error is the request's fault and has 400, whatever the answer's status."""
    for status in (400, 413, 429, 500, None):
        error = agreed(kind, ProviderError(status))
        assert (type(error), error.status_code) == (kind, 400)
        assert error.failure_signal is FailureSignal.REQUEST_REJECTED


@pytest.mark.parametrize(
    ("kind", "original", "provider", "status"),
    [
        (litellm.RateLimitError, ProviderError(429), "unheard_of", 429),
        (litellm.APIConnectionError, ProviderError(503), "unheard_of", 503),
        (litellm.BadRequestError, ProviderError(200), "unheard_of", 200),
        (litellm.ContextWindowExceededError, ProviderError(413), "unheard_of", 413),
        (litellm.AuthenticationError, ProviderError(400), "gemini", 401),
        (litellm.NotFoundError, Exception("no such model"), "unheard_of", None),
        (litellm.APIConnectionError, httpx.ConnectError("refused"), "unheard_of", None),
    ],
)
def test_the_providers_status_is_carried_beside_the_signal(
    kind: type[Exception], original: Exception, provider: str, status: int | None
) -> None:
    """Of the answer, or what its error object stands for; `status_code` is one where there was no answer, too."""
    error = agreed(kind, original, provider)
    assert error.provider_status == status
    assert diagnose(error)[:2] == (error.failure_signal, status)
    assert diagnose(error).proven


# --- what a rebuilt exception has of the one it replaces


def test_rebuilt_exception_keeps_attributes() -> None:
    """A rebuilt exception has the old one's attributes, and the provider's where the old one had none."""
    old = picked(litellm.APIConnectionError, "no credit")
    old.param, old.provider_specific_fields = "mapped", {"mapped": 1}
    original = ProviderError(409, body={"a": 1}, code="E7", param="original", provider_specific_fields={"original": 1})
    new: Any = agreeing_with_http_status(old, original, "some-model", "acme")
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
        new: Any = agreeing_with_http_status(old, original, "some-model", provider)
        assert new.message == f"litellm.NotFoundError: {label}Exception - no credit"


# --- the provider's answer


def headers_of(failure: Exception) -> Any:
    """Where LiteLLM looks for them."""
    return exception_mapping_utils._get_response_headers(failure)


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


HEADERS: dict[str, Any] = {
    "of the answer": {"response": httpx.Response(429, headers={"retry-after": "6"})},
    "of the exception": {"headers": httpx.Headers({"retry-after": "6"})},
    "in a dict": {"headers": {"retry-after": "6"}},
    "beside an empty one": {"headers": {}, "response": httpx.Response(429, headers={"retry-after": "6"})},
    "before the answer's": {
        "headers": {"retry-after": "6"},
        "response": httpx.Response(429, headers={"retry-after": "7"}),
    },
}


@pytest.mark.parametrize("attributes", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("depth", [0, 2])
def test_headers_anywhere_in_chain(attributes: dict[str, Any], depth: int) -> None:
    """Headers are found on any exception of the chain or on its answer, the outermost first."""
    failure = ProviderError(429, **attributes)
    for _ in range(depth):
        outer = ProviderError(429)
        outer.__cause__, failure = failure, outer
    assert headers_of(failure)["retry-after"] == "6"


def test_headers_that_are_no_headers_are_looked_past() -> None:
    """`headers` that are no mapping are looked past, and numbers in a dict of headers are read."""
    below = ProviderError(429, headers=7, response=httpx.Response(429, headers={"retry-after": "6"}))
    above = ProviderError(429)
    above.__cause__ = below
    assert headers_of(above)["retry-after"] == "6"
    below.__dict__["headers"] = {"retry-after": 8}
    assert headers_of(above)["retry-after"] == "8"


def test_the_headers_litellm_finds_itself_come_first() -> None:
    """The headers that LiteLLM finds itself come before those further down the chain."""
    failure = ProviderError(429, response=httpx.Response(429, headers={"retry-after": "6"}))
    failure.__cause__ = ProviderError(429, headers={"retry-after": "7"})
    found = headers_of(failure)
    assert found["retry-after"] == "6"
    assert headers_of(ProviderError(429)) is None


# --- what is mapped already, and what cannot be


@pytest.mark.parametrize("module", ["aaa", "builtins", "litellm", "litellm.exceptions_", "zzz"])
def test_carry_signal_ignores_other_exceptions(module: str) -> None:
    """`carry_signal` puts a signal on LiteLLM's own exceptions only."""
    failure = type("Failed", (Exception,), {"__module__": module})("failed")
    carry_signal(failure)
    assert not hasattr(failure, "failure_signal")
    ours = picked(litellm.NotFoundError)
    carry_signal(ours)
    assert (ours.failure_signal, ours.provider_status) == (FailureSignal.MODEL_MISSING, 404)


@pytest.mark.parametrize("original", ["a text", None, KeyError("choices")])
def test_cause_is_original_exception(original: object) -> None:
    """The original becomes the cause only if it is an exception."""
    error = agreed(litellm.APIConnectionError, original)
    assert error.__cause__ is (original if isinstance(original, Exception) else None)


def test_nothing_is_its_own_cause() -> None:
    """A mapped exception that is the original itself gets no cause."""
    original = picked(litellm.RateLimitError)
    assert agreeing_with_http_status(original, original, "some-model", "openai") is original
    assert original.__cause__ is None


def test_own_failure_keeps_upstream_exception(caplog: pytest.LogCaptureFixture) -> None:
    """If the mapping itself fails, what `exception_type` made is raised, and the log says why."""

    class Unchangeable(litellm.APIConnectionError):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "failure_signal":
                raise AttributeError("cannot be changed")
            super().__setattr__(name, value)

    ours, original = Unchangeable(message="failed", llm_provider="p", model="m"), httpx.ConnectError("refused")
    with caplog.at_level(logging.WARNING, logger="LiteLLM"):
        assert agreeing_with_http_status(ours, original, "some-model", "acme") is ours
    assert ours.__cause__ is original
    assert any(
        "acme" in text and "cannot be changed" in text for text in map(logging.LogRecord.getMessage, caplog.records)
    )


# --- the registry


@pytest.mark.parametrize("slug", [None, "", "unheard_of"])
def test_unregistered_provider_is_not_json(slug: str | None) -> None:
    """A provider that the registry does not know, or none at all, is not one of providers.json."""
    assert is_json_provider(slug) is False


def test_registry_entries_are_json_providers() -> None:
    """Every entry of the shipped registry is a provider of providers.json."""
    slugs = JSONProviderRegistry.list_providers()
    assert slugs
    assert all(map(is_json_provider, slugs))
