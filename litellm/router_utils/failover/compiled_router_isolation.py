"""
Keeps the attempts of one request apart, as `attempt_isolation` does, under LiteLLM's compiled router, since 1.110.
"""

import functools
from collections.abc import Callable
from typing import Final, TypeVar

from litellm.router_utils.failover.attempt_isolation import Given, of_its_own
from litellm.router_utils.failover.compiled_router import HostFunction, around
from litellm.router_utils.failover.compiled_router_types import Outcome, Step
from litellm.router_utils.failover.driver_state import Driver
from litellm.router_utils.failover.router_view import Request

Result = TypeVar("Result")


def isolate_request(attempt_call: Callable[..., Result]) -> Callable[..., Result]:
    """Wrap the compiled router's `attempt_call`, which makes the parameters of an attempt of those of the request."""

    @functools.wraps(attempt_call)
    def attempt_call_alone(core: object, plan: object, request: Request, *args: object, **kwargs: object) -> Result:
        return attempt_call(core, plan, of_its_own(request), *args, **kwargs)

    return attempt_call_alone


def restore_on_failure(attempt: HostFunction) -> HostFunction:
    """Wrap `_Driver.attempt` and its sync twin, which tell of a failure and do not raise it."""
    return around(attempt, before=_remember_given, after=_put_back_if_failed)


def _remember_given(driver: Driver, step: Step) -> Step:
    driver.failover.given = Given.of(driver._request)
    return step


def _put_back_if_failed(driver: Driver, step: Step, told: Outcome) -> Outcome:
    given: Final = driver.failover.given
    if isinstance(given, Given) and not told.get("ok"):
        given.put_back()
    return told
