"""What `exception_type` raises agrees with the provider's HTTP status, whichever branch the provider takes."""

from __future__ import annotations

import httpx
import litellm
import pytest
from litellm.llms.base_llm.chat.transformation import BaseLLMException

from exception_mapping.expectations import (
    CLASS_OF_STATUS,
    READS_CODES_IN_5XX,
    ROWS_UPSTREAM_ASSERTS,
    TELLING_WORDS,
    expected_class,
    expected_status,
    mapped,
)
from exception_mapping.failures import REQUEST, AnsweredError

# One provider for each of `exception_type`'s branches, one with a branch on some releases only, one unknown to all.
PROVIDERS = [
    "aleph_alpha",
    "anthropic",
    "azure_text",
    "bedrock",
    "cloudflare",
    "cohere",
    "custom_openai",
    "databricks",
    "gemini",
    "hosted_vllm",
    "ollama_chat",
    "publicai",
    "sagemaker",
    "scaleway",
    "vertex_ai",
    "vllm",
    "watsonx",
    "unheard_of",
]
KIND_OF_RECOGNISED = {litellm.AuthenticationError: "bad_credentials", litellm.RateLimitError: "rate_limited"}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_status_and_class_are_the_providers(provider: str) -> None:
    """Each status comes out unchanged and with LiteLLM's class for it, whatever branch the provider takes."""
    found = {status: mapped(AnsweredError(status), provider) for status in CLASS_OF_STATUS}
    assert {status: (type(exception), exception.status_code) for status, exception in found.items()} == {
        status: (expected_class(status, provider), expected_status(status, provider)) for status in CLASS_OF_STATUS
    }


@pytest.mark.parametrize(("provider", "status", "expected"), ROWS_UPSTREAM_ASSERTS)
def test_a_class_upstream_asserts_for_a_provider_stays(provider: str, status: int, expected: type[Exception]) -> None:
    """A class that upstream's tests assert for a provider wins over the table, and the status stays."""
    exception = mapped(AnsweredError(status, "upstream failure"), provider)
    assert (type(exception), exception.status_code) == (expected, expected_status(status, provider))


@pytest.mark.parametrize("provider", ["openai", "anthropic", "scaleway", "ollama_chat", "unheard_of"])
@pytest.mark.parametrize("status", [402, 413, 429, 503])
def test_nothing_the_provider_said_is_lost(provider: str, status: int) -> None:
    """A mapped exception has the original as its cause and keeps its words and Retry-After."""
    original = AnsweredError(status, "come back on Tuesday", headers={"retry-after": "6"})
    exception = mapped(original, provider)
    assert exception.__cause__ is original
    assert "come back on Tuesday" in exception.message
    assert dict(exception.litellm_response_headers)["retry-after"] == "6"


def test_compressed_429_is_rate_limit() -> None:
    """A 429 whose decoded body still has a content-encoding header is a rate limit."""
    original = AnsweredError(429)
    original.response.headers["content-encoding"] = "gzip"
    exception = mapped(original, "scaleway")
    assert (type(exception), exception.status_code) == (litellm.RateLimitError, 429)


def test_unread_429_is_rate_limit() -> None:
    """A 429 whose body was never read, as of a streaming call, is a rate limit."""
    original = AnsweredError(429)
    original.response = httpx.Response(429, stream=httpx.ByteStream(b"{}"), request=REQUEST)
    exception = mapped(original, "unheard_of")
    assert (type(exception), exception.status_code) == (litellm.RateLimitError, 429)


@pytest.mark.parametrize(
    ("provider", "status", "text", "expected"),
    [
        ("openai", 400, "This model's maximum context length is 4096 tokens.", litellm.ContextWindowExceededError),
        ("openai", 413, "This model's maximum context length is 4096 tokens.", litellm.ContextWindowExceededError),
        ("anthropic", 400, "prompt is too long: 200001 tokens", litellm.ContextWindowExceededError),
        ("azure", 400, "content_policy_violation", litellm.ContentPolicyViolationError),
    ],
)
def test_context_window_and_content_policy_classes_stay(
    provider: str, status: int, text: str, expected: type[Exception]
) -> None:
    """Context-window and content-policy classes stay, with the kind of a rejected request."""
    exception = mapped(AnsweredError(status, text), provider)
    assert (type(exception), exception.failure.kind) == (expected, "request_rejected")


