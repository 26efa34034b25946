"""What plainly is an answer is not decoded once more, and no failure is taken for it."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.litellm_core_utils import inband_stream
from litellm.litellm_core_utils.inband_failure import BROKEN_OFF
from litellm.litellm_core_utils.inband_formats import Api
from litellm.litellm_core_utils.inband_stream import JudgedStream, judge_body

from support.healthy_answers import healthy
from support.inband_shapes import BREAKS, ERRORS, faults, read_along
from support.provider_formats import EMBEDDING, whole

API_OF_FORMAT = {
    **{"chat": Api.CHAT, "text": Api.CHAT, "embedding": Api.EMBEDDING, "responses": Api.RESPONSES},
    **{"anthropic": Api.MESSAGES, "gemini": Api.GEMINI, "ollama": Api.OLLAMA, "cohere": Api.COHERE},
}
PLAIN_ANSWERS = {
    "chat": (Api.CHAT, whole("openai", "m", "pong")),
    "text": (Api.CHAT, whole("openai_text", "m", "pong")),
    "embeddings": (Api.EMBEDDING, whole("openai_embeddings", "m", "pong")),
    "base64 embedding": (Api.EMBEDDING, {"data": [{"object": "embedding", "index": 0, "embedding": "AACAPw=="}]}),
    "embeddings of Cohere": (Api.EMBEDDING, {"embeddings": [EMBEDDING]}),
    "messages": (Api.MESSAGES, whole("anthropic", "m", "pong")),
    "gemini": (Api.GEMINI, whole("gemini", "m", "pong")),
}
ONE_GOES_ON = {"index": 0, "delta": {"content": "more"}, "finish_reason": None}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "more"}}
RESPONSE_DELTA = {"type": "response.output_text.delta", "sequence_number": 4, "item_id": "m", "delta": "more"}
GOING_ON: dict[str, tuple[Api, bytes]] = {
    "chat": (Api.CHAT, b"data: %s\n\n" % json.dumps({"choices": [ONE_GOES_ON]}).encode()),
    "compact": (Api.CHAT, b'data:{"choices":[{"delta":{"content":"more"},"finish_reason":null}]}\r\n\r\n'),
    "messages": (Api.MESSAGES, b"event: content_block_delta\ndata: %s\n\n" % json.dumps(DELTA).encode()),
    "responses": (
        Api.RESPONSES,
        b"event: response.output_text.delta\ndata: %s\n\n" % json.dumps(RESPONSE_DELTA).encode(),
    ),
    "gemini": (Api.GEMINI, b'data: {"candidates": [{"content": {"parts": [{"text": "more"}]}}]}\r\n\r\n'),
    "ollama": (Api.OLLAMA, b'{"model":"m","message":{"role":"assistant","content":"more"},"done":false}\n'),
    "cohere": (
        Api.COHERE,
        b'event: content-delta\ndata: {"type":"content-delta","delta":{"message":{"content":{"text":"more"}}}}\n\n',
    ),
}
BEGINNING = ("chat", "compact", "messages")
"""Those of which the first words are known by their bytes."""

ROLE = (
    b"data: %s\n\n"
    % json.dumps(
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
    ).encode()
)
BODIES = [
    *((Api[api], body.content) for api, streamed, _, body in healthy() if not streamed),
    *((API_OF_FORMAT[format], body.content) for format in API_OF_FORMAT for body in faults(format, False).values()),
]
STREAMED = [
    *((Api[api], body.content) for api, streamed, _, body in healthy() if streamed),
    *((API_OF_FORMAT[format], body.content) for format in API_OF_FORMAT for body in BREAKS.get(format, {}).values()),
    *((API_OF_FORMAT[format], body.content) for format in API_OF_FORMAT for body in faults(format, True).values()),
]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is decoded from now on."""
    found: list[bytes] = []
    original = inband_stream.decoded_json

    def noted(content: bytes, otherwise: object) -> object:
        found.append(content)
        return original(content, otherwise)

    monkeypatch.setattr(inband_stream, "decoded_json", noted)
    return found


def judged(api: Api, pieces: list[bytes]) -> tuple[bytes, Any]:
    """What of a stream is passed on, and the failure it is."""
    return read_along(JudgedStream(api), pieces)


def without_fast_path() -> Any:
    """Have everything decoded for as long as a block runs."""
    return mock.patch.multiple(inband_stream, PLAIN_ANSWERS={}, PLAIN_EVENTS={})


@pytest.mark.parametrize("name", PLAIN_ANSWERS)
def test_plain_answer_is_not_decoded(decoded: list[bytes], name: str) -> None:
    """A whole answer that says something and names no failure is left to LiteLLM to decode."""
    api, answer = PLAIN_ANSWERS[name]
    assert judge_body(api, json.dumps(answer).encode()) is None
    assert judge_body(api, json.dumps(answer, separators=(",", ":")).encode()) is None
    assert decoded == []


@pytest.mark.parametrize("name", GOING_ON)
def test_middle_of_stream_is_not_decoded(decoded: list[bytes], name: str) -> None:
    """Once a stream has said something, an event that only goes on with it is passed on, alone or with others."""
    api, event = GOING_ON[name]
    stream = JudgedStream(api)
    assert list(stream.feed(event)) == [(event, None, b"")]
    begun = len(decoded)
    assert begun == (name not in BEGINNING)
    assert list(stream.feed(event)) == [(event, None, b"")]
    assert list(stream.feed(event * 20)) == [(event * 20, None, b"")]
    assert len(decoded) == begun


