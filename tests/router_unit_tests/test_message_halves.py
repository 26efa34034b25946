"""The events of two answers of /v1/messages become those of one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.router_utils.failover.message_halves import MessageHalves
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


def test_output_of_both_is_counted() -> None:
    """The end tells the tokens of both halves."""
    answer = begun(opened(), delta("one two"))
    answer.join(Half.CONTINUED)
    answer.take(written(START, opened(), delta(" three")))
    answer.take(written({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}))
    assert heard(answer)[-1]["usage"]["output_tokens"] == 7


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
