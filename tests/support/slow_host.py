"""A host that answers 200 at once and is never done: no timeout between two bytes ever runs out there."""

from __future__ import annotations

import asyncio

from support.faulty_provider import FaultyProvider, read_request

BLANK_LINES = 0.05
"""Seconds between those that it sends."""


class SlowHost(FaultyProvider):
    """Each request is answered by a blank line now and then, for ever."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await read_request(reader)
        kind = "text/event-stream" if body.get("stream") else "application/json"
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n".encode())
        while not writer.is_closing():
            writer.write(b"\n\n")
            await writer.drain()
            await asyncio.sleep(BLANK_LINES)
