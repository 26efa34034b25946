"""
Keeps the longer one of two cooldowns of a deployment (#40130): of the requests that are under way when a deployment is
told to wait a minute, another one may fail later with a second, which does not end that minute.
"""

import functools
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

from litellm._logging import verbose_router_logger
from litellm.router_utils.failover.router_view import Cooldowns

if TYPE_CHECKING:
    from litellm.redis.stores.router_cooldowns import RouterCooldownStore
    from litellm.router_utils.cooldown_cache import CooldownCacheValue

Active = Iterable[tuple[str, "CooldownCacheValue"]]


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
        try:
            is_outlasted = _is_outlasted(
                model_id, seconds, self.get_active_cooldowns([model_id], parent_otel_span=None)
            )
        except Exception as error:
            is_outlasted = _not_read(model_id, error)
        if not is_outlasted:
            add(self, model_id, original_exception, exception_status, cooldown_time)

    return add_deployment_to_cooldown


def keep_longer_stored(put: Callable[..., None]) -> Callable[..., None]:
    """Wrap `RouterCooldownStore.put`, through which every cooldown goes since LiteLLM 1.110. `ttl` is in seconds."""

    @functools.wraps(put)
    def put_if_longer(self: "RouterCooldownStore", model_id: str, value: "CooldownCacheValue", ttl: float) -> None:
        try:
            is_outlasted = _is_outlasted(model_id, ttl, self.active_sync((model_id,)))
        except Exception as error:
            is_outlasted = _not_read(model_id, error)
        if not is_outlasted:
            put(self, model_id, value, ttl)

    return put_if_longer


def keep_longer_stored_async(put: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """As `keep_longer_stored`, for `RouterCooldownStore.async_put`."""

    @functools.wraps(put)
    async def async_put_if_longer(
        self: "RouterCooldownStore", model_id: str, value: "CooldownCacheValue", ttl: float
    ) -> None:
        from litellm.caching.redis_batch import Batch

        try:
            is_outlasted = _is_outlasted(model_id, ttl, await self.active((model_id,), batch=Batch.NONE))
        except Exception as error:
            is_outlasted = _not_read(model_id, error)
        if not is_outlasted:
            await put(self, model_id, value, ttl)

    return async_put_if_longer


def _is_outlasted(model_id: str, seconds: float, active: Active) -> bool:
    """Whether a cooldown that the deployment has lasts longer than one that begins now."""
    now: Final = time.time()
    left: Final = max(
        (one["timestamp"] + one["cooldown_time"] - now for name, one in active if name == model_id), default=0.0
    )
    if left > seconds:
        verbose_router_logger.debug("Deployment %s cools down for %.1f s more, not for %.1f s", model_id, left, seconds)
    return left > seconds


def _not_read(model_id: str, error: Exception) -> bool:
    """A store that cannot be read, such as a Redis that is away, keeps no deployment in rotation."""
    verbose_router_logger.warning("The cooldown of deployment %s cannot be read, a new one begins: %s", model_id, error)
    return False
