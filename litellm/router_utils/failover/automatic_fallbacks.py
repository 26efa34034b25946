"""
Finds the model groups that can serve a request in place of one that has no configured fallback: the router's switch
`automatic_fallbacks` (#25080).
"""

import functools
import inspect
import itertools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

import litellm
from litellm._logging import verbose_router_logger
from litellm.litellm_core_utils.failure import classify
from litellm.router_utils.failover.fallbacks import fallback_groups, register_fallback_source
from litellm.router_utils.failover.group_names import by_any_name, names_of, routed_as
from litellm.router_utils.failover.policy import is_deployment_fault
from litellm.router_utils.failover.retry_state import Routed
from litellm.router_utils.failover.router_view import Deployment, Request, Router, leaves_no_deployment, router_setting

Result = TypeVar("Result")
Shared = TypeVar("Shared")

_DEFAULT_MODE: Final = "chat"  # LiteLLM's for a model that says nothing


def add_automatic_fallbacks(fall_back: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.async_function_with_fallbacks_common_utils`, which a request of any kind comes to once its model
    group has failed it, to give it fallbacks where the user has configured none."""
    signature: Final = inspect.signature(fall_back)

    @functools.wraps(fall_back)
    async def async_function_with_fallbacks_common_utils(self: Router, *args: object, **kwargs: object) -> Result:
        if not router_setting(self, "automatic_fallbacks"):
            return await fall_back(self, *args, **kwargs)
        bound: Final = signature.bind(self, *args, **kwargs)
        if _is_of_the_deployments(bound.arguments["e"]):
            request: Final = bound.arguments["kwargs"]
            model_group: Final = str(bound.arguments["model_group"])
            groups: Final = automatic_fallbacks(self, model_group, request, routed_as(model_group))
            permitted: Final = [group for group in groups if await _may_use(self, group, request)]
            if permitted:
                bound.arguments["fallbacks"] = permitted
        return await fall_back(*bound.args, **bound.kwargs)

    return async_function_with_fallbacks_common_utils


def automatic_fallbacks(router: Router, model_group: str, request: Request, routed: Routed | None = None) -> list[str]:
    """The groups to ask in place of `model_group`, in the order they are declared in: of the same mode, and with a
    context window the request fits into as far as that is known. None if fallbacks are configured, or for what is a
    fallback already. `routed` is what the router has made of the name, None if it has not looked it up."""
    if not router_setting(router, "automatic_fallbacks") or request.get("fallback_depth") or "fallbacks" in request:
        return []
    if fallback_groups(model_group, by_any_name(router, model_group, router.fallbacks, routed)):
        return []
    groups: Final = _groups(router)
    own: Final = [groups.pop(name, []) for name in names_of(router, model_group, routed)]
    asked: Final = () if routed is None else routed.deployments
    mode: Final = _of_all(map(_mode, [*asked, *itertools.chain.from_iterable(own)]))
    alike: Final = {name: group for name, group in groups.items() if _of_all(map(_mode, group)) == mode}
    limits: Final = {name: _of_all(map(_context_window, group)) for name, group in alike.items()}
    tokens: Final = _tokens(request) if any(limits.values()) else 0
    return [name for name, limit in limits.items() if limit is None or limit >= tokens]


def _is_of_the_deployments(error: Exception) -> bool:
    """Whether another group may do what this one could not: not if the request itself was rejected."""
    return leaves_no_deployment(error) or is_deployment_fault(classify(error))


def _groups(router: Router) -> dict[str, list[Deployment]]:
    """The deployments of each group, without a team's own and without those that stand for a pattern of names."""
    groups: Final[dict[str, list[Deployment]]] = {}
    for deployment in router.model_list:
        name = str(deployment["model_name"])
        if "*" not in name and not (deployment.get("model_info") or {}).get("team_id"):
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


async def _may_use(router: Any, model_group: str, request: Request) -> bool:  # any-ok: LiteLLM asks for its own class
    """Whether the key and the team of a request to the proxy may use `model_group`; any other request may."""
    metadata: Final = {**(request.get("litellm_metadata") or {}), **(request.get("metadata") or {})}
    key: Final = metadata.get("user_api_key_auth")
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
