"""What keeps the proxy's background health checks running, and what a check may do to routing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import litellm.proxy
import pytest
from litellm import Router
from litellm.proxy.health_check_utils.background_health_checks import (
    end_cooldown_if_healthy,
    health_check_interval_of,
    restart_failed_loop,
)

from support.routing import COMPILED_ROUTER, cooldown_cache, deployment, routed

DEFAULT = 77
HEALTHY = {"x-ratelimit-remaining-requests": "9"}
UNHEALTHY = {"error": "no"}
NOWHERE = "http://provider.invalid"
LONG = 600.0


@pytest.fixture
def router() -> Iterator[Router]:
    with routed([deployment("a", "openai", NOWHERE), deployment("b", "openai", NOWHERE)]) as router:
        yield router


@pytest.fixture
def server(router: Router, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands for litellm.proxy.proxy_server, which needs more than these tests install."""
    server = SimpleNamespace(llm_router=router, health_check_interval=1, background_health_check_loop_active=True)
    monkeypatch.setattr(litellm.proxy, "proxy_server", server, raising=False)
    return server


@pytest.fixture
def proxy_log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    logger = logging.getLogger("LiteLLM Proxy")
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.INFO, logger.name)
    return caplog


def cool_down(router: Router, name: str, status: int = 401) -> None:
    cooldown_cache(router).add_deployment_to_cooldown(name, RuntimeError("no"), status, LONG)


def cooling_down(router: Router) -> list[str]:
    return [name for name, _ in cooldown_cache(router).get_active_cooldowns(["a", "b"], parent_otel_span=None)]


async def found(result: Any, name: str | None = "a", fails_meanwhile: Router | None = None) -> Any:
    """What a background check says that comes to `result`; with a request that fails while the check runs."""

    @end_cooldown_if_healthy
    async def check(model: dict[str, Any]) -> Any:
        if fails_meanwhile is not None:
            cool_down(fails_meanwhile, "a")
        if isinstance(result, Exception):
            raise result
        return result

    said: list[Any] = []

    @restart_failed_loop
    async def one_round() -> None:
        model = {"model_info": {"id": name}}
        # A task of its own, as LiteLLM runs each check.
        said.extend(await asyncio.gather(asyncio.create_task(check(model)), return_exceptions=True))

    await asyncio.create_task(one_round())
    return said[0]


# --- the interval


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(1, 1), (60, 60), ("60", 60), (" 60 ", 60), (60.0, 60), ("2.5", 3), (0.5, 1), (1e-9, 1), (10**12, 10**12)],
)
def test_interval_is_rounded_up(given: Any, seconds: int) -> None:
    """A positive number of seconds, also as text, is rounded up to whole ones."""
    interval = health_check_interval_of({"health_check_interval": given}, DEFAULT)
    assert interval == seconds
    assert type(interval) is int  # LiteLLM runs no checks for any other type


NONSENSE = [0, -1, -0.5, "0", "-3", "", "soon", "60s", None, True, False, [], {}, float("nan"), float("inf"), 10**400]


@pytest.mark.parametrize("given", NONSENSE, ids=lambda given: repr(given)[:9])
def test_invalid_interval_is_reported(given: Any, proxy_log: pytest.LogCaptureFixture) -> None:
    """An interval that is no positive number is reported by the setting's name and not its value."""
    settings = {"background_health_checks": True, "health_check_interval": given}
    assert health_check_interval_of(settings, DEFAULT) == DEFAULT
    assert proxy_log.messages == [
        "general_settings.health_check_interval is not a number of seconds above zero. "
        f"Background health checks run every {DEFAULT} seconds."
    ]


@pytest.mark.parametrize("settings", [{"background_health_checks": True}, {"health_check_interval": 0}, {}])
def test_nothing_is_reported_where_nothing_is_wrong(settings: Any, proxy_log: pytest.LogCaptureFixture) -> None:
    """Nothing is reported where the interval is missing or nothing asks for it."""
    assert health_check_interval_of(settings, DEFAULT) == DEFAULT
    assert not proxy_log.messages


@pytest.mark.parametrize("default", [0, -1])
@pytest.mark.parametrize("settings", [{}, {"health_check_interval": "soon"}])
def test_a_useless_default_gives_way_to_five_minutes(default: int, settings: Any) -> None:
    """A default interval of zero or less gives way to five minutes."""
    assert health_check_interval_of(settings, default) == 300


# --- the loop


async def test_loop_restarts_after_failed_round(server: SimpleNamespace, proxy_log: pytest.LogCaptureFixture) -> None:
    """After a failed round the loop begins anew an interval later, and no two loops are active at a time."""
    began: list[tuple[float, bool]] = []

    @restart_failed_loop
    async def loop() -> None:
        began.append((time.monotonic(), server.background_health_check_loop_active))
        server.background_health_check_loop_active = True
        if len(began) < 3:
            raise RuntimeError("a broken round")

    await loop()
    assert [active for _, active in began[1:]] == [False, False]
    assert all(later - earlier >= 0.95 for (earlier, _), (later, _) in zip(began, began[1:], strict=False))
    assert proxy_log.messages == ["Background health checks failed. They begin anew in 1 seconds."] * 2
    assert "a broken round" in proxy_log.text


async def test_finished_loop_is_not_restarted(server: SimpleNamespace) -> None:
    """A loop that ends of its own, as when the proxy shuts down, does not begin anew."""
    runs: list[None] = []

    @restart_failed_loop
    async def loop() -> None:
        runs.append(None)

    await loop()
    assert len(runs) == 1


async def test_a_cancelled_loop_is_over(server: SimpleNamespace) -> None:
    """A loop that is cancelled has not failed and does not begin anew."""
    started = asyncio.Event()

    @restart_failed_loop
    async def loop() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(loop())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# --- a check and a cooldown


