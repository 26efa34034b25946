"""
What the router written in Python, before LiteLLM 1.110, is told to do after a failed attempt, by decorators on its
methods. It decides nothing: `policy.next_step` does.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

import litellm
from litellm._logging import verbose_router_logger
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.stream_start import await_first_event, is_async_stream
from litellm.litellm_core_utils.stream_wait import retry_possible_if
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper
from litellm.router_utils.failover.attempts import (
    attach_attempts,
    awaits_first_event,
    judge_attempt,
    record_failure,
    serves_on_any_deployment,
    step_after_failure,
    step_without_deployment,
)
from litellm.router_utils.failover.caller_fault import RECORDED, is_caller_fault
from litellm.router_utils.failover.deadline import has_used_up_deadline
from litellm.router_utils.failover.fallback_cooldown import (
    cool_down_if_due,
    cooldown_after_fallback,
    cooldown_cut_off,
    cooldown_failed_fallback,
)
from litellm.router_utils.failover.fallbacks import can_fall_back, start_turn
from litellm.router_utils.failover.policy import NextStep, is_deployment_fault
from litellm.router_utils.failover.retry_state import (
    Attempt,
    GroupTurn,
    current_turn,
    take_carried_state,
    turn_under_way,
)
from litellm.router_utils.failover.rotation_wait import moment_to_wait
from litellm.router_utils.failover.router_view import (
    Deployment,
    Request,
    Router,
    ids_of,
    routing_context,
)
from litellm.router_utils.router_callbacks.track_deployment_metrics import (
    increment_deployment_failures_for_current_minute,
)

Result = TypeVar("Result")

_STREAMS_UNASKED: Final = "agenerate_content_stream"

# LiteLLM does not notice that a stream of these fails before its answer.
_UNLOGGED: Final = ("anthropic_messages", _STREAMS_UNASKED)


def track_retry_state(with_fallbacks: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.async_function_with_fallbacks`: what it raises in the end says what was tried, in its message and as
    `failed_attempts`, a tuple of `FailedAttempt`."""

    @functools.wraps(with_fallbacks)
    async def async_function_with_fallbacks(self: Router, *args: object, **kwargs: object) -> Result:
        previous: Final = _turn_that_falls_back(kwargs)
        state: Final = None if previous else take_carried_state()
        turn: Final = start_turn(self, kwargs, str(kwargs.get("model")), previous, state)
        turn.task = asyncio.current_task()
        with turn_under_way(turn):
            try:
                response: Final = await with_fallbacks(self, *args, **kwargs)
            except Exception as error:
                if previous is None:
                    attach_attempts(error, turn.state.attempts)
                raise
            cooldown_after_fallback(turn)
            return response

    return async_function_with_fallbacks


def _turn_that_falls_back(request: Request) -> GroupTurn | None:
    """The turn whose group `request` is made in place of. What a hook asks within an attempt, or `silent_model` in a
    task beside it, may bring the attempt's depth along and is a request of its own."""
    turn: Final = current_turn()
    is_own: Final = turn is None or turn.is_attempting or turn.task is not asyncio.current_task()
    return turn if request.get("fallback_depth") and not is_own else None


