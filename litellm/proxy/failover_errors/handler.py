"""
Answers the proxy's caller as `response.py` says, in the format of the route: OpenAI's, or Anthropic's on /v1/messages.
An error of the proxy's own stays as the proxy says it, and so does what a hook of the operator's has put in its place.
"""

import functools
import inspect
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Final, TypeVar
from urllib.parse import urlsplit

from fastapi import Request as HTTPRequest
from fastapi.responses import JSONResponse
from litellm.litellm_core_utils.anthropic_errors import anthropic_error_type
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.proxy._types import ProxyException
from litellm.proxy.failover_errors.response import client_response
from litellm.router_utils.failover.router_view import Request
from starlette.exceptions import HTTPException

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
_ANSWERED_BY_A_HOOK: Final = "answered_by_a_hook"

Result = TypeVar("Result")
ExceptionHandler = Callable[[HTTPRequest, ProxyException], Coroutine[object, object, JSONResponse]]


def answer_by_policy(handler: ExceptionHandler) -> ExceptionHandler:
    """Wrap the proxy's exception handler, through which the error of each route passes: what a provider's failure was
    turned into is restated by the policy, in Anthropic's format on Anthropic's route."""

    @functools.wraps(handler)
    async def openai_exception_handler(request: HTTPRequest, exc: ProxyException) -> JSONResponse:
        response: Final = await handler(request, apply_failure_response(exc, exc.__context__))
        path: Final = safe_getattr(safe_getattr(request, "url"), "path")
        if not isinstance(path, str) or not _is_messages_route(path):
            return response
        headers: Final = {name: value for name, value in response.headers.items() if name != "content-length"}
        return JSONResponse(_anthropic_error(exc), response.status_code, headers)

    return openai_exception_handler


def record_hook_answer(call_hooks: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `ProxyLogging.post_call_failure_hook`: a failure for which a hook has an answer of its own is not restated.
    Since 1.110 the hooks may be shown a copy of the one that is handled, which is marked as well."""
    signature: Final = inspect.signature(call_hooks)

    @functools.wraps(call_hooks)
    async def post_call_failure_hook(*args: object, **kwargs: object) -> Result:
        answer: Final = await call_hooks(*args, **kwargs)
        if answer is not None:
            shown: Final = signature.bind(*args, **kwargs).arguments.get("original_exception")
            for failure in (shown, sys.exc_info()[1]):
                if isinstance(failure, Exception):
                    setattr(failure, _ANSWERED_BY_A_HOOK, True)
        return answer

    return post_call_failure_hook


def apply_failure_response(exc: ProxyException, failure: object, of_stream: bool = False) -> ProxyException:
    """Make `exc` the policy's answer to `failure`, which it was raised for, if no hook has put another in its place.
    Returns `exc`. `of_stream` says that `failure` was raised by a provider's stream."""
    is_answered: Final = safe_getattr(failure, _ANSWERED_BY_A_HOOK) is True
    if is_answered or not isinstance(failure, Exception) or isinstance(failure, (HTTPException, ProxyException)):
        return exc
    response: Final = client_response(failure, of_stream)
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


def stream_error_event(exc: ProxyException, request_data: Request) -> str:
    """The event that ends a stream which has begun and failed, in Anthropic's format on Anthropic's route."""
    url: Final = (request_data.get("proxy_server_request") or {}).get("url")
    if _is_messages_route(urlsplit(str(url)).path):
        return f"event: error\ndata: {json.dumps(_anthropic_error(exc))}\n\n"
    return f"data: {json.dumps({'error': exc.to_dict()})}\n\n"


def _anthropic_error(exc: ProxyException) -> dict[str, object]:
    status: Final = int(exc.code) if str(exc.code).isdecimal() else 500
    error: Final[dict[str, object]] = {"type": anthropic_error_type(status), "message": exc.message}
    if exc.provider_specific_fields:
        error["provider_specific_fields"] = exc.provider_specific_fields
    return {"type": "error", "error": error}


def _openai_error_type(status: int) -> str:
    return _OPENAI_TYPES.get(status) or _OPENAI_TYPES[400 if status < 500 else 500]


def _is_messages_route(path: str) -> bool:
    return path.endswith(_MESSAGES_ROUTE) or f"{_MESSAGES_ROUTE}/" in path
