"""What providers and gateways put into an answer of 200 in place of an answer, by the format of the answer.

Whole bodies and streams, as bytes with their content type. Sources stand beside the shapes that one provider documents.
"""

from __future__ import annotations

import itertools
import json
from typing import Any, Final, NamedTuple

from support import aws_events
from support.faulty_provider import HTML_PAGE
from support.provider_formats import OPENAI_USAGE, RESPONSES_USAGE, Json

JSON_TYPE: Final = "application/json"
SSE: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"


class Body(NamedTuple):
    """The content of an answer of 200 and what its head calls it."""

    content: bytes
    type: str = JSON_TYPE


def json_body(value: object) -> Body:
    return Body(json.dumps(value).encode())


def events(*data: object, named: bool = False) -> Body:
    """A server-sent event each, text as it is; `named` puts the event's type before it."""
    written: list[str] = []
    for value in data:
        name = f"event: {value['type']}\n" if named and isinstance(value, dict) else ""
        written.append(f"{name}data: {value if isinstance(value, str) else json.dumps(value)}\n\n")
    return Body("".join(written).encode(), SSE)


def lines(*data: object) -> Body:
    return Body("".join(json.dumps(value) + "\n" for value in data).encode(), NDJSON)


def aws_stream(*messages: bytes) -> Body:
    return Body(b"".join(messages), aws_events.CONTENT_TYPE)


