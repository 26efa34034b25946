"""
Where the router written in Python, before LiteLLM 1.110, is told of deployments that are not as good a choice as the
others, and tells how its attempts fare. `rotation` knows them.
"""

import functools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar

from litellm.router_utils.failover.retry_state import GroupTurn, current_turn
from litellm.router_utils.failover.rotation import adopt_cooldowns, hold_back, rotation_of
from litellm.router_utils.failover.rotation_wait import give_back, what_is_used_up
from litellm.router_utils.failover.router_view import PREVIOUS_RESPONSE, Deployment, Request, Router, id_of

AnyDeployment = TypeVar("AnyDeployment", bound=Deployment)
Result = TypeVar("Result")


def watch_selected_deployment(update_kwargs: Callable[..., None]) -> Callable[..., None]:
    """Wrap `Router._update_kwargs_with_deployment`, which each attempt runs for the deployment it goes to: from now on
    the attempt is watched."""

    @functools.wraps(update_kwargs)
    def _update_kwargs_with_deployment(
        self: Router, deployment: Deployment, kwargs: Request, *args: object, **more: object
    ) -> None:
        update_kwargs(self, deployment, kwargs, *args, **more)
        turn: Final = current_turn()
        if turn is not None and turn.attempt.is_recorded and turn.is_choosing:
            deployment_id: Final = str((kwargs.get("model_info") or {}).get("id"))
            turn.sent = rotation_of(self).send(deployment_id, turn.probed)
            turn.probed = ()
            turn.has_held = False

    return _update_kwargs_with_deployment


def give_back_unsent(make_call: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.make_call`, through which each attempt goes: one that ends without a deployment, since the request
    is too long for each of them or its caller is gone, is the probe of none."""

    @functools.wraps(make_call)
    async def make_call_and_give_back(self: Router, *args: object, **kwargs: object) -> Result:
        try:
            return await make_call(self, *args, **kwargs)
        finally:
            turn: Final = current_turn()
            if turn is not None and turn.probed:
                rotation_of(self).give_back(turn.probed)
                turn.probed = ()

    return make_call_and_give_back


def hold_back_doubtful(
    filter_cooldowns: Callable[..., list[AnyDeployment]],
) -> Callable[..., list[AnyDeployment]]:
    """Wrap `Router._filter_cooldown_deployments`, which leaves those of a group that are not cooling down: of these
    the ones that are to be asked."""

    @functools.wraps(filter_cooldowns)
    def _filter_cooldown_deployments(
        self: Router, healthy_deployments: list[AnyDeployment], cooldown_deployments: list[str]
    ) -> list[AnyDeployment]:
        left: Final = filter_cooldowns(self, healthy_deployments, cooldown_deployments)
        turn: Final = current_turn()
        if turn is None or not turn.is_choosing or not turn.attempt.is_recorded or turn.state.is_unheld:
            return left
        if cooldown_deployments:
            adopt_cooldowns(self, cooldown_deployments)
        return left if len(left) < 2 or turn.request.get(PREVIOUS_RESPONSE) else _unheld(self, turn, left)

    return _filter_cooldown_deployments


def choose_again_unheld(get_available: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.async_get_available_deployment`: a choice that comes to nothing, whatever the reason, although some
    deployments were left out for better ones, is made once more among all of them."""

    @functools.wraps(get_available)
    async def async_get_available_deployment(self: Router, *args: object, **kwargs: object) -> Result:
        used_up: Final = what_is_used_up(kwargs)
        try:
            return await get_available(self, *args, **kwargs)
        except Exception:
            if not _unhold(self):
                raise
        give_back(kwargs, used_up)
        return await get_available(self, *args, **kwargs)

    return async_get_available_deployment


def choose_again_unheld_sync(get_available: Callable[..., Result]) -> Callable[..., Result]:
    """As `choose_again_unheld`, for `Router.get_available_deployment`."""

    @functools.wraps(get_available)
    def get_available_deployment(self: Router, *args: object, **kwargs: object) -> Result:
        used_up: Final = what_is_used_up(kwargs)
        try:
            return get_available(self, *args, **kwargs)
        except Exception:
            if not _unhold(self):
                raise
        give_back(kwargs, used_up)
        return get_available(self, *args, **kwargs)

    return get_available_deployment


def _unhold(router: Router) -> bool:
    """Have the request that is under way go to any deployment, if some were left out; whether they were."""
    turn: Final = current_turn()
    if turn is None or not turn.has_held:
        return False
    rotation_of(router).give_back(turn.probed)
    turn.probed = ()
    turn.has_held = False
    turn.state.is_unheld = True
    turn.affinity = replace(turn.affinity, excluded=())
    return True


def _unheld(router: Router, turn: GroupTurn, left: list[AnyDeployment]) -> list[AnyDeployment]:
    names: Final = [str(id_of(one)) for one in left]
    tried: Final = turn.state.failed_deployment_ids if turn.state.attempts else ()
    held, turn.probed = hold_back(router, names, tried, is_sync=turn.attempt.is_sync)
    if not held:
        return left
    turn.has_held = True
    turn.affinity = replace(turn.affinity, excluded=[one for one in left if id_of(one) in held])
    return [one for one in left if id_of(one) not in held]
