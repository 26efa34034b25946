"""Every public method of the Router is inside the failover policy, or known to be outside of it, and why.

Those inside are called over a socket: a retry goes to the deployment that has not failed, and a lone deployment makes
way for the fallback, each after one request at the provider, which no client has sent again behind the router.
"""

from __future__ import annotations

import asyncio
import importlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import litellm
import litellm.google_genai
import pytest
from litellm import Router

from support.faulty_provider import Fault
from support.media_provider import MediaProvider
from support.router_methods import ANY_DEPLOYMENT_WILL_DO, INSIDE, OUTSIDE
from support.routing import COMPILED_ROUTER, GROUP, MESSAGES, RELEASE, back_offs, routed

FALLBACK = "the-fallback"
SYNC = ("completion", "embedding", "image_generation")
MODELS = {
    "azure": "azure/gpt-4o",
    "hosted_vllm": "hosted_vllm/some-model",
    "mistral": "mistral/mistral-ocr-latest",
    "openai": "openai/gpt-4o-mini",
}
TEXT = "ping"


def _adapter() -> Any:
    folder = "experimental_pass_through" if RELEASE < (1, 104) else "pass_through" if RELEASE < (1, 109) else "messages"
    return importlib.import_module(f"litellm.llms.anthropic.{folder}.adapters.transformation").AnthropicAdapter()


def _file(name: str) -> io.BytesIO:
    file = io.BytesIO(b"RIFF some bytes of a file")
    file.name = name
    return file


def _asked(name: str, provider: str, **request: Any) -> Any:
    return pytest.param(name, provider, lambda: request, id=f"{name}-{provider}")


def _uploaded(name: str, provider: str, field: str, file: str, **request: Any) -> Any:
    return pytest.param(name, provider, lambda: {field: _file(file), **request}, id=f"{name}-{provider}")


REQUESTS = [
    _asked("abatch_completion", "openai", models=[GROUP], messages=MESSAGES),
    _asked("abatch_completion_fastest_response", "openai", messages=MESSAGES),
    _asked("abatch_completion_one_model_multiple_requests", "openai", messages=[MESSAGES]),
    _asked("aadapter_completion", "openai", adapter_id="anthropic", messages=MESSAGES, max_tokens=16),
    _asked("aanthropic_messages", "openai", messages=MESSAGES, max_tokens=16),
    _asked("anthropic_messages", "openai", messages=MESSAGES, max_tokens=16),
    _asked("acompact_responses", "openai", input=TEXT),
    *(_asked("acompletion", provider, messages=MESSAGES) for provider in ("azure", "openai")),
    *(_asked("aembedding", provider, input=[TEXT]) for provider in ("azure", "openai")),
    _asked("agenerate_content", "openai", contents=[{"role": "user", "parts": [{"text": TEXT}]}]),
    _asked("agenerate_content_stream", "openai", contents=[{"role": "user", "parts": [{"text": TEXT}]}]),
    *(_uploaded("aimage_edit", provider, "image", "a.png", prompt=TEXT) for provider in ("azure", "openai")),
    *(_asked("aimage_generation", provider, prompt=TEXT) for provider in ("azure", "hosted_vllm", "openai")),
    *(_asked("amoderation", provider, input=TEXT) for provider in ("hosted_vllm", "openai")),
    _asked("aocr", "mistral", document={"type": "document_url", "document_url": "https://example.org/a.pdf"}),
    _asked("arerank", "hosted_vllm", query=TEXT, documents=[TEXT]),
    *(_asked("aresponses", provider, input=TEXT) for provider in ("azure", "openai")),
    *(_asked("aspeech", provider, input=TEXT, voice="alloy") for provider in ("azure", "openai")),
    _asked("atext_completion", "hosted_vllm", prompt=TEXT),
    *(_uploaded("atranscription", provider, "file", "a.wav") for provider in ("azure", "hosted_vllm", "openai")),
    _asked("avideo_generation", "openai", prompt=TEXT),
    _asked("completion", "openai", messages=MESSAGES),
    _asked("embedding", "openai", input=[TEXT]),
    *(_asked("image_generation", provider, prompt=TEXT) for provider in ("azure", "openai")),
    _asked("schedule_acompletion", "openai", messages=MESSAGES, priority=0),
]
CASES = pytest.mark.parametrize(("name", "provider", "request_of"), REQUESTS)


