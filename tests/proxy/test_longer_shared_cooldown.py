"""Of the cooldowns that two routers give one deployment over a shared Redis, the longer one counts (#40130)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import litellm
import pytest

from support.redis_server import RedisServer
from support.routing import cooldown_cache, cooldown_seconds, deployment, routed

GROUP_OF_TWO = [deployment(name, "openai", "http://127.0.0.1:9") for name in ("a", "b")]


def cool_down(router: Any, seconds: float) -> None:
    """As a router does after a failure of deployment "a"."""
    error = litellm.RateLimitError(message="busy", llm_provider="openai", model="gpt")
    cooldown_cache(router).add_deployment_to_cooldown(
        model_id="a", original_exception=error, exception_status=429, cooldown_time=seconds
    )


@pytest.mark.parametrize(("first", "second"), [(60, 1), (1, 60)])
def test_longer_cooldown_counts_for_all(tmp_path: Path, first: float, second: float) -> None:
    """A router that knows nothing of another one's cooldown yet does not shorten it, for itself or for a third one."""
    with RedisServer(tmp_path) as redis:
        shared = {"redis_host": "127.0.0.1", "redis_port": redis.port}
        with routed(GROUP_OF_TWO, **shared) as one, routed(GROUP_OF_TWO, **shared) as other:
            cool_down(one, first)
            cool_down(other, second)
            with routed(GROUP_OF_TWO, **shared) as third:
                assert [cooldown_seconds(router, "a") for router in (other, third)] == [60, 60]
