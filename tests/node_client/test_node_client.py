"""OpenAI's client for Node raises the right class for every failure, and waits as long as it is told to."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from proxy.routes import ProxiedProviders, codes_for
from support.faulty_provider import FAULTS, HEALTHY, TORN, Fault
from support.gateway import MASTER_KEY

CALLS = ("chat", "chat-stream", "text", "embeddings", "responses")

CLASSES: dict[str, tuple[int, str]] = {
    "400": (400, "BadRequestError"),
    "401": (401, "AuthenticationError"),
    "402": (402, "APIError"),
    "403": (403, "PermissionDeniedError"),
    "404": (404, "NotFoundError"),
    "429": (429, "RateLimitError"),
    "500": (500, "InternalServerError"),
    "503": (503, "InternalServerError"),
    "529": (529, "InternalServerError"),
    "refused": (502, "InternalServerError"),
    "reset": (502, "InternalServerError"),
    "silence": (504, "InternalServerError"),
    "html-200": (502, "InternalServerError"),
    "empty-200": (502, "InternalServerError"),
}


def ask(proxied: ProxiedProviders, call: str, fault: Fault, retries: int = 0) -> dict[str, Any]:
    """What the client makes of `fault`, as ask.mjs tells it."""
    proxied.providers["openai"].fault = fault
    script = Path(__file__).with_name("ask.mjs")
    command = ["node", str(script), f"{proxied.gateway.url}/v1", MASTER_KEY, call, "openai", str(retries)]
    told: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return told


@pytest.mark.parametrize("call", CALLS)
def test_a_healthy_provider_answers(proxied: ProxiedProviders, call: str) -> None:
    """A healthy provider's answer reaches the client."""
    assert ask(proxied, call, HEALTHY)["answer"] == ([0.25, -0.5, 0.75] if call == "embeddings" else "pong")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", CLASSES)
def test_the_client_raises_the_class_of_the_failure(proxied: ProxiedProviders, call: str, name: str) -> None:
    """The client raises the class of the failure, with the status as its code and a reason."""
    told = ask(proxied, call, FAULTS[name])
    assert (told["status"], told["error"]) == CLASSES[name]
    assert told["code"] in codes_for(told["status"])
    assert told["message"]


def test_a_stream_that_breaks_off_is_no_answer(proxied: ProxiedProviders) -> None:
    """A stream that breaks off after its first words raises what its last event says."""
    told = ask(proxied, "chat-stream", TORN)
    assert (told["error"], told["code"]) == ("APIError", "502")
    assert "The connection to the provider broke off." in told["message"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [429, 503])
def test_client_honours_retry_after(proxied: ProxiedProviders, call: str, status: int) -> None:
    """The client waits for the Retry-After it gets, not for its own shorter back-off."""
    told = ask(proxied, call, Fault.status(status, retry_after=2), retries=1)
    assert told["retryAfter"] == "2"
    assert [wait >= 2 for wait in told["waits"]] == [True]
