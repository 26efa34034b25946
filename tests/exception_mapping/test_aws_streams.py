"""What a binary stream of Amazon Bedrock's is taken for, as its messages come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.litellm_core_utils.inband_aws import JudgedAwsStream
from litellm.litellm_core_utils.inband_formats import Api

from support import aws_events
from support.inband_provider import claude
from support.inband_shapes import BREAKS, STREAMS, Body, read_along

API_OF_FORMAT = {"bedrock": Api.CONVERSE, "bedrock claude": Api.MESSAGES}
TOOL = {"toolUse": {"toolUseId": "t", "name": "look"}}
THOUGHT = {"delta": {"reasoningContent": {"text": "hm"}}}
HEALTHY: dict[str, tuple[Api, list[bytes]]] = {
    "text": (Api.CONVERSE, aws_events.converse("pong")),
    "a filter": (Api.CONVERSE, aws_events.converse("", "guardrail_intervened", tokens=0)),
    "one token": (Api.CONVERSE, aws_events.converse("", "max_tokens", tokens=1)),
    "empty, with tokens": (Api.CONVERSE, aws_events.converse("", tokens=2)),
    "a tool": (
        Api.CONVERSE,
        [aws_events.event("contentBlockStart", {"start": TOOL}), *aws_events.converse("", "tool_use", tokens=0)],
    ),
    "thoughts": (Api.CONVERSE, [aws_events.event("contentBlockDelta", THOUGHT), *aws_events.converse("", tokens=0)]),
    "Claude's": (Api.MESSAGES, aws_events.invoked(*claude("pong"))),
    "another model's": (Api.OTHER, aws_events.invoked({"generation": "pong", "stop_reason": None})),
}
SHAPES = [
    pytest.param(API_OF_FORMAT[format], body, id=f"{format}, {name}")
    for format in API_OF_FORMAT
    for name, body in STREAMS[format].items()
    if body.type == aws_events.CONTENT_TYPE
]


def read(api: Api, pieces: list[bytes], **options: bool) -> tuple[bytes, Any]:
    """What is passed on of a stream that comes in `pieces`, and the failure that ends it, if one does."""
    return read_along(JudgedAwsStream(api, **options), pieces)


def cut(content: bytes) -> list[bytes]:
    return [content[at : at + 1] for at in range(len(content))]


@pytest.mark.parametrize(("api", "messages"), HEALTHY.values(), ids=HEALTHY)
def test_healthy_stream_is_left_alone(api: Api, messages: list[bytes]) -> None:
    """A good answer is no failure, and each byte of it is passed on, however it is cut."""
    content = b"".join(messages)
    for pieces in (messages, [content], cut(content)):
        assert read(api, pieces) == (content, None)


@pytest.mark.parametrize(("api", "body"), SHAPES)
def test_failure_in_stream_is_found(api: Api, body: Body) -> None:
    """Each exception, error and empty answer is a failure, however the stream is cut."""
    found = read(api, [body.content])[1]
    assert found is not None
    assert found.kind not in (FailureKind.INTERNAL, FailureKind.INTERRUPTED, FailureKind.REQUEST_REJECTED)
    assert read(api, cut(body.content))[1] == found


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("throttlingException", FailureKind.RATE_LIMITED, 429),
        ("serviceUnavailableException", FailureKind.UNAVAILABLE, 503),
        ("internalServerException", FailureKind.SERVER_ERROR, 500),
        ("modelStreamErrorException", FailureKind.SERVER_ERROR, 500),
        ("modelTimeoutException", FailureKind.TIMED_OUT, 408),
        ("validationException", FailureKind.REQUEST_REJECTED, 400),
        ("someNewException", FailureKind.SERVER_ERROR, 500),
    ],
)
def test_exception_has_its_kind(name: str, kind: FailureKind, status: int) -> None:
    """An exception of the service has the kind and the status that its name stands for."""
    found = read(Api.CONVERSE, [aws_events.exception(name)])[1]
    assert (found.kind, found.http_status) == (kind, status)


@pytest.mark.parametrize("format", API_OF_FORMAT)
@pytest.mark.parametrize("name", ["no end", "exception"])
def test_broken_stream_is_no_whole_answer(format: str, name: str) -> None:
    """A stream that breaks after its first words is passed on up to there, and ends in a failure."""
    content = BREAKS[format][name].content
    for pieces in ([content], cut(content)):
        passed_on, failure = read(API_OF_FORMAT[format], pieces)
        assert failure is not None
        assert content.startswith(passed_on)
        assert passed_on
        assert name != "no end" or failure.kind is FailureKind.INTERRUPTED


def test_words_of_an_exception_are_kept() -> None:
    """What tells of a failure are the service's own name for it and its words."""
    (judged,) = JudgedAwsStream(Api.CONVERSE).feed(aws_events.exception("throttlingException", "slow down, please"))
    assert b"throttlingException" in judged.told
    assert b"slow down, please" in judged.told


def test_empty_stream_may_pass() -> None:
    """With `empty_answer: pass` a stream of a role and an end passes as it came."""
    content = b"".join(aws_events.converse("", tokens=0))
    assert read(Api.CONVERSE, [content], empty_fails=False) == (content, None)


def test_unfinished_stream_may_pass() -> None:
    """With `unfinished_stream: pass` a stream that closes without an end passes as it came."""
    content = b"".join(aws_events.converse("half")[:2])
    assert read(Api.CONVERSE, [content], unfinished_fails=False) == (content, None)


@given(st.sampled_from(list(Api)), st.lists(st.binary(max_size=200), max_size=4))
def test_any_bytes_are_passed_on(api: Api, pieces: list[bytes]) -> None:
    """What is no such encoding is a failure, without a crash; as far as it could be one it is passed on."""
    passed_on, failure = read(api, pieces)
    sent = b"".join(pieces)
    assert sent.startswith(passed_on)
    assert failure is not None or passed_on == sent
