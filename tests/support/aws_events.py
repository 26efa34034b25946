"""Streams as Amazon Bedrock sends them: binary messages, each with headers and a body of JSON.

After the published encoding of event streams (Smithy 2.0, "Amazon Event Stream").
"""

from __future__ import annotations

import base64
import json
import struct
from binascii import crc32
from typing import Final

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"
_STRING: Final = 7


def message(headers: dict[str, str], body: object) -> bytes:
    """One binary message."""
    head = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", _STRING, len(value)) + value.encode()
        for name, value in headers.items()
    )
    payload = json.dumps(body).encode()
    prelude = struct.pack("!II", 16 + len(head) + len(payload), len(head))
    whole = prelude + struct.pack("!I", crc32(prelude)) + head + payload
    return whole + struct.pack("!I", crc32(whole))


def event(name: str, body: object) -> bytes:
    return message({":message-type": "event", ":event-type": name, ":content-type": "application/json"}, body)


def exception(name: str, text: str = "it went wrong") -> bytes:
    """An exception of the service, such as throttlingException."""
    headers = {":message-type": "exception", ":exception-type": name, ":content-type": "application/json"}
    return message(headers, {"message": text})


def error(code: str, text: str = "it went wrong") -> bytes:
    """An error that is not one of the service's own exceptions."""
    return message({":message-type": "error", ":error-code": code, ":error-message": text}, {})


def converse(answer: str, stop: str = "end_turn", tokens: int = 1) -> list[bytes]:
    """The messages of a whole answer of Converse."""
    usage = {"inputTokens": 3, "outputTokens": tokens, "totalTokens": 3 + tokens}
    said = [event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": answer}})] if answer else []
    return [
        event("messageStart", {"role": "assistant"}),
        *said,
        event("contentBlockStop", {"contentBlockIndex": 0}),
        event("messageStop", {"stopReason": stop}),
        event("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}),
    ]


def invoked(*values: object) -> list[bytes]:
    """The messages of an answer of InvokeModel, each of which holds an event in the model's own format."""
    return [event("chunk", {"bytes": base64.b64encode(json.dumps(value).encode()).decode()}) for value in values]
