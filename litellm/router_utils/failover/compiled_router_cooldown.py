"""
What LiteLLM's compiled router, since 1.110, is told of a failure, so that it cools down as the policy table says.

It decides by itself, and goes by two facts of a failure: a class by its name, and an HTTP status. Its host, in Python,
reports both; here they are restated by what the policy table decides.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Final

from litellm.litellm_core_utils.failure import FailureKind, failure_of
from litellm.router_utils.failover.caller_fault import (
    caller_input,
    deployment_of,
    input_of_logged_call,
    is_caller_fault,
    judge,
    limit_of,
    names_by_its_kind,
)
from litellm.router_utils.failover.compiled_router_reports import remember_status
from litellm.router_utils.failover.compiled_router_types import Core, Driver, Outcome, Step
from litellm.router_utils.failover.policy import CallerInput, cools_down_at_once, may_cool_down
from litellm.router_utils.failover.router_view import Deployment, Router, has_own_policy_for, is_alone, router_of

# What the compiled router does with a status, as seen on 1.110.2.
COOLS_DOWN_AND_RETRIES: Final = 401  # at once, even a lone deployment; on another deployment
REJECTS: Final = 400  # neither
NOT_RETRIED: Final = (402, 404)
_COOLED_DOWN_AT_ONCE: Final = (401, 402, 404, 429)

ANY_ERROR: Final = "APIError"  # a name that no rule of the compiled router is about
_NEVER_COOLED_DOWN: Final = "APIConnectionError"


def rename_connection_errors(failure_kind: Callable[[BaseException], str]) -> Callable[[BaseException], str]:
    """Wrap `failure_kind`, which names a failure's class: the compiled router never cools down for one of the name
    APIConnectionError, which is right for a failure of LiteLLM's own only (#27362, and option B of #24366)."""

    @functools.wraps(failure_kind)
    def kind_by_the_policy(error: BaseException) -> str:
        kind: Final = failure_kind(error)
        is_at_fault: Final = may_cool_down(failure_of(error).kind)
        return ANY_ERROR if kind == _NEVER_COOLED_DOWN and is_at_fault else kind

    return kind_by_the_policy


def status_to_cool_by(status: int | None, error: object, core: Core, deployment_id: object) -> int | None:
    """The HTTP status by which the compiled router decides on a cooldown as the policy table does, given the one it
    would be told. A lone deployment is treated as before."""
    failure: Final = failure_of(error)
    remember_status(core, deployment_id, error)
    if failure.kind is FailureKind.REQUEST_REJECTED and status in _COOLED_DOWN_AT_ONCE:
        return REJECTS  # a 404 about an id that the caller named
    if not cools_down_at_once(failure) or status in _COOLED_DOWN_AT_ONCE:
        return status
    if is_alone(router_of(core), str(deployment_id)):
        return status
    return COOLS_DOWN_AND_RETRIES


def cooldown_by_policy(failed: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Wrap `_Driver._failed`, which tells the compiled router of a failed attempt: what is the caller's own doing is
    nothing of the deployment's."""

    @functools.wraps(failed)
    def _failed(self: Driver, step: Step, deployment: Deployment, call: object, error: BaseException) -> Outcome:
        router: Final = router_of(self._core)
        counts: Final = judge(error, _input_of(router, self, deployment), step["deployment_id"]) or has_own_policy_for(
            router, deployment, error
        )
        told: Final = failed(self, step, deployment, call, error)
        status: Final = status_to_cool_by(told["status"], error, self._core, step["deployment_id"])
        return {**told, "status": status, **({} if counts else {"outside_deployment": True})}

    return _failed


def _input_of(router: Router, driver: Driver, deployment: Deployment) -> CallerInput:
    request: Final = driver._request
    is_about_an_id: Final = names_by_its_kind(driver._plan.handler)
    return caller_input(router, request, deployment, limit_of(request), is_about_an_id=is_about_an_id)


def exclude_caller_faults(exits: Callable[..., Mapping[str, bool]]) -> Callable[..., Mapping[str, bool]]:
    """Wrap `RustHealthCallbacks.failure_exits`, which says what of a logged failure is not the deployment's, that of a
    stream included."""

    @functools.wraps(exits)
    def failure_exits(self: Core, exception: object, logged: object, deployment_id: object) -> Mapping[str, bool]:
        found: Final = exits(self, exception, logged, deployment_id)
        if not isinstance(exception, Exception) or not isinstance(logged, Mapping):
            return found
        router: Final = router_of(self)
        deployment: Final = deployment_of(router, {"litellm_params": {"model_info": {"id": deployment_id}}})
        told: Final = is_caller_fault(exception)
        call: Final = {"stream": True, **logged}  # which a stream that has begun is reported without
        counts: Final = not told and judge(exception, input_of_logged_call(router, call, deployment), deployment_id)
        if counts or has_own_policy_for(router, deployment, exception):
            return found
        return {**found, "outside_deployment": True}

    return failure_exits


def skip_caller_faults(trigger: Callable[..., None]) -> Callable[..., None]:
    """Wrap `RustHealthCallbacks.trigger_fallback_cooldown`, by which LiteLLM counts the failure that a fallback has
    ended with, where its attempt did not."""

    @functools.wraps(trigger)
    def trigger_fallback_cooldown(
        self: object, kwargs: object, exception: object, *args: object, **more: object
    ) -> None:
        if not is_caller_fault(exception):
            trigger(self, kwargs, exception, *args, **more)

    return trigger_fallback_cooldown


def drop_caller_cooldown_time(start_fields: Callable[[object], Outcome]) -> Callable[[object], Outcome]:
    """Wrap `_start_fields`, what of a request the compiled router knows: how long others are to do without a deployment
    is not for one caller to say."""

    @functools.wraps(start_fields)
    def fields_for_all(request: object) -> Outcome:
        return {name: value for name, value in start_fields(request).items() if name != "cooldown_time"}

    return fields_for_all
