"""
Looks after the caller of a streamed request for as long as the router holds the stream back, to see whether another
deployment is to be asked: who hangs up is noticed, and who waits long is kept connected.

LiteLLM itself does both once the router has returned the stream: as soon as a deployment has begun to answer.
"""

import asyncio
import contextlib
import functools
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import Context, copy_context
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar

import anyio
import litellm
from fastapi import HTTPException, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import Response, StreamingResponse
from litellm._logging import verbose_proxy_logger
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.json_values import decoded_json, json_object
from litellm.litellm_core_utils.stream_wait import notify_caller, waiting_caller
from litellm.proxy._types import ProxyException
from litellm.proxy.failover_errors.handler import apply_failure_response, stream_error_event
from starlette.types import Receive, Scope, Send

DEFAULT_INTERVAL: Final = 15.0
"""Seconds between two signs of life; LiteLLM's own, for Anthropic's route, since 1.103."""

HUNG_UP: Final = 499
"""LiteLLM's status, and nginx's, for a caller who is not there any more to read it."""

_COMMENT: Final = b": ping\n\n"
_ANTHROPIC_PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'
_ANTHROPIC: Final = "anthropic_messages"
_PINGS: Final[Mapping[str, bytes]] = MappingProxyType(
    {
        **dict.fromkeys(("acompletion", "atext_completion", "aresponses"), _COMMENT),
        _ANTHROPIC: _ANTHROPIC_PING,
    }
)
"""By the kind of request. Google's clients take no comment (and its streams have no opening that is held back)."""

