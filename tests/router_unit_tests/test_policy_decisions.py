"""The policy's decisions at their edges: one status more or less, one word that proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import litellm
import pytest
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.router_utils.failover.cooldown import (
    ANSWERED_BY_A_FALLBACK,
    cools_down_now,
    requires_cooldown,
    served_by_fallback,
)
from litellm.router_utils.failover.fallbacks import has_fallback
from litellm.router_utils.failover.router_view import is_alone, leaves_no_deployment, routing_context
from litellm.types.router import RouterRateLimitError

from support.routing import GROUP, RELEASE, deployment, routed

NOWHERE = "http://127.0.0.1:9"
REFUSED = httpx.ConnectError("refused")
RATE_LIMITED = BaseLLMException(status_code=429, message="slow down")
UNAVAILABLE = BaseLLMException(status_code=503, message="busy")
BROKEN = BaseLLMException(status_code=502, message="broken")
REJECTED = BaseLLMException(status_code=400, message="no such parameter")
ONLY_WORDS = Exception("429 rate limit")
ALLOWED_FAILS_DECIDE = RELEASE >= (1, 106)
"""About a lone deployment's 402, later on; LiteLLM spared it before."""

SPARED = (403,) if ALLOWED_FAILS_DECIDE else (402, 403)


@pytest.fixture
def pair() -> Iterator[Any]:
    """A router over two deployments of one group."""
    with routed([deployment(name, "openai", NOWHERE) for name in ("a", "b")]) as router:
        yield router


@pytest.fixture
def lone() -> Iterator[Any]:
    """A router over a single deployment."""
    with routed([deployment("a", "openai", NOWHERE)]) as router:
        yield router


@pytest.mark.parametrize(
    "status",
    [399, 401, *({402} - {*SPARED}), 404, 408, 429, 500, 501, 599, "500", "none", None, float("inf")],
)
def test_lone_deployment_is_cooled_down(lone: Any, status: Any) -> None:
    """A lone deployment is cooled down for the statuses for which LiteLLM always did so."""
    assert requires_cooldown(lone, "a", status, None, None) is True
    assert requires_cooldown(lone, "a", status, "what the provider said", REFUSED) is True


@pytest.mark.parametrize("status", [400, *SPARED, 405, 407, 409, 428, 430, 499, "403", ""])
def test_lone_deployment_is_spared(lone: Any, status: Any) -> None:
    """A lone deployment is spared for the statuses beginning with a 4 for which LiteLLM always spared it."""
    assert requires_cooldown(lone, "a", status, None, None) is False
    assert requires_cooldown(lone, "a", status, "what the provider said", REFUSED) is False


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_a_connection_error_spares_a_lone_deployment(lone: Any, status: int) -> None:
    """A connection error spares a lone deployment, unless the exception proves a rate limit."""
    assert requires_cooldown(lone, "a", status, "litellm.APIConnectionError: gone", REFUSED) is False
    assert requires_cooldown(lone, "a", status, "litellm.APIConnectionError: gone", RATE_LIMITED) is True


@pytest.mark.parametrize("status", SPARED)
def test_answered_fallback_ends_protection(lone: Any, status: int) -> None:
    """A fallback that has answered ends the protection of a lone deployment."""
    failure = BaseLLMException(status_code=status, message="no")
    assert served_by_fallback(failure) is False
    assert requires_cooldown(lone, "a", status, None, failure) is False
    setattr(failure, ANSWERED_BY_A_FALLBACK, True)
    assert served_by_fallback(failure) is True
    assert requires_cooldown(lone, "a", status, None, failure) is True


@pytest.mark.parametrize("status", [408, 499, 500, 501, 503, "500", "503"])
def test_connection_error_wording_needs_500(pair: Any, status: str | int) -> None:
    """The words of a connection error count only beside its own 500."""
    bug = "litellm.APIConnectionError: 'choices'"
    by_status = str(status) not in ("499", "500")
    assert requires_cooldown(pair, "a", status, bug, None) is by_status
    assert requires_cooldown(pair, "a", status, "'choices'", None) is (str(status) != "499")


