"""`classify` says of any failure whose fault it was: by status, else by transport error, else by wording."""

from __future__ import annotations

import errno
import json
import socket
import ssl
import sys
from typing import Any

import aiohttp
import httpx
import litellm
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.litellm_core_utils.failure_signal import Basis, FailureSignal, classify, diagnose
from litellm.llms.base_llm.chat.transformation import BaseLLMException

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

REQUEST = httpx.Request("POST", "https://provider.test/v1/chat/completions")

SIGNALS_BY_STATUS = {
    200: FailureSignal.GARBLED,
    302: FailureSignal.GARBLED,
    400: FailureSignal.REQUEST_REJECTED,
    401: FailureSignal.BAD_CREDENTIALS,
    402: FailureSignal.OUT_OF_CREDIT,
    403: FailureSignal.BAD_CREDENTIALS,
    404: FailureSignal.MODEL_MISSING,
    408: FailureSignal.TIMED_OUT,
    409: FailureSignal.REQUEST_REJECTED,
    413: FailureSignal.REQUEST_REJECTED,
    422: FailureSignal.REQUEST_REJECTED,
    429: FailureSignal.RATE_LIMITED,
    499: FailureSignal.REQUEST_REJECTED,
    500: FailureSignal.SERVER_ERROR,
    502: FailureSignal.SERVER_ERROR,
    503: FailureSignal.UNAVAILABLE,
    504: FailureSignal.TIMED_OUT,
    522: FailureSignal.TIMED_OUT,
    524: FailureSignal.TIMED_OUT,
    529: FailureSignal.UNAVAILABLE,
    599: FailureSignal.SERVER_ERROR,
}


class Failed(Exception):
    """An exception of no known package, with whatever attributes a test gives it."""

    def __init__(self, text: str = "", **attributes: Any) -> None:
        super().__init__(text)
        self.__dict__.update(attributes)


def raised_from(outer: BaseException, *causes: BaseException) -> BaseException:
    """`outer` as `raise outer from causes[0]`, itself raised from the next, and so on."""
    link = outer
    for cause in causes:
        link.__cause__ = cause
        link = cause
    return outer


def in_context(outer: BaseException, inner: BaseException) -> BaseException:
    """`outer` as raised while `inner` was being handled."""
    outer.__context__ = inner
    return outer


def http_status_error(status: int) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError("failed", request=REQUEST, response=httpx.Response(status, request=REQUEST))


@pytest.mark.parametrize(("status", "signal"), SIGNALS_BY_STATUS.items())
def test_a_status_alone_tells_the_signal(status: int, signal: FailureSignal) -> None:
    """A status decides the signal in a provider's class, in an HTTP client's, and as text instead of a number."""
    holders = [
        Failed(status_code=status),
        Failed(status_code=str(status)),
        Failed(response=httpx.Response(status)),
        Failed(code=status),
        BaseLLMException(status_code=status, message="failed"),
        http_status_error(status),
        aiohttp.ClientResponseError(None, (), status=status),  # type: ignore[arg-type]
    ]
    assert {classify(holder) for holder in holders} == {signal}


@pytest.mark.parametrize("text", ["You sent 429 tokens", "rate limit", "Connection refused", "timed out"])
def test_status_outranks_quoted_wording(text: str) -> None:
    """A 400 that quotes "429" is a 400."""
    assert classify(BaseLLMException(status_code=400, message=text)) is FailureSignal.REQUEST_REJECTED
    assert classify(BaseLLMException(status_code=500, message=text)) is FailureSignal.SERVER_ERROR


