"""
What follows from a failure, in one table: a row a signal. The cooldown and the retry read their columns here; the
proxy's is for the change that will read it.
"""

import time
from collections.abc import Collection, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import litellm
from litellm.litellm_core_utils.failure_signal import (
    Diagnosis,
    FailureSignal,
    chain,
    classify,
    diagnose,
    peek,
    signal_of_status,
)
from litellm.types.router import RouterErrors

ANSWERED_BY_A_FALLBACK: Final = "answered_by_a_fallback"
OF_THE_CALLER: Final = "failure_of_the_caller"
RECORDED: Final = "failure_recorded"  # on one that was counted though LiteLLM's callbacks were not told of it

LONGEST_WAIT: Final = 3.0
"""Seconds a request waits, at the most, for the first deployment of a group that is cooling down as a whole."""

# LiteLLM's own list. What it then does about a lone deployment's 402 depends on the allowed fails, since 1.106.
_COOLS_DOWN_ALONE: Final = (401, 404, 408, 429, *((402,) if hasattr(litellm, "PaymentRequiredError") else ()))


class Cooldown(Enum):
    """When a deployment is cooled down, if another can take its place and the user's settings do not say otherwise."""

    NEVER = "never"
    REPEATED = "repeated"  # LiteLLM's failure-rate rule
    AT_ONCE = "at once"  # as LiteLLM does for a 429


class Retry(Enum):
    """Where a failed request may be tried again."""

    NOWHERE = "nowhere"
    ELSEWHERE = "elsewhere"  # on the same deployment it cannot help
    ELSEWHERE_ELSE_SAME = "elsewhere, else same"
    AS_TODAY = "as today"


class FailoverPolicy(NamedTuple):
    """What one signal leads to; `caller_status` is the proxy's HTTP status, None where the provider's is passed on."""

    cooldown: Cooldown
    retry: Retry
    caller_status: int | None


POLICY: Final[Mapping[FailureSignal, FailoverPolicy]] = MappingProxyType(
    {
        FailureSignal.RATE_LIMITED: FailoverPolicy(Cooldown.AT_ONCE, Retry.ELSEWHERE, 429),
        FailureSignal.OUT_OF_CREDIT: FailoverPolicy(Cooldown.AT_ONCE, Retry.ELSEWHERE, 402),
        FailureSignal.BAD_CREDENTIALS: FailoverPolicy(Cooldown.AT_ONCE, Retry.ELSEWHERE, None),
        FailureSignal.MODEL_MISSING: FailoverPolicy(Cooldown.AT_ONCE, Retry.ELSEWHERE, 404),
        FailureSignal.UNREACHABLE: FailoverPolicy(Cooldown.AT_ONCE, Retry.ELSEWHERE, 502),
        FailureSignal.TIMED_OUT: FailoverPolicy(Cooldown.REPEATED, Retry.ELSEWHERE, 504),
        FailureSignal.UNAVAILABLE: FailoverPolicy(Cooldown.REPEATED, Retry.ELSEWHERE, None),
        FailureSignal.INTERRUPTED: FailoverPolicy(Cooldown.REPEATED, Retry.ELSEWHERE_ELSE_SAME, 502),
        FailureSignal.SERVER_ERROR: FailoverPolicy(Cooldown.REPEATED, Retry.ELSEWHERE_ELSE_SAME, None),
        FailureSignal.GARBLED: FailoverPolicy(Cooldown.REPEATED, Retry.ELSEWHERE, 502),
        FailureSignal.REQUEST_REJECTED: FailoverPolicy(Cooldown.NEVER, Retry.NOWHERE, None),
        FailureSignal.INTERNAL: FailoverPolicy(Cooldown.NEVER, Retry.AS_TODAY, 500),
    }
)


class CallersPart(NamedTuple):
    """What a request has of its own that a failure may be about: the id of something one provider holds, a time limit
    shorter than the deployment's, credentials. Other callers' requests do not have it."""

    names_an_id: bool = False
    limits_the_time: bool = False
    brings_credentials: bool = False


def signal_of(diagnosis: Diagnosis, part: CallersPart) -> FailureSignal:
    """The signal of a failure, given what the request has of its own: a 404 may be about an id that the caller named,
    and then no other deployment has it either."""
    return FailureSignal.REQUEST_REJECTED if part.names_an_id and diagnosis.http_status == 404 else diagnosis.signal


def holds_for_every_caller(failure: object, part: CallersPart) -> bool:
    """Whether a failure tells other callers something of the deployment. Only then does it count, in LiteLLM's failure
    rate and for `allowed_fails`, or cool anything down."""
    diagnosis: Final = diagnose(failure)
    signal: Final = signal_of(diagnosis, part)
    if diagnosis.proven and POLICY[signal].cooldown is Cooldown.NEVER:
        return False
    if part.brings_credentials and signal is FailureSignal.BAD_CREDENTIALS:
        return False
    return not (part.limits_the_time and diagnosis.http_status is None and _timed_out(failure, signal))


