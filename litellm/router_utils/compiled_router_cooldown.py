"""
What LiteLLM's compiled router, since 1.110, is told of a failure, so that it cools down as the policy table says.

It decides by itself, and goes by two facts of a failure: a class by its name, and an HTTP status. Its host, in Python,
reports both; here they are restated by what the policy table decides.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

from litellm.litellm_core_utils.failure_signal import FailureSignal, diagnose
from litellm.router_utils.callers_part import (
    callers_part,
    deployment_of,
    has_own_policy_for,
    judge,
    limit_of,
    names_by_its_kind,
    part_of_a_logged_call,
)
from litellm.router_utils.failover_policy import POLICY, CallersPart, Cooldown, is_alone, is_of_the_caller

Told = Mapping[str, Any]
Step = Mapping[str, Any]

# What the compiled router does with a status, as seen on 1.110.2.
COOLS_DOWN_AND_RETRIES: Final = 401  # at once, even a lone deployment; on another deployment
REJECTS: Final = 400  # neither
NOT_RETRIED: Final = (402, 404)
_COOLED_DOWN_AT_ONCE: Final = (401, 402, 404, 429)

ANY_ERROR: Final = "APIError"  # a name that no rule of the compiled router is about
_NEVER_COOLED_DOWN: Final = "APIConnectionError"


def naming_no_failure_of_the_deployment(failure_kind: Callable[[Any], str]) -> Callable[[Any], str]:
    """Wrap `failure_kind`, which names a failure's class: the compiled router never cools down for one of the name
    APIConnectionError, which is right for a failure of LiteLLM's own only (#27362, and option B of #24366)."""

    @functools.wraps(failure_kind)
    def kind_by_the_policy(error: BaseException) -> str:
        kind: Final = failure_kind(error)
        blameless: Final = POLICY[diagnose(error).signal].cooldown is Cooldown.NEVER
        return ANY_ERROR if kind == _NEVER_COOLED_DOWN and not blameless else kind

    return kind_by_the_policy


def status_to_cool_by(status: int | None, error: object, core: Any, deployment_id: object) -> int | None:
    """The HTTP status by which the compiled router decides on a cooldown as the policy table does, given the one it
    would be told. A lone deployment is treated as before."""
    diagnosis: Final = diagnose(error)
    if diagnosis.signal is FailureSignal.REQUEST_REJECTED and status in _COOLED_DOWN_AT_ONCE:
        return REJECTS  # a 404 about an id that the caller named
    at_once: Final = diagnosis.proven and POLICY[diagnosis.signal].cooldown is Cooldown.AT_ONCE
    if not at_once or status in _COOLED_DOWN_AT_ONCE or is_alone(router_of(core), str(deployment_id)):
        return status
    return COOLS_DOWN_AND_RETRIES


def cooling_down_by_policy(failed: Callable[..., Told]) -> Callable[..., Told]:
    """Wrap `_Driver._failed`, which tells the compiled router of a failed attempt: what is the caller's own doing is
    nothing of the deployment's."""

    @functools.wraps(failed)
    def _failed(self: Any, step: Step, deployment: Any, call: Any, error: BaseException) -> Told:
        router: Final = router_of(self._core)
        counts: Final = judge(error, _part_of(router, self, deployment)) or has_own_policy_for(
            router, deployment, error
        )
        told: Final = failed(self, step, deployment, call, error)
        status: Final = status_to_cool_by(told["status"], error, self._core, step["deployment_id"])
        return {**told, "status": status, **({} if counts else {"outside_deployment": True})}

    return _failed


def _part_of(router: Any, driver: Any, deployment: Mapping[str, Any]) -> CallersPart:
    request: Final = driver._request
    is_about_an_id: Final = names_by_its_kind(driver._plan.handler)
    return callers_part(router, request, deployment, limit_of(request), is_about_an_id=is_about_an_id)


def leaving_out_the_callers_doing(exits: Callable[..., Mapping[str, bool]]) -> Callable[..., Mapping[str, bool]]:
    """Wrap `RustHealthCallbacks.failure_exits`, which says what of a logged failure is not the deployment's, that of a
    stream included."""

    @functools.wraps(exits)
    def failure_exits(self: Any, exception: Any, logged: Any, deployment_id: Any) -> Mapping[str, bool]:
        found: Final = exits(self, exception, logged, deployment_id)
        if not isinstance(exception, Exception) or not isinstance(logged, Mapping):
            return found
        router: Final = router_of(self)
        deployment: Final = deployment_of(router, {"litellm_params": {"model_info": {"id": deployment_id}}})
        told: Final = is_of_the_caller(exception)
        counts: Final = not told and judge(exception, part_of_a_logged_call(router, logged, deployment))
        if counts or has_own_policy_for(router, deployment, exception):
            return found
        return {**found, "outside_deployment": True}

    return failure_exits


def unless_of_the_caller(trigger: Callable[..., None]) -> Callable[..., None]:
    """Wrap `RustHealthCallbacks.trigger_fallback_cooldown`, by which LiteLLM counts the failure that a fallback has
    ended with, where its attempt did not."""

    @functools.wraps(trigger)
    def trigger_fallback_cooldown(self: Any, kwargs: Any, exception: object, *args: Any, **more: Any) -> None:
        if not is_of_the_caller(exception):
            trigger(self, kwargs, exception, *args, **more)

    return trigger_fallback_cooldown


def without_the_callers_cooldown_time(start_fields: Callable[[Any], Told]) -> Callable[[Any], Told]:
    """Wrap `_start_fields`, what of a request the compiled router knows: how long others are to do without a deployment
    is not for one caller to say."""

    @functools.wraps(start_fields)
    def fields_for_all(request: Any) -> Told:
        return {name: value for name, value in start_fields(request).items() if name != "cooldown_time"}

    return fields_for_all


def router_of(core: Any) -> Any:
    """A `Router` that a core serves, which has the members of earlier releases. Not the one that was made for the core:
    nothing keeps that while a request is under way."""
    from litellm.router import Router

    router: Final = Router.__new__(Router)
    router.__dict__["_core"] = core
    return router
