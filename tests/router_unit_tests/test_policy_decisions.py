"""The decisions of `failover_policy` at their edges: one status more or less, one word that proves nothing."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextvars import copy_context
from types import SimpleNamespace
from typing import Any

import httpx
import litellm
import pytest
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.router_utils.failover_attempts import remembering_attempts
from litellm.router_utils.failover_policy import (
    ANSWERED_BY_A_FALLBACK,
    cools_down_now,
    has_fallback,
    is_alone,
    leaves_no_deployment,
    requires_cooldown,
    routing_context,
    yields_to_a_fallback,
)
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
def test_a_lone_deployment_is_cooled_down_where_litellm_always_did(lone: Any, status: Any) -> None:
    """By its own statuses, and by all that are not of the caller's making or not even numbers."""
    assert requires_cooldown(lone, "a", status, None, None) is True
    assert requires_cooldown(lone, "a", status, "what the provider said", REFUSED) is True


@pytest.mark.parametrize("status", [400, *SPARED, 405, 407, 409, 428, 430, 499, "403", ""])
def test_a_lone_deployment_is_spared_where_litellm_always_did(lone: Any, status: Any) -> None:
    """By every other status that begins with a 4, and where there is none."""
    assert requires_cooldown(lone, "a", status, None, None) is False
    assert requires_cooldown(lone, "a", status, "what the provider said", REFUSED) is False


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_a_connection_error_spares_a_lone_deployment(lone: Any, status: int) -> None:
    """LiteLLM has never cooled one down for it; only a rate limit that the exception proves is more."""
    assert requires_cooldown(lone, "a", status, "litellm.APIConnectionError: gone", REFUSED) is False
    assert requires_cooldown(lone, "a", status, "litellm.APIConnectionError: gone", RATE_LIMITED) is True


@pytest.mark.parametrize("status", SPARED)
def test_a_fallback_that_has_answered_ends_the_protection_of_a_lone_deployment(lone: Any, status: int) -> None:
    """It has taken over, as another deployment of the group would."""
    failure = BaseLLMException(status_code=status, message="no")
    assert yields_to_a_fallback(failure) is False
    assert requires_cooldown(lone, "a", status, None, failure) is False
    setattr(failure, ANSWERED_BY_A_FALLBACK, True)
    assert yields_to_a_fallback(failure) is True
    assert requires_cooldown(lone, "a", status, None, failure) is True


@pytest.mark.parametrize("status", [408, 499, 500, 501, 503, "500", "503"])
def test_the_words_of_a_connection_error_count_only_beside_its_own_500(pair: Any, status: str | int) -> None:
    """Any other status was read off an answer, whatever the text quotes."""
    bug = "litellm.APIConnectionError: 'choices'"
    by_status = str(status) not in ("499", "500")
    assert requires_cooldown(pair, "a", status, bug, None) is by_status
    assert requires_cooldown(pair, "a", status, "'choices'", None) is (str(status) != "499")


def test_where_there_is_no_status_the_words_count(pair: Any) -> None:
    """Whatever class they come from."""
    assert requires_cooldown(pair, "a", "", "429 rate limit", None) is True
    assert requires_cooldown(pair, "a", "", "something else", None) is False


@pytest.mark.parametrize("status", [None, "none", float("inf")])
def test_a_status_that_is_no_number_cools_down(pair: Any, status: Any) -> None:
    """As it always has."""
    assert requires_cooldown(pair, "a", status, None, None) is True


def test_a_deployment_the_router_no_longer_knows_is_not_alone(lone: Any) -> None:
    """It may have been removed while its last request was on the way."""
    assert requires_cooldown(lone, "removed", 403, None, None) is True


def test_one_failure_is_enough_only_where_it_is_proven_and_lasting() -> None:
    """Words prove nothing, and a server error may pass."""
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
def test_a_fallback_is_another_group_in_any_of_litellms_formats(
    surrounded: Any, settings: Callable[[str], object], other: str
) -> None:
    """A list of groups, of requests, or of what follows which group; nothing else is one."""
    assert has_fallback(surrounded, GROUP, settings(other)) is (settings in ANOTHER.values())


@pytest.mark.parametrize(
    ("cooling", "stands_ready"), [("", True), ("b", True), ("c", True), ("bc", False), ("az", True)]
)
def test_a_group_that_is_cooling_down_is_no_fallback(surrounded: Any, cooling: str, stands_ready: bool) -> None:
    """As long as any of its deployments is not, it is one."""
    for name in cooling:
        surrounded.cooldown_cache.add_deployment_to_cooldown(name, RATE_LIMITED, 429, cooldown_time=60)
    assert has_fallback(surrounded, GROUP, [{GROUP: [BEFORE]}]) is stands_ready
    assert has_fallback(surrounded, GROUP, [{GROUP: [BEFORE, AFTER]}]) is True


