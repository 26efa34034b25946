"""
Remembers, for one request to the router, which deployments it was given to and what became of that.

Kept in a context variable, because a retry, the choice of a deployment and a fallback to another group happen in
methods that share no argument. What follows from it is for the policy table of `failover_policy` to say.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

import litellm
from litellm._logging import verbose_router_logger
from litellm.litellm_core_utils.failure_signal import FailureSignal, classify, diagnose, peek
from litellm.litellm_core_utils.first_event import await_first_event
from litellm.litellm_core_utils.stream_wait import going_elsewhere_if
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper
from litellm.router_utils.callers_part import REQUEST, callers_part, judge, limit_of
from litellm.router_utils.failover_policy import (
    ANSWERED_BY_A_FALLBACK,
    LONGEST_WAIT,
    POLICY,
    RECORDED,
    Retry,
    blames_the_deployment,
    has_fallback,
    is_alone,
    is_due_after,
    is_of_the_caller,
    is_worth_waiting_for,
    leaves_no_deployment,
    routing_context,
    seconds_until_rotation,
)
from litellm.router_utils.router_callbacks.track_deployment_metrics import (
    get_deployment_failures_for_current_minute,
    get_deployment_successes_for_current_minute,
    increment_deployment_failures_for_current_minute,
)

Result = TypeVar("Result")
Deployment = TypeVar("Deployment", bound=Mapping[str, Any])
Target = TypeVar("Target")

ATTEMPTS_ATTRIBUTE: Final = "failed_attempts"

# What each deployment of a model group can do as well as the next: LiteLLM's own functions, and its router's methods.
# The others upload, name or cancel something that one provider holds; LiteLLM's own rule is left to decide about them.
_ANY_DEPLOYMENT_WILL_DO: Final = frozenset(
    {
        *("agenerate_content", "agenerate_content_stream", "amoderation", "anthropic_messages", "aresponses"),
        *("_acompletion", "_completion", "_atext_completion", "_aadapter_completion"),
        *("_aembedding", "_embedding", "_arerank"),
        *("_aimage_generation", "_image_generation", "_aspeech", "_atranscription"),
        *("acompact_responses", "aimage_edit", "aocr", "avideo_generation"),
    }
)
_PREVIOUS: Final = "previous_response_id"
_HELD_BY_THE_PROVIDER: Final = (_PREVIOUS, "conversation", "prompt")  # in a Responses request
_FALLBACKS_FOR_A_REASON: Final = ("content_policy_fallbacks", "context_window_fallbacks")
_UNLOGGED: Final = (
    "anthropic_messages",
    "agenerate_content_stream",
)  # LiteLLM does not notice that a stream of these fails before its answer


class FailedAttempt(NamedTuple):
    """One attempt of a request: the deployment's id, its model group, what its failure was, the HTTP status and the
    Retry-After (in seconds) the provider answered with, if it did."""

    deployment_id: str
    model_group: str
    signal: FailureSignal
    status_code: int | None
    retry_after: int | None = None

    def __str__(self) -> str:
        status: Final = "" if self.status_code is None else f" ({self.status_code})"
        return f"{self.model_group}, deployment {self.deployment_id}: {self.signal.value}{status}"


@dataclass
class Hop:
    """One model group's turn at a request. The groups it falls back to get their own, with the same `asked` and
    `attempts`."""

    group: str
    has_later_order: Callable[[], bool]
    leads_on: Callable[[], bool]
    asked: set[str]
    attempts: list[FailedAttempt]
    is_noting: bool = False
    preferred: frozenset[str | None] = frozenset()  # the ids of those at which a callback wants the next attempt
    held_back: Sequence[Mapping[str, Any]] = ()  # the deployments that a preference for a later `order` leaves out
    candidates: Sequence[Mapping[str, Any]] = ()  # the deployments the last attempt could have gone to
    attempting: str | None = None  # the id of the deployment it went to
    failed: FailedAttempt | None = None  # what came of it; None also if no deployment could be chosen
    error: Exception | None = None  # as which it came
    is_fallback: bool = False
    request: Mapping[str, Any] = field(default_factory=dict)  # as the caller sent it
    router: Any = None
    retries: int = 0  # how many it has after its first attempt
    tries: int = 0  # how many attempts it has made
    waits: int = 0  # how many times it has waited for a deployment that was cooling down
    is_sync: bool = False
    shut_out: Sequence[Mapping[str, Any]] = ()  # the deployments it could go to, if all of them are cooling down
    let_through: frozenset[str] = frozenset()  # the ids of those it may ask though they are cooling down

    @classmethod
    def of(cls, router: Any, request: Mapping[str, Any], group: str, before: "Hop | None") -> "Hop":
        """The turn of `group` at a request, as a fallback of the group `before` if there is one."""
        asked: Final = before.asked if before else set()
        asked.add(group)

        def leads_on() -> bool:  # to a fallback of this group, or to the next one of the group this is a fallback of
            return _leads_on(router, request, group, asked) or (before is not None and before.leads_on())

        has_later_order: Final = functools.partial(_has_later_order, router, request, group)
        hop: Final = cls(group, has_later_order, leads_on, asked, before.attempts if before else [])
        hop.is_fallback, hop.request, hop.router = before is not None, request, router
        hop.retries = _retries_of(router, request, group)
        return hop

    def may_fall_back(self) -> bool:
        """Whether LiteLLM will ask other deployments once this group gives up: of a later `order`, or of a group that
        this request has not been to."""
        try:
            return self.has_later_order() or self.leads_on()
        except Exception as error:  # a setting that makes no sense must not take the provider's failure from the caller
            verbose_router_logger.warning("The fallbacks of %s cannot be read: %s", self.group, error)
            return False

    def is_out_for_a_moment(self, deployment_ids: Collection[str]) -> bool:
        """Whether all of the deployments are cooling down, and the first of them for a moment only, for which this
        request can wait: it has retries left, and no fallback."""
        if self.waits >= self.retries or self.tries > self.retries or self.may_fall_back():
            return False
        limit: Final = limit_of(self.request)
        most: Final = limit if isinstance(limit, (int, float)) else LONGEST_WAIT
        return is_worth_waiting_for(seconds_until_rotation(self.router, deployment_ids), most)

    @property
    def ids_to_blame(self) -> frozenset[str]:
        return frozenset(one.deployment_id for one in self.attempts if blames_the_deployment(one.signal))

    def untried(self, deployments: list[Deployment]) -> list[Deployment]:
        """Those that have not failed this request through a fault of their own, or all if each has."""
        to_blame: Final = self.ids_to_blame
        return [deployment for deployment in deployments if _id(deployment) not in to_blame] or deployments


# Not so in 1.82.6, which has neither; every later release has one of them.
_FALLS_BACK_BY_ORDER: Final = any(
    hasattr(litellm.utils, name) for name in ("_get_deployment_order", "get_order_filtered_deployments")
)

TURN: Final[ContextVar[Hop | None]] = ContextVar("litellm_failover_hop", default=None)


@contextmanager
def choosing(group: str, attempts: list[FailedAttempt], *, is_noting: bool) -> Iterator[Hop]:
    """A turn of `group` for as long as one of its deployments is chosen, after the `attempts` that have failed."""
    hop: Final = Hop(group, bool, bool, set(), attempts, is_noting)
    token: Final = TURN.set(hop)
    try:
        yield hop
    finally:
        TURN.reset(token)


def remembering_attempts(with_fallbacks: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.async_function_with_fallbacks`: what it raises in the end says what was tried, in its message and as
    `failed_attempts`, a tuple of `FailedAttempt`."""

    @functools.wraps(with_fallbacks)
    async def async_function_with_fallbacks(self: Any, *args: Any, **kwargs: Any) -> Result:
        before: Final = TURN.get() if kwargs.get("fallback_depth") else None  # a request made within another is its own
        hop: Final = Hop.of(self, kwargs, str(kwargs.get("model")), before)
        token, of_request = TURN.set(hop), REQUEST.set(hop)
        try:
            response: Final = await with_fallbacks(self, *args, **kwargs)
            make_way_for_the_fallback(self, hop)
            return response
        except Exception as error:
            if before is None:
                say_what_was_tried(error, hop.attempts)
            raise
        finally:
            # A connection or task that is begun in this context keeps it, and with it what the hop holds.
            hop.has_later_order = hop.leads_on = bool
            hop.error, hop.candidates, hop.held_back, hop.shut_out = None, (), (), ()
            hop.request, hop.router = {}, None
            TURN.reset(token)
            REQUEST.reset(of_request)

    return async_function_with_fallbacks


