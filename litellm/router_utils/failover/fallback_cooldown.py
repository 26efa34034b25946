"""
Cools a lone deployment down for the sake of the requests that a fallback group can answer in its place (upstream
#25080): LiteLLM by itself keeps one in rotation that has no other beside it.
"""

from typing import Final

from litellm._logging import verbose_router_logger
from litellm.constants import DEFAULT_FAILURE_THRESHOLD_MINIMUM_REQUESTS, DEFAULT_FAILURE_THRESHOLD_PERCENT
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.failure import failure_of
from litellm.router_utils.failover.caller_fault import is_caller_fault
from litellm.router_utils.failover.cooldown import (
    ANSWERED_BY_A_FALLBACK,
    COOLED_DOWN_ALONE_AT_ONCE,
    stated_cooldown,
)
from litellm.router_utils.failover.fallbacks import fallbacks_remain
from litellm.router_utils.failover.policy import is_due_after, is_retry_useless
from litellm.router_utils.failover.retry_state import GroupTurn
from litellm.router_utils.failover.router_view import (
    Router,
    counts_allowed_fails,
    deployment_setting,
    is_alone,
    routing_context,
)
from litellm.router_utils.router_callbacks.track_deployment_metrics import (
    get_deployment_failures_for_current_minute,
    get_deployment_successes_for_current_minute,
)


def cooldown_after_fallback(turn: GroupTurn) -> None:
    """Cool down the lone deployment that another group has just stood in for, if the router's own settings name one;
    where mere words tell of its failure, once it has failed often enough.
    What one request brings along, be it a fallback or a short timeout, must not take the deployment from the others."""
    failed, error = turn.attempt.failed, turn.attempt.error
    if failed is None or error is None or not is_retry_useless(failed.kind):
        return
    try:
        is_due: Final = failure_of(error).proven or _is_due(turn.router, failed.deployment_id, error)
        if is_due and fallbacks_remain(turn, {}, ()):
            _cool_down_alone(turn.router, failed.deployment_id, error)
    except Exception as problem:  # such as a lost Redis, which must not take from the caller an answer that is there
        verbose_router_logger.warning("A deployment of %s was not cooled down: %s", turn.group, problem)


def cooldown_failed_fallback(turn: GroupTurn) -> None:
    """Cool down the lone deployment of a fallback group that has just failed, as any that has another beside it: it is
    not to be asked for every request of the group that it stands in for. Who asks for it by name is let through."""
    failed, error = turn.attempt.failed, turn.attempt.error
    if not turn.is_fallback or failed is None or error is None:
        return
    name: Final = failed.deployment_id
    try:
        if _is_due(turn.router, name, error):
            _cool_down_alone(turn.router, name, error)
    except Exception as problem:  # must not take the provider's failure from the caller
        verbose_router_logger.warning("Deployment %s was not cooled down: %s", name, problem)


def cooldown_cut_off(turn: GroupTurn, error: Exception) -> None:
    """Cool down the lone deployment that has used up a deadline for all callers, before a fallback could answer in its
    place: who asks next has the fallback. `error` is its timeout."""
    try:
        if fallbacks_remain(turn, {}, ()):
            _cool_down_alone(turn.router, str(turn.attempt.deployment_id), error)
    except Exception as problem:  # must not take the deadline's failure from the caller
        verbose_router_logger.warning("A deployment of %s was not cooled down: %s", turn.group, problem)


def _is_due(router: Router, deployment_id: str, error: Exception) -> bool:
    """Whether a deployment that failed with `error` has failed often enough, or once for a reason that is enough."""
    context: Final = routing_context(router)
    return is_due_after(
        failure_of(error),
        get_deployment_failures_for_current_minute(context, deployment_id=deployment_id),  # type: ignore[misc]
        get_deployment_successes_for_current_minute(context, deployment_id=deployment_id),  # type: ignore[misc]
        most_failed=DEFAULT_FAILURE_THRESHOLD_PERCENT,
        fewest=DEFAULT_FAILURE_THRESHOLD_MINIMUM_REQUESTS,
    )


def _cool_down_alone(router: Router, deployment_id: str, error: Exception) -> None:
    """Cool down a lone deployment, unless the user has set how many failures it may have, or LiteLLM does so itself: a
    failure is one cooldown, to who counts them."""
    if is_caller_fault(error) or safe_getattr(error, "status_code") in COOLED_DOWN_ALONE_AT_ONCE:
        return
    if not is_alone(router, deployment_id) or counts_allowed_fails(router, deployment_id):
        return
    setattr(error, ANSWERED_BY_A_FALLBACK, True)
    cool_down_if_due(router, deployment_id, error)


def cool_down_if_due(router: Router, deployment_id: str, error: Exception) -> None:
    """Have LiteLLM decide on a cooldown, for as long as it would be if its failure callback did."""
    from litellm.router_utils.cooldown_handlers import _set_cooldown_deployments

    asked_for: Final = (deployment_setting(router, deployment_id, "cooldown_time"), stated_cooldown(error))
    lengths: Final = [seconds for seconds in asked_for if seconds is not None and seconds >= 0]
    status: Final = safe_getattr(error, "status_code")
    _set_cooldown_deployments(  # type: ignore[misc]  # LiteLLM's decorators have no types
        routing_context(router),
        original_exception=error,
        exception_status=status if isinstance(status, (int, str)) else "",
        deployment=deployment_id,
        time_to_cooldown=lengths[0] if lengths else router.cooldown_time,
    )
