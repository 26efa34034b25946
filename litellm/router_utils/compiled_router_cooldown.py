"""
What LiteLLM's compiled router, since 1.110, is told of a failure, so that it cools down as the policy table says.

It decides by itself, and goes by two facts of a failure: a class by its name, and an HTTP status. Its host, in Python,
reports both; here they are restated by what the policy table decides.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

from litellm.litellm_core_utils.failure_signal import diagnose
from litellm.router_utils.failover_policy import POLICY, Cooldown, is_alone

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
    at_once: Final = diagnosis.proven and POLICY[diagnosis.signal].cooldown is Cooldown.AT_ONCE
    if not at_once or status in _COOLED_DOWN_AT_ONCE or is_alone(router_of(core), str(deployment_id)):
        return status
    return COOLS_DOWN_AND_RETRIES


def cooling_down_by_policy(failed: Callable[..., Told]) -> Callable[..., Told]:
    """Wrap `_Driver._failed`, which tells the compiled router of a failed attempt."""

    @functools.wraps(failed)
    def _failed(self: Any, step: Step, deployment: Any, call: Any, error: BaseException) -> Told:
        told: Final = failed(self, step, deployment, call, error)
        return {**told, "status": status_to_cool_by(told["status"], error, self._core, step["deployment_id"])}

    return _failed


def router_of(core: Any) -> Any:
    """A `Router` that a core serves, which has the members of earlier releases. Not the one that was made for the core:
    nothing keeps that while a request is under way."""
    from litellm.router import Router

    router: Final = Router.__new__(Router)
    router.__dict__["_core"] = core
    return router
