"""A stream that breaks off goes on at another deployment, whichever format its provider has and says it in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import litellm
import openai
import pytest

from support.inband_calls import CALLS, GROUP, Call, StreamError
from support.inband_provider import InbandProvider
from support.inband_shapes import BREAKS
from support.routing import RELEASE, failures, routed

ANSWER = "half an answer and the rest of it"
STREAMS = {f"{call.provider}, {call.api}": call for call in CALLS if call.streamed}
RECOVERED = ("chat", "sync chat", "messages", "responses")
LIKE_OPENAI = ("deepseek", "mistral", "groq", "openrouter", "together_ai", "xai", "databricks", "publicai")
ASKED = {
    name: call for name, call in STREAMS.items() if call.api.startswith(RECOVERED) and call.provider not in LIKE_OPENAI
}
EVERYWHERE = ("no end", "error", "exception", "no JSON")
BROKEN = [
    (name, shape)
    for name, call in ASKED.items()
    for shape in BREAKS.get(call.format, ())
    if (name == "openai, chat stream" and "two" not in shape) or shape in EVERYWHERE
    if RELEASE >= (1, 104) or name != "openai, messages by responses stream"  # whose bridge opens no block before
]
UNREAD = ("gemini, chat stream", "no JSON")
SEVERAL = [shape for shape in BREAKS["chat"] if "two" in shape]


@contextmanager
def group(
    call: Call, shape: str, answer: str, *, continues: bool = False, second: str = GROUP
) -> Iterator[tuple[Any, list[InbandProvider]]]:
    """A router over a provider that breaks off and one that gives the `answer`; the first is asked first, then, in the
    same group or the fallback named, the `second`."""
    with ExitStack() as stack:
        providers = [stack.enter_context(InbandProvider(body)) for body in (BREAKS[call.format][shape], None)]
        models = []
        for number, provider in enumerate(providers):
            provider.answer = answer
            params = {**call.params(provider.url), "weight": 1e-9 if number else 1}
            info = {"id": f"{number}", "supports_assistant_prefill": continues}
            models.append({"model_name": second if number else GROUP, "litellm_params": params, "model_info": info})
        fallbacks = [] if second == GROUP else [{GROUP: [second]}]
        yield stack.enter_context(routed(models, num_retries=2, fallbacks=fallbacks)), providers


@pytest.mark.parametrize(("name", "shape"), [one for one in BROKEN if "sync" not in one[0] and one != UNREAD])
async def test_rest_comes_from_the_other(name: str, shape: str) -> None:
    """Each way to break off ends in the whole answer, of which no word is doubled."""
    await gets_the_whole(name, shape)


@pytest.mark.by_chance  # left out on stock LiteLLM, whose reader then waits without end for the rest of that event
async def test_rest_comes_where_event_is_unread() -> None:
    """So it does where LiteLLM puts the events of a stream together until they are JSON."""
    await gets_the_whole(*UNREAD)


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
        *("openai, responses stream", "anthropic, responses by chat stream"),
    ],
)
async def test_another_answer_is_not_mixed_in(name: str) -> None:
    """Where the second answer is another one the caller hears of the failure."""
    with group(ASKED[name], "error", "something else") as (router, _):
        with pytest.raises((openai.APIError, litellm.APIError, StreamError)):
            await ASKED[name].ask(router)


async def test_event_of_failure_is_counted() -> None:
    """LiteLLM takes a message whose events tell of a failure for answered; its deployment has failed all the same."""
    with group(ASKED["anthropic, messages stream"], "error", ANSWER) as (router, _):
        assert await ASKED["anthropic, messages stream"].ask(router) == ANSWER
        assert failures(router, "0") == 1


RESPONSES = ("openai, responses stream", "anthropic, responses by chat stream")


async def events_of(router: Any) -> list[dict[str, Any]]:
    """What the reader of a response gets."""
    stream = await router.aresponses(model=GROUP, input="ping", stream=True)
    return [event.model_dump(mode="json") async for event in stream]


@pytest.mark.parametrize("second", [GROUP, "fallback"])
@pytest.mark.parametrize("name", RESPONSES)
async def test_reader_sees_one_response(name: str, second: str) -> None:
    """One beginning, one item, one end with the whole text, of a deployment of the group or of its fallback."""
    with group(ASKED[name], "error", ANSWER, second=second) as (router, _):
        events = await events_of(router)
        kinds = [event["type"] for event in events if event["type"] != "response.output_text.delta"]
        assert len(kinds) == len(set(kinds))
        assert kinds[-1] == "response.completed"
        assert len({event["response"]["id"] for event in events if "response" in event}) == 1
        assert len({event["item_id"] for event in events if event.get("item_id")}) == 1
        numbers = [event["sequence_number"] for event in events if event.get("sequence_number") is not None]
        assert numbers == sorted(set(numbers))
        end = events[-1]["response"]
        assert end["output"][0]["content"][0]["text"] == ANSWER
        assert end["usage"]["output_tokens"] > 1
        assert end["usage"]["total_tokens"] == end["usage"]["input_tokens"] + end["usage"]["output_tokens"]


@pytest.mark.parametrize("name", RESPONSES)
async def test_response_is_continued(name: str) -> None:
    """A model that can is given what was sent; should it begin anew, it is asked without."""
    with group(ASKED[name], "error", ANSWER, continues=True) as (router, providers):
        assert await ASKED[name].ask(router) == ANSWER
        prefilled, anew = [request.body for request in providers[1].requests]
        asked, without = [body.get("input") or body["messages"] for body in (prefilled, anew)]
        assert (asked[-1]["role"], "half" in str(asked[-1])) == ("assistant", True)
        assert "assistant" not in str(without)


@pytest.mark.parametrize("field", [{"store": True}, {"previous_response_id": "resp_0"}])
async def test_kept_response_is_not_joined(field: dict[str, Any]) -> None:
    """What one provider keeps is not finished by another: the failure is told."""
    with group(ASKED[RESPONSES[0]], "no end", ANSWER) as (router, providers):
        stream = await router.aresponses(model=GROUP, input="ping", stream=True, **field)
        with pytest.raises((httpx.HTTPError, openai.APIError)):
            _ = [event async for event in stream]
        assert [provider.attempts for provider in providers] == [1, 0]
