"""Words that prove nothing: what a handler of the user's own says of a failure takes no deployment out by itself."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import litellm
import pytest
from litellm.llms.custom_llm import CustomLLM

from support.routing import GROUP, ask, cooling_down, routed, until

PROVIDER = "the-users-own"
FALLBACK = "another-group"
ENOUGH = 5
"""Requests within a minute by which LiteLLM judges the rate of failures."""


class Handler(CustomLLM):
    """Raises a `failure` for the model `broken`, and answers for the others."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Callable[[], Exception] = Exception
        self.asked: Counter[str] = Counter()

    async def acompletion(self, *_: Any, **call: Any) -> Any:
        self.asked[call["model"]] += 1
        if call["model"] == "broken":
            raise self.failure()
        return await litellm.acompletion("openai/m", messages=call["messages"], mock_response="pong")


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Handler:
    """What the provider of the tests' own is asked by."""
    made = Handler()
    for name in ("provider_list", "_custom_providers"):
        monkeypatch.setattr(litellm, name, list(getattr(litellm, name)))
    monkeypatch.setattr(litellm, "custom_provider_map", [{"provider": PROVIDER, "custom_handler": made}])
    importlib.import_module("litellm.utils").custom_llm_setup()
    return made


def member(group: str, model: str) -> dict[str, Any]:
    price = 1e-6 if model == "broken" else 2e-6  # the cheapest is asked first
    params = {"model": f"{PROVIDER}/{model}", "input_cost_per_token": price, "output_cost_per_token": price}
    return {"model_name": group, "litellm_params": params, "model_info": {"id": model}}


def lone_with_fallback() -> Any:
    """A router over a group of one, with another group behind it."""
    models = [member(GROUP, "broken"), member(FALLBACK, "healthy")]
    return routed(models, num_retries=0, fallbacks=[{GROUP: [FALLBACK]}])


@pytest.mark.parametrize("words", ["connection refused", "429 Too Many Requests", "Request timed out"])
async def test_words_take_no_lone_deployment_out(handler: Handler, words: str) -> None:
    """A lone deployment with a fallback is not cooled down for one failure that mere words tell of."""
    handler.failure = partial(Exception, words)
    with lone_with_fallback() as router:
        assert [await ask(router, "async") for _ in range(2)] == ["pong"] * 2
        assert cooling_down(router) == set()
    assert handler.asked["broken"] == 2


PROOFS = [partial(httpx.ConnectError, "no"), partial(litellm.RateLimitError, "busy", PROVIDER, "m")]


@pytest.mark.parametrize("proof", PROOFS, ids=["refused", "limited"])
async def test_proof_takes_a_lone_deployment_out(handler: Handler, proof: Callable[[], Exception]) -> None:
    """A lone deployment with a fallback is cooled down for one failure that its exception proves."""
    handler.failure = proof
    with lone_with_fallback() as router:
        assert await ask(router, "async") == "pong"
        assert await until(lambda: cooling_down(router) == {"broken"})


async def test_words_count_when_repeated(handler: Handler) -> None:
    """Failures that mere words tell of cool a lone deployment down once they are most of its requests."""
    handler.failure = partial(Exception, "connection refused")
    with lone_with_fallback() as router:
        assert {await ask(router, "async") for _ in range(ENOUGH + 2)} == {"pong"}
        assert await until(lambda: cooling_down(router) == {"broken"})


TIMEOUTS = [(partial(Exception, "Request timed out"), 3), (partial(httpx.ReadTimeout, "slow"), 1)]


@pytest.mark.parametrize(("failure", "attempts"), TIMEOUTS, ids=["words", "proof"])
async def test_words_hold_no_deployment_back(handler: Handler, failure: Callable[[], Exception], attempts: int) -> None:
    """A deployment of a pair is left alone after one timeout that is proven, and not after words that sound like it."""
    handler.failure = failure
    models = [member(GROUP, "broken"), member(GROUP, "healthy")]
    with routed(models, num_retries=1, routing_strategy="cost-based-routing") as router:
        assert [await ask(router, "async") for _ in range(3)] == ["pong"] * 3
    assert handler.asked["broken"] == attempts
