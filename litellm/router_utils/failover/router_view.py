"""
Everything that is asked of a router, typed, and each difference between LiteLLM's releases: no other module of this
package looks which one it runs on. In LiteLLM's own repository this module is not needed.
"""

import functools
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

import litellm
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.release_differences import HAS_PAYMENT_REQUIRED
from litellm.types.router import RouterErrors

if TYPE_CHECKING:
    from litellm.router_utils.cooldown_cache import CooldownCacheValue

Deployment: TypeAlias = Mapping[str, Any]  # any-ok: LiteLLM's own shape, a dict as read from the user's settings
Request: TypeAlias = Mapping[str, Any]  # any-ok: the arguments of any of LiteLLM's endpoints


class Cooldowns(Protocol):
    """LiteLLM's store of cooldowns."""

    default_cooldown_time: float  # seconds

    def get_active_cooldowns(
        self, model_ids: list[str], parent_otel_span: None
    ) -> Sequence[tuple[str, "CooldownCacheValue"]]: ...


class Router(Protocol):
    """What of LiteLLM's `Router` is used here; nothing of it is set."""

    @property
    def model_list(self) -> Sequence[Any]: ...  # any-ok: a Deployment each, which 1.110 has no type for

    @property
    def model_names(self) -> Collection[str]: ...

    @property
    def fallbacks(self) -> Sequence[object] | None: ...

    @property
    def max_fallbacks(self) -> int: ...

    @property
    def cooldown_time(self) -> float: ...

    @property
    def cooldown_cache(self) -> Cooldowns: ...

    @property
    def allowed_fails_policy(self) -> object: ...

    def get_model_list(
        self, model_name: str | None = None, team_id: str | None = None
    ) -> Sequence[Deployment] | None: ...

    def get_model_info(self, id: str) -> Deployment | None: ...

    def deployment_callback_on_failure(
        self, kwargs: Request, completion_response: object, start_time: object, end_time: object
    ) -> bool: ...


# LiteLLM's own list. What it then does about a lone deployment's 402 depends on the allowed fails, since 1.106.
COOLS_DOWN_ALONE: Final = (401, 404, 408, 429, *((402,) if HAS_PAYMENT_REQUIRED else ()))

# Not so in 1.82.6, which has neither; every later release has one of them.
FALLS_BACK_BY_ORDER: Final = any(
    hasattr(litellm.utils, name) for name in ("_get_deployment_order", "get_order_filtered_deployments")
)


PREVIOUS_RESPONSE: Final = "previous_response_id"
"""The field of a request to /v1/responses that goes on with an answer, which one deployment has."""

ROTATION: Final = "_failover_rotation"
"""Where a router, or since 1.110 its core, and its store of cooldowns keep who is asked again and when."""


def id_of(deployment: Deployment) -> str | None:
    """The id of a deployment, None if it has none."""
    found: Final = (deployment.get("model_info") or {}).get("id")
    return None if found is None else str(found)


def ids_of(deployments: Iterable[Deployment] | None) -> frozenset[str | None]:
    """The ids of some deployments."""
    return frozenset(map(id_of, deployments or ()))


def order_of(deployment: Deployment) -> int | None:
    """The `order` the user has given a deployment, None if none."""
    for holder in ("litellm_params", "model_info"):
        order = (deployment.get(holder) or {}).get("order")
        if order is not None:
            return int(order)
    return None


def is_pattern(deployment: Deployment) -> bool:
    """Whether a deployment stands for each model whose name matches its own, such as `openai/*`."""
    return "*" in str(deployment.get("model_name"))


def request_in(arguments: Mapping[str, object]) -> Request:
    """The request among the arguments of one of the router's methods that choose, empty if it is not there."""
    found: Final = arguments.get("request_kwargs")
    return found if isinstance(found, Mapping) else {}


def deployment_setting(router: Router, deployment_id: str, name: str) -> Any:  # any-ok: whatever the user has set
    """What the user has set for one deployment, None if nothing."""
    return setting_in(router.get_model_info(id=deployment_id) or {}, name)


def setting_at(owner: object, deployment_id: str, name: str) -> Any:  # any-ok: whatever the user has set
    """As `deployment_setting`, of a router or the core of one, which finds its deployments at a lower cost."""
    find: Final = safe_getattr(vars(owner).get("_hosted"), "_core_get_model_info")
    if not callable(find):
        return deployment_setting(as_router(owner), deployment_id, name)
    return setting_in(find(deployment_id) or {}, name)


def setting_in(deployment: Deployment, name: str) -> Any:  # any-ok: whatever the user has set
    """A setting of a deployment, None if it has none."""
    for holder in ("model_info", "litellm_params"):
        value = (deployment.get(holder) or {}).get(name)
        if value is not None:
            return value
    return None


