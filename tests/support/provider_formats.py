"""What a provider says in each format: the whole answer, the streamed answer and the error, as published by its maker.

Pure: `faulty_provider` puts these on a socket, `wire` under respx.
"""

from __future__ import annotations

import json
from typing import Any, Literal

Json = dict[str, Any]
Format = Literal[
    "openai",
    "openai_text",
    "openai_embeddings",
    "openai_responses",
    "anthropic",
    "ollama_chat",
    "ollama_generate",
    "ollama_show",
    "gemini",
    "gemini_stream",
]

# A path belongs to the first end that fits: /chat/completions stands before /completions.
ENDPOINTS: dict[str, Format] = {
    "/chat/completions": "openai",
    "/completions": "openai_text",
    "/embeddings": "openai_embeddings",
    "/responses": "openai_responses",
    "/v1/messages": "anthropic",
    "/api/chat": "ollama_chat",
    "/api/generate": "ollama_generate",
    "/api/show": "ollama_show",
    ":generateContent": "gemini",
    ":streamGenerateContent": "gemini_stream",
}

STREAM_TYPES: dict[Format, str] = {
    "openai": "text/event-stream",
    "openai_text": "text/event-stream",
    "openai_responses": "text/event-stream",
    "anthropic": "text/event-stream",
    "ollama_chat": "application/x-ndjson",
    "ollama_generate": "application/x-ndjson",
    "gemini_stream": "text/event-stream",
}


def is_streamed(format: Format, asked: bool | None) -> bool:
    """Whether the answer is a stream; `asked` is the request's own `stream`, None where it says nothing."""
    if format == "gemini_stream":
        return True
    # Ollama streams unless told otherwise; the others only when asked.
    return format in STREAM_TYPES and (format.startswith("ollama") if asked is None else asked)


def format_at(path: str) -> Format | None:
    """The format spoken at `path`, whatever precedes its end and whatever query follows it."""
    bare = path.partition("?")[0]
    return next((format for end, format in ENDPOINTS.items() if bare.endswith(end)), None)


def is_attempt(path: str) -> bool:
    """Whether a request at `path` asks a model for something; /api/show only asks about one."""
    return format_at(path) not in (None, "ollama_show")


MESSAGES: dict[int, str] = {
    400: "The field 'messages' is invalid.",
    401: "Incorrect API key provided.",
    402: "The account has no credit left.",
    403: "The project may not use this model.",
    404: "The model does not exist.",
    408: "The request took too long.",
    429: "Rate limit exceeded.",
    500: "The server had an error.",
    503: "The service is unavailable.",
    529: "Overloaded.",
}

