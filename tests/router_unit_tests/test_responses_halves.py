"""The events of two answers of /v1/responses become those of one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litellm.llms.openai.responses.transformation import OpenAIResponsesAPIConfig
from litellm.router_utils.failover.responses_halves import ResponsesHalves, failed_response
from litellm.router_utils.failover.stream_recovery import Diverged, Half

from support.inband_shapes import BREAKS
from support.provider_formats import stream

ANSWER = "one two three four"
MODEL = "gpt-4o-mini"
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": ""}


def events_of(sent: bytes) -> list[Any]:
    """The events of a stream in LiteLLM's own classes."""
    lines = [line[6:] for line in sent.decode().splitlines() if line.startswith("data: ")]
    config: Any = OpenAIResponsesAPIConfig()
    return [config.transform_streaming_response(MODEL, json.loads(line), None) for line in lines]


def written(*events: dict[str, Any]) -> list[Any]:
    return events_of(b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in events))


def answer_in(pieces: list[str], name: str = "1") -> list[Any]:
    """The events of an answer that comes in pieces, as provider number `name` sends them."""
    sent = stream("openai_responses", MODEL, "".join(pieces)).decode().replace("resp_1", f"resp_{name}")
    *events, delta, text, part, item, end = events_of(sent.replace("msg_1", f"msg_{name}").encode())[:9]
    deltas = [delta.model_copy(update={"delta": piece}) for piece in pieces]
    numbered = [*events, *deltas, text, part, item, end]
    return [one.model_copy(update={"sequence_number": number}) for number, one in enumerate(numbered)]


def begun(*pieces: str, events: int = 4, and_then: list[Any] | None = None) -> ResponsesHalves:
    """A first half that has broken off after its `pieces`, or the first of its events."""
    answer = ResponsesHalves("ping")
    for event in [*answer_in(list(pieces))[: events + len(pieces)], *(and_then or [])]:
        answer.take(event)
    answer.broke(MODEL, "")
    return answer


def heard(answer: ResponsesHalves) -> list[dict[str, Any]]:
    """The events the caller has."""
    return [json.loads(one.model_dump_json()) for one in answer.passed_on if hasattr(one, "model_dump_json")]


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(one["delta"] for one in events if one["type"] == "response.output_text.delta")


def join(answer: ResponsesHalves, half: Half, pieces: list[str]) -> list[dict[str, Any]]:
    answer.join(half)
    for event in answer_in(pieces, "2"):
        answer.take(event)
    return heard(answer)


@settings(max_examples=40)
@given(cut=st.integers(0, len(ANSWER) - 1), other=st.integers(0, len(ANSWER)), half=st.sampled_from(Half))
def test_two_halves_are_one_response(cut: int, other: int, half: Half) -> None:
    """One id, one item, one end that has the whole text, and numbers that rise, wherever the pieces are cut."""
    first, rest = ANSWER[:cut], ANSWER[len(ANSWER[:cut].rstrip()) :]
    said = ANSWER if half is Half.RESTARTED else rest
    events = join(begun(*[first][:cut]), half, [said[:other], said[other:]])
    kinds = [one["type"] for one in events if one["type"] != "response.output_text.delta"]
    assert text_of(events) == ANSWER
    assert len(kinds) == len(set(kinds)) == 8
    assert [one["sequence_number"] for one in events] == list(range(len(events)))
    assert {one["response"]["id"] for one in events if "response" in one} == {"resp_1"}
    assert {one["item_id"] for one in events if "item_id" in one} == {"msg_1"}
    done, part, item, end = events[-4:]
    assert (done["text"], part["part"]["text"], item["item"]["content"][0]["text"]) == (ANSWER,) * 3
    [message] = end["response"]["output"]
    assert (message["id"], item["item"]["id"], message["content"][0]["text"]) == ("msg_1", "msg_1", ANSWER)


