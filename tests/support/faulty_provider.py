"""A model provider on a real loopback socket that fails on demand, for what a mocked transport cannot show.

It speaks the OpenAI, Anthropic, Gemini and Ollama formats (see `provider_formats`); its behaviour, a `Fault`, may be
switched while it runs.

    with FaultyProvider(fault=FAULTS["429"]) as provider:
        litellm.completion(messages=[...], **litellm_params("openai", provider.url))
        provider.fault = HEALTHY
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeVar

from support.provider_formats import ENDPOINTS as ENDPOINTS
from support.provider_formats import STREAM_TYPES as STREAM_TYPES
from support.provider_formats import Format as Format
from support.provider_formats import Json as Json
from support.provider_formats import error, format_at, is_attempt, is_streamed, stream, whole

T = TypeVar("T")

UNRESOLVABLE_URL = "http://provider.invalid"
"""A host no resolver knows: RFC 6761 section 6.4 reserves `.invalid` for that."""

SWITCH_DEADLINE = 10.0
"""Seconds the server thread has to take up a new fault; passing it means the thread died."""


class Kind(str, Enum):
    """What happens to a connection."""

    ANSWER = "answer"
    REFUSE = "refuse"
    UNRESOLVABLE = "unresolvable"
    RESET = "reset"
    CLOSE = "close"
    SILENCE = "silence"
    TRUNCATE = "truncate"
    TEAR = "tear"


@dataclass(frozen=True)
class Fault:
    """One way to behave; `HEALTHY` is the fault of having none.

    `code` None is a valid answer of the format asked for. `body` None is the format's own error shape.
    """

    kind: Kind = Kind.ANSWER
    code: int | None = None
    retry_after: str | None = None
    body: bytes | None = None
    content_type: str = "application/json"
    message: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def status(
        cls,
        code: int,
        *,
        retry_after: float | str | None = None,
        message: str | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Fault:
        """An HTTP answer with status `code`, 100 to 599.

        `retry_after` is seconds or an HTTP date (RFC 9110 section 10.2.3), `headers` are sent as well. `message`
        replaces the wording of the format's error shape, `body` the whole shape. Raises ValueError for a status outside
        100 to 599.
        """
        if not 100 <= code <= 599:
            raise ValueError(f"HTTP status {code} is outside 100 to 599; name one inside")
        delay = None if retry_after is None else str(retry_after)
        more = tuple((headers or {}).items())
        return cls(code=code, retry_after=delay, message=message, body=body, content_type=content_type, headers=more)


HTML_PAGE = b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>\n"

HEALTHY = Fault()
REFUSED = Fault(Kind.REFUSE)
UNRESOLVABLE = Fault(Kind.UNRESOLVABLE)
RESET = Fault(Kind.RESET)
CLOSED = Fault(Kind.CLOSE)
SILENT = Fault(Kind.SILENCE)
TRUNCATED = Fault(Kind.TRUNCATE)
TORN = Fault(Kind.TEAR)
"""The connection ends right after the answer's words: in a stream, after the event that has them."""

HTML_200 = Fault.status(200, body=HTML_PAGE, content_type="text/html")
EMPTY_200 = Fault.status(200, body=b"")
TEXT_200 = Fault.status(200, body=b"upstream is warming up", content_type="text/plain")

FAULTS: dict[str, Fault] = {
    "400": Fault.status(400),
    "401": Fault.status(401),
    "402": Fault.status(402),
    "403": Fault.status(403),
    "404": Fault.status(404),
    "408": Fault.status(408),
    "429": Fault.status(429),
    "429-retry-after": Fault.status(429, retry_after=6),
    "500": Fault.status(500),
    "503": Fault.status(503),
    "529": Fault.status(529),
    "refused": REFUSED,
    "unresolvable": UNRESOLVABLE,
    "reset": RESET,
    "close": CLOSED,
    "truncated": TRUNCATED,
    "silence": SILENT,
    "html-200": HTML_200,
    "empty-200": EMPTY_200,
}