def test_a_400_that_quotes_429_is_a_400() -> None:
    """A 400 whose message quotes the number 429 is a BadRequestError."""
    exception = mapped(AnsweredError(400, "max_tokens 429 is too large: rate limit your ambitions"), "openai")
    assert (type(exception), exception.status_code) == (litellm.BadRequestError, 400)


def test_a_mapped_exception_comes_back_as_it_is() -> None:
    """Mapping twice is mapping once."""
    once = mapped(AnsweredError(429), "scaleway")
    assert mapped(once, "openai") is once
    assert once.failure.kind == "rate_limited"


def test_a_bug_stays_an_api_connection_error() -> None:
    """A bug of LiteLLM's stays an APIConnectionError with status 500 and is marked as internal."""
    exception = mapped(KeyError("choices"), "ollama_chat")
    assert (type(exception), exception.status_code) == (litellm.APIConnectionError, 500)
    assert exception.failure.kind == "internal"
    assert isinstance(exception.__cause__, KeyError)


def test_unprintable_exception_is_mapped() -> None:
    """An exception that cannot be printed is mapped by its status."""

    class Unprintable(Exception):
        status_code = 503

        def __str__(self) -> str:
            raise RuntimeError("no text")

    exception = mapped(Unprintable(), "unheard_of")
    assert (type(exception), exception.status_code) == (litellm.ServiceUnavailableError, 503)


@pytest.mark.parametrize("provider", ["openai", "scaleway", "unheard_of"])
def test_repeated_key_is_redacted(provider: str) -> None:
    """A key that the provider repeats is redacted from the rebuilt exception."""
    key = "sk-" + "a1B2" * 10
    exception = mapped(AnsweredError(402, f"no credit left for {key}"), provider)
    assert key not in str(exception)
    assert "no credit left for" in str(exception)


def test_failure_without_provider_is_mapped() -> None:
    """A failure before the provider is known is mapped by its status."""
    exception = mapped(AnsweredError(402), None)
    assert (type(exception), exception.status_code) == (expected_class(402, ""), 402)


@pytest.mark.parametrize(
    ("error", "allowed", "kind"),
    [
        (
            httpx.ConnectError("[Errno 111] Connection refused"),
            {litellm.APIConnectionError, litellm.InternalServerError},
            "unreachable",
        ),
        (httpx.ReadError("broke off"), {litellm.APIConnectionError, litellm.InternalServerError}, "interrupted"),
        (httpx.ReadTimeout("slow"), {litellm.Timeout}, "timed_out"),
    ],
)
@pytest.mark.parametrize("provider", ["openai", "anthropic", "ollama_chat", "unheard_of"])
def test_transport_error_kind_ignores_provider(
    provider: str, error: Exception, allowed: set[type[Exception]], kind: str
) -> None:
    """A transport error has the same kind for every provider, also under LiteLLM's placeholder status."""
    wrapped = BaseLLMException(status_code=500, message="Connection error.")
    wrapped.__context__ = error
    for original in (error, wrapped):
        exception = mapped(original, provider)
        assert type(exception) in allowed
        assert exception.failure.kind == kind


@pytest.mark.parametrize(
    ("provider", "status", "text", "expected", "kind"),
    [
        (provider, status, text, expected, KIND_OF_RECOGNISED[expected])
        for provider, statuses, text, expected in TELLING_WORDS
        for status in statuses
        if status < 500 or READS_CODES_IN_5XX
    ],
)
def test_provider_error_type_is_kept(
    provider: str, status: int, text: str, expected: type[Exception], kind: str
) -> None:
    """A provider's own error type is kept where it answers a wrong key or throttling with another status."""
    exception = mapped(AnsweredError(status, text), provider)
    assert (type(exception), exception.failure.kind) == (expected, kind)


@pytest.mark.parametrize("provider", ["openai", "publicai", "scaleway", "unheard_of"])
def test_non_ascii_header_is_tolerated(provider: str) -> None:
    """A header that is not ASCII hides neither the failure nor the Retry-After beside it."""
    original = AnsweredError(402)
    original.response.headers = httpx.Headers([(b"x-place", b"caf\xe9"), (b"retry-after", b"6")])
    exception = mapped(original, provider)
    assert (type(exception), exception.status_code) == (expected_class(402, provider), 402)
    assert exception.litellm_response_headers["retry-after"] == "6"


def test_rate_limit_by_wording() -> None:
    """A rate limit that only its wording tells of becomes a RateLimitError with 429."""
    exception = mapped(Exception("Rate limit exceeded. Retry in 6s."), "unheard_of")
    assert (type(exception), exception.status_code) == (litellm.RateLimitError, 429)
