"""
Has the router know that it is a health check that has failed, and not a request.
"""

import functools
from collections.abc import Callable

from litellm.router_utils.failover.health_check_cooldown import judging_by_checks


def mark_health_check_cooldowns(write_states: Callable[..., None]) -> Callable[..., None]:
    """Wrap the proxy's `_write_health_state_to_router_cache`, which passes on what the checks have found."""

    @functools.wraps(write_states)
    def _write_health_state_to_router_cache(*args: object, **kwargs: object) -> None:
        from litellm.proxy import proxy_server

        with judging_by_checks(proxy_server.llm_router):
            write_states(*args, **kwargs)

    return _write_health_state_to_router_cache