TRANSPORT_ERRORS: dict[str, tuple[BaseException, FailureSignal]] = {
    "refused": (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), FailureSignal.UNREACHABLE),
    "no route": (OSError(errno.EHOSTUNREACH, "no route"), FailureSignal.UNREACHABLE),
    "unknown host": (socket.gaierror(-2, "unknown"), FailureSignal.UNREACHABLE),
    "bad certificate": (ssl.SSLCertVerificationError("bad certificate"), FailureSignal.UNREACHABLE),
    "httpx connect": (httpx.ConnectError("failed"), FailureSignal.UNREACHABLE),
    "httpx connect timeout": (httpx.ConnectTimeout("slow"), FailureSignal.UNREACHABLE),
    "httpx unusable url": (httpx.UnsupportedProtocol("no http://"), FailureSignal.UNREACHABLE),
    "aiohttp, no connection in time": (aiohttp.ConnectionTimeoutError("slow"), FailureSignal.TIMED_OUT),
    "openai, nothing more known": (openai.APIConnectionError(request=REQUEST), FailureSignal.UNREACHABLE),
    "reset": (ConnectionResetError(errno.ECONNRESET, "reset"), FailureSignal.INTERRUPTED),
    "broken pipe": (BrokenPipeError(errno.EPIPE, "broken"), FailureSignal.INTERRUPTED),
    "tls ended": (ssl.SSLEOFError(8, "eof"), FailureSignal.INTERRUPTED),
    "httpx read": (httpx.ReadError("broke off"), FailureSignal.INTERRUPTED),
    "httpx end of stream": (httpx.RemoteProtocolError("closed"), FailureSignal.INTERRUPTED),
    "aiohttp disconnected": (aiohttp.ServerDisconnectedError(), FailureSignal.INTERRUPTED),
    "aiohttp short body": (aiohttp.ClientPayloadError("short"), FailureSignal.INTERRUPTED),
    "timeout": (TimeoutError("timed out"), FailureSignal.TIMED_OUT),
    "httpx read timeout": (httpx.ReadTimeout("slow"), FailureSignal.TIMED_OUT),
    "aiohttp read timeout": (aiohttp.SocketTimeoutError("slow"), FailureSignal.TIMED_OUT),
    "openai timeout": (openai.APITimeoutError(request=REQUEST), FailureSignal.TIMED_OUT),
    "httpx, all connections in use": (httpx.PoolTimeout("busy"), FailureSignal.INTERNAL),
    "httpx, an illegal header of the caller's": (httpx.LocalProtocolError("illegal"), FailureSignal.INTERNAL),
    "httpx undecodable": (httpx.DecodingError("not gzip"), FailureSignal.GARBLED),
}


@pytest.mark.parametrize(("error", "signal"), TRANSPORT_ERRORS.values(), ids=TRANSPORT_ERRORS)
def test_transport_error_anywhere_in_chain(error: BaseException, signal: FailureSignal) -> None:
    """A transport error decides the signal whether it is bare, a cause, in context or in a group."""
    assert classify(error) is signal
    assert classify(raised_from(BaseLLMException(status_code=500, message="failed"), error)) is signal
    assert classify(in_context(BaseLLMException(status_code=500, message="failed"), error)) is signal
    assert classify(raised_from(Failed("a"), Failed("b"), error)) is signal
    assert classify(Failed("group", exceptions=(Failed("harmless"), error))) is signal


def test_answer_outranks_earlier_transport_error() -> None:
    """A real 500 raised while an earlier refusal was being handled is a 500."""
    failure = in_context(http_status_error(500), ConnectionRefusedError(errno.ECONNREFUSED, "earlier"))
    assert classify(failure) is FailureSignal.SERVER_ERROR


def test_the_systems_word_outranks_the_clients_class() -> None:
    """A connection reset that the aiohttp transport wraps in httpx.ConnectError is classified as interrupted."""
    reset = ConnectionResetError(errno.ECONNRESET, "reset")
    assert classify(raised_from(httpx.ConnectError("failed"), reset)) is FailureSignal.INTERRUPTED


@pytest.mark.parametrize(
    ("outer", "signal"), [(httpx.ConnectError, FailureSignal.UNREACHABLE), (httpx.ReadError, FailureSignal.INTERRUPTED)]
)
def test_etimedout_depends_on_wrapping_class(outer: type[Exception], signal: FailureSignal) -> None:
    """ETIMEDOUT while connecting is an unreachable host, and while reading an interrupted connection."""
    assert classify(raised_from(outer("failed"), TimeoutError(errno.ETIMEDOUT, "timed out"))) is signal


def test_connection_pool_wait_is_timeout() -> None:
    """A wait for a free connection is a timeout, though LiteLLM's aiohttp transport raises ConnectTimeout."""
    waited = raised_from(httpx.ConnectTimeout("slow"), aiohttp.ConnectionTimeoutError("slow"))
    assert classify(waited) is FailureSignal.TIMED_OUT


@pytest.mark.parametrize(
    "cause", [RuntimeError("the client has been closed"), TypeError("bug"), RuntimeError("Event loop is closed")]
)
def test_openai_wraps_bugs_as_connection_errors_too(cause: Exception) -> None:
    """A bug or a closed client inside openai.APIConnectionError is internal, not an unreachable host."""
    assert classify(raised_from(openai.APIConnectionError(request=REQUEST), cause)) is FailureSignal.INTERNAL


def test_an_applications_own_failure_is_not_the_deployments() -> None:
    """A transport error that the calling application was handling is no evidence against the deployment."""
    found: list[BaseException] = []

    def litellm_fails() -> None:
        answer: dict[str, str] = {}
        try:
            answer["choices"]
        except KeyError as failure:
            found.append(failure)

    try:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "the application's database")
    except ConnectionRefusedError:
        litellm_fails()
    assert isinstance(found[0].__context__, ConnectionRefusedError)
    assert classify(found[0]) is FailureSignal.INTERNAL


