"""Two proxies over one Redis: what one finds out about a deployment the other knows, and neither depends on Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from packaging.version import Version

from proxy.load import BUSY, grows, load
from proxy.routes import ask, comes_true
from support.faulty_provider import FAULTS, FaultyProvider, litellm_params
from support.gateway import Gateway
from support.redis_server import RedisError, RedisServer

LONG = 600
"""Seconds of a cooldown that outlasts the tests."""

READ_AGAIN = 1.0
"""Seconds after which a proxy looks in Redis for cooldowns again: LiteLLM's own number since 1.103."""

CALLERS = 50
DEATHS = ("refused", "401", "404", "429")
AFTER_RESTART = "401 once Redis is back"
FOUND_AGAIN = "found dead every second"
"""The group whose first deployment is dead, and cools down for a second each time."""

SHARES_WITHIN_A_SECOND = Version(version("litellm")).release >= (1, 103)
"""Before, a proxy looks again after `default_redis_batch_cache_expiry`, 10 s, and finds out for itself until then."""

WELL = "all well"
WRITES_WITHOUT_WAITING = Version(version("litellm")).release >= (1, 110)
"""Before, LiteLLM's event loop stands still for some seconds, while Redis is away, each time it writes a cooldown."""


class Pair(NamedTuple):
    """Two proxies with the same groups and one Redis, and the first deployment of each group by the group's name."""

    redis: RedisServer
    finder: Gateway
    other: Gateway
    deployments: dict[str, FaultyProvider]


def group(name: str, *providers: FaultyProvider, cooldown_time: float = LONG) -> list[dict[str, Any]]:
    """The deployments of a group, the first one the cheapest; their ids are "NAME-1" and so on."""
    return [
        {
            "model_name": name,
            "litellm_params": {
                **litellm_params("openai", provider.url),
                "input_cost_per_token": place * 1e-6,
                "output_cost_per_token": place * 1e-6,
                "cooldown_time": cooldown_time,
            },
            "model_info": {"id": f"{name}-{place}"},
        }
        for place, provider in enumerate(providers, 1)
    ]


@contextmanager
def pair_of_proxies(folder: Path) -> Iterator[Pair]:
    """Each group has a deployment that is to die, and one that stays."""
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder))
        deployments = {name: stack.enter_context(FaultyProvider()) for name in (*DEATHS, AFTER_RESTART)}
        dead = stack.enter_context(FaultyProvider(FAULTS["401"]))
        staying = stack.enter_context(FaultyProvider())
        model_list = [one for name, dying in deployments.items() for one in group(name, dying, staying)]
        settings = {
            "model_list": [
                *model_list,
                *group(FOUND_AGAIN, dead, staying, cooldown_time=1),
                *group(WELL, staying, staying),
            ],
            "router_settings": {
                "redis_host": "127.0.0.1",
                "redis_port": redis.port,
                "routing_strategy": "cost-based-routing",
                "num_retries": 2,
            },
        }
        finder, other = (stack.enter_context(proxy(settings, folder / name)) for name in ("finder", "other"))
        yield Pair(redis, finder, other, deployments)


def proxy(settings: dict[str, Any], folder: Path) -> Gateway:
    """One that tries Redis again a second, not a minute, after Redis has failed five times."""
    folder.mkdir()
    return Gateway(settings, folder, REDIS_CIRCUIT_BREAKER_RECOVERY_TIMEOUT="1")


def retries(gateway: Gateway, name: str, number: int) -> int:
    """How often some requests, one after another, met the dead deployment before the other one answered them."""
    answers = [ask(gateway, name) for _ in range(number)]
    assert [answer.status_code for answer in answers] == [200] * number
    return sum(int(answer.headers["x-litellm-attempted-retries"]) for answer in answers)


def asked_by_other(pair: Pair, name: str) -> int:
    """How often the other proxy asks a deployment from a second after its death has been found."""
    deployment = pair.deployments[name]
    assert retries(pair.other, name, 1) == 0  # from here on it remembers that there was no cooldown
    assert deployment.answered == 1
    deployment.fault = FAULTS[name.partition(" ")[0]]
    assert retries(pair.finder, name, 5) == 1, "the one that found it out asked again"
    time.sleep(READ_AGAIN)  # the promise is about this second; no event marks its end
    return retries(pair.other, name, 20)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair_of_proxies(tmp_path_factory.mktemp("pair")) as pair:
        yield pair


@pytest.mark.parametrize("death", DEATHS)
def test_dead_deployment_is_known_to_other(pair: Pair, death: str) -> None:
    """A second after one proxy has found a dead deployment, the other does not ask it; before 1.103 it asks once."""
    assert asked_by_other(pair, death) == (0 if SHARES_WITHIN_A_SECOND else 1)


def outcome_of(gateway: Gateway) -> str:
    """What became of one request: "answered", or else the proxy's words."""
    response = ask(gateway, FOUND_AGAIN if WRITES_WITHOUT_WAITING else WELL)
    return "answered" if response.is_success and "pong" in response.text else response.text


def is_cooldown_stored(pair: Pair) -> bool:
    """Whether Redis knows of a cooldown after one more request."""
    return ask(pair.finder, FOUND_AGAIN).is_success and pair.redis.knows(f"deployment:{FOUND_AGAIN}-1:cooldown")


def test_redis_restarts_lose_no_request(pair: Pair) -> None:
    """No request is lost while Redis is killed and started again, and proxies share cooldowns when it is back.

    Since 1.110 also where a dead deployment is found again and again meanwhile.
    """
    with load(CALLERS, lambda _: outcome_of(pair.finder)) as outcomes:
        for _ in range(2):
            assert grows(lambda: len(outcomes), by=CALLERS)
            pair.redis.kill()
            assert grows(lambda: len(outcomes), by=2 * CALLERS)
            pair.redis.start()
    assert comes_true(lambda: is_cooldown_stored(pair), BUSY)
    assert set(outcomes) == {"answered"}
    assert asked_by_other(pair, AFTER_RESTART) == (0 if SHARES_WITHIN_A_SECOND else 1)


def test_missing_redis_binary_names_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no redis-server, the error says how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RedisError, match="apt-get install redis-server"):
        RedisServer(tmp_path).start()
