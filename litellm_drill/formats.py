"""What a stand-in says: whole answers, streams and errors in the formats that providers have published.

Sources: OpenAI's API reference (chat completions, completions, embeddings), Anthropic's (messages, streaming), Google's
(Gemini API, generateContent), Ollama's docs/api.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

Fields = Mapping[str, object]
PROMPT_TOKENS = 9
STAMP = "2026-01-01T00:00:00Z"


class Api(Enum):
    """An endpoint, by how its path ends."""

    CHAT = "/chat/completions"
    TEXT = "/completions"
    EMBEDDINGS = "/embeddings"
    MESSAGES = "/messages"
    GEMINI = ":generateContent"
    GEMINI_STREAM = ":streamGenerateContent"
    OLLAMA_CHAT = "/api/chat"
    OLLAMA_TEXT = "/api/generate"
    OLLAMA_EMBEDDINGS = "/api/embed"
    OLLAMA_MODEL = "/api/show"


@dataclass(frozen=True)
class Reply:
    """The parts of a body in the order they are sent, a stream's event each, and their media type."""

    media_type: str
    parts: tuple[bytes, ...]


def api_at(path: str) -> Api | None:
    """The endpoint at a request's `path`, whatever stands before its end."""
    bare = path.partition("?")[0]
    return next((api for api in Api if bare.endswith(api.value)), None)


def asks_for_stream(api: Api, body: Fields) -> bool:
    """Whether a request wants a stream: Ollama's endpoints stream unless told not to, Google's by their path."""
    if api in (Api.OLLAMA_CHAT, Api.OLLAMA_TEXT):
        return body.get("stream", True) is True
    return api is Api.GEMINI_STREAM or (api in STREAMS and body.get("stream") is True)


def answer(api: Api, body: Fields, text: str, number: int) -> Reply:
    """The answer of `text` to the request `body`; an embedding has the `number` in its vector."""
    if api is Api.EMBEDDINGS or api is Api.OLLAMA_EMBEDDINGS:
        return Reply("application/json", (_json(_embedding(api, number)),))
    if not asks_for_stream(api, body):
        return Reply("application/json", (_json(WHOLE[api](text)),))
    events = STREAMS[api](text)
    if api in (Api.OLLAMA_CHAT, Api.OLLAMA_TEXT):
        return Reply("application/x-ndjson", tuple(_json(event) + b"\n" for event in events))
    parts = [_event(event) for event in events]
    return Reply("text/event-stream", (*parts, b"data: [DONE]\n\n") if api in (Api.CHAT, Api.TEXT) else tuple(parts))


def refusal(api: Api | None, status: int) -> bytes:
    """The body of an answer with an HTTP `status` of 400 and above."""
    message = {401: "The key is not valid.", 429: "Too many requests.", 503: "The service is down."}[status]
    if api is Api.MESSAGES:
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status, "api_error")
        return _json({"type": "error", "error": {"type": kind, "message": message}})
    if api in (Api.GEMINI, Api.GEMINI_STREAM):
        named = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}[status]
        return _json({"error": {"code": status, "message": message, "status": named}})
    if api is not None and api.value.startswith("/api/"):
        return _json({"error": message})
    code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status)
    return _json({"error": {"message": message, "type": "server_error" if status > 499 else "requests", "code": code}})


def _chat(text: str) -> Fields:
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    # LiteLLM takes no answer of Groq's that has no tier.
    return {**_openai("chat.completion"), "service_tier": "default", "choices": choices}


def _text(text: str) -> Fields:
    return {**_openai("text_completion"), "choices": [{"index": 0, "text": text, "finish_reason": "stop"}]}


def _openai(kind: str) -> dict[str, object]:
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": 6, "total_tokens": PROMPT_TOKENS + 6}
    return {"id": "drill-1", "object": kind, "created": 1767225600, "model": "stand-in", "usage": usage}


def _chat_events(text: str) -> Iterator[Fields]:
    for delta, end in (({"role": "assistant", "content": ""}, None), ({"content": text}, None), ({}, "stop")):
        chunk = {key: value for key, value in _openai("chat.completion.chunk").items() if key != "usage"}
        yield {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}


def _text_events(text: str) -> Iterator[Fields]:
    for said, end in ((text, None), ("", "stop")):
        yield {**_openai("text_completion"), "choices": [{"index": 0, "text": said, "finish_reason": end}]}


def _message(text: str) -> dict[str, object]:
    return {
        "id": "msg_drill",
        "type": "message",
        "role": "assistant",
        "model": "stand-in",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": "end_turn" if text else None,
        "stop_sequence": None,
        "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": 6},
    }


def _message_events(text: str) -> Iterator[Fields]:
    yield {"type": "message_start", "message": _message("")}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    yield {"type": "content_block_stop", "index": 0}
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": {"output_tokens": 6}}
    yield {"type": "message_stop"}


def _gemini(text: str, end: str | None = "STOP") -> Fields:
    candidate: dict[str, object] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if end:
        candidate["finishReason"] = end
    usage = {"promptTokenCount": PROMPT_TOKENS, "candidatesTokenCount": 6, "totalTokenCount": PROMPT_TOKENS + 6}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "stand-in"}


def _gemini_events(text: str) -> Iterator[Fields]:
    yield _gemini(text, None)
    yield _gemini("")


def _ollama_chat(text: str, done: bool = True) -> Fields:
    message = {"role": "assistant", "content": text}
    return {"model": "stand-in", "created_at": STAMP, "message": message, **_ollama_end(done)}


def _ollama_text(text: str, done: bool = True) -> Fields:
    return {"model": "stand-in", "created_at": STAMP, "response": text, **_ollama_end(done)}


def _ollama_end(done: bool) -> Fields:
    return {"done": done, **({"done_reason": "stop", "prompt_eval_count": 9, "eval_count": 6} if done else {})}


def _embedding(api: Api, number: int) -> Fields:
    vector = [float(number), 0.5]
    if api is Api.OLLAMA_EMBEDDINGS:
        return {"model": "stand-in", "embeddings": [vector], "prompt_eval_count": PROMPT_TOKENS}
    usage = {"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS}
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    return {"object": "list", "data": data, "model": "stand-in", "usage": usage}


def _model(text: str) -> Fields:
    return {
        "template": "{{ .Prompt }}",
        "details": {"family": "llama"},
        "model_info": {},
        "capabilities": ["completion"],
    }


WHOLE: Mapping[Api, Callable[[str], Fields]] = {
    Api.CHAT: _chat,
    Api.TEXT: _text,
    Api.MESSAGES: _message,
    Api.GEMINI: _gemini,
    Api.OLLAMA_CHAT: _ollama_chat,
    Api.OLLAMA_TEXT: _ollama_text,
    Api.OLLAMA_MODEL: _model,
}
STREAMS: Mapping[Api, Callable[[str], Iterator[Fields]]] = {
    Api.CHAT: _chat_events,
    Api.TEXT: _text_events,
    Api.MESSAGES: _message_events,
    Api.GEMINI_STREAM: _gemini_events,
    Api.OLLAMA_CHAT: lambda text: iter((_ollama_chat(text, False), _ollama_chat(""))),
    Api.OLLAMA_TEXT: lambda text: iter((_ollama_text(text, False), _ollama_text(""))),
}


def _event(fields: Fields) -> bytes:
    """A server-sent event; Anthropic's have their type as a name, and no other format has a type."""
    named = f"event: {fields['type']}\n" if "type" in fields else ""
    return f"{named}data: {json.dumps(fields)}\n\n".encode()


def _json(fields: Fields) -> bytes:
    return json.dumps(fields).encode()
