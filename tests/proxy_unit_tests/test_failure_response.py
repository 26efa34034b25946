"""Which status and which Retry-After the caller gets, by the failure's kind and by the attempts."""

from __future__ import annotations

import httpx
import litellm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.proxy.failover_errors.response import client_status
from litellm.router_utils.failover.policy import POLICY
from litellm.types.router import RouterRateLimitError

from support.answers import MODEL, after, as_mapped, attempt, from_provider, told, without_answer


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((code, code) for code in (400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 500, 501, 502, 503, 529)),
        *((code, 504) for code in (504, 522, 524)),
    ],
)
def test_the_providers_status_is_the_callers(status: int, expected: int) -> None:
    """The caller gets the provider's status, but for the time-outs that a content network has codes of its own for."""
    assert told(from_provider(status)).status_code == expected


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (httpx.ConnectError("All connection attempts failed"), 502),
        (httpx.ReadError("reset"), 502),
        (httpx.RemoteProtocolError("Server disconnected"), 502),
        (httpx.DecodingError("broken"), 502),
        (httpx.ReadTimeout("slow"), 504),
        (litellm.Timeout("slow", MODEL, "hosted_vllm"), 504),
    ],
)
def test_unanswered_request_is_502_or_504(cause: Exception, expected: int) -> None:
    """Without an answer the caller gets 502, or 504 after a time-out (RFC 9110, sections 15.6.3 and 15.6.5)."""
    assert told(without_answer(cause)).status_code == expected


@given(kind=st.sampled_from(FailureKind), status=st.none() | st.integers(400, 599))
def test_a_status_for_every_kind(kind: FailureKind, status: int | None) -> None:
    """A kind has the table's status where that has one, else the provider's, else 500, and 408 stays 408."""
    expected = POLICY[kind].client_status or status or 500
    if kind is FailureKind.TIMED_OUT and status == 408:
        expected = 408
    assert client_status(kind, status) == expected


@pytest.mark.parametrize(
    ("own", "expected"), [(400, 400), (422, 422), (599, 599), (399, 500), (600, 500), (None, 500), ("400", 500)]
)
def test_litellm_status_without_provider_status(own: object, expected: int) -> None:
    """Where no provider gave a status the caller gets LiteLLM's if it is an error's, else 500."""
    failure = as_mapped(litellm.ContextWindowExceededError("Too long.", MODEL, "hosted_vllm"))
    failure.status_code = own  # type: ignore[attr-defined]
    assert told(failure).status_code == expected


def test_shortest_retry_after_wins() -> None:
    """A request that was rate-limited everywhere gets 429 with the shortest wait."""
    attempts = [attempt(FailureKind.RATE_LIMITED, 429, wait) for wait in (30, 7, None)]
    response = told(after(from_provider(429), *attempts))
    assert (response.status_code, response.retry_after) == (429, 7)


def test_the_last_deployment_to_blame_decides() -> None:
    """The last deployment to blame decides the status, with its own Retry-After and not another's."""
    attempts = [attempt(FailureKind.RATE_LIMITED, 429, 7), attempt(FailureKind.UNAVAILABLE, 503, 40)]
    response = told(after(from_provider(429), *attempts))
    assert (response.status_code, response.retry_after) == (503, 40)
    response = told(after(from_provider(503), *reversed(attempts), attempt(FailureKind.UNREACHABLE)))
    assert (response.status_code, response.retry_after) == (502, None)


def test_what_another_group_rejected_is_not_the_answer() -> None:
    """A rejection by another group is not the answer where the first group was down."""
    attempts = [attempt(FailureKind.UNAVAILABLE, 503), attempt(FailureKind.REQUEST_REJECTED, 400)]
    assert told(after(from_provider(503), *attempts)).status_code == 503


def test_rejection_reason_wins() -> None:
    """A rejected request gets the reason, whatever happened before."""
    attempts = [attempt(FailureKind.UNREACHABLE), attempt(FailureKind.REQUEST_REJECTED, 400)]
    response = told(after(from_provider(400, "No such parameter: temprature"), *attempts))
    assert response.status_code == 400
    assert "No such parameter: temprature" in response.message


def test_cooling_group_tells_retry_after() -> None:
    """A group that is cooling down answers 429 with its wait in whole seconds, rounded up (#2487)."""
    failure = RouterRateLimitError(MODEL, cooldown_time=4.2, enable_pre_call_checks=False, cooldown_list=["an-id"])
    assert told(failure)[:3] == (429, "No deployments available for selected model, try again in 5 seconds.", 5)
    failure.cooldown_time = 0
    assert told(failure)[:3] == (429, "No deployments available for selected model.", None)


def test_attempts_outweigh_cooldown() -> None:
    """A request that found the last deployment dead is told of that, not of the cooldown that followed."""
    failure = RouterRateLimitError(MODEL, cooldown_time=5, enable_pre_call_checks=False, cooldown_list=[])
    assert told(after(failure, attempt(FailureKind.UNREACHABLE))).status_code == 502
