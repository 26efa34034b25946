"""A healthy OpenAI-like provider in a process of its own, which keeps its connections and says the same each time.

The tests' providers serve one request a connection, from a thread of whoever tests: their time would hide the router's.
The harness runs `answerer` in such a process.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable

from support.provider_formats import Json, whole

MODEL = "gpt-4o-mini"
ANSWER = "pong"
STREAMED_WORDS = tuple(f"{ANSWER}-{number} " for number in range(20))


def _chunk(delta: Json, finish_reason: str | None = None) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]}


def _events() -> bytes:
    words = [_chunk({"content": word}) for word in STREAMED_WORDS]
    chunks = [_chunk({"role": "assistant", "content": ""}), *words, _chunk({}, "stop")]
    return b"".join(b"data: %s\n\n" % line.encode() for line in (*map(json.dumps, chunks), "[DONE]"))


def _response(content_type: str, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        content_type.encode(),
        len(body),
        body,
    )


COMPLETION = whole("openai", MODEL, ANSWER)
WHOLE = _response("application/json", json.dumps(COMPLETION).encode())
STREAM = _response("text/event-stream", _events())
"""All words at once: what a caller waits for the first one is the router's time."""


class Connection(asyncio.Protocol):
    """One client, request after request."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (body := self._take_request()) is not None:
            self._transport.write(STREAM if json.loads(body).get("stream") else WHOLE)

    def _take_request(self) -> bytes | None:
        """The body of the next request, None while it is not complete."""
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return None
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields.get(b"content-length", b"0"))
        if len(rest) < length:
            return None
        self._received = rest[length:]
        return rest[:length]


def answerer() -> Callable[[object], str]:
    """Serves from now on, and answers every question with its URL."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(Connection, "127.0.0.1", 0))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    return lambda question: url
