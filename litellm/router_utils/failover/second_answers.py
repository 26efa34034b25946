"""Of whom a second answer is asked once a stream has broken off, and how: the requests for it, one after the other."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Final, NamedTuple

import litellm
from litellm._logging import verbose_router_logger
from litellm.litellm_core_utils.failure import failure_of
from litellm.router_utils.failover.fallbacks import configured_fallbacks, fallback_groups, start_turn, steps_left
from litellm.router_utils.failover.group_names import deployments_by, team_of
from litellm.router_utils.failover.policy import is_rejected
from litellm.router_utils.failover.retries import retries_after
from litellm.router_utils.failover.retry_state import RequestState
from litellm.router_utils.failover.router_view import Deployment, Router, any_in_rotation, id_of, router_setting
from litellm.router_utils.failover.stream_recovery import Half

Request = dict[str, object]
Asks = Generator[Request, object, tuple[object, Half] | None]

_METADATA: Final = ("metadata", "litellm_metadata")


class Target(NamedTuple):
    """A model group that a second answer can be asked of, and those of its deployments that have not failed."""

    group: str
    deployments: Sequence[Deployment]


def second_answers(
    router: Router,
    request: Request,
    state: RequestState,
    prefilled: Request,
    wanted: Sequence[Half],
    denied: Sequence[str],
    *,
    error: Exception,
    joined: Callable[[Deployment], Sequence[Half]],
) -> Asks:
    """The requests for a second answer to `request`, one for the rest with the fields `prefilled`: to each deployment
    left of its group, unless none is to be asked after `error`, then of the fallbacks that are not `denied`. The answer
    to one is sent in, or what it raised thrown. Returns the answer and which of the `wanted` halves it is, None if
    there is none; `joined` says of a deployment which of them can be joined to the words sent."""
    retries: Final = retries_after(router, request, error)
    for target in _targets(router, request, state, denied, retries) if wanted else ():
        possible = [joined(one) for one in target.deployments]
        for half in wanted:
            if not all(half in halves for halves in possible):
                continue
            if half is Half.CONTINUED and not (prefilled and all(map(can_continue, target.deployments))):
                continue
            try:
                answer = yield _request_to(request, target, prefilled if half is Half.CONTINUED else {}, retries)
                return answer, half
            except Exception as failure:
                verbose_router_logger.debug("No second half from %s, %s: %s", target.group, half.value, failure)
                if half is Half.RESTARTED or not is_rejected(failure_of(failure).kind):
                    break
    return None


def groups_beyond(router: Router, request: Request) -> list[str]:
    """The names of the fallback groups that a second answer could come from."""
    group: Final = str(request.get("model"))
    if not steps_left(router, request):
        return []
    turn: Final = start_turn(router, request, group, None)
    return [name for name in fallback_groups(group, configured_fallbacks(turn, request)) if isinstance(name, str)]


def can_continue(deployment: Deployment) -> bool:
    """Whether a deployment's model goes on from an assistant prefill, by the user's word or LiteLLM's table."""
    info: Final = deployment.get("model_info") or {}
    declared: Final = info.get("supports_assistant_prefill")
    if isinstance(declared, bool):
        return declared
    params: Final = deployment.get("litellm_params") or {}
    model: Final = info.get("base_model") or params.get("base_model") or params.get("model")
    try:
        return litellm.get_model_info(str(model)).get("supports_assistant_prefill") is True
    except Exception:  # a model that LiteLLM does not know
        return False


def as_sent(router: Router, request: Request, deployment: Deployment) -> Request:
    """A request with what the router's defaults, a deployment and its `extra_body` make of it."""
    own: Final = deployment.get("litellm_params") or {}
    defaults: Final = router_setting(router, "default_litellm_params")
    bodies: Final = (own.get("extra_body"), request.get("extra_body"))
    sent: Final = {**(defaults if isinstance(defaults, Mapping) else {}), **own, **request}
    for body in bodies:
        sent.update(body if isinstance(body, Mapping) else {})
    return sent


def _targets(
    router: Router, request: Request, state: RequestState, denied: Sequence[str], retries: int
) -> list[Target]:
    own: Final = [str(request.get("model"))] if retries else []
    names: Final = [*own, *(name for name in groups_beyond(router, request) if name not in denied)]
    team: Final = team_of(request)
    failed: Final = state.failed_deployment_ids
    found: Final = [
        Target(name, [one for one in deployments_by(router, name, team) if id_of(one) not in failed])
        for name in dict.fromkeys(names)
    ]
    return [one for one in found if any_in_rotation(router, {str(id_of(each)) for each in one.deployments})]


def _request_to(request: Request, target: Target, prefilled: Request, retries: int) -> Request:
    left: Final = min(retries, len(target.deployments) - 1)
    asked: Final = {**request, **prefilled, "model": target.group, "num_retries": left, "disable_fallbacks": True}
    asked.pop("fallbacks", None)
    # LiteLLM notes the deployment there, while the log of the first half may yet be written.
    return {
        name: dict(value) if name in _METADATA and isinstance(value, dict) else value for name, value in asked.items()
    }
