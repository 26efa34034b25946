"""
What LiteLLM's compiled router, since 1.110, is told of the names a model group has: it looks fallbacks up by the name a
request came with, and for whom a retry could go to it does not look behind the name of an auto router.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Final

import litellm
from litellm._logging import verbose_router_logger
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.router_utils.failover.compiled_router import NEVER_RETRIED, HostFunction, around, register_rewording
from litellm.router_utils.failover.compiled_router_registry import FoundInDeployments
from litellm.router_utils.failover.compiled_router_types import Core, Outcome, Step
from litellm.router_utils.failover.driver_state import Driver, turn_of_step
from litellm.router_utils.failover.fallbacks import can_fall_back, configured_fallbacks, fallback_groups
from litellm.router_utils.failover.group_names import FALLBACK_LISTS, by_alias, by_any_name, team_of
from litellm.router_utils.failover.policy import NextStep, is_deployment_fault
from litellm.router_utils.failover.retry_state import GroupTurn, Routed
from litellm.router_utils.failover.router_view import (
    Deployment,
    Request,
    falls_back_automatically,
    is_pattern,
    router_of,
)
from litellm.types.router import RetryPolicy

_AUTO_ROUTER: Final = "auto_router/"
_POLICIES: Final = ("model_group_retry_policy", "retry_policy")

# A retry policy lets the compiled router retry by an auto router's name, as often as it says for the name of a
# failure's class; by no other name is anything retried there.
_RETRIED: Final = (
    "InternalServerError",
    *("AuthenticationError", "RateLimitError", "ServiceUnavailableError", "Timeout"),
)
_COUNTS: Final = [f"{name.removesuffix('Error')}ErrorRetries" for name in _RETRIED]


def resolve_configured_aliases(settings: Callable[..., Request]) -> Callable[..., Request]:
    """Wrap `Resolved.dynamic_document`, in which the compiled router is told its settings: it looks fallbacks up by
    itself, and those of each alias stand there for it to find."""

    @functools.wraps(settings)
    def dynamic_document(self: object, *args: object, **kwargs: object) -> Request:
        told: Final = dict(settings(self, *args, **kwargs))
        aliases: Final = told.get("model_group_alias") or {}
        for one in FALLBACK_LISTS:
            for alias in aliases if told.get(one) else ():
                told[one] = by_alias(aliases, alias, told[one])
        return told

    return dynamic_document


def resolve_fallback_names(routing_fields: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Wrap `RustCore._routing_fields`, what the compiled router knows of a request: the fallbacks of the group's other
    names are put there for it to find, and how often a request is retried behind an auto router."""

    @functools.wraps(routing_fields)
    def fields_by_any_name(self: Core, request: Request, *args: object, **kwargs: object) -> Outcome:
        fields: Final = routing_fields(self, request, *args, **kwargs)
        try:
            if not _depends_on_names(self, fields):
                return fields
            group: Final = str(request.get("model"))
            listed: Final = deployments_of(self, request, group)
            retries: Final = _retries_of(self, request, group) if is_auto_router(listed) else {}
            return {**fields, **_fallbacks_of(self, fields, Routed(group, None, listed)), **retries}
        except Exception as error:  # a setting that makes no sense must not take the request from the caller
            verbose_router_logger.warning("The names of %s cannot be read: %s", request.get("model"), error)
            return fields

    return fields_by_any_name


def _depends_on_names(core: Core, request: Request) -> bool:
    """Whether it matters what the name of a group is made into: for its fallbacks, or as an auto router's."""
    own: Final = core._walked_fallbacks
    has_fallbacks: Final = any(own.values()) or any(map(request.get, FALLBACK_LISTS))
    return has_fallbacks or _has_auto_router.of(core)


def _fallbacks_of(core: Core, fields: Outcome, routed: Routed) -> Outcome:
    before: Final = {one: fields.get(one, core._walked_fallbacks.get(one)) for one in FALLBACK_LISTS}
    router: Final = router_of(core)
    named: Final = {one: by_any_name(router, routed.group, fallbacks, routed) for one, fallbacks in before.items()}
    return {one: fallbacks for one, fallbacks in named.items() if fallbacks is not before[one]}


