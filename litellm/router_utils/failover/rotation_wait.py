"""
What becomes of a request for which all deployments of its group are cooling down: it waits for the first of them, if
that is for a moment only, or is let through to a lone one that is kept out for the sake of others' fallbacks.
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Final, TypeVar

from litellm.router_utils.failover.caller_fault import limit_of, seconds_of
from litellm.router_utils.failover.cooldown import is_out_for_fallbacks
from litellm.router_utils.failover.fallbacks import can_fall_back, visit_denied_fallbacks
from litellm.router_utils.failover.policy import LONGEST_WAIT, is_worth_waiting_for
from litellm.router_utils.failover.retries import max_rate_limit_retries
from litellm.router_utils.failover.retry_state import GroupTurn, current_turn
from litellm.router_utils.failover.router_view import (
    Deployment,
    Request,
    Router,
    counts_allowed_fails,
    id_of,
    leaves_no_deployment,
    request_in,
    seconds_until_rotation,
)

Result = TypeVar("Result")
AnyDeployment = TypeVar("AnyDeployment", bound=Deployment)

MARGIN: Final = 0.05
"""Seconds a wait is longer than a cooldown: the store begins its time a little later than the cooldown's time stamp."""

# What LiteLLM takes out of a request as it chooses, and needs again if it chooses anew.
_USED_UP: Final = ("_target_order", "_excluded_deployment_ids", "_retry_skipped_deployment_ids")


def wait_before_asking(turn: GroupTurn, deployment_ids: Collection[str]) -> float | None:
    """The seconds after which the turn may ask one of the deployments, all of which are cooling down: 0 for a lone one
    it is let through to, which the turn then knows, None if it may ask none. A fallback is let through only to what
    this very request has cooled down, as for a retry."""
    names: Final = frozenset(deployment_ids)
    if not names or names <= turn.let_through or can_fall_back(turn):
        return None
    may_ask_a_lone_one: Final = not turn.is_fallback or names <= {one.deployment_id for one in turn.state.attempts}
    if may_ask_a_lone_one and len(names) == 1 and _is_kept_out_for_others(turn.router, *names):
        turn.let_through = names
        return 0.0
    wait: Final = moment_to_wait(turn, names)
    if wait is None:
        return None
    turn.waits += 1
    return wait + MARGIN


def moment_to_wait(turn: GroupTurn, deployment_ids: Collection[str]) -> float | None:
    """The seconds until the first of the deployments, all of which are cooling down, is not, if that is a moment for
    which a request without a fallback can wait: it has retries left. Else None."""
    most_retries: Final = max_rate_limit_retries(turn)
    if turn.waits >= most_retries or turn.attempt.number > most_retries:
        return None
    limit: Final = seconds_of(limit_of(turn.request))
    most: Final = LONGEST_WAIT if limit is None else limit
    seconds: Final = seconds_until_rotation(turn.router, deployment_ids)
    return seconds if is_worth_waiting_for(seconds, most) else None


def _is_kept_out_for_others(router: Router, deployment_id: str) -> bool:
    active: Final = router.cooldown_cache.get_active_cooldowns([deployment_id], parent_otel_span=None)
    return not counts_allowed_fails(router, deployment_id) and all(
        is_out_for_fallbacks(router, deployment_id, str(one["status_code"])) for _, one in active
    )


def record_shut_out(filter_cooldowns: Callable[..., list[AnyDeployment]]) -> Callable[..., list[AnyDeployment]]:
    """Wrap `Router._filter_cooldown_deployments`, which leaves those of a group that are not cooling down."""

    @functools.wraps(filter_cooldowns)
    def _filter_cooldown_deployments(
        self: Router, healthy_deployments: list[AnyDeployment], cooldown_deployments: list[str]
    ) -> list[AnyDeployment]:
        left: Final = filter_cooldowns(self, healthy_deployments, cooldown_deployments)
        turn: Final = current_turn()
        if left or turn is None or not turn.is_choosing:
            return left
        turn.shut_out = healthy_deployments
        return [deployment for deployment in healthy_deployments if id_of(deployment) in turn.let_through]

    return _filter_cooldown_deployments


def wait_for_rotation(get_healthy: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.async_get_healthy_deployments`, which raises where all deployments are cooling down."""

    @functools.wraps(get_healthy)
    async def async_get_healthy_deployments(self: Router, *args: object, **kwargs: object) -> Result:
        turn: Final = current_turn()
        if turn is None or not turn.is_choosing:
            return await get_healthy(self, *args, **kwargs)
        used_up: Final = what_is_used_up(kwargs)
        while True:
            turn.shut_out = ()
            try:
                return await get_healthy(self, *args, **kwargs)
            except Exception as error:
                if not leaves_no_deployment(error) or not turn.shut_out:
                    raise
                await visit_denied_fallbacks(turn)
                wait = wait_before_asking(turn, _ids_of(turn.shut_out))
                if wait is None:
                    raise
            await asyncio.sleep(wait)
            give_back(kwargs, used_up)

    return async_get_healthy_deployments


def wait_for_rotation_sync(get_available: Callable[..., Result]) -> Callable[..., Result]:
    """Wrap `Router.get_available_deployment`; where an asynchronous request chooses by it, nothing is waited for."""

    @functools.wraps(get_available)
    def get_available_deployment(self: Router, *args: object, **kwargs: object) -> Result:
        turn: Final = current_turn()
        if turn is None or not turn.is_choosing or not turn.attempt.is_sync:
            return get_available(self, *args, **kwargs)
        used_up: Final = what_is_used_up(kwargs)
        while True:
            turn.shut_out = ()
            try:
                return get_available(self, *args, **kwargs)
            except Exception as error:
                wait = wait_before_asking(turn, _ids_of(turn.shut_out)) if leaves_no_deployment(error) else None
                if wait is None:
                    raise
            time.sleep(wait)
            give_back(kwargs, used_up)

    return get_available_deployment


def what_is_used_up(kwargs: Mapping[str, object]) -> Request:
    """What of the request, among the arguments of a choice, the choice takes out of it."""
    request: Final = request_in(kwargs)
    return {name: request[name] for name in _USED_UP if name in request}


def give_back(kwargs: Mapping[str, object], used_up: Request) -> None:
    """Put what a choice has taken out of the request there again, for another one."""
    request: Final = request_in(kwargs)
    if isinstance(request, MutableMapping):
        request.update(used_up)


def _ids_of(deployments: Collection[Deployment]) -> frozenset[str]:
    return frozenset(str(id_of(deployment)) for deployment in deployments)