@pytest.fixture(autouse=True)
def _with_an_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    """`aadapter_completion` needs one."""
    monkeypatch.setattr(litellm, "adapters", [{"id": "anthropic", "adapter": _adapter()}])


def test_each_method_is_inside_or_outside() -> None:
    """A method that a release adds belongs into one of the lists of `router_methods`, after a look at what it does."""
    with routed([]) as router:
        known = INSIDE.union(*(names.split() for names in OUTSIDE.values()))
        assert _public(router) - known == set()


def test_each_method_inside_is_called() -> None:
    """None of those that this release has is taken for retried without a request that shows it."""
    assert {case.values[0] for case in REQUESTS} == INSIDE
    with routed([]) as router:
        assert _public(router) >= INSIDE


def test_every_name_is_one_of_litellms() -> None:
    """Every name in the list is a method of LiteLLM's router or a function of its package."""
    places = (Router, litellm, litellm.google_genai)
    names = {name.lstrip("_") if COMPILED_ROUTER else name for name in ANY_DEPLOYMENT_WILL_DO}
    missing = {name for name in names if not any(hasattr(place, name) for place in places)}
    assert missing <= {"_aspeech"}  # younger than 1.82.6


@CASES
async def test_the_healthy_deployment_answers(name: str, provider: str, request_of: Callable[[], Any]) -> None:
    """The one that fails is asked once."""
    with pair(provider) as (deployments, attempts), routed(deployments, num_retries=2, **LEAST_BUSY) as router:
        with back_offs() as waits:
            await _call(router, name, request_of())
        assert (attempts(), sum(waits)) == ((1, 1), 0)


@CASES
async def test_the_fallback_answers_for_one(name: str, provider: str, request_of: Callable[[], Any]) -> None:
    """A lone deployment is asked once, though it has two retries."""
    with pair(provider, second=FALLBACK) as (deployments, attempts):
        with routed(deployments, num_retries=2, fallbacks=[{GROUP: [FALLBACK]}]) as router, back_offs():
            await _call(router, name, request_of())
        assert attempts() == (1, 1)


@CASES
async def test_no_client_retries_behind_the_router(name: str, provider: str, request_of: Callable[[], Any]) -> None:
    """Without retries there is one request, however the provider's client is set up."""
    with pair(provider) as (deployments, attempts), routed(deployments[:1], num_retries=0) as router:
        with pytest.raises(Exception, match=r"unavailable|failed") as raised:  # noqa: PT011
            await _call(router, name, request_of())
        assert attempts() == (1, 0)
        assert name in BATCHED or getattr(raised.value, "status_code", None) == 503


LEAST_BUSY = {"routing_strategy": "least-busy"}
BATCHED = ("abatch_completion", "abatch_completion_fastest_response", "abatch_completion_one_model_multiple_requests")


@contextmanager
def pair(provider: str, *, second: str = GROUP) -> Iterator[tuple[list[dict[str, Any]], Callable[[], Any]]]:
    """Deployments of which the first, asked first, is unavailable, and the requests each has seen so far."""
    with MediaProvider(Fault.status(503)) as bad, MediaProvider() as good:
        deployments = [
            _deployment("a-bad", provider, bad.url, GROUP),
            _deployment("b-good", provider, good.url, second),
        ]
        yield deployments, lambda: (bad.attempts, good.attempts)


def _deployment(name: str, provider: str, url: str, group: str) -> dict[str, Any]:
    base = url if provider == "azure" else f"{url}/v1"
    params = {"model": MODELS[provider], "api_base": base, "api_key": "sk-test"}
    version = {"api_version": "2024-10-21"} if provider == "azure" else {}
    return {"model_name": group, "litellm_params": {**params, **version}, "model_info": {"id": name}}


async def _call(router: Router, name: str, request: dict[str, Any]) -> Any:
    """The whole answer; a method that hands a failure back raises it here."""
    method = getattr(router, name)
    named = request if name == "abatch_completion" else {"model": GROUP, **request}
    answer = await asyncio.to_thread(lambda: method(**named)) if name in SYNC else await method(**named)
    if hasattr(answer, "__aiter__"):
        return [chunk async for chunk in answer]
    for failure in answer if isinstance(answer, list) else ():
        if isinstance(failure, Exception):
            raise failure
    return answer


def _public(router: Router) -> set[str]:
    """The names of the methods without an underscore, of the class and of the instance."""
    return {name for name in dir(router) if not name.startswith("_") and callable(getattr(router, name, None))}
