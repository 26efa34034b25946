"""
Treats an answer of 200 that is none as the failure it is, where LiteLLM's HTTP clients get it.

What comes of a failure from there on, whichever provider and format, is what comes of a failed answer, a body that
cannot be read and a connection that ends early: an error with a status gets that status, an answer with nothing in it
is one that cannot be decoded, and a stream without an end is one that was cut off.
"""

import functools
import json
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

import httpx
import litellm
from litellm.exceptions import APIConnectionError
from litellm.litellm_core_utils.answer_settings import EMPTY, UNFINISHED, fails
from litellm.litellm_core_utils.billed_usage import BILLED, Billed, billed_in
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.failure import Basis, Failure, FailureKind, keep_failure
from litellm.litellm_core_utils.inband_aws import AWS_STREAM, JudgedAwsStream
from litellm.litellm_core_utils.inband_failure import NOTHING_IN_IT, judge_value
from litellm.litellm_core_utils.inband_formats import API_OF_PATH, Api
from litellm.litellm_core_utils.inband_stream import Judged, JudgedStream, beginning, judge_body
from pydantic import BaseModel

if TYPE_CHECKING:
    import aiohttp

Chunk = TypeVar("Chunk")
Client = TypeVar("Client")
Event = TypeVar("Event")
Reader = TypeVar("Reader")
AiohttpAnswer = TypeVar("AiohttpAnswer", bound="aiohttp.ClientResponse")

_ENDED_EARLY: Final = "the provider's stream ended without an end"
_HEADERS_OF_THE_ENCODING: Final = ("content-encoding", "content-length", "transfer-encoding")
_HEADERS_OF_THE_BODY: Final = (*_HEADERS_OF_THE_ENCODING, "content-type")


class InbandError(httpx.HTTPStatusError):
    """An error that a provider sent in an event of a stream of 200, with the status it stands for."""

    def __init__(self, status: int, told: bytes, answer: httpx.Response) -> None:
        request: Final = answer.request
        headers: Final = [pair for pair in answer.headers.items() if pair[0].lower() not in _HEADERS_OF_THE_BODY]
        self.status_code = status
        self.message = told.decode("utf-8", "replace")
        super().__init__(
            self.message,
            request=request,
            response=httpx.Response(status, headers=headers, content=told, request=request),
        )


def api_of(response: httpx.Response) -> Api | None:
    """The format that an answer of success is to have; None where no model was asked, or the answer is no success."""
    asked: Final = response.history[0] if response.history else response  # a login page is got where it is told to look
    request: Final = asked._request  # `request` raises where there is none
    if request is None or request.method != "POST" or not 200 <= response.status_code < 300:
        return None
    path: Final = request.url.path.rstrip("/")
    return next((api for pattern, api in API_OF_PATH if pattern.search(path)), None)


def judge_answer(response: object, stream: bool = False) -> None:
    """Judge what an HTTP client has got from a provider: a whole answer now, a stream as it is read.

    An error in a whole answer gives the answer its status, which the client then raises as it does any. Raises
    httpx.DecodingError for one with nothing in it. Whatever is no answer of a model is left alone.
    """
    api: Final = api_of(response) if isinstance(response, httpx.Response) else None
    if api is None or not isinstance(response, httpx.Response):
        return
    if stream:
        _read_along(response, api)
        return
    failure = judge_body(api, response.content, response.headers.get("content-type", ""), empty_fails=fails(EMPTY))
    if failure is None and api is Api.TRANSCRIPTION and _is_text_for_json(response):
        failure = NOTHING_IN_IT
    if failure is None:
        return
    billed: Final = billed_in(response.content)
    if failure.http_status is None:
        raise _exception(failure, b"", response, billed)
    response.extensions[BILLED] = billed
    response.status_code = failure.http_status
    response.extensions["reason_phrase"] = _phrase(failure.http_status)


