"""Which kind of failure a connection's error is, by the system's number, else by the client's class."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

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
from litellm.litellm_core_utils.failure import Basis, Failure, classify, failure_of
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.llms.base_llm.chat.transformation import BaseLLMException

from exception_mapping.failures import REQUEST, Failed, answered, of_class, raised_from, raised_while_handling

TRANSPORT_ERRORS: dict[str, tuple[BaseException, FailureKind]] = {
    "refused": (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), FailureKind.UNREACHABLE),
    "no route": (OSError(errno.EHOSTUNREACH, "no route"), FailureKind.UNREACHABLE),
    "unknown host": (socket.gaierror(-2, "unknown"), FailureKind.UNREACHABLE),
    "bad certificate": (ssl.SSLCertVerificationError("bad certificate"), FailureKind.UNREACHABLE),
    "httpx connect": (httpx.ConnectError("failed"), FailureKind.UNREACHABLE),
    "httpx connect timeout": (httpx.ConnectTimeout("slow"), FailureKind.UNREACHABLE),
    "httpx unusable url": (httpx.UnsupportedProtocol("no http://"), FailureKind.UNREACHABLE),
    "aiohttp, no connection in time": (aiohttp.ConnectionTimeoutError("slow"), FailureKind.TIMED_OUT),
    "openai, nothing more known": (openai.APIConnectionError(request=REQUEST), FailureKind.UNREACHABLE),
    "reset": (ConnectionResetError(errno.ECONNRESET, "reset"), FailureKind.INTERRUPTED),
    "broken pipe": (BrokenPipeError(errno.EPIPE, "broken"), FailureKind.INTERRUPTED),
    "tls ended": (ssl.SSLEOFError(8, "eof"), FailureKind.INTERRUPTED),
    "httpx read": (httpx.ReadError("broke off"), FailureKind.INTERRUPTED),
    "httpx end of stream": (httpx.RemoteProtocolError("closed"), FailureKind.INTERRUPTED),
    "aiohttp disconnected": (aiohttp.ServerDisconnectedError(), FailureKind.INTERRUPTED),
    "aiohttp short body": (aiohttp.ClientPayloadError("short"), FailureKind.INTERRUPTED),
    "timeout": (TimeoutError("timed out"), FailureKind.TIMED_OUT),
    "httpx read timeout": (httpx.ReadTimeout("slow"), FailureKind.TIMED_OUT),
    "aiohttp read timeout": (aiohttp.SocketTimeoutError("slow"), FailureKind.TIMED_OUT),
    "openai timeout": (openai.APITimeoutError(request=REQUEST), FailureKind.TIMED_OUT),
    "httpx, all connections in use": (httpx.PoolTimeout("busy"), FailureKind.INTERNAL),
    "httpx, an illegal header of the caller's": (httpx.LocalProtocolError("illegal"), FailureKind.INTERNAL),
    "httpx undecodable": (httpx.DecodingError("not gzip"), FailureKind.GARBLED),
}


@pytest.mark.parametrize(("error", "kind"), TRANSPORT_ERRORS.values(), ids=TRANSPORT_ERRORS)
def test_transport_error_anywhere_in_chain(error: BaseException, kind: FailureKind) -> None:
    """A transport error decides the kind whether it is bare, a cause, in context or in a group."""
    assert classify(error) is kind
    assert classify(raised_from(BaseLLMException(status_code=500, message="failed"), error)) is kind
    assert classify(raised_while_handling(BaseLLMException(status_code=500, message="failed"), error)) is kind
    assert classify(raised_from(Failed("a"), Failed("b"), error)) is kind
    assert classify(Failed("group", exceptions=(Failed("harmless"), error))) is kind


CLASSES: list[tuple[BaseException, FailureKind]] = [
    (httpx.TooManyRedirects(""), FailureKind.GARBLED),
    (httpx.ProxyError(""), FailureKind.UNREACHABLE),
    (httpx.InvalidURL(""), FailureKind.UNREACHABLE),
    (httpx.WriteTimeout(""), FailureKind.TIMED_OUT),
    (httpx.WriteError(""), FailureKind.INTERRUPTED),
    (httpx.CloseError(""), FailureKind.INTERRUPTED),
    (httpx.TransportError(""), FailureKind.INTERRUPTED),
    (httpx.TimeoutException(""), FailureKind.TIMED_OUT),
    (httpcore.ConnectError(), FailureKind.UNREACHABLE),
    (httpcore.ConnectTimeout(), FailureKind.UNREACHABLE),
    (httpcore.ProxyError(), FailureKind.UNREACHABLE),
    (httpcore.ReadTimeout(), FailureKind.TIMED_OUT),
    (httpcore.WriteTimeout(), FailureKind.TIMED_OUT),
    (httpcore.PoolTimeout(), FailureKind.INTERNAL),
    (httpcore.ReadError(), FailureKind.INTERRUPTED),
    (httpcore.RemoteProtocolError(), FailureKind.INTERRUPTED),
    (httpcore.LocalProtocolError(), FailureKind.INTERNAL),
    (of_class("httpcore2", "ConnectError"), FailureKind.UNREACHABLE),
    (of_class("httpx2._exceptions", "ReadTimeout"), FailureKind.TIMED_OUT),
    (h11.RemoteProtocolError("peer"), FailureKind.INTERRUPTED),
    (h11.LocalProtocolError("header"), FailureKind.INTERNAL),
    (anyio.EndOfStream(), FailureKind.INTERRUPTED),
    (asyncio.IncompleteReadError(b"", 1), FailureKind.INTERRUPTED),
    (of_class("asyncio.exceptions", "TimeoutError"), FailureKind.TIMED_OUT),
    (of_class("concurrent.futures._base", "TimeoutError"), FailureKind.TIMED_OUT),
    (aiohttp.InvalidURL("no url"), FailureKind.UNREACHABLE),
    (aiohttp.ClientConnectorError(None, OSError()), FailureKind.UNREACHABLE),  # type: ignore[arg-type]
    (aiohttp.ClientOSError(), FailureKind.INTERRUPTED),
    (aiohttp.ServerDisconnectedError(), FailureKind.INTERRUPTED),
    (aiohttp.ClientConnectionError(), FailureKind.INTERRUPTED),
    (aiohttp.ClientConnectionResetError(), FailureKind.INTERRUPTED),
    (aiohttp.ServerTimeoutError(), FailureKind.TIMED_OUT),
    (aiohttp.TooManyRedirects(None, ()), FailureKind.GARBLED),  # type: ignore[arg-type]
    (aiohttp.http_exceptions.BadStatusLine(), FailureKind.INTERRUPTED),
    (requests.ConnectTimeout(), FailureKind.UNREACHABLE),
    (requests.ReadTimeout(), FailureKind.TIMED_OUT),
    (requests.ConnectionError(), FailureKind.INTERRUPTED),
    (requests.TooManyRedirects(), FailureKind.GARBLED),
    (requests.exceptions.SSLError(), FailureKind.UNREACHABLE),
    (requests.exceptions.ProxyError(), FailureKind.UNREACHABLE),
    (requests.exceptions.InvalidURL(), FailureKind.UNREACHABLE),
    (requests.exceptions.ChunkedEncodingError(), FailureKind.INTERRUPTED),
    (requests.exceptions.ContentDecodingError(), FailureKind.GARBLED),
    (urllib3.exceptions.ProtocolError(), FailureKind.INTERRUPTED),
    (urllib3.exceptions.SSLError(), FailureKind.UNREACHABLE),
    (openai.APIResponseValidationError(answered(200), None), FailureKind.GARBLED),
    (ssl.SSLError("handshake"), FailureKind.UNREACHABLE),
    (ssl.SSLEOFError("closed"), FailureKind.INTERRUPTED),
    (ssl.SSLZeroReturnError("closed"), FailureKind.INTERRUPTED),
    (ConnectionRefusedError(), FailureKind.UNREACHABLE),
    (ConnectionResetError(), FailureKind.INTERRUPTED),
    (ConnectionAbortedError(), FailureKind.INTERRUPTED),
    (BrokenPipeError(), FailureKind.INTERRUPTED),
    (ConnectionError(), FailureKind.INTERRUPTED),
    (TimeoutError(), FailureKind.TIMED_OUT),
]


@pytest.mark.parametrize(
    ("error", "kind"), CLASSES, ids=[f"{type(error).__module__}.{type(error).__name__}" for error, _ in CLASSES]
)
def test_client_class_proves_kind(error: BaseException, kind: FailureKind) -> None:
    """The class of an HTTP client's exception proves the kind without any wording."""
    assert failure_of(error) == Failure(kind, None, Basis.TRANSPORT)


