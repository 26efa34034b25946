"""
What a failed background health check does to routing: it counts as a failure, and cools the deployment down as the
settings say, but never takes the last deployment of a model group out of rotation.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from litellm.router_utils.failover.router_view import Router, another_in_rotation, group_of, is_pattern

_checked_router: Final[ContextVar[Router | None]] = ContextVar("checked_router", default=None)
"""The router whose deployments are being judged by their checks, None while a request is."""


@contextmanager
def judging_by_checks(router: Router | None) -> Iterator[None]:
    """Have the failures that are counted meanwhile be those of checks of the router's deployments."""
    judging: Final = _checked_router.set(router)
    try:
        yield
    finally:
        _checked_router.reset(judging)


def spare_last_deployment(cools_down: Callable[..., bool]) -> Callable[..., bool]:
    """Wrap what decides whether a failure may cool a deployment down, which it is given the id of behind the router:
    `_should_run_cooldown_logic`, and since 1.110 the compiled router's `record_failure`."""

    @functools.wraps(cools_down)
    def decided(*args: object, **kwargs: object) -> bool:
        checked: Final = _checked_router.get()
        deployment: Final = args[1] if len(args) > 1 else kwargs.get("deployment", kwargs.get("deployment_id"))
        if checked is not None and not may_cool_down(checked, str(deployment)):
            return False
        return cools_down(*args, **kwargs)

    return decided


def may_cool_down(router: Router, deployment_id: str) -> bool:
    """Whether a failed check may cool the deployment down: while another one of its model group is in rotation, and not
    for one model of the many that the deployment stands for."""
    group: Final = group_of(router, deployment_id) or ()
    return not any(map(is_pattern, group)) and another_in_rotation(router, deployment_id)
