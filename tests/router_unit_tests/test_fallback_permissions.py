"""Whom a key lets a request fall back to automatically decides what follows from a failure as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.faulty_provider import FAULTS, FaultyProvider
from support.routing import GROUP, back_offs, deployment, lost, outcomes, routed

GROUPS = (GROUP, "second", "third")


def known_by(models: list[str]) -> dict[str, Any]:
    """What comes with a request to the proxy whose key may use `models`."""
    from litellm.proxy._types import UserAPIKeyAuth

    return {"metadata": {"user_api_key_auth": UserAPIKeyAuth(models=models)}}


@contextmanager
def three_groups(fault: str, **settings: Any) -> Iterator[tuple[Any, list[FaultyProvider]]]:
    """A router over three groups of one deployment, of which the first two have `fault`, and their providers."""
    with FaultyProvider(FAULTS[fault]) as first, FaultyProvider(FAULTS[fault]) as second, FaultyProvider() as third:
        providers = [first, second, third]
        group = [
            deployment(f"{name}-a", "openai", one.url, group=name) for name, one in zip(GROUPS, providers, strict=True)
        ]
        with routed(group, **{"automatic_fallbacks": True, "num_retries": 2, **settings}) as router:
            yield router, providers


@pytest.mark.parametrize("fault", ["429", "503"])
@pytest.mark.parametrize("mode", ["async", "async-stream"])
async def test_denied_fallback_is_none(mode: str, fault: str) -> None:
    """A request whose key may use no other group is retried with back-off, as if there were none."""
    with three_groups(fault) as (router, providers), back_offs() as waits:
        assert lost(await outcomes(router, 1, mode, **known_by([GROUP]))) == [0]
        assert [provider.attempts for provider in providers] == [3, 0, 0]
        assert len(waits) >= 2


async def test_denied_fallback_is_skipped() -> None:
    """A request goes past the group that its key may not use to the one it may, at once."""
    with three_groups("503") as (router, providers), back_offs() as waits:
        assert await outcomes(router, 1, **known_by([GROUP, "third"])) == ["pong"]
        assert [provider.attempts for provider in providers] == [1, 0, 1]
        assert waits == []


async def test_denied_fallback_of_fallback() -> None:
    """A group that stands in for another one is retried where the request's key may use no further one."""
    with three_groups("503") as (router, providers), back_offs():
        assert lost(await outcomes(router, 1, **known_by([GROUP, "second"]))) == [0]
        assert [provider.attempts for provider in providers] == [1, 3, 0]


async def test_permissions_are_of_one_request() -> None:
    """What one request's key may not use, the next one's may."""
    with three_groups("503", disable_cooldowns=True) as (router, providers), back_offs():
        assert lost(await outcomes(router, 1, **known_by([GROUP]))) == [0]
        assert await outcomes(router, 1, **known_by([])) == ["pong"]
        assert [provider.attempts for provider in providers] == [4, 1, 1]