def test_same_class_name_elsewhere_is_ignored() -> None:
    """An application's class that is named as an HTTP client's proves nothing."""
    assert failure_of(of_class("application.errors", "ConnectError")) == Failure(FailureKind.INTERNAL)


class SystemFailed(OSError):
    """A failure of the system that Python has no class for."""


NUMBERS = {
    errno.ECONNREFUSED: FailureKind.UNREACHABLE,
    errno.EHOSTUNREACH: FailureKind.UNREACHABLE,
    errno.ENETUNREACH: FailureKind.UNREACHABLE,
    errno.ENETDOWN: FailureKind.UNREACHABLE,
    errno.EADDRNOTAVAIL: FailureKind.UNREACHABLE,
    errno.ECONNRESET: FailureKind.INTERRUPTED,
    errno.ECONNABORTED: FailureKind.INTERRUPTED,
    errno.EPIPE: FailureKind.INTERRUPTED,
    errno.ENOTCONN: FailureKind.INTERRUPTED,
    errno.EMFILE: FailureKind.INTERNAL,
    errno.ENFILE: FailureKind.INTERNAL,
    errno.ENOBUFS: FailureKind.INTERNAL,
    errno.ENOMEM: FailureKind.INTERNAL,
}


@pytest.mark.parametrize(("number", "kind"), NUMBERS.items(), ids=[errno.errorcode[number] for number in NUMBERS])
def test_errno_proves_kind(number: int, kind: FailureKind) -> None:
    """The system's errno proves the kind, whatever class it comes in."""
    assert failure_of(SystemFailed(number, "")) == Failure(kind, None, Basis.TRANSPORT)
    assert failure_of(aiohttp.ClientOSError(number, "")) == Failure(kind, None, Basis.TRANSPORT)


