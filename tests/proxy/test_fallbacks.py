"""A rate-limited group answers from its fallback group, whoever named that, on every route and without a wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import pytest

from proxy.routes import MODES, PATIENCE, ROUTES, Route, comes_true
from support.faulty_provider import FAULTS, HEALTHY, Fault, FaultyProvider, litellm_params
from support.gateway import Gateway

LONG = 600
"""Seconds of a cooldown that outlasts the tests."""

ADDED = 0.05
"""Seconds a fallback may take longer than the same group asked by its name."""

SAMPLES = 15

LIMITS: dict[str, dict[str, Any]] = {
    "429 from the provider": {},
    "rpm of the group": {"rpm": 1},
    "tpm of the group": {"tpm": 1},
}
NAMED_BY: dict[str, dict[str, Any]] = {
    "fallbacks": {},
    "default_fallbacks": {},
    "the request": {"fallbacks": ["named by the request"]},
}
"""Who names the fallback, and what a request says for that; the fallback group is `named by …`."""


class Gateways:
    """A proxy with a group for each test, all of which `limited` serves, and a fallback group for each in NAMED_BY."""

    def __init__(self, gateway: Gateway, limited: FaultyProvider, fallbacks: dict[str, FaultyProvider]) -> None:
        self.gateway = gateway
        self.limited = limited
        self.fallbacks = fallbacks

    def ask(self, route: Route, group: str, stream: bool = False, **more: Any) -> httpx.Response:
        """The proxy's answer."""
        body = {"model": group, **route.body, **more} | ({"stream": stream} if route.streams else {})
        url = self.gateway.url + route.path
        return httpx.post(url, headers=self.gateway.authorization, json=body, timeout=PATIENCE, trust_env=False)


def group_for(limit: str, named_by: str, route: str, stream: bool) -> str:
    return f"{limit} {named_by} {route} {stream}"


def is_counted(limit: str, route: str, stream: bool) -> bool:
    """LiteLLM does not count the tokens of a streamed response."""
    return not (limit.startswith("tpm") and route == "responses" and stream)


CELLS = [
    (limit, named_by, *mode) for limit in LIMITS for named_by in NAMED_BY for mode in MODES if is_counted(limit, *mode)
]


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    groups = {group_for(*cell): LIMITS[cell[0]] for cell in CELLS} | {
        f"sample {number} {stream}": {} for number in range(SAMPLES) for stream in (False, True)
    }
    with ExitStack() as stack:
        primary = stack.enter_context(FaultyProvider())
        fallbacks = {name: stack.enter_context(FaultyProvider()) for name in NAMED_BY}
        urls = dict.fromkeys(groups, primary.url) | {f"named by {it}": one.url for it, one in fallbacks.items()}
        config = {
            "model_list": [
                {"model_name": name, "litellm_params": {**litellm_params("openai", url), **groups.get(name, {})}}
                for name, url in urls.items()
            ],
            "router_settings": {
                "fallbacks": [{name: ["named by fallbacks"]} for name in groups if "default" not in name],
                "default_fallbacks": ["named by default_fallbacks"],
                "routing_strategy": "usage-based-routing-v2",
                "enable_pre_call_checks": True,
                "num_retries": 2,
                "cooldown_time": LONG,
            },
        }
        gateway = stack.enter_context(Gateway(config, tmp_path_factory.mktemp("proxy")))
        yield Gateways(gateway, primary, fallbacks)


@pytest.mark.parametrize(("limit", "named_by", "route_name", "stream"), CELLS)
def test_a_limited_group_answers_from_its_fallback(
    limited: Gateways, limit: str, named_by: str, route_name: str, stream: bool
) -> None:
    """It is itself asked once at the most while its cooldown, or its minute, lasts."""
    limited.limited.fault = HEALTHY if LIMITS[limit] else FAULTS["429"]
    fallback = limited.fallbacks[named_by]
    began, asked, answered = minute(), limited.limited.attempts, fallback.answered

    def ask() -> int:
        group = group_for(limit, named_by, route_name, stream)
        return limited.ask(ROUTES[route_name], group, stream, **NAMED_BY[named_by]).status_code

    statuses = [ask()]
    # Tokens are counted a moment after the answer.
    if limit.startswith("tpm"):
        assert comes_true(lambda: ask() == 200 and fallback.answered > answered)
        asked, answered = limited.limited.attempts, fallback.answered
    statuses += [ask() for _ in range(3)]
    assert statuses == [200] * 4
    minutes = 1 + minute() - began
    assert limited.limited.attempts - asked <= minutes
    assert fallback.answered - answered >= 4 - minutes


