"""Whether a failed attempt leads to another one, to the fallback, or to LiteLLM's own rule."""

from __future__ import annotations

from typing import Any

import pytest
from litellm.router_utils.failover.python_router import decide_retry

from support.attempts import (
    ANOTHER,
    BROKEN,
    ERROR,
    FALLBACK,
    RATE_LIMITED,
    REJECTED,
    attempts_of,
    decision,
    fails,
    members,
    status,
)
from support.attempts import router as router


@pytest.mark.parametrize("fallbacks", [{}, FALLBACK])
@pytest.mark.parametrize(
    ("failed", "healthy", "decided"),
    [
        ({}, "abc", None),
        ({"a": REJECTED}, "abc", False),
        ({"a": KeyError("choices")}, "abc", None),
        ({"a": RATE_LIMITED}, "abc", True),
        ({"a": RATE_LIMITED}, "b", True),
        ({"a": BROKEN}, "abc", True),
        ({"a": RATE_LIMITED, "b": BROKEN}, "abc", True),
        ({"a": BROKEN, "b": REJECTED}, "abc", False),
        ({"a": REJECTED, "b": RATE_LIMITED}, "abc", True),
        ({"a": BROKEN}, "a", None),
        ({"a": BROKEN}, "", None),
        ({"a": BROKEN}, None, None),
        ({"a": RATE_LIMITED, "b": RATE_LIMITED, "c": BROKEN}, "abc", None),
    ],
)
async def test_a_retry_goes_elsewhere_while_another_is_left(
    router: Any, failed: dict[str, Any], healthy: str | None, decided: bool | None, fallbacks: dict[str, Any]
) -> None:
    """A retry goes elsewhere while another deployment is left, and else LiteLLM's own rule decides."""
    assert await decision(router, failed, healthy, **fallbacks) is decided


@pytest.mark.parametrize("failed", [{"a": RATE_LIMITED}, {"a": BROKEN, "b": BROKEN, "c": RATE_LIMITED}])
@pytest.mark.parametrize("healthy", ["a", "", None])
async def test_useless_retry_yields_to_fallback(router: Any, failed: dict[str, Any], healthy: str | None) -> None:
    """Where no retry can help the fallback is asked at once, and without one LiteLLM's own rule decides."""
    assert await decision(router, failed, healthy, **FALLBACK) is False
    assert await decision(router, failed, healthy) is None


@pytest.mark.parametrize(
    ("failed", "healthy", "decided"),
    [
        ("a", "abc", True),
        ("a", "b", True),
        ("a", "a", None),
        ("ab", "abc", True),
        ("ab", "ab", None),
        ("abc", "abc", None),
    ],
)
async def test_retry_avoids_preferred_deployment(router: Any, failed: str, healthy: str, decided: bool | None) -> None:
    """A retry goes elsewhere than to the preferred deployment, to one that is not cooling down."""
    assert await decision(router, dict.fromkeys(failed, RATE_LIMITED), healthy, preferring=("a",)) is decided


async def test_filtered_deployment_gives_no_retry(router: Any) -> None:
    """A deployment that a later filter excludes, as by tags, is no reason for a retry."""

    async def body() -> None:
        await fails(router, "a", status(BROKEN), preferring=("a",), among=members(router)[:1])
        assert decide_retry(ERROR, members(router), members(router)) is None

    await attempts_of(router, body)


async def test_unchosen_deployment_is_left_to_litellm(router: Any) -> None:
    """A deployment that the policy did not choose from, as one named by its id, is left to LiteLLM's own rule."""

    async def body() -> None:
        await fails(router, "stranger", status(429))
        assert decide_retry(ERROR, members(router), members(router)) is None

    await attempts_of(router, body, **FALLBACK)


@pytest.mark.parametrize("looked_up", [None, []])
async def test_unlisted_group_has_alternatives(router: Any, looked_up: Any) -> None:
    """A group that was not looked up, as behind a team's name for a model, has other deployments too."""

    async def body() -> None:
        await fails(router, "a", status(429))
        for unrelated in (looked_up, members(router, ANOTHER)):
            assert decide_retry(ERROR, [], unrelated) is True
        for name in "bc":
            await fails(router, name, status(429))
        assert decide_retry(ERROR, [], looked_up) is None

    await attempts_of(router, body)