def routing_context(router: Router) -> Any:  # any-ok: two classes of LiteLLM's, by release
    """What LiteLLM's cooldown functions take for a router: since 1.109 its `RoutingContext`, before that itself."""
    return getattr(router, "_core_ctx", router)


def tier_comes_first() -> bool:
    """Whether LiteLLM, since 1.102, looks up the fallbacks of the tier that an auto router has chosen before those of
    the auto router's own name."""
    from litellm.router_utils import fallback_event_handlers

    return hasattr(fallback_event_handlers, "fallback_lookup_groups")


def router_of(core: object) -> Router:
    """A `Router` that a core serves, which has the members of earlier releases. Not the one that was made for the core:
    nothing keeps that while a request is under way."""
    from litellm.router import Router as LiteLLMRouter

    router: Final = LiteLLMRouter.__new__(LiteLLMRouter)
    vars(router)["_core"] = core
    return cast(Router, router)


def as_router(owner: object) -> Router:
    """The `Router` whose method has been called; since 1.110 that is one of its core."""
    from litellm.router import Router as LiteLLMRouter

    return cast(Router, owner) if isinstance(owner, LiteLLMRouter) else router_of(owner)


def group_of(router: object, model_id: str) -> Sequence[Deployment] | None:
    """The deployments of the model group that deployment `model_id` is in, None if there is none. `router` may be its
    `RoutingContext`, which since 1.109 the cooldown functions hand on."""
    find: Final = getattr(router, "get_model_group", None)
    registry: Final = getattr(router, "registry", None)
    found: object = None
    if find is not None:
        found = find(id=model_id)
    elif registry is not None:
        found = registry().resolve(model_id, kind="group_of_id")
    return found if isinstance(found, list) else None


def is_alone(router: object, model_id: str) -> bool:
    """Whether deployment `model_id` is the only one of its model group, and of its team's model of that name."""
    group: Final = group_of(router, model_id)
    return group is not None and len(group) == 1 and not _team_has_another(router, model_id)


def _team_has_another(router: object, model_id: str) -> bool:
    """Whether LiteLLM, since 1.103, knows another deployment of a team's model: each of them has a group of its own."""
    ask: Final = getattr(router, "team_model_has_alternatives", None)
    if ask is not None:
        return bool(ask(model_id))
    registry: Final = getattr(router, "registry", None)
    return registry is not None and bool(registry().resolve(model_id, kind="team_model_alternatives"))


def cooldowns_of(router: Router) -> Any:  # any-ok: two stores of LiteLLM's, by release
    """LiteLLM's store of cooldowns, for the proxy too: since 1.109 such members are for the router's modules only."""
    return router.cooldown_cache


async def end_cooldown(router: Any, deployment_id: str) -> None:  # any-ok: two routers of LiteLLM's, by release
    """End a deployment's cooldown, in memory and in the Redis that routers share."""
    cooldown_cache: Final = cooldowns_of(router)
    store: Final = getattr(cooldown_cache, "cooldown_store", None) or cooldown_cache.cache  # 1.82.6 has no store
    key: Final = f"deployment:{deployment_id}:cooldown"
    if hasattr(store, "evict_local"):  # since 1.110: it deletes nothing from the router's Redis
        redis, evict = router.health().store.redis_cache, functools.partial(store.evict_local, deployment_id)
    else:
        redis, evict = store.redis_cache, functools.partial(store.in_memory_cache.delete_cache, key)
    if redis is not None:  # first, as what is missing in memory is read from it
        await redis.async_delete_cache(redis.check_and_fix_namespace(key))
    evict()
    rotation: Final[Any] = safe_getattr(settings_keeper(router), ROTATION)
    if rotation is not None:
        rotation.recovery.restore(deployment_id)


def seconds_until_rotation(router: Router, deployment_ids: Collection[str]) -> float | None:
    """How long it takes until the first of the deployments is not cooling down, None if one of them is not."""
    names: Final = list(deployment_ids)
    active: Final = router.cooldown_cache.get_active_cooldowns(names, parent_otel_span=None)
    if not names or len(active) < len(names):
        return None
    return min(seconds_left(name, [(name, one)]) for name, one in active)


def seconds_left(deployment_id: str, active: Iterable[tuple[str, "CooldownCacheValue"]]) -> float:
    """How long the deployment goes on cooling down by what the store has of it; 0 if that is over, or nothing."""
    now: Final = time.time()
    own: Final = (one for name, one in active if name == deployment_id)
    return max([0.0, *(float(one["timestamp"]) + float(one["cooldown_time"]) - now for one in own)])


def any_in_rotation(router: Router, deployment_ids: Collection[str]) -> bool:
    """Whether one of the deployments, each named once, is not cooling down."""
    if not deployment_ids:
        return False
    cooling_down: Final = router.cooldown_cache.get_active_cooldowns(list(deployment_ids), parent_otel_span=None)
    return len(deployment_ids) > len(cooling_down)


