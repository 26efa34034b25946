"""`classify` at its edges: every status beside a listed one, every HTTP client's classes, chains that twist."""

from __future__ import annotations

import asyncio
import errno
import json
import ssl
import types
import urllib.error
from collections.abc import Callable
from email.message import Message
from typing import Any

import aiohttp
import aiohttp.http_exceptions
import anyio
import h11
import httpcore
import httpx
import litellm
import openai
import pytest
import requests
import urllib3
from litellm.litellm_core_utils.failure_signal import (
    Basis,
    Diagnosis,
    FailureSignal,
    chain,
    classify,
    diagnose,
    peek,
    signal_of_status,
)
from litellm.llms.base_llm.chat.transformation import BaseLLMException

REQUEST = httpx.Request("POST", "https://provider.test/v1/chat/completions")

STATUSES_WITH_A_ROW = {
    401: FailureSignal.BAD_CREDENTIALS,
    402: FailureSignal.OUT_OF_CREDIT,
    403: FailureSignal.BAD_CREDENTIALS,
    404: FailureSignal.MODEL_MISSING,
    408: FailureSignal.TIMED_OUT,
    429: FailureSignal.RATE_LIMITED,
    503: FailureSignal.UNAVAILABLE,
    504: FailureSignal.TIMED_OUT,
    522: FailureSignal.TIMED_OUT,
    524: FailureSignal.TIMED_OUT,
    529: FailureSignal.UNAVAILABLE,
}


class Failed(Exception):
    """An exception of no known package, with whatever attributes a test gives it."""

    def __init__(self, text: str = "", **attributes: Any) -> None:
        super().__init__(text)
        self.__dict__.update(attributes)


class SystemFailed(OSError):
    """A failure of the system that Python has no class for."""


def refused() -> ConnectionRefusedError:
    return ConnectionRefusedError(errno.ECONNREFUSED, "refused")


def raised_from(outer: BaseException, cause: BaseException) -> BaseException:
    outer.__cause__ = cause
    return outer


def raised_while_handling(outer: BaseException, inner: BaseException) -> BaseException:
    outer.__context__ = inner
    return outer


def of_class(module: str, name: str, *bases: type[Exception]) -> Exception:
    """An exception of a class that is not installed here, or not on this version of Python."""
    failure: Exception = type(name, bases or (Exception,), {"__module__": module})("failed")
    return failure


# --- statuses


def test_unlisted_status_uses_status_class() -> None:
    """A status without a row of its own has the signal of its class, such as 4xx, also right beside a listed one."""
    expected = {
        status: FailureSignal.GARBLED
        if status < 400
        else FailureSignal.REQUEST_REJECTED
        if status < 500
        else FailureSignal.SERVER_ERROR
        for status in range(100, 600)
    }
    assert {status: signal_of_status(status) for status in range(100, 600)} == expected | STATUSES_WITH_A_ROW


@pytest.mark.parametrize("status", [408, 422, 500])
def test_placeholder_status_yields_to_transport_error(status: int) -> None:
    """A status that LiteLLM writes itself (408, 422, 500) counts only where no transport error is known."""
    failure = BaseLLMException(status_code=status, message="failed")
    assert classify(failure) is signal_of_status(status)
    assert classify(raised_from(failure, refused())) is FailureSignal.UNREACHABLE


@pytest.mark.parametrize("status", [400, 407, 409, 421, 423, 499, 501, 599])
def test_other_status_outranks_transport_error(status: int) -> None:
    """Any other status than LiteLLM's placeholders is the provider's, whatever exception it was raised from."""
    failure = raised_from(BaseLLMException(status_code=status, message="failed"), refused())
    assert diagnose(failure) == Diagnosis(signal_of_status(status), status, Basis.ANSWER)


def http_error() -> urllib.error.HTTPError:
    return urllib.error.HTTPError("https://provider.test", 500, "failed", Message(), None)


def requests_error() -> requests.HTTPError:
    answer = requests.Response()
    answer.status_code = 500
    return requests.HTTPError("failed", response=answer)