def is_of_the_caller(failure: object) -> bool:
    """Whether `holds_for_every_caller` has said no of this failure; the answer is kept on the exception."""
    return peek(failure, OF_THE_CALLER) is True


def _timed_out(failure: object, signal: FailureSignal) -> bool:
    """Also before there was a connection, which by itself proves that a host cannot be reached."""
    return signal is FailureSignal.TIMED_OUT or any("Timeout" in type(link).__name__ for link in chain(failure))


def is_worth_waiting_for(seconds: float | None, limit: float = LONGEST_WAIT) -> bool:
    """Whether a request for which all deployments are cooling down waits `seconds`, until the first of them is not."""
    return seconds is not None and seconds <= min(limit, LONGEST_WAIT)


def keeps_out_for_a_fallback(router: Any, deployment_id: str, status_code: str | int) -> bool:
    """Whether a cooldown with this status has the sake of fallbacks for its only reason: LiteLLM cools no lone
    deployment down for it. Who has no fallback may ask such a deployment all the same."""
    try:
        by_litellm: Final = int(status_code) in _COOLS_DOWN_ALONE and not litellm._should_retry(int(status_code))
    except (TypeError, ValueError, OverflowError):
        return False
    return not by_litellm and is_alone(router, deployment_id)


def is_due_after(signal: FailureSignal, failures: int, successes: int) -> bool:
    """Whether a deployment that failed with `signal` is to cool down, by the number of its failures and successes in
    this minute: as any that has another beside it (LiteLLM's failure rate)."""
    from litellm.constants import DEFAULT_FAILURE_THRESHOLD_MINIMUM_REQUESTS, DEFAULT_FAILURE_THRESHOLD_PERCENT

    cooldown: Final = POLICY[signal].cooldown
    if cooldown is not Cooldown.REPEATED:
        return cooldown is Cooldown.AT_ONCE
    total: Final = failures + successes
    enough: Final = total >= DEFAULT_FAILURE_THRESHOLD_MINIMUM_REQUESTS
    return enough and failures > DEFAULT_FAILURE_THRESHOLD_PERCENT * total


def blames_the_deployment(signal: FailureSignal) -> bool:
    """Whether another deployment may do what the one that failed with `signal` could not."""
    return POLICY[signal].retry in (Retry.ELSEWHERE, Retry.ELSEWHERE_ELSE_SAME)


def requires_cooldown(
    router: Any,
    model_id: str,
    exception_status: str | int,
    exception_str: str | None,
    original_exception: Exception | None,
) -> bool:
    """Whether a failure of deployment `model_id` may cool it down, at once or once it has failed often enough.

    `exception_status` and `exception_str` stand in for a failure whose exception proves nothing or is not at hand
    (#24366, option B).
    """
    if is_of_the_caller(original_exception):
        return False
    text: Final = exception_str or ""
    diagnosis: Final = diagnose(original_exception)
    signal: Final = diagnosis.signal if diagnosis.proven else _reported_signal(exception_status, text)
    alone: Final = is_alone(router, model_id) and not yields_to_a_fallback(original_exception)
    if signal is not FailureSignal.RATE_LIMITED and alone:
        return _required_alone(exception_status, text)
    return POLICY[signal].cooldown is not Cooldown.NEVER


def cools_down_now(original_exception: Exception) -> bool:
    """Whether this one failure proves reason enough to cool a deployment down that another of its group replaces."""
    diagnosis: Final = diagnose(original_exception)
    of_the_caller: Final = is_of_the_caller(original_exception)
    return diagnosis.proven and POLICY[diagnosis.signal].cooldown is Cooldown.AT_ONCE and not of_the_caller


def leaves_no_deployment(error: object) -> bool:
    """Whether the router found no deployment to choose, for cooldowns or limits of its own. Its strategies raise three
    classes for that, ValueError among them, with this text in common."""
    return isinstance(error, ValueError) and RouterErrors.no_deployments_available.value in str(error)


def yields_to_a_fallback(original_exception: object) -> bool:
    """Whether a fallback group has answered the request that failed with this exception (upstream #25080): a lone
    deployment is then cooled down as if its group had another."""
    return peek(original_exception, ANSWERED_BY_A_FALLBACK) is True