ANTHROPIC_TYPES: dict[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

OPENAI_TYPES: dict[int, str] = {
    402: "insufficient_credit",
    403: "permission_error",
    408: "timeout",
    429: "requests",
}

OPENAI_CODES: dict[int, str] = {
    401: "invalid_api_key",
    402: "insufficient_credit",
    404: "model_not_found",
    429: "rate_limit_exceeded",
}

GEMINI_STATUSES: dict[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error(format: Format, code: int, message: str | None = None) -> Json:
    """The format's error shape for HTTP status `code`; `message` None is wording that fits it."""
    text = MESSAGES.get(code, "The provider failed.") if message is None else message
    if format == "anthropic":
        kind = ANTHROPIC_TYPES.get(code, "invalid_request_error" if code < 500 else "api_error")
        return {"type": "error", "error": {"type": kind, "message": text}}
    if format.startswith("openai"):
        kind = OPENAI_TYPES.get(code, "invalid_request_error" if code < 500 else "server_error")
        return {"error": {"message": text, "type": kind, "code": OPENAI_CODES.get(code)}}
    if format.startswith("gemini"):
        return {"error": {"code": code, "message": text, "status": GEMINI_STATUSES.get(code, "UNKNOWN")}}
    return {"error": text}


OPENAI_TIME = 1735689600
OPENAI_USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
RESPONSES_USAGE: Json = {
    "input_tokens": 3,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 1,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 4,
}
EMBEDDING = [0.25, -0.5, 0.75]
"""Every text's vector; exact in binary, so that it can be compared."""

OLLAMA_END = {"done": True, "done_reason": "stop", "total_duration": 5, "prompt_eval_count": 3, "eval_count": 1}
OLLAMA_TIME = "2025-01-01T00:00:00Z"


def whole(format: Format, model: str, answer: str, *, inputs: int = 1) -> Json:
    """The answer in one piece; `inputs` is the number of texts to embed, each of which gets `EMBEDDING`."""
    if format == "openai":
        message = {"role": "assistant", "content": answer}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {**_openai(model, "chat.completion"), "choices": [choice], "usage": OPENAI_USAGE}
    if format == "openai_text":
        return {**_text(model, answer, "stop"), "usage": OPENAI_USAGE}
    if format == "openai_embeddings":
        return _embeddings(model, inputs)
    if format == "openai_responses":
        return _response(model, [_message(answer)])
    if format == "anthropic":
        text = {"type": "text", "text": answer}
        return _anthropic(model, content=[text], stop_reason="end_turn", output_tokens=1)
    if format == "ollama_show":
        return {"template": "", "model_info": {}, "capabilities": ["completion"]}
    if format == "gemini":
        return _gemini(answer, "STOP")
    return {**_ollama(format, model, answer), **OLLAMA_END}


def stream(format: Format, model: str, answer: str) -> bytes:
    """The answer as the bytes of a stream, in a format of `STREAM_TYPES`."""
    if format == "openai":
        return _done_stream(_openai_chunks(model, answer))
    if format == "openai_text":
        return _done_stream([_text(model, answer, None), _text(model, "", "stop")])
    if format == "openai_responses":
        return _event_stream(_response_events(model, answer))
    if format == "anthropic":
        return _event_stream(_anthropic_events(model, answer))
    if format == "gemini_stream":
        return "".join(f"data: {json.dumps(_gemini(*part))}\n\n" for part in ((answer, None), ("", "STOP"))).encode()
    last = {**_ollama(format, model, ""), **OLLAMA_END}
    return "".join(json.dumps(line) + "\n" for line in (_ollama(format, model, answer), last)).encode()


def _done_stream(chunks: list[Json]) -> bytes:
    lines = [*(json.dumps(chunk) for chunk in chunks), "[DONE]"]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def _event_stream(events: list[Json]) -> bytes:
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def _openai(model: str, kind: str) -> Json:
    return {"id": "chatcmpl-1", "object": kind, "created": OPENAI_TIME, "model": model}


def _openai_chunks(model: str, answer: str) -> list[Json]:
    def chunk(delta: Json, finish: str | None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**_openai(model, "chat.completion.chunk"), "choices": [choice]}

    return [
        chunk({"role": "assistant", "content": ""}, None),
        chunk({"content": answer}, None),
        chunk({}, "stop"),
    ]


def _text(model: str, answer: str, finish: str | None) -> Json:
    """A text completion, and each chunk of one: both are of the same kind."""
    choice = {"index": 0, "text": answer, "logprobs": None, "finish_reason": finish}
    return {**_openai(model, "text_completion"), "id": "cmpl-1", "choices": [choice]}


def _embeddings(model: str, inputs: int) -> Json:
    data = [{"object": "embedding", "index": index, "embedding": EMBEDDING} for index in range(inputs)]
    usage = {"prompt_tokens": 3 * inputs, "total_tokens": 3 * inputs}
    return {"object": "list", "model": model, "data": data, "usage": usage}


def _response(model: str, output: list[Json]) -> Json:
    """A response: in progress while `output` is empty, afterwards completed, and only then with its usage."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": OPENAI_TIME,
        "status": "completed" if output else "in_progress",
        "model": model,
        "output": output,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": RESPONSES_USAGE if output else None,
    }


def _message(answer: str | None) -> Json:
    """The output item that holds the answer; None is the one just begun."""
    content = [] if answer is None else [_output_text(answer)]
    status = "in_progress" if answer is None else "completed"
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": content}


def _output_text(answer: str) -> Json:
    return {"type": "output_text", "text": answer, "annotations": [], "logprobs": []}


def _response_events(model: str, answer: str) -> list[Json]:
    item: Json = {"output_index": 0}
    part: Json = {**item, "item_id": "msg_1", "content_index": 0}
    events: list[Json] = [
        {"type": "response.created", "response": _response(model, [])},
        {"type": "response.in_progress", "response": _response(model, [])},
        {"type": "response.output_item.added", **item, "item": _message(None)},
        {"type": "response.content_part.added", **part, "part": _output_text("")},
        {"type": "response.output_text.delta", **part, "delta": answer, "logprobs": []},
        {"type": "response.output_text.done", **part, "text": answer, "logprobs": []},
        {"type": "response.content_part.done", **part, "part": _output_text(answer)},
        {"type": "response.output_item.done", **item, "item": _message(answer)},
        {"type": "response.completed", "response": _response(model, [_message(answer)])},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _anthropic(model: str, *, content: list[Json], stop_reason: str | None, output_tokens: int) -> Json:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": output_tokens},
    }


def _anthropic_events(model: str, answer: str) -> list[Json]:
    start = _anthropic(model, content=[], stop_reason=None, output_tokens=0)
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": answer}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]


def _ollama(format: Format, model: str, answer: str) -> Json:
    part: Json = (
        {"message": {"role": "assistant", "content": answer}} if format == "ollama_chat" else {"response": answer}
    )
    return {"model": model, "created_at": OLLAMA_TIME, **part, "done": False}


def _gemini(answer: str, finish: str | None) -> Json:
    """An answer, and each part of a streamed one: both are of the same kind."""
    candidate: Json = {"content": {"role": "model", "parts": [{"text": answer}]}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-1"}
