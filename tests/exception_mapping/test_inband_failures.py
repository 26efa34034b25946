"""What an answer of 200 is taken for: its bytes are read as they come, whole and in a stream."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.litellm_core_utils import inband_stream
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.litellm_core_utils.inband_aws import AWS_STREAM
from litellm.litellm_core_utils.inband_failure import error_in, judge_value
from litellm.litellm_core_utils.inband_formats import Api
from litellm.litellm_core_utils.inband_stream import JudgedStream, judge_body

from support.healthy_answers import healthy
from support.inband_shapes import BREAKS, CODES, ERRORS, NO_JSON, STREAMS, WHOLE, Body, faults, json_body, read_along

API_OF_FORMAT = {
    "chat": Api.CHAT,
    "text": Api.CHAT,
    "embedding": Api.EMBEDDING,
    "image": Api.IMAGE,
    "rerank": Api.RERANK,
    "moderation": Api.MODERATION,
    "speech": Api.SPEECH,
    "transcription": Api.TRANSCRIPTION,
    "responses": Api.RESPONSES,
    "anthropic": Api.MESSAGES,
    "gemini": Api.GEMINI,
    "ollama": Api.OLLAMA,
    "cohere": Api.COHERE,
    "bedrock": Api.CONVERSE,
    "bedrock claude": Api.MESSAGES,
}
HEALTHY = [pytest.param(*row, id=f"{row[0]}, {'stream' if row[1] else 'whole'}, {row[2]}") for row in healthy()]
SHAPES = [
    *((format, False, name, body) for format in WHOLE for name, body in faults(format, False).items()),
    *(
        (format, True, name, body)
        for format in STREAMS
        for name, body in faults(format, True).items()
        if body.type != AWS_STREAM
    ),
]
A_TRANSCRIPT = ("transcription", False, "plain text")
"""Text is what a transcription may be."""
NOTHING_AT_ALL = "empty"
"""Streamed, it is LiteLLM that notices."""


def read(api: Api, pieces: list[bytes], **options: bool) -> tuple[bytes, Any]:
    """What is passed on of a stream that comes in `pieces`, and the failure that ends it, if one does."""
    return read_along(JudgedStream(api, **options), pieces)


def judged(api: Api, streamed: bool, body: Body) -> Any:
    """The failure that a body is."""
    return read(api, [body.content])[1] if streamed else judge_body(api, body.content, body.type)


def test_there_are_many_healthy_answers() -> None:
    """More than two hundred good answers are known."""
    assert len(HEALTHY) >= 200


@pytest.mark.parametrize(("api", "streamed", "name", "body"), HEALTHY)
def test_healthy_answer_is_left_alone(api: str, streamed: bool, name: str, body: Body) -> None:
    """A good answer is no failure, and each byte of a stream is passed on, wherever it is cut."""
    if not streamed:
        assert judge_body(Api[api], body.content, body.type) is None
        return
    cuts = [[body.content], [body.content[at : at + 1] for at in range(len(body.content))]]
    assert [read(Api[api], pieces) for pieces in cuts] == [(body.content, None)] * 2


@pytest.mark.parametrize(
    ("format", "streamed", "name", "body"), [pytest.param(*row, id=f"{row[0]}-{row[1]}-{row[2]}") for row in SHAPES]
)
def test_failure_in_answer_is_found(format: str, streamed: bool, name: str, body: Body) -> None:
    """Each shape of failure is found, whole and cut into single bytes, before anything of an answer is passed on."""
    found = judged(API_OF_FORMAT[format], streamed, body)
    if (format, streamed, name) == A_TRANSCRIPT or (streamed and name == NOTHING_AT_ALL):
        assert found is None
        return
    assert found is not None
    assert found.kind not in (FailureKind.INTERNAL, FailureKind.INTERRUPTED)
    if streamed:
        cut = [body.content[at : at + 1] for at in range(len(body.content))]
        assert read(API_OF_FORMAT[format], cut)[1] == found


KINDS: dict[str, tuple[FailureKind, int | None]] = {
    "number": (FailureKind.RATE_LIMITED, 429),
    "number as text": (FailureKind.RATE_LIMITED, 429),
    "server's number": (FailureKind.SERVER_ERROR, 500),
    "word": (FailureKind.RATE_LIMITED, 429),
    "type": (FailureKind.SERVER_ERROR, 500),
    "overloaded": (FailureKind.UNAVAILABLE, 529),
    "is overloaded": (FailureKind.UNAVAILABLE, 503),
    "quota": (FailureKind.OUT_OF_CREDIT, 402),
    "number and word": (FailureKind.RATE_LIMITED, 429),
    "no code": (FailureKind.SERVER_ERROR, 500),
    "unknown word": (FailureKind.SERVER_ERROR, 500),
    "text": (FailureKind.SERVER_ERROR, 500),
    "flat": (FailureKind.UNAVAILABLE, 503),
    "flat word": (FailureKind.RATE_LIMITED, 429),
    "object": (FailureKind.SERVER_ERROR, 500),
    "anthropic": (FailureKind.UNAVAILABLE, 529),
    "google": (FailureKind.RATE_LIMITED, 429),
    "google's list": (FailureKind.UNAVAILABLE, 503),
    "google's word": (FailureKind.UNAVAILABLE, 503),
    "errors": (FailureKind.RATE_LIMITED, 429),
    "detail": (FailureKind.GARBLED, None),
    "message": (FailureKind.GARBLED, None),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_has_its_kind(name: str) -> None:
    """An error object in a chat's answer has the kind and the status that its code stands for."""
    found: Any = judge_value(Api.CHAT, ERRORS[name])
    assert (found.kind, found.http_status) == KINDS[name]