def test_beginning_of_stream_is_not_decoded(decoded: list[bytes]) -> None:
    """The first words of a chat are passed on as they are, and so is the role that comes with them; one that comes
    alone has said nothing yet."""
    _, event = GOING_ON["chat"]
    assert read_along(JudgedStream(Api.CHAT), [ROLE + event * 2])[0] == ROLE + event * 2
    assert decoded == []
    alone = JudgedStream(Api.CHAT)
    assert list(alone.feed(ROLE)) == [(ROLE, None, b"")]
    assert len(decoded) == 1
    assert list(alone.feed(event)) == [(event, None, b"")]
    assert len(decoded) == 1


def test_words_are_not_kept_for_the_end(decoded: list[bytes]) -> None:
    """What follows the words in one piece is looked at once they have been taken."""
    _, event = GOING_ON["chat"]
    end = event.replace(b"null", b'"stop"')
    parts = JudgedStream(Api.CHAT).feed(ROLE + event * 3 + end)
    assert next(parts).passed_on == ROLE + event
    assert next(parts).passed_on == event * 2
    assert decoded == []
    assert [part.passed_on for part in parts] == [end]
    assert len(decoded) == 1


@pytest.mark.parametrize("name", BEGINNING)
@pytest.mark.parametrize(("before", "after"), [(b"event: error\n", b""), (b"", b', "usage": {"prompt_tokens": 7}')])
def test_beginning_that_tells_more(name: str, before: bytes, after: bytes) -> None:
    """First words under the name of an error, or with what they cost, are judged as they would be alone."""
    api, event = GOING_ON[name]
    data = event[event.index(b"data:") :]
    end = data.rindex(b"}")
    first = before + data[:end] + after + data[end:]
    found = JudgedStream(api)
    judged_so = read_along(found, [first + event])
    with without_fast_path():
        wanted = JudgedStream(api)
        assert read_along(wanted, [first + event]) == judged_so
    assert found.billed == wanted.billed
    assert judged_so[1] is not BROKEN_OFF or found.billed is not None


@pytest.mark.parametrize("delta", ['{"content": "", "meta": {"content": "x"}}', '{"content": ""}', '{"notes": "x"}'])
def test_words_elsewhere_are_no_beginning(delta: str) -> None:
    """What stands in none of the places where a delta says something is not taken for its words."""
    event = b'data: {"choices": [{"index": 0, "delta": %s, "finish_reason": null}]}\n\n' % delta.encode()
    stream = JudgedStream(Api.CHAT)
    assert list(stream.feed(event)) == [(event, None, b"")]
    failure = stream.end().failure
    assert failure is not None
    with without_fast_path():
        assert judged(Api.CHAT, [event])[1] == failure


@pytest.mark.parametrize("name", GOING_ON)
@pytest.mark.parametrize("error", ['"error": {"code": 503, "message": "gone"}', '"\\u0065rror": "gone"'])
def test_error_in_middle_is_noticed(name: str, error: str) -> None:
    """An event that looks as if it went on, but holds an error, is a failure, and what was before it is passed on."""
    api, event = GOING_ON[name]
    end = event.rindex(b"}")
    failed = event[:end] + f", {error}".encode() + event[end:]
    passed_on, failure = judged(api, [event * 3 + failed])
    assert passed_on.startswith(event * 3)
    assert failure is not None or passed_on == event * 3 + failed  # its reader is told, see `inband_failure`
    with without_fast_path():
        assert judged(api, [event * 3 + failed]) == (passed_on, failure)


def test_one_of_two_choices_may_end() -> None:
    """An event in which one choice goes on and another one ends is the end of the latter, and not of the stream."""
    begins = {"index": 1, "delta": {"content": "p"}, "finish_reason": None}
    ends = {"index": 1, "delta": {}, "finish_reason": "stop"}
    first, second, last = (
        b"data: %s\n\n" % json.dumps({"choices": choices}).encode()
        for choices in ([ONE_GOES_ON, begins], [ONE_GOES_ON, ends], [{**ends, "index": 0}])
    )
    assert judged(Api.CHAT, [first, second, last]) == (first + second + last, None)
    assert judged(Api.CHAT, [first, second])[1] is BROKEN_OFF


@pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{body[0].name} {body[1][:60]!r}")
def test_fast_path_agrees_on_answers(body: tuple[Api, bytes]) -> None:
    """A whole answer is judged the same with the fast path and without."""
    found = judge_body(*body)
    with without_fast_path():
        assert judge_body(*body) == found


@given(st.sampled_from(STREAMED), st.data())
def test_fast_path_agrees_on_streams(answer: tuple[Api, bytes], data: st.DataObject) -> None:
    """A stream is judged the same with the fast path and without, wherever it is cut."""
    api, content = answer
    cuts = sorted(data.draw(st.sets(st.integers(0, len(content)), max_size=5)))
    pieces = [content[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    found = judged(api, pieces)
    with without_fast_path():
        assert judged(api, pieces) == found


FAILED = [error for error in ERRORS.values() if isinstance(error, dict)]


@given(st.sampled_from(sorted(PLAIN_ANSWERS)), st.sampled_from(FAILED), st.booleans(), st.booleans())
def test_fast_path_takes_no_error_for_answer(
    name: str, error: dict[str, Any], error_first: bool, compact: bool
) -> None:
    """An error in the middle of a plain answer is a failure still."""
    api, answer = PLAIN_ANSWERS[name]
    mixed = {**error, **answer} if error_first else {**answer, **error}
    content = json.dumps(mixed, separators=(",", ":") if compact else None).encode()
    found = judge_body(api, content)
    with without_fast_path():
        assert judge_body(api, content) == found