MODELS: dict[str, str] = {
    "openai": "openai/gpt-4o-mini",
    "publicai": "publicai/swiss-ai/apertus-8b-instruct",
    "hosted_vllm": "hosted_vllm/qwen2.5-7b-instruct",
    "ollama_chat": "ollama_chat/llama3.2",
    "anthropic": "anthropic/claude-3-5-haiku-20241022",
    "gemini": "gemini/gemini-2.0-flash",
}
PROVIDERS: tuple[str, ...] = ("openai", "publicai", "hosted_vllm", "ollama_chat", "anthropic")
"""Those of MODELS that the router is measured over."""

VERSIONED = {"openai", "publicai", "hosted_vllm"}
"""Providers whose api_base ends in /v1; LiteLLM adds the whole path itself for the others."""


def litellm_params(provider: str, url: str) -> dict[str, str]:
    """`litellm_params` of a deployment of `provider` (one of MODELS) served at `url`."""
    if provider not in MODELS:
        raise ValueError(f"no model is known for provider {provider!r}; choose one of {', '.join(MODELS)}")
    api_base = f"{url}/v1" if provider in VERSIONED else url
    return {"model": MODELS[provider], "api_base": api_base, "api_key": "sk-test"}


def patience(fault: Fault) -> dict[str, Any]:
    """The parameters of a call to a provider with `fault`: a silent one is left after 0.3 s, one that speaks has all
    the time a busy machine needs."""
    return {"timeout": 0.3} if fault.kind is Kind.SILENCE else {}


@dataclass(frozen=True)
class Request:
    """One request as it was read, with the fault that met it."""

    path: str
    body: Json
    fault: Fault


