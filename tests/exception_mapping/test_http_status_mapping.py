"""What `exception_type` raises agrees with the provider's HTTP status, whichever branch the provider takes."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx
import litellm
import pytest
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.llms.openai_like.json_loader import JSONProviderRegistry, SimpleProviderConfig

from exception_mapping.expectations import (
    CLASS_OF_STATUS,
    ROWS_UPSTREAM_ASSERTS,
    expected_class,
    expected_status,
    mapped,
)

REQUEST = httpx.Request("POST", "https://provider.test/v1/chat/completions")
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


class ProviderError(Exception):
    """A provider's exception: a status, a message, and the answer it was read from."""

    def __init__(self, status: int, text: str = "the provider said no", headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status_code = status
        self.message = text
        self.request = REQUEST
        self.response = httpx.Response(status, headers=headers, json={"error": text}, request=REQUEST)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_status_and_class_are_the_providers(provider: str) -> None:
    """Each status comes out unchanged and with LiteLLM's class for it, whatever branch the provider takes."""
    found = {status: mapped(ProviderError(status), provider) for status in CLASS_OF_STATUS}
    assert {status: (type(exception), exception.status_code) for status, exception in found.items()} == {
        status: (expected_class(status, provider), expected_status(status, provider)) for status in CLASS_OF_STATUS
    }


@pytest.mark.parametrize(("provider", "status", "expected"), ROWS_UPSTREAM_ASSERTS)
def test_a_class_upstream_asserts_for_a_provider_stays(provider: str, status: int, expected: type[Exception]) -> None:
    """A class that upstream's tests assert for a provider wins over the table, and the status stays."""
    exception = mapped(ProviderError(status, "upstream failure"), provider)
    assert (type(exception), exception.status_code) == (expected, expected_status(status, provider))


@pytest.mark.parametrize("provider", ["openai", "anthropic", "scaleway", "ollama_chat", "unheard_of"])
@pytest.mark.parametrize("status", [402, 413, 429, 503])
def test_nothing_the_provider_said_is_lost(provider: str, status: int) -> None:
    """A mapped exception has the original as its cause and keeps its words and Retry-After."""
    original = ProviderError(status, "come back on Tuesday", headers={"retry-after": "6"})
    exception = mapped(original, provider)
    assert exception.__cause__ is original
    assert "come back on Tuesday" in exception.message
    assert dict(exception.litellm_response_headers)["retry-after"] == "6"


def test_compressed_429_is_rate_limit() -> None:
    """A 429 whose decoded body still has a content-encoding header is a rate limit."""
    original = ProviderError(429)
    original.response.headers["content-encoding"] = "gzip"
    exception = mapped(original, "scaleway")
    assert (type(exception), exception.status_code) == (litellm.RateLimitError, 429)


def test_unread_429_is_rate_limit() -> None:
    """A 429 whose body was never read, as of a streaming call, is a rate limit."""
    original = ProviderError(429)
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
    """Context-window and content-policy classes stay, with the signal of a rejected request."""
    exception = mapped(ProviderError(status, text), provider)
    assert (type(exception), exception.failure_signal) == (expected, "request_rejected")


def test_a_400_that_quotes_429_is_a_400() -> None:
    """A 400 whose message quotes the number 429 is a BadRequestError."""
    exception = mapped(ProviderError(400, "max_tokens 429 is too large: rate limit your ambitions"), "openai")
    assert (type(exception), exception.status_code) == (litellm.BadRequestError, 400)


def test_a_mapped_exception_comes_back_as_it_is() -> None:
    """Mapping twice is mapping once."""
    once = mapped(ProviderError(429), "scaleway")
    assert mapped(once, "openai") is once
    assert once.failure_signal == "rate_limited"


def test_a_bug_stays_an_api_connection_error() -> None:
    """A bug of LiteLLM's stays an APIConnectionError with status 500 and is marked as internal."""
    exception = mapped(KeyError("choices"), "ollama_chat")
    assert (type(exception), exception.status_code) == (litellm.APIConnectionError, 500)
    assert exception.failure_signal == "internal"
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
    exception = mapped(ProviderError(402, f"no credit left for {key}"), provider)
    assert key not in str(exception)
    assert "no credit left for" in str(exception)


def test_failure_without_provider_is_mapped() -> None:
    """A failure before the provider is known is mapped by its status."""
    exception = mapped(ProviderError(402), None)
    assert (type(exception), exception.status_code) == (expected_class(402, ""), 402)


@pytest.mark.parametrize(
    ("error", "allowed", "signal"),
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
def test_transport_error_signal_ignores_provider(
    provider: str, error: Exception, allowed: set[type[Exception]], signal: str
) -> None:
    """A transport error has the same signal for every provider, also under LiteLLM's placeholder status."""
    wrapped = BaseLLMException(status_code=500, message="Connection error.")
    wrapped.__context__ = error
    for original in (error, wrapped):
        exception = mapped(original, provider)
        assert type(exception) in allowed
        assert exception.failure_signal == signal


@pytest.mark.parametrize(
    ("provider", "status", "text", "expected", "signal"),
    [
        (
            "gemini",
            400,
            "API key not valid. Please pass a valid API key.",
            litellm.AuthenticationError,
            "bad_credentials",
        ),
        ("vertex_ai", 400, "Quota exceeded for requests per minute", litellm.RateLimitError, "rate_limited"),
        ("bedrock", 400, "ThrottlingException: slow down", litellm.RateLimitError, "rate_limited"),
        ("cohere", 400, "invalid api token", litellm.AuthenticationError, "bad_credentials"),
        ("watsonx", 403, "token_quota_reached", litellm.RateLimitError, "rate_limited"),
    ],
)
def test_provider_error_type_is_kept(
    provider: str, status: int, text: str, expected: type[Exception], signal: str
) -> None:
    """A provider's own error type is kept where it answers a wrong key or throttling with 400 or 403."""
    exception = mapped(ProviderError(status, text), provider)
    assert (type(exception), exception.failure_signal) == (expected, signal)


@pytest.mark.parametrize("provider", ["openai", "publicai", "scaleway", "unheard_of"])
def test_non_ascii_header_is_tolerated(provider: str) -> None:
    """A header that is not ASCII hides neither the failure nor the Retry-After beside it."""
    original = ProviderError(402)
    original.response.headers = httpx.Headers([(b"x-place", b"caf\xe9"), (b"retry-after", b"6")])
    exception = mapped(original, provider)
    assert (type(exception), exception.status_code) == (expected_class(402, provider), 402)
    assert exception.litellm_response_headers["retry-after"] == "6"


def test_rate_limit_by_wording() -> None:
    """A rate limit that only its wording tells of becomes a RateLimitError with 429."""
    exception = mapped(Exception("Rate limit exceeded. Retry in 6s."), "unheard_of")
    assert (type(exception), exception.status_code) == (litellm.RateLimitError, 429)


@pytest.fixture
def added_provider() -> Iterator[str]:
    """A provider a user adds to the registry while the process runs."""
    JSONProviderRegistry._providers["acme"] = SimpleProviderConfig(
        "acme", {"base_url": "https://acme.test/v1", "api_key_env": "ACME_API_KEY"}
    )
    yield "acme"
    del JSONProviderRegistry._providers["acme"]
    if "acme" in litellm._openai_like_providers:
        litellm._openai_like_providers.remove("acme")


def test_the_providers_of_providers_json_are_openai_like() -> None:
    """All providers of providers.json are OpenAI-like, so none ends in the catch-all (#24366, option A)."""
    registered = set(JSONProviderRegistry.list_providers())
    assert registered
    assert registered <= set(litellm._openai_like_providers)


def test_runtime_provider_is_openai_like(added_provider: str) -> None:
    """A provider that is registered at run time is mapped by the OpenAI-like branch."""
    exception = mapped(ProviderError(429), added_provider)
    assert (type(exception), exception.status_code) == (litellm.RateLimitError, 429)
    assert exception.message == mapped(ProviderError(429), "databricks").message.replace("Databricks", "Acme")


def test_registration_is_logged(added_provider: str, caplog: pytest.LogCaptureFixture) -> None:
    """The debug log names each provider that is registered."""
    from litellm.litellm_core_utils.http_status_mapping import register_json_providers

    with caplog.at_level(logging.DEBUG, logger="LiteLLM"):
        register_json_providers()
    assert added_provider in litellm._openai_like_providers
    assert any(added_provider in record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG)


@pytest.mark.parametrize("missing", ["base_url", "api_key_env"])
def test_an_incomplete_entry_is_logged_and_left_out(
    added_provider: str, missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An incomplete entry is logged and left out, and its failures agree with their status all the same."""
    from litellm.litellm_core_utils.http_status_mapping import register_json_providers

    setattr(JSONProviderRegistry._providers[added_provider], missing, "")
    with caplog.at_level(logging.WARNING, logger="LiteLLM"):
        register_json_providers()
    assert added_provider not in litellm._openai_like_providers
    assert any(missing in record.getMessage() for record in caplog.records)
    assert type(mapped(ProviderError(429), added_provider)) is litellm.RateLimitError


def test_unreadable_registry_is_skipped(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A registry that cannot be read is logged and does not keep litellm from being imported."""
    from litellm.litellm_core_utils.http_status_mapping import register_json_providers

    def broken() -> list[str]:
        raise ValueError("line 3: expected a comma")

    monkeypatch.setattr(JSONProviderRegistry, "list_providers", broken)
    with caplog.at_level(logging.WARNING, logger="LiteLLM"):
        register_json_providers()
    assert any("line 3: expected a comma" in record.getMessage() for record in caplog.records)
