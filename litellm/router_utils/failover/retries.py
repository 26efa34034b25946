"""
How many retries a request has by the user's settings: its own, those of a retry policy, a deployment's, the router's.
"""

import math
from collections.abc import Mapping
from typing import Final

from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.router_utils.failover.retry_state import GroupTurn
from litellm.router_utils.failover.router_view import deployment_setting, router_setting


def max_retries(turn: GroupTurn, deployment_id: str) -> float:
    """The retries after an attempt on a deployment, whatever it fails with; math.inf where a retry policy decides by a
    failure that is still to come."""
    if router_setting(turn.router, "retry_policy") is not None or _policies_of_groups(turn):
        return math.inf
    asked_for: Final = turn.request.get("num_retries")
    router_wide: Final = router_setting(turn.router, "num_retries")
    counts: Final = (
        router_wide if asked_for is None else asked_for,
        deployment_setting(turn.router, deployment_id, "num_retries"),
    )
    try:
        return max((int(str(count)) for count in counts if count), default=0)
    except ValueError:  # what LiteLLM makes of such a setting is its own affair
        return math.inf


def max_rate_limit_retries(turn: GroupTurn) -> int:
    """The retries after a rate limit: by a retry policy, by the request itself, or by the router."""
    by_policy: Final = retries_by_policy(turn, "RateLimitErrorRetries")
    first: Final = (by_policy, turn.request.get("num_retries"), router_setting(turn.router, "num_retries"))
    return next((count for count in first if isinstance(count, int)), 0)


def retries_by_policy(turn: GroupTurn, name: str) -> int | None:
    """The retries that a retry policy has under `name`, such as "NotFoundErrorRetries"; None where none has any, or the
    request wants no retries."""
    policy: Final = _policies_of_groups(turn).get(turn.group) or router_setting(turn.router, "retry_policy")
    found: Final = policy.get(name) if isinstance(policy, Mapping) else safe_getattr(policy, name)
    return found if isinstance(found, int) and turn.request.get("num_retries") != 0 else None


def _policies_of_groups(turn: GroupTurn) -> Mapping[str, object]:
    """The retry policies of model groups: those of the request's key or team, else the router's."""
    name: Final = "model_group_retry_policy"
    found: Final = turn.request[name] if name in turn.request else router_setting(turn.router, name)
    return found if isinstance(found, Mapping) else {}