def test_a_fallback_is_a_group_the_request_has_not_been_to(surrounded: Any) -> None:
    """Itself, for one, it has."""
    assert has_fallback(surrounded, GROUP, [{GROUP: [AFTER]}], asked={BEFORE}) is True
    assert has_fallback(surrounded, GROUP, [{BEFORE: [AFTER]}], asked={BEFORE}) is False
    assert has_fallback(surrounded, GROUP, [{GROUP: [BEFORE]}], asked={BEFORE}) is False
    assert has_fallback(surrounded, GROUP, [{GROUP: [GROUP]}]) is False


@pytest.mark.parametrize(("steps", "stands_ready"), [(0, False), (1, False), (2, True), (3, True)])
def test_a_fallbacks_fallback_is_one(surrounded: Any, steps: int, stands_ready: bool) -> None:
    """Where the first is cooling down or forgotten, within the steps a request may take; the way back is none."""
    for name in "bc":
        surrounded.cooldown_cache.add_deployment_to_cooldown(name, RATE_LIMITED, 429, cooldown_time=60)
    for first in (BEFORE, "forgotten"):
        assert has_fallback(surrounded, GROUP, [{GROUP: [first]}, {first: [GROUP, AFTER]}], steps=steps) is stands_ready
        assert has_fallback(surrounded, GROUP, [{GROUP: [first]}, {first: [GROUP]}], steps=steps) is False
        assert has_fallback(surrounded, GROUP, [{GROUP: [first]}, {first: [AFTER]}]) is False


def test_a_group_without_deployments_is_no_fallback(surrounded: Any) -> None:
    """Configured and forgotten."""
    assert has_fallback(surrounded, GROUP, [{GROUP: ["forgotten"]}]) is False
    assert has_fallback(surrounded, GROUP, [{GROUP: ["forgotten", AFTER]}]) is True


def test_what_litellm_itself_raises_is_judged_alike(pair: Any) -> None:
    """The mapped exception says the same as the provider's."""
    mapped = litellm.RateLimitError(message="slow down", llm_provider="openai", model="m")
    assert requires_cooldown(pair, "a", 429, "slow down", mapped) is True
    assert cools_down_now(mapped) is True


async def test_a_context_that_outlives_a_request_keeps_nothing_of_it(pair: Any) -> None:
    """A connection of the pool lives on in the context it was opened in."""
    contexts = []

    async def answer(router: Any, **kwargs: Any) -> None:
        contexts.append(copy_context())

    messages = BaseLLMException(status_code=200, message="anything that can be watched")
    alive = weakref.ref(messages)
    await remembering_attempts(answer)(pair, model=GROUP, messages=messages)
    del messages
    gc.collect()
    assert len(contexts) == 1
    assert alive() is None


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
def test_the_router_has_no_deployment_left_if_it_says_so(error: Exception | None, expected: bool) -> None:
    """A hook may raise a ValueError too, and somebody else may quote the router."""
    assert leaves_no_deployment(error) is expected


@pytest.mark.parametrize(("group", "alone"), [([{}], True), ([{}, {}], False), (None, False)])
def test_a_deployment_is_alone_by_what_the_routing_context_says(group: list[Any] | None, alone: bool) -> None:
    """Which the cooldown functions of 1.109 have in the router's place."""
    known = {("a", "group_of_id"): group}
    registry = SimpleNamespace(resolve=lambda name, *, kind: known.get((name, kind)))
    assert is_alone(SimpleNamespace(registry=lambda: registry), "a") is alone


def test_the_cooldown_functions_are_given_what_they_take() -> None:
    """The router's context where it has one, as 1.109's has, else the router."""
    router, context = SimpleNamespace(), object()
    assert routing_context(router) is router
    assert routing_context(SimpleNamespace(_core_ctx=context)) is context


@pytest.mark.parametrize("has_another", [True, False])
@pytest.mark.parametrize("asked", ["the router", "its context"])
def test_a_teams_deployment_is_not_alone_beside_another_of_its_name(asked: str, has_another: bool) -> None:
    """LiteLLM gives each deployment of a team's model a group of its own, and tells since 1.103."""
    known = {"group_of_id": [{}], "team_model_alternatives": has_another}
    registry = SimpleNamespace(resolve=lambda name, *, kind: known[kind])
    router = SimpleNamespace(get_model_group=lambda id: [{}], team_model_has_alternatives=lambda name: has_another)
    one = router if asked == "the router" else SimpleNamespace(registry=lambda: registry)
    assert is_alone(one, "a") is not has_another