def test_what_is_caught_on_the_way_is_evidence() -> None:
    """A transport error that provider code replaced without `from` still decides the signal."""

    def provider_code() -> None:
        try:
            raise httpx.ConnectError("failed")
        except httpx.ConnectError:
            raise BaseLLMException(status_code=500, message="failed")  # noqa: B904

    with pytest.raises(BaseLLMException) as caught:
        provider_code()
    assert classify(caught.value) is FailureSignal.UNREACHABLE


def test_resource_exhaustion_is_internal() -> None:
    """Too many open files on this machine are internal, not an unreachable host."""
    exhausted = OSError(errno.EMFILE, "too many open files")
    assert classify(raised_from(httpx.ConnectError("failed"), exhausted)) is FailureSignal.INTERNAL


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("Rate limit exceeded. Retry in 6s.", FailureSignal.RATE_LIMITED),
        ("Error code: 429", FailureSignal.RATE_LIMITED),
        ("rate-limited", FailureSignal.RATE_LIMITED),
        ("Too Many Requests", FailureSignal.RATE_LIMITED),
        ("[Errno 111] Connection refused", FailureSignal.UNREACHABLE),
        ("Cannot connect to host localhost:1", FailureSignal.UNREACHABLE),
        ("[Errno -2] Name or service not known", FailureSignal.UNREACHABLE),
        ("[Errno 104] Connection reset by peer", FailureSignal.INTERRUPTED),
        ("Server disconnected without sending a response.", FailureSignal.INTERRUPTED),
        ("Request timed out.", FailureSignal.TIMED_OUT),
        ("Empty or invalid response from LLM endpoint", FailureSignal.GARBLED),
        ("port 42900 is odd, 14299 too", FailureSignal.INTERNAL),
        ("something else", FailureSignal.INTERNAL),
        ("", FailureSignal.INTERNAL),
    ],
)
def test_wording_counts_where_nothing_else_is_known(text: str, signal: FailureSignal) -> None:
    """The wording decides where neither a status nor a transport error is known."""
    catch_all = litellm.APIConnectionError(message=text, llm_provider="x", model="m")
    assert [classify(failure) for failure in (Exception(text), catch_all, text)] == [signal] * 3


@pytest.mark.parametrize("bug", [KeyError, TypeError, AttributeError, ValueError, IndexError, AssertionError])
def test_a_bug_is_internal_whatever_it_quotes(bug: type[Exception]) -> None:
    """A bug's exception is internal whatever it quotes, also inside LiteLLM's catch-all."""
    words = "429 rate limit, connection refused, timed out"
    catch_all = litellm.APIConnectionError(message=words, llm_provider="x", model="m")
    assert classify(bug(words)) is FailureSignal.INTERNAL
    assert classify(raised_from(catch_all, bug(words))) is FailureSignal.INTERNAL


def test_traceback_line_number_is_ignored() -> None:
    """Line 429 of a traceback that LiteLLM appended to a message is no rate limit."""
    trace = 'Traceback (most recent call last):\n  File "main.py", line 429, in completion'
    failure = litellm.APIConnectionError(message=f"'choices'\n{trace}", llm_provider="x", model="m")
    assert classify(failure) is FailureSignal.INTERNAL


def test_json_error_depends_on_origin() -> None:
    """Broken JSON from the provider is garbled, and broken JSON from the caller is internal."""
    with pytest.raises(json.JSONDecodeError) as answer:
        httpx.Response(200, content=b"<html>", request=REQUEST).json()
    with pytest.raises(json.JSONDecodeError) as arguments:
        json.loads("{broken")
    assert classify(answer.value) is FailureSignal.GARBLED
    assert classify(arguments.value) is FailureSignal.INTERNAL


def test_retry_does_not_inherit_signal() -> None:
    """A failed retry does not take its signal from the previous attempt, which is its context."""
    before = Failed("rate limited", failure_signal=FailureSignal.RATE_LIMITED)
    before.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "earlier")
    assert classify(in_context(KeyError("choices"), before)) is FailureSignal.INTERNAL


def test_midstream_error_uses_original_exception() -> None:
    """A MidStreamFallbackError has the signal of its original_exception, not of its own status."""
    original = Failed("gone", failure_signal=FailureSignal.UNREACHABLE)
    failure = litellm.exceptions.MidStreamFallbackError(
        message="broke off", model="m", llm_provider="x", original_exception=original
    )
    assert classify(failure) is FailureSignal.UNREACHABLE


