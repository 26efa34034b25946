"""A provider that follows a script: each request in turn is answered, refused, or given a stream that breaks midway.

It streams OpenAI's chat completions and responses and Anthropic's messages, and notes when each request came;
`faulty_provider` has the other formats.

    with ScriptedProvider([FAULTS["500"], HEALTHY_STREAM], answer="some words") as provider:
        ...
        provider.play([Stream(cut_after=1)])
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from support.faulty_provider import (
    HEALTHY,
    Fault,
    FaultyProvider,
    Kind,
    Request,
    read_request,
    reset_on_close,
)
from support.provider_formats import Format, Json, format_at
from support.provider_formats import stream as stream_of

PACE = 0.002
"""Seconds between two words."""

BREATH = 0.2
"""Seconds between the last word and a cut: what a client has not read when the connection ends may be lost to it."""


@dataclass(frozen=True)
class Stream:
    """A streamed answer and where it goes wrong. Times are in seconds.

    The headers come at once, the first word `first_after` later. After `cut_after` words the connection ends without
    the end of the body, with a `reset` if that is set; after `stall_after` words nothing comes for `stall`. Chunk
    number `garbled_chunk`, from 1, is put in beside the words and is not JSON. `done` is whether a chat's stream ends
    with [DONE].
    """

    first_after: float = 0.0
    cut_after: int | None = None
    reset: bool = False
    stall_after: int | None = None
    stall: float = 0.0
    garbled_chunk: int | None = None
    done: bool = True

    def scaled(self, scale: float) -> Stream:
        """The same with every time multiplied by `scale`."""
        return replace(self, first_after=self.first_after * scale, stall=self.stall * scale)


Step = Fault | Stream
"""What meets one request."""

HEALTHY_STREAM = Stream()

PLAYABLE = (Kind.ANSWER, Kind.RESET, Kind.CLOSE, Kind.SILENCE)
"""What can happen to one connection while the port stays open."""

STREAMED = ("openai", "openai_responses", "anthropic")
MARK = "@the words@"
"""Where the words of an answer stand in its events."""

PREFILL_REFUSAL = "The last message must come from the user: this model takes no assistant prefill."


def rejection(code: str, message: str) -> Fault:
    """A 400 in OpenAI's error shape whose `code` field says what was wrong with the request."""
    error = {"message": message, "type": "invalid_request_error", "param": "messages", "code": code}
    return Fault.status(400, body=json.dumps({"error": error}).encode())


@dataclass(frozen=True)
class Arrival:
    """A request for an answer: `at` is when it had been read, in seconds of time.monotonic()."""

    at: float
    model: str
    prefilled: bool
    step: Step


