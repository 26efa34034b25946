"""Every provider's HTTP failure becomes the exception LiteLLM has for that status, whoever the provider is.

One local server stands in for each provider of the catalogue in turn and fails with each status, on a real socket.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import litellm
import pytest
from litellm import exceptions

from exception_mapping import provider_catalogue as catalogue
from exception_mapping.provider_catalogue import HTML_BODY, JSON_BODY, LEFT_OUT, STATUSES, WAYS, Body, StandIn

PRESENT = catalogue.providers_of_base() | catalogue.OWN_NAMES
REACHABLE = sorted(WAYS.keys() & PRESENT)
UNREACHABLE = sorted(LEFT_OUT.keys() & PRESENT)
ASYNC_STATUSES = (402, 429, 503)
SIGNED_STATUSES = (402, 429, 503)
HTML_STATUSES = (403, 429, 502, 503, 504, 522)


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with StandIn() as server:
        yield server


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that leaves for the real provider fails at once, and says where to."""
    resolve = socket.getaddrinfo

    def resolve_loopback(host: Any, *args: Any, **options: Any) -> Any:
        if host in ("127.0.0.1", "localhost", None):
            return resolve(host, *args, **options)
        raise socket.gaierror(socket.EAI_NONAME, f"{host} is not the stand-in")

    monkeypatch.setattr(socket, "getaddrinfo", resolve_loopback)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def call(provider: str, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The arguments that lead the provider to the server."""
    way = WAYS[provider]
    catalogue.lead(way, monkeypatch, stand_in.url, tmp_path)
    return way.call(provider, stand_in.url)


def verdict(provider: str, stand_in: StandIn, error: BaseException) -> list[str]:
    """One line for a wrong outcome, none for a right one."""
    wrong = catalogue.flaws(provider, stand_in.status, stand_in.body, error)
    if stand_in.requests != 1:
        wrong = [f"{stand_in.requests} requests reached the server, not one"]
    return [f"{stand_in.status} → {'; '.join(wrong)}: {error!r:.300}"] if wrong else []


def outcomes(
    provider: str, stand_in: StandIn, call: dict[str, Any], statuses: tuple[int, ...], body: Body
) -> list[str]:
    """A line for every status that comes out of `litellm.completion` wrong."""
    wrong = []
    for status in statuses:
        stand_in.fail_with(status, body)
        with pytest.raises(Exception) as caught:  # noqa: PT011  # the verdict says what it must be
            litellm.completion(**call)
        wrong += verdict(provider, stand_in, caught.value)
    return wrong


def report(provider: str, wrong: list[str], asked: tuple[int, ...]) -> str:
    return "\n".join([f"{provider}: {len(wrong)} of {len(asked)} statuses come out wrong", *wrong])


def test_no_provider_is_left_out_silently() -> None:
    """Every provider of the base is either led to the server or left out with a reason, and none is both."""
    known = WAYS.keys() | LEFT_OUT.keys()
    assert known >= PRESENT, f"add to WAYS or LEFT_OUT: {sorted(PRESENT - known)}"
    assert known - PRESENT <= catalogue.SINCE_1_83, f"this base has no {sorted(known - PRESENT - catalogue.SINCE_1_83)}"
    assert not WAYS.keys() & LEFT_OUT.keys()


@pytest.mark.parametrize("provider", UNREACHABLE)
def test_left_out_provider_sends_no_request(provider: str, stand_in: StandIn) -> None:
    """A provider that is left out, called as any other, fails with an exception and without a request."""
    stand_in.fail_with(500, JSON_BODY)
    with pytest.raises(exceptions.APIConnectionError if provider == "vllm" else exceptions.BadRequestError):
        litellm.completion(**catalogue.Way().call(provider, stand_in.url))
    assert not stand_in.requests


@pytest.mark.parametrize("provider", REACHABLE)
def test_a_failed_answer_agrees_with_its_status(provider: str, stand_in: StandIn, call: dict[str, Any]) -> None:
    """Status, class, text and Retry-After are right for each of 16 statuses."""
    wrong = outcomes(provider, stand_in, call, STATUSES, JSON_BODY)
    assert not wrong, report(provider, wrong, STATUSES)


@pytest.mark.parametrize("provider", REACHABLE)
def test_failed_answer_kind_and_cause(provider: str, stand_in: StandIn, call: dict[str, Any]) -> None:
    """A failed answer carries the kind of its status and the exception that the provider's own code raised."""
    found = {}
    for status in SIGNED_STATUSES:
        stand_in.fail_with(status, JSON_BODY)
        with pytest.raises(Exception) as caught:  # noqa: PT011
            litellm.completion(**call)
        found[status] = (
            getattr(getattr(caught.value, "failure", None), "kind", None),
            caught.value.__cause__ is not None,
        )
    assert found == {status: (catalogue.KIND_OF_STATUS[status], True) for status in SIGNED_STATUSES}


@pytest.mark.parametrize("provider", REACHABLE)
def test_an_error_page_agrees_with_its_status(provider: str, stand_in: StandIn, call: dict[str, Any]) -> None:
    """A gateway's HTML page, which no provider's client can read, comes out as the provider's own JSON would."""
    wrong = outcomes(provider, stand_in, call, HTML_STATUSES, HTML_BODY)
    assert not wrong, report(provider, wrong, HTML_STATUSES)


@pytest.mark.parametrize("provider", REACHABLE)
async def test_an_awaited_answer_agrees_with_its_status(provider: str, stand_in: StandIn, call: dict[str, Any]) -> None:
    """`acompletion` ends as `completion` does, although its transport is another."""
    wrong = []
    for status in ASYNC_STATUSES:
        stand_in.fail_with(status, JSON_BODY)
        with pytest.raises(Exception) as caught:  # noqa: PT011
            await litellm.acompletion(**call)
        wrong += verdict(provider, stand_in, caught.value)
    assert not wrong, report(provider, wrong, ASYNC_STATUSES)
