"""
Answers the proxy's caller as `router_utils/failure_response.py` says, in the format of the route: OpenAI's, or
Anthropic's on /v1/messages. An error of the proxy's own stays as the proxy says it.
"""

import functools
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import JSONResponse
from litellm._logging import _redact_string
from litellm.litellm_core_utils.anthropic_errors import anthropic_error_type
from litellm.litellm_core_utils.failure_signal import peek
from litellm.proxy._types import ProxyException
from litellm.router_utils.failure_response import response_to

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

_MESSAGES_ROUTE: Final = "/v1/messages"  # Anthropic's, and its count_tokens
_AFTER_AN_ATTRIBUTE_ERROR: Final = "Invalid request format: "
"""What the proxy makes of a failure that an AttributeError led to: a provider's answer of another kind is one such."""

ExceptionHandler = Callable[[Request, ProxyException], Coroutine[Any, Any, JSONResponse]]


def answering_by_the_policy(handler: ExceptionHandler) -> ExceptionHandler:
    """Wrap the proxy's exception handler, through which the error of each route passes: what a provider's failure was
    turned into is restated by the policy, in Anthropic's format on Anthropic's route."""

    @functools.wraps(handler)
    async def openai_exception_handler(request: Request, exc: ProxyException) -> JSONResponse:
        response: Final = await handler(request, restate(exc, exc.__context__))
        path: Final = peek(peek(request, "url"), "path")
        if not isinstance(path, str) or not _is_messages_route(path):
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
    exc.type = _openai_error_type(response.status_code)
    if exc.param == "None":
        exc.param = None
    if response.code is not None:
        exc.provider_specific_fields = {"code": response.code, **(exc.provider_specific_fields or {})}
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


def _stands_for(exc: ProxyException, failure: Exception) -> bool:
    """Whether `exc` repeats the words of `failure`, redacted or not; of one that has none, whether it has none either,
    but for a traceback some releases append."""
    words: Final = str(peek(failure, "message") or failure)
    repeated: Final = exc.message.removeprefix(_AFTER_AN_ATTRIBUTE_ERROR)
    if not words:
        return not repeated or repeated.startswith("\n")
    return any(repeated.startswith(said) for said in (words, *_as_the_proxy_redacts(words)))


def _as_the_proxy_redacts(words: str) -> Iterator[str]:
    yield _redact_string(words)
    try:
        from litellm._logging import redact_internal_details_from_client_message  # not in 1.82.6
    except ImportError:
        return
    yield redact_internal_details_from_client_message(words)


def _anthropic_error(exc: ProxyException) -> dict[str, Any]:
    status: Final = int(exc.code) if str(exc.code).isdecimal() else 500
    error: Final[dict[str, Any]] = {"type": anthropic_error_type(status), "message": exc.message}
    if exc.provider_specific_fields:
        error["provider_specific_fields"] = exc.provider_specific_fields
    return {"type": "error", "error": error}


def _openai_error_type(status: int) -> str:
    return _OPENAI_TYPES.get(status) or _OPENAI_TYPES[400 if status < 500 else 500]


def _is_messages_route(path: str) -> bool:
    return path.endswith(_MESSAGES_ROUTE) or f"{_MESSAGES_ROUTE}/" in path