class ScriptedProvider(FaultyProvider):
    """A provider whose request number n meets step n of the script; the last step meets all that follow.

    A request whose last message is the assistant's is continued from there, as prefill is meant; a provider that does
    not `take_prefill` rejects it with a 400, whatever its script says. `prompt_tokens` marks its usage as its own.
    """

    def __init__(
        self, script: Sequence[Step], *, answer: str, prompt_tokens: int = 3, take_prefill: bool = True
    ) -> None:
        super().__init__(answer=answer)
        self.prompt_tokens = prompt_tokens
        self.take_prefill = take_prefill
        self.arrivals: list[Arrival] = []
        self._remaining = _checked(script)

    def __enter__(self) -> ScriptedProvider:
        self.start()
        return self

    def play(self, script: Sequence[Step]) -> None:
        """Begin a new script; it holds for every request that is read after this returns."""
        self._in_loop(self._begin(_checked(script)))

    async def _begin(self, script: list[Step]) -> None:
        self._remaining = script

    def _next_step(self) -> Step:
        return self._remaining.pop(0) if len(self._remaining) > 1 else self._remaining[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path, body = await read_request(reader)
        if format_at(path) not in STREAMED or not body.get("stream"):
            return await self._send(writer, rejection("not_scripted", "Only streams are scripted."), path, body)
        step = self._next_step()
        self.requests.append(Request(path, body, step if isinstance(step, Fault) else HEALTHY))
        self.arrivals.append(Arrival(time.monotonic(), str(body.get("model")), _prefill(body) is not None, step))
        if _prefill(body) is not None and not self.take_prefill:
            step = rejection("prefill_not_supported", PREFILL_REFUSAL)
        if isinstance(step, Stream):
            await self._stream(reader, writer, step, format_at(path) or "openai", body)
        elif step.kind is Kind.SILENCE:
            await self._keep_silent(reader, writer)
        elif step.kind is Kind.RESET:
            reset_on_close(writer)
        elif step.kind is not Kind.CLOSE:
            await self._send(writer, step, path, body)
        return None

    async def _stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: Stream, format: Format, body: Json
    ) -> None:
        writer.write(STREAM_HEAD)
        await _wait(reader, stream.first_after)
        opening, words, ending = self._events(format, body)
        for number, event in enumerate([*opening, *words, *ending], start=1):
            sent = number - 1 - len(opening)  # words, and what follows them
            if sent == stream.cut_after:
                await _wait(reader, BREATH)
                return reset_on_close(writer) if stream.reset else None
            if sent == stream.stall_after:
                await _wait(reader, stream.stall)
            if number == stream.garbled_chunk:
                _write_event(writer, 'data: {"id": "chatcmpl-1", "choi')
            _write_event(writer, event)
            await writer.drain()
            await asyncio.sleep(PACE)
        self.answered += 1  # before the client can know
        if stream.done and format == "openai":
            _write_event(writer, "data: [DONE]")
        writer.write(END_OF_BODY)
        return await writer.drain()

    def _events(self, format: Format, body: Json) -> tuple[list[str], list[str], list[str]]:
        """The events that open the answer, those of its words, and those that end it."""
        words = _continued(self.answer, _prefill(body))
        if format != "openai":
            return in_words(format, str(body.get("model")), words)
        base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1735689600, "model": body["model"]}

        def chunk(delta: Json, finish: str | None = None) -> str:
            return f"data: {json.dumps({**base, 'choices': [_choice(delta, finish)]})}"

        ending = [chunk({}, "stop")]
        if (body.get("stream_options") or {}).get("include_usage"):
            ending.append(f"data: {json.dumps({**base, 'choices': [], 'usage': self.usage(len(words))})}")
        return [chunk({"role": "assistant", "content": ""})], [chunk({"content": word}) for word in words], ending

    def usage(self, words: int) -> dict[str, int]:
        """The usage of an answer of `words`: a token each."""
        total = self.prompt_tokens + words
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": words, "total_tokens": total}


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)
END_OF_BODY = b"0\r\n\r\n"
"""RFC 9112 section 7.1: a chunked body that ends without it was cut."""


def _checked(script: Sequence[Step]) -> list[Step]:
    """Raises ValueError for a script without a step, or with one that is more than a connection's."""
    unplayable = [step for step in script if isinstance(step, Fault) and step.kind not in PLAYABLE]
    if not script or unplayable:
        known = ", ".join(kind.value for kind in PLAYABLE)
        raise ValueError(f"a script is one or more streams and faults of the kinds {known}; this one is {script!r}")
    return list(script)


def in_words(format: Format, model: str, words: list[str]) -> tuple[list[str], list[str], list[str]]:
    """The events that open an answer, those of its words, and those that end it."""
    events = [event for event in stream_of(format, model, MARK).decode().split("\n\n") if event]
    first = next(number for number, event in enumerate(events) if MARK in event)
    deltas = [_said(events[first], word) for word in words]
    return events[:first], deltas, [_said(event, "".join(words)) for event in events[first + 1 :]]


def _said(event: str, text: str) -> str:
    return event.replace(MARK, json.dumps(text)[1:-1])


def _write_event(writer: asyncio.StreamWriter, lines: str) -> None:
    event = f"{lines}\n\n".encode()
    writer.write(b"%x\r\n%b\r\n" % (len(event), event))


def _choice(delta: Json, finish: str | None = None) -> Json:
    return {"index": 0, "delta": delta, "finish_reason": finish}


async def _wait(reader: asyncio.StreamReader, seconds: float) -> None:
    """Waits for `seconds`; raises ConnectionError as soon as the client leaves."""
    if not seconds:
        return
    try:
        await asyncio.wait_for(reader.read(), seconds)
    except asyncio.TimeoutError:
        return
    raise ConnectionError("the client left")


def _prefill(body: Json) -> str | None:
    """What the assistant is to have said already, None where the user spoke last."""
    asked = body.get("messages") or body.get("input") or [{}]
    last = asked[-1] if isinstance(asked, list) else {}
    content = last.get("content") or ""
    said = content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)
    return said if last.get("role") == "assistant" else None


def _continued(answer: str, prefill: str | None) -> list[str]:
    """The words of `answer`, each with the space before it, that follow `prefill` if it is a beginning of them."""
    rest = answer[len(prefill) :] if prefill and answer.startswith(prefill) else answer
    spaced = [f" {word}" for word in rest.split(" ")]
    return [spaced[0][1:], *spaced[1:]] if rest else []
