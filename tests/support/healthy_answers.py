"""Good answers in every format, odd ones among them: none of them may be taken for a failure.

Written by hand after providers' public references; `DRESSES` are what some providers send with every answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from support.inband_shapes import Body, events, json_body, lines
from support.provider_formats import Json, stream, whole

CALL: Final[Json] = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CITED: Final[Json] = {"url": "https://example.org", "title": "a page", "start_index": 0, "end_index": 4}
TOKEN: Final[Json] = {"token": "pong", "logprob": -0.1, "bytes": None, "top_logprobs": []}
USAGE: Final[Json] = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}

DRESSES: Final[dict[str, Json]] = {
    "bare": {},
    "error null": {"error": None},
    "error empty": {"error": {}},
    "error hollow": {"error": {"message": "", "type": "", "param": None, "code": None}},  # Apertis
    "error of success": {"error": {"code": 0, "message": ""}},
    "error says success": {"error": {"code": 0, "message": "success"}},
    "errors empty": {"errors": [], "success": True},
    "base_resp": {"base_resp": {"status_code": 0, "status_msg": "success"}},  # MiniMax
    "code of success": {"code": 200, "message": "success"},
    "code as text": {"code": "0", "msg": "ok"},
    "codes of success": {"error_code": 0, "error_msg": "success", "err_code": None, "success": True, "detail": {}},
    "a warning": {"success": False, "detail": {"message": "this model is deprecated"}},
    "filters": {"prompt_filter_results": [{"content_filter_results": {"hate": {"filtered": False}}}]},  # Azure
}

MESSAGES: Final[dict[str, tuple[Json, str | None]]] = {
    "text": ({"content": "pong"}, "stop"),
    "a space": ({"content": " "}, "stop"),
    "text about errors": ({"content": '{"error": {"code": 429}}'}, "stop"),
    "parts": ({"content": [{"type": "text", "text": "pong"}]}, "stop"),
    "tool call": ({"content": None, "tool_calls": [CALL]}, "tool_calls"),
    "tool call that stops": ({"content": "", "tool_calls": [CALL]}, "stop"),
    "function call": ({"content": None, "function_call": {"name": "look", "arguments": ""}}, "function_call"),
    "refusal": ({"content": None, "refusal": "I cannot"}, "stop"),
    "reasoning": ({"content": "", "reasoning_content": "hm"}, "length"),
    "reasoning that stops": ({"content": None, "reasoning": "hm"}, "stop"),
    "thinking": ({"content": "", "thinking_blocks": [{"type": "thinking", "thinking": "hm"}]}, "stop"),
    "audio": ({"content": None, "audio": {"id": "a", "data": "UklG", "transcript": "pong", "expires_at": 1}}, "stop"),
    "image": (
        {"content": "", "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}}]},
        "stop",
    ),
    "citations": ({"content": "pong", "annotations": [{"type": "url_citation", "url_citation": CITED}]}, "stop"),
    "filtered": ({"content": ""}, "content_filter"),
    "one token": ({"content": ""}, "length"),
    "a reason of tomorrow": ({"content": ""}, "pause"),
    "no reason": ({"content": "pong"}, None),
}


def _chats() -> Iterator[tuple[str, Body]]:
    base: Json = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE}
    for name, (message, reason) in MESSAGES.items():
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
        bare = {**base, "usage": {**USAGE, "completion_tokens": 0}}
        for dress, more in DRESSES.items():
            yield f"{name}, {dress}", json_body({**bare, "choices": [choice], **more})
    empty = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    said = {**empty, "index": 1, "message": {"role": "assistant", "content": "pong"}}
    yield "empty, with a token", json_body({**base, "choices": [empty]})
    yield "one of two empty", json_body({**base, "choices": [empty, said], "usage": None})
    yield "log-probabilities", json_body({**base, "choices": [{**said, "logprobs": {"content": [TOKEN]}}]})
    yield "text", json_body(whole("openai_text", "m", "pong"))
    yield "text, empty", json_body(whole("openai_text", "m", ""))
    yield "spaces first", Body(b" \n\n" * 40 + json_body(whole("openai", "m", "pong")).content)


def _chunk(finish: str | None = None, index: int = 0, **delta: object) -> Json:
    return {"object": "chat.completion.chunk", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def _chat_streams() -> Iterator[tuple[str, Body]]:
    role = _chunk(role="assistant", content="")
    usage = {"choices": [], "usage": USAGE}
    for name, (message, reason) in MESSAGES.items():
        said = message if "tool_calls" not in message else {**message, "tool_calls": [{**CALL, "index": 0}]}
        for dress, more in DRESSES.items():
            yield f"{name}, {dress}", events({**role, **more}, {**_chunk(**said), **more}, _chunk(reason), "[DONE]")
    yield "no role", events(_chunk(content="pong"), _chunk("stop"), "[DONE]")
    yield "no done", events(role, _chunk(content="pong"), _chunk("stop"))
    yield "no reason", events(role, _chunk(content="pong"), "[DONE]")
    last = _chunk(content="g")
    last["choices"][0]["finishReason"] = "stop"
    yield "Google's name for the reason", events(role, _chunk(content="pon"), last)
    yield "in one chunk", events(_chunk("stop", role="assistant", content="pong"), "[DONE]")
    yield "usage last", events(role, _chunk(content="pong"), _chunk("stop"), usage, "[DONE]")
    yield "empty, usage last", events(role, _chunk("stop"), usage, "[DONE]")
    yield "empty, usage at the end", events(role, {**_chunk("stop"), "usage": USAGE}, "[DONE]")
    yield "empty deltas", events(*[_chunk() for _ in range(40)], _chunk(content="pong"), _chunk("stop"), "[DONE]")
    yield "no choices first", events({"choices": [], "prompt_filter_results": []}, _chunk(content="p"), _chunk("stop"))
    yield "two choices", events(_chunk("stop"), _chunk(index=1, content="pong"), _chunk("stop", index=1), "[DONE]")
    second = _chunk(index=1, content="pong")
    yield "two choices at once", events(_chunk(content="pong"), second, _chunk("stop"), _chunk("stop", index=1))
    yield "two choices, one without an end", events(_chunk(content="pong"), second, _chunk("stop"), "[DONE]")
    calls = [_chunk(tool_calls=[{**CALL, "index": index}]) for index in range(3)]
    yield "three calls", events(*calls, _chunk("tool_calls"))
    yield "comments", Body(b": PROCESSING\n\n" * 9 + stream("openai", "m", "pong"), "text/event-stream")
    yield "no spaces", Body(stream("openai", "m", "pong").replace(b"data: ", b"data:"), "text/event-stream")
    yield "carriage returns", Body(stream("openai", "m", "pong").replace(b"\n", b"\r\n"), "text/event-stream")
    yield "byte-order mark", Body(b"\xef\xbb\xbf" + stream("openai", "m", "pong"), "text/event-stream")
    yield "names and ids", Body(b"event: chunk\nid: 1\nretry: 9\n" + stream("openai", "m", "pong"), "text/event-stream")
    yield "error null", events({**_chunk(content="pong"), "error": None}, {**_chunk("stop"), "error": {}}, "[DONE]")
    yield "groq's usage", events(_chunk(content="pong"), {**_chunk("stop"), "x_groq": {"id": "r", "usage": USAGE}})
    yield "text", Body(stream("openai_text", "m", "pong"), "text/event-stream")


def _block(kind: str, **fields: object) -> Json:
    return {"type": kind, **fields}


def _message(stop: str, *content: Json, tokens: int = 0) -> Json:
    usage = {"input_tokens": 3, "output_tokens": tokens}
    return {"type": "message", "role": "assistant", "content": list(content), "stop_reason": stop, "usage": usage}


def _anthropic() -> Iterator[tuple[str, Body]]:
    said: dict[str, Json] = {
        "text": _message("end_turn", _block("text", text="pong")),
        "tool": _message("tool_use", _block("tool_use", id="t", name="look", input={})),
        "server's tool": _message("pause_turn", _block("server_tool_use", id="t", name="web_search", input={})),
        "thinking": _message("end_turn", _block("thinking", thinking="hm", signature="s")),
        "redacted": _message("end_turn", _block("redacted_thinking", data="x")),
        "refusal": _message("refusal"),
        "one token": _message("max_tokens"),
        "empty, with tokens": _message("end_turn", tokens=2),
        "stop sequence": _message("stop_sequence"),
        "citations": _message("end_turn", _block("text", text="pong", citations=[{"type": "char_location"}])),
    }
    for name, message in said.items():
        for dress in ("bare", "error null", "errors empty"):
            yield f"{name}, {dress}", json_body({**message, **DRESSES[dress]})


def _anthropic_streams() -> Iterator[tuple[str, Body]]:
    start = {"type": "message_start", "message": _message("")}
    ping, stop = {"type": "ping"}, {"type": "message_stop"}
    deltas = {
        "text": ("text", {"type": "text_delta", "text": "pong"}),
        "tool": ("tool_use", {"type": "input_json_delta", "partial_json": ""}),
        "thinking": ("thinking", {"type": "thinking_delta", "thinking": "hm"}),
        "signature": ("thinking", {"type": "signature_delta", "signature": "s"}),
    }
    for name, (kind, delta) in deltas.items():
        begin = {"type": "content_block_start", "index": 0, "content_block": {"type": kind, "text": ""}}
        end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 0}}
        said = {"type": "content_block_delta", "index": 0, "delta": delta}
        yield (
            name,
            events(start, ping, begin, ping, said, {"type": "content_block_stop", "index": 0}, end, stop, named=True),
        )
        yield f"{name}, unnamed", events(start, begin, said, end, stop)
    for reason, tokens in (("refusal", 0), ("max_tokens", 0), ("end_turn", 2), ("stop_sequence", 0)):
        end = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": tokens}}
        yield f"empty, {reason}", events(start, end, stop, named=True)
    told = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    said = {"type": "content_block_delta", "index": 0, "delta": deltas["text"][1]}
    yield "an error its reader is told", events(start, said, told, named=True)


def _responses() -> Iterator[tuple[str, Body]]:
    text = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "pong"}]}
    base: Json = {"object": "response", "error": None, "incomplete_details": None, "usage": {"output_tokens": 0}}
    said: dict[str, Json] = {
        "text": {"status": "completed", "output": [text]},
        "refusal": {"status": "completed", "output": [{**text, "content": [{"type": "refusal", "refusal": "no"}]}]},
        "function call": {"status": "completed", "output": [{"type": "function_call", "name": "f", "arguments": "{}"}]},
        "reasoning": {"status": "completed", "output": [{"type": "reasoning", "summary": []}]},
        "image": {"status": "completed", "output": [{"type": "image_generation_call", "result": "A"}]},
        "incomplete": {"status": "incomplete", "output": [], "incomplete_details": {"reason": "max_output_tokens"}},
        "queued": {"status": "queued", "output": [], "background": True},
        "in progress": {"status": "in_progress", "output": []},
        "empty, with tokens": {"status": "completed", "output": [], "usage": {"output_tokens": 2}},
    }
    for name, response in said.items():
        for dress in ("bare", "errors empty", "filters"):
            yield f"{name}, {dress}", json_body({**base, **response, **DRESSES[dress]})


def _response_streams() -> Iterator[tuple[str, Body]]:
    created = {"type": "response.created", "response": {"status": "in_progress", "output": [], "error": None}}
    for name in ("completed", "incomplete"):
        end = {"type": f"response.{name}", "response": {"status": name, "output": [], "error": None}}
        for kind in ("output_text", "refusal", "function_call_arguments", "reasoning_summary_text", "audio"):
            said = {"type": f"response.{kind}.delta", "delta": "p"}
            yield f"{kind}, {name}", events(created, said, end, named=True)
    yield "as sent", Body(stream("openai_responses", "m", "pong"), "text/event-stream")
    failed = {"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error"}}}
    said = {"type": "response.output_text.delta", "delta": "p"}
    yield "a failure its reader is told", events(created, said, failed, named=True)


def _gemini() -> Iterator[tuple[str, Body]]:
    parts: dict[str, tuple[list[Json], str]] = {
        "text": ([{"text": "pong"}], "STOP"),
        "call": ([{"functionCall": {"name": "look", "args": {}}}], "STOP"),
        "thought": ([{"text": "hm", "thought": True}], "STOP"),
        "data": ([{"inlineData": {"mimeType": "image/png", "data": "A"}}], "STOP"),
        "one token": ([], "MAX_TOKENS"),
        "filtered": ([], "SAFETY"),
        "recited": ([], "RECITATION"),
    }
    for name, (said, reason) in parts.items():
        one = {"content": {"role": "model", "parts": said}, "finishReason": reason, "index": 0}
        for dress in ("bare", "error null"):
            yield f"{name}, {dress}", json_body({"candidates": [one], "usageMetadata": {}, **DRESSES[dress]})
    yield "blocked", json_body({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}})
    yield (
        "empty, with tokens",
        json_body(
            {"candidates": [{"content": {}, "finishReason": "STOP"}], "usageMetadata": {"candidatesTokenCount": 1}}
        ),
    )


def _gemini_streams() -> Iterator[tuple[str, Body]]:
    end = {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 3}}
    for name, part in (("text", {"text": "p"}), ("call", {"functionCall": {"name": "f"}})):
        yield name, events({"candidates": [{"content": {"parts": [part]}}]}, end)
        yield (
            f"{name}, usage first",
            events({"usageMetadata": {}}, {"candidates": [{"content": {"parts": [part]}}]}, end),
        )
    yield "blocked", events({"promptFeedback": {"blockReason": "SAFETY"}})
    yield "as sent", Body(stream("gemini_stream", "m", "pong"), "text/event-stream")


END_OF_OLLAMA: Final[Json] = {"done": True, "done_reason": "stop", "eval_count": 1}


def _ollama() -> Iterator[tuple[str, Body]]:
    end = END_OF_OLLAMA
    answers = {
        "chat": {"message": {"content": "pong"}, **end},
        "generate": {"response": "pong", **end},
        "thinking": {"message": {"content": "", "thinking": "hm"}, **end, "eval_count": 0},
        "tool": {"message": {"content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}, **end},
        "empty, with a token": {"message": {"content": ""}, **end},
        "loaded": {"response": "", "done": True, "done_reason": "load"},
    }
    yield from ((name, json_body(value)) for name, value in answers.items())


def _ollama_streams() -> Iterator[tuple[str, Body]]:
    line = {"message": {"role": "assistant", "content": "pong"}, "done": False}
    yield "lines", lines(line, {**line, "done": True})
    yield "one line", lines({**line, **END_OF_OLLAMA})


def _cohere() -> Iterator[tuple[str, Body]]:
    answers = {
        "text": {"finish_reason": "COMPLETE", "message": {"content": [{"type": "text", "text": "pong"}]}},
        "tool": {"finish_reason": "TOOL_CALL", "message": {"tool_calls": [CALL], "tool_plan": "look"}},
        "version 1": {"text": "pong", "finish_reason": "COMPLETE", "generation_id": "g"},
        "one token": {"finish_reason": "MAX_TOKENS", "message": {"content": []}},
    }
    yield from ((name, json_body(value)) for name, value in answers.items())


WARNED: Final[Json] = {"system": {"warnings": [{"message": "this model is deprecated"}]}}


def _others() -> dict[str, Iterator[tuple[str, Body]]]:
    converse = {"stopReason": "end_turn", "usage": {"outputTokens": 1}}
    vector = {"object": "list", "data": [{"embedding": [0.5]}]}
    return {
        "OLLAMA": _ollama(),
        "OLLAMA stream": _ollama_streams(),
        "COHERE": _cohere(),
        "CONVERSE": iter([("text", json_body({"output": {"message": {"content": [{"text": "p"}]}}, **converse}))]),
        "EMBEDDING": iter(
            [
                *((name, json_body({**vector, **more})) for name, more in DRESSES.items()),
                ("watsonx's, with a warning", json_body({"results": [{"embedding": [0.5]}], **WARNED})),
                ("of Ollama", json_body({"embedding": [0.0]})),
                ("of Cohere", json_body({"embeddings": {"float": [[0.5]]}})),
            ]
        ),
        "IMAGE stream": iter(
            [("drawn", events({"type": "image_generation.completed", "b64_json": "A", "usage": USAGE}, named=True))]
        ),
        "IMAGE": iter(
            [("b64", json_body({"data": [{"b64_json": "A"}]})), ("url", json_body({"data": [{"url": "u"}]}))]
        ),
        "RERANK": iter([("one", json_body({"results": [{"index": 0}]})), ("scores", json_body({"scores": [0.0]}))]),
        "MODERATION": iter([("fine", json_body({"results": [{"flagged": False}]}))]),
        "SPEECH": iter(
            [
                ("sound", Body(b"ID3\x04some sound", "audio/mpeg")),
                ("wave", Body(b"RIFF", "audio/wav")),
                ("samples", Body(b"<\x00=\x01", "audio/pcm")),
            ]
        ),
        "TRANSCRIPTION": iter(
            [
                ("json", json_body({"text": "pong"})),
                ("silence", json_body({"text": ""})),
                ("verbose", json_body({"task": "transcribe", "text": "", "segments": []})),
                ("text", Body(b"pong\n", "text/plain")),
                ("what is heard", Body(b"<noise> pong\n", "text/plain")),
                ("of many channels", json_body({"transcripts": [{"text": ""}]})),
                ("of Deepgram", json_body({"metadata": {}, "results": {"channels": []}})),
                ("subtitles", Body(b"1\n00:00:00,000 --> 00:00:01,000\npong\n", "text/plain")),
            ]
        ),
        "OTHER": iter([("invoke", json_body({"outputs": [{"text": ""}]})), ("bytes", Body(b"\x00\x01", "x/y"))]),
    }


def healthy() -> list[tuple[str, bool, str, Body]]:
    """Each good answer: the name of its format, whether it is a stream, its own name, and its bytes."""
    found = [
        *(("CHAT", False, *one) for one in _chats()),
        *(("CHAT", True, *one) for one in _chat_streams()),
        *(("MESSAGES", False, *one) for one in _anthropic()),
        *(("MESSAGES", True, *one) for one in _anthropic_streams()),
        *(("RESPONSES", False, *one) for one in _responses()),
        *(("RESPONSES", True, *one) for one in _response_streams()),
        *(("GEMINI", False, *one) for one in _gemini()),
        *(("GEMINI", True, *one) for one in _gemini_streams()),
    ]
    for name, answers in _others().items():
        api, _, is_stream = name.partition(" ")
        found += [(api, bool(is_stream), *one) for one in answers]
    return found
