"""
Keeps the longer one of two cooldowns of a deployment (#40130): of the requests that are under way when a deployment is
told to wait a minute, another one may fail later with a second, which does not end that minute.
"""

import functools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from litellm._logging import verbose_router_logger
from litellm.router_utils.failover.router_view import Cooldowns, seconds_left

if TYPE_CHECKING:
    from litellm.redis.stores.router_cooldowns import RouterCooldownStore
    from litellm.router_utils.cooldown_cache import CooldownCacheValue


def keep_longer_cooldown(add: Callable[..., None]) -> Callable[..., None]:
    """Wrap `CooldownCache.add_deployment_to_cooldown`, before LiteLLM 1.110. `cooldown_time` is in seconds, None for
    the router's own."""

    @functools.wraps(add)
    def add_deployment_to_cooldown(
        self: Cooldowns,
        model_id: str,
        original_exception: Exception,
        exception_status: int,
        cooldown_time: float | None,
    ) -> None:
        seconds: Final = self.default_cooldown_time if cooldown_time is None else cooldown_time
        left = 0.0
        with _reading(model_id):
            left = seconds_left(model_id, self.get_active_cooldowns([model_id], parent_otel_span=None))
        if not _is_outlasted(model_id, seconds, left):
            add(self, model_id, original_exception, exception_status, cooldown_time)

    return add_deployment_to_cooldown


def keep_longer_stored(put: Callable[..., None]) -> Callable[..., None]:
    """Wrap `RouterCooldownStore.put`, through which every cooldown goes since LiteLLM 1.110. `ttl` is in seconds."""

    @functools.wraps(put)
    def put_if_longer(self: "RouterCooldownStore", model_id: str, value: "CooldownCacheValue", ttl: float) -> None:
        left = 0.0
        with _reading(model_id):
            left = seconds_left(model_id, self.active_sync((model_id,)))
        if not _is_outlasted(model_id, ttl, left):
            put(self, model_id, value, ttl)

    return put_if_longer


def keep_longer_stored_async(put: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """As `keep_longer_stored`, for `RouterCooldownStore.async_put`."""

    @functools.wraps(put)
    async def async_put_if_longer(
        self: "RouterCooldownStore", model_id: str, value: "CooldownCacheValue", ttl: float
    ) -> None:
        from litellm.caching.redis_batch import Batch

        left = 0.0
        with _reading(model_id):
            left = seconds_left(model_id, await self.active((model_id,), batch=Batch.NONE))
        if not _is_outlasted(model_id, ttl, left):
            await put(self, model_id, value, ttl)

    return async_put_if_longer


def _is_outlasted(model_id: str, seconds: float, left: float) -> bool:
    """Whether a cooldown of which so many seconds are left lasts longer than one that begins now."""
    if left > seconds:
        verbose_router_logger.debug("Deployment %s cools down for %.1f s more, not for %.1f s", model_id, left, seconds)
    return left > seconds


@contextmanager
def _reading(model_id: str) -> Iterator[None]:
    """A store that cannot be read, such as a Redis that is away, keeps no deployment in rotation."""
    try:
        yield
    except Exception as error:
        verbose_router_logger.warning(
            "The cooldown of deployment %s cannot be read, a new one begins: %s", model_id, error
        )