def test_where_there_is_no_status_the_words_count(pair: Any) -> None:
    """Where there is no status the words count, whatever class they come from."""
    assert requires_cooldown(pair, "a", "", "429 rate limit", None) is True
    assert requires_cooldown(pair, "a", "", "something else", None) is False


@pytest.mark.parametrize("status", [None, "none", float("inf")])
def test_a_status_that_is_no_number_cools_down(pair: Any, status: Any) -> None:
    """A status that is no number cools the deployment down."""
    assert requires_cooldown(pair, "a", status, None, None) is True


def test_removed_deployment_is_not_alone(lone: Any) -> None:
    """A deployment that the router no longer knows is not protected as a lone one."""
    assert requires_cooldown(lone, "removed", 403, None, None) is True


def test_immediate_cooldown_needs_proof() -> None:
    """One failure is enough for a cooldown only where it is proven and lasting."""
    assert cools_down_now(RATE_LIMITED) is True
    assert cools_down_now(REFUSED) is True
    assert cools_down_now(ONLY_WORDS) is False
    assert cools_down_now(UNAVAILABLE) is False
    assert cools_down_now(REJECTED) is False


ANOTHER: dict[str, Callable[[str], object]] = {
    "a name": lambda other: [other],
    "a name beside the group's own": lambda other: [GROUP, other],
    "a request": lambda other: [{"model": other, "temperature": 0}],
    "for the group": lambda other: [{GROUP: [other]}],
    "for the group, as a request": lambda other: [{GROUP: [GROUP, {"model": other}]}],
    "for any group": lambda other: [{"*": [other]}],
}
NONE: dict[str, Callable[[str], object]] = {
    "for another group": lambda other: [{other: [other]}],
    "an empty one for the group": lambda other: [{GROUP: []}],
    "the group's own name": lambda other: [GROUP],
    "a request to the group": lambda other: [{"model": GROUP}],
    "the group for itself": lambda other: [{GROUP: [GROUP]}],
    "an empty list": lambda other: [],
    "nothing": lambda other: None,
    "a mapping": lambda other: {GROUP: [other]},
    "a mapping of the other": lambda other: {other: [GROUP]},
    "a text": lambda other: other,
}


BEFORE, AFTER = "a group before it", "z group after it"


@pytest.fixture
def surrounded() -> Iterator[Any]:
    """A router with a group of two deployments before the lone one's in the alphabet, and one of one after it."""
    group = [deployment("a", "openai", NOWHERE)]
    group += [deployment(name, "openai", NOWHERE, group=BEFORE) for name in ("b", "c")]
    with routed([*group, deployment("z", "openai", NOWHERE, group=AFTER)]) as router:
        yield router


@pytest.mark.parametrize("other", [BEFORE, AFTER])
@pytest.mark.parametrize("settings", [*ANOTHER.values(), *NONE.values()], ids=[*ANOTHER, *NONE])
def test_every_fallback_format_counts(surrounded: Any, settings: Callable[[str], object], other: str) -> None:
    """A fallback is another group in any of LiteLLM's formats, and nothing else is one."""
    assert has_fallback(surrounded, GROUP, settings(other)) is (settings in ANOTHER.values())


@pytest.mark.parametrize(
    ("cooling", "stands_ready"), [("", True), ("b", True), ("c", True), ("bc", False), ("az", True)]
)
def test_cooling_group_is_no_fallback(surrounded: Any, cooling: str, stands_ready: bool) -> None:
    """A group of which every deployment is cooling down is no fallback."""
    for name in cooling:
        surrounded.cooldown_cache.add_deployment_to_cooldown(name, RATE_LIMITED, 429, cooldown_time=60)
    assert has_fallback(surrounded, GROUP, [{GROUP: [BEFORE]}]) is stands_ready
    assert has_fallback(surrounded, GROUP, [{GROUP: [BEFORE, AFTER]}]) is True


