"""What a provider says by code under a request's status decides where the request goes, and who cools down."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.faulty_provider import HEALTHY, Fault, FaultyProvider
from support.routing import GROUP, ask, cooling_down, deployment, event_loop, routed, until

Json = dict[str, Any]


def rejected(error: Json, status: int = 400) -> Fault:
    return Fault.status(status, body=json.dumps(error).encode())


def of_openai(code: str) -> Json:
    return {"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": code}}


MODES = ("async", "async-stream")
CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
TROUBLE: dict[str, tuple[str, Json]] = {
    "openai, billing limit": ("openai", of_openai("billing_hard_limit_reached")),
    "openai, no quota": ("openai", of_openai("insufficient_quota")),
    "vllm, a wrong key": ("hosted_vllm", of_openai("invalid_api_key")),
    "vllm, no such model": ("hosted_vllm", of_openai("model_not_found")),
    "anthropic, no credit": (
        "anthropic",
        {"type": "error", "error": {"type": "invalid_request_error", "message": CREDIT}},
    ),
    "gemini, a wrong key": (
        "gemini",
        {"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}},
    ),
}


@pytest.mark.parametrize(
    ("name", "mode"),
    # A failure of Gemini's before its stream has begun is counted by no release, a plain 401 neither.
    [(name, mode) for name in TROUBLE for mode in MODES if (TROUBLE[name][0], mode) != ("gemini", "async-stream")],
)
def test_a_deployments_400_is_asked_elsewhere(name: str, mode: str) -> None:
    """The other deployment answers, and the one whose account or key is at fault is cooled down."""
    provider, error = TROUBLE[name]
    with FaultyProvider(rejected(error)) as broke, FaultyProvider(HEALTHY) as healthy, event_loop() as loop:
        members = [deployment("a", provider, broke.url), deployment("b", provider, healthy.url)]
        with routed(members, num_retries=1, retry_after=0, routing_strategy="cost-based-routing") as router:
            assert loop.run_until_complete(ask(router, mode)) == "pong"
            assert broke.attempts == 1
            assert loop.run_until_complete(until(lambda: cooling_down(router) == {"a"}))


POLICY: dict[str, tuple[str, Json]] = {
    "azure": ("azure", {"error": {"message": "novel words", "type": None, "code": "content_filter", "status": 400}}),
    "azure, inner": (
        "azure",
        {"error": {"message": "no", "code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
    ),
    "openai": ("openai", of_openai("content_policy_violation")),
    "vllm": ("hosted_vllm", of_openai("content_filter")),
}


def member(name: str, provider: str, url: str, group: str = GROUP) -> Json:
    if provider != "azure":
        return deployment(name, provider, url, group=group)
    params = {"model": "azure/gpt-4o", "api_base": url, "api_key": "k", "api_version": "2024-10-21"}
    return {"model_name": group, "litellm_params": params, "model_info": {"id": name}}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("provider", "error"), POLICY.values(), ids=POLICY)
def test_a_policy_code_reaches_its_fallbacks(provider: str, error: Json, mode: str) -> None:
    """The group in content_policy_fallbacks answers after one attempt, and nothing is cooled down."""
    with FaultyProvider(rejected(error)) as strict, FaultyProvider(HEALTHY) as lenient, event_loop() as loop:
        members = [
            member("a", provider, strict.url),
            member("b", provider, strict.url),
            member("c", "openai", lenient.url, "lenient"),
        ]
        fallbacks = [{GROUP: ["lenient"]}]
        with routed(members, num_retries=2, retry_after=0, content_policy_fallbacks=fallbacks) as router:
            assert loop.run_until_complete(ask(router, mode)) == "pong"
            assert (strict.attempts, lenient.attempts) == (1, 1)
            assert cooling_down(router) == set()
