"""
What a failed background health check does to routing: it counts as a failure, and cools the deployment down as the
settings say, but never takes the last deployment of a model group out of rotation.
"""

import functools
from collections.abc import Callable
from typing import Final

from litellm.litellm_core_utils.context_slot import ContextSlot
from litellm.router_utils.failover.cooldown import stands_for_pattern
from litellm.router_utils.failover.router_view import Router, another_in_rotation

_CHECKED: Final = ContextSlot[Router | None]("checked_router")

judging_by_checks: Final = _CHECKED.holding
"""Have the failures that are counted meanwhile be those of checks of a router's deployments."""


def spare_last_deployment(cools_down: Callable[..., bool]) -> Callable[..., bool]:
    """Wrap what decides whether a failure may cool a deployment down, which it is given the id of behind the router:
    `_should_run_cooldown_logic`, and since 1.110 the compiled router's `record_failure`."""

    @functools.wraps(cools_down)
    def decided(*args: object, **kwargs: object) -> bool:
        checked: Final = _CHECKED.get()  # None while a request is judged
        deployment: Final = args[1] if len(args) > 1 else kwargs.get("deployment", kwargs.get("deployment_id"))
        if checked is not None and not may_cool_down(checked, str(deployment)):
            return False
        return cools_down(*args, **kwargs)

    return decided


def may_cool_down(router: Router, deployment_id: str) -> bool:
    """Whether a failed check may cool the deployment down: while another one of its model group is in rotation, and not
    for one model of the many that the deployment stands for."""
    return not stands_for_pattern(router, deployment_id) and another_in_rotation(router, deployment_id)