def test_foreign_errno_is_ignored() -> None:
    """An errno that is no number, or that is not an OSError's, proves nothing."""
    assert failure_of(SystemFailed([1], "Connection refused")) == Failure(FailureKind.UNREACHABLE, None, Basis.WORDING)
    assert failure_of(Failed("Connection refused", errno=errno.ECONNRESET)) == Failure(
        FailureKind.UNREACHABLE, None, Basis.WORDING
    )


def test_resource_exhaustion_is_internal() -> None:
    """Too many open files on this machine are internal, not an unreachable host."""
    exhausted = OSError(errno.EMFILE, "too many open files")
    assert classify(raised_from(httpx.ConnectError("failed"), exhausted)) is FailureKind.INTERNAL


def test_the_systems_word_outranks_the_clients_class() -> None:
    """A connection reset that the aiohttp transport wraps in httpx.ConnectError is classified as interrupted."""
    reset = ConnectionResetError(errno.ECONNRESET, "reset")
    assert classify(raised_from(httpx.ConnectError("failed"), reset)) is FailureKind.INTERRUPTED


@pytest.mark.parametrize(
    ("outer", "kind"), [(httpx.ConnectError, FailureKind.UNREACHABLE), (httpx.ReadError, FailureKind.INTERRUPTED)]
)
def test_etimedout_depends_on_wrapping_class(outer: type[Exception], kind: FailureKind) -> None:
    """ETIMEDOUT while connecting is an unreachable host, and while reading an interrupted connection."""
    assert classify(raised_from(outer("failed"), TimeoutError(errno.ETIMEDOUT, "timed out"))) is kind


def test_connection_pool_wait_is_timeout() -> None:
    """A wait for a free connection is a timeout, though LiteLLM's aiohttp transport raises ConnectTimeout."""
    waited = raised_from(httpx.ConnectTimeout("slow"), aiohttp.ConnectionTimeoutError("slow"))
    assert classify(waited) is FailureKind.TIMED_OUT


@pytest.mark.parametrize(
    "cause", [RuntimeError("the client has been closed"), TypeError("bug"), RuntimeError("Event loop is closed")]
)
def test_openai_wraps_bugs_as_connection_errors_too(cause: Exception) -> None:
    """A bug or a closed client inside openai.APIConnectionError is internal, not an unreachable host."""
    assert classify(raised_from(openai.APIConnectionError(request=REQUEST), cause)) is FailureKind.INTERNAL


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
    kind = classify(error)
    assert classify(raised_while_handling(error, BaseLLMException(status_code=429, message="slow down"))) is kind
    assert kind in (FailureKind.INTERRUPTED, FailureKind.TIMED_OUT)


def test_transport_error_explicit_cause_counts() -> None:
    """What a transport error was raised from counts after `from` or `from None`, and not as a mere context."""
    reset = ConnectionResetError(errno.ECONNRESET, "reset")
    assert classify(raised_from(httpx.ConnectError(""), reset)) is FailureKind.INTERRUPTED
    assert classify(raised_while_handling(httpx.ConnectError(""), reset)) is FailureKind.UNREACHABLE
    hidden = raised_while_handling(httpx.ConnectError(""), reset)
    hidden.__suppress_context__ = True
    assert classify(hidden) is FailureKind.INTERRUPTED
    both = raised_from(raised_while_handling(httpx.ConnectError(""), reset), httpx.ReadTimeout(""))
    assert classify(both) is FailureKind.TIMED_OUT


def test_vague_class_does_not_hide_cause() -> None:
    """A vague client class neither hides a precise class below it nor outranks one above it."""
    assert (
        classify(raised_from(openai.APIConnectionError(request=REQUEST), httpx.ReadTimeout("")))
        is FailureKind.TIMED_OUT
    )
    assert classify(raised_from(openai.APIConnectionError(request=REQUEST), Failed("?"))) is FailureKind.UNREACHABLE
    assert classify(raised_from(TimeoutError(), openai.APIConnectionError(request=REQUEST))) is FailureKind.TIMED_OUT
    assert (
        classify(raised_from(httpx.ConnectError(""), openai.APITimeoutError(request=REQUEST)))
        is FailureKind.UNREACHABLE
    )


@pytest.mark.parametrize("end", [StopIteration(), StopAsyncIteration()])
def test_end_of_an_iterator_proves_nothing(end: Exception) -> None:
    """What LiteLLM raises at the end of an iterator is judged by its own words."""
    words = "peer closed connection without a terminal event"
    failed = litellm.APIConnectionError(message=words, llm_provider="openai", model="m")
    assert classify(raised_from(failed, end)) is classify(failed) is FailureKind.INTERRUPTED
