"""The log of a stream that another deployment has finished is that of the answer the caller has."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import litellm
import pytest
from litellm.litellm_core_utils.rescued_log import RESCUED, RescuedFailures, Spent, log_whole_answer
from litellm.router_utils.failover.stream_recovery import Half, Splice
from litellm.router_utils.failover.token_estimates import estimated_cost
from litellm.types.utils import ModelResponse

from support.callback_log import CallbackLog, Events, listening
from support.routing import MESSAGES, routed, until
from support.scripted_provider import HEALTHY_STREAM, ScriptedProvider, Stream

GROUP = "logged"

ANSWER = "one two three four five six"
PRICES = {"input_cost_per_token": 1.0, "output_cost_per_token": 100.0}
TOOLS = [{"type": "function", "function": {"name": "look_up"}}]
"""With which no answer is continued, so that it is asked for anew."""

SECOND_PROMPT = 3
"""Tokens that the scripted provider says it has read."""

CLAUDE = "claude-haiku-4-5-20251001"
DEARER = {"input_cost_per_token": 10.0, "output_cost_per_token": 1000.0}


class Log(CallbackLog):
    """As `CallbackLog`. Of a synchronous request LiteLLM tells either method, both, or one of them twice."""

    def __init__(self) -> None:
        super().__init__(GROUP)
        self.synchronous: Events = []

    def log_success_event(self, kwargs: Any, response_obj: Any, *_: Any, **__: Any) -> None:
        self.note(self.synchronous, kwargs, response_obj)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """What LiteLLM's callbacks are told."""
    return listening(monkeypatch, Log())


