"""
The two halves of a stream of /v1/messages: what the caller has of the first one's events, and what of a second answer's
he is to get after them.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from litellm.litellm_core_utils.event_stream import EventStream
from litellm.litellm_core_utils.json_values import NOT_JSON, decoded_json
from litellm.router_utils.failover.stream_recovery import Diverged, Half, Halves
from litellm.router_utils.failover.token_estimates import estimated_tokens

_LINE_END: Final = rb"(?:\r\n|\n|\r(?=[^\n]))"  # of a last \r nobody can tell whether it is one
_END: Final = re.compile(_LINE_END * 2 + rb"|\r\r(?!\n)")
"""What an event ends in (WHATWG HTML, section 9.2.5)."""

_LONGEST_END: Final = 4  # bytes
_LONGEST: Final = 1024 * 1024
"""Bytes of an event that are waited for before some of it is passed on."""

_READ: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
"""What a usage of Anthropic's has of the tokens of a request; none of them counts another one's."""

Event = Mapping[str, Any]  # any-ok: decoded JSON


class MessageHalves(Halves):
    """The events of a stream of /v1/messages, in pieces of bytes; the request's own `messages` are counted."""

    is_read_at_once = False

    def __init__(self, messages: object = None) -> None:
        super().__init__()
        self._messages: Final = messages
        self._message: Event = {}  # as the first half has begun it
        self._opened: Final[set[str]] = set()  # the types of the events that were sent
        self._first: Final = EventStream()
        self._second = EventStream()
        self._second_usage: Event = {}  # as the second answer's message has begun it

    def join(self, half: Half) -> None:
        super().join(half)
        self._second = EventStream()
        self._second_usage = {}

    def name(self) -> str | None:
        self._read_on()
        known: Final = self._message.get("id")
        return None if known is None else str(known)

    @property
    def _first_input(self) -> Mapping[str, int]:
        """What the first half has told of the tokens it has read, by their names."""
        self._read_on()
        usage: Final = _usage_of(self._message)
        return {name: _count(usage[name]) for name in _READ if name in usage}

    def prompt_tokens(self, model: str) -> int:
        """As the first half has told, or else an estimate."""
        return sum(self._first_input.values()) or estimated_tokens(model, messages=self._messages)

    @property
    def cached_tokens(self) -> tuple[int, int]:
        _, *cached = (self._first_input.get(name, 0) for name in _READ)
        return cached[0], cached[1]

    def _note(self, item: object) -> None:
        for event in self._first.feed(item) if isinstance(item, bytes) else ():
            kind = str(event.get("type"))
            if kind == "message_start" and not self._message:
                message = event.get("message")
                self._message = message if isinstance(message, dict) else {}
            self._opened.add(kind)
            self._sent.add(_text_of(event), None, event if kind == "message_stop" or _reason(event) else None)
            if _is_no_text(event) or kind == "content_block_stop":  # after which no word can follow
                self._sent.has_more = True

    def words_of(self, item: object) -> str:
        if not isinstance(item, bytes):
            return ""
        return "".join(_text_of(event) or "" for event in EventStream().feed(item))

    def take(self, item: object) -> Sequence[object]:
        if self.is_first or not isinstance(item, bytes):
            self.pass_on(item)
            return (item,)
        events: Final = [_written(one) for event in self._second.feed(item) for one in self._joined(event)]
        taken: Final = [b"".join(events)] if events else []
        for piece in taken:
            self.pass_on(piece)
        return taken

    def _joined(self, event: Event) -> Iterator[Event]:
        """The events that are left of a second answer's."""
        kind: Final = str(event.get("type"))
        text: Final = _text_of(event)
        if kind == "message_start":
            self._second_usage = _usage_of(event.get("message"))
        if kind in ("message_start", "content_block_start") and kind in self._opened and not _is_no_text(event):
            return
        if self.is_joined or self.splice is None:
            yield self._with_usage(event)
            return
        if _is_no_text(event):
            raise Diverged(is_echo=False)
        if text is None and kind not in ("content_block_stop", "message_delta"):
            yield event
            return
        rest: Final = self.splice.feed(text) if text is not None else self.splice.end()
        if rest:
            yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": rest}}
        if kind == "message_delta":  # of an answer without a block: there was nothing more to say
            yield {"type": "content_block_stop", "index": 0}
        if text is None:
            yield self._with_usage(event)

    def _with_usage(self, event: Event) -> Event:
        """The end of a second answer, whose usage has that of the halves before it too. What was read is told with it,
        since a client has read the first half's by now, and takes what the end says in its place."""
        if event.get("type") != "message_delta" or not isinstance(event.get("usage"), dict):
            return event
        read, said = self.spent_in_all()
        last: Final = {**self._second_usage, **event["usage"]}
        first: Final = self._first_input
        # Of each half the first one's is told; one that has told nothing has read what is estimated.
        before: Final = {name: len(self.spent_tokens()) * count for name, count in first.items()}
        if not any(first.values()):
            before["input_tokens"] = read
        known: Final = [name for name in _READ if name in before or name in last]
        sums: Final = {name: _count(last.get(name)) + before.get(name, 0) for name in known}
        return {**event, "usage": {**event["usage"], **sums, "output_tokens": _count(last.get("output_tokens")) + said}}


