"""Stand-ins for a config's deployments: servers on loopback that speak a provider's format, and fail when told to."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from dataclasses import dataclass
from enum import Enum

from litellm_drill.formats import Api, Reply, answer, api_at, asks_for_stream, refusal

HOST = "127.0.0.1"
RETRY_AFTER = 4
"""Seconds that a rate limit asks for: more than a request here waits for a group, and few enough to be waited for."""

TORN_AFTER = 0.2
"""Seconds from the first words of an answer that is cut to its end: words that come together with the end of their
connection are lost in some clients, and it would be chance whether a caller had them."""

GARBAGE = b"<html><body>Welcome to nginx</body></html>"
QUESTION = "This is a drill, question"
"""What each question of a drill begins with, and no health check has."""


class Fault(Enum):
    """How a deployment is broken, in the words of the report."""

    REFUSED = "refused"
    SILENT = "silent"
    RATE_LIMITED = "429"
    UNAUTHORIZED = "401"
    UNAVAILABLE = "503"
    CUT = "cut"
    GARBAGE = "garbage"


STATUSES = {Fault.RATE_LIMITED: 429, Fault.UNAUTHORIZED: 401, Fault.UNAVAILABLE: 503}


def whole_text(number: int) -> str:
    """What the stand-in of this number answers: no other has these words, and no torn answer ends with them."""
    return f"Stand-in {number} has answered in full."


def torn_text(number: int) -> str:
    """The words after which an answer is cut: no other answer begins with them, nor a whole one of the same one. They
    do not end in white space, which no prefill may have and whoever goes on from them would have to say again."""
    return f"Of torn words, those of {number}:"


@dataclass
class Attempt:
    """A question as it reached the stand-in `number`, or as it was refused: when, by time.monotonic(), and what became
    of it; `ended` is 0 while it is waited for."""

    number: int
    began: float
    fault: Fault | None
    ended: float = 0.0


class StandIn:
    """The server that stands in for the deployment of a `number`, from `open()` to `close()`."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.attempts: list[Attempt] = []
        self._fault: Fault | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://{HOST}:{self.port}"

    @property
    def fault(self) -> Fault | None:
        """How it is broken now, None if it is well."""
        return self._fault

    async def open(self) -> None:
        """Begin to answer."""
        self._server = await asyncio.start_server(self._connected, sock=_bound(self.port))

    async def turn(self, fault: Fault | None) -> None:
        """Be broken by `fault` from now on, or well; what was kept waiting is let go."""
        self._fault = fault
        self._let_go()
        if fault is Fault.REFUSED and self._server is not None:
            self._server.close()
            self._server = None
        elif fault is not Fault.REFUSED and self._server is None:
            await self.open()

    async def close(self) -> None:
        """End all connections and give the port back."""
        if self._server is not None:
            self._server.close()
        self._let_go()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._reserved.close()

    def _let_go(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        try:
            await task
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # whoever asked has left, or the drill goes on
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path, content = await _request(reader)
        api = api_at(path)
        attempt = Attempt(self.number, time.monotonic(), self._fault)
        if QUESTION.encode() in content:
            self.attempts.append(attempt)
        fault = None if api is Api.OLLAMA_MODEL and self._fault is not Fault.SILENT else self._fault
        try:
            if fault is Fault.SILENT:
                await reader.read()
            else:
                writer.write(self._response(api, content, fault))
                await writer.drain()
                if fault is Fault.CUT:
                    await asyncio.sleep(TORN_AFTER)
        finally:
            attempt.ended = time.monotonic()

    def _response(self, api: Api | None, content: bytes, fault: Fault | None) -> bytes:
        status = STATUSES.get(fault) if fault else None
        if status is not None:
            more = f"Retry-After: {RETRY_AFTER}\r\n" if status == 429 else ""
            return _whole(status, "application/json", refusal(api, status), more)
        if fault is Fault.GARBAGE:
            return _whole(200, "text/html", GARBAGE)
        if api is None:
            return _whole(404, "application/json", b'{"error": {"message": "A stand-in has no such path."}}')
        body: dict[str, object] = json.loads(content or b"{}")
        text = torn_text(self.number) if fault is Fault.CUT else whole_text(self.number)
        reply = answer(api, body, text, self.number)
        return _sent(reply, streamed=asks_for_stream(api, body), cut_after=text if fault is Fault.CUT else None)


def _sent(reply: Reply, *, streamed: bool, cut_after: str | None) -> bytes:
    """The bytes of a good answer, or those of one that breaks off after the words `cut_after`."""
    if not streamed:
        content = b"".join(reply.parts)
        cut = len(content) if cut_after is None else max(len(content) // 2, 1)
        return _head(200, reply.media_type, f"Content-Length: {len(content)}\r\n") + content[:cut]
    parts = list(reply.parts)
    if cut_after is not None:
        last = next((index for index, part in enumerate(parts) if cut_after.encode() in part), 0)
        parts = parts[: last + 1]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    end = b"0\r\n\r\n" if cut_after is None else b""
    return _head(200, reply.media_type, "Transfer-Encoding: chunked\r\n") + chunks + end


def _whole(status: int, media_type: str, content: bytes, more: str = "") -> bytes:
    return _head(status, media_type, f"{more}Content-Length: {len(content)}\r\n") + content


def _head(status: int, media_type: str, more: str) -> bytes:
    """Each connection carries one request, so that none that is kept open outlives the fault it began under."""
    return f"HTTP/1.1 {status} -\r\nContent-Type: {media_type}\r\nConnection: close\r\n{more}\r\n".encode()


async def _request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """The path and the content of the request that comes in."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return head[0].split()[1], await _chunked(reader)
    return head[0].split()[1], await reader.readexactly(int(headers.get("content-length", "0")))


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    content = b""
    while length := int((await reader.readline()).partition(b";")[0], 16):
        content += (await reader.readexactly(length + 2))[:-2]
    await reader.readline()
    return content


def _bound(port: int) -> socket.socket:
    """A socket of loopback; one that is bound and does not listen refuses, and keeps the port from others."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((HOST, port))
    return bound
