"""Which deployments an attempt may choose from: not those that have failed the request, preferred or not."""

from __future__ import annotations

from typing import Any

import pytest
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.router_utils.failover.affinity import exclude_failed_deployments
from litellm.router_utils.failover.retry_state import FailedAttempt

from support.attempts import (
    BROKEN,
    RATE_LIMITED,
    REJECTED,
    attempts_of,
    choosing,
    fails,
    ids,
    named,
    offered,
    preferred,
    status,
)
from support.attempts import router as router
from support.routing import GROUP


@pytest.mark.parametrize(
    ("failed", "left"),
    [
        ({}, "abc"),
        ({"a": RATE_LIMITED}, "bc"),
        ({"a": BROKEN}, "bc"),
        ({"a": REJECTED}, "abc"),
        ({"a": RATE_LIMITED, "c": BROKEN}, "b"),
        ({"a": RATE_LIMITED, "b": REJECTED, "c": BROKEN}, "b"),
        ({"a": RATE_LIMITED, "b": BROKEN, "c": RATE_LIMITED}, "abc"),
    ],
)
async def test_blamed_deployments_are_skipped(router: Any, failed: dict[str, int], left: str) -> None:
    """Deployments that are to blame are skipped while another one is left."""

    async def body() -> None:
        for name, code in failed.items():
            await fails(router, name, status(code))
        assert await offered(router) == list(left)

    await attempts_of(router, body)


async def test_a_preferred_deployment_is_skipped_too(router: Any) -> None:
    """A preferred deployment that has failed is skipped as any other is."""

    async def body() -> None:
        assert await offered(router, preferring=("b",)) == ["b"]
        await fails(router, "b", status(REJECTED))
        assert await offered(router, preferring=("b",)) == ["b"]
        for name, left in (("b", "ac"), ("a", "c"), ("c", "b")):
            await fails(router, name, status(BROKEN))
            assert await offered(router, preferring=("b",)) == list(left)

    await attempts_of(router, body)


async def test_of_two_preferences_the_first_wins(router: Any) -> None:
    """Of two preferences the first one wins until its deployment has failed."""

    async def body() -> None:
        assert await offered(router, preferring=("abc", "b", "a")) == ["b"]
        assert await offered(router) == ["a", "b", "c"]
        await fails(router, "b", status(BROKEN))
        assert await offered(router, preferring=("b", "a")) == ["a"]

    await attempts_of(router, body)


@pytest.mark.parametrize(
    ("orders", "names", "left"),
    [
        ({"a": 1, "b": 1, "c": 2}, "a", "abc"),
        ({"a": 1, "b": 1, "c": 2}, "c", "c"),
        ({"a": 1, "b": 1, "c": 2}, "bc", "bc"),
        ({"a": 1, "b": 1}, "c", "c"),
        ({}, "c", "abc"),
    ],
)
async def test_later_order_preference_is_kept(router: Any, orders: dict[str, int], names: str, left: str) -> None:
    """A preference for a deployment of a later order keeps to it until that has failed."""
    group = [{"model_info": {"id": name}, "litellm_params": {"order": orders.get(name)}} for name in "abc"]
    attempts: list[FailedAttempt] = []
    with choosing(router, attempts):
        assert ids(await preferred(router, names, among=group)) == list(left)
        attempts += [FailedAttempt(name, GROUP, FailureKind.UNAVAILABLE, 503) for name in names]
        assert ids(await preferred(router, names, among=group)) == ["a", "b", "c"]


async def test_retry_may_leave_preferred_order(router: Any) -> None:
    """A retry may ask those that a preference for a later order leaves out."""
    group = [{"model_info": {"id": name}, "litellm_params": {"order": order}} for name, order in (("a", 1), ("b", 2))]
    with choosing(router) as turn:
        assert ids(exclude_failed_deployments(await preferred(router, "b", among=group))) == ["b"]
        assert turn.attempt.candidates == {"a", "b"}
        exclude_failed_deployments(group[1:])
        assert turn.attempt.candidates == {"b"}


async def test_preference_without_alternative(router: Any) -> None:
    """A deployment is still preferred where no other will do, or where no request is under way."""

    async def body() -> None:
        await fails(router, "a", status(BROKEN))
        assert await offered(router, preferring=("a",), by=named("create_file")) == ["a"]

    await attempts_of(router, body)
    assert ids(await preferred(router, "a")) == ["a"]


async def test_choosing_with_external_attempts(router: Any) -> None:
    """Attempts that are kept elsewhere, as by the compiled router's host, count for one choice and no longer."""
    with choosing(router, is_recorded=False) as turn:
        assert ids(await preferred(router, "a")) == ["a"]
        assert turn.affinity.preferred == set()
    with choosing(router) as turn:
        assert ids(await preferred(router, "a")) == ["a", "b", "c"]
        assert turn.affinity.preferred == {"a"}
    assert ids(await preferred(router, "a")) == ["a"]