class Broken(NamedTuple):
    """A piece's events before that of a failure, what begins with it, and its data, None if that is no JSON."""

    before: bytes
    told: bytes
    data: Event | None


class PartOfEvent(bytes):
    """A part of an event that is too long to be waited for, of which nobody can tell what it is."""


async def whole_events(pieces: AsyncIterator[object]) -> AsyncIterator[object]:
    """The pieces of a stream, cut anew so that each is of whole events, or a `PartOfEvent`: of one that breaks off amid
    an event nothing is with the caller, to which another answer's would be taken to belong."""
    held, is_long = b"", False
    async for piece in pieces:
        if type(piece) is not bytes:
            yield piece
            continue
        searched = max(len(held) - _LONGEST_END, 0)
        piece = held + piece
        ends = [found.end() for found in _END.finditer(piece, searched)]
        begin = ends[0] if is_long and ends else 0
        if begin:
            yield PartOfEvent(piece[:begin])
            is_long = False
        if ends and ends[-1] > begin:
            yield piece[begin : ends[-1]]
        held = piece[ends[-1] if ends else 0 :]
        if is_long or len(held) > _LONGEST:
            is_long = True
            yield PartOfEvent(held[:-_LONGEST_END])
            held = held[-_LONGEST_END:]
    if held:
        yield PartOfEvent(held) if is_long else held


def split_at_failure(piece: bytes) -> Broken | None:
    """Where in a piece of whole events one tells of a failure, or is no JSON though it begins like it; None if none is
    or does."""
    begin = 0
    for end in (*(found.end() for found in _END.finditer(piece)), len(piece)):
        lines = piece[begin:end].splitlines()
        text = b"\n".join(line[5:].strip() for line in lines if line.startswith(b"data:"))
        data = decoded_json(text, NOT_JSON) if text.startswith(b"{") else {}
        if data is NOT_JSON or (isinstance(data, dict) and data.get("type") == "error"):
            return Broken(piece[:begin], piece[begin:], data if isinstance(data, dict) else None)
        begin = end
    return None


def _count(told: object) -> int:
    return told if isinstance(told, int) else 0


def _usage_of(message: object) -> Event:
    usage: Final = message.get("usage") if isinstance(message, Mapping) else None
    return usage if isinstance(usage, dict) else {}


def _text_of(event: Event) -> str | None:
    """The words of an event of a text."""
    delta: Final = event.get("delta")
    text: Final = delta.get("text") if isinstance(delta, dict) and delta.get("type") == "text_delta" else None
    return text if isinstance(text, str) else None


def _reason(event: Event) -> object:
    delta: Final = event.get("delta")
    return delta.get("stop_reason") if event.get("type") == "message_delta" and isinstance(delta, dict) else None


def _is_no_text(event: Event) -> bool:
    """Whether an event is of anything but the first block of an answer that begins with a text."""
    kind: Final = event.get("type")
    if kind == "content_block_start":
        block: Final = event.get("content_block")
        return event.get("index") != 0 or not isinstance(block, dict) or block.get("type") != "text"
    return kind == "content_block_delta" and (event.get("index") != 0 or _text_of(event) is None)


def _written(event: Event) -> bytes:
    return f"event: {event.get('type')}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n".encode()
