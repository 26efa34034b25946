"""
Which of a group's deployments a retry is offered: those that have not failed the request, and among these, where a
session, a key or a cached prompt keeps to one, that one for as long as it answers.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Final, TypeVar

from litellm.router_utils.failover.retry_state import NO_AFFINITY, GroupTurn, current_turn
from litellm.router_utils.failover.router_view import (
    PREVIOUS_RESPONSE,
    Deployment,
    id_of,
    ids_of,
    order_of,
    request_in,
    says_no_deployment,
)

Result = TypeVar("Result")
AnyDeployment = TypeVar("AnyDeployment", bound=Deployment)


def untried(turn: GroupTurn, deployments: list[AnyDeployment]) -> list[AnyDeployment]:
    """Those that have not failed this request through a fault of their own, or all if each has."""
    failed: Final = turn.state.failed_deployment_ids
    if not failed:
        return deployments
    return [deployment for deployment in deployments if id_of(deployment) not in failed] or deployments


def exclude_failed_deployments(deployments: list[AnyDeployment]) -> list[AnyDeployment]:
    """Those of `deployments`, from which one is about to be chosen, that have not failed this request through a fault
    of their own, or all if each has; of these those that are preferred, if any is."""
    turn: Final = current_turn()
    if turn is None or not turn.is_choosing:
        return deployments
    left: Final = untried(turn, deployments)
    wish: Final = turn.affinity
    if wish is NO_AFFINITY:
        turn.attempt = turn.attempt._replace(offered=left)
        turn.others = ()
        return left
    turn.attempt = turn.attempt._replace(offered=[*left, *wish.excluded])
    turn.affinity = NO_AFFINITY
    preferred: Final = [deployment for deployment in left if id_of(deployment) in wish.preferred]
    turn.others = left if preferred else ()
    return preferred or left


def ask_others_over_limits(choose: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap the `async_get_available_deployments` of a strategy that heeds `rpm` and `tpm`: where the deployment that is
    preferred is over them, it is asked again without the preference."""
    signature: Final = inspect.signature(choose)

    @functools.wraps(choose)
    async def async_get_available_deployments(self: object, *args: object, **kwargs: object) -> Result:
        turn: Final = current_turn()
        others: Final = turn.others if turn is not None and turn.is_choosing else ()
        if turn is None or not others:
            return await choose(self, *args, **kwargs)
        turn.others = ()
        try:
            chosen: Final = await choose(self, *args, **kwargs)
            if chosen is not None:
                return chosen
        except Exception as error:
            if not says_no_deployment(error):
                raise
        bound: Final = signature.bind(self, *args, **kwargs)
        bound.arguments["healthy_deployments"] = list(others)
        return await choose(*bound.args, **bound.kwargs)

    return async_get_available_deployments


def soft_affinity(
    filter_deployments: Callable[..., Awaitable[list[AnyDeployment]]],
) -> Callable[..., Awaitable[list[AnyDeployment]]]:
    """Wrap the `async_filter_deployments` of a callback that keeps to one deployment, as to a session's or to that of a
    cached prompt: it is preferred among those that are left in the end, and the others stay for a retry."""

    @functools.wraps(filter_deployments)
    async def async_filter_deployments(
        self: object, model: str, healthy_deployments: list[AnyDeployment], *args: object, **kwargs: object
    ) -> list[AnyDeployment]:
        turn: Final = current_turn()
        # A response is at one deployment alone, for a chat completion too that is sent on as a Responses request.
        is_held: Final = request_in(kwargs).get(PREVIOUS_RESPONSE)
        if turn is None or not turn.attempt.is_recorded or not turn.is_choosing or is_held:
            return await filter_deployments(self, model, healthy_deployments, *args, **kwargs)
        left: Final = untried(turn, healthy_deployments)
        kept: Final = await filter_deployments(self, model, left, *args, **kwargs)
        if len(kept) == len(left):
            return healthy_deployments
        if _is_of_first_order(kept, healthy_deployments):
            turn.affinity = replace(turn.affinity, preferred=turn.affinity.preferred or ids_of(kept))
            return healthy_deployments
        # A later order than that of the others would be filtered out: until it fails, only the callback leads there.
        turn.affinity = replace(turn.affinity, excluded=healthy_deployments)
        return kept

    return async_filter_deployments


def _is_of_first_order(some: Iterable[Deployment], among: Iterable[Deployment]) -> bool:
    orders: Final = [order for order in map(order_of, among) if order is not None]
    return not orders or {min(orders)}.issuperset(map(order_of, some))
