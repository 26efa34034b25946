"""
Remembers, for one request to the router, which deployments it was given to and what became of that.

Kept in a context variable, because a retry, the choice of a deployment and a fallback to another group happen in
methods that share no argument. What follows from it is for the policy table of `failover_policy` to say.
"""

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import litellm
from litellm.litellm_core_utils.failure_signal import FailureSignal, classify, peek
from litellm.litellm_core_utils.first_event import await_first_event
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper
from litellm.router_utils.failover_policy import POLICY, Retry, has_fallback

Result = TypeVar("Result")
Deployment = TypeVar("Deployment", bound=Mapping[str, Any])

ATTEMPTS_ATTRIBUTE: Final = "failed_attempts"

# What each deployment of a model group can do as well as the next: LiteLLM's own functions, and its router's methods.
# The others upload, name or cancel something that one provider holds; LiteLLM's own rule is left to decide about them.
_ANY_DEPLOYMENT_WILL_DO: Final = frozenset(
    {
        *("agenerate_content", "agenerate_content_stream", "amoderation", "anthropic_messages", "aresponses"),
        *("_acompletion", "_completion", "_atext_completion", "_aadapter_completion"),
        *("_aembedding", "_embedding", "_arerank"),
        *("_aimage_generation", "_image_generation", "_aspeech", "_atranscription"),
    }
)
_HELD_BY_THE_PROVIDER: Final = ("previous_response_id", "conversation", "prompt")  # in a Responses request


class FailedAttempt(NamedTuple):
    """One attempt of a request: the deployment's id, its model group, what its failure was, and the HTTP status."""

    deployment_id: str
    model_group: str
    signal: FailureSignal
    status_code: int | None

    def __str__(self) -> str:
        status: Final = "" if self.status_code is None else f" ({self.status_code})"
        return f"{self.model_group}, deployment {self.deployment_id}: {self.signal.value}{status}"


@dataclass
class _Hop:
    """One model group's turn at a request. The groups it falls back to get their own, with the same `groups` and
    `attempts`."""

    may_fall_back: Callable[[], bool]
    groups: list[str]  # this one last
    attempts: list[FailedAttempt]
    is_noting: bool = False
    candidates: Sequence[Mapping[str, Any]] = ()  # the deployments the last attempt could have gone to
    attempting: str | None = None  # the id of the deployment it went to
    failed: FailedAttempt | None = None  # what came of it; None also if no deployment could be chosen

    @property
    def ids_to_blame(self) -> frozenset[str]:
        blamed: Final = (Retry.ELSEWHERE, Retry.ELSEWHERE_ELSE_SAME)
        return frozenset(one.deployment_id for one in self.attempts if POLICY[one.signal].retry in blamed)


_FALLS_BACK_BY_ORDER: Final = hasattr(litellm.utils, "get_order_filtered_deployments")  # not so in 1.82.6

_HOP: Final[ContextVar[_Hop | None]] = ContextVar("litellm_failover_hop", default=None)


