"""
Holds a request to its `total_timeout`: both routers' entry points run under one deadline, which attempts, back-offs and
fallbacks share, and which ends in a 504 that names the attempts.
"""

import asyncio
import contextvars
import functools
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final, TypeVar

import httpx
import litellm
from litellm.litellm_core_utils.failure import FailureKind
from litellm.router_utils.failover.attempts import attach_attempts
from litellm.router_utils.failover.caller_fault import is_shorter
from litellm.router_utils.failover.deadline import (
    TOTAL_TIMEOUT,
    Deadline,
    current_deadline,
    deadline_under_way,
    seconds_from,
)
from litellm.router_utils.failover.retry_state import FailedAttempt, GroupTurn, current_turn
from litellm.router_utils.failover.router_view import is_bounded_by_proxy, own_setting

Result = TypeVar("Result")
Entry = Callable[..., Awaitable[Result]]

UNWINDING: Final = 0.03
"""Seconds that what is under way has to close its connection in, once it has been cancelled."""


def deadline_for(router: object, request: object) -> Deadline | None:
    """A new deadline for a request, None if it has none: its own `total_timeout`, which is taken out of it, or else the
    router's, unless LiteLLM's proxy, since 1.110, bounds the request by its own already.

    Raises BadRequestError for a value of the request's that makes no sense, ValueError for one of the router's.
    """
    own: Final = request.pop(TOTAL_TIMEOUT, None) if isinstance(request, dict) else None
    routers: Final = own_setting(router, TOTAL_TIMEOUT) if own is None else None
    if (own is None and routers is None) or is_bounded_by_proxy():
        return None
    if own is not None:
        return Deadline(_seconds_of_request(own, request))
    seconds: Final = seconds_from(routers, "router")
    return None if seconds is None else Deadline(seconds, is_for_all=True)


def _seconds_of_request(value: object, request: object) -> float:
    model: Final = str(request.get("model")) if isinstance(request, dict) else ""
    try:
        return seconds_from(value, "request") or 0.0
    except ValueError as refused:
        raise litellm.BadRequestError(message=str(refused), model=model, llm_provider="") from None


def hold_to_deadline(with_fallbacks: Entry[Result]) -> Entry[Result]:
    """Wrap `Router.async_function_with_fallbacks`, which each fallback goes through again, within its turn."""

    @functools.wraps(with_fallbacks)
    async def async_function_with_fallbacks(self: object, *args: object, **kwargs: object) -> Result:
        deadline: Final = _shared_deadline(kwargs) or deadline_for(self, kwargs)
        if deadline is None or deadline.task is not None:
            return await with_fallbacks(self, *args, **kwargs)
        deadline.turn = current_turn()
        return await run_within(deadline, functools.partial(_with_turn, with_fallbacks, self, *args, **kwargs))

    return async_function_with_fallbacks


async def _with_turn(with_fallbacks: Entry[Result], *args: object, **kwargs: object) -> Result:
    turn: Final = current_turn()
    if turn is not None:
        turn.task = asyncio.current_task()  # its own one, so that what falls back in it is known for a fallback
    return await with_fallbacks(*args, **kwargs)


def hold_to_deadline_sync(with_fallbacks: Callable[..., Result]) -> Callable[..., Result]:
    """Wrap `Router.function_with_fallbacks`."""

    @functools.wraps(with_fallbacks)
    def function_with_fallbacks(self: object, *args: object, **kwargs: object) -> Result:
        deadline: Final = _shared_deadline(kwargs) or deadline_for(self, kwargs)
        if deadline is None:
            return with_fallbacks(self, *args, **kwargs)
        return run_within_sync(deadline, functools.partial(with_fallbacks, self, *args, **kwargs))

    return function_with_fallbacks


def hold_drive_to_deadline(drive: Entry[Result]) -> Entry[Result]:
    """Wrap `RustCore._drive`, by which the compiled router serves each asynchronous request."""

    @functools.wraps(drive)
    async def _drive(self: object, plan: object, request: object, *args: object, **more: object) -> Result:
        deadline: Final = _shared_deadline(request) or deadline_for(self, request)
        if deadline is None or deadline.task is not None:
            return await drive(self, plan, request, *args, **more)
        return await run_within(deadline, functools.partial(drive, self, plan, request, *args, **more))

    return _drive


def hold_call_to_deadline(call: Callable[..., Result]) -> Callable[..., Result]:
    """Wrap `RustCore._call_sync`, by which the compiled router serves each synchronous request."""

    @functools.wraps(call)
    def _call_sync(self: object, plan: object, request: object, *args: object, **more: object) -> Result:
        deadline: Final = _shared_deadline(request) or deadline_for(self, request)
        if deadline is None:
            return call(self, plan, request, *args, **more)
        return run_within_sync(deadline, functools.partial(call, self, plan, request, *args, **more))

    return _call_sync