@pytest.mark.parametrize("status", [401, 402, 404, 500, 503])
async def test_a_deployment_found_healthy_is_in_rotation(
    status: int, router: Router, server: SimpleNamespace, proxy_log: pytest.LogCaptureFixture
) -> None:
    """A deployment found healthy is back in rotation, whatever cooled it down, and it alone."""
    cool_down(router, "a", status)
    cool_down(router, "b", status)
    assert await found(HEALTHY) == HEALTHY
    assert cooling_down(router) == ["b"]
    assert proxy_log.messages == ["Deployment a is healthy again. Its cooldown has ended."]


async def test_a_rate_limit_runs_its_time(router: Router, server: SimpleNamespace) -> None:
    """The cooldown of a rate limit runs its time, whatever a check finds."""
    cool_down(router, "a", 429)
    await found(HEALTHY)
    assert cooling_down(router) == ["a"]


@pytest.mark.parametrize("result", [UNHEALTHY, RuntimeError("no"), None])
async def test_a_deployment_not_found_healthy_stays_out(result: Any, router: Router, server: SimpleNamespace) -> None:
    """A deployment whose check failed, raised or came to nothing stays out."""
    cool_down(router, "a")
    assert await found(result) is result
    assert cooling_down(router) == ["a"]


async def test_a_failure_during_the_check_outweighs_it(router: Router, server: SimpleNamespace) -> None:
    """A request that fails while a check runs outweighs what the check finds."""
    await found(HEALTHY, fails_meanwhile=router)
    assert cooling_down(router) == ["a"]


async def test_simultaneous_failure_outweighs_check(
    router: Router, server: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that fails in the moment a check began outweighs what the check finds."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    await found(HEALTHY, fails_meanwhile=router)
    assert cooling_down(router) == ["a"]


async def test_a_check_on_demand_leaves_routing_alone(router: Router, server: SimpleNamespace) -> None:
    """A check on demand, which any caller of GET /health may ask for, ends no cooldown."""
    cool_down(router, "a")

    @end_cooldown_if_healthy
    async def check(model: dict[str, Any]) -> Any:
        return HEALTHY

    assert await check({"model_info": {"id": "a"}}) == HEALTHY
    assert cooling_down(router) == ["a"]


@pytest.mark.parametrize("name", [None, "unknown"])
async def test_check_of_unknown_deployment(
    name: str | None, router: Router, server: SimpleNamespace, proxy_log: pytest.LogCaptureFixture
) -> None:
    """A check of a deployment that the router does not know reports its result and changes nothing."""
    cool_down(router, "a")
    assert await found(HEALTHY, name) == HEALTHY
    assert cooling_down(router) == ["a"]
    assert not proxy_log.messages


async def test_check_without_router(server: SimpleNamespace, proxy_log: pytest.LogCaptureFixture) -> None:
    """A check before there is a router reports its result and logs nothing."""
    server.llm_router = None
    assert await found(HEALTHY) == HEALTHY
    assert not proxy_log.messages


class Redis:
    """What a cooldown needs of LiteLLM's Redis cache; `keys` are those it was told to delete."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.failure: Exception | None = None

    def check_and_fix_namespace(self, key: str) -> str:
        return f"namespace:{key}"

    def batch_get_cache(self, key_list: Sequence[str], *_: object, **__: object) -> dict[str, None]:
        return dict.fromkeys(key_list)

    async def async_batch_get_cache(self, key_list: Sequence[str], *_: object, **__: object) -> dict[str, None]:
        return dict.fromkeys(key_list)

    async def async_delete_cache(self, key: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.keys.append(key)


@pytest.fixture
def redis(router: Any) -> Redis:
    """Through which the router shares its cooldowns."""
    redis = Redis()
    if COMPILED_ROUTER:
        router.health().store.redis_cache = redis
    else:
        cooldowns = router.cooldown_cache
        getattr(cooldowns, "cooldown_store", cooldowns.cache).redis_cache = redis
    return redis


def known_here(router: Any) -> bool:
    """Whether this process knows of a cooldown of deployment a without a look at Redis."""
    cooldowns = router.cooldown_cache
    if COMPILED_ROUTER:
        return bool(cooldowns.cooldown_store.snapshot())
    memory = getattr(cooldowns, "cooldown_store", cooldowns.cache).in_memory_cache
    return bool(memory.get_cache("deployment:a:cooldown"))


async def test_a_cooldown_ends_in_redis_too(router: Router, redis: Redis, server: SimpleNamespace) -> None:
    """A cooldown that a check ends is deleted from Redis too."""
    cool_down(router, "a")
    await found(HEALTHY)
    assert redis.keys == ["namespace:deployment:a:cooldown"]
    assert not known_here(router)


async def test_a_lost_redis_does_not_spoil_the_check(
    router: Router, redis: Redis, server: SimpleNamespace, proxy_log: pytest.LogCaptureFixture
) -> None:
    """A lost Redis spoils no check: the cooldown runs its time, and the log says why."""
    cool_down(router, "a")
    redis.failure = ConnectionError("lost")
    assert await found(HEALTHY) == HEALTHY
    assert known_here(router)
    assert proxy_log.messages == ["The cooldown of deployment a was not ended: lost"]


# --- what is wrapped


@pytest.mark.parametrize("wrap", [end_cooldown_if_healthy, restart_failed_loop])
def test_wrapper_keeps_name_and_docstring(wrap: Callable[..., Any]) -> None:
    """A wrapped function keeps its name and its docstring."""

    async def original() -> None:
        """What it does."""

    wrapped = wrap(original)
    assert (wrapped.__name__, wrapped.__doc__) == ("original", "What it does.")
