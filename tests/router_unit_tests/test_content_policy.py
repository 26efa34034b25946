"""Whom `content_policy_fallbacks` ask for what a provider refuses for its content, or filters out of an answer."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import litellm
import pytest

from router_unit_tests.named_groups import AUTO, auto_router
from support.faulty_provider import Fault, FaultyProvider, litellm_params
from support.routing import RELEASE, routed

REASON = "Our safety rules do not allow this prompt."
REFUSED = Fault.status(
    400, body=json.dumps({"error": {"message": REASON, "code": "content_policy_violation", "param": None}}).encode()
)
FILTERED = Fault.status(
    200,
    body=json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "half"}, "finish_reason": "content_filter"}
            ],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
    ).encode(),
)
STOPPED = Fault.status(
    200,
    body=json.dumps(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": "half"}],
            "stop_reason": "refusal",
            "stop_details": {"type": "refusal", "category": None, "explanation": REASON},
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
    ).encode(),
)
MESSAGES: Any = [{"role": "user", "content": "ping"}]
EMPTY: dict[str, dict[str, Any]] = {
    "of the group": {"content_policy_fallbacks": [{"first": []}]},
    "of another group": {"content_policy_fallbacks": [{"third": ["second"]}]},
}


async def asked(fault: Fault, router_settings: dict[str, Any], **request: Any) -> tuple[str, int]:
    """What the caller of a group with an ordinary fallback has, and how often the fallback was asked."""
    with FaultyProvider(fault) as first, FaultyProvider() as second:
        models = [
            {"model_name": name, "litellm_params": litellm_params("openai", one.url), "model_info": {"id": name}}
            for name, one in (("first", first), ("second", second))
        ]
        with routed(models, fallbacks=[{"first": ["second"]}], num_retries=2, **router_settings) as router:
            try:
                answer = await router.acompletion(model="first", messages=MESSAGES, **request)
                told = str(answer.choices[0].message.content)
            except litellm.ContentPolicyViolationError as error:
                told = str(error)
        assert first.attempts == 1
        return told, second.attempts


async def test_refusal_goes_to_ordinary_fallback_by_default() -> None:
    """As in LiteLLM, where nothing is set for refusals."""
    assert await asked(REFUSED, {}) == ("pong", 1)


@pytest.mark.parametrize("fault", [REFUSED, FILTERED], ids=["refused", "filtered"])
async def test_configured_fallback_answers(fault: Fault) -> None:
    """What is refused, and an answer that is filtered, go to the group that is configured for them."""
    assert await asked(fault, {"content_policy_fallbacks": [{"first": ["second"]}]}) == ("pong", 1)


@pytest.mark.parametrize("settings", EMPTY.values(), ids=EMPTY)
async def test_refusal_is_left_to_the_caller(settings: dict[str, Any]) -> None:
    """Where content policy fallbacks are set, and none for the group, the caller hears the provider's reason."""
    told, fallback = await asked(REFUSED, settings)
    assert REASON in told
    assert fallback == 0


async def test_request_leaves_its_refusal_to_the_caller() -> None:
    """An empty list of a request is none for it, whatever the router has."""
    told, fallback = await asked(REFUSED, {}, content_policy_fallbacks=[])
    assert REASON in told
    assert fallback == 0


@pytest.mark.parametrize("settings", [{}, *EMPTY.values()], ids=["not set", *EMPTY])
async def test_filtered_answer_is_left_to_the_caller(settings: dict[str, Any]) -> None:
    """What there is of a filtered answer is the caller's, where no group is to be asked for another one."""
    assert await asked(FILTERED, settings) == ("half", 0)


@pytest.mark.skipif(RELEASE < (1, 102), reason="LiteLLM asks no fallback for a refusal of /v1/messages before 1.102")
@pytest.mark.parametrize(("group", "text"), [([], "half"), (["second"], "pong")], ids=["empty", "second"])
async def test_refused_message_is_left_to_the_caller(group: list[str], text: str) -> None:
    """A message that a safeguard has stopped is one that is filtered."""
    with FaultyProvider(STOPPED) as first, FaultyProvider() as second:
        models = [
            {"model_name": name, "litellm_params": litellm_params("anthropic", one.url), "model_info": {"id": name}}
            for name, one in (("first", first), ("second", second))
        ]
        with routed(models, content_policy_fallbacks=[{"first": group}]) as router:
            answer = await router.aanthropic_messages(model="first", messages=MESSAGES, max_tokens=9)
    assert answer["content"][0]["text"] == text


@pytest.mark.skipif(RELEASE < (1, 102), reason="LiteLLM asks no fallback for a refusal of /v1/messages before 1.102")
async def test_fallback_of_a_tier_answers() -> None:
    """What an auto router has sent to a tier goes to the fallback that is configured for that."""
    with FaultyProvider(STOPPED) as first, FaultyProvider() as second:
        models = [
            {"model_name": name, "litellm_params": litellm_params("anthropic", one.url), "model_info": {"id": name}}
            for name, one in (("tier", first), ("second", second))
        ]
        models.append(auto_router("tier"))
        with routed(models, content_policy_fallbacks=[{"tier": ["second"]}]) as router:
            answer = await router.aanthropic_messages(model=AUTO, messages=MESSAGES, max_tokens=9)
    assert answer["content"][0]["text"] == "pong"


@pytest.mark.parametrize(
    ("own", "expected"),
    [(None, True), ([{"first": ["second"]}], True), ([{"first": []}], False)],
    ids=["not set", "second", "empty"],
)
def test_python_router_asks_for_a_group(own: Any, expected: bool) -> None:
    """What a router written in Python takes for an error is one only if a group is to be asked for another answer."""
    from litellm.router_utils.failover.content_policy import keep_filtered_answer

    def should_raise(self: Any, model: str, response: Any, kwargs: dict[str, Any]) -> bool:
        return True

    router = SimpleNamespace(content_policy_fallbacks=own, get_model_list=lambda **_: [])
    assert keep_filtered_answer(should_raise)(router, model="first", response=None, kwargs={}) is expected
