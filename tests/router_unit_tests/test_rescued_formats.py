"""A stream that breaks off goes on at another deployment, whichever format its provider has and says it in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import litellm
import openai
import pytest

from support.inband_calls import CALLS, GROUP, Call, StreamError
from support.inband_provider import InbandProvider
from support.inband_shapes import BREAKS
from support.routing import RELEASE, routed

ANSWER = "half an answer and the rest of it"
STREAMS = {f"{call.provider}, {call.api}": call for call in CALLS if call.streamed}
RECOVERED = ("chat", "sync chat", "messages")
LIKE_OPENAI = ("deepseek", "mistral", "groq", "openrouter", "together_ai", "xai", "databricks", "publicai")
ASKED = {
    name: call for name, call in STREAMS.items() if call.api.startswith(RECOVERED) and call.provider not in LIKE_OPENAI
}
EVERYWHERE = ("no end", "error", "exception")
BROKEN = [
    (name, shape)
    for name, call in ASKED.items()
    for shape in BREAKS.get(call.format, ())
    if (name == "openai, chat stream" and "two" not in shape) or shape in EVERYWHERE
    if RELEASE >= (1, 104) or name != "openai, messages by responses stream"  # whose bridge opens no block before
]
SEVERAL = [shape for shape in BREAKS["chat"] if "two" in shape]


@contextmanager
def group(call: Call, shape: str, answer: str) -> Iterator[tuple[Any, list[InbandProvider]]]:
    """A router over a provider that breaks off and one that gives the `answer`; the first is asked first."""
    with ExitStack() as stack:
        providers = [stack.enter_context(InbandProvider(body)) for body in (BREAKS[call.format][shape], None)]
        models = []
        for number, provider in enumerate(providers):
            provider.answer = answer
            params = {**call.params(provider.url), "weight": 1e-9 if number else 1}
            info = {"id": f"{number}", "supports_assistant_prefill": False}
            models.append({"model_name": GROUP, "litellm_params": params, "model_info": info})
        yield stack.enter_context(routed(models, num_retries=2)), providers


@pytest.mark.parametrize(("name", "shape"), [one for one in BROKEN if "sync" not in one[0]])
async def test_rest_comes_from_the_other(name: str, shape: str) -> None:
    """Each way to break off ends in the whole answer, of which no word is doubled."""
    await gets_the_whole(name, shape)


@pytest.mark.by_chance  # left out on stock LiteLLM, which before 1.106 asks for the rest without end
@pytest.mark.parametrize(("name", "shape"), [one for one in BROKEN if "sync" in one[0]])
async def test_sync_reader_gets_the_rest(name: str, shape: str) -> None:
    """As above, for a stream that is read without an event loop."""
    await gets_the_whole(name, shape)


async def gets_the_whole(name: str, shape: str) -> None:
    with group(ASKED[name], shape, ANSWER) as (router, providers):
        assert await ASKED[name].ask(router) == ANSWER
        assert [provider.attempts for provider in providers] == [1, 1]


@pytest.mark.parametrize("shape", SEVERAL)
async def test_several_answers_are_not_joined(shape: str) -> None:
    """Of a stream with more than one answer, which nobody may have asked for, the failure is told."""
    call = ASKED["openai, chat stream"]
    with group(call, shape, ANSWER) as (router, providers):
        with pytest.raises((openai.APIError, litellm.APIError)):
            await call.ask(router)
        assert [provider.attempts for provider in providers] == [1, 0]


@pytest.mark.parametrize(
    "name",
    [
        *("openai, chat stream", "anthropic, chat stream"),
        *("anthropic, messages stream", "hosted_vllm, messages by chat stream"),
    ],
)
async def test_another_answer_is_not_mixed_in(name: str) -> None:
    """Where the second answer is another one the caller hears of the failure."""
    with group(ASKED[name], "error", "something else") as (router, _):
        with pytest.raises((openai.APIError, litellm.APIError, StreamError)):
            await ASKED[name].ask(router)
