"""With the switch on, a group without configured fallbacks makes way for the others that can serve the request."""

from __future__ import annotations

import inspect
import json
import logging
from typing import Any

import litellm
import pytest

from router_unit_tests.named_groups import ASKED_FOR, asked, router_of
from support.faulty_provider import FAULTS, HEALTHY, Fault, FaultyProvider
from support.routing import (
    COMPILED_ROUTER,
    GROUP,
    MESSAGES,
    ask,
    back_offs,
    cooling_down,
    deployment,
    lost,
    minute,
    outcomes,
    routed,
    until,
)

ON: dict[str, Any] = {"automatic_fallbacks": True, "num_retries": 2, "cooldown_time": 60}
RATE_LIMITED = FAULTS["429"]
NOWHERE = "http://127.0.0.1:9"


def alone(group: str, provider: FaultyProvider, **model_info: Any) -> dict[str, Any]:
    """The only deployment of `group`, with the group's name for its id."""
    one = deployment(f"{group}-a", "openai", provider.url, group=group)
    one["model_info"].update(model_info)
    return one


@pytest.mark.parametrize("mode", ["async", "async-stream", "sync", "sync-stream"])
@pytest.mark.parametrize("fault", ["401", "402", "404", "429", "503", "refused"])
async def test_another_group_answers_at_once(fault: str, mode: str) -> None:
    """Another group answers at once, and the limited one is left alone while its cooldown lasts."""
    with FaultyProvider(FAULTS[fault]) as primary, FaultyProvider() as other, back_offs() as waits:
        with routed([alone(GROUP, primary), alone("other", other)], **ON) as router:
            assert await outcomes(router, 1, mode) == ["pong"]
            assert await until(lambda: cooling_down(router) == {f"{GROUP}-a"})
            assert await outcomes(router, 3, mode) == ["pong"] * 3
            assert (primary.attempts, other.attempts) == (0 if fault == "refused" else 1, 4)
            assert waits == []


OF_THE_REQUEST = {
    "context_window_fallbacks": ("context_length_exceeded", "invalid_request_error"),
    "content_policy_fallbacks": ("content_policy_violation", "invalid_request_error"),
}
"""The code of a request that each list is for, and its type."""


@pytest.mark.parametrize("mode", ["async", "sync"])
@pytest.mark.parametrize("of_request", [False, True], ids=["router's", "request's"])
@pytest.mark.parametrize("name", OF_THE_REQUEST)
async def test_fallbacks_for_a_reason_are_heeded(name: str, of_request: bool, mode: str) -> None:
    """A request that is too long or refused for its content goes to the group that is configured for that."""
    code, kind = OF_THE_REQUEST[name]
    error = {"error": {"code": code, "type": kind, "message": "not so", "param": None}}
    refused = Fault.status(400, body=json.dumps(error).encode())
    fallbacks = {name: [{GROUP: ["chosen"]}]}
    with FaultyProvider(refused) as primary, FaultyProvider() as other, FaultyProvider(answer="chosen") as chosen:
        groups = [alone(GROUP, primary), alone("other", other), alone("chosen", chosen)]
        with routed(groups, **ON, **({} if of_request else fallbacks)) as router:
            assert await outcomes(router, 1, mode, **(fallbacks if of_request else {})) == ["chosen"]
        assert other.attempts == 0


async def test_it_is_off_by_default() -> None:
    """Without the switch a group fails without another one being asked."""
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider() as other:
        with routed([alone(GROUP, primary), alone("other", other)], num_retries=0) as router:
            assert lost(await outcomes(router, 1)) == [0]
            assert other.attempts == 0