def another_in_rotation(router: Any, deployment_id: str) -> bool:  # any-ok: a router or its `RoutingContext`
    """Whether another deployment of the model group that deployment `deployment_id` is in is neither cooling down nor
    paused."""
    infos: Final = [deployment["model_info"] for deployment in group_of(router, deployment_id) or ()]
    others: Final = {str(info["id"]) for info in infos if info.get("blocked") is not True} - {deployment_id}
    if not others:
        return False
    store: Final[Cooldowns] = getattr(router, "cooldown_cache", None) or router.health().cooldowns
    return len(others) > len(store.get_active_cooldowns(list(others), parent_otel_span=None))


def leaves_no_deployment(error: object) -> bool:
    """Whether the router found no deployment to choose, for cooldowns or limits of its own. Its strategies raise three
    classes for that, ValueError among them, with this text in common."""
    return isinstance(error, ValueError) and says_no_deployment(error)


def says_no_deployment(error: object) -> bool:
    """Whether this is what a strategy raises, in any class, where no deployment is below its limits."""
    return RouterErrors.no_deployments_available.value in str(error)


def counts_allowed_fails(router: Router, deployment_id: str) -> bool:
    """Whether the user has set how many failures the deployment may have; LiteLLM's failure callback counts them."""
    from litellm.router_utils.cooldown_handlers import _is_allowed_fails_set_on_router

    if router.allowed_fails_policy is not None or _is_allowed_fails_set_on_router(routing_context(router)):
        return True
    names: Final = ("allowed_fails", "allowed_fails_policy")
    return any(deployment_setting(router, deployment_id, name) is not None for name in names)


def counts_logged_failures(router: Router) -> bool:
    """Whether a failure that LiteLLM tells its callbacks of is counted by that alone. Since 1.110 the compiled router
    counts what it sees itself."""
    return router.deployment_callback_on_failure in litellm.failure_callback


def has_own_policy_for(router: Router, deployment: Deployment, error: BaseException) -> bool:
    """Whether the deployment's `allowed_fails_policy` names the class of a failure, which then decides alone. Not
    before LiteLLM 1.99, which has no such setting of a deployment's."""
    from litellm.router_utils import cooldown_handlers

    has_policy: Final = getattr(cooldown_handlers, "_has_explicit_allowed_fails_policy_for_exception", None)
    name: Final = id_of(deployment)
    if has_policy is None or name is None:
        return False
    return bool(has_policy(routing_context(router), name, error))


async def may_fall_back_to(router: Router, group: str, request: Request) -> bool:
    """Whether the proxy's checks, since 1.100, let a request fall back to a group."""
    context: Final = routing_context(router)
    for kind in ("access", "budget"):
        ask: Callable[..., Awaitable[bool]] | None = getattr(context, f"fallback_{kind}_allowed", None)  # since 1.109
        check = getattr(router, f"fallback_{kind}_check", None) if ask is None else None
        if check is not None:
            ask = functools.partial(check, llm_router=router)
        if ask is not None and not await ask(model=group, request_kwargs=request):
            return False
    return True


def falls_back_automatically(router: object) -> bool:
    """Whether the switch `automatic_fallbacks` is on."""
    return bool(own_setting(router, "automatic_fallbacks"))


def is_bounded_by_proxy() -> bool:
    """Whether LiteLLM's proxy, since 1.110, holds the request under way to a `total_timeout` that came with it."""
    module: Final = sys.modules.get("litellm.litellm_core_utils.total_deadline")
    deadline: Final = module.current_total_deadline() if module is not None else None
    return deadline is not None and not safe_getattr(deadline, "_released")


def settings_keeper(router: object) -> object:
    """Who keeps a router's settings for as long as there is a router: itself, or since 1.110 its core."""
    members: Final = safe_getattr(router, "__dict__")
    return members.get("_core", router) if isinstance(members, dict) else router


def own_setting(router: object, name: str) -> object:
    """A setting that LiteLLM does not have; None if it is not set."""
    settings: Final = getattr(router, "_plain", None)  # a core's; to ask for the setting itself costs each request more
    if isinstance(settings, dict):
        return settings.get(name)
    keeper: Final = settings_keeper(router)
    return safe_getattr(router, name) if keeper is router else own_setting(keeper, name)


def retries_of(router: object) -> object:
    """How many retries a router has. A core puts all of its settings together to tell one of them, so it is its
    settings that are asked."""
    read: Final = safe_getattr(safe_getattr(settings_keeper(router), "_resolved"), "read")
    return read("num_retries") if callable(read) else router_setting(router, "num_retries")


def router_setting(router: object, name: str) -> Any:  # any-ok: whatever the user has set
    """A setting of the router's that not every release, nor a stand-in for a router, has; None if it has none."""
    return safe_getattr(router, name)
