"""
Says an answer that came whole in the events of its format, for a request that asked for a stream of it.

Some gateways ignore `stream`, and some answer so from a cache. LiteLLM's readers of streams find nothing in it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from litellm.litellm_core_utils.inband_formats import ENDS_STREAM, Api
from litellm.litellm_core_utils.json_values import NOT_JSON, decoded_json, json_array, json_object

Json = Mapping[str, object]


def as_events(api: Api, content: bytes) -> bytes:
    """The content of a whole answer as a stream of `api`; as it is where that is how LiteLLM reads it, or where it is
    no JSON object of that format."""
    value: Final = decoded_json(content, NOT_JSON)
    if isinstance(value, dict):
        choices: Final = value.get("choices")
        if api is Api.CHAT and isinstance(choices, list) and not any("delta" in json_object(one) for one in choices):
            return _sent([*_chunks(value), ENDS_STREAM])
        if api is Api.MESSAGES and isinstance(value.get("content"), list):
            return _sent(_message_events(value))
        if api is Api.RESPONSES and isinstance(value.get("output"), list):
            return _sent({**event, "sequence_number": number} for number, event in enumerate(_response_events(value)))
    if api is Api.GEMINI and value is not NOT_JSON and value != []:
        return _sent(value if isinstance(value, list) else [value])
    return content


def _sent(events: Iterable[object]) -> bytes:
    sent: Final = []
    for event in events:
        name = f"event: {event['type']}\n" if isinstance(event, Mapping) and "type" in event else ""
        sent.append(f"{name}data: {event if isinstance(event, str) else json.dumps(event)}\n\n")
    return "".join(sent).encode()


def _chunks(value: Json) -> Iterator[Json]:
    """OpenAI's chat and text completions, https://platform.openai.com/docs/api-reference/chat-streaming"""
    object_: Final = "chat.completion.chunk" if value.get("object") == "chat.completion" else value.get("object")
    shared: Final = {**value, "object": object_}
    usage: Final = shared.pop("usage", None)
    choices: Final = [choice for choice in json_array(value.get("choices")) if isinstance(choice, Mapping)]
    said: Final = [{name: part for name, part in choice.items() if name != "message"} for choice in choices]
    for choice, of in zip(said, choices, strict=True):
        if "message" in of:
            choice["delta"] = _delta(json_object(of["message"]))
    yield {**shared, "choices": [{**choice, "finish_reason": None} for choice in said]}
    ends: Final[list[Json]] = [{"text": ""} if "text" in choice else {"delta": {}} for choice in said]
    yield {
        **shared,
        "choices": [
            {**end, "index": choice.get("index", 0), "finish_reason": choice.get("finish_reason")}
            for end, choice in zip(ends, choices, strict=True)
        ],
    }
    if usage:
        yield {**shared, "choices": [], "usage": usage}


def _delta(message: Json) -> Json:
    calls: Final = [call for call in json_array(message.get("tool_calls")) if isinstance(call, Mapping)]
    if not calls:
        return message
    return {**message, "tool_calls": [{"index": number, **call} for number, call in enumerate(calls)]}


def _message_events(value: Json) -> Iterator[Json]:
    """Anthropic's, https://docs.claude.com/en/docs/build-with-claude/streaming"""
    opened: Final = {**value, "type": "message", "content": [], "stop_reason": None, "stop_sequence": None}
    yield {"type": "message_start", "message": opened}
    for index, block in enumerate(map(json_object, json_array(value.get("content")))):
        begin, deltas = _block(block)
        yield {"type": "content_block_start", "index": index, "content_block": begin}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended: Final = {name: value.get(name) for name in ("stop_reason", "stop_sequence")}
    yield {"type": "message_delta", "delta": ended, "usage": value.get("usage") or {"output_tokens": 0}}
    yield {"type": "message_stop"}


def _block(block: Json) -> tuple[Json, list[Json]]:
    """How a block begins, and what is added to it. What has no deltas begins as it is."""
    kind: Final = block.get("type")
    if kind == "text":
        said: Final = {"type": "text_delta", "text": block.get("text")}
        cited: Final = [{"type": "citations_delta", "citation": one} for one in json_array(block.get("citations"))]
        return {"type": kind, "text": ""}, [said, *cited]
    if kind == "thinking":
        thought: Final = {"type": "thinking_delta", "thinking": block.get("thinking")}
        signed: Final = {"type": "signature_delta", "signature": block.get("signature")}
        return {"type": kind, "thinking": "", "signature": ""}, [thought, signed]
    if kind in ("tool_use", "server_tool_use"):
        asked: Final = {"type": "input_json_delta", "partial_json": json.dumps(block.get("input"))}
        return {**block, "input": {}}, [asked]
    return block, []


def _response_events(value: Json) -> Iterator[Json]:
    """OpenAI's responses, https://platform.openai.com/docs/api-reference/responses-streaming"""
    status: Final = str(value.get("status") or "completed")
    opened: Final = {**value, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": opened}
    for index, item in enumerate(map(json_object, json_array(value.get("output")))):
        place = {"output_index": index, "item_id": item.get("id")}
        is_message = item.get("type") == "message"
        begun = {**item, "status": "in_progress", **({"content": []} if is_message else {})}
        yield {"type": "response.output_item.added", "output_index": index, "item": begun}
        for number, part in enumerate(map(json_object, json_array(item.get("content")) if is_message else [])):
            yield from _part_events({**place, "content_index": number}, part)
        if item.get("type") == "function_call":
            arguments = item.get("arguments")
            yield {"type": "response.function_call_arguments.delta", **place, "delta": arguments}
            yield {"type": "response.function_call_arguments.done", **place, "arguments": arguments}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{'incomplete' if status == 'incomplete' else 'completed'}", "response": value}


def _part_events(place: Json, part: Json) -> Iterator[Json]:
    is_refusal: Final = part.get("type") == "refusal"
    name: Final = "refusal" if is_refusal else "text"
    said: Final = part.get(name)
    logs: Final[Json] = {} if is_refusal else {"logprobs": []}
    event: Final = "response.refusal" if is_refusal else "response.output_text"
    yield {"type": "response.content_part.added", **place, "part": {**part, name: ""}}
    yield {"type": f"{event}.delta", **place, "delta": said, **logs}
    yield {"type": f"{event}.done", **place, name: said, **logs}
    yield {"type": "response.content_part.done", **place, "part": part}
