"""
What a failed background health check does to routing: it counts as a failure, and cools the deployment down as the
settings say, but never takes the last deployment of a model group out of rotation.
"""

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from litellm.router_utils.failover_policy import any_in_rotation, group_of

_checked_router: Final[ContextVar[Any]] = ContextVar("checked_router", default=None)
"""The router whose deployments are being judged by their checks, None while a request is."""


def judging_by_checks(write_states: Callable[..., None]) -> Callable[..., None]:
    """Wrap the proxy's `_write_health_state_to_router_cache`, which passes on what the checks have found."""

    @functools.wraps(write_states)
    def _write_health_state_to_router_cache(*args: Any, **kwargs: Any) -> None:
        from litellm.proxy import proxy_server

        judging: Final = _checked_router.set(getattr(proxy_server, "llm_router", None))
        try:
            write_states(*args, **kwargs)
        finally:
            _checked_router.reset(judging)

    return _write_health_state_to_router_cache


def sparing_the_last_one(cools_down: Callable[..., bool]) -> Callable[..., bool]:
    """Wrap what decides whether a failure may cool a deployment down, which it is given the id of behind the router:
    `_should_run_cooldown_logic`, and since 1.110 the compiled router's `record_failure`."""

    @functools.wraps(cools_down)
    def decided(*args: Any, **kwargs: Any) -> bool:
        checked: Final = _checked_router.get()
        deployment: Final = args[1] if len(args) > 1 else kwargs.get("deployment", kwargs.get("deployment_id"))
        if checked is not None and not may_cool_down(checked, str(deployment)):
            return False
        return cools_down(*args, **kwargs)

    return decided


def may_cool_down(router: Any, deployment_id: str) -> bool:
    """Whether a failed check may cool the deployment down: while another one of its model group is in rotation."""
    group: Final = group_of(router, deployment_id) or ()
    infos: Final = [deployment["model_info"] for deployment in group]
    others: Final = [info["id"] for info in infos if info["id"] != deployment_id and info.get("blocked") is not True]
    return any_in_rotation(router, others)
