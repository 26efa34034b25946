"""Every mapped exception leaves with its failure and its cause, and only LiteLLM's own ones do."""

from __future__ import annotations

import logging

import httpx
import litellm
import pytest
from litellm.litellm_core_utils.failure import Failure, failure_of, keep_failure
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.litellm_core_utils.http_status_mapping import align_with_http_status, keep_failure_of_mapped

from exception_mapping.aligned import ProviderError, agreed, picked


@pytest.mark.parametrize(
    ("cls", "original", "provider", "status"),
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
def test_the_providers_status_is_kept_beside_the_kind(
    cls: type[Exception], original: Exception, provider: str, status: int | None
) -> None:
    """A failure has the status of the answer, or that of its error object, and none where there was no answer."""
    error = agreed(cls, original, provider)
    assert error.failure.http_status == status
    assert failure_of(error)[:2] == (error.failure.kind, status)
    assert failure_of(error).proven is (type(original) is not Exception)  # whose words prove nothing


def test_another_attribute_of_that_name_stays() -> None:
    """An exception of a class that has something of its own under the name `failure` keeps it."""
    error = Exception("a hook said no")
    vars(error)["failure"] = "its own"
    keep_failure(error, Failure(FailureKind.RATE_LIMITED))
    assert vars(error)["failure"] == "its own"


@pytest.mark.parametrize("module", ["aaa", "builtins", "litellm", "litellm.exceptions_", "zzz"])
def test_keep_failure_of_mapped_ignores_other_exceptions(module: str) -> None:
    """`keep_failure_of_mapped` puts a failure on LiteLLM's own exceptions only."""
    failure = type("Failed", (Exception,), {"__module__": module})("failed")
    keep_failure_of_mapped(failure)
    assert not hasattr(failure, "failure")
    ours = picked(litellm.NotFoundError)
    keep_failure_of_mapped(ours)
    assert (ours.failure.kind, ours.failure.http_status) == (FailureKind.MODEL_MISSING, 404)


@pytest.mark.parametrize("original", ["a text", None, KeyError("choices")])
def test_cause_is_original_exception(original: object) -> None:
    """The original becomes the cause only if it is an exception."""
    error = agreed(litellm.APIConnectionError, original)
    assert error.__cause__ is (original if isinstance(original, Exception) else None)


def test_nothing_is_its_own_cause() -> None:
    """A mapped exception that is the original itself gets no cause."""
    original = picked(litellm.RateLimitError)
    assert align_with_http_status(original, original, "some-model", "openai") is original
    assert original.__cause__ is None


def test_own_failure_keeps_upstream_exception(caplog: pytest.LogCaptureFixture) -> None:
    """If the mapping itself fails, what `exception_type` made is raised, and the log says why."""

    class Unchangeable(litellm.APIConnectionError):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "failure":
                raise AttributeError("cannot be changed")
            super().__setattr__(name, value)

    ours, original = Unchangeable(message="failed", llm_provider="p", model="m"), httpx.ConnectError("refused")
    with caplog.at_level(logging.WARNING, logger="LiteLLM"):
        assert align_with_http_status(ours, original, "some-model", "acme") is ours
    assert ours.__cause__ is original
    assert any(
        "acme" in text and "cannot be changed" in text for text in map(logging.LogRecord.getMessage, caplog.records)
    )