ERRORS: Final[dict[str, Json | list[Json]]] = {
    "number": {"error": {"message": "slow down", "code": 429}},
    "number as text": {"error": {"message": "slow down", "code": "429"}},
    "server's number": {"error": {"message": "failed", "code": 500}},
    "word": {"error": {"message": "slow down", "code": "rate_limit_exceeded"}},
    "type": {"error": {"message": "failed", "type": "server_error"}},
    "overloaded": {"error": {"message": "busy", "type": "overloaded_error"}},
    "is overloaded": {"error": {"message": "busy", "code": "server_is_overloaded"}},
    "quota": {"error": {"message": "no credit", "type": "insufficient_quota", "code": "insufficient_quota"}},
    "number and word": {"error": {"message": "slow down", "code": 429, "type": "rate_limit_exceeded"}},
    "no code": {"error": {"message": "something went wrong"}},
    "unknown word": {"error": {"message": "failed", "type": "flux_capacitor"}},
    "text": {"error": "upstream is overloaded"},
    "flat": {"code": 503, "message": "busy"},
    "flat word": {"code": "rate_limit_exceeded", "message": "slow down"},
    "object": {"object": "error", "message": "engine died", "type": "InternalServerError", "code": 500},
    "detail": {"detail": "Internal Server Error"},
    "message": {"message": "no healthy upstream"},
    "anthropic": {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    "google": {"error": {"code": 429, "message": "Resource exhausted", "status": "RESOURCE_EXHAUSTED"}},
    "google's list": [{"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}],
    "google's word": {"error": {"message": "overloaded", "status": "UNAVAILABLE"}},
    "errors": {"errors": [{"code": "too_many_requests", "message": "slow down"}]},
}
"""Error objects, in whatever format the answer was to be."""

CODES: Final[dict[str, Json]] = {
    # https://cloud.baidu.com/doc/WENXINWORKSHOP/s/tlmyncueh
    "qianfan's limit": {"error_code": 18, "error_msg": "Open api qps request limit reached"},
    "qianfan's token": {"error_code": 110, "error_msg": "Access token invalid or no longer valid"},
    "qianfan's load": {"error_code": 336100, "error_msg": "try again later", "id": "as-1"},
    "qianfan's unknown": {"error_code": 990001, "error_msg": "something"},
    # https://docs.z.ai/api-reference/api-code
    "zhipu's limit": {"error": {"code": "1302", "message": "High concurrency usage of this API"}},
    "zhipu's balance": {"error": {"code": "1113", "message": "Your account is in arrears"}},
    "zhipu, flat": {"code": 1302, "msg": "High concurrency usage of this API", "success": False},
    "zhipu's unknown": {"code": 1999, "msg": "something", "success": False},
    # https://platform.minimax.io/docs/api-reference/errorcode
    "minimax's balance": {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
    "minimax's tokens": {"base_resp": {"status_code": 1039, "status_msg": "token limit"}},
    "minimax's unknown": {"base_resp": {"status_code": 1033, "status_msg": "system error"}},
    # https://docs.nvidia.com/cloud-functions, RFC 9457
    "nim": {"type": "urn:inference-service:problem-details:too-many-requests", "status": 429, "detail": "slow down"},
    # https://developers.deepgram.com/docs/errors
    "deepgram's credit": {"err_code": "ASR_PAYMENT_REQUIRED", "err_msg": "no credits", "request_id": "r"},
    "deepgram's key": {"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials.", "request_id": "r"},
    "deepgram's limit": {"err_code": "TOO_MANY_REQUESTS", "err_msg": "Too many requests.", "request_id": "r"},
    # https://elevenlabs.io/docs/eleven-api/resources/errors
    "elevenlabs' credit": {"detail": {"status": "quota_exceeded", "message": "This request exceeds your quota."}},
    "elevenlabs' load": {"detail": {"status": "system_busy", "message": "busy"}},
    "elevenlabs' limit": {"detail": {"type": "rate_limit_error", "code": "concurrent_limit_exceeded", "message": "m"}},
    "elevenlabs' unknown": {"detail": {"status": "needs_authorization", "message": "m"}},
    "no success": {"success": False, "message": "failed"},
}
"""Error objects in a provider's own codes."""

NO_JSON: Final[dict[str, Body]] = {
    "html": Body(HTML_PAGE, "text/html"),
    "plain text": Body(b"upstream connect error or disconnect/reset before headers", "text/plain"),
    "null": Body(b"null"),
    "empty object": Body(b"{}"),
    "empty": Body(b""),
}

_CHAT: Final[Json] = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1735689600, "model": "m"}
_NONE: Final[Json] = {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}


def _choice(finish: str | None = "stop", **message: object) -> Json:
    return {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}


def _chat(*choices: object, **more: object) -> Body:
    return json_body({**_CHAT, "choices": list(choices), "usage": _NONE, **more})


_RESPONSE: Final[Json] = {
    **{"id": "resp_1", "object": "response", "created_at": 1735689600, "model": "m", "parallel_tool_calls": True},
    **{"tool_choice": "auto", "tools": [], "incomplete_details": None, "instructions": None, "metadata": {}},
    **{"temperature": 1.0, "top_p": 1.0},
}
_FAILED: Final[Json] = {
    **_RESPONSE,
    "status": "failed",
    "output": [],
    "error": {"code": "server_error", "message": "failed"},
    "usage": None,
}
_NO_USAGE: Final[Json] = {**RESPONSES_USAGE, "output_tokens": 0, "total_tokens": 3}
_COMPLETED: Final[Json] = {**_RESPONSE, "status": "completed", "output": [], "error": None, "usage": _NO_USAGE}


def _message(stop: str | None, *content: object, tokens: int = 0) -> Json:
    return {
        **{"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": list(content)},
        **{"stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": tokens}},
    }


WHOLE: Final[dict[str, dict[str, Body]]] = {
    "chat": {
        "no choices": _chat(),
        "no choices, billed": _chat(usage=OPENAI_USAGE),
        "choices null": json_body({**_CHAT, "choices": None, "usage": None}),
        "choice's error": _chat({**_choice("error", content=""), "error": {"code": 502, "message": "provider failed"}}),
        "finish error": _chat(_choice("error", content="")),
        "finish abort": _chat(_choice("abort", content="")),
        **{
            f"one of two: {finish}": _chat(_choice(content="pong"), {**_choice(finish, content="po"), "index": 1})
            for finish in ("error", "abort")
        },
        "one of two: an error": _chat(
            _choice(content="pong"), {"index": 1, "error": {"code": 502, "message": "provider failed"}}
        ),
        "Google's name for an error": _chat({**_choice(None, content="pong"), "finishReason": "error"}),
        "content null": _chat(_choice(content=None)),
        "content empty": _chat(_choice(content="")),
        # https://api-docs.deepseek.com/api/create-chat-completion
        "no resources": _chat(_choice("insufficient_system_resource", content="")),
        # https://www.minimax.io/platform/document/ChatCompletion_v2
        "base_resp": json_body(
            {"id": "", "choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}
        ),
    },
    "text": {
        "no choices": json_body({**_CHAT, "object": "text_completion", "choices": [], "usage": _NONE}),
        "text empty": json_body(
            {
                **_CHAT,
                "object": "text_completion",
                "choices": [{"index": 0, "text": "", "finish_reason": "stop", "logprobs": None}],
                "usage": _NONE,
            }
        ),
    },
    "embedding": {
        "no data": json_body({"object": "list", "model": "m", "data": [], "usage": OPENAI_USAGE}),
        "no numbers": json_body({"object": "list", "model": "m", "data": [{"index": 0, "embedding": []}]}),
        "data of null": json_body({"object": "list", "model": "m", "data": [None]}),
    },
    "image": {
        "no data": json_body({"created": 1, "data": []}),
        "data null": json_body({"created": 1, "data": None}),
        "no picture": json_body({"created": 1, "data": [{"b64_json": None, "url": None}]}),
    },
    "rerank": {
        "results null": json_body({"id": "r", "results": None}),
        "no results": json_body({"id": "r", "results": [], "meta": {"billed_units": {"search_units": 1}}}),
        "no rankings": json_body({"rankings": []}),
        "results of null": json_body({"id": "r", "results": [None]}),
    },
    "moderation": {"no results": json_body({"id": "modr-1", "model": "m", "results": []})},
    "speech": {"no sound": Body(b"", "audio/mpeg")},
    "transcription": {"text is none": json_body({"text": {}})},
    "responses": {
        "failed": json_body(_FAILED),
        "failed without an error": json_body({**_FAILED, "error": None}),
        "no output": json_body(_COMPLETED),
        "type is no text": json_body({"type": {}}),
    },
    "anthropic": {
        "no content": json_body(_message("end_turn")),
        "text empty": json_body(_message("end_turn", {"type": "text", "text": ""})),
    },
    "gemini": {
        "no candidates": json_body({"candidates": [], "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}),
        "no parts": json_body(
            {
                "candidates": [{"content": {"role": "model"}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3},
            }
        ),
    },
    "ollama": {
        "error": json_body({"error": "llama runner process has terminated"}),
        "no message": json_body({"model": "m", "created_at": "2025-01-01T00:00:00Z", "done": True}),
    },
    "cohere": {
        "error": json_body({"message": "too many requests", "id": "x"}),
        "finish error": json_body(
            {"id": "x", "finish_reason": "ERROR", "message": {"role": "assistant", "content": []}}
        ),
    },
    "bedrock": {
        "no content": json_body(
            {"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "end_turn"}
        ),
        "type": json_body({"__type": "ThrottlingException", "message": "slow down"}),
    },
}


def _chunk(finish: str | None = None, **delta: object) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {**_CHAT, "object": "chat.completion.chunk", "choices": [choice]}


def _text(text: str, finish: str | None = None) -> Json:
    return {**_CHAT, "object": "text_completion", "choices": [{"index": 0, "text": text, "finish_reason": finish}]}


def _of_second(content: str, finish: str | None = None) -> Json:
    """A piece of the second choice of two."""
    chunk = _chunk(finish, content=content)
    return {**chunk, "choices": [{**chunk["choices"][0], "index": 1}]}


_ROLE: Final = _chunk(role="assistant", content="")
_ERROR: Final[Json] = {"error": {"message": "slow down", "code": 429}}
_CREATED: Final[Json] = {
    "type": "response.created",
    "sequence_number": 0,
    "response": {**_RESPONSE, "status": "in_progress", "output": [], "error": None},
}
_RESPONSE_FAILED: Final[Json] = {"type": "response.failed", "sequence_number": 1, "response": _FAILED}
_RESPONSE_ERROR: Final[Json] = {
    **{"type": "error", "sequence_number": 1, "code": "rate_limit_exceeded", "message": "slow down", "param": None},
}


def _completed(**fields: object) -> Json:
    return {"type": "response.completed", "sequence_number": 2, "response": {**_COMPLETED, **fields}}


_START: Final[Json] = {"type": "message_start", "message": _message(None)}
_OVERLOADED: Final[Json] = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
_OLLAMA: Final[Json] = {"model": "m", "created_at": "2025-01-01T00:00:00Z", "done": False}

# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html
_AWS_EXCEPTIONS: Final = (
    *("throttlingException", "modelStreamErrorException", "internalServerException", "serviceUnavailableException"),
    "modelTimeoutException",
)
_AWS_ROLE: Final = aws_events.event("messageStart", {"role": "assistant"})
_AWS_FAILURES: Final = {
    **{name: aws_stream(aws_events.exception(name)) for name in _AWS_EXCEPTIONS},
    "error": aws_stream(aws_events.error("internalFailure")),
}

STREAMS: Final[dict[str, dict[str, Body]]] = {
    "chat": {
        "only done": events("[DONE]"),
        "no choices": events({**_CHAT, "object": "chat.completion.chunk", "choices": []}, "[DONE]"),
        "no choices, billed": events({**_CHAT, "choices": [], "usage": OPENAI_USAGE}, "[DONE]"),
        "role and end": events(_ROLE, _chunk("stop"), "[DONE]"),
        "role only": events(_ROLE, "[DONE]"),
        "abort": events(_ROLE, _chunk("abort"), "[DONE]"),
        "finish error": events(_ROLE, _chunk("error"), "[DONE]"),
        "error after role": events(_ROLE, _ERROR, "[DONE]"),
        "text error after role": events(_ROLE, {"error": "busy"}, "[DONE]"),
        "flat error after role": events(_ROLE, {"code": 503, "message": "busy"}, "[DONE]"),
        "choice's error": events(
            {**_CHAT, "choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 502}}]},
            "[DONE]",
        ),
        "named error event": Body(b'event: error\ndata: {"message": "busy", "code": 503}\n\n', SSE),
        "error in text": Body(b"event: error\ndata: upstream is overloaded\n\n", SSE),
    },
    "text": {
        "only done": events("[DONE]"),
        "end only": events(_text("", "stop"), "[DONE]"),
    },
    "responses": {
        "created and failed": events(_CREATED, _RESPONSE_FAILED, named=True),
        "failed": events(_RESPONSE_FAILED, named=True),
        "created and error": events(_CREATED, _RESPONSE_ERROR, named=True),
        "error": events(_RESPONSE_ERROR, named=True),
        "created only": events(_CREATED, named=True),
        "completed without output": events(_CREATED, _completed(), named=True),
        "completed, but failed": events(_CREATED, _completed(status="failed"), named=True),
        "completed with an error": events(_CREATED, _completed(error=_FAILED["error"]), named=True),
    },
    "anthropic": {
        "error": events(_OVERLOADED, named=True),
        "start and error": events(_START, _OVERLOADED, named=True),
        "start only": events(_START, named=True),
        "start and stop": events(
            _START,
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 0}},
            {"type": "message_stop"},
            named=True,
        ),
    },
    "gemini": {
        "error": events({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}),
        "no candidates": events({"usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}),
        "no parts": events({"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]}),
    },
    "ollama": {
        "error": lines({"error": "llama runner process has terminated"}),
        "end only": lines({**_OLLAMA, "message": {"role": "assistant", "content": ""}, "done": True}),
        "role and error": lines({**_OLLAMA, "message": {"role": "assistant", "content": ""}}, {"error": "it died"}),
    },
    "bedrock": {
        "role only": aws_stream(aws_events.event("messageStart", {"role": "assistant"})),
        "role and end": aws_stream(*aws_events.converse("", tokens=0)),
        **_AWS_FAILURES,
        **{f"role and {name}": aws_stream(_AWS_ROLE, body.content) for name, body in _AWS_FAILURES.items()},
    },
    "bedrock claude": {
        "start only": aws_stream(*aws_events.invoked(_START)),
        "start and error": aws_stream(*aws_events.invoked(_START, _OVERLOADED)),
        **_AWS_FAILURES,
    },
    "cohere": {
        "finish error": lines({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "it died"}}),
    },
}

_WORDS: Final = _chunk(content="half an answer")
_TEXT: Final = _text("half an answer")
_DELTA: Final[Json] = {
    **{"type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_1", "output_index": 0},
    **{"content_index": 0, "delta": "half an answer", "logprobs": []},
}
_HALF: Final[Json] = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "half"}}
_BLOCK: Final[Json] = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
_PART: Final[Json] = {"candidates": [{"content": {"role": "model", "parts": [{"text": "half"}]}, "index": 0}]}
_SAID: Final[Json] = {**_OLLAMA, "message": {"role": "assistant", "content": "half"}}

_CUT_EVENT: Final = b'data: {"choices": [{"delta": {"content": "lo\n\n'

BREAKS: Final[dict[str, dict[str, Body]]] = {
    "chat": {
        "no end": events(_ROLE, _WORDS),
        "no end of one of two": events(_WORDS, _of_second("half"), _chunk("stop")),
        "no end of the first of two": events(_of_second("half"), _WORDS, _of_second("", "stop")),
        **{
            f"one of two: {finish}": events(
                _WORDS, _chunk("stop"), _of_second("half"), _of_second("", finish), "[DONE]"
            )
            for finish in ("error", "abort")
        },
        "error": events(_ROLE, _WORDS, _ERROR),
        "error and done": events(_ROLE, _WORDS, _ERROR, "[DONE]"),
        "text error": events(_ROLE, _WORDS, {"error": "busy"}, "[DONE]"),
        "flat error": events(_ROLE, _WORDS, {"code": 503, "message": "busy"}, "[DONE]"),
        "error without a code": events(_ROLE, _WORDS, {"detail": "busy"}, "[DONE]"),
        "error in a bare line": Body(
            events(_ROLE, _WORDS).content + b'{"error": {"code": 429, "message": "busy"}}\n\ndata: [DONE]\n\n', SSE
        ),
        "object error": events(_ROLE, _WORDS, {"object": "error", "message": "busy", "code": 500}, "[DONE]"),
        "finish error": events(_ROLE, _WORDS, _chunk("error"), "[DONE]"),
        "finish abort": events(_ROLE, _WORDS, _chunk("abort"), "[DONE]"),
        "no resources": events(_ROLE, _WORDS, _chunk("insufficient_system_resource"), "[DONE]"),
        "error in text": Body(events(_ROLE, _WORDS).content + b"event: error\ndata: it died\n\n", SSE),
        "no JSON": Body(events(_ROLE, _WORDS).content + _CUT_EVENT + events(_chunk("stop"), "[DONE]").content, SSE),
    },
    "text": {
        "no end": events(_TEXT),
        "error": events(_TEXT, _ERROR, "[DONE]"),
        "finish error": events(_TEXT, _text("", "error"), "[DONE]"),
        "error in text": Body(events(_TEXT).content + b"event: error\ndata: it died\n\n", SSE),
    },
    "responses": {
        "no end": events(_CREATED, _DELTA, named=True),
        "failed": events(_CREATED, _DELTA, _RESPONSE_FAILED, named=True),
        "no JSON": Body(
            events(_CREATED, _DELTA, named=True).content + _CUT_EVENT + events(_completed(), named=True).content, SSE
        ),
        "error": events(_CREATED, _DELTA, _RESPONSE_ERROR, named=True),
        "completed, but failed": events(_CREATED, _DELTA, _completed(status="failed"), named=True),
        "completed, but cancelled": events(_CREATED, _DELTA, _completed(status="cancelled"), named=True),
        "completed with an error": events(_CREATED, _DELTA, _completed(error=_FAILED["error"]), named=True),
        "incomplete with an error": events(
            _CREATED, _DELTA, {**_completed(error=_FAILED["error"]), "type": "response.incomplete"}, named=True
        ),
    },
    "anthropic": {
        "no end": events(_START, _BLOCK, _HALF, named=True),
        "error": events(_START, _BLOCK, _HALF, _OVERLOADED, named=True),
    },
    "gemini": {
        "no end": events(_PART),
        "error": events(_PART, {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}),
        "no JSON": Body(events(_PART).content + _CUT_EVENT + events(_PART).content, SSE),
    },
    "bedrock": {
        "no end": aws_stream(*aws_events.converse("half")[:2]),
        "exception": aws_stream(*aws_events.converse("half")[:2], aws_events.exception("throttlingException")),
        "error": aws_stream(*aws_events.converse("half")[:2], aws_events.error("internalFailure")),
    },
    "bedrock claude": {
        "no end": aws_stream(*aws_events.invoked(_START, _BLOCK, _HALF)),
        "exception": aws_stream(
            *aws_events.invoked(_START, _BLOCK, _HALF), aws_events.exception("modelStreamErrorException")
        ),
    },
    "ollama": {
        "no end": lines(_SAID),
        "error": lines(_SAID, {"error": "it died"}),
        "no JSON": Body(
            lines(_SAID).content + b'{"message": {"content": "lo\n' + lines(_SAID).content, lines(_SAID).type
        ),
    },
}
"""What breaks an answer off after its first words."""


def read_along(stream: Any, pieces: list[bytes]) -> tuple[bytes, Any]:
    """What a judged `stream` that comes in `pieces` passes on, and the failure that ends it, if one does."""
    passed_on = b""
    for judged in itertools.chain(itertools.chain.from_iterable(map(stream.feed, pieces)), (None,)):
        judged = stream.end() if judged is None else judged
        passed_on += judged.passed_on
        if judged.failure is not None:
            return passed_on, judged.failure
    return passed_on, None


def faults(format: str, streamed: bool) -> dict[str, Body]:
    """Every way to fail before the first word in `format`, asked for in a stream or not."""
    plain = {f"error: {name}": json_body(value) for name, value in ERRORS.items()}
    found = {**plain, **NO_JSON, **(STREAMS if streamed else WHOLE).get(format, {})}
    if streamed and format in ("ollama", "cohere"):
        found.update({f"line: {name}": lines(value) for name, value in ERRORS.items()})
    elif streamed and "bedrock" not in format:
        found.update({f"event: {name}": events(value) for name, value in ERRORS.items() if isinstance(value, dict)})
    return found
