"""The events of two answers of /v1/messages become those of one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litellm.router_utils.failover.message_halves import MessageHalves, PartOfEvent, split_at_failure, whole_events
from litellm.router_utils.failover.stream_recovery import Diverged, Half, halves

from support.inband_provider import claude
from support.provider_formats import stream

ANSWER = "one two three four"
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}


def written(*events: Any) -> bytes:
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events)


def delta(text: str, index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}


def opened(block: dict[str, Any] | None = None, index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block or {"type": "text", "text": ""}}


START = claude("")[0]
assert START["type"] == "message_start"


def begun(*events: Any) -> MessageHalves:
    """A first half that has broken off after its `events`."""
    answer = MessageHalves()
    answer.take(written(START, *events))
    answer.broke("claude-3-5-haiku-20241022", "")
    return answer


def heard(answer: MessageHalves) -> list[dict[str, Any]]:
    """The events the caller has."""
    assert all(isinstance(piece, bytes) for piece in answer.passed_on)
    lines = b"".join(piece for piece in answer.passed_on if isinstance(piece, bytes)).decode().splitlines()
    return [json.loads(line[5:]) for line in lines if line.startswith("data:")]


def texts(events: list[dict[str, Any]]) -> str:
    return "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")


@given(cut=st.integers(1, len(ANSWER) - 1), step=st.integers(1, 40), half=st.sampled_from(Half))
def test_two_halves_are_one_answer(cut: int, step: int, half: Half) -> None:
    """One beginning, one block, every word once, one end; however the second one's bytes come."""
    answer = begun(opened(), delta(ANSWER[:cut]))
    answer.join(half)
    kept = ANSWER[:cut].rstrip()
    second = stream("anthropic", "m", ANSWER if half is Half.RESTARTED else ANSWER[len(kept) :])
    for begin in range(0, len(second), step):
        answer.take(second[begin : begin + step])
    events = heard(answer)
    assert answer.is_joined
    assert texts(events) == ANSWER
    kinds = [event["type"] for event in events if event["type"] != "content_block_delta"]
    assert [kinds.count(kind) for kind in ("message_start", "content_block_start", "content_block_stop")] == [1, 1, 1]
    assert kinds[-2:] == ["message_delta", "message_stop"]


def test_nothing_more_to_say_ends_the_block() -> None:
    """A second answer without a block, to a prefill that was complete, ends the caller's block and message."""
    answer = begun(opened(), delta(ANSWER))
    answer.join(Half.CONTINUED)
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
    answer.take(written(START, end, {"type": "message_stop"}))
    events = heard(answer)
    assert [one["type"] for one in events[-3:]] == ["content_block_stop", "message_delta", "message_stop"]
    assert (texts(events), answer.is_joined, events[-2]["usage"]["output_tokens"]) == (ANSWER, True, 5)


