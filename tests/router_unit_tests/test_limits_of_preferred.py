"""A deployment that is preferred gives way to the others while it is over its limits."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from support.faulty_provider import FaultyProvider
from support.routing import deployment, lost, outcomes, routed

SESSION: dict[str, Any] = {"metadata": {"session_id": "one"}}
SETTINGS: dict[str, Any] = {
    "routing_strategy": "usage-based-routing-v2",
    "optional_pre_call_checks": ["session_affinity"],
    "num_retries": 0,
}


@pytest.mark.parametrize(
    ("limit", "mode"), [({"rpm": 6}, "async"), ({"rpm": 6}, "async-stream"), ({"tpm": 60}, "async")]
)
async def test_preferred_gives_way_over_limit(limit: dict[str, Any], mode: str) -> None:
    """A session is answered by another deployment while its own is over its limit, without a retry."""
    with FaultyProvider() as a, FaultyProvider() as b:
        pair = [deployment(name, "openai", one.url, **limit) for name, one in (("a", a), ("b", b))]
        with routed(pair, **SETTINGS) as router:
            for _ in range(30):
                (answer,) = await outcomes(router, 1, mode, **deepcopy(SESSION))
                assert answer == "pong"
                if a.attempts and b.attempts:
                    break
            assert min(a.attempts, b.attempts) == 1 < max(a.attempts, b.attempts)


async def test_session_keeps_to_one_below_limit() -> None:
    """A session stays with its deployment as long as that is below its limit."""
    with FaultyProvider() as a, FaultyProvider() as b:
        pair = [deployment(name, "openai", one.url, rpm=100) for name, one in (("a", a), ("b", b))]
        with routed(pair, **SETTINGS) as router:
            assert lost(await outcomes(router, 1, **deepcopy(SESSION))) == []
            first, other = (a, b) if a.attempts else (b, a)
            for _ in range(5):
                assert lost(await outcomes(router, 1, **deepcopy(SESSION))) == []
            assert (first.attempts, other.attempts) == (6, 0)


async def test_all_over_limit_are_refused() -> None:
    """A request is refused where each deployment is over its limit, preferred or not."""
    with FaultyProvider() as a, FaultyProvider() as b:
        pair = [deployment(name, "openai", one.url, rpm=0) for name, one in (("a", a), ("b", b))]
        with routed(pair, **SETTINGS) as router:
            assert lost(await outcomes(router, 2, **deepcopy(SESSION))) == [0, 1]
            assert (a.attempts, b.attempts) == (0, 0)