def deployments_of(core: Core, request: Request, group: str) -> Sequence[Deployment]:
    """The deployments of a group. Those that a pattern stands for are listed under the name that was asked for, and
    wanted as they are configured."""
    router: Final = router_of(core)
    listed: Final = router.get_model_list(model_name=group, team_id=team_of(request)) or ()
    as_configured: Final = [router.get_model_info(id=one["model_info"]["id"]) or one for one in listed[:1]]
    if not any(map(is_pattern, as_configured)):
        return listed
    return [router.get_model_info(id=one["model_info"]["id"]) or one for one in listed]


def _retries_of(core: Core, request: Request, auto_router: str) -> Outcome:
    own: Final = request.get("num_retries")
    retries: Final = safe_getattr(core._resolved, "num_retries") if own is None else own
    if not isinstance(retries, int) or retries < 1 or _has_retry_policy(core, request):
        return {}
    return {_POLICIES[0]: {auto_router: RetryPolicy(**dict.fromkeys(_COUNTS, retries))}}


def _has_retry_policy(core: Core, request: Request) -> bool:
    """Whether somebody has set how often what is retried."""
    return any(request.get(name) or safe_getattr(core._resolved, name) for name in _POLICIES)


def is_auto_router(deployments: Sequence[Deployment]) -> bool:
    """Whether a group's only deployments stand for an auto router, which chooses another group for each request."""
    models: Final = (str((one.get("litellm_params") or {}).get("model")) for one in deployments)
    return bool(deployments) and all(model.startswith(_AUTO_ROUTER) for model in models)


_has_auto_router: Final = FoundInDeployments(lambda router: any(is_auto_router([one]) for one in router.model_list))


def recall_group_names(attempt: HostFunction) -> HostFunction:
    """Wrap `_Driver.attempt` and its sync twin, by which a group's turn learns what its name has been made into."""
    return around(attempt, before=_with_names)


def _with_names(driver: Driver, step: Step) -> Step:
    if _depends_on_names(driver._core, driver._request) or falls_back_automatically(driver._core):
        recall_names(driver, turn_of_step(driver, step), step.get("routed"))
    return step


def recall_names(driver: Driver, turn: GroupTurn, tier: object) -> None:
    """Have the turn of the group that was asked for know what the compiled router has made of that name. `tier` is the
    group that an auto router has chosen, None without one. A fallback is looked up by its name alone."""
    group: Final = str(tier or turn.group)
    is_known: Final = turn.routed is not None and turn.routed.group == group
    if not is_known and turn.group == str(driver._request.get("model")):
        turn.routed = Routed(group, None, deployments_of(driver._core, driver._request, turn.group))


def _told_behind_auto_router(driver: Driver, turn: GroupTurn, told: Outcome, decided: NextStep | None) -> Outcome:
    """What the compiled router is told of a failed attempt, so that its retry policy for an auto router retries what is
    to be retried, and nothing else."""
    is_behind_one: Final = turn.routed is not None and is_auto_router(turn.routed.deployments)
    if not is_behind_one or _has_retry_policy(driver._core, driver._request):
        return told
    names: Final = {told["kind"], *told["classes"]}
    if decided is NextStep.RETRY or (decided is NextStep.UPSTREAM and _is_retried_upstream(turn, told)):
        return told if names & set(_RETRIED) else {**told, "kind": _RETRIED[0], "classes": [_RETRIED[0]]}
    kind: Final = NEVER_RETRIED if told["kind"] in _RETRIED else told["kind"]
    return {**told, "kind": kind, "classes": [name for name in told["classes"] if name not in _RETRIED]}


def _is_retried_upstream(turn: GroupTurn, told: Outcome) -> bool:
    """LiteLLM's own rule for a group whose deployments it sees."""
    failed: Final = turn.attempt.failed
    is_fault: Final = failed is not None and is_deployment_fault(failed.kind)
    return is_fault and litellm._should_retry(told["status"] or 500) and not can_fall_back(turn)


def falls_back_by_tier(turn: GroupTurn) -> bool:
    """Whether a request falls back by the name of the tier that an auto router has chosen, and not by its own."""
    if turn.routed is None or turn.routed.group == turn.group or not can_fall_back(turn):
        return False
    fallbacks: Final = turn.request.get("fallbacks", turn.router.fallbacks)
    by_own_name: Final = by_any_name(turn.router, turn.group, fallbacks, None)
    by_all: Final = configured_fallbacks(turn, turn.request)
    return fallback_groups(turn.group, by_all) != fallback_groups(turn.group, by_own_name)


register_rewording(_told_behind_auto_router)
