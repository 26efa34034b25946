"""A provider answers 200 without an answer: what the proxy's caller hears of it on each route, and that with another
deployment there is nothing to hear."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final, NamedTuple

import httpx
import pytest

from proxy.routes import PATIENCE, events_of
from support.faulty_provider import HEALTHY, Fault
from support.gateway import MASTER_KEY, Gateway
from support.inband_calls import CALLS
from support.inband_provider import InbandProvider, as_fault
from support.inband_shapes import BREAKS, STREAMS, WHOLE, Body, events, json_body
from support.routing import RELEASE

CALL: Final = {call.name: call for call in CALLS}
MOST_REQUESTS = 40
"""After so many the healthy deployment has had all of them, which has never been seen."""

MESSAGES: Final = [{"role": "user", "content": "ping"}]
PARTS: Final = [{"role": "user", "parts": [{"text": "ping"}]}]
WORDS: Final = "slow down, please"
TOLD: Final = {"error": {"message": WORDS, "code": 429, "type": "rate_limit_exceeded"}}


class Asked(NamedTuple):
    """A route of the proxy, what to ask there besides the model, and whose deployment, a name of `CALLS`, answers."""

    call: str
    path: str
    body: dict[str, Any]
    streams: bool = False

    def send(self, gateway: Gateway, group: str) -> httpx.Response:
        """The proxy's answer to one request for `group`."""
        data = {"model": group, **self.body}
        is_form = self.path.endswith("transcriptions")
        how: dict[str, Any] = {"data": data, "files": {"file": ("a.wav", b"RIFF")}} if is_form else {"json": data}
        headers = {"Authorization": f"Bearer {MASTER_KEY}"}
        url = gateway.url + self.path.format(group=group)
        return httpx.post(url, headers=headers, timeout=PATIENCE, trust_env=False, **how)


GOOGLE = "/v1beta/models/{group}:"
WHOLE_ROUTES: Final = {
    "chat": Asked("hosted_vllm, chat", "/v1/chat/completions", {"messages": MESSAGES}),
    "text": Asked("hosted_vllm, text", "/v1/completions", {"prompt": "ping"}),
    "responses": Asked("openai, responses", "/v1/responses", {"input": "ping"}),
    "messages": Asked("anthropic, messages", "/v1/messages", {"messages": MESSAGES, "max_tokens": 9}),
    "generateContent": Asked("gemini, generateContent", GOOGLE + "generateContent", {"contents": PARTS}),
    "embeddings": Asked("openai, embedding", "/v1/embeddings", {"input": "ping"}),
    "images": Asked("openai, image", "/v1/images/generations", {"prompt": "ping"}),
    "speech": Asked("openai, speech", "/v1/audio/speech", {"input": "ping", "voice": "alloy"}),
    "transcription": Asked("openai, transcription", "/v1/audio/transcriptions", {}),
    "rerank": Asked("hosted_vllm, rerank", "/v1/rerank", {"query": "ping", "documents": ["pong"]}),
    "moderation": Asked("openai, moderation", "/v1/moderations", {"input": "ping"}),
}
STREAMED: Final = {
    **{
        f"{name} stream": WHOLE_ROUTES[name]._replace(body={**WHOLE_ROUTES[name].body, "stream": True}, streams=True)
        for name in ("chat", "text", "responses", "messages")
    },
    "generateContent stream": Asked(
        "gemini, generateContent stream", GOOGLE + "streamGenerateContent?alt=sse", {"contents": PARTS}, True
    ),
    "messages by chat stream": Asked(
        "hosted_vllm, messages by chat", "/v1/messages", {"messages": MESSAGES, "max_tokens": 9, "stream": True}, True
    ),
}
ROUTES: Final = {**WHOLE_ROUTES, **STREAMED}
FORMAT: Final = {name: CALL[route.call].format for name, route in ROUTES.items()}

# Before 1.103 the proxy answers any failure of speech, and before 1.106 any of generateContent, with a bare 500.
TELLS_OF = {"speech": RELEASE >= (1, 103), "generateContent": RELEASE >= (1, 106)}
TOLD_OF: Final = [name for name in ROUTES if TELLS_OF.get(name.removesuffix(" stream"), True)]


class Proxied(NamedTuple):
    """A proxy with a lone deployment and one with a healthy sibling for each route; no cooldowns, one retry."""

    gateway: Gateway
    faulty: InbandProvider
    healthy: InbandProvider

    def ask_lone(self, name: str, body: Body, retry_after: str | None = None) -> httpx.Response:
        """The proxy's answer where the only deployment answers 200 with `body`."""
        self.faulty.fault = Fault.status(200, body=body.content, content_type=body.type, retry_after=retry_after)
        return ROUTES[name].send(self.gateway, _group(name))


