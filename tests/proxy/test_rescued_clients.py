"""OpenAI's and Anthropic's clients see one ordinary stream, though the deployment that began it broke off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from proxy.rescued import ANSWER, APIS, FIRST_WORDS, INTERVAL, MESSAGES, OTHER, WAYS, rescuing_proxy
from support.gateway import MASTER_KEY, Gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with rescuing_proxy(tmp_path_factory.mktemp("rescued")) as running:
        yield running


def _openai(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=MASTER_KEY, max_retries=0)


def _anthropic(gateway: Gateway) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=gateway.url, api_key=MASTER_KEY, max_retries=0)


def chat(gateway: Gateway, group: str, heard: list[str], **more: Any) -> None:
    """The words of a chat, of one answer with one end."""
    chunks = []
    for chunk in _openai(gateway).chat.completions.create(model=group, messages=MESSAGES, stream=True, extra_body=more):
        chunks.append(chunk)
        heard.extend(choice.delta.content or "" for choice in chunk.choices)
    assert len({chunk.id for chunk in chunks}) == 1
    assert [one.choices[0].finish_reason for one in chunks if one.choices and one.choices[0].finish_reason] == ["stop"]


def messages(gateway: Gateway, group: str, heard: list[str], **more: Any) -> None:
    """The words of a message, which the client's own helper puts together as well."""
    asked: Any = _anthropic(gateway).messages.stream(model=group, messages=MESSAGES, max_tokens=64, extra_body=more)
    with asked as stream:
        kinds = []
        for event in stream:
            kinds.append(event.type)
            heard.append(event.delta.text if event.type == "content_block_delta" else "")
        message = stream.get_final_message()
    assert [kinds.count(kind) for kind in ("message_start", "content_block_start", "message_stop")] == [1, 1, 1]
    assert [block.text for block in message.content] == ["".join(heard)]
    assert message.stop_reason == "end_turn"


class Failed(Exception):
    """What an event of failure tells, which OpenAI's client passes on."""


FAILURES = (openai.APIError, anthropic.APIError, Failed)


def responses(gateway: Gateway, group: str, heard: list[str], **more: Any) -> None:
    """The words of a response, whose last event has them all."""
    events: list[Any] = []
    asked: Any = _openai(gateway).responses.create(model=group, input="ping", stream=True, extra_body=more)
    for event in asked:
        events.append(event)
        if event.type == "response.failed":
            raise Failed(event)
        heard.append(event.delta if event.type == "response.output_text.delta" else "")
    kinds = [event.type for event in events]
    assert [kinds.count(kind) for kind in ("response.created", "response.output_item.added")] == [1, 1]
    assert kinds[-1] == "response.completed"
    assert events[-1].response.output_text == "".join(heard)
    usage = events[-1].response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert len({one.item_id for one in events if hasattr(one, "item_id")}) == 1


CLIENTS: dict[str, Callable[..., None]] = {"chat": chat, "messages": messages, "responses": responses}


def heard_by_client(gateway: Gateway, api: str, way: str, heard: list[str] | None = None, **more: Any) -> str:
    words: list[str] = [] if heard is None else heard
    CLIENTS[APIS[api].client](gateway, f"{api}-{way}", words, **more)
    return "".join(words)


@pytest.mark.parametrize("way", [*WAYS, "anew"])
@pytest.mark.parametrize("api", APIS)
def test_client_sees_one_stream(gateway: Gateway, api: str, way: str) -> None:
    """The whole answer, once; a second half that is continued, or asked for anew."""
    assert heard_by_client(gateway, api, way) == ANSWER


@pytest.mark.parametrize("api", APIS)
def test_another_answer_is_told(gateway: Gateway, api: str) -> None:
    """A failure where the second answer is another one, of which the client sees nothing."""
    heard: list[str] = []
    with pytest.raises(FAILURES):
        heard_by_client(gateway, api, "other", heard)
    assert "".join(heard) == FIRST_WORDS


@pytest.mark.parametrize("api", APIS)
def test_held_words_are_asked_anew(gateway: Gateway, api: str) -> None:
    """Words that are kept back give way to whichever answer is whole."""
    assert heard_by_client(gateway, api, "other", stream_recovery="hold") == OTHER


def _pieces(gateway: Gateway, api: str, way: str) -> tuple[int, list[tuple[float, str]]]:
    """The status of a held stream, and its lines with the seconds until each came."""
    body = {"model": f"{api}-{way}", "stream": True, "stream_recovery": "hold", **APIS[api].body}
    asked: Any = {"headers": {"Authorization": f"Bearer {MASTER_KEY}"}, "json": body, "timeout": 30}
    begin = time.monotonic()
    with httpx.stream("POST", f"{gateway.url}{APIS[api].path}", **asked) as response:
        return response.status_code, [(time.monotonic() - begin, line) for line in response.iter_lines() if line]


def _is_sign_of_life(line: str) -> bool:
    return line.startswith(":") or "ping" in line


@pytest.mark.parametrize("api", APIS)
def test_held_connection_is_kept_busy(gateway: Gateway, api: str) -> None:
    """While words are held the caller hears something at each interval, and the client takes it for nothing."""
    status, lines = _pieces(gateway, api, "slow")
    first = next(number for number, (_, line) in enumerate(lines) if not _is_sign_of_life(line))
    signs = [at for at, _ in lines[:first]]
    assert status == 200
    assert len(signs) >= 3
    assert max(after - before for before, after in zip(signs, signs[1:], strict=False)) < 3 * INTERVAL
    assert heard_by_client(gateway, api, "slow", stream_recovery="hold") == ANSWER


@pytest.mark.parametrize("api", APIS)
def test_late_failure_is_an_event(gateway: Gateway, api: str) -> None:
    """Once the connection has been kept busy a failure is told in the stream, and nothing of the words."""
    status, lines = _pieces(gateway, api, "slow-cut")
    assert status == 200
    assert not any("three" in line for _, line in lines)
    with pytest.raises(FAILURES):
        heard_by_client(gateway, api, "slow-cut", stream_recovery="hold")


@pytest.mark.parametrize("api", APIS)
def test_early_failure_is_told(gateway: Gateway, api: str) -> None:
    """Before that too, of a chat by its status; of the others LiteLLM's releases tell it by that or by an event."""
    if api == "chat":
        assert _pieces(gateway, api, "cut-alone")[0] == 502
    with pytest.raises(FAILURES):
        heard_by_client(gateway, api, "cut-alone", stream_recovery="hold")
