"""Real clients raise the right class for every failure, know its reason, and wait as long as they are told to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from proxy.routes import MESSAGES, ProxiedProviders, codes_for
from support.faulty_provider import FAULTS, HEALTHY, Fault, FaultyProvider
from support.gateway import MASTER_KEY, Gateway

PING: Any = MESSAGES  # of a type of its own in each client

OPENAI_CLASSES: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    402: openai.APIStatusError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
    529: openai.InternalServerError,
}
ANTHROPIC_CLASSES: dict[int, type[anthropic.APIStatusError]] = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    402: anthropic.APIStatusError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    422: anthropic.UnprocessableEntityError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    503: anthropic.InternalServerError,
    529: anthropic.InternalServerError,
}


def openai_client(gateway: Gateway, retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=MASTER_KEY, max_retries=retries)


def anthropic_client(gateway: Gateway, retries: int = 0) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=gateway.url, api_key=MASTER_KEY, max_retries=retries)


OPENAI_CALLS: dict[str, Callable[[openai.OpenAI], Any]] = {
    "chat": lambda client: client.chat.completions.create(model="openai", messages=PING),
    "chat-stream": lambda client: list(client.chat.completions.create(model="openai", messages=PING, stream=True)),
    "text": lambda client: client.completions.create(model="openai", prompt="ping"),
    "embeddings": lambda client: client.embeddings.create(model="openai", input="ping"),
    "responses": lambda client: client.responses.create(model="openai", input="ping"),
    "responses-stream": lambda client: list(client.responses.create(model="openai", input="ping", stream=True)),
}


@pytest.mark.parametrize("call", OPENAI_CALLS)
@pytest.mark.parametrize("status", OPENAI_CLASSES)
def test_openais_client_raises_the_class_of_the_status(proxied: ProxiedProviders, call: str, status: int) -> None:
    """OpenAI's client raises the class of the status, with the code of the body and the provider's words."""
    proxied.providers["openai"].fault = Fault.status(status, message="The reason is this.")
    with pytest.raises(openai.APIStatusError) as raised:
        OPENAI_CALLS[call](openai_client(proxied.gateway))
    assert type(raised.value) is OPENAI_CLASSES[status]
    assert raised.value.status_code == status
    assert raised.value.code in codes_for(status)
    assert "The reason is this." in raised.value.message


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", ["anthropic", "openai"])
@pytest.mark.parametrize("status", ANTHROPIC_CLASSES)
def test_anthropics_client_raises_the_class_of_the_status(
    proxied: ProxiedProviders, provider: str, status: int, stream: bool
) -> None:
    """Anthropic's client raises the class of the status, whoever the provider is."""
    proxied.providers[provider].fault = Fault.status(status, message="The reason is this.")
    client = anthropic_client(proxied.gateway)
    with pytest.raises(anthropic.APIStatusError) as raised:
        client.messages.create(model=provider, max_tokens=9, messages=PING, stream=stream)
    assert isinstance(raised.value, ANTHROPIC_CLASSES[status])
    assert raised.value.status_code == status
    body = raised.value.body
    assert isinstance(body, dict)
    assert body["type"] == "error"
    assert "The reason is this." in body["error"]["message"]


WITHOUT_AN_ANSWER = {"refused": 502, "reset": 502, "silence": 504, "html-200": 502, "empty-200": 502}


@pytest.mark.parametrize("fault", WITHOUT_AN_ANSWER)
def test_unanswered_request_is_server_error(proxied: ProxiedProviders, fault: str) -> None:
    """Clients take a provider that does not answer for a server's fault, which they would try again."""
    for provider in ("openai", "anthropic"):
        proxied.providers[provider].fault = FAULTS[fault]
    with pytest.raises(openai.InternalServerError) as of_openais:
        openai_client(proxied.gateway).chat.completions.create(model="openai", messages=PING)
    with pytest.raises(anthropic.InternalServerError) as of_anthropics:
        anthropic_client(proxied.gateway).messages.create(model="anthropic", max_tokens=9, messages=PING)
    expected = WITHOUT_AN_ANSWER[fault]
    assert (of_openais.value.status_code, of_anthropics.value.status_code) == (expected, expected)


class Healing:
    """A provider that is healthy again once its first `failures` requests have met their fault."""

    def __init__(self, provider: FaultyProvider, fault: Fault, failures: int = 1) -> None:
        self.provider = provider
        self.target = provider.attempts + failures
        provider.fault = fault

    def healed(self) -> bool:
        """Whether it is healthy; looked at between a client's attempts."""
        if self.provider.attempts >= self.target:
            self.provider.fault = HEALTHY
        return self.provider.fault is HEALTHY


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("client", "provider"), [(openai_client, "openai"), (anthropic_client, "anthropic")])
def test_clients_honour_retry_after(
    proxied: ProxiedProviders, monkeypatch: pytest.MonkeyPatch, client: Any, provider: str, status: int
) -> None:
    """A client asks again after the Retry-After it gets, not after its own back-off, and is answered."""
    slept: list[float] = []
    healing = Healing(proxied.providers[provider], Fault.status(status, retry_after=3))

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert healing.healed()

    monkeypatch.setattr(time, "sleep", sleep)
    patient = client(proxied.gateway, retries=1)
    if provider == "openai":
        answer = patient.chat.completions.create(model=provider, messages=PING).choices[0].message.content
    else:
        answer = patient.messages.create(model=provider, max_tokens=9, messages=PING).content[0].text
    assert (answer, slept) == ("pong", [3])
