"""
What LiteLLM's compiled router, since 1.110, is told of deployments that stand for a pattern of names: it cools none of
them down by itself, whatever else is left of their group.
"""

import functools
from collections.abc import Callable
from typing import Final

from litellm.router_utils.failover.compiled_router_types import Core
from litellm.router_utils.failover.cooldown import stands_for_pattern
from litellm.router_utils.failover.router_view import another_in_rotation, is_pattern, router_of


def cool_patterns_down(default_ids: Callable[[Core], tuple[str, ...]]) -> Callable[[Core], tuple[str, ...]]:
    """Wrap `RustCore._provider_default_ids`, those that the compiled router never cools down: what is left are those of
    no pattern, which somebody has named."""

    @functools.wraps(default_ids)
    def ids_of_no_pattern(self: Core) -> tuple[str, ...]:
        router: Final = router_of(self)
        known: Final = [(one, router.get_model_info(id=one)) for one in default_ids(self)]
        return tuple(one for one, deployment in known if deployment is None or not is_pattern(deployment))

    return ids_of_no_pattern


def keep_last_of_pattern(is_callers: Callable[[Core, object], bool]) -> Callable[[Core, object], bool]:
    """Wrap `RustHealthCallbacks.per_user_deployment`, whether what a deployment fails with counts for its caller alone:
    that of the last one in rotation of a pattern is about the model that its caller has named, at the most."""

    @functools.wraps(is_callers)
    def per_user_deployment(self: Core, deployment_id: object) -> bool:
        if is_callers(self, deployment_id):
            return True
        router, name = router_of(self), str(deployment_id)
        return stands_for_pattern(router, name) and not another_in_rotation(router, name)

    return per_user_deployment
