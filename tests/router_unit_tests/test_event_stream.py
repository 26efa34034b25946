"""The events of a stream are told from its bytes, however the network has cut them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import openai
import pytest
from litellm.litellm_core_utils.event_stream import EventStream
from litellm.litellm_core_utils.stream_start import await_first_event

START = {"type": "message_start", "message": {"model": "m\u00fcnchen \U0001f600"}}
TEXT = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "gr\u00fc\u00df dich"}}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded \u2013 sorry"}}
UNAVAILABLE = {"error": {"code": 503, "message": "The service is unavailable.", "status": "UNAVAILABLE"}}

LINE_ENDS = pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])


def written(events: Iterable[dict[str, Any]], end: bytes = b"\n", *, bom: bool = False, lines: int = 1) -> bytes:
    """An event stream with a comment, each event's data over a number of lines."""
    parts = [b"\xef\xbb\xbf" if bom else b"", b": hello", end, end]
    for event in events:
        data = json.dumps(event, ensure_ascii=False, indent=1 if lines > 1 else None).encode()
        parts += [b"event: any", end, *(b"data: " + line + end for line in data.split(b"\n")), end]
    return b"".join(parts)


def cuts(stream: bytes) -> Iterable[list[bytes]]:
    """The stream in two pieces, for each place to cut it, and in pieces of one byte."""
    yield from ([stream[:place], stream[place:]] for place in range(1, len(stream)))
    yield [stream[place : place + 1] for place in range(len(stream))]


async def pieces(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@LINE_ENDS
@pytest.mark.parametrize("lines", [1, 2])
@pytest.mark.parametrize("bom", [False, True])
def test_events_are_the_same_however_cut(end: bytes, lines: int, bom: bool) -> None:
    """Neither a line end, a character, nor a byte order mark that is cut in two changes what is read."""
    events = [START, TEXT, OVERLOADED]
    for parts in cuts(written(events, end, bom=bom, lines=lines)):
        stream = EventStream()
        assert [event for part in parts for event in stream.feed(part)] == events
        assert not stream.is_another_format


def test_each_event_is_told_with_its_last_byte() -> None:
    """It is not kept for the piece that follows, which may be a long time coming."""
    stream = EventStream()
    assert stream.feed(written([START], b"\r")) == [START]
    assert stream.feed(written([TEXT], b"\r\n")) == [TEXT]


@pytest.mark.parametrize("other", [b"<html>", b"\n<!DOCTYPE html>", b"\x00\x01", b"ID3\x04", b'{"error": {}}', b"dada"])
def test_what_is_no_event_stream_is_known(other: bytes) -> None:
    """Sound, a web page or plain JSON is not searched for events."""
    stream = EventStream()
    assert stream.feed(other) == []
    assert stream.is_another_format


@LINE_ENDS
@pytest.mark.parametrize(("failed", "status"), [(OVERLOADED, 529), (UNAVAILABLE, 503)], ids=["anthropic", "google"])
async def test_error_is_judged_at_every_cut(failed: dict[str, Any], status: int, end: bytes) -> None:
    """An event that is an error is raised with its status wherever the network has cut it."""
    for parts in cuts(written([START, failed], end)):
        with pytest.raises(openai.APIError) as raised:
            await await_first_event(pieces(parts))
        error: Any = raised.value
        assert error.status_code == status


async def test_error_without_a_final_blank_line_counts() -> None:
    """Not every provider ends its last event before it ends the stream."""
    with pytest.raises(openai.APIError) as raised:
        await await_first_event(pieces([written([START, OVERLOADED]).rstrip(b"\n")]))
    error: Any = raised.value
    assert error.status_code == 529


@LINE_ENDS
async def test_answer_is_passed_on_byte_by_byte(end: bytes) -> None:
    """The caller gets the very pieces that the provider sent."""
    for parts in cuts(written([START, TEXT, OVERLOADED], end)):
        begun = await await_first_event(pieces(parts))
        assert [part async for part in begun] == parts


async def test_what_is_held_back_is_bounded() -> None:
    """A line without an end, or comments for ever, are passed on at last."""
    for part in (b"data: " + b"x" * 1000, b": still here\n\n" * 100):
        taken = 0

        async def endless(part: bytes = part) -> AsyncIterator[bytes]:
            nonlocal taken
            while True:
                taken += len(part)
                yield part

        await await_first_event(endless())
        assert taken < 100_000


async def test_web_page_in_pieces_is_no_answer() -> None:
    """It is one in several pieces as well."""
    for parts in cuts(b"\n<!DOCTYPE html><html><body>Bad gateway</body></html>"):
        with pytest.raises(openai.APIConnectionError):
            await await_first_event(pieces(parts))
