"""The compiled router's hooks survive what stands for a router or an exception in a test."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from litellm.router_utils.failover.compiled_router_cooldown import rename_connection_errors, status_to_cool_by


class Mocked(Exception):
    """An exception whose every attribute is a MagicMock, as `MagicMock(spec=Exception)` makes them."""

    def __getattr__(self, name: str) -> Any:
        return MagicMock()


FAILURES: list[Callable[[], Any]] = [MagicMock, SimpleNamespace, object, Mocked, Exception, lambda: None]


@pytest.mark.parametrize("failure", FAILURES)
def test_stub_keeps_its_class_name(failure: Callable[[], Any]) -> None:
    """A stub of a failure is named as the compiled router names it."""
    assert rename_connection_errors(lambda error: "Exception")(failure()) == "Exception"


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("router", [SimpleNamespace, MagicMock, object])
def test_stub_keeps_its_status(router: Callable[[], Any], failure: Callable[[], Any]) -> None:
    """A stub of a failure, at a stub of a router, is reported with the status that the compiled router has for it."""
    assert status_to_cool_by(503, failure(), router(), "a") == 503