ANSWERS: dict[str, Callable[[], Exception]] = {
    "httpx": lambda: httpx.HTTPStatusError("failed", request=REQUEST, response=httpx.Response(500, request=REQUEST)),
    "openai": lambda: openai.InternalServerError("failed", response=httpx.Response(500, request=REQUEST), body=None),
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
    assert diagnose(raised_while_handling(failure, refused())) == Diagnosis(
        FailureSignal.SERVER_ERROR, 500, Basis.ANSWER
    )


@pytest.mark.parametrize("status", [100, 599, "100", "599"])
def test_the_first_and_the_last_status_are_statuses(status: int | str) -> None:
    """100 and 599 are accepted as statuses, as numbers and as text."""
    assert diagnose(Failed(status_code=status)).http_status == int(status)


@pytest.mark.parametrize("status", [99, 600, 0, True, "99", "600", "0429", "²²²", "4e2", "429 ", "none", b"429", 429.0])
def test_invalid_status_is_ignored(status: object) -> None:
    """A value that is no HTTP status is ignored, and the wording is read instead."""
    failure = Failed("Connection refused", status_code=status)
    assert diagnose(failure) == Diagnosis(FailureSignal.UNREACHABLE, None, Basis.WORDING)


def test_invalid_code_does_not_hide_status() -> None:
    """An attribute that holds no status does not hide a valid status in the one beside it."""
    assert diagnose(Failed(status_code=None, code="429")).http_status == 429
    assert diagnose(Failed(code="rate_limit_exceeded", status=429)).http_status == 429
    assert diagnose(Failed(status_code=None, response=httpx.Response(429))).http_status == 429


def test_the_statuses_on_one_exception_have_an_order() -> None:
    """An exception's own status comes before its answer's, and its `code` comes last."""
    assert diagnose(Failed(status_code=401, status=402, response=httpx.Response(403), code=404)).http_status == 401
    assert diagnose(Failed(status=402, response=httpx.Response(403), code=404)).http_status == 402
    assert diagnose(Failed(response=httpx.Response(403), code=404)).http_status == 403


def test_the_outermost_placeholder_is_kept() -> None:
    """The outermost placeholder status decides where the chain holds nothing better."""
    failure = raised_from(Failed(status_code=500), Failed(status_code=408))
    assert diagnose(failure) == Diagnosis(FailureSignal.SERVER_ERROR, 500, Basis.LITELLM)


def test_garbled_words_outrank_a_placeholder() -> None:
    """Wording that tells of an unreadable answer outranks the status that LiteLLM put on it."""
    failure = Failed("Unable to get json response - Expecting value", status_code=422)
    assert diagnose(failure) == Diagnosis(FailureSignal.GARBLED, None, Basis.WORDING)


def test_litellm_placeholder_is_not_provider_status() -> None:
    """A 500 on LiteLLM's own exception tells the signal, but not that a provider answered."""
    own = litellm.InternalServerError(message="failed", model="m", llm_provider="x")
    assert diagnose(own) == Diagnosis(FailureSignal.SERVER_ERROR, None, Basis.LITELLM)
    for module in ("litellm.exception", "litellm.exceptions_", "litellm.llms.x"):
        failure: Any = of_class(module, "Failed")
        failure.status_code = 500
        assert diagnose(failure) == Diagnosis(FailureSignal.SERVER_ERROR, 500, Basis.LITELLM)


def test_litellms_own_exceptions_are_read_by_class_first() -> None:
    """LiteLLM's exceptions for request faults and bad answers are read by class, whatever status they carry."""
    mapped: list[Any] = [
        litellm.ContextWindowExceededError(message="too long", model="m", llm_provider="x"),
        litellm.ContentPolicyViolationError(message="flagged", model="m", llm_provider="x"),
        litellm.APIResponseValidationError(message="no choices", model="m", llm_provider="x"),
    ]
    for failure in mapped:
        failure.status_code = 429
    rejected = FailureSignal.REQUEST_REJECTED
    assert [classify(failure) for failure in mapped] == [rejected, rejected, FailureSignal.GARBLED]


# --- transport errors

UNREACHABLE, TIMED_OUT = FailureSignal.UNREACHABLE, FailureSignal.TIMED_OUT
INTERRUPTED, GARBLED, INTERNAL = FailureSignal.INTERRUPTED, FailureSignal.GARBLED, FailureSignal.INTERNAL

CLASSES: list[tuple[BaseException, FailureSignal]] = [
    (httpx.TooManyRedirects(""), GARBLED),
    (httpx.ProxyError(""), UNREACHABLE),
    (httpx.InvalidURL(""), UNREACHABLE),
    (httpx.WriteTimeout(""), TIMED_OUT),
    (httpx.WriteError(""), INTERRUPTED),
    (httpx.CloseError(""), INTERRUPTED),
    (httpx.TransportError(""), INTERRUPTED),
    (httpx.TimeoutException(""), TIMED_OUT),
    (httpcore.ConnectError(), UNREACHABLE),
    (httpcore.ConnectTimeout(), UNREACHABLE),
    (httpcore.ProxyError(), UNREACHABLE),
    (httpcore.ReadTimeout(), TIMED_OUT),
    (httpcore.WriteTimeout(), TIMED_OUT),
    (httpcore.PoolTimeout(), INTERNAL),
    (httpcore.ReadError(), INTERRUPTED),
    (httpcore.RemoteProtocolError(), INTERRUPTED),
    (httpcore.LocalProtocolError(), INTERNAL),
    (of_class("httpcore2", "ConnectError"), UNREACHABLE),
    (of_class("httpx2._exceptions", "ReadTimeout"), TIMED_OUT),
    (h11.RemoteProtocolError("peer"), INTERRUPTED),
    (h11.LocalProtocolError("header"), INTERNAL),
    (anyio.EndOfStream(), INTERRUPTED),
    (asyncio.IncompleteReadError(b"", 1), INTERRUPTED),
    (of_class("asyncio.exceptions", "TimeoutError"), TIMED_OUT),
    (of_class("concurrent.futures._base", "TimeoutError"), TIMED_OUT),
    (aiohttp.InvalidURL("no url"), UNREACHABLE),
    (aiohttp.ClientConnectorError(None, OSError()), UNREACHABLE),  # type: ignore[arg-type]
    (aiohttp.ClientOSError(), INTERRUPTED),
    (aiohttp.ServerDisconnectedError(), INTERRUPTED),
    (aiohttp.ClientConnectionError(), INTERRUPTED),
    (aiohttp.ClientConnectionResetError(), INTERRUPTED),
    (aiohttp.ServerTimeoutError(), TIMED_OUT),
    (aiohttp.TooManyRedirects(None, ()), GARBLED),  # type: ignore[arg-type]
    (aiohttp.http_exceptions.BadStatusLine(), INTERRUPTED),
    (requests.ConnectTimeout(), UNREACHABLE),
    (requests.ReadTimeout(), TIMED_OUT),
    (requests.ConnectionError(), INTERRUPTED),
    (requests.TooManyRedirects(), GARBLED),
    (requests.exceptions.SSLError(), UNREACHABLE),
    (requests.exceptions.ProxyError(), UNREACHABLE),
    (requests.exceptions.InvalidURL(), UNREACHABLE),
    (requests.exceptions.ChunkedEncodingError(), INTERRUPTED),
    (requests.exceptions.ContentDecodingError(), GARBLED),
    (urllib3.exceptions.ProtocolError(), INTERRUPTED),
    (urllib3.exceptions.SSLError(), UNREACHABLE),
    (openai.APIResponseValidationError(httpx.Response(200, request=REQUEST), None), GARBLED),
    (ssl.SSLError("handshake"), UNREACHABLE),
    (ssl.SSLEOFError("closed"), INTERRUPTED),
    (ssl.SSLZeroReturnError("closed"), INTERRUPTED),
    (ConnectionRefusedError(), UNREACHABLE),
    (ConnectionResetError(), INTERRUPTED),
    (ConnectionAbortedError(), INTERRUPTED),
    (BrokenPipeError(), INTERRUPTED),
    (ConnectionError(), INTERRUPTED),
    (TimeoutError(), TIMED_OUT),
]


@pytest.mark.parametrize(
    ("error", "signal"), CLASSES, ids=[f"{type(error).__module__}.{type(error).__name__}" for error, _ in CLASSES]
)
def test_client_class_proves_signal(error: BaseException, signal: FailureSignal) -> None:
    """The class of an HTTP client's exception proves the signal without any wording."""
    assert diagnose(error) == Diagnosis(signal, None, Basis.TRANSPORT)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        ConnectionAbortedError(),
        BrokenPipeError(),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientOSError(),
        aiohttp.ServerTimeoutError(),
        httpx.TimeoutException(""),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_broke_last_outranks_an_answer_before_it(error: Exception) -> None:
    """A connection that breaks off while a 429 is being handled has broken off."""
    signal = classify(error)
    assert classify(raised_while_handling(error, BaseLLMException(status_code=429, message="slow down"))) is signal
    assert signal in (INTERRUPTED, TIMED_OUT)


def test_same_class_name_elsewhere_is_ignored() -> None:
    """An application's class that is named as an HTTP client's proves nothing."""
    assert diagnose(of_class("application.errors", "ConnectError")) == Diagnosis(INTERNAL)


NUMBERS = {
    errno.ECONNREFUSED: UNREACHABLE,
    errno.EHOSTUNREACH: UNREACHABLE,
    errno.ENETUNREACH: UNREACHABLE,
    errno.ENETDOWN: UNREACHABLE,
    errno.EADDRNOTAVAIL: UNREACHABLE,
    errno.ECONNRESET: INTERRUPTED,
    errno.ECONNABORTED: INTERRUPTED,
    errno.EPIPE: INTERRUPTED,
    errno.ENOTCONN: INTERRUPTED,
    errno.EMFILE: INTERNAL,
    errno.ENFILE: INTERNAL,
    errno.ENOBUFS: INTERNAL,
    errno.ENOMEM: INTERNAL,
}


@pytest.mark.parametrize(("number", "signal"), NUMBERS.items(), ids=[errno.errorcode[number] for number in NUMBERS])
def test_errno_proves_signal(number: int, signal: FailureSignal) -> None:
    """The system's errno proves the signal, whatever class it comes in."""
    assert diagnose(SystemFailed(number, "")) == Diagnosis(signal, None, Basis.TRANSPORT)
    assert diagnose(aiohttp.ClientOSError(number, "")) == Diagnosis(signal, None, Basis.TRANSPORT)


def test_foreign_errno_is_ignored() -> None:
    """An errno that is no number, or that is not an OSError's, proves nothing."""
    assert diagnose(SystemFailed([1], "Connection refused")) == Diagnosis(UNREACHABLE, None, Basis.WORDING)
    assert diagnose(Failed("Connection refused", errno=errno.ECONNRESET)) == Diagnosis(UNREACHABLE, None, Basis.WORDING)


def test_transport_error_explicit_cause_counts() -> None:
    """What a transport error was raised from counts after `from` or `from None`, and not as a mere context."""
    reset = ConnectionResetError(errno.ECONNRESET, "reset")
    assert classify(raised_from(httpx.ConnectError(""), reset)) is INTERRUPTED
    assert classify(raised_while_handling(httpx.ConnectError(""), reset)) is UNREACHABLE
    hidden = raised_while_handling(httpx.ConnectError(""), reset)
    hidden.__suppress_context__ = True
    assert classify(hidden) is INTERRUPTED
    both = raised_from(raised_while_handling(httpx.ConnectError(""), reset), httpx.ReadTimeout(""))
    assert classify(both) is TIMED_OUT


def test_vague_class_does_not_hide_cause() -> None:
    """A vague client class neither hides a precise class below it nor outranks one above it."""
    assert classify(raised_from(openai.APIConnectionError(request=REQUEST), httpx.ReadTimeout(""))) is TIMED_OUT
    assert classify(raised_from(openai.APIConnectionError(request=REQUEST), Failed("?"))) is UNREACHABLE
    assert classify(raised_from(TimeoutError(), openai.APIConnectionError(request=REQUEST))) is TIMED_OUT
    assert classify(raised_from(httpx.ConnectError(""), openai.APITimeoutError(request=REQUEST))) is UNREACHABLE


# --- JSON


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
    assert classify(parsed_by(module)) is GARBLED
    assert classify(parsed_by(f"application.{module}")) is INTERNAL


def test_transform_response_json_is_garbled() -> None:
    """JSON that `transform_response` failed to parse is garbled, and in the functions around it internal."""
    assert classify(parsed_by("litellm.llms.x.chat.transformation", "transform_response")) is GARBLED
    for function in ("transform_request", "transform_response_", "aaa", "zzz"):
        assert classify(parsed_by("litellm.llms.x.chat.transformation", function)) is INTERNAL


def test_transform_response_bug_is_internal() -> None:
    """A KeyError while an answer is transformed is LiteLLM's own failure and not a garbled answer."""

    def transform_response() -> None:
        raise KeyError("choices")

    with pytest.raises(KeyError) as caught:
        transform_response()
    assert classify(caught.value) is INTERNAL


# --- wording


@pytest.mark.parametrize("module", ["aaa.errors", "builtins.errors", "zzz.errors"])
@pytest.mark.parametrize("base", [Exception, RuntimeError, ValueError])
def test_derived_class_wording_counts(module: str, base: type[Exception]) -> None:
    """The wording of a provider's class counts even if it is derived from ValueError."""
    assert classify(type("Failed", (base,), {"__module__": module})("Request timed out.")) is TIMED_OUT


@pytest.mark.parametrize("kind", [Exception, RuntimeError, OSError, BaseException])
def test_pythons_general_classes_are_no_bugs(kind: type[BaseException]) -> None:
    """The wording of Python's general exceptions, such as RuntimeError and OSError, counts."""
    assert classify(kind("Request timed out.")) is TIMED_OUT


def test_first_matching_wording_counts() -> None:
    """The first row of the wording table that matches decides, whatever else the message quotes."""
    words = ["429", "connection refused", "connection reset", "timed out", "unable to get json response"]
    signals = [FailureSignal.RATE_LIMITED, UNREACHABLE, INTERRUPTED, TIMED_OUT, GARBLED]
    found = [classify(Failed(", ".join(reversed(words[start:])))) for start in range(len(words))]
    assert found == signals


def test_the_outermost_words_count() -> None:
    """The outermost wording decides unless it is LiteLLM's own."""
    failure = raised_from(Failed("rate limit"), Failed("connection refused"))
    assert diagnose(failure) == Diagnosis(FailureSignal.RATE_LIMITED, None, Basis.WORDING)
    catch_all = litellm.APIConnectionError(message="connection reset", llm_provider="x", model="m")
    assert classify(raised_from(catch_all, failure)) is FailureSignal.RATE_LIMITED


def test_non_text_message_is_ignored() -> None:
    """A `message` that is no text is ignored, and the exception's own text is read."""
    assert classify(Failed("Request timed out.", message=7)) is TIMED_OUT
    assert classify(Failed("Request timed out.", message="Connection refused")) is UNREACHABLE


def test_words_too_far_on_are_not_read() -> None:
    """Wording that is too far into a long message is not read."""
    assert classify(Failed(" " * 1000 + "rate limit")) is FailureSignal.RATE_LIMITED
    assert classify(Failed(" " * 100_000 + "rate limit")) is INTERNAL


def test_an_exception_without_a_text_keeps_its_status() -> None:
    """An exception that cannot be printed keeps its status."""

    class Unprintable(Exception):
        status_code = 500

        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert diagnose(Unprintable()) == Diagnosis(FailureSignal.SERVER_ERROR, 500, Basis.LITELLM)


# --- chains


def test_a_chain_has_each_exception_once_outermost_first() -> None:
    """`chain` yields each exception once and the outermost first, even in a cycle."""
    a, b, c, d = Failed("a"), Failed("b"), Failed("c"), Failed("d")
    a.__dict__["original_exception"] = b
    a.__cause__ = c
    b.__cause__ = d
    c.__cause__ = d
    d.__cause__ = a
    assert list(chain(a)) == [a, b, c, d]


@pytest.mark.parametrize("container", [list, tuple])
def test_a_group_is_its_members(container: Callable[..., object]) -> None:
    """The members of a group come after its own cause and before theirs."""
    cause, first, second, below = Failed("cause"), Failed("first"), Failed("second"), Failed("below")
    first.__cause__ = below
    group = raised_from(Failed("group", exceptions=container([first, "no exception", second])), cause)
    assert list(chain(group)) == [group, cause, first, second, below]


def test_context_counts_without_cause() -> None:
    """`chain` follows a context only where there is no cause, and only if it is an exception."""
    cause, context = Failed("cause"), Failed("context")
    assert list(chain(raised_while_handling(raised_from(both := Failed("both"), cause), context))) == [both, cause]
    stranger = types.SimpleNamespace(__context__="not an exception")
    assert list(chain(stranger)) == [stranger]


def test_context_of_unraised_exception_counts() -> None:
    """The context of an exception that was built but never raised decides its signal."""

    def fails() -> None:
        raise refused()

    with pytest.raises(ConnectionRefusedError) as caught:
        fails()
    assert classify(raised_while_handling(Failed("never raised"), caught.value)) is UNREACHABLE


def test_endless_chain_is_bounded() -> None:
    """A chain without an end is read to a bounded length."""

    class Endless(Exception):
        @property
        def original_exception(self) -> Exception:
            return Endless()

    assert 8 < len(list(chain(Endless()))) < 1000
    turning = httpx.ConnectError("")
    turning.__cause__ = turning
    assert classify(turning) is UNREACHABLE


# --- what cannot be read


def test_nothing_proves_that_the_unreadable_is_internal() -> None:
    """An unreadable exception is internal without proof."""
    assert diagnose(of_class("", "Failed")) == Diagnosis(INTERNAL)
    assert diagnose(type("Nowhere", (Exception,), {"__module__": None})()) == Diagnosis(INTERNAL)


def test_peek_finds_nothing_where_a_look_raises() -> None:
    """`peek` returns an attribute, or None where it is missing or raises."""

    class Hostile:
        here = 1

        @property
        def gone(self) -> int:
            raise RuntimeError

    assert (peek(Hostile(), "here"), peek(Hostile(), "gone"), peek(Hostile(), "absent")) == (1, None, None)
