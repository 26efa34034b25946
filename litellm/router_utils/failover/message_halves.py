"""
The two halves of a stream of /v1/messages: what the caller has of the first one's events, and what of a second answer's
he is to get after them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from litellm.litellm_core_utils.event_stream import EventStream
from litellm.router_utils.failover.stream_recovery import Diverged, Half, Halves
from litellm.router_utils.failover.token_estimates import estimated_tokens

_END: Final = b"\n\n"
_ERROR: Final = b'"error"'

Event = Mapping[str, Any]  # any-ok: decoded JSON


class MessageHalves(Halves):
    """The events of a stream of /v1/messages, in pieces of bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._opened: Final[set[str]] = set()  # the types of the events that were sent
        self._first: Final = EventStream()
        self._second = EventStream()

    def join(self, half: Half) -> None:
        super().join(half)
        self._second = EventStream()

    def _note(self, item: object) -> None:
        for event in self._first.feed(item) if isinstance(item, bytes) else ():
            kind = str(event.get("type"))
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
            self.passed_on.append(item)
            return (item,)
        events: Final = [_written(one) for event in self._second.feed(item) for one in self._joined(event)]
        taken: Final = [b"".join(events)] if events else []
        self.passed_on.extend(taken)
        return taken

    def _joined(self, event: Event) -> Iterator[Event]:
        """The events that are left of a second answer's."""
        kind: Final = str(event.get("type"))
        text: Final = _text_of(event)
        if kind in ("message_start", "content_block_start") and kind in self._opened and not _is_no_text(event):
            return
        if self.is_joined or self.splice is None:
            yield self._with_usage(event)
            return
        if _is_no_text(event):
            raise Diverged(is_echo=False)
        if text is None and kind != "content_block_stop":
            yield event
            return
        rest: Final = self.splice.feed(text) if text is not None else self.splice.end()
        if rest:
            yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": rest}}
        if text is None:
            yield event

    def _with_usage(self, event: Event) -> Event:
        """The end of a second answer, whose usage has that of the halves before it too."""
        usage: Final = event.get("usage")
        if event.get("type") != "message_delta" or not isinstance(usage, dict):
            return event
        spent: Final = sum(estimated_tokens(model, text=text) for model, text in self._spent)
        return {**event, "usage": {**usage, "output_tokens": (usage.get("output_tokens") or 0) + spent}}


def split_at_error(piece: bytes) -> tuple[bytes, bytes, Event] | None:
    """A piece's events before that of an error, what begins with it, and its data; None if there is none in it."""
    begin = 0
    for event in piece.split(_END) if _ERROR in piece else ():
        for data in EventStream().feed(event + _END):
            if data.get("type") == "error":
                return piece[:begin], piece[begin:], data
        begin += len(event) + len(_END)
    return None


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