def minute() -> int:
    """LiteLLM counts what a group may do by the minute of the clock."""
    return int(time.time() // 60)


@pytest.mark.parametrize("stream", [False, True])
def test_the_way_to_the_fallback_is_short(limited: Gateways, stream: bool) -> None:
    """Of many groups' first requests, each of which meets the limit, the median takes little longer than the others."""
    limited.limited.fault = FAULTS["429"]
    asked = limited.limited.attempts
    direct: list[float] = []
    by_fallback: list[float] = []
    for number in range(SAMPLES):
        for group, times in ((f"sample {number} {stream}", by_fallback), ("named by fallbacks", direct)):
            began = time.monotonic()
            assert limited.ask(ROUTES["chat"], group, stream).status_code == 200
            times.append(time.monotonic() - began)
    added = median(by_fallback) - median(direct)
    print(f"median of {SAMPLES}: {median(direct) * 1000:.1f} ms, by way of the limited group {added * 1000:+.1f} ms")
    assert limited.limited.attempts - asked == SAMPLES
    assert added < ADDED


# --- which fallback it is, and what is said where there is none


def ask(gateway: Gateway, group: str, key: str | None = None) -> httpx.Response:
    """The proxy's answer to one chat request."""
    headers = {"Authorization": f"Bearer {key}"} if key else gateway.authorization
    body = {"model": group, **ROUTES["chat"].body}
    url = gateway.url + ROUTES["chat"].path
    return httpx.post(url, headers=headers, json=body, timeout=PATIENCE, trust_env=False)


def config(providers: dict[str, FaultyProvider], **router_settings: Any) -> dict[str, Any]:
    """A group of one deployment for each of `providers`, with its name."""
    return {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": litellm_params("openai", provider.url),
                "model_info": {"id": f"the one of {name}"},
            }
            for name, provider in providers.items()
        ],
        "router_settings": router_settings,
    }


def test_a_loop_of_fallbacks_ends_with_the_first_reason(tmp_path: Path) -> None:
    """Each group is asked once; the wait is the shortest that may help."""
    first = Fault.status(429, retry_after=9, message="The first has enough.")
    second = Fault.status(429, retry_after=4, message="The second has enough.")
    with FaultyProvider(first) as one, FaultyProvider(second) as two:
        loop = config({"one": one, "two": two}, fallbacks=[{"one": ["two"]}, {"two": ["one"]}], num_retries=0)
        with Gateway(loop, tmp_path) as gateway:
            response = ask(gateway, "one")
            error = response.json()["error"]
            assert (one.attempts, two.attempts) == (1, 1)
            assert (response.status_code, response.headers["retry-after"]) == (429, "4")
            assert "The first has enough." in error["message"]
            assert error["message"].endswith(
                "Attempts that failed: one, deployment the one of one: rate_limited (429); "
                "two, deployment the one of two: rate_limited (429)"
            )


def test_a_fallback_that_is_cooling_down_is_not_asked(tmp_path: Path) -> None:
    """The next one in the list answers in its place."""
    with FaultyProvider() as one, FaultyProvider(FAULTS["401"]) as two, FaultyProvider() as three:
        groups = {"one": one, "two": two, "three": three}
        fallbacks = [{"one": ["two", "three"]}, {"two": ["three"]}]
        with Gateway(config(groups, fallbacks=fallbacks, cooldown_time=LONG), tmp_path) as gateway:
            assert ask(gateway, "two").status_code == 200
            one.fault = FAULTS["429"]
            assert [ask(gateway, "one").status_code for _ in range(3)] == [200] * 3
            assert (one.attempts, two.attempts, three.attempts) == (1, 1, 4)


KEYS = """
from litellm.proxy._types import UserAPIKeyAuth

MAY_USE = {
    "sk-first": {"models": ["limited"]},
    "sk-last": {"models": ["limited", "last"]},
    "sk-all": {},
}


async def known(request, api_key):
    return UserAPIKeyAuth(api_key=api_key, **MAY_USE[api_key])
"""


def test_an_automatic_fallback_is_a_group_the_key_may_use(tmp_path: Path) -> None:
    """The first of them in the order they are declared in; a key that may use no other gets the limit's reason."""
    (tmp_path / "keys.py").write_text(KEYS)
    limit = Fault.status(429, retry_after=30)
    with FaultyProvider(limit) as limited, FaultyProvider() as next_one, FaultyProvider() as last:
        groups = {"limited": limited, "next": next_one, "last": last}
        settings = config(groups, automatic_fallbacks=True, num_retries=0, disable_cooldowns=True)
        settings["general_settings"] = {"custom_auth": "keys.known"}
        with Gateway(settings, tmp_path) as gateway:
            refused = ask(gateway, "limited", "sk-first")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
            assert (next_one.attempts, last.attempts) == (0, 0)
            for key, answered in (("sk-last", (0, 1)), ("sk-all", (1, 1))):
                assert ask(gateway, "limited", key).status_code == 200
                assert (next_one.attempts, last.attempts) == answered
