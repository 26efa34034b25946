"""Answers of 200 that servers in front of a model have been seen to send, which only look like the other kind."""

from __future__ import annotations

import json

import httpx
import pytest
from litellm.litellm_core_utils.failure import failure_of_error
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.litellm_core_utils.inband_aws import JudgedAwsStream
from litellm.litellm_core_utils.inband_failure import error_in
from litellm.litellm_core_utils.inband_formats import Api
from litellm.litellm_core_utils.inband_http import api_of, judge_answer
from litellm.litellm_core_utils.inband_stream import JudgedStream, judge_body

from support import aws_events
from support.healthy_answers import CALL, USAGE
from support.inband_shapes import events
from support.provider_formats import Json

HALF = "half an answer"


def chunk(finish: str | None = None, **delta: object) -> Json:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def failed_stream(api: Api, content: bytes) -> FailureKind | None:
    """The kind of failure that a stream of `content` is, None if it is an answer."""
    stream = JudgedStream(api)
    failure = next((part.failure for part in stream.feed(content) if part.failure), None) or stream.end().failure
    return failure and failure.kind


def whole(message: Json) -> bytes:
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE}).encode()


HEALTHY = {
    "blank lines for minutes": (Api.CHAT, b"\n" * 5000 + whole({"content": None, "tool_calls": [CALL]}), ""),
    "blank lines, a response": (
        Api.RESPONSES,
        b"\n" * 5000 + json.dumps({"status": "completed", "output": [{"type": "reasoning", "summary": []}]}).encode(),
        "",
    ),
    "a sound that is called a page": (Api.SPEECH, b"ID3\x04abc\xff\xfb", "text/html; charset=utf-8"),
    "a silence": (Api.TRANSCRIPTION, b"\n", "text/plain"),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_odd_answer_is_one(name: str) -> None:
    """Blank lines keep a connection, a label is no content, and a silence has no words."""
    api, content, label = HEALTHY[name]
    assert judge_body(api, content, label) is None


def test_sound_is_no_json_cut_short() -> None:
    """What is called JSON and cannot be decoded is no sound; what is not called so may be one."""
    assert judge_body(Api.SPEECH, b'{"id": "x", "au', "application/json") is not None
    assert judge_body(Api.SPEECH, b'{"id": "x", "au', "audio/pcm") is None


HEALTHY_STREAMS: dict[str, tuple[Api, list[object]]] = {
    "usage in the choice": (
        Api.CHAT,
        [
            chunk(role="assistant", content=""),
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]},
            "[DONE]",
        ],
    ),
    "words in a finished item alone": (
        Api.RESPONSES,
        [
            {"type": "response.created", "response": {"status": "in_progress"}},
            {
                "type": "response.output_item.done",
                "item": {"type": "message", "content": [{"type": "output_text", "text": "pong"}]},
            },
            {"type": "response.completed", "response": {"status": "completed", "output": [], "usage": None}},
        ],
    ),
    "an odd event, and an end": (Api.CHAT, [chunk(content=HALF), {"took_ms": 3}, chunk("stop"), "[DONE]"]),
}


@pytest.mark.parametrize("name", HEALTHY_STREAMS)
def test_odd_stream_is_an_answer(name: str) -> None:
    """What was said or billed elsewhere than usual was said and billed, and an event beside it does no harm."""
    api, data = HEALTHY_STREAMS[name]
    assert failed_stream(api, events(*data).content) is None


