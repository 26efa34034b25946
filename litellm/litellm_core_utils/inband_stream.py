"""
Reads along in the bytes of an answer of 200, whole or streamed, for whether it is one.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from litellm.litellm_core_utils.billed_usage import Billed, billed_with
from litellm.litellm_core_utils.failure import Failure
from litellm.litellm_core_utils.inband_failure import NOTHING_IN_IT, StreamedAnswer, error_in, judge_value
from litellm.litellm_core_utils.inband_fast_path import PLAIN_ANSWERS, PLAIN_EVENTS
from litellm.litellm_core_utils.inband_formats import ENDS_STREAM, HAS_END, Api
from litellm.litellm_core_utils.inband_whole import as_events
from litellm.litellm_core_utils.json_values import NOT_JSON, decoded_json

MOST_BYTES: Final = 1_000_000
"""Of a whole answer: what is longer says something, and is not decoded twice."""

_SHORT: Final = 1_000  # bytes; a sound in JSON is longer
_MOST_HELD: Final = 65_536  # bytes of what is no stream, before it is passed on
_IN_LINES: Final = (Api.OLLAMA, Api.COHERE)  # whose streams may be a JSON object a line
_FIELDS: Final = (b"data", b"event", b"id", b"retry", b"")
_BOM: Final = b"\xef\xbb\xbf"
_END_OF_LINE: Final = re.compile(rb"\r\n|\r|\n")
_LINE_ENDS: Final = b"\r\n"
_PAGE: Final = re.compile(rb"<(?:!doctype|\?xml|html|head|body|error)\b", re.IGNORECASE)
"""A sound may begin with the byte of `<`, and a transcript with a word in such brackets."""


class Judged(NamedTuple):
    """The bytes to pass on, the failure that comes after them if any, and the bytes that tell of it."""

    passed_on: bytes
    failure: Failure | None = None
    told: bytes = b""


def judge_body(api: Api, content: bytes, content_type: str = "", *, empty_fails: bool = True) -> Failure | None:
    """What kind of failure the content of a whole answer is, None if it is an answer. Of a text only `content_type`
    says that it is no sound."""
    plain: Final = PLAIN_ANSWERS.get(api)
    if plain is not None and plain.is_answer(content):
        return None
    begin: Final = beginning(content)
    if not begin:
        is_silence: Final = api is Api.TRANSCRIPTION and bool(content)
        return NOTHING_IN_IT if empty_fails and api is not Api.OTHER and not is_silence else None
    looks_like_json: Final = begin[:1] in (b"{", b"[")
    if len(content) > MOST_BYTES or (api is Api.OTHER and not looks_like_json) or _is_event_stream(begin):
        return None
    if api in (Api.SPEECH, Api.TRANSCRIPTION) and not looks_like_json:
        is_text: Final = api is Api.SPEECH and content_type.startswith("text/") and _is_text(content)
        return NOTHING_IN_IT if is_text or _PAGE.match(begin) or begin == b"null" else None
    value: Final = decoded_json(content, NOT_JSON)
    if api is Api.SPEECH:
        if value is NOT_JSON:
            return NOTHING_IN_IT if content_type.startswith("application/json") else None
        return judge_value(api, value) or (NOTHING_IN_IT if len(content) <= _SHORT else None)
    if value is NOT_JSON:
        return (
            None if looks_like_json else NOTHING_IN_IT
        )  # the former may be several, or what a client reads all the same
    return judge_value(api, value, empty_fails=empty_fails)


def beginning(content: bytes) -> bytes:
    """What comes first in the content of an answer that is not white space: some servers send that to keep the
    connection, for minutes (https://api-docs.deepseek.com/quick_start/rate_limit)."""
    return content.removeprefix(_BOM).lstrip()[:_SHORT]


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


class JudgedStream:
    """The bytes of one streamed answer, in the order of its pieces: server-sent events, a line each, or no stream at
    all but a whole body."""

    def __init__(self, api: Api, *, empty_fails: bool = True, unfinished_fails: bool = True) -> None:
        self._api = api
        self._plain = PLAIN_EVENTS.get(api)
        self._empty_fails = empty_fails
        self._answer = StreamedAnswer(api, empty_fails=empty_fails, unfinished_fails=unfinished_fails)
        self.billed: Billed | None = None  # as far as its events say
        self._line = bytearray()
        self._data: list[bytes] = []
        self._name = ""
        self._held = bytearray()  # from an end before which nothing was said
        self._after_cr = False
        self._is_events: bool | None = None  # unknown before the first line
        self._is_lines = False
        self._is_object = False  # what is no stream begins as a JSON object
        self._has_other_lines = False  # than an event has, in what may be one
        self._is_closed = False

    def feed(self, piece: bytes) -> Iterator[Judged]:
        """Take `piece` into account; its end may be in the middle of a line or a character. Plain events are passed
        on before what follows them is looked at."""
        passed_on = bytearray()
        begin = 0
        while begin < len(piece):
            end = self._skip_plain_events(piece, begin)
            if end > begin:
                yield Judged(bytes(passed_on + piece[begin:end]))
                passed_on.clear()
            else:
                end = _end_of_line(piece, begin)
                self._held += piece[begin:end]
                failure, told = self._take(piece[begin:end])
                if failure is not None:
                    yield Judged(bytes(passed_on), failure, told)
                    return
                if not (self._answer.may_be_empty or self._is_whole_body):
                    passed_on += self._held
                    self._held.clear()
            begin = end
        if passed_on:
            yield Judged(bytes(passed_on))

    def end(self) -> Judged:
        """Take the end of the stream into account."""
        self._is_closed = True
        failure, told = self._take_line() if self._line else (None, b"")
        if failure is None and self._data:
            failure, told = self._take_event(is_over=True)
        if failure is None and self._is_whole_body:
            told = bytes(self._held)
            failure = judge_body(self._api, told, empty_fails=self._empty_fails) or _unreadable(self._api, told)
            if failure is None:
                return Judged(as_events(self._api, told))
        elif failure is None and (self._is_events is not False or self._is_lines):
            failure = self._answer.end()
        return Judged(b"" if failure else bytes(self._held), failure, told)

    @property
    def has_open_choice(self) -> bool:
        """Whether one of several choices has ended and another one has not."""
        return self._answer.has_open_choice

    def _skip_plain_events(self, piece: bytes, begin: int) -> int:
        """The index after the events from `begin` on that need not be looked at; none of them may have begun before."""
        if self._plain is None or self._answer.has_several or self._is_within_event:
            return begin
        if self._answer.has_said:
            return self._plain.end_of_events(piece, begin)
        end: Final = begin if self._is_events is False else self._plain.end_of_beginning(piece, begin)
        if end > begin:
            self._is_events = True
            self._answer.begin()
        return end

    @property
    def _is_within_event(self) -> bool:
        return bool(self._line or self._data or self._name or self._held or self._after_cr)

    @property
    def _is_whole_body(self) -> bool:
        """Whether this is no stream at all, as far as it has come; what is too long to be held back is let go."""
        if self._is_events is not False or self._is_lines:
            return False
        return len(self._held) <= (MOST_BYTES if self._is_object else _MOST_HELD)

    def _take(self, part: bytes) -> tuple[Failure | None, bytes]:
        """What comes of one line or a part of one."""
        text: Final = part.rstrip(_LINE_ENDS)
        continues: Final = self._after_cr and part == b"\n"
        self._after_cr = part.endswith(b"\r")
        if continues:
            return None, b""
        if not text and not self._line and self._is_events is not False:
            return self._take_event(is_over=True)
        self._line += text
        if self._is_events is None and self._line.strip():
            self._look_at_the_beginning()
        if self._is_events is False and self._api not in _IN_LINES:
            self._line.clear()
            return None, b""
        return (None, b"") if text == part else self._take_line()

    def _look_at_the_beginning(self) -> None:
        """Whether the first line, of which something is there, is one of an event stream; it may be cut anywhere."""
        line: Final = bytes(self._line).removeprefix(_BOM)
        name, colon, _ = line.partition(b":")
        if colon:
            self._is_events = name in _FIELDS
        elif not any(field.startswith(name) for field in _FIELDS) and not _BOM.startswith(name):
            self._is_events = False
        self._is_object = line.lstrip().startswith(b"{")

    def _take_line(self) -> tuple[Failure | None, bytes]:
        line: Final = bytes(self._line).removeprefix(_BOM)
        self._line.clear()
        if self._is_events is False:
            return self._take_json_line(line)
        name, _, value = line.partition(b":")
        if name == b"event":
            self._name = value.strip().decode("utf-8", "replace")
        elif name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif line.startswith(b"{") and (told := decoded_json(line)) and error_in(told) is not None:
            return self._add(told), line  # a gateway's, put into the stream as it is
        elif name not in _FIELDS:
            self._has_other_lines = True
        return self._take_event(is_over=False)

    def _take_json_line(self, line: bytes) -> tuple[Failure | None, bytes]:
        value: Final = decoded_json(line, NOT_JSON)
        if not isinstance(value, dict):
            return (
                (NOTHING_IN_IT, line) if self._is_lines and value is NOT_JSON and self._is_lost(line) else (None, b"")
            )
        self._is_lines = True
        return self._add(value), line

    def _take_event(self, *, is_over: bool) -> tuple[Failure | None, bytes]:
        """An event is judged once its first line is a JSON value, and at its end: some servers end none by an empty
        line, and to try after each of its lines would take the square of their number."""
        data: Final = b"\n".join(self._data) if self._data else b""
        if not data:
            self._name = "" if is_over else self._name
            return None, b""
        if data.strip() == ENDS_STREAM.encode():
            self._data.clear()
            return self._answer.done(), data
        value: Final = decoded_json(data, NOT_JSON) if is_over or len(self._data) == 1 else NOT_JSON
        if value is NOT_JSON and not is_over:
            return None, b""
        name: Final = self._name
        self._data.clear()
        self._name = "" if is_over else self._name
        is_lost: Final = value is NOT_JSON and self._is_lost(data)
        self._has_other_lines = self._has_other_lines and not is_over
        if value is NOT_JSON:
            if name == "error":
                return self._add(data.decode("utf-8", "replace"), name), data
            self._answer.add_unread()
            return (NOTHING_IN_IT, data) if is_lost else (None, b"")
        return self._add(value, name), data

    def _is_lost(self, data: bytes) -> bool:
        """Whether an event that is over, and is no JSON, begins as one of an answer does: LiteLLM's readers pass over
        it and what it says. Those of /v1/messages are passed on, and judged where they are read; a reader may put one
        together that a server has written over several lines."""
        if self._api not in HAS_END or self._api is Api.MESSAGES or self._is_closed or self._has_other_lines:
            return False
        text: Final = data.decode("utf-8", "replace").lstrip()
        return text.startswith("{") and decoded_json(text, NOT_JSON) is NOT_JSON

    def _add(self, value: object, name: str = "") -> Failure | None:
        self.billed = billed_with(self.billed, value)
        return self._answer.add(value, name)


def _end_of_line(piece: bytes, begin: int) -> int:
    end: Final = _END_OF_LINE.search(piece, begin)
    return end.end() if end else len(piece)


def _unreadable(api: Api, content: bytes) -> Failure | None:
    """What a body is that no reader of a stream of `api` finds anything in, whatever was meant by it."""
    if api not in HAS_END:
        return None
    is_read: Final = any(isinstance(decoded_json(one), (dict, list)) for one in (content, *content.splitlines()))
    return None if is_read else NOTHING_IN_IT


def _is_event_stream(begin: bytes) -> bool:
    return begin.startswith((b"data:", b"event:", b":", b"id:", b"retry:"))
