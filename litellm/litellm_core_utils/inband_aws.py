"""
Reads along in a binary stream of Amazon's for whether it is an answer. botocore decodes it, as for LiteLLM itself.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from litellm.litellm_core_utils.billed_usage import Billed, billed_with
from litellm.litellm_core_utils.error_object import ErrorObject
from litellm.litellm_core_utils.failure import Failure, failure_of_error
from litellm.litellm_core_utils.inband_failure import BROKEN_OFF, NOTHING_IN_IT, StreamedAnswer
from litellm.litellm_core_utils.inband_formats import Api
from litellm.litellm_core_utils.inband_stream import Judged
from litellm.litellm_core_utils.json_values import decoded_json

if TYPE_CHECKING:
    from botocore.eventstream import EventStreamMessage  # type: ignore[import-untyped]

AWS_STREAM: Final = "application/vnd.amazon.eventstream"
"""The content type, https://smithy.io/2.0/aws/amazon-eventstream.html"""


class JudgedAwsStream:
    """As `JudgedStream`, for messages in Amazon's encoding of event streams. What cannot be decoded is not judged any
    further: LiteLLM's reader finds it too."""

    def __init__(self, api: Api, *, empty_fails: bool = True, unfinished_fails: bool = True) -> None:
        from botocore.eventstream import EventStreamBuffer

        self._answer = StreamedAnswer(api, empty_fails=empty_fails, unfinished_fails=unfinished_fails)
        self.billed: Billed | None = None  # as far as its events say
        self._messages = EventStreamBuffer()
        self._held = bytearray()  # from an end before which nothing was said
        self._whole = 0  # bytes of the messages that are no failure, less those that are passed on
        self._is_read = True

    def feed(self, piece: bytes) -> Iterator[Judged]:
        """Take `piece` into account, which may begin and end anywhere."""
        self._held += piece
        if self._is_read:
            failure, told = self._take(piece)
            if failure is not None:
                yield Judged(bytes(self._held[: max(self._whole, 0)]), failure, told)
                return
            if self._answer.may_be_empty:
                return
        passed_on: Final = bytes(self._held)
        self._held.clear()
        self._whole -= len(passed_on)
        yield Judged(passed_on)

    def end(self) -> Judged:
        """Take the end of the stream into account."""
        failure: Final = self._answer.end() if self._is_read else None
        return Judged(b"" if failure else bytes(self._held), failure)

    def _take(self, piece: bytes) -> tuple[Failure | None, bytes]:
        from botocore.eventstream import ParserError

        self._messages.add_data(piece)
        try:
            for message in self._messages:
                failure, told = self._take_message(message)
                if failure is not None:
                    return failure, told
                self._whole += message.prelude.total_length
        except (ParserError, ValueError):  # whoever reads it ends here, in whatever way
            self._is_read = False
            return BROKEN_OFF if self._answer.has_said else NOTHING_IN_IT, b""
        return None, b""

    def _take_message(self, message: "EventStreamMessage") -> tuple[Failure | None, bytes]:
        kind: Final = message.headers.get(":message-type")
        if kind == "exception":
            return _failure(message.headers.get(":exception-type"), _text_of(message.payload))
        if kind == "error":
            return _failure(message.headers.get(":error-code"), message.headers.get(":error-message"))
        name: Final = message.headers.get(":event-type")
        if name == "contentBlockDelta" and self._answer.has_said:
            return None, b""  # as most of a stream
        value = decoded_json(message.payload)
        if name == "chunk" and isinstance(value, Mapping):
            value = decoded_json(base64.b64decode(str(value.get("bytes") or "")))
        self.billed = billed_with(self.billed, value)
        failure: Final = self._answer.add(value)
        return failure, b"" if failure is None else json.dumps(value).encode()


def _failure(code: object, text: object) -> tuple[Failure, bytes]:
    """A failure that an exception or an error is, and what tells of it in JSON as a whole answer has it."""
    told: Final = {"__type": str(code or ""), "message": str(text or "")}
    return failure_of_error(ErrorObject((told["__type"].lower(),), told["message"])), json.dumps(told).encode()


def _text_of(payload: bytes) -> str:
    value: Final = decoded_json(payload)
    text: Final = value.get("message") or value.get("Message") if isinstance(value, Mapping) else None
    return text if isinstance(text, str) else payload.decode("utf-8", "replace")
