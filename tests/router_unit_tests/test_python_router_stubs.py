"""The hooks of the router in Python survive what stands for a router or an exception in a test."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from litellm.router_utils.failover.python_router import decide_retry, record_failed_attempt, track_retry_state


@pytest.mark.parametrize("router", [MagicMock, SimpleNamespace, object])
async def test_stub_makes_its_call(router: Callable[[], Any]) -> None:
    """What is wrapped is called, and what it returns comes back."""

    async def call(self: Any, *args: Any, **kwargs: Any) -> str:
        return "answered"

    assert await track_retry_state(call)(router(), model="group") == "answered"
    assert await record_failed_attempt(call)(router(), call) == "answered"


@pytest.mark.parametrize("failure", [MagicMock, SimpleNamespace, object, Exception, lambda: None])
def test_stub_of_failure_leaves_retry_to_litellm(failure: Callable[[], Any]) -> None:
    """Where no request is under way, LiteLLM's own rule decides."""
    assert decide_retry(failure(), None, None) is None