def limit_attempt(update_kwargs: Callable[..., None]) -> Callable[..., None]:
    """Wrap `Router._update_kwargs_with_deployment`, and what it has become since 1.110, by which the `timeout` of an
    attempt is known: it is no more than what is left of the request's deadline. Once nothing is left, no further
    attempt is made. A stream's stays, since it goes on to count once the stream has begun."""

    @functools.wraps(update_kwargs)
    def limited(
        self: object, deployment: object, kwargs: MutableMapping[str, object], *args: object, **more: object
    ) -> None:
        update_kwargs(self, deployment, kwargs, *args, **more)
        deadline: Final = current_deadline()
        if deadline is None:
            return
        left: Final = deadline.left()
        if not left:
            raise timed_out(deadline, is_asked=False)
        own: Final = kwargs.get("timeout")
        limit: Final = own if kwargs.get("stream") else shorter(own, left)
        deadline.start_attempt(is_shorter=limit != own)
        if limit != own:
            kwargs["timeout"] = limit

    return limited


def shorter(limit: object, seconds: float) -> object:
    """`limit`, in any form LiteLLM takes, where it allows no more than `seconds`, which None and what is none does."""
    if isinstance(limit, httpx.Timeout):
        parts: Final = limit.as_dict().items()
        return httpx.Timeout(**{name: seconds if own is None else min(own, seconds) for name, own in parts})
    return seconds if is_shorter(seconds, limit) else limit


def _shared_deadline(request: object) -> Deadline | None:
    """The deadline the request under way has already, which is then not its own. What is asked in a task beside it is a
    request of its own."""
    deadline: Final = current_deadline()
    if deadline is None or (deadline.task is not None and deadline.task is not _task()):
        return None
    if isinstance(request, dict):
        request.pop(TOTAL_TIMEOUT, None)
    return deadline


def _task() -> object:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs here
        return None


async def run_within(deadline: Deadline, call: Callable[[], Awaitable[Result]]) -> Result:
    """What `call` comes to until the deadline, at which it is cancelled. Raises litellm.Timeout with status 504."""

    async def begun() -> Result:
        deadline.task = asyncio.current_task()
        with deadline_under_way(deadline):
            return await call()

    task: Final = asyncio.ensure_future(begun())
    try:
        await asyncio.wait({task}, timeout=deadline.left())
        if task.done() and not (deadline.has_passed and _has_failed(task)):
            return task.result()
        error: Final = timed_out(deadline)
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(_has_failed)  # so that nobody misses what it raises
            await asyncio.wait({task}, timeout=UNWINDING)
    raise error


def _has_failed(task: "asyncio.Future[Result]") -> bool:
    return not task.cancelled() and task.exception() is not None


def run_within_sync(deadline: Deadline, call: Callable[[], Result]) -> Result:
    """What `call` comes to until the deadline. It runs in a thread, which nothing can stop: left alone at the deadline,
    it ends with its attempt, which has no more time than that. Raises litellm.Timeout with status 504."""
    future: Final[Future[Result]] = Future()
    context: Final = contextvars.copy_context()

    def run() -> None:
        try:
            with deadline_under_way(deadline):
                future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=context.run, args=(run,), name="litellm-total-timeout", daemon=True).start()
    try:
        return future.result(timeout=deadline.left())
    except (Exception, FutureTimeoutError):  # two classes before Python 3.11
        if not deadline.has_passed:
            raise
    raise timed_out(deadline)


def timed_out(deadline: Deadline, *, is_asked: bool = True) -> litellm.Timeout:
    """What a request ends with at its deadline: status 504, and the attempts, the one under way included, if one has
    been asked."""
    turn: Final = deadline.turn
    error: Final = litellm.Timeout(
        message=f"The request did not finish within its {TOTAL_TIMEOUT} of {deadline.seconds:g} s.",
        model=turn.group if isinstance(turn, GroupTurn) else "",
        llm_provider="",
        exception_status_code=504,
    )
    if isinstance(turn, GroupTurn):
        if is_asked:
            _record_under_way(turn)
        attach_attempts(error, turn.state.attempts)
    return error


def _record_under_way(turn: GroupTurn) -> None:
    """Remember the attempt under way as one that has timed out, where whoever lists them again finds it too."""
    attempt: Final = turn.attempt
    if attempt.deployment_id is None or attempt.failed is not None:
        return
    failed: Final = FailedAttempt(str(attempt.deployment_id), turn.group, FailureKind.TIMED_OUT, None)
    turn.attempt = attempt._replace(failed=failed)
    turn.state.attempts.append(failed)
