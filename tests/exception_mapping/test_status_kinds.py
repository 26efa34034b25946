"""Which of an exception's numbers is the provider's status, and which kind of failure it stands for."""

from __future__ import annotations

import errno
import urllib.error
from collections.abc import Callable
from email.message import Message
from typing import Any

import aiohttp
import aiohttp.http_exceptions
import httpx
import litellm
import openai
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from litellm.litellm_core_utils.failure import Basis, Failure, classify, failure_of, kind_of_status
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.llms.base_llm.chat.transformation import BaseLLMException

from exception_mapping.failures import (
    REQUEST,
    Failed,
    answered,
    http_status_error,
    of_class,
    raised_from,
    raised_while_handling,
    refused,
)

KIND_BY_STATUS = {
    200: FailureKind.GARBLED,
    302: FailureKind.GARBLED,
    400: FailureKind.REQUEST_REJECTED,
    401: FailureKind.BAD_CREDENTIALS,
    402: FailureKind.OUT_OF_CREDIT,
    403: FailureKind.BAD_CREDENTIALS,
    404: FailureKind.MODEL_MISSING,
    408: FailureKind.TIMED_OUT,
    409: FailureKind.REQUEST_REJECTED,
    413: FailureKind.REQUEST_REJECTED,
    422: FailureKind.REQUEST_REJECTED,
    429: FailureKind.RATE_LIMITED,
    499: FailureKind.REQUEST_REJECTED,
    500: FailureKind.SERVER_ERROR,
    502: FailureKind.SERVER_ERROR,
    503: FailureKind.UNAVAILABLE,
    504: FailureKind.TIMED_OUT,
    522: FailureKind.TIMED_OUT,
    524: FailureKind.TIMED_OUT,
    529: FailureKind.UNAVAILABLE,
    599: FailureKind.SERVER_ERROR,
}
STATUSES_WITH_A_ROW = {
    401: FailureKind.BAD_CREDENTIALS,
    402: FailureKind.OUT_OF_CREDIT,
    403: FailureKind.BAD_CREDENTIALS,
    404: FailureKind.MODEL_MISSING,
    408: FailureKind.TIMED_OUT,
    429: FailureKind.RATE_LIMITED,
    503: FailureKind.UNAVAILABLE,
    504: FailureKind.TIMED_OUT,
    522: FailureKind.TIMED_OUT,
    524: FailureKind.TIMED_OUT,
    529: FailureKind.UNAVAILABLE,
}


@pytest.mark.parametrize(("status", "kind"), KIND_BY_STATUS.items())
def test_a_status_alone_tells_the_kind(status: int, kind: FailureKind) -> None:
    """A status decides the kind in a provider's class, in an HTTP client's, and as text instead of a number."""
    holders = [
        Failed(status_code=status),
        Failed(status_code=str(status)),
        Failed(response=httpx.Response(status)),
        Failed(code=status),
        BaseLLMException(status_code=status, message="failed"),
        http_status_error(status),
        aiohttp.ClientResponseError(None, (), status=status),  # type: ignore[arg-type]
    ]
    assert {classify(holder) for holder in holders} == {kind}


def test_unlisted_status_uses_status_class() -> None:
    """A status without a row of its own has the kind of its class, such as 4xx, also right beside a listed one."""
    expected = {
        status: FailureKind.GARBLED
        if status < 400
        else FailureKind.REQUEST_REJECTED
        if status < 500
        else FailureKind.SERVER_ERROR
        for status in range(100, 600)
    }
    assert {status: kind_of_status(status) for status in range(100, 600)} == expected | STATUSES_WITH_A_ROW


@pytest.mark.parametrize("text", ["You sent 429 tokens", "rate limit", "Connection refused", "timed out"])
def test_status_outranks_quoted_wording(text: str) -> None:
    """A 400 that quotes "429" is a 400."""
    assert classify(BaseLLMException(status_code=400, message=text)) is FailureKind.REQUEST_REJECTED
    assert classify(BaseLLMException(status_code=500, message=text)) is FailureKind.SERVER_ERROR


@given(
    status=st.integers(100, 599),
    text=st.text(),
    words=st.sampled_from(["", "429", "rate limit", "Connection refused", "timed out", "Request too large"]),
)
def test_a_status_decides_against_any_wording(status: int, text: str, words: str) -> None:
    """The same status has the same kind whatever is written beside it."""
    assert classify(http_status_error(status)) is classify(Failed(f"{text} {words}", response=httpx.Response(status)))


def test_answer_outranks_earlier_transport_error() -> None:
    """A real 500 raised while an earlier refusal was being handled is a 500."""
    failure = raised_while_handling(http_status_error(500), ConnectionRefusedError(errno.ECONNREFUSED, "earlier"))
    assert classify(failure) is FailureKind.SERVER_ERROR


@pytest.mark.parametrize("status", [408, 422, 500])
def test_placeholder_status_yields_to_transport_error(status: int) -> None:
    """A status that LiteLLM writes itself (408, 422, 500) counts only where no transport error is known."""
    failure = BaseLLMException(status_code=status, message="failed")
    assert classify(failure) is kind_of_status(status)
    assert classify(raised_from(failure, refused())) is FailureKind.UNREACHABLE


@pytest.mark.parametrize("status", [400, 407, 409, 421, 423, 499, 501, 599])
def test_other_status_outranks_transport_error(status: int) -> None:
    """Any other status than LiteLLM's placeholders is the provider's, whatever exception it was raised from."""
    failure = raised_from(BaseLLMException(status_code=status, message="failed"), refused())
    assert failure_of(failure) == Failure(kind_of_status(status), status, Basis.ANSWER)


def http_error() -> urllib.error.HTTPError:
    return urllib.error.HTTPError("https://provider.test", 500, "failed", Message(), None)