@pytest.fixture
def router(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A router over one deployment that breaks off and a dearer one that goes on."""
    is_messages = request.param == "messages"  # for which not every release heeds a deployment's own prices
    name = f"anthropic/{CLAUDE}" if is_messages else "openai/gpt-4o-mini"
    with ExitStack() as stack:
        listed = []
        for number, (step, prices) in enumerate(((Stream(cut_after=3), PRICES), (HEALTHY_STREAM, DEARER))):
            one = stack.enter_context(ScriptedProvider([step], answer=ANSWER))
            params: dict[str, Any] = {
                "model": name,
                "api_base": one.url if is_messages else f"{one.url}/v1",
                "api_key": "sk-test",
            }
            params.update(weight=1e-9 if number else 1, **({} if is_messages else prices))
            # Of no other test's, since LiteLLM remembers what it knows of an id's prices.
            info = {"id": f"{request.param} {number}", "supports_assistant_prefill": True}
            listed.append({"model_name": GROUP, "litellm_params": params, "model_info": info})
        yield stack.enter_context(routed(listed, num_retries=2))


async def ids_seen(router: Any, api: str) -> set[str]:
    """The ids in what the caller gets."""
    usage: dict[str, Any] = {"stream_options": {"include_usage": True}}
    if api == "restarted chat":
        usage["tools"] = TOOLS
    if api == "sync chat":
        return await asyncio.to_thread(lambda: {one.id for one in router.completion(GROUP, MESSAGES, True, **usage)})
    if api.endswith("chat"):
        return {chunk.id async for chunk in await router.acompletion(GROUP, MESSAGES, True, **usage)}
    if api == "responses":
        events = [event async for event in await router.aresponses(model=GROUP, input="ping", stream=True)]
        assert getattr(events[-1].response.usage, "cost", None) is None  # which would be one half's
        return {event.response.id for event in events if hasattr(event, "response")}
    stream = await router.aanthropic_messages(model=GROUP, messages=MESSAGES, max_tokens=50, stream=True)
    text = b"".join([piece async for piece in stream]).decode()
    events = [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]
    return {event["message"]["id"] for event in events if "message" in event}


def text_of(response: Any) -> str:
    """The words of an answer as it is logged."""
    if hasattr(response, "choices"):
        return str(response.choices[0].message.content)
    return "".join(part.text for item in response.output for part in item.content)


@pytest.mark.parametrize(
    ("router", "api"),
    [(api, api) for api in ("chat", "sync chat", "restarted chat", "messages", "responses")],
    indirect=["router"],
)
async def test_log_has_whole_answer(router: Any, api: str, log: Log) -> None:
    """One success, under the caller's id, the whole text, what both halves have cost, and the failure's name."""
    seen = await ids_seen(router, api)
    assert await until(lambda: log.successes or log.synchronous)
    assert api == "sync chat" or (len(log.successes), len(log.synchronous)) == (1, 0)
    for kwargs, response in [*log.successes, *log.synchronous]:
        payload = kwargs["standard_logging_object"]
        assert ({response.id}, {payload["id"]}) == (seen, seen)
        assert text_of(response) == ANSWER
        assert payload["metadata"]["spend_logs_metadata"] == {RESCUED: [f"{api} 0: interrupted"]}
        assert payload["total_tokens"] == payload["prompt_tokens"] + payload["completion_tokens"]
        costs = [kwargs["response_cost"], payload["response_cost"], payload["cost_breakdown"]["total_cost"]]
        assert costs == [pytest.approx(both_halves(payload, api))] * 3


def both_halves(payload: Any, api: str) -> float:
    """What the tokens of a log cost if the first half, which has said three words, is paid by its own prices."""
    if api == "messages":
        return sum(litellm.cost_per_token(CLAUDE, payload["prompt_tokens"], payload["completion_tokens"]))
    first, second = payload["prompt_tokens"] - SECOND_PROMPT, payload["completion_tokens"] - 3
    return float(first + 3 * 100 + SECOND_PROMPT * 10 + second * 1000)


@pytest.mark.parametrize("router", ["chat"], indirect=True)
async def test_users_metadata_stays(router: Any, log: Log) -> None:
    """Where the user has a text instead of fields for the spend logs it stays, and the answer is rescued."""
    metadata: dict[str, Any] = {"spend_logs_metadata": "nightly", RESCUED: 5}
    chunks = [chunk async for chunk in await router.acompletion(GROUP, MESSAGES, True, metadata=metadata)]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    assert await until(lambda: len(log.successes) == 1)
    assert log.successes[0][0]["litellm_params"]["metadata"]["spend_logs_metadata"] == "nightly"


@pytest.mark.parametrize("router", ["chat"], indirect=True)
async def test_cache_has_whole_answer(router: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cached of an answer that was asked for anew has the words that its first half had said."""
    monkeypatch.setattr(litellm, "cache", litellm.Cache())
    request: dict[str, Any] = {"model": GROUP, "messages": MESSAGES, "stream": True, "tools": TOOLS, "caching": True}
    for _ in range(2):
        chunks = [chunk async for chunk in await router.acompletion(**request)]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER


def test_metadata_handed_on_is_no_rescue() -> None:
    """Another request that is given the metadata of a rescued one is logged as what it is."""
    halves = SimpleNamespace(name=lambda: "seen", whole=lambda text: "whole", spent=lambda: Spent(1, 2, 3.0))
    names: Any = RescuedFailures(["a: timed_out"], halves)
    ids = []
    for logging in [logging_of(names), logging_of(names)]:
        answer: Any = log_whole_answer(lambda _: ModelResponse(id="own"))(logging)
        again: Any = log_whole_answer(lambda _: ModelResponse(id="own"))(logging)
        ids.append((answer.id, again.id))
    assert ids == [("seen", "seen"), ("own", "own")]


def test_tool_calls_alone_have_no_text() -> None:
    """An answer that was asked for anew before a word was said is logged without one, as a healthy one is."""
    halves: Any = SimpleNamespace(name=lambda: None, whole=lambda text: text, spent=lambda: Spent(1, 2, 3.0))
    half = ModelResponse(choices=[{"message": {"content": None}}])
    logged: Any = log_whole_answer(lambda _: half)(logging_of(RescuedFailures(["a: timed_out"], halves)))
    assert logged.choices[0].message.content is None


def logging_of(names: RescuedFailures) -> Any:
    """What LiteLLM logs a request with whose metadata has `names`."""

    class Logging:
        litellm_params = {"metadata": {RESCUED: names}}
        model_call_details: dict[str, Any] = {}

        def response_cost_calculator(self, result: object) -> float:
            return 1.0

    return Logging()


def test_log_outlives_its_completion() -> None:
    """Where the halves cannot be told the last one is logged, as it is."""
    unknown: Any = object()
    half = ModelResponse()
    assert log_whole_answer(lambda _: half)(logging_of(RescuedFailures(["a: timed_out"], unknown))) is half


def test_names_are_a_plain_list_elsewhere() -> None:
    """Metadata with the names can be copied and written; a copy in this process still knows the halves."""
    halves: Any = object()
    names = RescuedFailures(["a: timed_out"], halves)
    assert copy.deepcopy({"m": names})["m"].halves is halves
    assert copy.copy(names) == names
    assert json.dumps(names) == '["a: timed_out"]'


@pytest.mark.parametrize(
    ("half", "second", "whole"),
    [
        (Half.RESTARTED, "one two", "one two"),
        (Half.CONTINUED, " two", "one two"),
        (Half.CONTINUED, " ", "one "),
    ],
)
def test_whole_of_two_halves(half: Half, second: str, whole: str) -> None:
    """A restarted answer is whole by itself, a continued one follows its prefill, white space says nothing."""
    assert Splice("one ", half).whole(second) == whole


def test_prices_of_a_half() -> None:
    """The user's prices of a deployment go first, then LiteLLM's table; what nobody knows costs nothing."""
    assert estimated_cost({"model_info": {"input_cost_per_token": 2.0}}, 3, 5) == 6.0
    assert estimated_cost({"litellm_params": {"model": "openai/gpt-4o-mini"}}, 1000, 0) > 0
    assert estimated_cost({"litellm_params": {"model": "openai/of-nobody"}}, 1000, 0) == 0
    claude = {"litellm_params": {"model": f"anthropic/{CLAUDE}"}}
    assert 0 < estimated_cost(claude, 1000, 0, (0, 900)) < estimated_cost(claude, 1000, 0)
    assert estimated_cost(claude, 1000, 0, (900, 0)) > estimated_cost(claude, 1000, 0)
