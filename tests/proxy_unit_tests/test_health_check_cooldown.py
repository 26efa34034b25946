"""A failed health check takes a deployment out of rotation, but never the last one of its model group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import litellm.proxy
import pytest
from litellm import Router
from litellm.proxy.health_check_utils.failed_health_checks import mark_health_check_cooldowns
from litellm.router_utils.failover.health_check_cooldown import may_cool_down, spare_last_deployment

from support.routing import cooldown_cache, deployment, routed

NOWHERE = "http://provider.invalid"
LONG = 600.0


@pytest.fixture
def router() -> Iterator[Router]:
    with routed([deployment("a", "openai", NOWHERE), deployment("b", "openai", NOWHERE)]) as router:
        yield router


@pytest.fixture
def server(router: Router, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands for litellm.proxy.proxy_server, which needs more than these tests install."""
    server = SimpleNamespace(llm_router=router)
    monkeypatch.setattr(litellm.proxy, "proxy_server", server, raising=False)
    return server


def cool_down(router: Router, name: str) -> None:
    cooldown_cache(router).add_deployment_to_cooldown(name, RuntimeError("no"), 401, LONG)


def test_replaceable_deployment_is_taken_out(router: Any) -> None:
    """A failed check takes out a deployment that another one of its group replaces."""
    assert may_cool_down(router, "a")
    assert may_cool_down(router, "b")


def test_last_of_group_is_spared(router: Any) -> None:
    """A failed check spares a deployment if the other one of its group is cooling down already."""
    cool_down(router, "b")
    assert not may_cool_down(router, "a")
    assert may_cool_down(router, "b")


def test_a_failed_check_leaves_a_lone_deployment() -> None:
    """A failed check spares a lone deployment, which another group's deployment does not replace."""
    with routed([deployment("a", "openai", NOWHERE), deployment("b", "openai", NOWHERE, group="others")]) as router:
        assert not may_cool_down(router, "a")


def test_a_paused_deployment_replaces_none() -> None:
    """A deployment that is paused by `blocked` replaces none of its group."""
    paused = deployment("b", "openai", NOWHERE)
    paused["model_info"]["blocked"] = True
    with routed([deployment("a", "openai", NOWHERE), paused]) as router:
        assert not may_cool_down(router, "a")


def test_pattern_is_spared() -> None:
    """A failed check, which asks for one model, spares a deployment that stands for a pattern of names."""
    with routed([deployment(name, "openai", NOWHERE, group="openai/*") for name in "ab"]) as router:
        assert not may_cool_down(router, "a")


def test_unknown_deployment_is_not_cooled_down(router: Any) -> None:
    """A deployment that was removed while its check ran is not cooled down."""
    assert not may_cool_down(router, "removed")


def judged(*deployments: str) -> list[tuple[str, bool]]:
    """Each deployment, and whether its failed check would cool it down."""
    found: list[tuple[str, bool]] = []
    decide = spare_last_deployment(lambda router, deployment: True)
    mark_health_check_cooldowns(lambda: found.extend((name, decide(None, deployment=name)) for name in deployments))()
    return found


def test_failed_check_is_judged_by_who_is_left(router: Any, server: SimpleNamespace) -> None:
    """The function that cools down is asked about either, as upstream's tests want, and spares the last one."""
    assert judged("a", "b") == [("a", True), ("b", True)]
    cool_down(router, "b")
    assert judged("a", "b") == [("a", False), ("b", True)]


def test_failed_request_is_not_judged_as_check(router: Any, server: SimpleNamespace) -> None:
    """A failed request is not judged as a check, also after a round of checks that has raised."""
    cool_down(router, "b")

    def broken() -> None:
        raise RuntimeError("no state")

    with pytest.raises(RuntimeError, match="no state"):
        mark_health_check_cooldowns(broken)()
    assert spare_last_deployment(lambda router, deployment: True)(None, "a") is True


@pytest.mark.parametrize("router", [SimpleNamespace(), MagicMock(), object()], ids=lambda stub: type(stub).__name__)
def test_stub_of_router_has_no_other(router: Any) -> None:
    """A stub of a router has no other deployment that could stand in for one."""
    assert not may_cool_down(router, "a")


@pytest.mark.parametrize("wrap", [mark_health_check_cooldowns, spare_last_deployment])
def test_wrapper_keeps_name_and_docstring(wrap: Callable[..., Any]) -> None:
    """A wrapped function keeps its name and its docstring."""

    def original() -> None:
        """What it does."""

    wrapped = wrap(original)
    assert (wrapped.__name__, wrapped.__doc__) == ("original", "What it does.")