def has_fallback(
    router: Any,
    model_group: str,
    fallbacks: object,
    asked: Collection[str] = (),
    steps: int = 1,
    aliases: object = None,
) -> bool:
    """Whether `fallbacks`, in any format LiteLLM takes, lead from `model_group` within `steps` steps to one that has a
    deployment that is not cooling down and is not among those `asked` before. A name among `aliases`, the router's
    `model_group_alias`, has the fallbacks of its group."""
    from litellm.router_utils.group_names import by_alias

    known: Final = {model_group, *asked}
    reached = {model_group}
    for _ in range(steps):
        chains = [fallback_groups(group, by_alias(aliases, group, fallbacks)) for group in reached]
        reached = {name for chain in chains for name in chain} - known
        deployments = [one for name in reached for one in router.get_model_list(model_name=name) or ()]
        if any_in_rotation(router, {deployment["model_info"]["id"] for deployment in deployments}):
            return True
    return False


def seconds_until_rotation(router: Any, deployment_ids: Collection[str]) -> float | None:
    """How long it takes until the first of the deployments is not cooling down, None if one of them is not."""
    names: Final = list(deployment_ids)
    active: Final = cooldowns_of(router).get_active_cooldowns(names, parent_otel_span=None)
    if not names or len(active) < len(names):
        return None
    now: Final = time.time()
    return max(0.0, min(float(one["timestamp"]) + float(one["cooldown_time"]) - now for _, one in active))


def any_in_rotation(router: Any, deployment_ids: Collection[str]) -> bool:
    """Whether one of the deployments, each named once, is not cooling down."""
    if not deployment_ids:
        return False
    cooling_down: Final = cooldowns_of(router).get_active_cooldowns(list(deployment_ids), parent_otel_span=None)
    return len(deployment_ids) > len(cooling_down)


def fallback_groups(model_group: str, fallbacks: object) -> list[Any]:
    """The names of the groups that `fallbacks`, in any format LiteLLM takes, has for `model_group`."""
    from litellm.router_utils.fallback_event_handlers import (
        _check_non_standard_fallback_format,
        get_fallback_model_group,
    )

    if not isinstance(fallbacks, list) or not fallbacks:
        return []
    if _check_non_standard_fallback_format(fallbacks=fallbacks):
        targets: list[Any] | None = fallbacks
    else:
        targets, _ = get_fallback_model_group(fallbacks=list(fallbacks), model_group=model_group)
    return [target.get("model") if isinstance(target, dict) else target for target in targets or []]


def _reported_signal(status: str | int, text: str) -> FailureSignal:
    """The signal of a failure known by its status and its text only.

    APIConnectionError's 500 is LiteLLM's own, and "" is no status: only there does the wording count. A status that is
    not a number cools down, as it always has.
    """
    if status == "" or ("APIConnectionError" in text and str(status) == "500"):
        return classify(text)
    try:
        return signal_of_status(int(status))
    except (TypeError, ValueError, OverflowError):
        return FailureSignal.SERVER_ERROR


def is_alone(router: Any, model_id: str) -> bool:
    """Whether deployment `model_id` is the only one of its model group, and of its team's model of that name."""
    group: Final = group_of(router, model_id)
    return isinstance(group, list) and len(group) == 1 and not _team_has_another(router, model_id)


def routing_context(router: Any) -> Any:
    """What LiteLLM's cooldown functions take for a router: since 1.109 its `RoutingContext`, before that itself."""
    return getattr(router, "_core_ctx", router)


def group_of(router: Any, model_id: str) -> Any:
    """The deployments of the model group that deployment `model_id` is in, None if there is none. `router` may be its
    `RoutingContext`, which since 1.109 the cooldown functions hand on."""
    find: Final = getattr(router, "get_model_group", None)
    if find is not None:
        return find(id=model_id)
    registry: Final = getattr(router, "registry", None)
    return None if registry is None else registry().resolve(model_id, kind="group_of_id")


def _team_has_another(router: Any, model_id: str) -> bool:
    """Whether LiteLLM, since 1.103, knows another deployment of a team's model: each of them has a group of its own."""
    ask: Final = getattr(router, "team_model_has_alternatives", None)
    if ask is not None:
        return bool(ask(model_id))
    registry: Final = getattr(router, "registry", None)
    return registry is not None and bool(registry().resolve(model_id, kind="team_model_alternatives"))


def deployments_of(router: Any) -> Any:
    """All deployments, for modules outside of the router too, as `cooldowns_of`."""
    return router.model_list


def cooldowns_of(router: Any) -> Any:
    """LiteLLM's store of cooldowns, for the proxy too: since 1.109 such members are for the router's modules only."""
    return router.cooldown_cache


def _required_alone(status: str | int, text: str) -> bool:
    """LiteLLM's own rule, for a deployment nothing can take over from: what it never cooled down there, stays so."""
    if status == "" or "APIConnectionError" in text:
        return False
    try:
        number: Final = int(status)
    except (TypeError, ValueError, OverflowError):
        return True
    return number in _COOLS_DOWN_ALONE or not 400 <= number < 500
