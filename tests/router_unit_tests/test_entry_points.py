"""Every entry point whose requests the router retries: what one deployment fails to answer, the other answers.

`Router.text_completion`, `Router.responses` and the other sync calls made by `factory_function` are not among them:
LiteLLM retries none of their requests.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import httpx
import openai
import pytest
from litellm import Router

from support.faulty_provider import FAULTS, HEALTHY, STREAM_TYPES, Fault, FaultyProvider, Format, patience
from support.provider_formats import EMBEDDING, stream
from support.routing import GROUP, RELEASE, ask, back_offs, deployment, routed

ANSWER = "pong"
TEXT: dict[str, Any] = {"model": GROUP, "prompt": "ping"}
TEXTS: dict[str, Any] = {"model": GROUP, "input": ["ping"]}
RESPONSE: dict[str, Any] = {"model": GROUP, "input": "ping"}
MESSAGE: dict[str, Any] = {"model": GROUP, "messages": [{"role": "user", "content": "ping"}], "max_tokens": 16}
UNENDED = " without an end"
"""Added to a streamed answer whose last event is missing."""


class EntryPoint(NamedTuple):
    """A way to ask the router something, and what is known about that way."""

    ask: Callable[[Any], Awaitable[Any]]  # returns the whole answer
    provider: str
    answer: Any = ANSWER
    format: Format | None = None  # of the provider's stream, where the answer is streamed
    sends_again: bool = False  # LiteLLM's own async HTTP client does, once, on a connection that is reset


def _in(mode: str) -> Callable[[Router], Awaitable[str]]:
    return lambda router: ask(router, mode)


async def _text(router: Any) -> str:
    return str((await router.atext_completion(**TEXT)).choices[0].text)


async def _streamed_text(router: Any) -> str:
    answer = await router.atext_completion(**TEXT, stream=True)
    return "".join([chunk.choices[0].text or "" async for chunk in answer])


async def _embedding(router: Router) -> Any:
    return (await router.aembedding(**TEXTS)).data[0]["embedding"]


async def _sync_embedding(router: Router) -> Any:
    return (await asyncio.to_thread(router.embedding, **TEXTS)).data[0]["embedding"]


async def _response(router: Any) -> str:
    items = (await router.aresponses(**RESPONSE)).output
    return "".join(part.text or "" for item in items for part in item.content)


async def _streamed_response(router: Any) -> str:
    events = [event async for event in await router.aresponses(**RESPONSE, stream=True)]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    return text if events and events[-1].type == "response.completed" else text + UNENDED


async def _message(router: Any) -> str:
    return str((await router.aanthropic_messages(**MESSAGE))["content"][0]["text"])


async def _streamed_message(router: Any) -> str:
    pieces = [piece async for piece in await router.aanthropic_messages(**MESSAGE, stream=True)]
    lines = b"".join(pieces).decode().splitlines()
    events = [json.loads(line.partition(":")[2]) for line in lines if line.startswith("data:")]
    text = "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
    return text if events and events[-1]["type"] == "message_stop" else text + UNENDED


ENTRY_POINTS: dict[str, EntryPoint] = {
    "acompletion": EntryPoint(_in("async"), "openai"),
    "acompletion-stream": EntryPoint(_in("async-stream"), "openai", format="openai"),
    "completion": EntryPoint(_in("sync"), "openai"),
    "completion-stream": EntryPoint(_in("sync-stream"), "openai", format="openai"),
    "atext_completion": EntryPoint(_text, "hosted_vllm"),
    "atext_completion-stream": EntryPoint(_streamed_text, "hosted_vllm", format="openai_text"),
    "atext_completion-by-chat": EntryPoint(_text, "openai"),
    "atext_completion-by-chat-stream": EntryPoint(_streamed_text, "openai", format="openai"),
    "aembedding": EntryPoint(_embedding, "openai", answer=EMBEDDING),
    "aembedding-hosted_vllm": EntryPoint(_embedding, "hosted_vllm", answer=EMBEDDING, sends_again=True),
    "embedding": EntryPoint(_sync_embedding, "openai", answer=EMBEDDING),
    "embedding-hosted_vllm": EntryPoint(_sync_embedding, "hosted_vllm", answer=EMBEDDING),
    "aresponses": EntryPoint(_response, "openai", sends_again=True),
    "aresponses-stream": EntryPoint(_streamed_response, "openai", format="openai_responses", sends_again=True),
    "aresponses-by-chat": EntryPoint(_response, "anthropic", sends_again=True),
    "aresponses-by-chat-stream": EntryPoint(_streamed_response, "anthropic", format="anthropic", sends_again=True),
    "messages": EntryPoint(_message, "anthropic", sends_again=True),
    "messages-stream": EntryPoint(_streamed_message, "anthropic", format="anthropic", sends_again=True),
    "messages-by-responses": EntryPoint(_message, "openai", sends_again=True),
    "messages-by-responses-stream": EntryPoint(
        _streamed_message, "openai", format="openai_responses", sends_again=True
    ),
    "messages-by-chat": EntryPoint(_message, "hosted_vllm", sends_again=True),
    "messages-by-chat-stream": EntryPoint(_streamed_message, "hosted_vllm", format="openai", sends_again=True),
}
STREAMED = [name for name, entry in ENTRY_POINTS.items() if entry.format]
TELLING = [name for name, entry in ENTRY_POINTS.items() if entry.answer == ANSWER]

BLAMED = ("401", "402", "404", "429", "503", "refused", "reset", "empty-200", "html-200")
CELLS = [
    *((name, fault) for name in ENTRY_POINTS for fault in (*BLAMED, "silence")),
    *((name, "truncated") for name in ENTRY_POINTS if name not in STREAMED),
]


@contextmanager
def pair(
    entry: EntryPoint, bad: Fault, good: Fault, *, first_says: str = ANSWER, **params: Any
) -> Iterator[tuple[Router, Callable[[], Any]]]:
    """A router that asks the deployment "a-bad" first and "b-good" next, and the attempts each has seen so far."""
    with FaultyProvider(bad, answer=first_says) as one, FaultyProvider(good, answer=ANSWER) as other:
        group = [
            deployment("a-bad", entry.provider, one.url, **params),
            deployment("b-good", entry.provider, other.url),
        ]
        with routed(group, routing_strategy="least-busy", num_retries=2) as router:
            yield router, lambda: (one.attempts, other.attempts)


@pytest.mark.by_chance
@pytest.mark.parametrize(("name", "fault"), CELLS)
async def test_the_other_deployment_answers(name: str, fault: str) -> None:
    """The other deployment answers after one attempt at the one at fault, without back-off."""
    entry = ENTRY_POINTS[name]
    with pair(entry, FAULTS[fault], HEALTHY, **patience(FAULTS[fault])) as (router, attempts), back_offs() as waits:
        assert await entry.ask(router) == entry.answer
        seen = {"refused": 0, "reset": 1 + (entry.sends_again and RELEASE < (1, 107))}.get(fault, 1)
        assert (attempts(), waits) == ((seen, 1), [0])


@pytest.mark.by_chance
@pytest.mark.parametrize("name", STREAMED)
async def test_stream_without_content_fails_over(name: str) -> None:
    """A stream that ends before the answer begins, however properly, is answered by the other deployment."""
    entry = ENTRY_POINTS[name]
    with pair(entry, _before_the_answer(entry), HEALTHY) as (router, attempts), back_offs() as waits:
        assert await entry.ask(router) == entry.answer
        assert (attempts(), waits) == ((1, 1), [0])


TELLS_NO_TOKENS = ("openai", "openai_text")
"""Formats of streams that do not say how many tokens were spent: one that says nothing is no answer there."""


@pytest.mark.parametrize("name", [name for name in TELLING if ENTRY_POINTS[name].format not in TELLS_NO_TOKENS])
async def test_an_answer_may_be_empty(name: str) -> None:
    """A model that has nothing to say has not failed, as long as its answer ends and tokens were spent on it."""
    entry = ENTRY_POINTS[name]
    with pair(entry, HEALTHY, HEALTHY, first_says="") as (router, attempts):
        assert await entry.ask(router) == ""
        assert attempts() == (1, 0)


@pytest.mark.parametrize("name", STREAMED)
async def test_truncated_stream_is_no_success(name: str) -> None:
    """The caller of a stream that is cut off sees the whole answer or an exception."""
    entry = ENTRY_POINTS[name]
    with pair(entry, FAULTS["truncated"], HEALTHY) as (router, _):
        with suppress(openai.APIError, httpx.HTTPError):  # what LiteLLM raises derives from the former
            assert await entry.ask(router) == entry.answer


@pytest.mark.parametrize("name", ENTRY_POINTS)
async def test_a_rejected_request_costs_one_attempt(name: str) -> None:
    """A rejected request costs one attempt, and its caller is told the provider's reason."""
    entry = ENTRY_POINTS[name]
    with pair(entry, Fault.status(400, message="no such parameter"), HEALTHY) as (router, attempts):
        with pytest.raises(Exception, match="no such parameter") as raised:
            await entry.ask(router)
        assert (attempts(), getattr(raised.value, "status_code", None)) == ((1, 0), 400)


@pytest.mark.parametrize("name", ENTRY_POINTS)
async def test_none_is_asked_again_before_all_were_asked(name: str) -> None:
    """No deployment is asked again before all were asked, and the caller learns which failed."""
    entry = ENTRY_POINTS[name]
    with pair(entry, FAULTS["401"], FAULTS["404"]) as (router, attempts), back_offs():
        with pytest.raises(Exception, match="does not exist") as raised:
            await entry.ask(router)
        error: Any = raised.value
        assert [one.deployment_id for one in error.failed_attempts] == ["a-bad", "b-good"]
        assert "Attempts that failed" in error.message
        assert attempts() == (1, 1)


def _before_the_answer(entry: EntryPoint) -> Fault:
    """A stream that ends, as if all were well, before the first event with a part of the answer."""
    assert entry.format is not None
    events = stream(entry.format, "some-model", ANSWER).split(b"\n\n")
    first = next(position for position, event in enumerate(events) if ANSWER.encode() in event)
    body = b"".join(event + b"\n\n" for event in events[:first])
    return Fault.status(200, body=body, content_type=STREAM_TYPES[entry.format])
