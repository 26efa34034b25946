"""
Tells from the bytes of an answer of 200, without decoding them, that it plainly is one.

Most answers are, and LiteLLM decodes them anyway. What is not plain is decoded, and judged by `inband_failure`.
"""

import re
from types import MappingProxyType
from typing import Final, NamedTuple

from litellm.litellm_core_utils.inband_formats import Api


class Plain(NamedTuple):
    """What the bytes of an answer, or of events, have that says something, and what they have if it may still have
    failed. `begins` is what events have of which the stream says something, None where only decoding them tells."""

    says: re.Pattern[bytes]
    may_fail: re.Pattern[bytes]
    begins: re.Pattern[bytes] | None = None

    def is_answer(self, content: bytes) -> bool:
        """Whether the content of a whole answer plainly is one."""
        return self.says.search(content) is not None and self.may_fail.search(content) is None

    def end_of_events(self, piece: bytes, begin: int, end: int | None = None) -> int:
        """The index after the events from `begin` on that plainly go on with a stream which has said something; `begin`
        if the first is not whole, or has to be looked at. None of them is beyond `end`."""
        events: Final = self.says.match(piece, begin, len(piece) if end is None else end)
        if events is None:
            return begin
        doubt: Final = self.may_fail.search(piece, begin, events.end())
        if doubt is None:
            return events.end()
        before: Final = self.says.match(piece, begin, doubt.start())
        return begin if before is None else before.end()

    def end_of_beginning(self, piece: bytes, begin: int) -> int:
        """The index after the first event that says something, of a stream in which none has so far; `begin` if it has
        to be looked at, or one before it, or there is none. Those after it need not be known before it is passed on."""
        said: Final = None if self.begins is None else self.begins.search(piece, begin)
        event: Final = None if said is None else _END_OF_EVENT.search(piece, said.end())
        end: Final = begin if event is None else event.end()
        if end == begin or self.end_of_events(piece, begin, end) < end:
            return begin
        return begin if _COSTS.search(piece, begin, end) or _IS_NAMED_ERROR.search(piece, begin, end) else end


# What every error has in some form. A text within a text has its quotes escaped, and is not found.
_OF_ERRORS: Final = (
    rb'err(?:ors?"|(?:or)?_msg"\s*:\s*")|base_resp"|m(?:essage|sg)"\s*:\s*"|detail"\s*:\s*["{]'  # a branch a letter
)

_END_OF_EVENT: Final = re.compile(rb"\n\r?\n")

# For which the first events are decoded all the same: what they cost, and a name by which one is an error.
_COSTS: Final = re.compile(rb'"usage"\s*:\s*\{')
_IS_NAMED_ERROR: Final = re.compile(rb"event: ?error")


def _may_fail(more: bytes) -> re.Pattern[bytes]:
    """A name of `_OF_ERRORS` or of `more`, or escaped ASCII, in which one could hide. All in a group behind the quote:
    a search tries each alternative it has at every quote there is."""
    return re.compile(rb'"(?:' + _OF_ERRORS + more + rb")|\\u00[2-7]")


def _whole(says: bytes, may_fail: bytes = b"") -> Plain:
    """Of the first choice, block or candidate: up to its first text, or number, no list in it has ended."""
    return Plain(re.compile(says), _may_fail(may_fail))


def _events(says: bytes, may_fail: bytes = b"", begins: bytes = b"") -> Plain:
    event: Final = rb"(?:event: ?[\w.-]+\r?\n)?data: ?" + says + rb"[^\r\n]*\}\r?\n\r?\n"
    return Plain(re.compile(b"(?:" + event + b")+"), _may_fail(may_fail), re.compile(begins) if begins else None)


PLAIN_ANSWERS: Final = MappingProxyType(
    {
        Api.CHAT: _whole(
            rb'"choices"\s*:\s*\[\s*\{[^\[\]]*?"(?:content|text)"\s*:\s*"[^"]',
            rb'|finish_reason"\s*:\s*"(?!(?:stop|length|tool_calls)")',
        ),
        Api.EMBEDDING: _whole(rb'"embeddings?"\s*:\s*(?:"[^"]|\[[\s\[]*-?[0-9])', rb'|data"\s*:\s*\[\s*\]'),
        Api.MESSAGES: _whole(rb'"content"\s*:\s*\[\s*\{[^\[\]]*?"text"\s*:\s*"[^"]'),
        Api.GEMINI: _whole(rb'"candidates"\s*:\s*\[\s*\{[^\[\]]*?"parts"\s*:\s*\[\s*\{[^\[\]]*?"text"\s*:\s*"[^"]'),
    }
)

# Events that are not the last one of a stream that has said something, or does with them.
PLAIN_EVENTS: Final = MappingProxyType(
    {
        Api.CHAT: _events(
            rb'\{(?=.*"choices")(?=.*"finish_reason"\s*:\s*null)',
            rb'|finish(?:_reason"\s*:\s*"|Reason")|index"\s*:\s*[1-9]',
            rb'"choices"\s*:\s*\[\s*\{[^][{}]*"delta"\s*:\s*\{[^][{}]*?"(?:reasoning_)?content"\s*:\s*"[^"]',
        ),
        Api.MESSAGES: _events(
            rb'\{"type"\s*:\s*"content_block_delta"',
            begins=rb'"delta"\s*:\s*\{[^][{}]*?"(?:text|thinking)"\s*:\s*"[^"]',
        ),
        Api.RESPONSES: _events(rb'\{"type"\s*:\s*"response\.[a-z_.]+\.delta"'),
        Api.GEMINI: _events(rb'\{\s*"candidates"\s*:', rb'|finishReason"|promptFeedback"'),
        Api.COHERE: _events(rb'\{"type"\s*:\s*"content-delta"', rb'|finish_reason"'),
        Api.OLLAMA: Plain(
            re.compile(rb'(?:\{(?=.*"done"\s*:\s*false)[^\r\n]*\}\r?\n)+'),
            _may_fail(rb'|done"\s*:\s*true'),
        ),
    }
)
