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
    """For each status LiteLLM has a class for, and for some it has none for."""
    found = {status: mapped(ProviderError(status), provider) for status in CLASS_OF_STATUS}
    assert {status: (type(exception), exception.status_code) for status, exception in found.items()} == {
        status: (expected_class(status, provider), expected_status(status, provider)) for status in CLASS_OF_STATUS
    }


@pytest.mark.parametrize(("provider", "status", "expected"), ROWS_UPSTREAM_ASSERTS)
def test_a_class_upstream_asserts_for_a_provider_stays(provider: str, status: int, expected: type[Exception]) -> None:
    """These rows win over the table."""
    exception = mapped(ProviderError(status, "upstream failure"), provider)
    assert (type(exception), exception.status_code) == (expected, expected_status(status, provider))


@pytest.mark.parametrize("provider", ["openai", "anthropic", "scaleway", "ollama_chat", "unheard_of"])
@pytest.mark.parametrize("status", [402, 413, 429, 503])
def test_nothing_the_provider_said_is_lost(provider: str, status: int) -> None:
    """The original is the cause; Retry-After and the provider's words are still there."""
    original = ProviderError(status, "come back on Tuesday", headers={"retry-after": "6"})
    exception = mapped(original, provider)
    assert exception.__cause__ is original
    assert "come back on Tuesday" in exception.message
    assert dict(exception.litellm_response_headers)["retry-after"] == "6"


def test_a_429_whose_body_was_compressed_is_a_rate_limit() -> None:
    """Its body is decoded by then, its content-encoding header still says gzip."""
    original = ProviderError(429)
    original.response.headers["content-encoding"] = "gzip"
    exception = mapped(original, "scaleway")
    assert (type(exception), exception.status_code) == (litellm.RateLimitError, 429)


def test_a_429_whose_body_was_never_read_is_a_rate_limit() -> None:
    """As a streaming call's error may be."""
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
    """Fallbacks are chosen by them, and they never cool a deployment down."""
    exception = mapped(ProviderError(status, text), provider)
    assert (type(exception), exception.failure_signal) == (expected, "request_rejected")


def test_a_400_that_quotes_429_is_a_400() -> None:
    """Providers echo the request in validation errors, and 429 is an ordinary number."""
    exception = mapped(ProviderError(400, "max_tokens 429 is too large: rate limit your ambitions"), "openai")
    assert (type(exception), exception.status_code) == (litellm.BadRequestError, 400)


def test_a_mapped_exception_comes_back_as_it_is() -> None:
    """Mapping twice is mapping once."""
    once = mapped(ProviderError(429), "scaleway")
    assert mapped(once, "openai") is once
    assert once.failure_signal == "rate_limited"


def test_a_bug_stays_an_api_connection_error() -> None:
    """LiteLLM's own failures look as they did, and say they are internal."""
    exception = mapped(KeyError("choices"), "ollama_chat")
    assert (type(exception), exception.status_code) == (litellm.APIConnectionError, 500)
    assert exception.failure_signal == "internal"
    assert isinstance(exception.__cause__, KeyError)


def test_an_exception_that_cannot_be_printed_is_mapped_all_the_same() -> None:
    """Nothing but LiteLLM's exceptions ever comes out."""

    class Unprintable(Exception):
        status_code = 503

        def __str__(self) -> str:
            raise RuntimeError("no text")

    exception = mapped(Unprintable(), "unheard_of")
    assert (type(exception), exception.status_code) == (litellm.ServiceUnavailableError, 503)


@pytest.mark.parametrize("provider", ["openai", "scaleway", "unheard_of"])
def test_a_key_the_provider_repeats_is_not_passed_on(provider: str) -> None:
    """LiteLLM's redaction is kept wherever the exception is built anew."""
    key = "sk-" + "a1B2" * 10
    exception = mapped(ProviderError(402, f"no credit left for {key}"), provider)
    assert key not in str(exception)
    assert "no credit left for" in str(exception)


def test_a_failure_before_the_provider_is_known_is_mapped_all_the_same() -> None:
    """LiteLLM may fail before it has worked out whose model it is."""
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
def test_a_transport_error_has_one_signal_whoever_the_provider_is(
    provider: str, error: Exception, allowed: set[type[Exception]], signal: str
) -> None:
    """Also where the provider's code has put LiteLLM's placeholder, 500, on it. A class that users have policies for,
    InternalServerError, is kept where a provider's branch raises it."""
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
def test_a_providers_own_error_type_is_kept_where_its_status_says_less(
    provider: str, status: int, text: str, expected: type[Exception], signal: str
) -> None:
    """These answer 400 or 403 to a wrong key, or where they throttle."""
    exception = mapped(ProviderError(status, text), provider)
    assert (type(exception), exception.failure_signal) == (expected, signal)


@pytest.mark.parametrize("provider", ["openai", "publicai", "scaleway", "unheard_of"])
def test_a_header_that_is_not_ascii_does_not_hide_the_failure(provider: str) -> None:
    """Nor Retry-After beside it."""
    original = ProviderError(402)
    original.response.headers = httpx.Headers([(b"x-place", b"caf\xe9"), (b"retry-after", b"6")])
    exception = mapped(original, provider)
    assert (type(exception), exception.status_code) == (expected_class(402, provider), 402)
    assert exception.litellm_response_headers["retry-after"] == "6"


def test_a_rate_limit_that_only_words_tell_of_is_a_rate_limit() -> None:
    """Where neither a status nor a transport error is known."""
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
    """All of them, so that none ends in the catch-all (#24366, option A)."""
    registered = set(JSONProviderRegistry.list_providers())
    assert registered
    assert registered <= set(litellm._openai_like_providers)


def test_a_provider_added_at_run_time_takes_the_same_path(added_provider: str) -> None:
    """Its message is that of the OpenAI-like branch."""
    exception = mapped(ProviderError(429), added_provider)
    assert (type(exception), exception.status_code) == (litellm.RateLimitError, 429)
    assert exception.message == mapped(ProviderError(429), "databricks").message.replace("Databricks", "Acme")


def test_a_registration_can_be_found_in_the_debug_log(added_provider: str, caplog: pytest.LogCaptureFixture) -> None:
    """By the provider's name."""
    from litellm.litellm_core_utils.http_status_mapping import register_json_providers

    with caplog.at_level(logging.DEBUG, logger="LiteLLM"):
        register_json_providers()
    assert added_provider in litellm._openai_like_providers
    assert any(added_provider in record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG)


@pytest.mark.parametrize("missing", ["base_url", "api_key_env"])
def test_an_incomplete_entry_is_logged_and_left_out(
    added_provider: str, missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its failures agree with their status all the same."""
    from litellm.litellm_core_utils.http_status_mapping import register_json_providers

    setattr(JSONProviderRegistry._providers[added_provider], missing, "")
    with caplog.at_level(logging.WARNING, logger="LiteLLM"):
        register_json_providers()
    assert added_provider not in litellm._openai_like_providers
    assert any(missing in record.getMessage() for record in caplog.records)
    assert type(mapped(ProviderError(429), added_provider)) is litellm.RateLimitError


def test_a_registry_that_cannot_be_read_is_logged_and_skipped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken providers.json must not keep litellm from being imported."""
    from litellm.litellm_core_utils.http_status_mapping import register_json_providers

    def broken() -> list[str]:
        raise ValueError("line 3: expected a comma")

    monkeypatch.setattr(JSONProviderRegistry, "list_providers", broken)
    with caplog.at_level(logging.WARNING, logger="LiteLLM"):
        register_json_providers()
    assert any("line 3: expected a comma" in record.getMessage() for record in caplog.records)