def remembering_attempts(with_fallbacks: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.async_function_with_fallbacks`: what it raises in the end says what was tried, in its message and as
    `failed_attempts`, a tuple of `FailedAttempt`."""

    @functools.wraps(with_fallbacks)
    async def async_function_with_fallbacks(self: Any, *args: Any, **kwargs: Any) -> Result:
        before: Final = _HOP.get() if kwargs.get("fallback_depth") else None  # a request made within another is its own
        groups: Final = [*(before.groups if before else ()), str(kwargs.get("model"))]
        may_fall_back: Final = functools.partial(_may_fall_back, self, kwargs, groups)
        hop: Final = _Hop(may_fall_back, groups, before.attempts if before else [])
        token: Final = _HOP.set(hop)
        try:
            return await with_fallbacks(self, *args, **kwargs)
        except Exception as error:
            if before is None:
                _say_what_was_tried(error, hop.attempts)
            raise
        finally:
            _HOP.reset(token)

    return async_function_with_fallbacks


def noting_its_failure(make_call: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.make_call`, through which each attempt of each kind of request goes."""

    @functools.wraps(make_call)
    async def make_call_and_note(self: Any, original_function: Any, *args: Any, **kwargs: Any) -> Result:
        hop: Final = _HOP.get()
        if hop is not None:
            hop.attempting = hop.failed = None
            hop.is_noting = _name(kwargs.get("original_generic_function", original_function)) in _ANY_DEPLOYMENT_WILL_DO
        try:
            response: Final = await make_call(self, original_function, *args, **kwargs)
            return await await_first_event(response) if _is_unbegun_stream(response, kwargs) else response
        except Exception as error:
            if hop is not None and hop.attempting is not None:
                status: Final = peek(error, "status_code")
                signal: Final = FailureSignal.REQUEST_REJECTED if _is_about_an_id(error, kwargs) else classify(error)
                code: Final = status if isinstance(status, int) else None
                hop.failed = FailedAttempt(hop.attempting, hop.groups[-1], signal, code)
                hop.attempts.append(hop.failed)
            raise

    return make_call_and_note


def noting_the_deployment(update_kwargs: Callable[..., None]) -> Callable[..., None]:
    """Wrap `Router._update_kwargs_with_deployment`, which each attempt runs for the deployment it goes to."""

    @functools.wraps(update_kwargs)
    def _update_kwargs_with_deployment(
        self: Any, deployment: Any, kwargs: dict[str, Any], *args: Any, **more: Any
    ) -> None:
        update_kwargs(self, deployment, kwargs, *args, **more)
        hop: Final = _HOP.get()
        if hop is not None and hop.is_noting:
            # Of a caller with credentials of their own, an id that is not the shared deployment's.
            hop.attempting = (kwargs.get("model_info") or {}).get("id")

    return _update_kwargs_with_deployment


def untried(deployments: list[Deployment]) -> list[Deployment]:
    """Those of `deployments` that have not failed this request through a fault of their own, or all if each has."""
    hop: Final = _HOP.get()
    if hop is None:
        return deployments
    left: Final = [deployment for deployment in deployments if _id(deployment) not in hop.ids_to_blame] or deployments
    hop.candidates = left
    return left


def retry_by_policy(healthy_deployments: Sequence[Mapping[str, Any]] | None) -> bool | None:
    """Whether the failure at hand is to be retried, None where LiteLLM's own rule decides.

    `healthy_deployments` are those of the model group that are not cooling down.
    """
    hop: Final = _HOP.get()
    if hop is None or hop.failed is None:
        return None
    retry: Final = POLICY[hop.failed.signal].retry
    if retry is Retry.NOWHERE:
        return False
    candidates: Final = {_id(deployment) for deployment in hop.candidates}
    if retry is Retry.AS_TODAY or hop.failed.deployment_id not in candidates:
        return None
    healthy: Final = {_id(deployment) for deployment in healthy_deployments or ()}
    if candidates & healthy - hop.ids_to_blame:
        return True
    if retry is Retry.ELSEWHERE and hop.may_fall_back():
        return False
    return None


def _may_fall_back(router: Any, kwargs: Mapping[str, Any], groups: Sequence[str]) -> bool:
    """Whether LiteLLM will ask other deployments once the last of `groups` gives up: of another group that this request
    has not been to, or of a later `order`."""
    depth: Final = kwargs.get("fallback_depth", 0)
    if kwargs.get("disable_fallbacks") is True or depth >= kwargs.get("max_fallbacks", router.max_fallbacks):
        return False
    if _FALLS_BACK_BY_ORDER and _has_later_order(router.get_model_list(model_name=groups[-1]) or (), kwargs):
        return True
    return has_fallback(router, groups, kwargs.get("fallbacks", router.fallbacks))


def _has_later_order(deployments: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any]) -> bool:
    """Whether `deployments` have a later `order` than this request is at."""
    orders: Final = [order for order in map(_order, deployments) if order is not None]
    return bool(orders) and max(orders) > kwargs.get("_target_order", min(orders))


def _order(deployment: Mapping[str, Any]) -> int | None:
    for holder in ("litellm_params", "model_info"):
        order = (deployment.get(holder) or {}).get("order")
        if order is not None:
            return int(order)
    return None


def _id(deployment: Mapping[str, Any]) -> str | None:
    return (deployment.get("model_info") or {}).get("id")


def _name(function: object) -> object:
    return peek(function, "__name__")


def _is_about_an_id(error: Exception, kwargs: Mapping[str, Any]) -> bool:
    """Whether a 404 may mean what the caller named: asking the other deployments for it would cool down all of them."""
    if _name(kwargs.get("original_generic_function")) != "aresponses" or peek(error, "status_code") != 404:
        return False
    return any(map(kwargs.get, _HELD_BY_THE_PROVIDER))


def _is_unbegun_stream(response: object, kwargs: Mapping[str, Any]) -> bool:
    """Whether an attempt ended in a stream. A chat completion's has begun before the router wrapped it."""
    return (
        kwargs.get("stream") is True
        and hasattr(response, "__anext__")
        and not isinstance(response, CustomStreamWrapper)
    )


def _say_what_was_tried(error: Exception, attempts: Sequence[FailedAttempt]) -> None:
    setattr(error, ATTEMPTS_ATTRIBUTE, tuple(attempts))
    message: Final = peek(error, "message")
    if isinstance(message, str) and any(POLICY[attempt.signal].retry is not Retry.NOWHERE for attempt in attempts):
        error.message = f"{message}\nAttempts that failed: {'; '.join(map(str, attempts))}"  # type: ignore[attr-defined]
