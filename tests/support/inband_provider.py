"""A provider on a loopback socket that answers 200 to everything: with what it is given, or as a healthy one would.

Beside the formats of `MediaProvider` it speaks Cohere's chat and Bedrock's Converse.
"""

from __future__ import annotations

import json
from typing import Any, Final

from support import aws_events
from support.faulty_provider import HEALTHY, Fault
from support.inband_shapes import Body, aws_stream
from support.media_provider import MediaProvider
from support.provider_formats import Json, stream, whole

COHERE: Final = "/v2/chat"
CONVERSE: Final = "/converse"
CONVERSE_STREAM: Final = "/converse-stream"
INVOKE_STREAM: Final = "/invoke-with-response-stream"


class InbandProvider(MediaProvider):
    """`body` None is a healthy provider's answer."""

    def __init__(self, body: Body | None = None) -> None:
        super().__init__(HEALTHY if body is None else as_fault(body))

    def __enter__(self) -> InbandProvider:
        self.start()
        return self

    async def _send(self, writer: Any, fault: Fault, path: str, body: dict[str, Any]) -> None:
        if fault == HEALTHY and (answer := _more_formats(path, body, self.answer)) is not None:
            fault, path = as_fault(answer), "/v1/chat/completions"
        elif fault.body is not None:
            path = "/v1/chat/completions"  # whichever it was, the answer is at hand
        await super()._send(writer, fault, path, body)


def as_fault(body: Body) -> Fault:
    return Fault.status(200, body=body.content, content_type=body.type)


def _more_formats(path: str, request: dict[str, Any], answer: str) -> Body | None:
    bare = path.partition("?")[0]
    if bare.endswith(CONVERSE_STREAM):
        return aws_stream(*aws_events.converse(answer))
    if bare.endswith(INVOKE_STREAM):
        return aws_stream(*aws_events.invoked(*claude(answer)))
    if bare.endswith(CONVERSE):
        said = {"role": "assistant", "content": [{"text": answer}]}
        spent = {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4}
        return _json(
            {"output": {"message": said}, "stopReason": "end_turn", "usage": spent, "metrics": {"latencyMs": 1}}
        )
    if bare.endswith("/chat/completions") and not request.get("stream"):
        return _json({**whole("openai", "m", answer), "service_tier": "on_demand"})  # Groq's, which LiteLLM looks for
    if not bare.endswith(COHERE):
        return None
    tokens: Json = {"input_tokens": 3, "output_tokens": 1}
    usage: Json = {"billed_units": tokens, "tokens": tokens}
    if not request.get("stream"):
        said = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
        return _json({"id": "c-1", "finish_reason": "COMPLETE", "message": said, "usage": usage})
    events = [
        {"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant", "content": []}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": answer}}}},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}},
    ]
    return Body("".join(json.dumps(event) + "\n" for event in events).encode(), "application/x-ndjson")


def claude(answer: str) -> list[Json]:
    """The events of a message of Anthropic's."""
    lines = stream("anthropic", "m", answer).decode().splitlines()
    return [json.loads(line.partition(":")[2]) for line in lines if line.startswith("data:")]


def _json(value: object) -> Body:
    return Body(json.dumps(value).encode())
