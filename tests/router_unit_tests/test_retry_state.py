"""What a request remembers begins empty, is one request's alone, and is over when the request is."""

from __future__ import annotations

import asyncio
import contextvars
from types import SimpleNamespace
from typing import Any

import pytest
from litellm.litellm_core_utils.failure import FailureKind
from litellm.router_utils.failover.retry_state import (
    Affinity,
    Attempt,
    FailedAttempt,
    GroupTurn,
    RequestState,
    current_turn,
    turn_under_way,
)


def turn(**given: Any) -> GroupTurn:
    return GroupTurn("a-group", SimpleNamespace(), {}, **given)


def test_turn_begins_empty() -> None:
    """A turn has made no attempt, waited for nobody and been let through to none."""
    begun = turn()
    assert begun.attempt == Attempt(0, None, False, (), None, None, None)
    assert begun.attempt.candidates == frozenset()
    assert begun.affinity == Affinity(frozenset(), ())
    assert (begun.waits, begun.shut_out, begun.let_through, begun.previous) == (0, (), frozenset(), None)
    assert begun.is_attempting is False
    assert begun.state == RequestState([], set())
    assert begun.state is not turn().state


def test_fallback_has_a_previous_turn() -> None:
    """A turn is a fallback's if there was one before it, whose request it shares."""
    first = turn()
    second = turn(state=first.state, previous=first)
    assert (first.is_fallback, second.is_fallback) == (False, True)
    assert second.state is first.state


def test_turn_chooses_until_it_has_a_deployment() -> None:
    """A turn is choosing for as long as its attempt has no deployment."""
    assert turn().is_choosing
    assert not turn(attempt=Attempt(1, deployment_id="a")).is_choosing


@pytest.mark.parametrize("state", [turn(), RequestState()], ids=["turn", "request"])
def test_state_has_no_other_fields(state: object) -> None:
    """What is remembered is what its class names: a misspelt field is an error, not one more."""
    with pytest.raises(AttributeError):
        state.atempts = []  # type: ignore[attr-defined]


def test_attempt_is_sync_by_its_function() -> None:
    """An attempt is a synchronous one unless a coroutine function makes it."""

    async def acompletion() -> None:
        """Makes no attempt."""

    assert Attempt(1, function=acompletion).is_sync is False
    assert Attempt(1, function=print).is_sync is True


def test_faults_of_deployments_are_told_from_others() -> None:
    """Of the failed attempts those count against a deployment that another one might have served."""
    kinds = {"a": FailureKind.UNAVAILABLE, "b": FailureKind.REQUEST_REJECTED, "c": FailureKind.RATE_LIMITED}
    attempts = [FailedAttempt(name, "a-group", kind, None) for name, kind in kinds.items()]
    assert RequestState(attempts).failed_deployment_ids == {"a", "c"}
    assert attempts[0].retry_after is None


async def test_turn_is_over_with_its_request() -> None:
    """The current turn is the innermost one's, and a task begun meanwhile keeps none of them."""
    end = asyncio.Event()

    async def outlives() -> GroupTurn | None:
        await end.wait()
        return current_turn()

    assert current_turn() is None
    with turn_under_way(turn()) as outer:
        assert current_turn() is outer
        with turn_under_way(turn()) as inner:
            assert current_turn() is inner
            task = asyncio.create_task(outlives())
            await asyncio.sleep(0)
        assert current_turn() is outer
    assert current_turn() is None
    end.set()
    assert await task is None


def test_turn_may_end_in_another_context() -> None:
    """A coroutine that is closed in another context than its own ends in silence."""
    held = turn_under_way(turn())
    contextvars.copy_context().run(held.__enter__)
    held.__exit__(None, None, None)
    assert current_turn() is None
