"""
What becomes of a request for which all deployments of its group are cooling down: it waits for the first of them, if
that is for a moment only, or is let through to a lone one that is kept out for the sake of others' fallbacks.
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

from litellm.router_utils.failover_attempts import TURN, Hop, counts_allowed_fails
from litellm.router_utils.failover_policy import (
    cooldowns_of,
    fallback_groups,
    keeps_out_for_a_fallback,
    leaves_no_deployment,
    routing_context,
    seconds_until_rotation,
)

Deployments = list[dict[str, Any]]

MARGIN: Final = 0.05
"""Seconds a wait is longer than a cooldown: the store begins its time a little later than the cooldown's time stamp."""

# What LiteLLM takes out of a request as it chooses, and needs again if it chooses anew.
_USED_UP: Final = ("_target_order", "_excluded_deployment_ids", "_retry_skipped_deployment_ids")


def wait_before_asking(hop: Hop, deployment_ids: Collection[str]) -> float | None:
    """The seconds after which the turn `hop` may ask one of the deployments, all of which are cooling down: 0 for a
    lone one it is let through to, which `hop` then knows, None if it may ask none. A fallback is let through only to
    what this very request has cooled down, as for a retry."""
    names: Final = frozenset(deployment_ids)
    if not names or names <= hop.let_through or hop.may_fall_back():
        return None
    may_ask_a_lone_one: Final = not hop.is_fallback or names <= {one.deployment_id for one in hop.attempts}
    if may_ask_a_lone_one and len(names) == 1 and _is_kept_out_for_others(hop.router, *names):
        hop.let_through = names
        return 0.0
    if not hop.is_out_for_a_moment(names):
        return None
    hop.waits += 1
    return (seconds_until_rotation(hop.router, names) or 0.0) + MARGIN


def _is_kept_out_for_others(router: Any, deployment_id: str) -> bool:
    active: Final = cooldowns_of(router).get_active_cooldowns([deployment_id], parent_otel_span=None)
    return not counts_allowed_fails(router, deployment_id) and all(
        keeps_out_for_a_fallback(router, deployment_id, one["status_code"]) for _, one in active
    )


async def leave_out_what_is_denied(hop: Hop) -> None:
    """Have the turn `hop` know as no fallbacks those groups that its request's key may not use."""
    fallbacks: Final = hop.request.get("fallbacks", hop.router.fallbacks)
    for name in fallback_groups(hop.group, fallbacks):
        if isinstance(name, str) and name not in hop.asked and not await _may_use(hop, name):
            hop.asked.add(name)


async def _may_use(hop: Hop, group: str) -> bool:
    """Whether the proxy's checks, since 1.100, let a request fall back to a group."""
    context: Final = routing_context(hop.router)
    for kind in ("access", "budget"):
        ask = getattr(context, f"fallback_{kind}_allowed", None)  # since 1.109
        check = getattr(hop.router, f"fallback_{kind}_check", None) if ask is None else None
        if check is not None:
            ask = functools.partial(check, llm_router=hop.router)
        if ask is not None and not await ask(model=group, request_kwargs=hop.request):
            return False
    return True


def noting_who_is_shut_out(filter_cooldowns: Callable[..., Deployments]) -> Callable[..., Deployments]:
    """Wrap `Router._filter_cooldown_deployments`, which leaves those of a group that are not cooling down."""

    @functools.wraps(filter_cooldowns)
    def _filter_cooldown_deployments(
        self: Any, healthy_deployments: Deployments, cooldown_deployments: list[str]
    ) -> Deployments:
        left: Final = filter_cooldowns(self, healthy_deployments, cooldown_deployments)
        hop: Final = TURN.get()
        if left or hop is None or hop.attempting is not None:
            return left
        hop.shut_out = healthy_deployments
        return [deployment for deployment in healthy_deployments if _id_of(deployment) in hop.let_through]

    return _filter_cooldown_deployments


def waiting_for_rotation(get_healthy: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap `Router.async_get_healthy_deployments`, which raises where all deployments are cooling down."""

    @functools.wraps(get_healthy)
    async def async_get_healthy_deployments(self: Any, *args: Any, **kwargs: Any) -> Any:
        hop: Final = TURN.get()
        if hop is None or hop.attempting is not None:
            return await get_healthy(self, *args, **kwargs)
        used_up: Final = _what_is_used_up(kwargs)
        while True:
            hop.shut_out = ()
            try:
                return await get_healthy(self, *args, **kwargs)
            except Exception as error:
                if not leaves_no_deployment(error) or not hop.shut_out:
                    raise
                await leave_out_what_is_denied(hop)
                wait = wait_before_asking(hop, _ids_of(hop.shut_out))
                if wait is None:
                    raise
            await asyncio.sleep(wait)
            _give_back(kwargs, used_up)

    return async_get_healthy_deployments


def waiting_for_rotation_in_sync(get_available: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `Router.get_available_deployment`; where an asynchronous request chooses by it, nothing is waited for."""

    @functools.wraps(get_available)
    def get_available_deployment(self: Any, *args: Any, **kwargs: Any) -> Any:
        hop: Final = TURN.get()
        if hop is None or hop.attempting is not None or not hop.is_sync:
            return get_available(self, *args, **kwargs)
        used_up: Final = _what_is_used_up(kwargs)
        while True:
            hop.shut_out = ()
            try:
                return get_available(self, *args, **kwargs)
            except Exception as error:
                wait = wait_before_asking(hop, _ids_of(hop.shut_out)) if leaves_no_deployment(error) else None
                if wait is None:
                    raise
            time.sleep(wait)
            _give_back(kwargs, used_up)

    return get_available_deployment


def _what_is_used_up(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    request: Final = kwargs.get("request_kwargs") or {}
    return {name: request[name] for name in _USED_UP if name in request}


def _give_back(kwargs: Mapping[str, Any], used_up: Mapping[str, Any]) -> None:
    if used_up:
        kwargs["request_kwargs"].update(used_up)


def _id_of(deployment: Mapping[str, Any]) -> str:
    return str((deployment.get("model_info") or {}).get("id"))


def _ids_of(deployments: Collection[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(map(_id_of, deployments))