def _is_text_for_json(response: httpx.Response) -> bool:
    """Whether a transcription is a mere text although the request, a form, asks for JSON; LiteLLM's does by itself."""
    fields: Final = safe_getattr(safe_getattr(response.request, "stream"), "fields")
    asked: Final = [
        str(safe_getattr(one, "value"))
        for one in (fields if isinstance(fields, list) else ())
        if safe_getattr(one, "name") == "response_format"
    ]
    return bool(asked) and asked[0].endswith("json") and beginning(response.content)[:1] not in (b"{", b"[")


def judge_answers(get_client: Callable[..., Client]) -> Callable[..., Client]:
    """Wrap what makes an SDK's client, or the HTTP client of one, which sends its requests by itself: what it gets is
    judged, unless the HTTP client is the user's own."""

    @functools.wraps(get_client)
    def judging(*args: object, **kwargs: object) -> Client:
        return judge_client(get_client(*args, **kwargs))

    return judging


def judge_client(client: Client) -> Client:
    """Have what `client` gets judged: an HTTP client, or an SDK's that has one; not the user's own, and not twice."""
    http: Final = client if isinstance(client, (httpx.Client, httpx.AsyncClient)) else safe_getattr(client, "_client")
    if not isinstance(http, (httpx.Client, httpx.AsyncClient)) or "send" in vars(http):
        return client
    # No reference to the client itself, which LiteLLM leaves to be closed by its last reference.
    if isinstance(http, httpx.AsyncClient) and http is not litellm.aclient_session:
        http.send = functools.partial(_send_async, weakref.ref(http), type(http).send)  # type: ignore[method-assign]
    elif isinstance(http, httpx.Client) and http is not litellm.client_session:
        http.send = functools.partial(_send, weakref.ref(http), type(http).send)  # type: ignore[method-assign]
    return client


def _send(
    client: Callable[[], httpx.Client | None],
    send: Callable[..., httpx.Response],
    request: httpx.Request,
    *,
    stream: bool = False,
    **options: object,
) -> httpx.Response:
    response: Final = send(client(), request, stream=stream, **options)
    judge_answer(response, stream)
    return response


async def _send_async(
    client: Callable[[], httpx.AsyncClient | None],
    send: Callable[..., Awaitable[httpx.Response]],
    request: httpx.Request,
    *,
    stream: bool = False,
    **options: object,
) -> httpx.Response:
    response: Final = await send(client(), request, stream=stream, **options)
    judge_answer(response, stream)
    return response


def judge_aiohttp_answers(ask: Callable[..., Awaitable[AiohttpAnswer]]) -> Callable[..., Awaitable[AiohttpAnswer]]:
    """Wrap `BaseLLMAIOHTTPHandler._make_common_async_call`, which asks by aiohttp without httpx; its answers are whole.

    Raises httpx.HTTPStatusError for an error in one, with the status it stands for, and as `judge_answer`.
    """

    @functools.wraps(ask)
    async def judging(*args: object, **kwargs: object) -> AiohttpAnswer:
        answer: Final = await ask(*args, **kwargs)
        copy: Final = httpx.Response(
            answer.status,
            headers=[pair for pair in answer.headers.items() if pair[0].lower() not in _HEADERS_OF_THE_ENCODING],
            content=await answer.read(),
            request=httpx.Request("POST", str(answer.url)),
        )
        judge_answer(copy)
        copy.raise_for_status()
        return answer

    return judging


def raise_failed_event(read: Callable[[Reader, Event], Chunk]) -> Callable[[Reader, Event], Chunk]:
    """Wrap what reads the events of /v1/responses, JSON objects or models of them, for another API, and on older
    releases takes that of an error for none, or for an end. Raises InbandError with the status the error stands for."""

    @functools.wraps(read)
    def read_event(self: Reader, event: Event) -> Chunk:
        value: Final = event.model_dump(mode="json") if isinstance(event, BaseModel) else event
        failure: Final = judge_value(Api.RESPONSES, value, empty_fails=False)
        if failure is not None:
            answer: Final = httpx.Response(200, request=httpx.Request("POST", "/v1/responses"))
            raise InbandError(failure.http_status or 500, json.dumps(value).encode(), answer)
        return read(self, event)

    return read_event