KINDS_OF_CODES: dict[str, tuple[FailureKind, int]] = {
    "qianfan's limit": (FailureKind.RATE_LIMITED, 429),
    "qianfan's token": (FailureKind.BAD_CREDENTIALS, 401),
    "qianfan's load": (FailureKind.UNAVAILABLE, 503),
    "qianfan's unknown": (FailureKind.SERVER_ERROR, 500),
    "zhipu's limit": (FailureKind.RATE_LIMITED, 429),
    "zhipu's balance": (FailureKind.OUT_OF_CREDIT, 402),
    "zhipu, flat": (FailureKind.RATE_LIMITED, 429),
    "zhipu's unknown": (FailureKind.SERVER_ERROR, 500),
    "minimax's balance": (FailureKind.OUT_OF_CREDIT, 402),
    "minimax's tokens": (FailureKind.RATE_LIMITED, 429),
    "minimax's unknown": (FailureKind.SERVER_ERROR, 500),
    "nim": (FailureKind.RATE_LIMITED, 429),
    "deepgram's credit": (FailureKind.OUT_OF_CREDIT, 402),
    "deepgram's key": (FailureKind.BAD_CREDENTIALS, 401),
    "deepgram's limit": (FailureKind.RATE_LIMITED, 429),
    "elevenlabs' credit": (FailureKind.OUT_OF_CREDIT, 402),
    "elevenlabs' load": (FailureKind.UNAVAILABLE, 503),
    "elevenlabs' limit": (FailureKind.RATE_LIMITED, 429),
    "elevenlabs' unknown": (FailureKind.SERVER_ERROR, 500),
    "no success": (FailureKind.SERVER_ERROR, 500),
}


@pytest.mark.parametrize("api", list(Api))
@pytest.mark.parametrize("name", CODES)
def test_provider_code_has_its_kind(name: str, api: Api) -> None:
    """An error in a provider's own codes has the kind that is documented, whole, beside an answer and in a stream."""
    error = json_body(CODES[name]).content
    answer = json.loads(healthy()[0][3].content)
    found: list[Any] = [
        judge_body(api, error, "application/json"),
        judge_body(api, json_body({**answer, **CODES[name]}).content),
        read(api, [b"data: " + error + b"\n\n"])[1],
    ]
    assert {(one.kind, one.http_status) for one in found} == {KINDS_OF_CODES[name]}


@pytest.mark.parametrize("code", ["content_filter", "context_length_exceeded", "invalid_request_error"])
def test_rejected_request_stays_rejected(code: str) -> None:
    """An error that is about the request is told as one of 400."""
    found: Any = judge_value(Api.CHAT, {"error": {"message": "no", "code": code}})
    assert (found.kind, found.http_status) == (FailureKind.REQUEST_REJECTED, 400)


@pytest.mark.parametrize(
    ("format", "name", "body"),
    [(format, *row) for format, shapes in BREAKS.items() for row in shapes.items() if row[1].type != AWS_STREAM],
)
def test_broken_stream_is_no_whole_answer(format: str, name: str, body: Body) -> None:
    """A stream that breaks after its first words is passed on up to there, and ends in a failure or in its format's own
    event of one."""
    cut = [body.content[at : at + 1] for at in range(len(body.content))]
    outcomes = [read(API_OF_FORMAT[format], pieces) for pieces in ([body.content], cut)]
    told_in_the_stream = format in ("responses", "anthropic") and name in ("error", "failed")
    for passed_on, failure in outcomes:
        assert b"half" in passed_on
        assert (failure is None) == told_in_the_stream
        assert not name.startswith("no end") or failure.kind is FailureKind.INTERRUPTED


