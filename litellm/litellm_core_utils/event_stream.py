"""
Tells the events of a server-sent event stream from the pieces it arrives in: a provider's event may be cut anywhere by
the network, and several may arrive at once. The rules are those of the WHATWG's HTML standard, section 9.2.6.
"""

from collections.abc import Mapping
from typing import Final

from litellm.litellm_core_utils.json_values import decoded_json

RESPONSE_OPENINGS: Final = frozenset(
    {
        *("response.created", "response.in_progress"),
        *("response.output_item.added", "response.content_part.added"),
    }
)
"""Events of the Responses API that open an answer, and tell nothing of it."""

_BOM: Final = b"\xef\xbb\xbf"
_FIELDS: Final = (b"data", b"event", b"id", b"retry")
_LINE_ENDS: Final = b"\r\n"


class EventStream:
    """The events of one stream, in the order of its pieces. Their data is parsed where it is a JSON object; what is
    none, such as OpenAI's [DONE], and a comment are no events here."""

    def __init__(self) -> None:
        self.is_another_format = False
        """Whether its first line has shown that this is no event stream at all, but a web page, say."""
        self._line = bytearray()
        self._data: list[bytes] = []
        self._after_cr = False
        self._has_begun = False

    def feed(self, piece: bytes) -> list[Mapping[str, object]]:
        """The data of the events that `piece` completes. Its end may be in the middle of a line or a character."""
        found: Final[list[Mapping[str, object]]] = []
        for line in piece.splitlines(keepends=True) if not self.is_another_format else ():
            found.extend(self._fed(line))
        return found

    def end(self) -> list[Mapping[str, object]]:
        """The data of the event that the end of the stream has cut off, if all of its data is there."""
        self._take_line()
        return self._completed()

    def _fed(self, part: bytes) -> list[Mapping[str, object]]:
        """What comes of a part of `piece`, which is one line or a part of one."""
        text: Final = part.rstrip(_LINE_ENDS)
        continues: Final = self._after_cr and part == b"\n"  # the rest of a CRLF that was cut in two
        self._after_cr = part.endswith(b"\r")
        if continues:
            return []
        self._line += text
        if not self._has_begun:
            self._begin()
        if text == part:
            return []
        if self._line:
            self._take_line()
            return []
        return self._completed()

    def _begin(self) -> None:
        """Look at what the stream begins with."""
        if _BOM.startswith(bytes(self._line[:3])):
            if len(self._line) < len(_BOM):
                return
            del self._line[: len(_BOM)]
        if self._line:
            name: Final = bytes(self._line.partition(b":")[0])
            is_whole: Final = b":" in self._line
            self._has_begun = is_whole
            known: Final = name in (b"", *_FIELDS) if is_whole else any(field.startswith(name) for field in _FIELDS)
            self.is_another_format = not known

    def _take_line(self) -> None:
        name, _, value = bytes(self._line).partition(b":")
        self._line.clear()
        if name == b"data":
            self._data.append(value.removeprefix(b" "))

    def _completed(self) -> list[Mapping[str, object]]:
        data: Final = b"\n".join(self._data)
        self._data.clear()
        parsed: Final = decoded_json(data)
        return [parsed] if isinstance(parsed, dict) else []
