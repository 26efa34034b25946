"""
Finds the model groups that can serve a request in place of one that has no configured fallback: the router's switch
`automatic_fallbacks` (#25080). The routers of both kinds are told of them by an adapter each.
"""

import itertools
from collections.abc import Iterable
from typing import Any, Final, TypeVar

import litellm
from litellm._logging import verbose_router_logger
from litellm.litellm_core_utils.failure import classify
from litellm.router_utils.failover.fallbacks import fallback_groups, register_fallback_source
from litellm.router_utils.failover.group_names import by_any_name, names_of
from litellm.router_utils.failover.policy import is_deployment_fault
from litellm.router_utils.failover.retry_state import GroupTurn, Routed
from litellm.router_utils.failover.router_view import (
    Deployment,
    Request,
    Router,
    falls_back_automatically,
    is_pattern,
    leaves_no_deployment,
)

Shared = TypeVar("Shared")

_DEFAULT_MODE: Final = "chat"  # LiteLLM's for a model that says nothing


def has_automatic_fallbacks(router: Router, model_group: str, request: Request, routed: Routed | None) -> bool:
    """Whether the groups to ask in place of `model_group` are for the switch to say: it is on, no fallbacks are
    configured, by any of the group's names, or come with the request, and it is no fallback itself."""
    if not falls_back_automatically(router) or request.get("fallback_depth") or "fallbacks" in request:
        return False
    return not fallback_groups(model_group, by_any_name(router, model_group, router.fallbacks, routed))


def automatic_fallbacks(router: Router, model_group: str, request: Request, routed: Routed | None = None) -> list[str]:
    """The groups to ask in place of `model_group`, in the order they are declared in: of the same mode, and with a
    context window the request fits into as far as that is known. None if fallbacks are configured, or for what is a
    fallback already. `routed` is what the router has made of the name, None if it has not looked it up."""
    if not has_automatic_fallbacks(router, model_group, request, routed):
        return []
    groups: Final = declared_groups(router)
    own: Final = [groups.pop(name, []) for name in names_of(router, model_group, routed)]
    asked: Final = () if routed is None else routed.deployments
    mode: Final = _of_all(map(_mode, [*asked, *itertools.chain.from_iterable(own)]))
    alike: Final = {name: group for name, group in groups.items() if _of_all(map(_mode, group)) == mode}
    limits: Final = {name: _of_all(map(_context_window, group)) for name, group in alike.items()}
    tokens: Final = _tokens(request) if any(limits.values()) else 0
    return [name for name, limit in limits.items() if limit is None or limit >= tokens]


def is_of_the_deployments(error: BaseException | None) -> bool:
    """Whether another group may do what this one could not: not if the request itself was rejected."""
    return leaves_no_deployment(error) or is_deployment_fault(classify(error))


async def visit_denied_groups(turn: GroupTurn) -> None:
    """Have the turn, one of whose attempts has failed, know as visited those of its automatic fallbacks that its
    request's key may not use: who has no other one is retried as if there were none."""
    visited: Final = turn.state.visited_groups
    while turn.previous is not None:  # to the group that was asked for: a fallback has none
        turn = turn.previous
    if _key_of(turn.request) is None:
        return
    try:
        for name in automatic_fallbacks(turn.router, turn.group, turn.request, turn.routed):
            if name not in visited and not await may_use(turn.router, name, turn.request):
                visited.add(name)
    except Exception as error:  # must not take the provider's failure from the caller
        verbose_router_logger.warning("The fallbacks of %s cannot be read: %s", turn.group, error)


def declared_groups(router: Router) -> dict[str, list[Deployment]]:
    """The deployments of each group, without a team's own and without those that stand for a pattern of names."""
    groups: Final[dict[str, list[Deployment]]] = {}
    for deployment in router.model_list:
        name = str(deployment["model_name"])
        if not is_pattern(deployment) and not (deployment.get("model_info") or {}).get("team_id"):
            groups.setdefault(name, []).append(deployment)
    return groups


def _of_all(values: Iterable[Shared]) -> Shared | None:
    """What all of a group have in common, else the first: they are meant to be interchangeable."""
    return next(iter(values), None)


def _mode(deployment: Deployment) -> str:
    return str(_known(deployment, "mode") or _DEFAULT_MODE)


def _context_window(deployment: Deployment) -> int | None:
    limit: Final = _known(deployment, "max_input_tokens")
    return limit if isinstance(limit, int) else None


def _known(deployment: Deployment, name: str) -> object:
    """What the user says of a deployment's model or, if nothing, LiteLLM's list of models."""
    said: Final = (deployment.get("model_info") or {}).get(name)
    model: Final = str(deployment["litellm_params"]["model"])
    listed: Final = litellm.model_cost.get(model) or litellm.model_cost.get(model.partition("/")[2]) or {}
    return said if said is not None else listed.get(name)


def _tokens(request: Request) -> int:
    """The size of a request as LiteLLM's counter has it for a model it does not know."""
    messages: Final = request.get("messages")
    text: Final = request.get("prompt") or request.get("input")
    try:
        return litellm.token_counter(messages=messages) if messages else litellm.token_counter(text=str(text or ""))
    except Exception as error:  # an unusual part of a message must not take the fallback from the caller
        verbose_router_logger.warning("The request's size is unknown, its fallbacks are not chosen by it: %s", error)
        return 0


def _key_of(request: Request) -> Any:  # any-ok: the proxy's own class, which lies above
    """The key that a request to the proxy came with, None for any other request."""
    metadata: Final = {**(request.get("litellm_metadata") or {}), **(request.get("metadata") or {})}
    return metadata.get("user_api_key_auth")


async def may_use(router: Any, model_group: str, request: Request) -> bool:  # any-ok: LiteLLM asks for its own class
    """Whether the key and the team of a request to the proxy may use `model_group`; any other request may."""
    key: Final = _key_of(request)
    if key is None:
        return True
    from litellm.proxy._types import ProxyException
    from litellm.proxy.auth.auth_checks import _can_object_call_model, can_key_call_model

    try:
        await can_key_call_model(model_group, router.model_list, key, router)
        if key.team_id is not None:
            _can_object_call_model(
                model=model_group,
                llm_router=router,
                models=key.team_models,
                team_model_aliases=key.team_model_aliases,
                team_id=key.team_id,
                object_type="team",
            )
    except ProxyException:
        return False
    return True


register_fallback_source(automatic_fallbacks)
