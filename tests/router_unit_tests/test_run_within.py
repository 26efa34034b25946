"""What holds a call to a deadline: the call, its thread or task, and the timeout of its attempts, without a router."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import httpx
import litellm
import pytest
from litellm.litellm_core_utils.failure import FailureKind
from litellm.router_utils.failover import total_timeout
from litellm.router_utils.failover.deadline import Deadline, current_deadline, deadline_under_way
from litellm.router_utils.failover.retry_state import Attempt, FailedAttempt, GroupTurn, turn_under_way
from litellm.router_utils.failover.router_view import is_bounded_by_proxy
from litellm.router_utils.failover.total_timeout import (
    deadline_for,
    hold_call_to_deadline,
    hold_drive_to_deadline,
    hold_to_deadline,
    hold_to_deadline_sync,
    limit_attempt,
    run_within,
    run_within_sync,
    shorter,
    timed_out,
)

SHORT = 0.05
LONG = 30.0
ROUTER: Any = SimpleNamespace(total_timeout=LONG)


def turn(*failed: FailedAttempt, **attempt: Any) -> GroupTurn:
    """A turn of the group "g" after these attempts."""
    found = GroupTurn("g", ROUTER, {})
    found.state.attempts.extend(failed)
    found.attempt = Attempt(**attempt)
    return found


def test_request_comes_before_router() -> None:
    """A request's own deadline is taken out of it, and is nobody else's; the router's is everybody's."""
    request: dict[str, Any] = {"total_timeout": "2.5", "model": "g"}
    own = deadline_for(ROUTER, request)
    assert own is not None
    assert (own.seconds, own.is_for_all, request) == (2.5, False, {"model": "g"})
    everybodys = deadline_for(ROUTER, request)
    assert everybodys is not None
    assert (everybodys.seconds, everybodys.is_for_all) == (LONG, True)
    assert deadline_for(SimpleNamespace(), {}) is None
    assert deadline_for(SimpleNamespace(), object()) is None


def test_bounded_by_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What LiteLLM's proxy bounds by itself has no other deadline, and is not sent its value."""
    monkeypatch.setattr(total_timeout, "is_bounded_by_proxy", lambda: True)
    request = {"total_timeout": 1}
    assert deadline_for(ROUTER, request) is None
    assert request == {}