class FaultyProvider:
    """A provider at `url` that behaves as `fault` says, from `start()` (or `with`) to `close()`.

    Every connection carries one request, so that no idle connection outlives the fault it was opened under. A request
    is met by the fault in force when it has been read. A silent request ends, without an answer, when the fault
    changes or the provider closes. A refused connection never reaches this process: it is not among the `attempts`.
    """

    def __init__(self, fault: Fault = HEALTHY, *, answer: str = "pong") -> None:
        self.answer = answer
        self.answered = 0
        self.requests: list[Request] = []
        self._fault = fault
        self._server: asyncio.base_events.Server | None = None
        self._silent: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty-provider", daemon=True)
        self._reserved = _bound_socket(0)
        self.port: int = self._reserved.getsockname()[1]

    def start(self) -> FaultyProvider:
        """Begin to serve; the port is open, or refuses, when this returns."""
        self._thread.start()
        self._in_loop(self._take_up(self._fault))
        return self

    def close(self) -> None:
        """End every connection and the server thread, and give the port back."""
        self._in_loop(self._shut_down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SWITCH_DEADLINE)
        self._loop.close()
        self._reserved.close()

    def __enter__(self) -> FaultyProvider:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Scheme, host and port, without a path."""
        return UNRESOLVABLE_URL if self._fault.kind is Kind.UNRESOLVABLE else f"http://127.0.0.1:{self.port}"

    @property
    def attempts(self) -> int:
        """Requests for an answer read so far, whatever became of them; LiteLLM's look at /api/show is not one."""
        return sum(is_attempt(request.path) for request in self.requests)

    @property
    def fault(self) -> Fault:
        """The behaviour in force; assigning returns when it holds for every later request.

        Raises ValueError when it is switched to or from UNRESOLVABLE, which is a property of the url.
        """
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        if (fault.kind is Kind.UNRESOLVABLE) != (self._fault.kind is Kind.UNRESOLVABLE):
            raise ValueError("a running provider cannot change its host name; create it with fault=UNRESOLVABLE")
        self._in_loop(self._take_up(fault))

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SWITCH_DEADLINE)

    async def _take_up(self, fault: Fault) -> None:
        self._fault = fault
        for writer in self._silent:
            writer.close()
        if fault.kind in (Kind.REFUSE, Kind.UNRESOLVABLE):
            self._stop_listening()
        elif self._server is None:
            self._server = await asyncio.start_server(self._connection, sock=_bound_socket(self.port))

    def _stop_listening(self) -> None:
        # A bound socket that does not listen refuses, and keeps others off the port until the provider heals.
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _shut_down(self) -> None:
        self._stop_listening()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left: nothing to answer
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path, body = await read_request(reader)
        fault = self._fault
        self.requests.append(Request(path, body, fault))
        if fault.kind is Kind.SILENCE:
            await self._keep_silent(reader, writer)
        elif fault.kind is Kind.RESET:
            reset_on_close(writer)
        elif fault.kind is not Kind.CLOSE:
            await self._send(writer, fault, path, body)

    async def _keep_silent(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._silent.add(writer)
        try:
            await reader.read()  # returns when either side closes
        finally:
            self._silent.discard(writer)

    async def _send(self, writer: asyncio.StreamWriter, fault: Fault, path: str, body: Json) -> None:
        code, kind, payload = _reply(fault, path, body, self.answer)
        head = _head(code, kind, len(payload), fault)
        sent = payload[: _length_sent(fault.kind, payload, self.answer.encode())]
        if fault == HEALTHY and is_attempt(path):
            self.answered += 1  # before the client can know
        writer.write(head + (sent if _carries_body(code) else b""))
        await writer.drain()


def _bound_socket(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def reset_on_close(writer: asyncio.StreamWriter) -> None:
    # A linger time of zero makes close() send RST, not FIN.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """The path of a request, and its headers by their lower-case names."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    return head[0].split()[1], headers


async def read_request(reader: asyncio.StreamReader) -> tuple[str, Json]:
    path, headers = await read_head(reader)
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return path, json.loads(content) if content else {}


def _carries_body(code: int) -> bool:
    """RFC 9110 section 6.4.1: 1xx, 204 and 304 have no content."""
    return code >= 200 and code not in (204, 304)


def _head(code: int, content_type: str, length: int, fault: Fault) -> bytes:
    reason = HTTPStatus(code).phrase if code in HTTPStatus._value2member_map_ else "Unassigned"
    lines = [f"HTTP/1.1 {code} {reason}"]
    if fault.retry_after is not None:
        lines.append(f"Retry-After: {fault.retry_after}")
    lines += [f"{name}: {value}" for name, value in fault.headers]
    if _carries_body(code):
        lines += [f"Content-Type: {content_type}", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def _reply(fault: Fault, path: str, body: Json, answer: str) -> tuple[int, str, bytes]:
    """Status, content type and content for a request at `path`."""
    format = format_at(path)
    if format is None:
        message = f"this provider has no {path}; ask at {', '.join(ENDPOINTS)}"
        return 404, "application/json", json.dumps({"error": {"message": message}}).encode()
    if fault.body is not None:
        return fault.code or 200, fault.content_type, fault.body
    if fault.code is not None:
        return fault.code, fault.content_type, json.dumps(error(format, fault.code, fault.message)).encode()
    model = str(body.get("model", "model"))
    if is_streamed(format, body.get("stream")):
        return 200, STREAM_TYPES[format], stream(format, model, answer)
    return 200, "application/json", json.dumps(whole(format, model, answer, inputs=_inputs(body))).encode()


def _length_sent(kind: Kind, payload: bytes, answer: bytes) -> int:
    """Bytes of `payload` that reach the client."""
    if kind not in (Kind.TRUNCATE, Kind.TEAR):
        return len(payload)
    if kind is Kind.TRUNCATE or answer not in payload:
        return len(payload) // 2
    words = payload.index(answer) + len(answer)
    end_of_event = payload.find(b"\n\n", words)
    return words if end_of_event < 0 else end_of_event + 2


def _inputs(body: Json) -> int:
    """Texts to embed: `input` is one text, one list of token numbers, or a list of either."""
    given = body.get("input")
    return len(given) if isinstance(given, list) and not all(isinstance(token, int) for token in given) else 1