async def test_groups_are_asked_in_order() -> None:
    """The groups are asked once each in the order they are declared in, and the first one's reason is told."""
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider(FAULTS["503"]) as b, FaultyProvider() as c:
        groups = [alone("c", c), alone(GROUP, primary), alone("b", b)]
        with routed([groups[1], groups[2], groups[0]], **{**ON, "num_retries": 0}) as router:
            assert await outcomes(router, 1) == ["pong"]
            assert (primary.attempts, b.attempts, c.attempts) == (1, 1, 1)
        c.fault = FAULTS["500"]
        with routed([groups[1], groups[2], groups[0]], **{**ON, "num_retries": 0}) as router:
            (error,) = await outcomes(router, 1)
            assert isinstance(error, litellm.RateLimitError)
            assert [one.model_group for one in error.failed_attempts] == [GROUP, "b", "c"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("limit", ["rpm", "cooldown"])
async def test_exhausted_group_falls_back(limit: str) -> None:
    """A group that the router's own limit or a cooldown leaves without a deployment makes way."""
    with FaultyProvider() as primary, FaultyProvider() as other:
        limited = alone(GROUP, primary)
        settings = dict(ON)
        if limit == "rpm":
            limited["litellm_params"]["rpm"] = 1
            settings |= {"routing_strategy": "usage-based-routing-v2", "enable_pre_call_checks": True}
        with routed([limited, alone("other", other)], **settings) as router:
            if limit == "cooldown":
                primary.fault = RATE_LIMITED
                assert await outcomes(router, 1) == ["pong"]
                assert await until(lambda: cooling_down(router) == {f"{GROUP}-a"})
                primary.fault = HEALTHY
            began = minute()
            assert await outcomes(router, 3) == ["pong"] * 3
            assert 1 <= primary.attempts <= (1 + minute() - began if limit == "rpm" else 1)


async def test_what_one_group_rejects_no_other_is_asked() -> None:
    """No other group is asked for what one group rejects."""
    with FaultyProvider(Fault.status(400)) as primary, FaultyProvider() as other:
        with routed([alone(GROUP, primary), alone("other", other)], **ON) as router:
            (error,) = await outcomes(router, 1)
            assert isinstance(error, litellm.BadRequestError)
            assert (primary.attempts, other.attempts) == (1, 0)


@pytest.mark.parametrize(
    "other",
    [
        {"mode": "embedding"},
        {"mode": "image_generation"},
        {"max_input_tokens": 3},
        {"team_id": "a-team"},
    ],
    ids=lambda info: next(iter(info)) + str(next(iter(info.values()))),
)
async def test_unfit_group_is_skipped(other: dict[str, Any]) -> None:
    """A group of another mode, too small for the request, or of another team is not asked."""
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider() as unfit, back_offs():
        group = alone("unfit", unfit, **other)
        # LiteLLM takes what is said of a model for all that have it, from now on.
        group["litellm_params"]["model"] = f"openai/unfit-for-{'-'.join(map(str, other.values()))}"
        with routed([alone(GROUP, primary), group], **ON) as router:
            assert lost(await outcomes(router, 1)) == [0]
            assert (primary.attempts, unfit.attempts) == (3, 0)


async def test_pattern_group_is_skipped() -> None:
    """A group that stands for a pattern of models is not asked."""
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider() as pattern:
        any_model = deployment("any", "openai", pattern.url, group="openai/*")
        with routed([alone(GROUP, primary), any_model], **{**ON, "num_retries": 0}) as router:
            assert lost(await outcomes(router, 1)) == [0]
            assert pattern.attempts == 0


@pytest.mark.parametrize(("spare", "asked"), [(-1, 0), (0, 1), (1000, 1), (None, 1)])
async def test_context_window_limits_fallbacks(spare: int | None, asked: int) -> None:
    """A group is asked if the request fits into it to the last token, or if its size is unknown."""
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider() as other:
        group = alone("other", other)
        group["litellm_params"]["model"] = f"openai/spares-{spare}"
        if spare is not None:
            group["model_info"]["max_input_tokens"] = litellm.token_counter(messages=MESSAGES) + spare
        with routed([alone(GROUP, primary), group], **{**ON, "num_retries": 0}) as router:
            await outcomes(router, 1)
            assert other.attempts == asked


@pytest.mark.parametrize("kind", ["aembedding", "atext_completion"])
async def test_size_of_input_and_prompt(kind: str) -> None:
    """The input of an embedding and the prompt of a text completion are the size of their request."""
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider() as small:
        groups = [alone(GROUP, primary), alone("small", small, max_input_tokens=3)]
        for group, name in zip(groups, ("large", "small"), strict=True):
            group["litellm_params"]["model"] = f"openai/{name}-{kind}"
        with routed(groups, **{**ON, "num_retries": 0}) as router:
            with pytest.raises(litellm.RateLimitError):
                await getattr(router, kind)(
                    **{"model": GROUP, "input" if kind == "aembedding" else "prompt": "one two three four"}
                )
            assert small.attempts == 0


async def test_limits_are_kept_per_group() -> None:
    """The limit that is set for one group does not hold for another one with the same model."""
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider() as small, FaultyProvider() as large:
        groups = [alone("small", small, max_input_tokens=3), alone("large", large, max_input_tokens=3000)]
        for group in groups:
            group["litellm_params"]["model"] = "openai/of-two-sizes"
        with routed([alone(GROUP, primary), *groups], **{**ON, "num_retries": 0}) as router:
            assert await outcomes(router, 1) == ["pong"]
            assert (small.attempts, large.attempts) == (0, 1)


async def test_a_request_of_unknown_size_falls_back(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request of unknown size falls back to groups of any size, and the log says why."""
    monkeypatch.setattr(logging.getLogger("LiteLLM Router"), "propagate", True)
    part = {"type": "image_url", "image_url": 5}  # nothing LiteLLM can count
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider() as other:
        groups = [alone(GROUP, primary), alone("other", other, max_input_tokens=3)]
        for group, name in zip(groups, ("large", "small"), strict=True):
            group["litellm_params"]["model"] = f"openai/{name}-but-asked"
        with routed(groups, **{**ON, "num_retries": 0}) as router:
            answers = await outcomes(router, 1, messages=[{"role": "user", "content": [part]}])
            assert answers == ["pong"]
    assert "The request's size is unknown" in caplog.text


KEYS: dict[str, tuple[dict[str, Any], int]] = {
    "of any model": ({"models": []}, 1),
    "of both groups": ({"models": [GROUP, "other"]}, 1),
    "of one group": ({"models": [GROUP]}, 0),
    "of a team with both": ({"team_id": "a-team", "team_models": [GROUP, "other"]}, 1),
    "of a team with one": ({"team_id": "a-team", "team_models": [GROUP]}, 0),
}


@pytest.mark.parametrize("place", ["metadata", "litellm_metadata"])
@pytest.mark.parametrize("key", KEYS)
async def test_fallback_respects_key(key: str, place: str) -> None:
    """A group that the key or its team may not use is not asked."""
    from litellm.proxy._types import UserAPIKeyAuth

    limits, asked = KEYS[key]
    request: dict[str, Any] = {place: {"user_api_key_auth": UserAPIKeyAuth(**limits)}}
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider() as other:
        with routed([alone(GROUP, primary), alone("other", other)], **{**ON, "num_retries": 0}) as router:
            (answer,) = await outcomes(router, 1, **request)
            assert other.attempts == asked
            assert answer == "pong" if asked else isinstance(answer, litellm.RateLimitError)


@pytest.mark.skipif(COMPILED_ROUTER, reason="the compiled router has no such method")
def test_the_routers_method_keeps_its_parameters() -> None:
    """The router's wrapped method shows the parameters it has."""
    assert "model_group" in inspect.signature(litellm.Router.async_function_with_fallbacks_common_utils).parameters


async def test_embedding_skips_chat_groups() -> None:
    """An embedding falls back to a group of embeddings, past a chat model that is declared before it."""
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider() as chat, FaultyProvider() as other:
        groups = [alone(name, provider) for name, provider in ((GROUP, primary), ("chat", chat), ("other", other))]
        for group in (groups[0], groups[2]):
            group["litellm_params"]["model"] = "openai/text-embedding-3-small"
        with routed(groups, **ON) as router:
            answer = await router.aembedding(model=GROUP, input="ping")
            assert answer.data[0]["embedding"] == [0.25, -0.5, 0.75]
            assert (chat.attempts, other.attempts) == (0, 1)


@pytest.mark.parametrize(
    "configured",
    [{"fallbacks": [{GROUP: ["named"]}]}, {"default_fallbacks": ["named"]}, {"fallbacks": [{"*": ["named"]}]}],
)
async def test_configured_fallbacks_win(configured: dict[str, Any]) -> None:
    """Configured fallbacks are asked and no other group, also where they fail."""
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider(RATE_LIMITED) as named, FaultyProvider() as other:
        groups = [alone(GROUP, primary), alone("other", other), alone("named", named)]
        with routed(groups, **{**ON, "num_retries": 0}, **configured) as router:
            assert lost(await outcomes(router, 1)) == [0]
            assert (named.attempts, other.attempts) == (1, 0)


async def test_a_requests_own_fallbacks_win() -> None:
    """A request's own fallbacks are asked and no other group, and none if the request wants none."""
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider() as named, FaultyProvider() as other:
        groups = [alone(GROUP, primary), alone("other", other), alone("named", named)]
        with routed(groups, **{**ON, "num_retries": 0}) as router:
            answer = await router.acompletion(model=GROUP, messages=MESSAGES, fallbacks=["named"])
            assert answer.choices[0].message.content == "pong"
            assert (named.attempts, other.attempts) == (1, 0)
            assert lost(await outcomes(router, 1, disable_fallbacks=True)) == [0]
            assert other.attempts == 0


async def test_fallback_keeps_configured_fallbacks() -> None:
    """A group that stands in for another one falls back to what is configured for it before the next one is asked."""
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider(FAULTS["503"]) as other, FaultyProvider() as good:
        with FaultyProvider() as last:
            groups = [alone(GROUP, primary), alone("other", other), alone("last", last), alone("named", good)]
            settings: dict[str, Any] = {**ON, "num_retries": 0, "fallbacks": [{"other": ["named"]}]}
            with routed(groups, **settings) as router:
                assert await outcomes(router, 1) == ["pong"]
        assert (primary.attempts, other.attempts, last.attempts, good.attempts) == (1, 1, 0, 1)


async def test_rejecting_fallback_makes_way() -> None:
    """A group that rejects what it was asked in place of another one makes way for the next."""
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider(FAULTS["400"]) as other, FaultyProvider() as last:
        with routed([alone(GROUP, primary), alone("other", other), alone("last", last)], **ON) as router:
            assert await outcomes(router, 1) == ["pong"]
        assert (primary.attempts, other.attempts, last.attempts) == (1, 1, 1)


async def test_declared_groups_may_change() -> None:
    """A group that is declared while the router runs is asked, and one that is deleted is not."""
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider() as first, FaultyProvider() as later:
        settings = {**ON, "num_retries": 0, "disable_cooldowns": True}
        with routed([alone(GROUP, primary), alone("first", first)], **settings) as router:
            assert await outcomes(router, 1) == ["pong"]
            router.delete_deployment("first-a")
            router.add_deployment(litellm.Deployment(**alone("later", later)))
            assert await outcomes(router, 1) == ["pong"]
            assert (first.attempts, later.attempts) == (1, 1)


async def test_switch_may_be_turned() -> None:
    """The switch is an attribute of the router, which is heeded from the next request on."""
    with FaultyProvider(RATE_LIMITED) as primary, FaultyProvider() as other:
        settings: dict[str, Any] = {"num_retries": 0, "disable_cooldowns": True}
        with routed([alone(GROUP, primary), alone("other", other)], **settings) as router:
            for is_on in (False, True):
                router.automatic_fallbacks = is_on
                assert lost(await outcomes(router, 1)) == ([] if is_on else [0])
            assert other.attempts == 1


@pytest.mark.parametrize("mode", ["async", "sync"])
async def test_rejected_request_names_no_fallback(
    mode: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the log and the message say of a rejected request is the same as without the switch."""
    monkeypatch.setattr(logging.getLogger("LiteLLM Router"), "propagate", True)
    said = []
    for settings in (ON, {**ON, "automatic_fallbacks": False}):
        caplog.clear()
        with FaultyProvider(Fault.status(400)) as primary, FaultyProvider() as other:
            with routed([alone(GROUP, primary), alone("other", other)], **settings) as router:
                (error,) = await outcomes(router, 1, mode)
                logged = [record.message for record in caplog.records if record.name == "LiteLLM Router"]
                said.append((str(error).replace(primary.url, ""), [line for line in logged if "allback" in line]))
    assert said[0] == said[1]


REFUSAL = {
    **{"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": "refusal"},
    **{"stop_details": {"type": "refusal", "category": "x"}, "usage": {"input_tokens": 1, "output_tokens": 1}},
}


async def test_refusal_is_the_answer() -> None:
    """A model that answers that it refuses has answered: no other group is asked in its place."""
    refusing = Fault.status(200, body=json.dumps(REFUSAL).encode())
    with FaultyProvider(refusing) as primary, FaultyProvider() as other:
        named = ((GROUP, primary), ("other", other))
        groups = [deployment(f"{name}-a", "anthropic", provider.url, group=name) for name, provider in named]
        with routed(groups, **ON) as router:
            answer = await router.aanthropic_messages(model=GROUP, messages=MESSAGES, max_tokens=9)
    assert answer["stop_reason"] == "refusal"
    assert (primary.attempts, other.attempts) == (1, 0)


@pytest.mark.parametrize("kind", ASKED_FOR)
async def test_automatic_fallbacks_know_the_group(kind: str) -> None:
    """The group is not its own substitute under another name."""
    settings: dict[str, Any] = {"automatic_fallbacks": True}
    with router_of(kind, FAULTS["429"], count=1, **settings) as (router, bad, good), back_offs() as waits:
        assert await ask(router, "async", **asked(kind)) == "pong"
        assert (bad.attempts, good.attempts, waits) == (1, 1, [])