@pytest.mark.parametrize(("deadline", "is_bounded"), [({}, True), ({"_released": True}, False), (None, False)])
def test_proxys_own_deadline(deadline: Any, is_bounded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM's proxy bounds a request while it has a deadline that it has not let go of."""
    module = SimpleNamespace(current_total_deadline=lambda: None if deadline is None else SimpleNamespace(**deadline))
    monkeypatch.setitem(sys.modules, "litellm.litellm_core_utils.total_deadline", module)
    assert is_bounded_by_proxy() is is_bounded


def test_senseless_request_is_named() -> None:
    """A value of a request's that makes no sense is a bad request for its model."""
    with pytest.raises(litellm.BadRequestError, match="total_timeout of the request") as refused:
        deadline_for(ROUTER, {"total_timeout": "soon", "model": "g"})
    assert refused.value.model == "g"


async def test_result_in_time() -> None:
    """What is done in time is the result, and its failure the failure; the deadline is known meanwhile only."""

    async def known() -> object:
        return current_deadline()

    async def failing() -> object:
        raise KeyError("mine")

    deadline = Deadline(LONG)
    assert await run_within(deadline, known) is deadline
    assert run_within_sync(deadline, current_deadline) is deadline
    assert current_deadline() is None
    for run in (run_within(Deadline(LONG), failing), asyncio.to_thread(run_within_sync, Deadline(LONG), {}.popitem)):
        with pytest.raises(KeyError):
            await run


async def test_cancelled_at_the_deadline() -> None:
    """A task that is late is cancelled, and has time to close what it has open; what it raises then is not heard."""
    ended: list[bool] = []

    async def late() -> None:
        try:
            await asyncio.sleep(LONG)
        finally:
            await asyncio.sleep(0)
            ended.append(True)
            raise KeyError("too late")

    began = time.monotonic()
    with pytest.raises(litellm.Timeout) as raised:
        await run_within(Deadline(SHORT), late)
    assert SHORT <= time.monotonic() - began < LONG / 2
    assert raised.value.status_code == 504
    assert ended == [True]


async def test_late_failure_is_a_timeout() -> None:
    """What fails once the deadline has passed has not failed for what it says; what answers then has answered."""
    clock = SimpleNamespace(now=0.0)

    async def late(failure: Exception | None) -> str:
        clock.now = 100.0
        if failure is not None:
            raise failure
        return "answer"

    with pytest.raises(litellm.Timeout):
        await run_within(Deadline(LONG, lambda: clock.now), lambda: late(KeyError()))
    clock.now = 0.0
    assert await run_within(Deadline(LONG, lambda: clock.now), lambda: late(None)) == "answer"


async def test_caller_who_leaves_ends_the_task() -> None:
    """Once nobody waits any more, what was asked for is cancelled."""
    ended = asyncio.Event()

    async def late() -> None:
        try:
            await asyncio.sleep(LONG)
        finally:
            ended.set()

    waiting = asyncio.ensure_future(run_within(Deadline(LONG), late))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()


def test_thread_is_left_alone() -> None:
    """A call without an event loop ends at the deadline, whatever its thread does, which keeps no process alive."""
    go_on = threading.Event()
    threads: list[threading.Thread] = []

    def late() -> None:
        threads.append(threading.current_thread())
        go_on.wait(LONG)
        raise KeyError("too late")

    began = time.monotonic()
    with pytest.raises(litellm.Timeout, match="0.05 s"):
        run_within_sync(Deadline(SHORT), late)
    assert SHORT <= time.monotonic() - began < LONG / 2
    assert threads[0].daemon
    go_on.set()
    threads[0].join(LONG)


def test_attempts_are_named_once() -> None:
    """What ends a request says what has failed and what was under way, which counts as failed from then on."""
    first = FailedAttempt("one", "g", FailureKind.UNREACHABLE, None)
    deadline = Deadline(SHORT)
    deadline.turn = turn(first, deployment_id="two")
    for _ in range(2):
        error = timed_out(deadline)
        assert "Attempts that failed: g, deployment one: unreachable; g, deployment two: timed_out" in error.message
        assert "times" not in error.message
    assert (error.model, error.status_code) == ("g", 504)


@pytest.mark.parametrize("attempt", [{}, {"deployment_id": "two", "failed": "known"}], ids=["none", "failed"])
def test_nothing_under_way(attempt: dict[str, Any]) -> None:
    """Where no attempt is under way none is added."""
    deadline = Deadline(SHORT)
    deadline.turn = turn(**attempt)
    timed_out(deadline)
    assert deadline.turn.state.attempts == []
    deadline.turn = None
    assert timed_out(deadline).model == ""


@pytest.mark.parametrize(
    ("own", "limit"),
    [(20, 20), (None, 10.0), ("20", "20"), (40, 10.0)],
)
def test_attempt_has_what_is_left(own: object, limit: object) -> None:
    """An attempt's timeout is what is left, if that is less; who has it all of everybody's is not cut short."""
    limited = limit_attempt(lambda _, deployment, kwargs: kwargs.update(timeout=own))
    kwargs: dict[str, Any] = {}
    limited(ROUTER, {}, kwargs)
    assert kwargs == {"timeout": own}
    left = 30.0 if limit == own else 10.0
    with deadline_under_way(Deadline(left, lambda: 0.0)) as deadline:
        limited(ROUTER, {}, kwargs)
    assert kwargs == {"timeout": limit}
    assert deadline.cuts_short is (limit != own)


def test_stream_keeps_its_timeout() -> None:
    """A stream's timeout goes on to count once it has begun."""
    kwargs: dict[str, Any] = {"stream": True, "timeout": 40}
    with deadline_under_way(Deadline(10)) as deadline:
        limit_attempt(lambda *_: None)(ROUTER, {}, kwargs)
    assert kwargs["timeout"] == 40
    assert not deadline.cuts_short


def test_no_attempt_without_time() -> None:
    """Once the deadline has passed no attempt is made."""
    with deadline_under_way(Deadline(0.0, lambda: 1.0)), pytest.raises(litellm.Timeout):
        limit_attempt(lambda *_: None)(ROUTER, {}, {})


def test_each_part_of_a_timeout() -> None:
    """Of a timeout with parts, those are cut that are longer, or are none."""
    cut = shorter(httpx.Timeout(connect=1, read=20, write=None, pool=3), 5)
    assert cut == httpx.Timeout(connect=1, read=5, write=5, pool=3)


def asked(function: Any, is_compiled: bool, router: Any = ROUTER, **request: Any) -> Any:
    """Calls one of the routers' methods with a request."""
    return function(router, None, request) if is_compiled else function(router, **request)


@pytest.mark.parametrize("is_compiled", [False, True])
async def test_one_deadline_for_all_within(is_compiled: bool) -> None:
    """What is asked within a request shares its deadline, and what is asked in a task beside it does not; a value of
    its own is taken out of either."""
    hold: Any = hold_drive_to_deadline if is_compiled else hold_to_deadline
    known: list[Any] = []

    async def inner(_: object, plan: object = None, request: Any = None, **kwargs: Any) -> None:
        assert {**(request or {}), **kwargs} == {}
        known.append(current_deadline())

    async def outer(*_: object, **__: object) -> None:
        known.append(current_deadline())
        await asked(hold(inner), is_compiled, total_timeout=1)
        await asyncio.ensure_future(asked(hold(inner), is_compiled))

    with turn_under_way(turn()) as under_way:
        await asked(hold(outer), is_compiled, total_timeout=9)
        first, shared, beside = known
        assert first.turn is (None if is_compiled else under_way)
    assert shared is first
    assert (first.seconds, beside.seconds) == (9, LONG)


@pytest.mark.parametrize("is_compiled", [False, True])
def test_thread_for_a_deadline_only(is_compiled: bool) -> None:
    """A synchronous request runs in a thread of its own if it has a deadline."""
    hold: Any = hold_call_to_deadline if is_compiled else hold_to_deadline_sync
    call = hold(lambda *_, **__: (current_deadline(), threading.current_thread()))
    deadline, thread = asked(call, is_compiled)
    assert deadline.seconds == LONG
    assert thread is not threading.current_thread()
    assert asked(call, is_compiled, SimpleNamespace()) == (None, threading.current_thread())
    with deadline_under_way(Deadline(9)) as shared:
        assert asked(call, is_compiled)[0] is shared
