"""
What the caller of the proxy is told about a failed call: HTTP status, Retry-After, error type and a readable message,
by the policy table of `router_utils/failover_policy.py`. An error of the proxy's own stays as the proxy says it.
"""

import ast
import functools
import json
import math
import os
import re
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import JSONResponse
from litellm._logging import _ENABLE_SECRET_REDACTION, _redact_string
from litellm.litellm_core_utils.failure_signal import FailureSignal, carried_signal, diagnose, peek
from litellm.proxy._types import ProxyException
from litellm.router_utils.failover_attempts import ATTEMPTS_ATTRIBUTE, FailedAttempt, retry_after, what_was_tried
from litellm.router_utils.failover_policy import POLICY, Retry
from litellm.types.router import RouterRateLimitError

# For a failure the provider said nothing about. What LiteLLM says then is about this side: hosts, sockets, timeouts.
_WORDS_OF_SIGNAL: Final[Mapping[FailureSignal, str]] = MappingProxyType(
    {
        FailureSignal.RATE_LIMITED: "The provider's rate limit is reached.",
        FailureSignal.OUT_OF_CREDIT: "The provider's account is out of credit.",
        FailureSignal.BAD_CREDENTIALS: "The provider does not accept the gateway's credentials.",
        FailureSignal.MODEL_MISSING: "The provider does not have the model.",
        FailureSignal.UNREACHABLE: "The provider cannot be reached.",
        FailureSignal.TIMED_OUT: "The provider did not answer in time.",
        FailureSignal.UNAVAILABLE: "The provider is unavailable.",
        FailureSignal.INTERRUPTED: "The connection to the provider broke off.",
        FailureSignal.SERVER_ERROR: "The provider failed.",
        FailureSignal.GARBLED: "The provider's answer cannot be read.",
    }
)

# A status that is not here has the type of its hundred.
_OPENAI_TYPES: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "invalid_request_error",
        401: "authentication_error",
        402: "insufficient_quota",
        403: "permission_error",
        429: "rate_limit_error",
        500: "server_error",
    }
)
_ANTHROPIC_TYPES: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "invalid_request_error",
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        500: "api_error",
        504: "timeout_error",
        529: "overloaded_error",
    }
)

