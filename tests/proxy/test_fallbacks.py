"""A rate-limited group answers from its fallback group, whoever named that, on every route and without a wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest

from proxy.routes import MODES, ROUTES, ask, comes_true
from support.faulty_provider import FAULTS, HEALTHY, Fault, FaultyProvider, litellm_params
from support.gateway import Gateway
from support.routing import minute

LONG = 600
"""Seconds of a cooldown that outlasts the tests."""

ADDED = 0.05
"""Seconds a fallback may take longer than the same group asked by its name; on a busy machine, two requests' time."""

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


class Limited(NamedTuple):
    """A proxy with a group for each test, all of which `provider` serves, and a fallback group for each in NAMED_BY."""

    gateway: Gateway
    provider: FaultyProvider
    fallbacks: dict[str, FaultyProvider]


def group_for(limit: str, named_by: str, route: str, stream: bool) -> str:
    return f"{limit} {named_by} {route} {stream}"


def is_counted(limit: str, route: str, stream: bool) -> bool:
    """LiteLLM does not count the tokens of a streamed response."""
    return not (limit.startswith("tpm") and route == "responses" and stream)


CELLS = [
    (limit, named_by, *mode) for limit in LIMITS for named_by in NAMED_BY for mode in MODES if is_counted(limit, *mode)
]


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limited]:
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
        yield Limited(gateway, primary, fallbacks)


@pytest.mark.parametrize(("limit", "named_by", "route_name", "stream"), CELLS)
def test_a_limited_group_answers_from_its_fallback(
    limited: Limited, limit: str, named_by: str, route_name: str, stream: bool
) -> None:
    """A limited group answers from its fallback, and is itself asked once at the most while the limit lasts."""
    limited.provider.fault = HEALTHY if LIMITS[limit] else FAULTS["429"]
    fallback = limited.fallbacks[named_by]
    began, asked, answered = minute(), limited.provider.attempts, fallback.answered

    def status() -> int:
        group = group_for(limit, named_by, route_name, stream)
        return ask(limited.gateway, group, ROUTES[route_name], stream, **NAMED_BY[named_by]).status_code

    statuses = [status()]
    # Tokens are counted a moment after the answer.
    if limit.startswith("tpm"):
        assert comes_true(lambda: status() == 200 and fallback.answered > answered)
        asked, answered = limited.provider.attempts, fallback.answered
    statuses += [status() for _ in range(3)]
    assert statuses == [200] * 4
    minutes = 1 + minute() - began
    assert limited.provider.attempts - asked <= minutes
    assert fallback.answered - answered >= 4 - minutes


@pytest.mark.parametrize("stream", [False, True])
def test_the_way_to_the_fallback_is_short(limited: Limited, stream: bool) -> None:
    """A request that meets its group's limit takes little longer than one that is sent to the fallback group."""
    limited.provider.fault = FAULTS["429"]
    asked = limited.provider.attempts
    direct: list[float] = []
    by_fallback: list[float] = []
    for number in range(SAMPLES):
        for group, times in ((f"sample {number} {stream}", by_fallback), ("named by fallbacks", direct)):
            began = time.monotonic()
            assert ask(limited.gateway, group, ROUTES["chat"], stream).status_code == 200
            times.append(time.monotonic() - began)
    added = median(by_fallback) - median(direct)
    print(f"median of {SAMPLES}: {median(direct) * 1000:.1f} ms, by way of the limited group {added * 1000:+.1f} ms")
    assert limited.provider.attempts - asked == SAMPLES
    assert added < max(ADDED, 2 * median(direct))


# --- which fallback it is, and what is said where there is none


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


def test_fallback_loop_ends_with_first_reason(tmp_path: Path) -> None:
    """A loop of fallbacks asks each group once and tells the first one's reason and the shortest wait."""
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


def test_cooling_fallback_is_skipped(tmp_path: Path) -> None:
    """A fallback that is cooling down is not asked, and the next one in the list answers in its place."""
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


def test_automatic_fallback_respects_key(tmp_path: Path) -> None:
    """An automatic fallback is the first group that the key may use, in the order of declaration."""
    (tmp_path / "keys.py").write_text(KEYS)
    limit = Fault.status(429, retry_after=30)
    with FaultyProvider(limit) as limited, FaultyProvider() as next_one, FaultyProvider() as last:
        groups = {"limited": limited, "next": next_one, "last": last}
        settings = config(groups, automatic_fallbacks=True, num_retries=0, disable_cooldowns=True)
        settings["general_settings"] = {"custom_auth": "keys.known"}
        with Gateway(settings, tmp_path) as gateway:
            refused = ask(gateway, "limited", key="sk-first")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
            assert (next_one.attempts, last.attempts) == (0, 0)
            for key, answered in (("sk-last", (0, 1)), ("sk-all", (1, 1))):
                assert ask(gateway, "limited", key=key).status_code == 200
                assert (next_one.attempts, last.attempts) == answered