def _read_along(response: httpx.Response, api: Api) -> None:
    """Have the bytes of `response` judged as they are read, in whichever way: all of httpx's go by these two."""
    iter_bytes: Final = response.iter_bytes
    aiter_bytes: Final = response.aiter_bytes

    def judged(chunk_size: int | None = None) -> Iterator[bytes]:
        stream: Final = _judged_stream(api, response)
        with _AllChoicesAwaited(stream, response):
            for piece in iter_bytes(chunk_size):
                yield from _passed_on(stream.feed(piece), stream, response)
            yield from _passed_on((stream.end(),), stream, response)

    async def ajudged(chunk_size: int | None = None) -> AsyncIterator[bytes]:
        stream: Final = _judged_stream(api, response)
        with _AllChoicesAwaited(stream, response):
            async for piece in aiter_bytes(chunk_size):
                for passed_on in _passed_on(stream.feed(piece), stream, response):
                    yield passed_on
            for passed_on in _passed_on((stream.end(),), stream, response):
                yield passed_on

    response.iter_bytes = judged  # type: ignore[method-assign]
    response.aiter_bytes = ajudged  # type: ignore[method-assign]


class _AllChoicesAwaited:
    """Raises httpx.NetworkError where the stream breaks off while a choice is open and another one has ended: from
    1.106 on LiteLLM takes what httpx raises of a cut connection for the end once any choice has one. A class, since a
    generator costs each stream more."""

    __slots__ = ("_response", "_stream")

    def __init__(self, stream: JudgedStream | JudgedAwsStream, response: httpx.Response) -> None:
        self._stream: Final = stream
        self._response: Final = response

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, *where: object) -> None:
        is_cut_off: Final = isinstance(error, (httpx.ReadError, httpx.RemoteProtocolError))
        if is_cut_off and isinstance(self._stream, JudgedStream) and self._stream.has_open_choice:
            raise httpx.NetworkError(str(error), request=self._response.request) from error


def _judged_stream(api: Api, response: httpx.Response) -> JudgedStream | JudgedAwsStream:
    is_aws: Final = response.headers.get("content-type", "").startswith(AWS_STREAM)
    kind: Final = JudgedAwsStream if is_aws else JudgedStream
    return kind(api, empty_fails=fails(EMPTY), unfinished_fails=fails(UNFINISHED))


def _passed_on(
    parts: Iterable[Judged], stream: JudgedStream | JudgedAwsStream, response: httpx.Response
) -> Iterator[bytes]:
    for judged in parts:
        if judged.passed_on:
            yield judged.passed_on
        if judged.failure is not None:
            raise _exception(judged.failure, judged.told, response, stream.billed)


def _exception(failure: Failure, told: bytes, response: httpx.Response, billed: Billed | None) -> Exception:
    """What to raise for a failure: what the mapping knows the kind of, with what is billed for it."""
    error: Final = _unbilled_exception(failure, told, response)
    setattr(error, BILLED, billed)
    return error


def _ended_early(response: httpx.Response) -> Exception:
    """As for a connection that was cut. What reads a response raises that as it is, and LiteLLM's own exception for one
    that ends early; so that is what it gets."""
    if api_of(response) is not Api.RESPONSES:
        return httpx.RemoteProtocolError(_ENDED_EARLY, request=response.request)
    error: Final = APIConnectionError(message=_ENDED_EARLY, llm_provider="", model="", request=response.request)
    keep_failure(error, Failure(FailureKind.INTERRUPTED, None, Basis.TRANSPORT))
    return error


def _unbilled_exception(failure: Failure, told: bytes, response: httpx.Response) -> Exception:
    if failure.http_status is not None:
        return InbandError(failure.http_status, told, response)
    if failure.kind is FailureKind.INTERRUPTED:
        return _ended_early(response)
    return httpx.DecodingError("the provider's answer cannot be read, or says nothing", request=response.request)


def _phrase(status: int) -> bytes:
    return HTTPStatus(status).phrase.encode() if status in HTTPStatus._value2member_map_ else b"Unassigned"
