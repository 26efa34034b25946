"""
Whether a failure cools its deployment down: what LiteLLM's `cooldown_handlers` ask. The policy table decides, but for a
lone deployment, which keeps LiteLLM's own treatment.
"""

import math
from typing import Final

from litellm._logging import verbose_router_logger
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.failure import FailureKind, classify, failure_of, kind_of_status
from litellm.router_utils.failover.caller_fault import is_caller_fault
from litellm.router_utils.failover.policy import cools_down_at_once, may_cool_down
from litellm.router_utils.failover.router_view import (
    COOLS_DOWN_ALONE,
    Request,
    Router,
    another_in_rotation,
    deployment_setting,
    group_of,
    is_alone,
    is_pattern,
)

ANSWERED_BY_A_FALLBACK: Final = "answered_by_a_fallback"
COOLED_DOWN_ALONE_AT_ONCE: Final = (401, 404)
"""Statuses at which LiteLLM cools a lone deployment down at once by itself. A 402, which it has among those that may
cool one down, does not by itself."""


def requires_cooldown(
    router: Router,
    model_id: str,
    exception_status: str | int,
    exception_str: str | None,
    original_exception: Exception | None,
) -> bool:
    """Whether a failure of deployment `model_id` may cool it down, at once or once it has failed often enough.

    `exception_status` and `exception_str` stand in for a failure whose exception proves nothing or is not at hand
    (#24366, option B).
    """
    if is_caller_fault(original_exception):
        return False
    text: Final = exception_str or ""
    failure: Final = failure_of(original_exception)
    kind: Final = failure.kind if failure.proven else _reported_kind(exception_status, text)
    alone: Final = is_alone(router, model_id) and not served_by_fallback(original_exception)
    if kind is not FailureKind.RATE_LIMITED and alone:
        return _required_alone(exception_status, text)
    return may_cool_down(kind)


def cools_down_now(original_exception: Exception) -> bool:
    """Whether this one failure proves reason enough to cool a deployment down that another of its group replaces."""
    return cools_down_at_once(failure_of(original_exception)) and not is_caller_fault(original_exception)


def stated_cooldown(original_exception: object) -> int | None:
    """The seconds that the provider asks to be left alone for, None if it does not, be it by asking for none. Whole
    ones, rounded up: LiteLLM rounds what proxies share in a Redis down, and a cooldown of less than a second to none.
    """
    return math.ceil(failure_of(original_exception).retry_after or 0) or None


def is_out_for_fallbacks(router: Router, deployment_id: str, status_code: str | int) -> bool:
    """Whether a cooldown with this status has the sake of fallbacks for its only reason: LiteLLM cools no lone
    deployment down for it. Who has no fallback may ask such a deployment all the same."""
    try:
        return int(status_code) not in COOLED_DOWN_ALONE_AT_ONCE and is_alone(router, deployment_id)
    except (TypeError, ValueError, OverflowError):
        return False


def stands_for_pattern(router: object, deployment_id: str) -> bool:
    """Whether a deployment stands for a pattern of names. `router` may be its `RoutingContext`."""
    return any(map(is_pattern, group_of(router, deployment_id) or ()))


def may_cool_pattern_down(router: object, deployment_id: str) -> bool:
    """Whether a deployment that LiteLLM never cools down may be: it stands for a pattern of names, and another one of
    the pattern is in rotation for those who ask for other models than the one that failed. `router` may be its
    `RoutingContext`."""
    return stands_for_pattern(router, deployment_id) and another_in_rotation(router, deployment_id)


def served_by_fallback(error: object) -> bool:
    """Whether a fallback group stands in for the deployment that failed with this exception: a lone one is then cooled
    down as if its group had another."""
    return safe_getattr(error, ANSWERED_BY_A_FALLBACK) is True


def count_failure(router: Router, deployment_id: object, error: Exception) -> None:
    """Have the failure of a deployment's stream counted of which LiteLLM is told in no other way, as one of an attempt
    is. Needs an event loop, by which LiteLLM tells its callbacks of a cooldown."""
    params: Final[dict[str, object]] = {"model_info": {"id": deployment_id}, "metadata": {}}
    seconds: Final = deployment_setting(router, str(deployment_id), "cooldown_time")
    if seconds is not None:
        params["cooldown_time"] = seconds
    logged: Final[Request] = {"exception": error, "litellm_params": params, "stream": True}
    try:
        router.deployment_callback_on_failure(logged, None, None, None)
    except Exception as problem:  # such as of a Redis that is away: the caller's stream goes on
        verbose_router_logger.warning("A failure of deployment %s is not counted: %s", deployment_id, problem)


def _reported_kind(status: str | int, text: str) -> FailureKind:
    """The kind of a failure known by its status and its text only.

    APIConnectionError's 500 is LiteLLM's own, and "" is no status: only there does the wording count. A status that is
    not a number cools down, as it always has.
    """
    if status == "" or ("APIConnectionError" in text and str(status) == "500"):
        return classify(text)
    try:
        return kind_of_status(int(status))
    except (TypeError, ValueError, OverflowError):
        return FailureKind.SERVER_ERROR


def _required_alone(status: str | int, text: str) -> bool:
    """LiteLLM's own rule, for a deployment nothing can take over from: what it never cooled down there, stays so."""
    if status == "" or "APIConnectionError" in text:
        return False
    try:
        number: Final = int(status)
    except (TypeError, ValueError, OverflowError):
        return True
    return number in COOLS_DOWN_ALONE or not 400 <= number < 500