def record_failed_attempt(make_call: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.make_call`, through which each attempt of each kind of request goes."""

    @functools.wraps(make_call)
    async def make_call_and_record(self: Router, original_function: object, *args: object, **kwargs: object) -> Result:
        turn: Final = current_turn()
        if turn is not None:
            turn.is_attempting = True
            turn.attempt = Attempt(
                turn.attempt.number + 1,
                original_function,
                is_recorded=_is_served_by_any(original_function, kwargs),
                offered=turn.attempt.offered,
            )
        is_unlogged: Final = _is_unlogged(kwargs)
        try:
            with retry_possible_if(functools.partial(_is_retry_possible, turn)):
                made: Final = await make_call(self, original_function, *args, **kwargs)
                response: Final = await await_first_event_if_stream(self, made, kwargs)
            if turn is not None and turn.sent is not None:
                turn.sent.succeed()
            return response
        except Exception as error:
            if turn is not None and not turn.is_choosing:
                _record(turn, error, kwargs, is_unlogged=is_unlogged)
            raise
        except asyncio.CancelledError:
            cut_off: Final = turn.sent.cut_off(self) if turn is not None and turn.sent is not None else None
            if turn is not None and cut_off is not None:
                cooldown_cut_off(turn, cut_off)
            raise
        finally:
            if turn is not None:
                turn.is_attempting = False
                if turn.sent is not None:
                    turn.sent.drop()
                    turn.sent = None

    return make_call_and_record


def _record(turn: GroupTurn, error: Exception, kwargs: Request, *, is_unlogged: bool) -> None:
    judge_attempt(turn, error, kwargs)
    if turn.sent is not None:
        turn.sent.fail(turn.router, error)
    failed: Final = record_failure(turn, error)
    if is_unlogged and not is_caller_fault(error):
        _count_unlogged(turn.router, failed.deployment_id, error)
    cooldown_failed_fallback(turn)
    if has_used_up_deadline():
        cooldown_cut_off(turn, error)


def _is_unlogged(kwargs: Request) -> bool:
    """Whether LiteLLM's callbacks will not be told of an attempt's failure: of a request to the proxy, whose attempts
    share what is logged of them, they are told of the first failure only."""
    details: Final = safe_getattr(kwargs.get("litellm_logging_obj"), "model_call_details")
    return isinstance(details, Mapping) and details.get("has_logged_async_failure") is True


def _count_unlogged(router: Router, deployment_id: str, error: Exception) -> None:
    """Count a failure, and decide on a cooldown, in place of the callbacks that are not told of it."""
    try:
        setattr(error, RECORDED, True)
        _count(router, deployment_id, error)
    except Exception as problem:  # must not take the provider's failure from the caller
        verbose_router_logger.warning("A failure of deployment %s was not counted: %s", deployment_id, problem)


def _count(router: Router, deployment_id: str, error: Exception) -> None:
    context: Final = routing_context(router)
    increment_deployment_failures_for_current_minute(context, deployment_id)  # type: ignore[misc]
    cool_down_if_due(router, deployment_id, error)


def record_selected_deployment(update_kwargs: Callable[..., None]) -> Callable[..., None]:
    """Wrap `Router._update_kwargs_with_deployment`, which each attempt runs for the deployment it goes to."""

    @functools.wraps(update_kwargs)
    def _update_kwargs_with_deployment(
        self: Router, deployment: Deployment, kwargs: Request, *args: object, **more: object
    ) -> None:
        update_kwargs(self, deployment, kwargs, *args, **more)
        turn: Final = current_turn()
        # Not for what a hook asks the router meanwhile.
        if turn is not None and turn.attempt.is_recorded and turn.is_choosing:
            # Of a caller with credentials of their own, an id that is not the shared deployment's.
            name: Final = (kwargs.get("model_info") or {}).get("id")
            turn.attempt = turn.attempt._replace(deployment_id=name)
            turn.state.asked = name

    return _update_kwargs_with_deployment


def decide_retry(
    error: Exception,
    healthy_deployments: Sequence[Deployment] | None,
    all_deployments: Sequence[Deployment] | None,
) -> bool | None:
    """Whether the failure at hand, `error`, is to be retried, None where LiteLLM's own rule decides.

    `all_deployments` are those of the model group, `healthy_deployments` those that are not cooling down.
    """
    turn: Final = current_turn()
    if turn is None:
        return None
    failed: Final = turn.attempt.failed
    if failed is None:
        may_go_on: Final = turn.is_choosing and can_fall_back(turn)
        return _as_decided(step_without_deployment(error, may_fall_back=may_go_on))
    is_shared: Final = failed.deployment_id in turn.attempt.candidates  # not one of the caller's own credentials
    untried: Final = is_shared and _has_untried(turn, healthy_deployments, all_deployments)
    may_fall_back: Final = is_shared and not untried and can_fall_back(turn)
    step: Final = step_after_failure(
        turn,
        failed,
        of_group=turn.attempt.candidates if is_shared else (),
        untried=untried,
        may_fall_back=may_fall_back,
    )
    if step is NextStep.UPSTREAM and is_deployment_fault(failed.kind) and failed.deployment_id in turn.let_through:
        # LiteLLM's rule, which counts the deployment as one that is cooling down.
        return True if litellm._should_retry(int(str(safe_getattr(error, "status_code") or 500))) else None
    return _as_decided(step)


def _has_untried(turn: GroupTurn, healthy: Sequence[Deployment] | None, of_group: Sequence[Deployment] | None) -> bool:
    """Whether a deployment that has not failed the request can be asked, at once or after a moment's wait."""
    left: Final = turn.attempt.candidates - turn.state.failed_deployment_ids
    # A hook, or a team's name for a model, may have led to another group than the one that was looked up.
    if left & ids_of(healthy) or (left and turn.attempt.candidates.isdisjoint(ids_of(of_group))):
        return True
    names: Final = {str(name) for name in ids_of(of_group)}
    return not healthy and not can_fall_back(turn) and moment_to_wait(turn, names) is not None


def _as_decided(step: NextStep) -> bool | None:
    return {NextStep.RETRY: True, NextStep.UPSTREAM: None}.get(step, False)


async def await_first_event_if_stream(router: Router, response: Result, kwargs: Request) -> Result:
    """`response`, once it has begun if it is a stream. A chat completion's has begun before the router wrapped it, as
    since 1.106 the others have: what the router wraps them in retries by itself, on any deployment of the group."""
    function: Final = safe_getattr(kwargs.get("original_generic_function"), "__name__")
    is_asked_for: Final = kwargs.get("stream") is True or function == _STREAMS_UNASKED
    if not is_asked_for or isinstance(response, CustomStreamWrapper) or not is_async_stream(response):
        return response
    try:
        return await await_first_event(response)  # type: ignore[return-value]  # passes for the stream itself
    except Exception as error:
        turn: Final = current_turn()
        is_unlogged: Final = function in _UNLOGGED
        name: Final = turn.attempt.deployment_id if turn is not None else None
        if turn is not None and name is not None and is_unlogged and judge_attempt(turn, error, kwargs):
            _count(router, name, error)
        raise


def _is_retry_possible(turn: GroupTurn | None) -> bool:
    """Whether another deployment can be asked, should the attempt under way fail."""
    if turn is None or not turn.attempt.is_recorded or turn.attempt.deployment_id is None:
        return True  # LiteLLM decides
    return awaits_first_event(turn, turn.attempt.deployment_id, turn.attempt.candidates)


def _is_served_by_any(original_function: object, kwargs: Request) -> bool:
    generic: Final = kwargs.get("original_generic_function")
    name: Final = safe_getattr(generic or original_function, "__name__")
    return serves_on_any_deployment((name,), kwargs, is_generic=generic is not None)