@pytest.mark.parametrize("format", [format for format in WHOLE if format not in ("speech", "transcription")])
def test_empty_answers_may_pass(format: str) -> None:
    """With `empty_answer: pass` an answer that says nothing passes, and an error does not."""
    api = API_OF_FORMAT[format]
    assert judge_value(api, {}, empty_fails=False) is None
    assert judge_value(api, {"error": {"code": 429}}, empty_fails=False) is not None
    assert judge_body(api, NO_JSON["empty"].content, empty_fails=False) is None


def test_empty_stream_may_pass() -> None:
    """With `empty_answer: pass` a stream of a role and an end passes as it came."""
    content = STREAMS["chat"]["role and end"].content
    assert read(Api.CHAT, [content], empty_fails=False) == (content, None)


@pytest.mark.parametrize(
    "event",
    [
        b'data: {\ndata: "a": 1}\n\n',
        b'data: {\n"a": 1\n}\n\n',
        b"data: ping\n\n",
        b'data: {"a": "\xff"}\n\n',
        b": {\n\n",
    ],
    ids=["several lines", "bare lines", "no object", "not UTF-8", "comment"],
)
def test_odd_event_is_no_failure(event: bytes) -> None:
    """An event that a reader puts together, or that is none of an answer's, takes nothing from the answer."""
    end = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    pieces = [BREAKS["chat"]["no end"].content, event, end]
    assert read(Api.CHAT, pieces) == (b"".join(pieces), None)


@pytest.mark.parametrize("format", [format for format, shapes in BREAKS.items() if shapes["no end"].type != AWS_STREAM])
def test_unfinished_stream_may_pass(format: str) -> None:
    """With `unfinished_stream: pass` a stream that closes without an end passes as it came."""
    content = BREAKS[format]["no end"].content
    assert read(API_OF_FORMAT[format], [content], unfinished_fails=False) == (content, None)


def test_event_of_many_lines_is_decoded_twice() -> None:
    """The data of an event is not decoded again with each line that comes: that took the square of their number."""
    event = b"".join(b"data: %d,\n" % number for number in range(1000))
    with mock.patch.object(inband_stream, "decoded_json", wraps=inband_stream.decoded_json) as decoded:
        read(Api.CHAT, [b"data: [\n" + event + b"data: 0]\n\n"])
    assert decoded.call_count == 2


@pytest.mark.parametrize("format", ["chat", "gemini", "ollama"])
def test_error_never_passes(format: str) -> None:
    """With `unfinished_stream: pass` an error after the first words is one all the same."""
    content = BREAKS[format]["error"].content
    assert read(API_OF_FORMAT[format], [content], unfinished_fails=False)[1] is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    [
        "error",
        "errors",
        "choices",
        "message",
        "delta",
        "content",
        "code",
        "type",
        "status",
        "candidates",
        "output",
        "x_groq",
    ]
    + ["finish_reason", "usage", "response", "base_resp", "done", "detail", "data", "results", "usageMetadata", "parts"]
)
ANSWER_LIKE = st.recursive(
    JSON, lambda inner: st.dictionaries(FIELDS, inner, max_size=5) | st.lists(inner, max_size=3), max_leaves=25
)
APIS = st.sampled_from(list(Api))


@given(APIS, ANSWER_LIKE)
def test_any_json_is_judged(api: Api, value: object) -> None:
    """Whatever JSON an answer or an event is, it is judged without a crash."""
    judge_value(api, value)
    read(api, [b"data: " + json.dumps(value).encode() + b"\n\n"])
    read(api, [json.dumps(value).encode()])


@given(APIS, st.binary(max_size=60))
def test_any_bytes_are_judged(api: Api, content: bytes) -> None:
    """Whatever bytes an answer is, it is judged without a crash."""
    judge_body(api, content)
    read(api, [content])


@given(st.data(), st.sampled_from(SHAPES + [row[0:1] + (True,) + row[2:] for row in SHAPES if not row[1]]))
def test_judgement_does_not_depend_on_cuts(data: st.DataObject, shape: tuple[str, bool, str, Body]) -> None:
    """A stream is judged the same wherever the network cuts it."""
    format, _, _, body = shape
    api, content = API_OF_FORMAT[format], body.content
    cuts = sorted(data.draw(st.sets(st.integers(0, len(content)), max_size=6)))
    pieces = [content[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    assert read(api, pieces)[1] == read(api, [content])[1]


@given(
    st.sampled_from([value for value in ERRORS.values() if isinstance(value, dict) and error_in(value)]),
    APIS,
    st.data(),
)
def test_more_keys_make_no_answer_of_error(error: dict[str, Any], api: Api, data: st.DataObject) -> None:
    """An error stays a failure whatever is beside it."""
    more = data.draw(st.dictionaries(st.text(max_size=9) | FIELDS, ANSWER_LIKE, max_size=4))
    answer = json.loads(healthy()[0][3].content)
    for value in ({**more, **error}, {**answer, **error}):
        assert judge_value(api, value) is not None