SAID: list[object] = [
    {"type": "message_start", "message": {"type": "message", "content": [], "usage": {}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": HALF}},
]
PARTS: list[object] = [{"candidates": [{"content": {"role": "model", "parts": [{"text": HALF}]}}]}]
NO_ENDS: dict[str, tuple[Api, list[object]]] = {
    **{
        f"a message, {name}": (Api.MESSAGES, [*SAID, event])
        for name, event in (
            ("keepalive", {"type": "keepalive"}),
            ("nothing", {}),
            ("unknown", {"type": "vertex_event"}),
            ("text", {"message": "Endpoint request timed out"}),
            ("done", "[DONE]"),
        )
    },
    "Google's, done": (Api.GEMINI, [*PARTS, "[DONE]"]),
    **{
        f"a chat, {name}, done": (Api.CHAT, [chunk(content=HALF), event, "[DONE]"])
        for name, event in (
            ("Cerebras", {"message": "m", "type": "too_many_requests_error", "code": "queue_exceeded"}),
            ("RFC 9457", {"type": "about:blank", "title": "Too Many Requests", "status": 429}),
            ("FastAPI", {"detail": [{"loc": ["body"]}]}),
            ("errors", {"errors": {"base": "busy"}}),
            ("err", {"err": "busy"}),
            ("Apigee", {"fault": {"faultstring": "quota"}}),
            ("text", "Internal Server Error"),
        )
    },
}


@pytest.mark.parametrize("name", NO_ENDS)
def test_odd_event_is_no_end(name: str) -> None:
    """What only some gateway knows the meaning of ends no answer, nor does a `[DONE]` after it or in other formats."""
    api, data = NO_ENDS[name]
    assert failed_stream(api, events(*data).content) is FailureKind.INTERRUPTED


def test_text_amid_a_stream_is_no_end() -> None:
    """Nor does an event that is no JSON."""
    content = events(chunk(content=HALF)).content + b"data: upstream timeout\n\ndata: [DONE]\n\n"
    assert failed_stream(Api.CHAT, content) is FailureKind.INTERRUPTED


@pytest.mark.parametrize("api", [Api.CHAT, Api.RESPONSES, Api.MESSAGES, Api.GEMINI, Api.COHERE, Api.OLLAMA])
def test_cut_json_is_no_stream(api: Api) -> None:
    """A whole body that cannot be decoded is read by nobody."""
    assert failed_stream(api, b'{"id": "x", "finish_rea') is FailureKind.GARBLED


def test_bare_chunk_is_no_whole_answer() -> None:
    """A chunk without the form of an event stays one: it was completed to an answer."""
    content = json.dumps(chunk(content=HALF)).encode()
    passed_on = b"".join(part.passed_on for part in JudgedStream(Api.CHAT).feed(content))
    assert passed_on + _end(Api.CHAT, content) == content


def _end(api: Api, content: bytes) -> bytes:
    stream = JudgedStream(api)
    list(stream.feed(content))
    return stream.end().passed_on


@pytest.mark.parametrize(
    ("first", "kind"), [([], FailureKind.GARBLED), (aws_events.converse(HALF)[:3], FailureKind.INTERRUPTED)]
)
def test_unreadable_aws_message_is_a_failure(first: list[bytes], kind: FailureKind) -> None:
    """A message whose checksum is wrong ends the stream for whoever reads it."""
    stream = JudgedAwsStream(Api.CONVERSE)
    *_, last = stream.feed(b"".join(first) + b"\x00\x00\x00\x10" + b"x" * 40)
    failure = last.failure
    assert failure is not None
    assert failure.kind is kind


CODES: dict[str, tuple[Json, int]] = {
    "text and number": ({"error": "Too many requests", "code": 429}, 429),
    "text and word": ({"error": "slow down", "code": "rate_limit_exceeded"}, 429),
    "xAI": (
        {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: x"},
        401,
    ),
    "Spring": ({"status": 429, "error": "Too Many Requests"}, 429),
    "Nest": ({"statusCode": 503, "message": "m", "error": "Service Unavailable"}, 503),
    "API Management": ({"statusCode": 429, "message": "Rate limit is exceeded."}, 429),
    "text-generation-inference": ({"error": "Model is overloaded", "error_type": "overloaded"}, 503),
    "in a list": ({"error": [{"code": 429, "message": "m"}]}, 429),
    "a fraction": ({"error": {"code": 429.0, "message": "m"}}, 429),
    "http_status": ({"error": {"http_status": 429}}, 429),
    "errors, a text": ({"errors": "busy"}, 500),
    "overloaded": ({"error": {"message": "m", "type": "overloaded"}}, 503),
    "Mistral": ({"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"}, 429),
    "Moonshot": ({"error": {"message": "m", "type": "engine_overloaded_error"}}, 429),
    "Databricks": ({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "m"}, 429),
    "endless digits": ({"error": {"message": "m", "code": "1" * 5000}}, 500),
}


@pytest.mark.parametrize("name", CODES)
def test_code_beside_the_error_counts(name: str) -> None:
    """The status is that of the code, wherever in the error it stands."""
    value, status = CODES[name]
    found = error_in(value)
    assert found is not None
    assert failure_of_error(found).http_status == status


@pytest.mark.parametrize("status", [302, 303, 307])
def test_login_page_is_no_answer(status: int) -> None:
    """Where a gateway sends the request to a page of its own, what is judged is what was asked for."""

    def gateway(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/login":
            return httpx.Response(200, content=b"<html>Log in</html>", headers={"content-type": "text/html"})
        return httpx.Response(status, headers={"location": "/login"})

    with httpx.Client(transport=httpx.MockTransport(gateway), follow_redirects=True) as client:
        answer = client.post("https://llm.example/v1/audio/speech", json={})
    assert api_of(answer) is Api.SPEECH
    with pytest.raises(httpx.DecodingError):
        judge_answer(answer)