@given(
    cuts=st.lists(st.integers(0, 900), max_size=8),
    line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
async def test_pieces_are_of_whole_events(cuts: list[int], line_end: bytes) -> None:
    """However the network cuts a stream, each piece that is passed on ends with an event."""
    sent = written(START, opened(), delta("one"), delta(" two")).replace(b"\n", line_end)
    places = sorted({0, len(sent), *(min(cut, len(sent)) for cut in cuts)})

    async def pieces() -> AsyncIterator[object]:
        for begin, end in pairwise(places):
            yield sent[begin:end]

    got = [piece async for piece in whole_events(pieces())]
    assert b"".join(piece for piece in got if isinstance(piece, bytes)) == sent
    assert all(isinstance(piece, bytes) and piece.endswith(line_end * 2) for piece in got)


async def test_line_ends_may_differ() -> None:
    """An event ends where its last line ends otherwise than those before it (WHATWG HTML, section 9.2.5)."""
    first = written(delta("one"))[:-1] + b"\r\n"

    async def pieces() -> AsyncIterator[object]:
        yield first + b"event: x\n"

    assert [piece async for piece in whole_events(pieces())][0] == first


@given(cuts=st.lists(st.integers(0, 3 * 1024 * 1024), max_size=8))
@settings(max_examples=25)
async def test_long_event_is_no_failure(cuts: list[int]) -> None:
    """An event that is too long to be waited for is passed on in parts, of which none is judged; those after it are."""
    long = written(delta("x" * 2 * 1024 * 1024))
    sent = written(delta("one")) + long + written(delta("two"), {"type": "error", "error": {}})
    places = sorted({0, len(sent), *(min(cut, len(sent)) for cut in cuts)})

    async def pieces() -> AsyncIterator[object]:
        for begin, end in pairwise(places):
            yield sent[begin:end]

    got: list[Any] = [piece async for piece in whole_events(pieces())]
    assert b"".join(got) == sent
    judged = [split_at_failure(piece) for piece in got if not isinstance(piece, PartOfEvent)]
    assert [one.data for one in judged if one] == [{"type": "error", "error": {}}]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("told", [b'{"type":"error","error":{}}', b'{"type":"content_block_delta"', b"[DONE]", b"ping"])
def test_failure_in_a_piece(told: bytes, line_end: bytes) -> None:
    """An error, and what begins like JSON and is none, is found among events; what other servers add is none."""
    before = written(delta("one")).replace(b"\n", line_end)
    piece = before + b"event: x" + line_end + b"data: " + told + line_end * 2
    found = split_at_failure(piece)
    if told[:1] != b"{":
        assert found is None
    else:
        assert found is not None
        assert (found.before, found.told) == (before, piece[len(before) :])
        assert (found.data is None) == (not told.endswith(b"}}"))


def test_output_of_both_is_counted() -> None:
    """The end tells the tokens of both halves."""
    answer = begun(opened(), delta("one two"))
    answer.join(Half.CONTINUED)
    answer.take(written(START, opened(), delta(" three")))
    answer.take(written({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}))
    assert heard(answer)[-1]["usage"]["output_tokens"] == 7


@pytest.mark.parametrize("told", [{}, {"input_tokens": 30, "cache_read_input_tokens": 9}], ids=["no more", "all"])
def test_input_of_both_is_counted(told: dict[str, int]) -> None:
    """So does it the input, which a client takes from the end where it is there; it has the first half's by now."""
    usage = {"input_tokens": 20, "cache_read_input_tokens": 1000, "output_tokens": 1}
    second = {"input_tokens": 30, "cache_read_input_tokens": 9, "output_tokens": 1}
    answer = MessageHalves()
    answer.take(written({**START, "message": {**START["message"], "usage": usage}}, opened(), delta("one two")))
    answer.broke("claude-3-5-haiku-20241022", "")
    answer.join(Half.CONTINUED)
    answer.take(written({**START, "message": {**START["message"], "usage": second}}, opened(), delta(" three")))
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {**told, "output_tokens": 5}}
    answer.take(written(end))
    assert heard(answer)[-1]["usage"] == {"input_tokens": 50, "cache_read_input_tokens": 1009, "output_tokens": 7}


def test_cached_prompt_is_counted() -> None:
    """What a half has read of a prompt's cache, or written to it, was read; it is no part of its input."""
    usage = {"input_tokens": 20, "cache_creation_input_tokens": 300, "cache_read_input_tokens": 1000}
    answer = MessageHalves()
    answer.take(written({**START, "message": {**START["message"], "usage": usage}}, opened(), delta("one")))
    answer.broke("claude-3-5-haiku-20241022", "")
    assert [read for read, _ in answer.spent_tokens()] == [1320]
    assert answer.cached_tokens == (300, 1000)


def test_another_answer_is_not_mixed_in() -> None:
    """Nothing of a second answer that is another one is passed on."""
    answer = begun(opened(), delta("one two"))
    answer.join(Half.RESTARTED)
    with pytest.raises(Diverged):
        answer.take(written(START, opened(), delta("two three")))
    assert texts(heard(answer)) == "one two"


def test_a_call_is_not_joined() -> None:
    """A second answer that is a call does not follow words."""
    answer = begun(opened(), delta("one two"))
    answer.join(Half.CONTINUED)
    with pytest.raises(Diverged):
        answer.take(written(START, opened(CALL)))


@pytest.mark.parametrize(
    "events",
    [
        [opened(CALL)],
        [opened({"type": "thinking", "thinking": ""})],
        [opened(), delta("one"), opened(index=1), delta("two", 1)],
        [opened(), delta("one"), {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}],
        [opened(), delta("one"), {"type": "message_stop"}],
        [opened(), delta("one"), {"type": "content_block_stop", "index": 0}],
    ],
    ids=["call", "thought", "two blocks", "reason", "end", "end of the block"],
)
def test_what_is_more_than_words_is_final(events: list[Any]) -> None:
    """No second answer is asked for after a call, a thought, a second block or an end."""
    assert halves(begun(*events).sent, {}) == ()


def test_words_can_be_continued() -> None:
    """In a block of text the rest can be asked for, before it the whole."""
    assert halves(begun(opened(), delta("one")).sent, {}) == (Half.CONTINUED, Half.RESTARTED)
    assert halves(begun().sent, {}) == (Half.RESTARTED,)
