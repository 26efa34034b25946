"""Which class and kind an exception has: by the provider's status, else by the transport's failure."""

from __future__ import annotations

from typing import Any

import httpx
import litellm
import pytest
from litellm.litellm_core_utils.failure import kind_of_status
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.litellm_core_utils.http_status_mapping import align_with_http_status

from exception_mapping.aligned import PICKED, ProviderError, agreed
from exception_mapping.expectations import (
    RECOGNISED_BY_WORDING,
    ROWS_UPSTREAM_ASSERTS,
    expected_class,
    expected_status,
    mapped,
    recognised_classes,
)

STATUSES = [*range(100, 200), *range(300, 600)]
WITH_A_ROW = sorted({provider for provider, _, _ in ROWS_UPSTREAM_ASSERTS})
RECOGNISING = sorted({provider for provider, _ in RECOGNISED_BY_WORDING})


@pytest.mark.parametrize("provider", [*WITH_A_ROW, "unheard_of"])
def test_every_status_has_its_class(provider: str) -> None:
    """Every status has its class, but for the rows that upstream's tests assert for a provider."""
    found = {status: mapped(ProviderError(status), provider) for status in STATUSES}
    assert {status: (type(error), error.status_code, error.failure.kind) for status, error in found.items()} == {
        status: (expected_class(status, provider), expected_status(status, provider), kind_of_status(status))
        for status in STATUSES
    }


@pytest.mark.parametrize("cls", PICKED)
def test_disagreeing_class_is_replaced(cls: type[Exception]) -> None:
    """A class that does not agree with the status is replaced, and a more exact one is kept."""
    for status in range(400, 600):
        error: Any = agreed(cls, ProviderError(status))
        expected = expected_class(status, "unheard_of")
        assert issubclass(type(error), expected)
        assert type(error) in (expected, cls)
        assert (error.status_code, error.failure.kind) == (status, kind_of_status(status))


@pytest.mark.parametrize("provider", [*RECOGNISING, "unheard_of"])
@pytest.mark.parametrize("cls", [litellm.AuthenticationError, litellm.RateLimitError, litellm.NotFoundError])
def test_recognised_type_statuses(provider: str, cls: type[Exception]) -> None:
    """A recognised error type keeps its class and kind under the provider's statuses for it, and no others."""
    kept = {status for status in range(400, 600) if type(agreed(cls, ProviderError(status), provider)) is cls}
    usual = {litellm.AuthenticationError: 401, litellm.RateLimitError: 429, litellm.NotFoundError: 404}[cls]
    assert kept == {usual} | {status for status in range(400, 600) if cls in recognised_classes(provider, status)}
    for status in kept:
        assert agreed(cls, ProviderError(status), provider).failure.kind == kind_of_status(usual)


@pytest.mark.parametrize("status", [200, 204, 299])
def test_failed_success_is_garbled(status: int) -> None:
    """A 2xx answer that failed is garbled and surfaces with status 500."""
    error = agreed(litellm.BadRequestError, ProviderError(status))
    assert (type(error), error.status_code) == (litellm.APIConnectionError, 500)
    assert error.failure.kind is FailureKind.GARBLED


@pytest.mark.parametrize("status", [199, 300, 399])
def test_1xx_and_3xx_are_api_errors(status: int) -> None:
    """A status that is neither success nor failure becomes an APIError with that status."""
    error = agreed(litellm.APIConnectionError, ProviderError(status))
    assert (type(error), error.status_code, error.failure.kind) == (litellm.APIError, status, FailureKind.GARBLED)


FAULTS = {
    "unreachable": (httpx.ConnectError("refused"), litellm.APIConnectionError),
    "interrupted": (httpx.ReadError("broke off"), litellm.APIConnectionError),
    "garbled": (httpx.DecodingError("not gzip"), litellm.APIConnectionError),
    "timed_out": (httpx.ReadTimeout("slow"), litellm.Timeout),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_without_an_answer_the_kind_has_a_class(kind: str) -> None:
    """Without an answer the kind decides the class, except for two that users have policies for."""
    original, expected = FAULTS[kind]
    kept = {cls for cls in PICKED if type(agreed(cls, original)) is cls}
    users_have_policies = {litellm.InternalServerError, litellm.Timeout}
    assert kept == {expected} | (users_have_policies if expected is litellm.APIConnectionError else set())
    assert type(agreed(litellm.BadRequestError, original)) is expected
    assert {agreed(cls, original).failure.kind.value for cls in PICKED} == {kind}


def test_local_failure_keeps_class() -> None:
    """A failure of this side is internal and keeps whatever class LiteLLM gave it."""
    original = httpx.PoolTimeout("busy")
    for cls in PICKED:
        error = agreed(cls, original)
        assert (type(error), error.failure.kind) == (cls, FailureKind.INTERNAL)


def test_what_is_no_exception_of_litellms_becomes_one() -> None:
    """An exception that is not LiteLLM's becomes an APIConnectionError that is marked as internal."""
    error: Any = align_with_http_status(ValueError("?"), KeyError("choices"), "some-model", "openai")
    assert (type(error), error.status_code) == (litellm.APIConnectionError, 500)
    assert error.failure.kind is FailureKind.INTERNAL


def test_recognised_wording_without_proof() -> None:
    """The wording that `exception_type` recognised counts where nothing is proven."""
    error = agreed(litellm.NotFoundError, Exception("no such model: rate limit"))
    assert (type(error), error.failure.kind) == (litellm.NotFoundError, FailureKind.MODEL_MISSING)
    error = agreed(litellm.APIConnectionError, Exception("rate limit"))
    assert (type(error), error.status_code) == (litellm.RateLimitError, 429)


@pytest.mark.parametrize("cls", [litellm.ContextWindowExceededError, litellm.ContentPolicyViolationError])
def test_request_fault_under_any_status(cls: type[Exception]) -> None:
    """A context-window or content-policy error is the request's fault and has 400, whatever the answer's status."""
    for status in (400, 413, 429, 500, None):
        error = agreed(cls, ProviderError(status))
        assert (type(error), error.status_code) == (cls, 400)
        assert error.failure.kind is FailureKind.REQUEST_REJECTED
