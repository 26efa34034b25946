"""
What the proxy's background health checks are run by and what they do to routing: one that finds a deployment healthy
ends its cooldown. What one that fails does is `router_utils/failover/health_check_cooldown.py`.
"""

import asyncio
import functools
import math
import time
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, TypeVar

from litellm._logging import verbose_proxy_logger
from litellm.router_utils.failover.router_view import Deployment, cooldowns_of, end_cooldown

if TYPE_CHECKING:
    from litellm.router_utils.cooldown_cache import CooldownCacheValue

Result = TypeVar("Result")
HealthCheckLoop = Callable[[], Coroutine[object, object, None]]

_INTERVAL: Final = "health_check_interval"
_LAST_RESORT: Final = 300  # seconds; where DEFAULT_HEALTH_CHECK_INTERVAL is of no use either
_TOO_MANY_REQUESTS: Final = "429"

_in_the_background: Final[ContextVar[bool]] = ContextVar("in_the_background", default=False)


def health_check_interval_of(general_settings: Mapping[str, object], default: int) -> int:
    """Whole seconds between two rounds of checks, 1 or more (upstream #8248).

    A number, or text that is one, is rounded up. For anything else the log names the setting, and `default` holds.
    """
    seconds_by_default: Final = _whole_seconds(default) or _LAST_RESORT
    seconds: Final = _whole_seconds(general_settings.get(_INTERVAL, seconds_by_default))
    if seconds is not None:
        return seconds
    if general_settings.get("background_health_checks"):
        # Not the value: it may come from an environment variable that was meant for something else.
        verbose_proxy_logger.warning(
            "general_settings.%s is not a number of seconds above zero. Background health checks run every %d seconds.",
            _INTERVAL,
            seconds_by_default,
        )
    return seconds_by_default


def restart_failed_loop(check_periodically: HealthCheckLoop) -> HealthCheckLoop:
    """The loop of background health checks; after a round that raised it begins anew, an interval later."""

    @functools.wraps(check_periodically)
    async def run_on() -> None:
        from litellm.proxy import proxy_server

        _in_the_background.set(True)
        while True:
            try:
                return await check_periodically()
            except Exception:
                pause = _whole_seconds(proxy_server.health_check_interval) or _LAST_RESORT
                verbose_proxy_logger.exception("Background health checks failed. They begin anew in %d seconds.", pause)
            proxy_server.background_health_check_loop_active = False
            await asyncio.sleep(pause)

    return run_on


def end_cooldown_if_healthy(
    check: Callable[..., Coroutine[object, object, Result]],
) -> Callable[..., Coroutine[object, object, Result]]:
    """A check of one deployment that, in the background, ends the deployment's cooldown if it finds it healthy."""

    @functools.wraps(check)
    async def checked(model: Deployment) -> Result:
        began: Final = time.time()
        result: Final = await check(model)
        if _in_the_background.get() and isinstance(result, dict) and "error" not in result:
            await _return_to_rotation((model.get("model_info") or {}).get("id"), began)
        return result

    return checked


async def _return_to_rotation(deployment_id: str | None, check_began: float) -> None:
    from litellm.proxy import proxy_server

    router: Final = proxy_server.llm_router
    if router is None or deployment_id is None:
        return
    try:
        cooldowns: Final = cooldowns_of(router)
        for _, cooldown in await cooldowns.async_get_active_cooldowns([deployment_id], None):
            if _is_disproved(cooldown, check_began):
                await end_cooldown(router, deployment_id)
                verbose_proxy_logger.info("Deployment %s is healthy again. Its cooldown has ended.", deployment_id)
    except Exception as error:  # such as a lost Redis; what the check found stands
        verbose_proxy_logger.warning("The cooldown of deployment %s was not ended: %s", deployment_id, error)


def _is_disproved(cooldown: "CooldownCacheValue", check_began: float) -> bool:
    """Whether a check that found the deployment healthy disproves the cooldown's reason.

    It does not if the deployment failed a request since. Nor does it for a rate limit, which lets the few tokens of a
    check pass long before it does a request, and may have a Retry-After (RFC 9110 section 10.2.3).
    """
    return cooldown["timestamp"] < check_began and cooldown["status_code"] != _TOO_MANY_REQUESTS


def _whole_seconds(value: object) -> int | None:
    """A positive number of seconds, rounded up; None if `value` is none."""
    if isinstance(value, bool):
        return None
    try:
        seconds: Final = float(value)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError, OverflowError):
        return None
    return math.ceil(seconds) if 0 < seconds < math.inf else None