_HEADERS: Final = MappingProxyType({"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})  # to keep proxies flowing

Result = TypeVar("Result")


class _Processing(Protocol):
    """What of LiteLLM's `ProxyBaseLLMRequestProcessing` is used here."""

    data: Mapping[str, object]

    async def _handle_llm_api_exception(self, e: Exception, **asked_by: object) -> Exception: ...


class Caller:
    """Who waits for the response to a streamed request. `ping` keeps the connection alive, if anything does; after a
    sign of life it is due each `interval` seconds."""

    def __init__(self, request: Request, ping: bytes | None, interval: float, opens_at_once: bool = False) -> None:
        self.request = request
        self.ping = ping
        self.interval = interval
        self._opens_at_once = opens_at_once
        self._expects_more = asyncio.Event()

    def stream_opened(self) -> None:
        """LiteLLM sends pings from here on, on Anthropic's route."""
        if self._opens_at_once:
            self._expects_more.set()

    def event_held_back(self) -> None:
        """LiteLLM would have begun the response with this event."""
        self._expects_more.set()

    async def overdue(self) -> None:
        """Returns when the caller should hear something; never, if there is nothing to send."""
        if self.ping is None:
            await asyncio.Event().wait()
        await self._expects_more.wait()
        await asyncio.sleep(self.interval)


def cancel_on_disconnect(
    route_request: Callable[..., Awaitable[Awaitable[Result]]],
) -> Callable[..., Awaitable[Awaitable[Result]]]:
    """Wrap the proxy's `route_request`, which returns the router's call: it is cancelled when the caller of a streamed
    request hangs up, which is told as the HTTPException that LiteLLM has for it."""

    @functools.wraps(route_request)
    async def route_request_and_watch(*args: object, **kwargs: object) -> Awaitable[Result]:
        call: Final = await route_request(*args, **kwargs)
        caller: Final = waiting_caller()
        return until_hung_up(caller.request, call) if isinstance(caller, Caller) else call

    return route_request_and_watch


async def until_hung_up(request: Request, call: Awaitable[Result]) -> Result:
    """What `call` returns. Raises HTTPException, once `call` is cancelled, if the caller of `request` hangs up."""
    answer: Final = asyncio.ensure_future(call)
    hang_up: Final = asyncio.ensure_future(_hang_up(request))
    is_there = False
    try:
        await asyncio.wait((answer, hang_up), return_when=asyncio.FIRST_COMPLETED)
        is_there = not hang_up.done()
    finally:
        hang_up.cancel()
        if not is_there:
            await _dispose_of(answer)
    if not is_there:
        raise _hung_up()
    return answer.result()


def _hung_up() -> HTTPException:
    return HTTPException(HUNG_UP, "Client disconnected the request")  # the words by which LiteLLM's log knows it


async def _hang_up(request: Request) -> None:
    """Returns when the caller has hung up."""
    try:
        while (await request.receive())["type"] != "http.disconnect":
            pass
    except Exception as error:  # a server that cannot tell must not be taken for a caller who has left
        verbose_proxy_logger.warning("Whether a caller hangs up cannot be seen: %s", error)
        await asyncio.Event().wait()


async def _dispose_of(work: asyncio.Task[Result]) -> None:
    """End `work`, whose result nobody wants any more, and what it may have opened."""
    work.cancel()
    with anyio.CancelScope(shield=True), contextlib.suppress(Exception, asyncio.CancelledError):
        await _close(await work)


async def _close(response: object) -> None:
    """Close a stream, or what a streamed response has to send. LiteLLM's own has the stream under that as well."""
    ends: Final = (safe_getattr(response, "body_iterator"), safe_getattr(response, "upstream_generator"), response)
    for end in ends:
        close = safe_getattr(end, "aclose")
        if callable(close):
            with contextlib.suppress(Exception):
                await close()


def keep_caller_alive(
    process: Callable[..., Awaitable[Result]],
) -> Callable[..., Awaitable[Result | StreamingResponse]]:
    """Wrap `ProxyBaseLLMRequestProcessing.base_process_llm_request`, which makes the response to a request of any kind:
    the response to a streamed one begins, with a sign of life, when its caller has waited long enough for a stream that
    is there. What fails before is answered by its status, as ever, what fails afterwards by an event."""

    @functools.wraps(process)
    async def base_process_llm_request(
        self: _Processing, *args: object, **kwargs: object
    ) -> Result | StreamingResponse:
        caller: Final = _caller_of(self, kwargs)
        if caller is None:
            return await process(self, *args, **kwargs)
        contexts: Final[list[Context]] = []

        async def work() -> Result:
            try:
                with notify_caller(caller):
                    return await process(self, *args, **kwargs)
            finally:
                contexts.append(copy_context())

        response: Final = asyncio.ensure_future(work())
        if await _is_due_first(caller, response):
            return _EarlyResponse(_Relay(self, caller, response, kwargs).pieces())
        _adopt(contexts[0])
        return response.result()

    return base_process_llm_request


def cancel_endpoint_on_disconnect(endpoint: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap an endpoint that asks the router itself, with its `request`, for a stream."""

    @functools.wraps(endpoint)
    async def watched(*args: object, request: Request, **kwargs: object) -> Result:
        return await until_hung_up(request, endpoint(*args, request=request, **kwargs))

    return watched


def _caller_of(processing: _Processing, kwargs: Mapping[str, object]) -> Caller | None:
    """The caller to look after, None of a request that is not streamed."""
    request: Final = kwargs.get("request")
    kind: Final = kwargs.get("route_type")
    is_streamed: Final = processing.data.get("stream") is True or kwargs.get("is_streaming_request") is True
    if not isinstance(request, Request) or not is_streamed:
        return None
    interval: Final = _interval(str(kind), processing.data, kwargs.get("llm_router"))
    return Caller(request, _PINGS.get(str(kind)) if interval else None, interval or 0, kind == _ANTHROPIC)


def _interval(kind: str, data: Mapping[str, object], router: object) -> float | None:
    """Seconds between two signs of life, None if the operator wants none. LiteLLM has a setting for each format, and
    one of a deployment."""
    name: Final = "anthropic_sse_ping_interval_seconds" if kind == _ANTHROPIC else "sse_keepalive_ping_interval_seconds"
    of_litellm: Final = safe_getattr(litellm, name)
    try:
        interval: Final = DEFAULT_INTERVAL if of_litellm is None else float(str(of_litellm))
    except ValueError:  # no number is no interval for LiteLLM either
        return None
    return interval if 0 < interval < math.inf and not _is_turned_off(data.get("model"), router) else None


def _is_turned_off(model: object, router: object) -> bool:
    """Whether a deployment of the model group is to get no signs of life, by its `keepalive_seconds`."""
    find: Final = safe_getattr(router, "get_model_list")
    deployments: Final = find(model_name=model) if callable(find) and isinstance(model, str) else None
    settings: Final = [(one.get("litellm_params") or {}).get("keepalive_seconds") for one in deployments or ()]
    return any(setting is not None and str(setting) in ("0", "0.0") for setting in settings)


async def _is_due_first(caller: Caller, response: asyncio.Task[Result]) -> bool:
    """Whether the caller has waited long enough before there is a response."""
    overdue: Final = asyncio.ensure_future(caller.overdue())
    waits = True
    try:
        await asyncio.wait((response, overdue), return_when=asyncio.FIRST_COMPLETED)
        waits = False
    finally:
        overdue.cancel()
        if waits:
            await _dispose_of(response)
    return not response.done()


def _adopt(context: Context) -> None:
    """Set the context variables that were set in another task, as if its work had been done in this one."""
    missing: Final = object()
    for variable, value in context.items():
        if variable.get(missing) is not value:
            variable.set(value)


class _EarlyResponse(StreamingResponse):
    """One that begins before there is anything to say. Its body is closed in any case: Starlette leaves that to chance
    when the caller hangs up."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        super().__init__(body, media_type="text/event-stream", headers=_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await _close(self)


class _Relay:
    """Keeps `caller` connected until there is a `response`, and passes that on as a part of the one that has begun."""

    def __init__(
        self, processing: _Processing, caller: Caller, response: asyncio.Task[object], kwargs: Mapping[str, object]
    ) -> None:
        self._processing = processing
        self._caller = caller
        self._response = response
        self._kwargs = kwargs

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            while not self._response.done():
                yield self._caller.ping or b""
                await asyncio.wait((self._response,), timeout=self._caller.interval)
            async for piece in self._late(self._response.result()):
                yield piece
        except Exception as error:
            yield await self._failure(error)
        finally:
            if not self._response.done():
                await _dispose_of(self._response)
                with anyio.CancelScope(shield=True):
                    await self._failure(_hung_up())  # for those who count the requests under way

    async def _late(self, response: object) -> AsyncIterator[bytes]:
        """What a response has to say whose status and headers are too late."""
        if not isinstance(response, StreamingResponse):
            yield self._event_of(response)
            return
        try:
            async for piece in response.body_iterator:
                yield piece.encode() if isinstance(piece, str) else bytes(piece)
        finally:
            with anyio.CancelScope(shield=True):
                await _close(response)

    def _event_of(self, response: object) -> bytes:
        """A response that is no stream, as an event: LiteLLM's to a stream that begins with an error is such."""
        if not isinstance(response, Response):
            return f"data: {json.dumps(jsonable_encoder(response))}\n\n".encode()
        said: Final = _error_in(response)
        if said is None:
            return b"data: " + bytes(response.body) + b"\n\n"
        told: Final = ProxyException(
            message=str(said.get("message")),
            type=str(said.get("type")),
            param=said.get("param"),
            code=response.status_code,
        )
        return stream_error_event(told, self._processing.data).encode()

    async def _failure(self, error: Exception) -> bytes:
        """The event that tells of a failure, after all who are told of one that is answered by its status."""
        asked_by: Final = {name: self._kwargs.get(name) for name in ("user_api_key_dict", "proxy_logging_obj")}
        try:
            raise await self._processing._handle_llm_api_exception(e=error, **asked_by)
        except ProxyException as told:
            return stream_error_event(apply_failure_response(told, error), self._processing.data).encode()
        except HTTPException as told:  # what a hook has put in its place
            plain: Final = ProxyException(str(told.detail), "None", None, told.status_code)
            return stream_error_event(plain, self._processing.data).encode()


def _error_in(response: Response) -> Mapping[str, Any] | None:  # any-ok: JSON
    """The error object in the body of a response, if that is what it consists of."""
    error: Final = json_object(decoded_json(bytes(response.body))).get("error")
    return error if isinstance(error, dict) else None
