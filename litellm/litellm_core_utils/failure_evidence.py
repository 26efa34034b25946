"""
What a failed call leaves as evidence of whose fault it was, as tables: data only, which `failure_signal` reads.
"""

import errno
import re
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final


class FailureSignal(str, Enum):
    """What a failed call says about the deployment; `router_utils/failover_policy.py` has what follows from each."""

    RATE_LIMITED = "rate_limited"
    OUT_OF_CREDIT = "out_of_credit"
    BAD_CREDENTIALS = "bad_credentials"
    MODEL_MISSING = "model_missing"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    UNAVAILABLE = "unavailable"
    INTERRUPTED = "interrupted"
    SERVER_ERROR = "server_error"
    GARBLED = "garbled"
    REQUEST_REJECTED = "request_rejected"
    INTERNAL = "internal"


SIGNAL_OF_STATUS: Final = MappingProxyType(
    {
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
)

# Statuses LiteLLM itself writes on a failure that had no HTTP answer: 500 by default, 408 on its own timeouts, 422 on
# an answer it could not parse. They count only where the exception chain holds nothing better.
PLACEHOLDER_STATUSES: Final = frozenset({408, 422, 500})


class Evidence(Enum):
    """What an exception's type proves, where that is not a signal."""

    ANSWERED = "an HTTP client read this status off the provider's answer"
    NO_STATUS = "its status_code never comes from a provider"


# Keyed by class name, so that no HTTP client is imported, and read only for classes of `EVIDENCE_PACKAGES`.
EVIDENCE_OF_CLASS: Final[Mapping[str, FailureSignal | Evidence]] = MappingProxyType(
    {
        # An answer arrived.
        "HTTPStatusError": Evidence.ANSWERED,  # httpx
        "APIStatusError": Evidence.ANSWERED,  # openai, anthropic
        "ClientResponseError": Evidence.ANSWERED,  # aiohttp
        "HTTPError": Evidence.ANSWERED,  # requests, urllib
        "DecodingError": FailureSignal.GARBLED,  # httpx
        "TooManyRedirects": FailureSignal.GARBLED,
        "ContentDecodingError": FailureSignal.GARBLED,  # requests
        "APIResponseValidationError": FailureSignal.GARBLED,  # openai
        # No connection was made.
        "ConnectError": FailureSignal.UNREACHABLE,  # httpx, httpcore
        "ConnectTimeout": FailureSignal.UNREACHABLE,  # httpx, httpcore, requests
        "ProxyError": FailureSignal.UNREACHABLE,
        "UnsupportedProtocol": FailureSignal.UNREACHABLE,
        "InvalidURL": FailureSignal.UNREACHABLE,
        "ClientConnectorError": FailureSignal.UNREACHABLE,  # aiohttp: refused, DNS, TLS
        "ClientConnectionResetError": FailureSignal.INTERRUPTED,
        "SSLError": FailureSignal.UNREACHABLE,
        "gaierror": FailureSignal.UNREACHABLE,
        "ConnectionRefusedError": FailureSignal.UNREACHABLE,
        # This side is at fault.
        "PoolTimeout": FailureSignal.INTERNAL,  # httpx, httpcore: all connections are in use
        "LocalProtocolError": FailureSignal.INTERNAL,  # a header the caller gave cannot be sent
        # The connection broke off.
        "SSLEOFError": FailureSignal.INTERRUPTED,
        "SSLZeroReturnError": FailureSignal.INTERRUPTED,
        "ConnectionResetError": FailureSignal.INTERRUPTED,
        "ConnectionAbortedError": FailureSignal.INTERRUPTED,
        "BrokenPipeError": FailureSignal.INTERRUPTED,
        "IncompleteReadError": FailureSignal.INTERRUPTED,
        "EndOfStream": FailureSignal.INTERRUPTED,
        "NetworkError": FailureSignal.INTERRUPTED,  # httpx: read, write, close
        "ProtocolError": FailureSignal.INTERRUPTED,  # httpx, urllib3
        "ServerDisconnectedError": FailureSignal.INTERRUPTED,  # aiohttp
        "ClientPayloadError": FailureSignal.INTERRUPTED,
        "ClientOSError": FailureSignal.INTERRUPTED,
        "HttpProcessingError": FailureSignal.INTERRUPTED,
        "ChunkedEncodingError": FailureSignal.INTERRUPTED,  # requests
        # The provider was silent.
        "TimeoutException": FailureSignal.TIMED_OUT,  # httpx: read, write
        "ReadTimeout": FailureSignal.TIMED_OUT,  # httpcore, requests
        "WriteTimeout": FailureSignal.TIMED_OUT,
        "ServerTimeoutError": FailureSignal.TIMED_OUT,  # aiohttp; a wait for a free connection ends in it as well
        "SocketTimeoutError": FailureSignal.TIMED_OUT,
    }
)

# These say less than what they were raised from, so they count only where that is gone.
VAGUE_SIGNAL_OF_CLASS: Final[Mapping[str, FailureSignal]] = MappingProxyType(
    {
        "APITimeoutError": FailureSignal.TIMED_OUT,  # openai
        "APIConnectionError": FailureSignal.UNREACHABLE,
        "TransportError": FailureSignal.INTERRUPTED,  # httpx
        "ClientConnectionError": FailureSignal.INTERRUPTED,  # aiohttp
        "ConnectionError": FailureSignal.INTERRUPTED,
        "TimeoutError": FailureSignal.TIMED_OUT,
    }
)

# LiteLLM's own exceptions inherit from openai's, but their status is LiteLLM's word and not an answer's.
EVIDENCE_OF_MAPPED_CLASS: Final[Mapping[str, FailureSignal | Evidence]] = MappingProxyType(
    {
        "APIConnectionError": Evidence.NO_STATUS,  # always 500
        "MidStreamFallbackError": Evidence.NO_STATUS,  # its original_exception's, or else 503
        "APIResponseValidationError": FailureSignal.GARBLED,
        "ContextWindowExceededError": FailureSignal.REQUEST_REJECTED,  # whatever the status
        "ContentPolicyViolationError": FailureSignal.REQUEST_REJECTED,
    }
)

EVIDENCE_PACKAGES: Final = frozenset(
    {
        "aiohttp",
        "anthropic",
        "anyio",
        "asyncio",
        "builtins",
        "concurrent",
        "h11",
        "httpcore",
        "httpcore2",
        "httpx",
        "httpx2",
        "openai",
        "requests",
        "socket",
        "ssl",
        "urllib",
        "urllib3",
    }
)

SIGNAL_OF_ERRNO: Final = MappingProxyType(
    {
        errno.ECONNREFUSED: FailureSignal.UNREACHABLE,
        errno.EHOSTUNREACH: FailureSignal.UNREACHABLE,
        errno.ENETUNREACH: FailureSignal.UNREACHABLE,
        errno.ENETDOWN: FailureSignal.UNREACHABLE,
        errno.EADDRNOTAVAIL: FailureSignal.UNREACHABLE,
        errno.ECONNRESET: FailureSignal.INTERRUPTED,
        errno.ECONNABORTED: FailureSignal.INTERRUPTED,
        errno.EPIPE: FailureSignal.INTERRUPTED,
        errno.ENOTCONN: FailureSignal.INTERRUPTED,
        # This machine ran out of something: no deployment is to blame.
        errno.EMFILE: FailureSignal.INTERNAL,
        errno.ENFILE: FailureSignal.INTERNAL,
        errno.ENOBUFS: FailureSignal.INTERNAL,
        errno.ENOMEM: FailureSignal.INTERNAL,
    }
)

# Wording, in the order it is tried; only for a failure that holds neither a status nor a transport error.
SIGNAL_OF_WORDING: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), signal)
    for pattern, signal in (
        (
            r"\b429\b|rate[\s_-]*limit|too many requests|quota exceeded|exceeded your current quota|resource_exhausted",
            FailureSignal.RATE_LIMITED,
        ),
        (
            r"connection refused|connect call failed|cannot connect to host|all connection attempts failed"
            r"|name or service not known|nodename nor servname|name resolution|getaddrinfo failed"
            r"|no route to host|network is unreachable|certificate verify failed|connection error",
            FailureSignal.UNREACHABLE,
        ),
        (
            r"connection reset|connection aborted|broken pipe|server disconnected|peer closed connection"
            r"|closed connection without|closed the responses stream before|midstreamfallbackerror"
            r"|response payload is not completed|incomplete read",
            FailureSignal.INTERRUPTED,
        ),
        (r"timed out|litellm\.Timeout\b|time-?out exceeded", FailureSignal.TIMED_OUT),
        (
            r"empty or invalid response from llm endpoint|unable to get json response|error parsing json response"
            r"|'str' object has no attribute 'model_dump'",  # openai's client returns what is no JSON as it came
            FailureSignal.GARBLED,
        ),
    )
)