def test_visited_group_is_no_fallback(surrounded: Any) -> None:
    """A group that the request has been to is no fallback."""
    assert has_fallback(surrounded, GROUP, [{GROUP: [AFTER]}], visited={BEFORE}) is True
    assert has_fallback(surrounded, GROUP, [{BEFORE: [AFTER]}], visited={BEFORE}) is False
    assert has_fallback(surrounded, GROUP, [{GROUP: [BEFORE]}], visited={BEFORE}) is False
    assert has_fallback(surrounded, GROUP, [{GROUP: [GROUP]}]) is False


@pytest.mark.parametrize(("steps", "stands_ready"), [(0, False), (1, False), (2, True), (3, True)])
def test_a_fallbacks_fallback_is_one(surrounded: Any, steps: int, stands_ready: bool) -> None:
    """The fallback of a fallback that cannot answer is one, within the steps a request may take."""
    for name in "bc":
        surrounded.cooldown_cache.add_deployment_to_cooldown(name, RATE_LIMITED, 429, cooldown_time=60)
    for first in (BEFORE, "forgotten"):
        assert has_fallback(surrounded, GROUP, [{GROUP: [first]}, {first: [GROUP, AFTER]}], steps=steps) is stands_ready
        assert has_fallback(surrounded, GROUP, [{GROUP: [first]}, {first: [GROUP]}], steps=steps) is False
        assert has_fallback(surrounded, GROUP, [{GROUP: [first]}, {first: [AFTER]}]) is False


def test_a_group_without_deployments_is_no_fallback(surrounded: Any) -> None:
    """A group that is configured but has no deployments is no fallback."""
    assert has_fallback(surrounded, GROUP, [{GROUP: ["forgotten"]}]) is False
    assert has_fallback(surrounded, GROUP, [{GROUP: ["forgotten", AFTER]}]) is True


def test_what_litellm_itself_raises_is_judged_alike(pair: Any) -> None:
    """The exception that LiteLLM itself raises is judged as the provider's is."""
    mapped = litellm.RateLimitError(message="slow down", llm_provider="openai", model="m")
    assert requires_cooldown(pair, "a", 429, "slow down", mapped) is True
    assert cools_down_now(mapped) is True


NONE_LEFT = "No deployments available for selected model, passed model=the-group"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RouterRateLimitError("the-group", cooldown_time=5, enable_pre_call_checks=False, cooldown_list=[]), True),
        (ValueError(NONE_LEFT), True),
        (ValueError("a hook's"), False),
        (RuntimeError(NONE_LEFT), False),
        (None, False),
    ],
)
def test_no_deployment_left_by_exception(error: Exception | None, expected: bool) -> None:
    """The router has no deployment left only if its own exception says so."""
    assert leaves_no_deployment(error) is expected


@pytest.mark.parametrize(("group", "alone"), [([{}], True), ([{}, {}], False), (None, False)])
def test_routing_context_tells_lone_deployment(group: list[Any] | None, alone: bool) -> None:
    """A deployment is alone by what the routing context says, which 1.109 has in the router's place."""
    known = {("a", "group_of_id"): group}
    registry = SimpleNamespace(resolve=lambda name, *, kind: known.get((name, kind)))
    assert is_alone(SimpleNamespace(registry=lambda: registry), "a") is alone


def test_the_cooldown_functions_are_given_what_they_take() -> None:
    """The cooldown functions are given the router's context where it has one, else the router."""
    router, context = SimpleNamespace(), object()
    assert routing_context(router) is router
    assert routing_context(SimpleNamespace(_core_ctx=context)) is context


@pytest.mark.parametrize("has_another", [True, False])
@pytest.mark.parametrize("asked", ["the router", "its context"])
def test_team_deployment_is_not_alone(asked: str, has_another: bool) -> None:
    """A team's deployment is not alone beside another one of its name."""
    known = {"group_of_id": [{}], "team_model_alternatives": has_another}
    registry = SimpleNamespace(resolve=lambda name, *, kind: known[kind])
    router = SimpleNamespace(get_model_group=lambda id: [{}], team_model_has_alternatives=lambda name: has_another)
    one = router if asked == "the router" else SimpleNamespace(registry=lambda: registry)
    assert is_alone(one, "a") is not has_another