def test_usage_of_both_is_told() -> None:
    """The end tells the tokens of both halves, once each."""
    *_, end = join(begun("one two"), Half.CONTINUED, [" three four"])
    usage = end["response"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (3 + 1, 1 + 2)
    assert usage["total_tokens"] == 7


def test_held_answer_is_another_response() -> None:
    """Of a first half that nobody was sent, nothing but its tokens is left."""
    answer = ResponsesHalves([{"role": "user", "content": [{"type": "input_text", "text": "ping"}]}])
    answer.broke(MODEL, "one two")
    events = join(answer, Half.RESTARTED, ["another answer"])
    assert (text_of(events), events[-1]["response"]["id"]) == ("another answer", "resp_2")
    assert events[-1]["response"]["usage"]["total_tokens"] == 7


@pytest.mark.parametrize("half", Half)
def test_another_answer_is_not_mixed_in(half: Half) -> None:
    """Nothing of a second answer that is another one, or that begins anew, is passed on."""
    answer = begun("one two")
    with pytest.raises(Diverged):
        join(answer, half, ["one two" if half is Half.CONTINUED else "two three", " four"])
    assert text_of(heard(answer)) == "one two"


@pytest.mark.parametrize("first", [("one two",), ()], ids=["after words", "after the item"])
def test_a_call_is_not_joined(first: tuple[str, ...]) -> None:
    """A second answer that begins with a call does not follow a message."""
    answer = begun(*first)
    answer.join(Half.RESTARTED)
    call = written({"type": "response.output_item.added", "output_index": 0, "item": CALL, "sequence_number": 1})
    with pytest.raises(Diverged):
        answer.take(call[0])


def test_a_later_item_is_passed_on() -> None:
    """A call after the words that both halves have is the answer's own."""
    answer = begun("one two")
    answer.join(Half.RESTARTED)
    [call] = written({"type": "response.output_item.added", "output_index": 1, "item": CALL, "sequence_number": 9})
    for event in [*answer_in(["one two three"], "2")[:5], call]:
        answer.take(event)
    *_, delta, last = heard(answer)
    assert (delta["delta"], last["item"]["id"], last["output_index"]) == (" three", "fc_1", 1)


ADDED: Any = {"type": "response.output_item.added", "sequence_number": 9}
PART: Any = {"type": "response.content_part.added", "sequence_number": 9, "item_id": "msg_1", "output_index": 0}


@pytest.mark.parametrize(
    "more",
    [
        {**ADDED, "output_index": 1, "item": CALL},
        {**ADDED, "output_index": 1, "item": {"type": "message", "id": "msg_9", "role": "assistant", "content": []}},
        {**ADDED, "output_index": 1, "item": {"type": "reasoning", "id": "rs_1", "summary": []}},
        {**PART, "content_index": 1, "part": {"type": "output_text", "text": "", "annotations": []}},
        {**PART, "content_index": 0, "part": {"type": "refusal", "refusal": ""}},
        {"type": "response.output_text.done", "sequence_number": 9, "item_id": "msg_1", "output_index": 0}
        | {"content_index": 0, "text": "one"},
    ],
    ids=["call", "second message", "thought", "second part", "refusal", "end of the text"],
)
def test_what_is_more_than_words_is_final(more: dict[str, Any]) -> None:
    """No second answer is asked for after a call, a thought, a second text or an end."""
    assert begun("one", and_then=written(more)).wanted({}) == ()


BOTH = (Half.CONTINUED, Half.RESTARTED)
ANEW = (Half.RESTARTED,)


@pytest.mark.parametrize(
    ("request_of", "after_words", "before_any"),
    [
        ({}, BOTH, ANEW),
        ({"text": {"format": {"type": "text"}}, "store": False}, BOTH, ANEW),
        ({"tools": [{"type": "web_search"}]}, ANEW, ANEW),
        ({"text": {"format": {"type": "json_schema"}}}, (), ANEW),
        ({"reasoning": {"effort": "low"}}, (), ANEW),
        ({"include": ["message.output_text.logprobs"]}, (), ANEW),
        ({"tool_choice": "required", "tools": [{}]}, (), ANEW),
        ({"store": True}, (), ()),
        ({"previous_response_id": "resp_0"}, (), ()),
        ({"conversation": "conv_1"}, (), ()),
        ({"background": True}, (), ()),
    ],
)
def test_what_is_asked_for(request_of: dict[str, Any], after_words: Any, before_any: Any) -> None:
    """Words are continued, then restarted; what one provider keeps, or is more than words, is not."""
    assert begun("one").wanted(request_of) == after_words
    assert begun().wanted(request_of) == before_any


def test_kept_answer_is_asked_anew_unless_told() -> None:
    """Before its id has been told an answer that is to be kept can still be another provider's."""
    assert ResponsesHalves("ping").wanted({"store": True}) == ANEW


def test_rest_is_asked_for_in_the_input() -> None:
    """The words sent are the last item of the input, whichever form that has."""
    said = {"role": "assistant", "content": "one two"}
    asked = {"role": "user", "content": "ping"}
    for given_input in ("ping", [asked]):
        assert begun("one two ").prefilled({"input": given_input}) == {"input": [asked, said]}


def test_event_of_failure_has_its_status() -> None:
    """An event of failure is an error with the status it stands for; any other is none."""
    failed = {name: events_of(BREAKS["responses"][name].content) for name in ("failed", "error")}
    told: list[Any] = [failed_response(events[-1]) for events in failed.values()]
    assert [one["error"]["code"] for one in told] == [500, 429]
    assert failed_response(failed["error"][0]) is None
