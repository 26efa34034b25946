"""Of the cooldowns that two routers give one deployment over a shared Redis, the longer one counts (#40130)."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.redis_server import RedisServer
from support.routing import cool_down, cooldown_seconds, deployment, routed

GROUP_OF_TWO = [deployment(name, "openai", "http://127.0.0.1:9") for name in ("a", "b")]


@pytest.mark.parametrize(("first", "second"), [(60, 1), (1, 60)])
def test_longer_cooldown_counts_for_all(tmp_path: Path, first: float, second: float) -> None:
    """A router that knows nothing of another one's cooldown yet does not shorten it, for itself or for a third one."""
    with RedisServer(tmp_path) as redis:
        shared = {"redis_host": "127.0.0.1", "redis_port": redis.port}
        with routed(GROUP_OF_TWO, **shared) as one, routed(GROUP_OF_TWO, **shared) as other:
            cool_down(one, "a", first)
            cool_down(other, "a", second)
            with routed(GROUP_OF_TWO, **shared) as third:
                assert [cooldown_seconds(router, "a") for router in (other, third)] == [60, 60]
