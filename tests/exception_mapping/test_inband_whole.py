"""A whole answer to a request for a stream is said in the events of its format."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.litellm_core_utils.inband_formats import Api
from litellm.litellm_core_utils.inband_stream import JudgedStream
from litellm.litellm_core_utils.inband_whole import as_events

from exception_mapping.test_inband_failures import ANSWER_LIKE, APIS, read
from support.healthy_answers import healthy

STREAMED = {"CHAT", "RESPONSES", "MESSAGES", "GEMINI"}
WHOLE = [
    pytest.param(Api[api], body.content, id=f"{api}, {name}")
    for api, streamed, name, body in healthy()
    if api in STREAMED and not streamed
]
ANSWER: dict[str, Any] = {
    "id": "c",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
TOOL = {"type": "tool_use", "id": "t", "name": "look", "input": {"at": "it"}}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}
CITED = {"type": "text", "text": "pong", "citations": [{"cited_text": "pong"}]}
OUTPUT: list[dict[str, Any]] = [
    {"type": "reasoning", "id": "r", "summary": []},
    {"type": "function_call", "id": "f", "call_id": "c", "name": "look", "arguments": '{"at": 1}'},
    {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "pong", "annotations": []}, {"type": "refusal", "refusal": "no"}],
    },
]


def events_of(api: Api, value: object) -> list[dict[str, Any]]:
    """The data of the events that a whole answer is said in, as JSON; the end that only OpenAI's have left out."""
    lines = as_events(api, json.dumps(value).encode()).decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ") and line != "data: [DONE]"]


@pytest.mark.parametrize(("api", "content"), WHOLE)
def test_whole_answer_becomes_a_stream(api: Api, content: bytes) -> None:
    """A good answer that comes whole, cut anywhere, is passed on as a stream that is one too, with an end."""
    for pieces in ([content], [content[at : at + 1] for at in range(len(content))]):
        told, failure = read(api, pieces)
        assert failure is None
        assert told.lstrip().startswith((b"data: ", b"event: "))
        assert read(api, [told]) == (told, None)


def test_chat_is_told_whole() -> None:
    """Words, tool calls with their number, reason and usage of a chat are in its chunks."""
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    choice = {**ANSWER["choices"][0], "message": {"role": "assistant", "content": "pong", "tool_calls": [call, call]}}
    first, end, usage = events_of(Api.CHAT, {**ANSWER, "choices": [choice]})
    delta = first["choices"][0]["delta"]
    assert (first["object"], delta["content"]) == ("chat.completion.chunk", "pong")
    assert [one["index"] for one in delta["tool_calls"]] == [0, 1]
    assert first["choices"][0]["finish_reason"] is None
    assert (end["choices"][0]["finish_reason"], end["choices"][0]["delta"]) == ("stop", {})
    assert (usage["choices"], usage["usage"]) == ([], ANSWER["usage"])


def test_message_is_told_whole() -> None:
    """Text, citations, thoughts and the input of a tool are in the deltas of a message, with its usage at the end."""
    usage = {"input_tokens": 3, "output_tokens": 7}
    message = {"role": "assistant", "content": [THOUGHT, CITED, TOOL], "stop_reason": "tool_use", "usage": usage}
    told = events_of(Api.MESSAGES, message)
    deltas = [event["delta"] for event in told if event["type"] == "content_block_delta"]
    kinds = ["thinking_delta", "signature_delta", "text_delta", "citations_delta", "input_json_delta"]
    assert [delta["type"] for delta in deltas] == kinds
    assert json.loads(deltas[-1]["partial_json"]) == TOOL["input"]
    assert told[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": usage,
    }


@pytest.mark.parametrize(
    ("status", "last"), [("completed", "response.completed"), ("incomplete", "response.incomplete")]
)
def test_response_is_told_whole(status: str, last: str) -> None:
    """Each item of a response is opened, told and closed, and the response itself is in its last event."""
    response = {"id": "resp_1", "object": "response", "status": status, "output": OUTPUT}
    told = events_of(Api.RESPONSES, response)
    deltas = {event["type"]: event["delta"] for event in told if event["type"].endswith(".delta")}
    assert deltas == {
        "response.output_text.delta": "pong",
        "response.refusal.delta": "no",
        "response.function_call_arguments.delta": '{"at": 1}',
    }
    assert [event["item"] for event in told if event["type"] == "response.output_item.done"] == OUTPUT
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert (told[-1]["type"], told[-1]["response"]) == (last, response)


@pytest.mark.parametrize("api", [Api.CHAT, Api.RESPONSES, Api.MESSAGES])
def test_half_an_answer_is_none(api: Api) -> None:
    """A whole answer that breaks off in the middle of its JSON cannot be read."""
    failure = read(api, [json.dumps(ANSWER).encode()[:-20]])[1]
    assert failure is not None
    assert failure.kind is FailureKind.GARBLED


def test_long_answer_is_told_too() -> None:
    """An answer of more than is held back of what is no JSON is told in events all the same."""
    long = {**ANSWER, "choices": [{**ANSWER["choices"][0], "message": {"role": "assistant", "content": "x" * 200_000}}]}
    content = json.dumps(long).encode()
    told, failure = read(Api.CHAT, [content[at : at + 8192] for at in range(0, len(content), 8192)])
    assert failure is None
    assert told.startswith(b"data: ")


def test_lines_of_json_are_left_alone() -> None:
    """What some of LiteLLM's readers take for a stream, an object a line, stays as it is."""
    content = b'{"choices": [{"delta": {"content": "p"}}]}\n{"choices": [{"delta": {}, "finish_reason": "stop"}]}\n'
    assert read(Api.CHAT, [content]) == (content, None)


@given(APIS, ANSWER_LIKE)
def test_any_json_is_told(api: Api, value: object) -> None:
    """Whatever JSON an answer is, it is told in events or left alone, without a crash."""
    content = json.dumps(value).encode()
    told = as_events(api, content)
    assert told == content or told.endswith(b"\n\n")
    list(JudgedStream(api).feed(told))