def noting_its_failure(make_call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap `Router.make_call`, through which each attempt of each kind of request goes."""

    @functools.wraps(make_call)
    async def make_call_and_note(self: Any, original_function: Any, *args: Any, **kwargs: Any) -> Any:
        hop: Final = TURN.get()
        if hop is not None:
            hop.attempting = hop.failed = hop.error = None
            hop.is_noting = _any_deployment_will_do(original_function, kwargs)
            hop.tries += 1
            hop.is_sync = not inspect.iscoroutinefunction(original_function)
        is_unlogged: Final = _is_unlogged(kwargs)
        try:
            with going_elsewhere_if(functools.partial(_can_go_elsewhere, self, hop, kwargs)):
                response: Final = await make_call(self, original_function, *args, **kwargs)
                return await begun(self, response, kwargs)
        except Exception as error:
            if hop is not None and hop.attempting is not None:
                _note_failure(self, hop, error, kwargs, is_unlogged=is_unlogged)
            raise

    return make_call_and_note


def _note_failure(router: Any, hop: Hop, error: Exception, kwargs: Mapping[str, Any], *, is_unlogged: bool) -> None:
    judge_attempt(router, hop, error, kwargs)
    hop.failed = attempt_of(hop, error)
    hop.error = error
    hop.attempts.append(hop.failed)
    if is_unlogged:
        _record_unlogged(router, hop.failed.deployment_id, error)
    cool_down_a_failed_fallback(router, hop)


def _is_unlogged(kwargs: Mapping[str, Any]) -> bool:
    """Whether LiteLLM's callbacks will not be told of an attempt's failure: of a request to the proxy, whose attempts
    share what is logged of them, they are told of the first failure only."""
    details: Final = peek(kwargs.get("litellm_logging_obj"), "model_call_details")
    return isinstance(details, Mapping) and details.get("has_logged_async_failure") is True


def _record_unlogged(router: Any, deployment_id: str, error: Exception) -> None:
    """Count a failure, and decide on a cooldown, in place of the callbacks that are not told of it."""
    if is_of_the_caller(error):
        return
    try:
        setattr(error, RECORDED, True)
        increment_deployment_failures_for_current_minute(routing_context(router), deployment_id)
        _cool_down_if_due(router, deployment_id, error)
    except Exception as problem:  # must not take the provider's failure from the caller
        verbose_router_logger.warning("A failure of deployment %s was not counted: %s", deployment_id, problem)


def noting_the_deployment(update_kwargs: Callable[..., None]) -> Callable[..., None]:
    """Wrap `Router._update_kwargs_with_deployment`, which each attempt runs for the deployment it goes to."""

    @functools.wraps(update_kwargs)
    def _update_kwargs_with_deployment(
        self: Any, deployment: Any, kwargs: dict[str, Any], *args: Any, **more: Any
    ) -> None:
        update_kwargs(self, deployment, kwargs, *args, **more)
        hop: Final = TURN.get()
        if (
            hop is not None and hop.is_noting and hop.attempting is None
        ):  # not for what a hook asks the router meanwhile
            # Of a caller with credentials of their own, an id that is not the shared deployment's.
            hop.attempting = (kwargs.get("model_info") or {}).get("id")

    return _update_kwargs_with_deployment


def untried(deployments: list[Deployment]) -> list[Deployment]:
    """Those of `deployments` that have not failed this request through a fault of their own, or all if each has; of
    these those that are preferred, if any is."""
    hop: Final = TURN.get()
    if hop is None or hop.attempting is not None:
        return deployments
    left: Final = hop.untried(deployments)
    hop.candidates = [*left, *hop.held_back]
    preferred: Final = hop.preferred
    hop.preferred, hop.held_back = frozenset(), ()
    return [deployment for deployment in left if _id(deployment) in preferred] or left


def as_a_preference(filter_deployments: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap the `async_filter_deployments` of a callback that keeps to one deployment, as to a session's or to that of a
    cached prompt: it is preferred among those that are left in the end, and the others stay for a retry."""

    @functools.wraps(filter_deployments)
    async def async_filter_deployments(
        self: Any, model: str, healthy_deployments: list[Any], *args: Any, **kwargs: Any
    ) -> Any:
        hop: Final = TURN.get()
        # A response is at one deployment alone, for a chat completion too that is sent on as a Responses request.
        is_held: Final = (kwargs.get("request_kwargs") or {}).get(_PREVIOUS)
        if hop is None or not hop.is_noting or hop.attempting is not None or is_held:
            return await filter_deployments(self, model, healthy_deployments, *args, **kwargs)
        left: Final = hop.untried(healthy_deployments)
        kept: Final = await filter_deployments(self, model, left, *args, **kwargs)
        if len(kept) == len(left):
            return healthy_deployments
        if _is_of_the_first_order(kept, healthy_deployments):
            hop.preferred = hop.preferred or _ids(kept)
            return healthy_deployments
        # A later order than that of the others would be filtered out: until it fails, only the callback leads there.
        hop.held_back = healthy_deployments
        return kept

    return async_filter_deployments


def _is_of_the_first_order(some: Iterable[Mapping[str, Any]], among: Iterable[Mapping[str, Any]]) -> bool:
    orders: Final = [order for order in map(order_of, among) if order is not None]
    return not orders or {min(orders)}.issuperset(map(order_of, some))


def unasked(fallbacks: Iterable[Target]) -> Iterator[Target]:
    """Those of `fallbacks` that this request has not been to when it comes to them. One with parameters of its own is
    not the group it names: it may lead there for another answer."""
    hop: Final = TURN.get()
    asked: Final = set() if hop is None else hop.asked
    for fallback in fallbacks:
        key = str(fallback["model"] if isinstance(fallback, dict) and set(fallback) == {"model"} else fallback)
        if key not in asked:
            asked.add(key)
            yield fallback


def retry_by_policy(
    error: Exception,
    healthy_deployments: Sequence[Mapping[str, Any]] | None,
    all_deployments: Sequence[Mapping[str, Any]] | None,
) -> bool | None:
    """Whether the failure at hand, `error`, is to be retried, None where LiteLLM's own rule decides.

    `all_deployments` are those of the model group, `healthy_deployments` those that are not cooling down.
    """
    hop: Final = TURN.get()
    if hop is None:
        return None
    if hop.failed is None:
        # The router's own limits let no deployment be chosen: a fallback is not under them.
        is_limit: Final = leaves_no_deployment(error) or classify(error) is FailureSignal.RATE_LIMITED
        return False if hop.attempting is None and is_limit and hop.may_fall_back() else None
    retry: Final = POLICY[hop.failed.signal].retry
    if retry is Retry.NOWHERE:
        return False
    candidates: Final = _ids(hop.candidates)
    if retry is Retry.AS_TODAY or hop.failed.deployment_id not in candidates:
        return None
    if hop.failed.deployment_id in hop.let_through:
        return True if litellm._should_retry(getattr(error, "status_code", 500)) else None
    left: Final = candidates - hop.ids_to_blame
    # A hook, or a team's name for a model, may have led to another group than the one that was looked up.
    if left & _ids(healthy_deployments) or (left and candidates.isdisjoint(_ids(all_deployments))):
        return True
    if retry is Retry.ELSEWHERE and hop.may_fall_back():
        return False
    return True if not healthy_deployments and hop.is_out_for_a_moment(_ids(all_deployments)) else None


def make_way_for_the_fallback(router: Any, hop: Hop) -> None:
    """Cool down the lone deployment that another group has just stood in for, if the router's own settings name one.
    What one request brings along, be it a fallback or a short timeout, must not take the deployment from the others."""
    try:
        _cool_down_the_stood_in_for(router, hop)
    except Exception as error:  # such as a lost Redis, which must not take from the caller an answer that is there
        verbose_router_logger.warning("A deployment of %s was not cooled down: %s", hop.group, error)


def _cool_down_the_stood_in_for(router: Any, hop: Hop) -> None:
    if hop.failed is None or hop.error is None or POLICY[hop.failed.signal].retry is not Retry.ELSEWHERE:
        return
    if _leads_on(router, {}, hop.group, asked=()):
        _cool_down_alone(router, hop.failed.deployment_id, hop.error)


def _cool_down_alone(router: Any, deployment_id: str, error: Exception) -> None:
    """Cool down a lone deployment, unless the user has set how many failures it may have."""
    if is_of_the_caller(error) or not is_alone(router, deployment_id) or counts_allowed_fails(router, deployment_id):
        return
    setattr(error, ANSWERED_BY_A_FALLBACK, True)
    _cool_down_if_due(router, deployment_id, error)


def cool_down_a_failed_fallback(router: Any, hop: Hop) -> None:
    """Cool down the lone deployment of a fallback group that has just failed, as any that has another beside it: it is
    not to be asked for every request of the group that it stands in for. Who asks for it by name is let through."""
    if not hop.is_fallback or hop.failed is None or hop.error is None:
        return
    name: Final = hop.failed.deployment_id
    try:
        context: Final = routing_context(router)
        failures: Final = get_deployment_failures_for_current_minute(context, deployment_id=name)
        successes: Final = get_deployment_successes_for_current_minute(context, deployment_id=name)
        if is_due_after(hop.failed.signal, failures, successes):
            _cool_down_alone(router, name, hop.error)
    except Exception as error:  # must not take the provider's failure from the caller
        verbose_router_logger.warning("Deployment %s was not cooled down: %s", name, error)


def retry_after(error: Exception) -> int | None:
    """The Retry-After of the provider's answer in seconds, None if it has none (RFC 9110 section 10.2.3)."""
    from litellm.litellm_core_utils.exception_mapping_utils import _get_response_headers

    headers: Final[Any] = _get_response_headers(original_exception=error)
    can_be_read: Final = isinstance(headers, Mapping) and bool(headers)
    if not can_be_read:
        return None
    asked_for: Final = litellm.utils._get_retry_after_from_exception_header(response_headers=headers)
    return asked_for if asked_for is not None and asked_for >= 0 else None


def _cool_down_if_due(router: Any, deployment_id: str, error: Exception) -> None:
    """Have LiteLLM decide on a cooldown, for as long as it would be if its failure callback did."""
    from litellm.router_utils.cooldown_handlers import _set_cooldown_deployments

    of_deployment: Final = _setting(router, deployment_id, "cooldown_time")
    lengths: Final = [
        seconds for seconds in (of_deployment, retry_after(error)) if seconds is not None and seconds >= 0
    ]
    _set_cooldown_deployments(
        routing_context(router),
        original_exception=error,
        exception_status=getattr(error, "status_code", ""),
        deployment=deployment_id,
        time_to_cooldown=lengths[0] if lengths else router.cooldown_time,
    )


def counts_allowed_fails(router: Any, deployment_id: str) -> bool:
    """Whether the user has set how many failures the deployment may have; LiteLLM's failure callback counts them."""
    from litellm.router_utils.cooldown_handlers import _is_allowed_fails_set_on_router

    if router.allowed_fails_policy is not None or _is_allowed_fails_set_on_router(routing_context(router)):
        return True
    names: Final = ("allowed_fails", "allowed_fails_policy")
    return any(_setting(router, deployment_id, name) is not None for name in names)


def _setting(router: Any, deployment_id: str, name: str) -> Any:
    """What the user has set for one deployment, None if nothing."""
    deployment: Final = router.get_model_info(id=deployment_id) or {}
    found: Final = ((deployment.get(holder) or {}).get(name) for holder in ("model_info", "litellm_params"))
    return next((value for value in found if value is not None), None)


async def begun(router: Any, response: Any, kwargs: Mapping[str, Any]) -> Any:
    """`response`, once it has begun if it is a stream. A chat completion's has begun before the router wrapped it, as
    since 1.106 the others have: what the router wraps them in retries by itself, on any deployment of the group."""
    if (
        kwargs.get("stream") is not True
        or not hasattr(response, "__anext__")
        or isinstance(response, CustomStreamWrapper)
    ):
        return response
    try:
        return await await_first_event(response)
    except Exception as error:
        hop: Final = TURN.get()
        if (
            hop is not None
            and hop.attempting is not None
            and _name(kwargs.get("original_generic_function")) in _UNLOGGED
            and judge_attempt(router, hop, error, kwargs)
        ):
            increment_deployment_failures_for_current_minute(routing_context(router), hop.attempting)
            _cool_down_if_due(router, hop.attempting, error)
        raise


def _can_go_elsewhere(router: Any, hop: Hop | None, kwargs: Mapping[str, Any]) -> bool:
    """Whether another deployment can be asked, should the attempt fail that `hop` is at."""
    if hop is None or not hop.is_noting or hop.attempting is None:
        return True  # LiteLLM decides
    return has_somewhere_to_go(router, hop, hop.attempting, _ids(hop.candidates), kwargs)


def has_somewhere_to_go(
    router: Any, hop: Hop, deployment_id: str, candidates: Collection[str | None], kwargs: Mapping[str, Any]
) -> bool:
    """Whether a retry of `hop`, should the attempt on a deployment fail, can go to another one of the `candidates`, or
    the request to another model group."""
    others: Final = set(candidates) - hop.ids_to_blame - {deployment_id}
    of_a_key_or_team: Final = kwargs.get("model_group_retry_policy") is not None
    made: Final = sum(attempt.model_group == hop.group for attempt in hop.attempts)
    return (
        (bool(others) and (of_a_key_or_team or _may_retry(router, deployment_id, hop.request.get("num_retries"), made)))
        or hop.may_fall_back()
        or any(has_fallback(router, hop.group, peek(router, kind)) for kind in _FALLBACKS_FOR_A_REASON)
    )


def _may_retry(router: Any, deployment_id: str, num_retries: int | None, made: int) -> bool:
    """Whether LiteLLM may retry a request after its attempt on a deployment, after `made` attempts that have failed.
    Retry policies depend on the failure to come: they may."""
    if peek(router, "retry_policy") is not None or peek(router, "model_group_retry_policy"):
        return True
    asked_for: Final = num_retries if num_retries is not None else peek(router, "num_retries")
    try:
        allowed: Final = [
            int(str(count)) for count in (asked_for, _setting(router, deployment_id, "num_retries")) if count
        ]
    except ValueError:  # what LiteLLM makes of such a setting is its own affair
        return True
    return made < max(allowed, default=0)


def _leads_on(router: Any, kwargs: Mapping[str, Any], group: str, asked: Collection[str]) -> bool:
    """Whether a request that `group` has failed has fallbacks left, besides those `asked`."""
    fallbacks: Final = kwargs.get("fallbacks", router.fallbacks) or _automatic_fallbacks(router, group, kwargs)
    # The compiled router looks the request's own fallbacks up by itself, by the name that was asked for alone.
    is_found: Final = "fallbacks" not in kwargs or "_core" not in router.__dict__
    aliases: Final = getattr(router, "model_group_alias", None) if is_found else None
    return has_fallback(router, group, fallbacks, asked, _steps_left(router, kwargs), aliases)


def _retries_of(router: Any, request: Mapping[str, Any], group: str) -> int:
    """How many retries a request has for a rate limit: by a retry policy, by itself, or by the router."""
    own: Final = request.get("num_retries")
    of_groups: Final = request.get("model_group_retry_policy", getattr(router, "model_group_retry_policy", None)) or {}
    policy: Final = of_groups.get(group) or getattr(router, "retry_policy", None)
    name: Final = "RateLimitErrorRetries"
    by_policy: Final = policy.get(name) if isinstance(policy, Mapping) else peek(policy, name)
    first: Final = (by_policy if own != 0 else None, own, getattr(router, "num_retries", None))
    return next((count for count in first if isinstance(count, int)), 0)


def _automatic_fallbacks(router: Any, group: str, kwargs: Mapping[str, Any]) -> list[str]:
    if not getattr(router, "automatic_fallbacks", False):  # no router has them before the change that brings them
        return []
    from litellm.router_utils.automatic_fallbacks import automatic_fallbacks

    return automatic_fallbacks(router, group, kwargs)


def _has_later_order(router: Any, kwargs: Mapping[str, Any], group: str) -> bool:
    """Whether deployments of `group` have a later `order` than a request is at, which LiteLLM then asks."""
    if not _FALLS_BACK_BY_ORDER or not _steps_left(router, kwargs):
        return False
    orders: Final = [
        order for order in map(order_of, router.get_model_list(model_name=group) or ()) if order is not None
    ]
    return bool(orders) and max(orders) > kwargs.get("_target_order", min(orders))


def _steps_left(router: Any, kwargs: Mapping[str, Any]) -> int:
    """How many groups further a request may go."""
    if kwargs.get("disable_fallbacks") is True:
        return 0
    depth: Final[int] = kwargs.get("fallback_depth", 0)
    limit: Final[int] = kwargs.get("max_fallbacks", router.max_fallbacks)
    return max(limit - depth, 0)


def order_of(deployment: Mapping[str, Any]) -> int | None:
    """The `order` the user has given a deployment, None if none."""
    for holder in ("litellm_params", "model_info"):
        order = (deployment.get(holder) or {}).get("order")
        if order is not None:
            return int(order)
    return None


def _id(deployment: Mapping[str, Any]) -> str | None:
    return (deployment.get("model_info") or {}).get("id")


def _ids(deployments: Sequence[Mapping[str, Any]] | None) -> frozenset[Any]:
    return frozenset(map(_id, deployments or ()))


def _name(function: object) -> object:
    return peek(function, "__name__")


def _any_deployment_will_do(original_function: object, kwargs: Mapping[str, Any]) -> bool:
    generic: Final = kwargs.get("original_generic_function")
    return any_deployment_will_do(_name(generic or original_function), kwargs, is_generic=generic is not None)


def any_deployment_will_do(function_name: object, request: Mapping[str, Any], *, is_generic: bool) -> bool:
    """Whether each deployment of a group can serve the request as well as the next. `is_generic` are those requests
    that the router hands to a function of LiteLLM's as they are."""
    is_text: Final = isinstance(request.get("prompt"), str)  # and no name of a template, as for an image or a video
    held: Final = [name for name in _HELD_BY_THE_PROVIDER if name != "prompt" or not is_text]
    if is_generic and any(map(request.get, held)):
        return False
    return function_name in _ANY_DEPLOYMENT_WILL_DO


def judge_attempt(router: Any, hop: Hop, error: Exception, request: Mapping[str, Any]) -> bool:
    """Whether the failure of an attempt counts for other callers. Kept on `error`, see `callers_part.judge`."""
    try:
        deployment: Final = router.get_model_info(id=hop.attempting) or {}
        sent: Final = {**hop.request, **request}
        part: Final = callers_part(router, sent, deployment, limit_of(sent), is_about_an_id=False)
    except Exception as problem:  # a setting that makes no sense must not take the provider's failure from the caller
        verbose_router_logger.warning("A request to %s cannot be read: %s", hop.group, problem)
        return True
    return judge(error, part)


def attempt_of(hop: Hop, error: Exception) -> FailedAttempt:
    """What the attempt of `hop` that failed with `error`, which has been judged, is remembered as. A limit of the
    caller's own that has run out is told as LiteLLM does, with 408."""
    signal, status, _ = diagnose(error)
    if is_of_the_caller(error) and status is None and signal in (FailureSignal.TIMED_OUT, FailureSignal.UNREACHABLE):
        signal, status = FailureSignal.TIMED_OUT, 408
    return FailedAttempt(str(hop.attempting), hop.group, signal, status, retry_after(error))


def what_was_tried(attempts: Sequence[FailedAttempt]) -> str:
    """A line that lists `attempts`, empty if there is nothing to list or the user wants no such details in errors."""
    to_list: Final = any(POLICY[attempt.signal].retry is not Retry.NOWHERE for attempt in attempts)
    if not to_list or not getattr(litellm, "expose_router_debug_in_errors", True):
        return ""
    return f"\nAttempts that failed: {'; '.join(map(str, attempts))}"


def say_what_was_tried(error: BaseException, attempts: Sequence[FailedAttempt]) -> None:
    """Have what the router raises in the end say which attempts failed, in its message and as `failed_attempts`."""
    setattr(error, ATTEMPTS_ATTRIBUTE, tuple(attempts))
    message: Final = peek(error, "message")
    said: Final = what_was_tried(attempts)
    if isinstance(message, str) and said not in message:
        error.message = message + said  # type: ignore[attr-defined]