def test_request_fault_class_outranks_status() -> None:
    """A ContextWindowExceededError under a 500 is still the request's fault."""
    failure = litellm.ContextWindowExceededError(message="too long", model="m", llm_provider="x")
    vars(failure)["status_code"] = 500
    assert classify(failure) is FailureSignal.REQUEST_REJECTED


def test_a_status_litellm_made_up_is_no_evidence() -> None:
    """A status that LiteLLM marks as synthesized, as it does from 1.100 on, is no evidence."""
    failure = Failed("'choices'", status_code=503, status_code_is_synthesized=True)
    assert diagnose(failure) == (FailureSignal.INTERNAL, None, Basis.NOTHING)
    assert not diagnose(failure).proven


class Hostile(Exception):
    """Raises at every look."""

    @property
    def status_code(self) -> int:
        raise RuntimeError("no status")

    @property
    def message(self) -> str:
        raise RuntimeError("no message")

    @property
    def response(self) -> object:
        raise RuntimeError("no response")

    @property
    def failure_signal(self) -> object:
        raise RuntimeError("no signal")

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Untrue(Exception):
    """Cannot be asked whether it is there."""

    def __bool__(self) -> bool:
        raise RuntimeError("neither true nor false")


class Nowhere(Exception):
    """Comes from no module."""

    __module__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    "failure",
    [Hostile(), OSError([1], "no number"), raised_from(Failed("a"), Untrue()), Nowhere("a")],
    ids=["raises at every look", "errno is a list", "its cause has no truth", "its class has no module"],
)
def test_what_cannot_be_read_is_internal(failure: BaseException) -> None:
    """An exception whose attributes cannot be read is internal, and `classify` never raises."""
    assert classify(failure) is FailureSignal.INTERNAL


def test_a_chain_that_bites_its_tail_ends() -> None:
    """A cycle of causes is walked once."""
    first, second = Failed("first"), Failed("second")
    first.__cause__, second.__cause__ = second, first
    assert classify(first) is FailureSignal.INTERNAL


def test_long_message_is_read_partially() -> None:
    """Only the first 4000 characters of a message are searched for its wording."""
    assert classify(Exception("x" * 3000 + " rate limit " + "x" * 1_000_000)) is FailureSignal.RATE_LIMITED
    assert classify(Exception("x" * 1_000_000 + " rate limit")) is FailureSignal.INTERNAL


def test_exception_group_first_telling_member() -> None:
    """An exception group has the signal of its first member that tells one."""
    group = ExceptionGroup("failed", [ValueError("harmless"), ConnectionRefusedError(errno.ECONNREFUSED, "refused")])
    assert classify(group) is FailureSignal.UNREACHABLE


GARBAGE = st.one_of(
    st.none(),
    st.integers(),
    st.just(10**9),
    st.text(max_size=5),
    st.floats(),
    st.booleans(),
    st.binary(max_size=3),
    st.lists(st.integers(), max_size=2),
    st.builds(object),
)


@given(
    attributes=st.dictionaries(
        st.sampled_from(["status_code", "status", "code", "response", "message", "original_exception", "exceptions"]),
        GARBAGE,
    ),
    cause=st.sampled_from([None, Hostile(), Untrue(), OSError([1], "no number"), Failed("b", status_code=[])]),
    text=st.text(),
)
def test_any_exception_has_a_signal(attributes: dict[str, object], cause: BaseException | None, text: str) -> None:
    """Any exception has a signal, and `diagnose` names only a status that a provider can have sent."""
    failure = Failed(text, **attributes)
    failure.__cause__ = cause
    diagnosis = diagnose(failure)
    assert isinstance(diagnosis.signal, FailureSignal)
    assert diagnosis.http_status is None or 100 <= diagnosis.http_status <= 599


@given(failure=GARBAGE)
def test_anything_at_all_has_a_signal(failure: object) -> None:
    """Any object has a signal, whether or not it is an exception."""
    assert isinstance(classify(failure), FailureSignal)


@given(
    status=st.integers(100, 599),
    text=st.text(),
    words=st.sampled_from(["", "429", "rate limit", "Connection refused", "timed out", "Request too large"]),
)
def test_a_status_decides_against_any_wording(status: int, text: str, words: str) -> None:
    """The same status has the same signal whatever is written beside it."""
    assert classify(http_status_error(status)) is classify(Failed(f"{text} {words}", response=httpx.Response(status)))


def test_classification_walks_no_further_than_it_must() -> None:
    """A chain a thousand links deep costs no more than one of thirty-two."""
    depth = 1000
    links = [Failed(str(number)) for number in range(depth)]
    raised_from(links[0], *links[1:], ConnectionRefusedError(errno.ECONNREFUSED, "deep"))
    assert classify(links[0]) is FailureSignal.INTERNAL