_MESSAGES_ROUTE: Final = "/v1/messages"  # Anthropic's, and its count_tokens
_BYTES_LITERAL: Final = re.compile(r"""\bb(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)
_CREDENTIAL_NAME: Final = re.compile(r"key|token|secret|passw|credential|authorization", re.IGNORECASE)
_SHORTEST_SECRET: Final = 8  # characters; a shorter one stands in too many messages by chance
_URL_CREDENTIALS: Final = re.compile(r'(?<=://)[^\s/"]+(?=@)')
_REDACTED: Final = "REDACTED"

ExceptionHandler = Callable[[Request, ProxyException], Coroutine[Any, Any, JSONResponse]]


class FailureResponse(NamedTuple):
    """An answer to a caller: the HTTP status, the message, and the seconds after which to try again if known."""

    status_code: int
    message: str
    retry_after: int | None


def answering_by_the_policy(handler: ExceptionHandler) -> ExceptionHandler:
    """Wrap the proxy's exception handler, through which the error of each route passes: what a provider's failure was
    turned into is restated by the policy, in Anthropic's format on Anthropic's route."""

    @functools.wraps(handler)
    async def openai_exception_handler(request: Request, exc: ProxyException) -> JSONResponse:
        response: Final = await handler(request, restate(exc, exc.__context__))
        if not _is_messages_route(request.url.path):
            return response
        headers: Final = {name: value for name, value in response.headers.items() if name != "content-length"}
        return JSONResponse(_anthropic_error(exc), response.status_code, headers)

    return openai_exception_handler


def restate(exc: ProxyException, failure: object, of_stream: bool = False) -> ProxyException:
    """Make `exc` the policy's answer to `failure`, if it stands for that and no hook has put another in its place.
    Returns `exc`. `of_stream` says that `failure` was raised by a provider's stream."""
    if not isinstance(failure, Exception) or not _stands_for(exc, failure):
        return exc
    response: Final = response_to(failure, of_stream)
    if response is None:
        return exc
    exc.message = response.message
    exc.args = (response.message,)
    exc.code = str(response.status_code)
    exc.type = _of_status(_OPENAI_TYPES, response.status_code)
    if exc.param == "None":
        exc.param = None
    if response.retry_after is not None:
        exc.headers = {name: value for name, value in exc.headers.items() if name.lower() != "retry-after"}
        exc.headers["retry-after"] = str(response.retry_after)
    return exc


def in_band_error(exc: ProxyException, request_data: Mapping[str, Any]) -> str:
    """The event that ends a stream which has begun and failed, in Anthropic's format on Anthropic's route."""
    url: Final = (request_data.get("proxy_server_request") or {}).get("url")
    if _is_messages_route(urlsplit(str(url)).path):
        return f"event: error\ndata: {json.dumps(_anthropic_error(exc))}\n\n"
    return f"data: {json.dumps({'error': exc.to_dict()})}\n\n"


def as_told(failure: Exception) -> Exception:
    """What a provider's stream raised as the caller is to hear of it, for an event that is made of an exception."""
    response: Final = response_to(failure, of_stream=True)
    if response is None:
        return failure
    error_type: Final = _of_status(_OPENAI_TYPES, response.status_code)
    told: Final = ProxyException(response.message, error_type, None, response.status_code)
    told.status_code = response.status_code  # type: ignore[attr-defined]  # where an exception usually has it
    return told


def response_to(failure: Exception, of_stream: bool = False) -> FailureResponse | None:
    """What to tell the caller about a failure of the router or of a provider, None about any other. A stream may fail
    with an exception that has passed through neither.

    After several attempts: 429 and the shortest Retry-After if each was rate-limited, else the last one's answer that a
    deployment is to blame for. A request that was rejected gets that one's, whatever happened before.
    """
    attempts: Final[tuple[FailedAttempt, ...]] = getattr(failure, ATTEMPTS_ATTRIBUTE, ())
    if isinstance(failure, RouterRateLimitError) and not attempts:
        # LiteLLM's answer to a group that is cooling down is 429 (#2487).
        message: Final = "No deployment of the model group is available: all of them are cooling down."
        return FailureResponse(429, message, math.ceil(failure.cooldown_time) or None)
    signal, http_status, _ = diagnose(failure)
    if carried_signal(failure) is None and not attempts and not of_stream:
        return None
    decisive: Final = _decisive(attempts) if signal is not FailureSignal.REQUEST_REJECTED else None
    if decisive is None:
        if signal is FailureSignal.INTERNAL:
            return None
        status = caller_status(signal, http_status, otherwise=_own_status(failure))
        return FailureResponse(status, _message(failure, signal, http_status, attempts), retry_after(failure))
    status = caller_status(decisive.signal, decisive.status_code)
    own: Final = (decisive.signal, decisive.status_code) == (signal, http_status)
    told: Final = _message(failure if own else None, decisive.signal, decisive.status_code, attempts)
    return FailureResponse(status, told, _shortest_wait(attempts, decisive))


def caller_status(signal: FailureSignal, http_status: int | None, otherwise: int = 500) -> int:
    """The HTTP status for the caller; `http_status` is the provider's, if it answered."""
    if signal is FailureSignal.TIMED_OUT and http_status == 408:
        return 408
    return POLICY[signal].caller_status or http_status or otherwise


def _decisive(attempts: Sequence[FailedAttempt]) -> FailedAttempt | None:
    """The last attempt whose failure is the deployment's."""
    blamed: Final = (Retry.ELSEWHERE, Retry.ELSEWHERE_ELSE_SAME)
    return next((one for one in reversed(attempts) if POLICY[one.signal].retry in blamed), None)


def _shortest_wait(attempts: Sequence[FailedAttempt], decisive: FailedAttempt) -> int | None:
    waits: Final = [one.retry_after for one in attempts if one.retry_after is not None]
    if all(one.signal is FailureSignal.RATE_LIMITED for one in attempts):
        return min(waits, default=None)
    return decisive.retry_after


def _own_status(failure: Exception) -> int:
    status: Final = peek(failure, "status_code")
    return status if isinstance(status, int) and 400 <= status <= 599 else 500


def _stands_for(exc: ProxyException, failure: Exception) -> bool:
    """Whether `exc` repeats the words of `failure`, redacted or not."""
    words: Final = str(peek(failure, "message") or failure)
    return any(exc.message.startswith(said) for said in (words, *_as_the_proxy_redacts(words)))


def _as_the_proxy_redacts(words: str) -> Iterator[str]:
    yield _redact_string(words)
    try:
        from litellm._logging import redact_internal_details_from_client_message  # not in 1.82.6
    except ImportError:
        return
    yield redact_internal_details_from_client_message(words)


def _message(
    failure: Exception | None, signal: FailureSignal, http_status: int | None, attempts: Sequence[FailedAttempt]
) -> str:
    """The provider's own words if it answered with an error, else ours; without secrets either way."""
    if failure is not None and (signal not in _WORDS_OF_SIGNAL or (http_status is not None and http_status >= 400)):
        return _without_secrets(_readable(str(peek(failure, "message") or failure)))
    return f"{_WORDS_OF_SIGNAL[signal]}{what_was_tried(attempts)}"


def _readable(message: str) -> str:
    """`message` with what a provider sent as bytes or JSON put into the words it contains."""
    text: Final = _BYTES_LITERAL.sub(lambda found: _decoded(found.group()), message)
    start: Final = text.find("{")
    if start < 0:
        return text
    try:
        body, end = json.JSONDecoder().raw_decode(text[start:])
    except ValueError:
        return text
    words: Final = _words_of(body)
    return text if words is None else f"{text[:start]}{words}{text[start + end :]}"


def _decoded(literal: str) -> str:
    try:
        content = ast.literal_eval(literal)
    except (SyntaxError, ValueError):
        return literal
    return str(content, errors="replace") if isinstance(content, bytes) else literal


def _words_of(body: object) -> str | None:
    """The message of a provider's error, in one of the usual shapes."""
    for name in ("error", "message", "detail", "Message"):
        found = body.get(name) if isinstance(body, dict) else None
        if isinstance(found, str) and found:
            return found
        if isinstance(found, dict) and (words := _words_of(found)) is not None:
            return words
    return None


def _without_secrets(message: str) -> str:
    """`message` without the credentials and hosts of the proxy's deployments, and without what looks like a secret."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        message = message.replace(secret, _REDACTED)
    message = _URL_CREDENTIALS.sub(_REDACTED, message)
    return _redact_string(message) if _ENABLE_SECRET_REDACTION else message


def _secrets() -> set[str]:
    proxy_server: Final = _proxy_server()
    named: Final[list[tuple[str, Any]]] = [
        (name, value) for name, value in os.environ.items() if _CREDENTIAL_NAME.search(name)
    ]
    named.append(("master_key", peek(proxy_server, "master_key")))
    hosts: Final[list[str | None]] = []
    for deployment in _model_list(peek(proxy_server, "llm_router")):
        params = deployment.get("litellm_params") or {}
        named.extend(_flat(params))
        hosts.extend(_host(value) for name, value in params.items() if name in ("api_base", "base_url"))
    credentials: Final = (value for name, value in named if _CREDENTIAL_NAME.search(name) and isinstance(value, str))
    return {value for value in (*credentials, *filter(None, hosts)) if len(value) >= _SHORTEST_SECRET}


def _proxy_server() -> object:
    """The module with the proxy's settings; it imports this one, and is heavy."""
    return sys.modules.get("litellm.proxy.proxy_server")


def _model_list(router: object) -> list[Any]:
    model_list: Final = peek(router, "model_list")
    return model_list if isinstance(model_list, list) else []


def _flat(params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield str(name), value


def _host(url: object) -> str | None:
    """A host as it stands in messages: with its port or, if it has none, behind the slashes."""
    try:
        parts: Final = urlsplit(str(url))
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname and f"//{parts.hostname}"
    except ValueError:
        return None


def _anthropic_error(exc: ProxyException) -> dict[str, Any]:
    status: Final = int(exc.code) if str(exc.code).isdecimal() else 500
    error: Final[dict[str, Any]] = {"type": _of_status(_ANTHROPIC_TYPES, status), "message": exc.message}
    if exc.provider_specific_fields:
        error["provider_specific_fields"] = exc.provider_specific_fields
    return {"type": "error", "error": error}


def _of_status(types: Mapping[int, str], status: int) -> str:
    return types.get(status) or types[400 if status < 500 else 500]


def _is_messages_route(path: str) -> bool:
    return path.endswith(_MESSAGES_ROUTE) or f"{_MESSAGES_ROUTE}/" in path
