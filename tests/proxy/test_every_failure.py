"""Whatever a provider does, on each route: the caller gets its status, its Retry-After and a readable reason."""

from __future__ import annotations

from importlib import metadata
from typing import Any, NamedTuple

import pytest
from packaging.version import Version

from proxy.routes import API_KEY, MODES, ROUTES, ProxiedProviders, error_of, events_of
from support.faulty_provider import FAULTS, HEALTHY, TORN, Fault
from support.provider_formats import MESSAGES

PROVIDER_FAULTS = {
    **FAULTS,
    "413": Fault.status(413),
    "422": Fault.status(422),
    "502": Fault.status(502),
    "503-retry-after": Fault.status(503, retry_after=7),
    "504": Fault.status(504),
    "torn": TORN,
}


class Told(NamedTuple):
    """What the caller is to be told; `openai` and `anthropic` are the error's type in each format."""

    status: int
    openai: str
    anthropic: str
    words: tuple[str, ...]  # any of them


def _answered(status: int) -> Told:
    openai, anthropic = TYPES[status]
    return Told(status, openai, anthropic, (MESSAGES.get(status, "The provider failed."),))


TYPES = {
    400: ("invalid_request_error", "invalid_request_error"),
    401: ("authentication_error", "authentication_error"),
    402: ("insufficient_quota", "billing_error"),
    403: ("permission_error", "permission_error"),
    404: ("invalid_request_error", "not_found_error"),
    408: ("invalid_request_error", "timeout_error"),
    413: ("invalid_request_error", "request_too_large"),
    422: ("invalid_request_error", "invalid_request_error"),
    429: ("rate_limit_error", "rate_limit_error"),
    500: ("server_error", "api_error"),
    502: ("server_error", "api_error"),
    503: ("server_error", "api_error"),
    504: ("server_error", "timeout_error"),
    529: ("server_error", "overloaded_error"),
}
BROKE_OFF = Told(502, "server_error", "api_error", ("The connection to the provider broke off.",))
UNREADABLE = Told(502, "server_error", "api_error", ("The provider's answer cannot be read.",))
ENDED_EARLY = BROKE_OFF._replace(words=BROKE_OFF.words + UNREADABLE.words)
"""A bridge to another API may take the early end for an answer without words."""

OUT_OF_REACH = Told(502, "server_error", "api_error", ("The provider cannot be reached.",))

TOLD = {
    **{
        name: _answered(fault.code)
        for name, fault in PROVIDER_FAULTS.items()
        if (fault.code or 200) >= 400 and fault.code
    },
    "refused": OUT_OF_REACH,
    "unresolvable": OUT_OF_REACH,
    "reset": BROKE_OFF,
    "close": BROKE_OFF,
    "truncated": ENDED_EARLY,
    "torn": ENDED_EARLY,
    "silence": Told(504, "server_error", "timeout_error", ("The provider did not answer in time.",)),
    "html-200": UNREADABLE,
    "empty-200": UNREADABLE,
}

HAS_AN_EVENT_OF_ITS_OWN = Version(metadata.version("litellm")) >= Version("1.103")
"""A stream of /v1/responses that fails; on older releases it ends as one of chat does."""

KNOWS_AN_EARLY_END = Version(metadata.version("litellm")) >= Version("1.106")
"""LiteLLM itself raises it where a stream of the Responses API ends without the event that is to be its last."""

ENDS_ALL_WITH_DONE = Version(metadata.version("litellm")) >= Version("1.109")
"""LiteLLM ends a stream of chat or text with OpenAI's last event after an error too; clients stop at the error."""

IN_BAND = {"torn", "truncated"}
"""Faults that may come after the first words: the answer has begun with 200 then, and an event ends it."""


CELLS = [(name, stream, provider) for name, stream in MODES for provider in ROUTES[name].providers]
in_every_cell = pytest.mark.parametrize(("route_name", "stream", "provider"), CELLS)


@in_every_cell
def test_a_healthy_provider_is_passed_on(
    proxied: ProxiedProviders, route_name: str, stream: bool, provider: str
) -> None:
    """A healthy provider's answer is passed on to the caller, on every route."""
    response = proxied.ask(ROUTES[route_name], provider, HEALTHY, stream)
    assert (response.status_code, "pong" in response.text or "0.25" in response.text) == (200, True)


@pytest.mark.parametrize("name", PROVIDER_FAULTS)
@in_every_cell
def test_a_failure_is_told(proxied: ProxiedProviders, route_name: str, stream: bool, provider: str, name: str) -> None:
    """A failure is told by status, type, words and Retry-After, or within its stream if that has begun."""
    route, told = ROUTES[route_name], TOLD[name]
    response = proxied.ask(route, provider, PROVIDER_FAULTS[name], stream)
    if stream and name in IN_BAND and response.status_code == 200:
        error = stream_error_event(events_of(response), route_name)
    else:
        assert response.status_code == told.status, response.text
        error = error_of(response, route)
        assert error["type"] == (told.anthropic if route.is_anthropics else told.openai)
        assert response.headers.get("retry-after") == PROVIDER_FAULTS[name].retry_after
    said = error["message"]
    assert any(words in said for words in _words_for(name, told, stream)), said
    assert not [part for part in UNREADABLE_OR_SECRET if part in said], said


def _words_for(name: str, told: Told, stream: bool) -> tuple[str, ...]:
    """What one of them is to be told: of a stream without a single event also that it has ended early."""
    is_empty_stream = stream and name in ("html-200", "empty-200")
    return ENDED_EARLY.words if is_empty_stream and KNOWS_AN_EARLY_END else told.words


UNREADABLE_OR_SECRET = ("b'", 'b"', "{", "Traceback", "127.0.0.1", API_KEY)


def stream_error_event(events: list[str | dict[str, Any]], route_name: str) -> dict[str, Any]:
    """The error a stream ends with; a clean end is none."""
    assert "[DONE]" not in events[:-1]
    *_, last = (event for event in events if event != "[DONE]")
    assert isinstance(last, dict)
    if route_name == "responses" and HAS_AN_EVENT_OF_ITS_OWN:
        assert last["type"] == "response.failed"
        return dict(last["response"]["error"])
    is_openais = route_name in ("chat", "text")
    assert ("[DONE]" in events) is (is_openais and ENDS_ALL_WITH_DONE)
    assert not any("message_stop" in str(event) for event in events)
    return dict(last["error"])
