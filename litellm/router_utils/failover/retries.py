"""
How many retries a request has by the user's settings: its own, those of a retry policy, a deployment's, the router's.
"""

from collections.abc import Mapping
from typing import Final

from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.failure import FailureKind, failure_of
from litellm.router_utils.failover.retry_state import GroupTurn
from litellm.router_utils.failover.router_view import Router, deployment_setting, retries_of, router_setting


def has_retry_left(turn: GroupTurn, deployment_id: str, made: int) -> bool:
    """Whether a retry may follow the attempt on a deployment before which `made` were made in this model group,
    whatever it fails with. A retry policy decides by a failure that is still to come, so it may."""
    return (
        _is_more(num_retries(turn.router, turn.request), made)
        or router_setting(turn.router, "retry_policy") is not None
        or bool(_policies_of_groups(turn))
        or _is_more(deployment_setting(turn.router, deployment_id, "num_retries"), made)
    )


def num_retries(router: Router, request: Mapping[str, object]) -> object:
    """How many retries a request has, by itself or else by the router, whatever that is."""
    own: Final = request.get("num_retries")
    return retries_of(router) if own is None else own


def _is_more(count: object, made: int) -> bool:
    """Whether a setting of retries allows more than `made`; what LiteLLM makes of one that is no number is its own
    affair."""
    try:
        return bool(count) and int(str(count)) > made
    except ValueError:
        return True


def max_rate_limit_retries(turn: GroupTurn) -> int:
    """The retries after a rate limit: by a retry policy, by the request itself, or by the router."""
    by_policy: Final = retries_by_policy(turn, "RateLimitErrorRetries")
    first: Final = (by_policy, turn.request.get("num_retries"), retries_of(turn.router))
    return next((count for count in first if isinstance(count, int)), 0)


def retries_by_policy(turn: GroupTurn, name: str) -> int | None:
    """The retries that a retry policy has under `name`, such as "NotFoundErrorRetries"; None where none has any, or the
    request wants no retries."""
    policy: Final = _policies_of_groups(turn).get(turn.group) or router_setting(turn.router, "retry_policy")
    found: Final = policy.get(name) if isinstance(policy, Mapping) else safe_getattr(policy, name)
    return found if isinstance(found, int) and turn.request.get("num_retries") != 0 else None


def policy_names(turn: GroupTurn, error: BaseException | None) -> bool:
    """Whether a retry policy says how often a failure with this exception is retried."""
    return _retries_named(turn, error) is not None


def retries_after(router: Router, request: Mapping[str, object], error: BaseException) -> int:
    """How many retries a request has for a failure with this exception: by a retry policy that names it, by itself, or
    by the router."""
    turn: Final = GroupTurn(str(request.get("model")), router, request)
    named: Final = _retries_named(turn, error)
    found: Final = num_retries(router, request) if named is None else named
    return found if isinstance(found, int) else 0


def _retries_named(turn: GroupTurn, error: BaseException | None) -> int | None:
    """The retries that a policy has for an exception: by its being a 404, by its class, or a class it is one of, by its
    being a timeout, or for all that the policy does not name."""
    names: Final = [f"{one.__name__.removesuffix('Error')}ErrorRetries" for one in type(error).__mro__]
    if safe_getattr(error, "status_code") == 404:
        names.insert(0, "NotFoundErrorRetries")
    if failure_of(error).kind is FailureKind.TIMED_OUT:
        names.append("TimeoutErrorRetries")
    counts: Final = (retries_by_policy(turn, name) for name in (*names, "DefaultRetries"))
    return next((count for count in counts if count is not None), None)


def _policies_of_groups(turn: GroupTurn) -> Mapping[str, object]:
    """The retry policies of model groups: those of the request's key or team, else the router's."""
    name: Final = "model_group_retry_policy"
    found: Final = turn.request[name] if name in turn.request else router_setting(turn.router, name)
    return found if isinstance(found, Mapping) else {}