def requests_error() -> requests.HTTPError:
    answer = requests.Response()
    answer.status_code = 500
    return requests.HTTPError("failed", response=answer)


ANSWERS: dict[str, Callable[[], Exception]] = {
    "httpx": lambda: httpx.HTTPStatusError("failed", request=REQUEST, response=httpx.Response(500, request=REQUEST)),
    "openai": lambda: openai.InternalServerError("failed", response=answered(500), body=None),
    "anthropic": lambda: of_class("anthropic", "InternalServerError", type(of_class("anthropic", "APIStatusError"))),
    "aiohttp": lambda: aiohttp.ClientResponseError(None, (), status=500),  # type: ignore[arg-type]
    "requests": requests_error,
    "urllib": http_error,
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_client_500_outranks_context(answer: Callable[[], Exception]) -> None:
    """A 500 that an HTTP client read off an answer counts, even with an earlier refusal in its context."""
    failure = answer()
    if type(failure).__module__ == "anthropic":
        vars(failure)["status_code"] = 500
    assert failure_of(raised_while_handling(failure, refused())) == Failure(FailureKind.SERVER_ERROR, 500, Basis.ANSWER)


@pytest.mark.parametrize("status", [100, 599, "100", "599"])
def test_the_first_and_the_last_status_are_statuses(status: int | str) -> None:
    """100 and 599 are accepted as statuses, as numbers and as text."""
    assert failure_of(Failed(status_code=status)).http_status == int(status)


@pytest.mark.parametrize("status", [99, 600, 0, True, "99", "600", "0429", "²²²", "4e2", "429 ", "none", b"429", 429.0])
def test_invalid_status_is_ignored(status: object) -> None:
    """A value that is no HTTP status is ignored, and the wording is read instead."""
    failure = Failed("Connection refused", status_code=status)
    assert failure_of(failure) == Failure(FailureKind.UNREACHABLE, None, Basis.WORDING)


def test_invalid_code_does_not_hide_status() -> None:
    """An attribute that holds no status does not hide a valid status in the one beside it."""
    assert failure_of(Failed(status_code=None, code="429")).http_status == 429
    assert failure_of(Failed(code="rate_limit_exceeded", status=429)).http_status == 429
    assert failure_of(Failed(status_code=None, response=httpx.Response(429))).http_status == 429


def test_the_statuses_on_one_exception_have_an_order() -> None:
    """An exception's own status comes before its answer's, and its `code` comes last."""
    assert failure_of(Failed(status_code=401, status=402, response=httpx.Response(403), code=404)).http_status == 401
    assert failure_of(Failed(status=402, response=httpx.Response(403), code=404)).http_status == 402
    assert failure_of(Failed(response=httpx.Response(403), code=404)).http_status == 403


def test_the_outermost_placeholder_is_kept() -> None:
    """The outermost placeholder status decides where the chain holds nothing better."""
    failure = raised_from(Failed(status_code=500), Failed(status_code=408))
    assert failure_of(failure) == Failure(FailureKind.SERVER_ERROR, 500, Basis.LITELLM)


def test_garbled_words_outrank_a_placeholder() -> None:
    """Wording that tells of an unreadable answer outranks the status that LiteLLM put on it."""
    failure = Failed("Unable to get json response - Expecting value", status_code=422)
    assert failure_of(failure) == Failure(FailureKind.GARBLED, None, Basis.WORDING)


def test_litellm_placeholder_is_not_provider_status() -> None:
    """A 500 on LiteLLM's own exception tells the kind, but not that a provider answered."""
    own = litellm.InternalServerError(message="failed", model="m", llm_provider="x")
    assert failure_of(own) == Failure(FailureKind.SERVER_ERROR, None, Basis.LITELLM)
    for module in ("litellm.exception", "litellm.exceptions_", "litellm.llms.x"):
        failure: Any = of_class(module, "Failed")
        failure.status_code = 500
        assert failure_of(failure) == Failure(FailureKind.SERVER_ERROR, 500, Basis.LITELLM)


def test_a_status_litellm_made_up_is_no_evidence() -> None:
    """A status that LiteLLM marks as synthesized, as it does from 1.100 on, is no evidence."""
    failure = Failed("'choices'", status_code=503, status_code_is_synthesized=True)
    assert failure_of(failure) == Failure(FailureKind.INTERNAL, None, Basis.NOTHING)
    assert not failure_of(failure).proven


def test_litellms_own_exceptions_are_read_by_class_first() -> None:
    """LiteLLM's exceptions for request faults and bad answers are read by class, whatever status they carry."""
    mapped: list[Any] = [
        litellm.ContextWindowExceededError(message="too long", model="m", llm_provider="x"),
        litellm.ContentPolicyViolationError(message="flagged", model="m", llm_provider="x"),
        litellm.APIResponseValidationError(message="no choices", model="m", llm_provider="x"),
    ]
    for failure in mapped:
        failure.status_code = 429
    rejected = FailureKind.REQUEST_REJECTED
    assert [classify(failure) for failure in mapped] == [rejected, rejected, FailureKind.GARBLED]


def test_request_fault_class_outranks_status() -> None:
    """A ContextWindowExceededError under a 500 is still the request's fault."""
    failure = litellm.ContextWindowExceededError(message="too long", model="m", llm_provider="x")
    vars(failure)["status_code"] = 500
    assert classify(failure) is FailureKind.REQUEST_REJECTED


def test_an_exception_without_a_text_keeps_its_status() -> None:
    """An exception that cannot be printed keeps its status."""

    class Unprintable(Exception):
        status_code = 500

        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert failure_of(Unprintable()) == Failure(FailureKind.SERVER_ERROR, 500, Basis.LITELLM)
