"""A provider whose model thinks: it opens its stream at once, in the format it is asked in, and says its answer later.

It notes how long each caller stayed, and can answer with an event that is an error instead, cut into pieces.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

from support.faulty_provider import HEALTHY, FaultyProvider, Request, read_request
from support.provider_formats import Format, Json, error, format_at, stream

OPENING: dict[Format, int] = {
    "openai": 1,
    "openai_text": 0,
    "openai_responses": 2,
    "anthropic": 2,
    "gemini_stream": 0,
}
"""How many events of each format's stream come before the model thinks."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
PAUSE = 0.02
"""Seconds between two pieces, so that they arrive as two."""

END = b"0\r\n\r\n"


@dataclass
class Stay:
    """One request: seconds of time.monotonic() when it came, and when its caller was gone, if that was too early."""

    at: float
    left: float | None = None


class ThinkingProvider(FaultyProvider):
    """Thinks for `thinking` seconds after it has opened a stream. Then it answers, or sends an error event with the
    meaning of the HTTP status `fails_with`. `opens` False sends nothing before that but the headers; `cut_at` is the
    place at which what follows is cut into two pieces, `PAUSE` apart."""

    def __init__(
        self,
        thinking: float,
        *,
        fails_with: int | None = None,
        opens: bool = True,
        cut_at: int | None = None,
        answer: str = "pong",
    ) -> None:
        super().__init__(answer=answer)
        self.cut_at = cut_at
        self.thinking = thinking
        self.fails_with = fails_with
        self.opens = opens
        self.stays: list[Stay] = []

    def __enter__(self) -> ThinkingProvider:
        self.start()
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path, body = await read_request(reader)
        format = format_at(path)
        if format not in OPENING or not (body.get("stream") or format == "gemini_stream"):
            return await self._send(writer, HEALTHY, path, body)
        self.requests.append(Request(path, body, HEALTHY))
        stay = Stay(time.monotonic())
        self.stays.append(stay)
        events = stream(format, str(body.get("model", "model")), self.answer).split(b"\n\n")[:-1]
        opening = events[: OPENING[format]] if self.opens else []
        writer.write(HEAD + b"".join(_chunk(event + b"\n\n") for event in opening))
        await writer.drain()
        if await _gone(reader, self.thinking):
            stay.left = time.monotonic()
            return None
        rest = [_error_event(format, self.fails_with)] if self.fails_with else events[len(opening) :]
        said = b"".join(event + b"\n\n" for event in rest)
        if self.cut_at is not None:
            writer.write(_chunk(said[: self.cut_at]))
            await writer.drain()
            await asyncio.sleep(PAUSE)
            said = said[self.cut_at :]
        writer.write(_chunk(said) + END)
        self.answered += 1
        return await writer.drain()


def _chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)


def _error_event(format: Format, status: int) -> bytes:
    data: Json = error(format, status)
    name = "event: error\n" if format == "anthropic" else ""
    return f"{name}data: {json.dumps(data)}".encode()


async def _gone(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Whether the caller leaves within `seconds`."""
    try:
        await asyncio.wait_for(reader.read(), seconds)
    except asyncio.TimeoutError:
        return False
    return True
