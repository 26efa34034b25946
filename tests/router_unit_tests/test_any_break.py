"""Wherever an answer breaks off, and whatever a second one says: it is whole and right, or ends in an error."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.llms.openai.responses.transformation import OpenAIResponsesAPIConfig
from litellm.router_utils.failover.chat_halves import ChatHalves
from litellm.router_utils.failover.message_halves import MessageHalves
from litellm.router_utils.failover.responses_halves import ResponsesHalves
from litellm.router_utils.failover.stream_recovery import Diverged, Half, Halves, prefill
from litellm.router_utils.failover.token_estimates import estimated_tokens
from litellm.types.utils import Usage

from support.scripted_provider import in_words
from support.streams import chunk

MODEL = "gpt-4o-mini"
PING = [{"role": "user", "content": "ping"}]
SPENT = 1
"""Output tokens that the end of each answer tells."""


class Api(NamedTuple):
    """How an answer is streamed in pieces, of how many items its end is, and what the caller has of one: the text, its
    ends, and the tokens told."""

    ending: int
    halves: Any
    items: Any
    heard: Any


def _chat_items(pieces: list[str]) -> list[Any]:
    end = chunk(finish_reason="stop")
    end.usage = Usage(prompt_tokens=3, completion_tokens=SPENT, total_tokens=3 + SPENT)
    return [chunk(role="assistant", content=""), *(chunk(content=piece) for piece in pieces), end]


def _chat_heard(items: Sequence[Any]) -> tuple[str, int, int | None]:
    ends = [one for one in items if one.choices[0].finish_reason]
    text = "".join(one.choices[0].delta.content or "" for one in items)
    return text, len(ends), ends[-1].usage.completion_tokens if ends else None


def _events(format: Any, pieces: list[str]) -> list[dict[str, Any]]:
    opening, words, ending = in_words(format, MODEL, pieces) if pieces else in_words(format, MODEL, [""])
    lines = [line for event in (*opening, *words, *ending) for line in event.splitlines() if line.startswith("data:")]
    return [json.loads(line[5:]) for line in lines]


def _message_items(pieces: list[str]) -> list[Any]:
    return [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in _events("anthropic", pieces)]


def _message_heard(items: Sequence[Any]) -> tuple[str, int, int | None]:
    lines = b"".join(items).decode().splitlines()
    events = [json.loads(line[5:]) for line in lines if line.startswith("data:")]
    told = [one["usage"]["output_tokens"] for one in events if one["type"] == "message_delta"]
    text = "".join(one["delta"].get("text", "") for one in events if one["type"] == "content_block_delta")
    return text, sum(one["type"] == "message_stop" for one in events), told[-1] if told else None


def _response_items(pieces: list[str]) -> list[Any]:
    config: Any = OpenAIResponsesAPIConfig()
    events = [config.transform_streaming_response(MODEL, one, None) for one in _events("openai_responses", pieces)]
    return [one.model_copy(update={"sequence_number": number}) for number, one in enumerate(events)]


def _response_heard(items: Sequence[Any]) -> tuple[str, int, int | None]:
    text = "".join(one.delta for one in items if one.type == "response.output_text.delta")
    ends = [one.response for one in items if one.type == "response.completed"]
    assert all(end.output[0].content[0].text == text for end in ends)
    numbers = [one.sequence_number for one in items]
    assert numbers == sorted(set(numbers))
    return text, len(ends), ends[-1].usage.output_tokens if ends else None


APIS = {
    "chat": Api(1, lambda: ChatHalves(PING), _chat_items, _chat_heard),
    "messages": Api(3, MessageHalves, _message_items, _message_heard),
    "responses": Api(4, lambda: ResponsesHalves("ping"), _response_items, _response_heard),
}
ANSWERS = st.text("ab \n", min_size=1, max_size=16)  # few letters, so that answers repeat themselves
PLAIN = st.sampled_from(["one two three four", "one two three five", "well, one two"])
SECONDS = ("same", "rest", "another", "broken rest", "broken")


class Second(NamedTuple):
    """What is said after a break: an answer, or a part of one that breaks off as well."""

    text: str
    breaks_off: bool


def second(kind: str, half: Half, answer: str, other: str, sent: str) -> Second:
    rest = answer[len(prefill(sent)) :] if half is Half.CONTINUED else answer
    if kind in ("same", "broken"):
        return Second(answer[: len(answer) // 2 + 1] if kind == "broken" else answer, kind == "broken")
    if kind == "another":
        return Second(other, False)
    return Second(rest[: len(rest) // 2] if kind == "broken rest" else rest, kind == "broken rest")


def pieces_of(text: str, size: int) -> list[str]:
    return [text[begin : begin + size] for begin in range(0, len(text), size)]


@pytest.mark.parametrize("api", APIS)
@given(data=st.data())
def test_whole_or_an_error(api: str, data: st.DataObject) -> None:
    """No word is doubled, lost or another answer's; there is one end, and it tells the tokens of all halves."""
    draw = data.draw
    answer, other = draw(st.one_of(ANSWERS, PLAIN)), draw(st.one_of(ANSWERS, PLAIN))
    whole = finish(APIS[api], draw, answer, other)
    if whole is not None:
        assert whole[0] in whole[1]


def finish(api: Api, draw: Any, answer: str, other: str) -> tuple[str, set[str]] | None:
    """What the caller has of an answer that breaks off, and what it may be; None for an error."""
    size = draw(st.integers(1, 5))
    items = api.items(pieces_of(answer, size))
    halves: Halves = api.halves()
    for item in items[: draw(st.integers(0, len(items) - api.ending))]:
        halves.take(item)
    halves.broke(MODEL, "")
    spent = [api.heard(halves.passed_on)[0]]
    for _ in range(3):
        before = api.heard(halves.passed_on)[0]
        outcome = _second_half(api, draw, halves, answer, other)
        text, ends, told = api.heard(halves.passed_on)
        if outcome is None:
            assert (text, ends) == (before, 0)
            return None
        half, said = outcome
        if not said.breaks_off:
            right = {said.text} if half is Half.RESTARTED else {before + said.text, prefill(before) + said.text}
            right |= set() if said.text.strip() else {before}  # nothing more, whichever white space that is
            assert ends == 1
            assert told == SPENT + sum(estimated_tokens(MODEL, text=one) for one in spent)
            return text, right
        halves.broke(MODEL, "")
        spent.append(text[len(before) :])
    return None


def _second_half(api: Api, draw: Any, halves: Halves, answer: str, other: str) -> tuple[Half, Second] | None:
    """Ask for a second half as the router does; None where there is none that follows."""
    wanted: Sequence[Half] = halves.wanted({})
    while wanted:
        half, *_ = wanted
        said = second(draw(st.sampled_from(SECONDS)), half, answer, other, halves.sent.text)
        halves.join(half)
        before = api.heard(halves.passed_on)[0]
        try:
            items = api.items(pieces_of(said.text, draw(st.integers(1, 5))))
            for item in items[: -api.ending] if said.breaks_off else items:
                halves.take(item)
        except Diverged as diverged:
            assert api.heard(halves.passed_on)[0] == before
            wanted = (Half.RESTARTED,) if diverged.is_echo else ()
        else:
            return half, said
    return None