def _group(name: str, kind: str = "lone") -> str:
    return f"{CALL[ROUTES[name].call].name}-{kind}".replace(" ", "-").replace(",", "")


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """One proxy for all routes."""
    with ExitStack() as stack:
        faulty, healthy = (stack.enter_context(InbandProvider()) for _ in range(2))
        members = {"lone": (faulty,), "pair": (faulty, healthy)}
        models: dict[tuple[str, str], dict[str, Any]] = {}
        for name, kind in ((name, kind) for name in ROUTES for kind in members):
            group = _group(name, kind)
            for provider in members[kind]:
                params = {**CALL[ROUTES[name].call].params(provider.url), "drop_params": True}
                models[group, provider.url] = {"model_name": group, "litellm_params": params}
        settings = {"num_retries": 1, "disable_cooldowns": True}
        config = {"model_list": list(models.values()), "router_settings": settings}
        yield Proxied(stack.enter_context(Gateway(config, tmp_path_factory.mktemp("proxy"))), faulty, healthy)


def fault_of(name: str) -> Body:
    """A rate limit in an answer of 200, in an event where a stream is asked for."""
    return events(TOLD) if ROUTES[name].streams else json_body(TOLD)


@pytest.mark.parametrize("name", TOLD_OF)
def test_only_deployments_error_has_its_status(proxied: Proxied, name: str) -> None:
    """A 200 with a rate limit in it is a 429 with the provider's Retry-After and words, streamed or not."""
    response = proxied.ask_lone(name, fault_of(name), retry_after="1")
    assert (response.status_code, response.headers.get("retry-after")) == (429, "1"), response.text
    assert WORDS in response.text
    assert "rate_limit" in response.text


EMPTY: Final = {
    "chat": WHOLE["chat"]["content empty"],
    "text stream": STREAMS["text"]["end only"],
    "responses": WHOLE["responses"]["no output"],
    "messages": WHOLE["anthropic"]["no content"],
    "generateContent stream": STREAMS["gemini"]["no parts"],
    "embeddings": WHOLE["embedding"]["no data"],
}


@pytest.mark.parametrize("name", [name for name in EMPTY if name in TOLD_OF])
def test_answer_of_nothing_is_an_error(proxied: Proxied, name: str) -> None:
    """An answer with nothing in it is a 502 of the proxy's, never an answer."""
    response = proxied.ask_lone(name, EMPTY[name])
    assert response.status_code == 502, response.text
    assert "error" in response.json()


ROLE_FIRST: Final = {
    "chat stream": STREAMS["chat"]["role and end"],
    "messages stream": STREAMS["anthropic"]["start and stop"],
}


@pytest.mark.parametrize("name", ROLE_FIRST)
def test_end_after_a_role_is_an_error(proxied: Proxied, name: str) -> None:
    """A stream that names its role and ends is told by an error event where its first event has been passed on: nothing
    is held back where the request cannot be made again."""
    response = proxied.ask_lone(name, ROLE_FIRST[name])
    if response.status_code == 502:
        assert "error" in response.json()
        return
    told = [event for event in events_of(response) if isinstance(event, dict)]
    assert _is_error(told[-1]), response.text
    assert not any(_is_end(event) for event in told)


@pytest.mark.parametrize("name", [name for name in STREAMED if name in TOLD_OF])
@pytest.mark.parametrize("shape", ["no end", "error"])
def test_break_after_words_is_told(proxied: Proxied, name: str, shape: str) -> None:
    """A stream that breaks after its first words ends with an error event, and not as if it were whole."""
    response = proxied.ask_lone(name, BREAKS[FORMAT[name]][shape])
    assert response.status_code == 200, response.text
    told = [event for event in events_of(response) if isinstance(event, dict)]
    assert "half" in json.dumps(told)
    assert _is_error(told[-1]), told[-1]
    assert not any(_is_end(event) for event in told)


def _is_error(event: dict[str, Any]) -> bool:
    return bool(event.get("error")) or event.get("type") in ("error", "response.failed")


def _is_end(event: dict[str, Any]) -> bool:
    """Whether an event says that an answer has come to its own end."""
    choices = event.get("choices") or event.get("candidates") or [{}]
    reason = choices[0].get("finish_reason") or choices[0].get("finishReason")
    return bool(reason) or event.get("type") in ("message_stop", "response.completed")


@pytest.mark.parametrize("name", ROUTES)
def test_sibling_answers(proxied: Proxied, name: str) -> None:
    """With a healthy sibling each answer is a 200, and the sibling's."""
    proxied.faulty.fault = as_fault(fault_of(name))
    before = len(proxied.faulty.requests)
    try:
        for _ in range(MOST_REQUESTS):
            response = ROUTES[name].send(proxied.gateway, _group(name, "pair"))
            assert response.status_code == 200, response.text
            assert WORDS not in response.text
            if len(proxied.faulty.requests) > before:
                return
        raise AssertionError("the deployment at fault was never asked")
    finally:
        proxied.faulty.fault = HEALTHY
