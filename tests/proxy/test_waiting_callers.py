"""While a model thinks, the proxy watches the caller of its stream, keeps the connection, and still fails over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import NamedTuple

import anthropic
import openai
import pytest
from packaging.version import Version

from proxy.routes import MESSAGES, comes_true
from proxy.waiting import STREAM_ROUTES, open_stream, read_to_the_end, thinking_proxy
from support.gateway import MASTER_KEY, Gateway
from support.thinking_provider import ThinkingProvider

THINKING = 12.0
PROMPTLY = 3.0
"""Seconds within which a provider's connection is to be closed; nobody reads on for `THINKING` otherwise."""

HANG_UPS = 20

SIGNS_OF_LIFE = 15.0
"""Seconds of LiteLLM's own pings, which no setting of the proxies here changes."""

LONG = SIGNS_OF_LIFE + 9
SAYS_THE_ROLE_AT_ONCE = Version(version("litellm")).release >= (1, 103)
"""1.82.6 keeps the role of a chat back by itself, for the first words; nothing in between was looked at."""

OPEN_AT_ONCE = (*(("chat",) if SAYS_THE_ROLE_AT_ONCE else ()), "responses-by-chat", "messages", "messages-by-chat")
"""Routes on which something of the stream is there from the start: the role, or Anthropic's first events."""


class Thinkers(NamedTuple):
    gateway: Gateway
    pair: list[ThinkingProvider]


@pytest.fixture(scope="module")
def thinkers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thinkers]:
    """Two deployments that think for long, and a group of them for each route."""
    pair = [ThinkingProvider(THINKING), ThinkingProvider(THINKING)]
    groups = {"pair": pair, "lone": pair[:1]}
    with thinking_proxy(tmp_path_factory.mktemp("thinkers"), groups, router_settings=AT_FIRST_FAILURE) as gateway:
        yield Thinkers(gateway, pair)


AT_FIRST_FAILURE = {"num_retries": 2, "allowed_fails": 0, "cooldown_time": 60}


def _hang_up(thinkers: Thinkers, route: str, group: str) -> None:
    stays = sum(len(provider.stays) for provider in thinkers.pair)
    connection = open_stream(thinkers.gateway, route, group)
    assert comes_true(lambda: sum(len(provider.stays) for provider in thinkers.pair) == stays + 1)
    time.sleep(0.3)  # so that the stream is opened, and waited for
    connection.close()


def _closed(thinkers: Thinkers) -> bool:
    return all(stay.left is not None for provider in thinkers.pair for stay in provider.stays)


@pytest.mark.parametrize("route", STREAM_ROUTES)
@pytest.mark.parametrize("group", ["pair", "lone"])
def test_hang_up_closes_the_providers_connection(thinkers: Thinkers, route: str, group: str) -> None:
    """The provider does not think to the end for a caller who is gone."""
    _hang_up(thinkers, route, group)
    hung_up = time.monotonic()
    assert comes_true(lambda: _closed(thinkers))
    assert time.monotonic() - hung_up < PROMPTLY


def test_hang_ups_blame_no_deployment(thinkers: Thinkers) -> None:
    """Both deployments are still asked, though one failure would cool either down, and no connection is left open."""
    for number in range(HANG_UPS):
        _hang_up(thinkers, list(STREAM_ROUTES)[number % len(STREAM_ROUTES)], "pair")
    assert comes_true(lambda: _closed(thinkers))
    before = [len(provider.stays) for provider in thinkers.pair]
    for _ in range(HANG_UPS):
        _hang_up(thinkers, "chat", "pair")
    assert all(len(provider.stays) > count for provider, count in zip(thinkers.pair, before, strict=True))


class Slow(NamedTuple):
    gateway: Gateway
    failing: ThinkingProvider


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    """Models that think for longer than a caller is left without a sign of life: one answers, one fails, one is first
    asked and fails while another is there to answer."""
    answering, failing = ThinkingProvider(LONG), ThinkingProvider(LONG, fails_with=503)
    quick = ThinkingProvider(0.01)
    groups = {"answering": [answering, answering], "failing": [failing, failing], "quick": [quick, quick]}
    settings = {"num_retries": 1, "routing_strategy": "simple-shuffle"}
    with thinking_proxy(tmp_path_factory.mktemp("slow"), groups, router_settings=settings) as gateway:
        yield Slow(gateway, failing)


def test_caller_hears_something_while_a_model_thinks(slow: Slow) -> None:
    """A response that would have begun by now on LiteLLM begins with a ping, and ends with the whole answer."""
    with ThreadPoolExecutor(len(OPEN_AT_ONCE)) as callers:
        asked = {route: open_stream(slow.gateway, route, "answering") for route in OPEN_AT_ONCE}
        answers = dict(zip(asked, callers.map(read_to_the_end, asked.values()), strict=True))
    for route, answer in answers.items():
        assert answer.status == 200
        assert answer.first_byte is not None, route
        assert answer.first_byte < SIGNS_OF_LIFE + 6, route
        assert b"pong" in answer.body, route
        assert answer.headers["content-type"].startswith("text/event-stream")


def test_prompt_answer_keeps_its_headers(slow: Slow) -> None:
    """What LiteLLM says of the deployment is there when the answer comes in time."""
    for route in OPEN_AT_ONCE:
        answer = read_to_the_end(open_stream(slow.gateway, route, "quick"))
        assert (answer.status, b": ping" in answer.body) == (200, False)
        assert answer.headers["x-litellm-model-id"].startswith(f"{route}-quick")


def _chat(gateway: Gateway, group: str) -> None:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=MASTER_KEY, max_retries=0, timeout=90)
    for _ in client.chat.completions.create(model=group, messages=MESSAGES, stream=True):  # type: ignore[arg-type]
        pass


def _messages(gateway: Gateway, group: str) -> None:
    client = anthropic.Anthropic(base_url=gateway.url, api_key=MASTER_KEY, max_retries=0, timeout=90)
    for _ in client.messages.create(model=group, messages=MESSAGES, max_tokens=9, stream=True):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize(
    ("ask", "route", "raised"),
    [(_chat, "chat", openai.APIError), (_messages, "messages", anthropic.APIStatusError)],
    ids=["openai", "anthropic"],
)
def test_failure_after_a_ping_is_told_in_band(slow: Slow, ask: object, route: str, raised: type[Exception]) -> None:
    """The makers' clients raise it, after all deployments have been asked."""
    assert callable(ask)
    before = len(slow.failing.stays)
    with pytest.raises(raised, match="unavailable|The provider failed"):
        ask(slow.gateway, f"{route}-failing")
    assert len(slow.failing.stays) == before + 2
