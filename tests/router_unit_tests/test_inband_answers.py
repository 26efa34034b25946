"""A deployment that answers 200 without an answer: the other one answers, or the caller hears what was wrong.

Over sockets, by every API the router retries; `nox -s bench -- inband` has all shapes and providers.
"""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import litellm
import openai
import pytest
from litellm import Router
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.litellm_core_utils.inband_http import api_of, judge_answer, judge_answers, judge_client

from support.faulty_provider import Fault, FaultyProvider, Kind
from support.healthy_answers import healthy
from support.inband_calls import CALLS, GROUP, Call, StreamError
from support.inband_provider import InbandProvider
from support.inband_shapes import BREAKS, Body, events, faults, json_body
from support.routing import RELEASE, routed, until

CALL = {f"{call.provider} {call.api}": call for call in CALLS}
EVERYWHERE = ("error: number", "error: no code", "error: flat", "empty object")
OF_FORMAT = {
    ("chat", False): ("no choices", "content empty", "choice's error", "finish abort"),
    ("chat", True): ("only done", "role and end", "finish error", "error after role", "event: object"),
    ("text", False): ("no choices", "text empty"),
    ("text", True): ("only done", "end only", "event: number"),
    ("responses", False): ("failed", "no output"),
    ("responses", True): ("created and failed", "created and error", "created only"),
    ("anthropic", False): ("no content",),
    ("anthropic", True): ("start and error", "start and stop"),
    ("gemini", False): ("no candidates", "no parts"),
    ("gemini", True): ("no parts", "no candidates", "event: detail"),
    ("ollama", False): ("error", "no message"),
    ("ollama", True): ("error", "end only", "role and error"),
    ("embedding", False): ("no data",),
    ("image", False): ("data null",),
    ("speech", False): ("empty",),
    ("transcription", False): ("empty", "plain text", "html", "text is none"),
    ("rerank", False): ("results null", "no results"),
    ("moderation", False): ("no results",),
}
LIKE_OPENAI = ("azure", "deepseek", "mistral", "groq", "openrouter", "together_ai", "xai", "databricks", "publicai")
OFTEN_ASKED = {
    name: call
    for name, call in CALL.items()
    if call.provider not in (*LIKE_OPENAI, "aiohttp_openai") or call.api not in ("chat", "chat stream")
}
CELLS = [
    *((name, shape) for name, call in OFTEN_ASKED.items() for shape in EVERYWHERE),
    *((name, one) for name, call in OFTEN_ASKED.items() for one in OF_FORMAT.get((call.format, call.streamed), ())),
    *(
        (f"{name} chat", shape)
        for name in (*LIKE_OPENAI, "aiohttp_openai")
        for shape in ("error: word", "content empty")
    ),
    *((f"{name} chat stream", shape) for name in LIKE_OPENAI for shape in ("event: word", "role and end")),
]


def fault(body: Body, retry_after: str | None = None) -> Fault:
    return Fault.status(200, body=body.content, content_type=body.type, retry_after=retry_after)


@contextmanager
def group(call: Call, *faults: Fault | None, num_retries: int = 2) -> Iterator[tuple[Router, list[InbandProvider]]]:
    """A router over a provider for each of `faults`, of which None is to be healthy; the first is asked first."""
    providers = [InbandProvider() for _ in faults]
    try:
        models = []
        for number, (provider, one) in enumerate(zip(providers, faults, strict=True)):
            provider.start()
            if one is not None:
                provider.fault = one
            params = call.params(provider.url)
            models.append({"model_name": GROUP, "litellm_params": params, "model_info": {"id": f"{number}"}})
        with routed(models, routing_strategy="least-busy", num_retries=num_retries) as router:
            yield router, providers
    finally:
        for provider in providers:
            provider.close()


@pytest.mark.by_chance
@pytest.mark.parametrize(("name", "shape"), CELLS)
async def test_the_other_deployment_answers(name: str, shape: str) -> None:
    """What is no answer costs one attempt, and the other deployment's is what the caller gets."""
    call = CALL[name]
    with group(call, fault(faults(call.format, call.streamed)[shape]), None) as (router, providers):
        assert await call.ask(router) == call.answer
        assert [provider.attempts for provider in providers][1] == 1


MISREAD: dict[str, object] = {
    "openai chat": {"choices": [{"message": {"content": "pong", "tool_calls": [5]}, "finish_reason": "stop"}]},
    "hosted_vllm chat": {"choices": [{"message": {"content": "pong", "tool_calls": [5]}, "finish_reason": "stop"}]},
    "databricks chat": {"choices": [{"message": {"content": "pong"}}], "usage": 5},
    "gemini chat": {"candidates": [{"content": {"parts": [{"text": ["x"]}]}, "finishReason": {"a": 1}}]},
    "ollama_chat chat": {"message": {"content": ["x"]}, "done": True, "eval_count": "x"},
    "cohere chat": {"message": {"content": "x"}, "usage": "x"},
    "openai responses": {"output": [{"type": "message", "content": "x"}], "id": 5},
    "openai messages by responses": {"output": [{"type": "message", "content": "x"}], "id": 5},
    "openai embedding": {"data": [{"embedded": 1}], "usage": "x"},
    "hosted_vllm embedding": {"data": "text"},
    "azure embedding": {"data": ["text"]},
    "openai image": {"data": [5], "created": "x"},
    "azure image": {"data": "text"},
    "hosted_vllm rerank": {"results": [{"x": 1}, 5]},
    "openai moderation": {"results": [5]},
}
"""Answers of other types than those of their formats."""


@pytest.mark.by_chance
@pytest.mark.parametrize("name", MISREAD)
async def test_misread_answer_is_garbled(name: str) -> None:
    """What LiteLLM fails to read is the provider's failure: the other deployment answers."""
    call = CALL[name]
    with group(call, fault(json_body(MISREAD[name])), None) as (router, providers):
        assert await call.ask(router) == call.answer
        assert providers[1].attempts == 1


@pytest.mark.parametrize("name", MISREAD)
async def test_misread_answer_is_told_as_mapped(name: str) -> None:
    """What a lone deployment's answer that cannot be read ends in is an exception of LiteLLM's, as of any failure."""
    call = CALL[name]
    with group(call, fault(json_body(MISREAD[name])), num_retries=0) as (router, _):
        with pytest.raises((litellm.APIConnectionError, litellm.InternalServerError)) as raised:
            await call.ask(router)
    failure: Any = raised.value.failure  # type: ignore[attr-defined]
    assert failure.kind is FailureKind.GARBLED


async def test_unbuilt_request_is_nobodys_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of LiteLLM's own in building a request is no deployment's, whichever types it meets."""

    def transform_request(*_: object, **__: object) -> None:
        raise KeyError("choices")

    monkeypatch.setattr(litellm.HostedVLLMChatConfig, "transform_request", transform_request)
    with group(CALL["hosted_vllm chat"], None, num_retries=0) as (router, providers):
        with pytest.raises(litellm.APIConnectionError) as raised:
            await CALL["hosted_vllm chat"].ask(router)
        assert providers[0].attempts == 0
    failure: Any = raised.value.failure  # type: ignore[attr-defined]
    assert failure.kind is FailureKind.INTERNAL


@pytest.mark.parametrize("name", ["openai chat", "anthropic chat", "gemini chat", "openai responses"])
async def test_caller_hears_the_status_of_an_error(name: str) -> None:
    """An error of 429 in a 200 is one of 429 to the caller, with its Retry-After and the provider's words."""
    call = CALL[name]
    body = Body(b'{"error": {"message": "slow down, please", "code": 429}}')
    with group(call, fault(body, retry_after="7"), num_retries=0) as (router, _):
        with pytest.raises(litellm.RateLimitError, match="slow down, please") as raised:
            await call.ask(router)
    failure: Any = raised.value.failure  # type: ignore[attr-defined]
    assert (raised.value.status_code, failure.http_status, failure.retry_after) == (429, 429, 7)


class Heard(CustomLogger):
    """What a callback has heard of, and whose answer that was; LiteLLM may still have something to tell of others."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, str]] = []

    def of(self, providers: list[InbandProvider]) -> list[str]:
        """What it has heard of these."""
        return sorted(event for event, base in self.events if any(one.url in base for one in providers))

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.events.append(("success", str(kwargs["litellm_params"].get("api_base"))))

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.events.append(("failure", str(kwargs["litellm_params"].get("api_base"))))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("openai chat", "content empty"),
        ("hosted_vllm chat", "error: number"),
        ("openai chat stream", "role and end"),
        ("openai responses", "no output"),
    ],
)
async def test_attempt_is_logged_as_what_it_is(name: str, shape: str) -> None:
    """Callbacks hear once of the failure of an answer with nothing in it, and once of the other one's success."""
    heard, call = Heard(), CALL[name]
    with group(call, fault(faults(call.format, call.streamed)[shape]), None) as (router, providers):
        litellm.callbacks.append(heard)
        await call.ask(router)
        assert await until(lambda: len(heard.of(providers)) == 2)
    assert heard.of(providers) == ["failure", "success"]


class Bills(CustomLogger):
    """What callbacks are told of the failures at `base`: the record's tokens and cost, and the event's cost."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base, self.bills = base, list[tuple[int, int, int, float, float]]()

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        if self.base in str(kwargs["litellm_params"].get("api_base")):
            record = kwargs["standard_logging_object"]
            tokens = (record["prompt_tokens"], record["completion_tokens"], record["total_tokens"])
            self.bills.append((*tokens, record["response_cost"], kwargs["response_cost"]))


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("openai chat", {"choices": []}),
        ("openai chat", {"error": {"code": 429, "message": "slow down"}}),
        ("hosted_vllm chat", {"choices": []}),
        ("hosted_vllm chat", {"error": {"code": 429, "message": "slow down"}}),
        ("anthropic messages", {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
    ],
)
async def test_failed_answer_is_logged_as_billed(name: str, more: dict[str, Any]) -> None:
    """What a provider bills for an answer that is none stands in the log of the failure, once, with its price."""
    await assert_billed(name, json_body({**more, "usage": SPENT}))


SPENT = {"prompt_tokens": 1000, "completion_tokens": 7, "input_tokens": 1000, "output_tokens": 7}
BUSY = {"error": {"code": 503, "message": "busy"}}
CREATED = {"type": "response.created", "response": {"status": "in_progress", "usage": None}}
FAILED = {"status": "failed", "output": [], "error": {"code": "server_error", "message": "failed"}, "usage": SPENT}
STARTED = {"type": "message_start", "message": {"role": "assistant", "content": [], "usage": SPENT}}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
GOOGLES = {"usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 7}}
BILLED_STREAMS: dict[str, tuple[object, ...]] = {
    "openai chat stream": ({"choices": [], "usage": SPENT}, "[DONE]"),
    "hosted_vllm chat stream": ({"choices": [], "usage": SPENT}, BUSY),
    "groq chat stream": ({"choices": [], "x_groq": {"usage": SPENT}}, "[DONE]"),
    "anthropic chat stream": (STARTED, OVERLOADED),
    "gemini chat stream": (GOOGLES, BUSY),
    "openai responses stream": (CREATED, {"type": "response.failed", "response": FAILED}),
}


if RELEASE >= (1, 108):  # 1.82.6 logs no failed stream of messages
    BILLED_STREAMS["anthropic messages stream"] = (STARTED, OVERLOADED)


@pytest.mark.parametrize("name", BILLED_STREAMS)
async def test_failed_stream_is_logged_as_billed(name: str) -> None:
    """What a provider bills for a stream that fails before its first word stands in the log, once, with its price."""
    await assert_billed(name, events(*BILLED_STREAMS[name]))


async def test_broken_stream_is_logged_as_billed() -> None:
    """What a provider bills for a stream that breaks after its first words stands in the log."""
    said = {"choices": [{"index": 0, "delta": {"content": "half"}, "finish_reason": None}], "usage": SPENT}
    with group(CALL["hosted_vllm chat stream"], fault(events(said, BUSY))) as (router, providers):
        bills = Bills(providers[0].url)
        litellm.callbacks.append(bills)
        with pytest.raises(openai.APIError):
            await CALL["hosted_vllm chat stream"].ask(router)
        assert await until(lambda: bool(bills.bills))
    assert bills.bills[0][:3] == (1000, 7, 1007)


async def assert_billed(name: str, body: Body) -> None:
    """The failure of a deployment that answers with `body` is logged with what `SPENT` is."""
    price = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    with group(CALL[name], fault(body), None) as (router, providers):
        bills = Bills(providers[0].url)
        litellm.register_model({CALL[name].model: {**price, "litellm_provider": CALL[name].provider, "mode": "chat"}})
        litellm.callbacks.append(bills)
        await CALL[name].ask(router)
        assert await until(lambda: bool(bills.bills))
    ((*tokens, logged, told),) = bills.bills
    assert tokens == [1000, 7, 1007]
    assert [logged, told] == pytest.approx([1000 * 1e-6 + 7 * 2e-6] * 2)


@pytest.mark.parametrize("name", ["openai chat stream", "anthropic chat stream", "gemini chat stream"])
async def test_caller_of_a_stream_hears_the_status_too(name: str) -> None:
    """An error in the first event of a stream is the status it stands for."""
    call = CALL[name]
    body = faults(call.format, call.streamed)["event: number and word"]
    with group(call, fault(body), num_retries=0) as (router, _):
        with pytest.raises(openai.APIError) as raised:
            await call.ask(router)
    # A lone deployment is not waited for on each release.
    original: Any = getattr(raised.value, "original_exception", None) or raised.value
    assert (type(original), original.status_code) == (litellm.RateLimitError, 429)


@pytest.mark.parametrize(
    "name", ["openai responses stream", "anthropic messages stream", "gemini generateContent stream"]
)
@pytest.mark.parametrize(
    ("shape", "expected"), [("event: number", litellm.RateLimitError), ("html", litellm.APIConnectionError)]
)
async def test_only_deployment_raises_litellms_exceptions(name: str, shape: str, expected: type[Exception]) -> None:
    """A stream that cannot be asked for elsewhere fails with LiteLLM's exceptions, not with those of its client."""
    call = CALL[name]
    with group(call, fault(faults(call.format, call.streamed)[shape])) as (router, _):
        with pytest.raises(expected):
            await call.ask(router)


BREAKING = [name for name, call in OFTEN_ASKED.items() if call.streamed and call.format in BREAKS]


SHAPES = (
    "no end",
    "error",
    "failed",
    "exception",
    "completed, but failed",
    "no end of one of two",
    "one of two: abort",
    "no JSON",
)
BROKEN = [(name, shape) for name in BREAKING for shape in SHAPES if shape in BREAKS[CALL[name].format]]


@pytest.mark.parametrize(("name", "shape"), BROKEN)
async def test_broken_stream_is_told(name: str, shape: str) -> None:
    """A stream that breaks after its first words ends in an error and not as if it were whole."""
    call = CALL[name]
    with group(call, fault(BREAKS[call.format][shape])) as (router, _):
        with pytest.raises((openai.APIError, httpx.HTTPError, StreamError, litellm.APIError)):
            await call.ask(router)


async def test_early_end_is_litellms_exception() -> None:
    """So it is for who asks without a router: a response that ends early is no error of the HTTP client's."""
    with FaultyProvider(fault(BREAKS["responses"]["no end"])) as provider:
        stream: Any = await litellm.aresponses(
            model="openai/gpt-4o-mini", input="ping", stream=True, api_base=f"{provider.url}/v1", api_key="sk-test"
        )
        with pytest.raises(litellm.APIConnectionError):
            async for _ in stream:
                pass


@pytest.mark.parametrize("name", ["openai chat stream", "hosted_vllm chat stream"])
async def test_cut_stream_with_open_choice_is_told(name: str) -> None:
    """A connection that is cut after the end of one choice of two has cut the other one."""
    content = BREAKS["chat"]["no end of one of two"].content
    cut = Fault(Kind.TRUNCATE, body=content + b":" * len(content), content_type="text/event-stream")
    with group(CALL[name], cut) as (router, _):
        with pytest.raises((openai.APIError, httpx.HTTPError, StreamError)):
            await CALL[name].ask(router)


@pytest.mark.parametrize("name", ["openai chat", "openai chat stream", "anthropic messages"])
async def test_empty_answer_passes_if_wanted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `empty_answer: pass` the caller gets what the model had to say: nothing."""
    monkeypatch.setattr(litellm, "empty_answer", "pass", raising=False)
    call = CALL[name]
    shape = {"openai chat": "content empty", "openai chat stream": "role and end"}.get(name, "text empty")
    with group(call, fault(faults(call.format, call.streamed)[shape]), None) as (router, providers):
        assert not await call.ask(router)
        assert providers[1].attempts == 0


@pytest.mark.parametrize("name", ["hosted_vllm text stream", "gemini chat stream", "anthropic messages stream"])
async def test_unfinished_stream_passes_if_wanted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `unfinished_stream: pass` the words of a server that never sends an end are an answer."""
    monkeypatch.setattr(litellm, "unfinished_stream", "pass", raising=False)
    call = CALL[name]
    with group(call, fault(BREAKS[call.format]["no end"])) as (router, _):
        assert "half" in str(await call.ask(router))


@pytest.mark.parametrize("setting", ["empty_answer", "unfinished_stream"])
async def test_unknown_word_is_named(
    setting: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A setting that is neither `fail` nor `pass` is named in the log, and the stream has failed."""
    monkeypatch.setattr(litellm, setting, f"maybe {setting}", raising=False)
    call = CALL["openai chat stream"]
    with group(call, fault(BREAKS["chat"]["no end"])) as (router, _):
        with caplog.at_level(logging.WARNING, logger="LiteLLM"), pytest.raises(openai.APIError):
            await call.ask(router)
    assert f"maybe {setting}" in caplog.text


UNREAD = (
    *("parts, bare", "no reason, bare", "no reason", "text", "text, empty", "audio, bare"),
    "Google's name for the reason",
)
"""What LiteLLM itself takes for no answer of a chat, on one release or another."""
ODD = [
    pytest.param(streamed, body, id=f"{'stream' if streamed else 'whole'}, {name}")
    for api, streamed, name, body in healthy()
    if api == "CHAT" and ("," not in name or "bare" in name) and name not in UNREAD
]


@pytest.mark.parametrize(("streamed", "body"), ODD)
async def test_odd_answer_is_an_answer(streamed: bool, body: Body) -> None:
    """A good answer, however odd, is the caller's at once."""
    call = CALL["openai chat stream" if streamed else "openai chat"]
    with group(call, fault(body), None) as (router, providers):
        await call.ask(router)
        assert [provider.attempts for provider in providers] == [1, 0]


def answer(url: str, status: int = 200, method: str = "POST") -> httpx.Response:
    return httpx.Response(status, request=httpx.Request(method, url), content=b'{"error": "no"}')


@pytest.mark.parametrize(
    "path",
    ["/v1/files/f/content", "/v1/batches", "/v1/responses/r", "/v1/messages/count_tokens", "/chat/completions/x"],
)
def test_other_paths_are_not_judged(path: str) -> None:
    """What is no answer of a model may hold an error and be what was asked for."""
    assert api_of(answer(f"https://llm.example{path}")) is None


def test_only_answers_of_success_are_judged() -> None:
    """An answer of failure is one already, and what is got or not asked by HTTP is no answer of a model."""
    url = "https://llm.example/v1/chat/completions"
    assert api_of(answer(url)) is not None
    assert api_of(answer(url, status=500)) is None
    assert api_of(answer(url, method="GET")) is None
    assert api_of(httpx.Response(200)) is None


def transcription(asked: str | None, said: bytes = b"pong") -> httpx.Response:
    """What an HTTP client gets for a form that asks for a `response_format`."""
    form = {"model": "whisper-1"} if asked is None else {"model": "whisper-1", "response_format": asked}
    url = "https://llm.example/v1/audio/transcriptions"
    request = httpx.Request("POST", url, data=form, files={"file": b"RIFF"})
    return httpx.Response(200, request=request, content=said, headers={"content-type": "text/plain"})


@pytest.mark.parametrize("asked", [None, "text", "srt", "vtt"])
def test_transcription_may_be_a_text(asked: str | None) -> None:
    """A text is what is asked for by some formats of a transcription, or may be where nothing is known."""
    judge_answer(transcription(asked))


@pytest.mark.parametrize(
    ("asked", "said"), [("json", b"busy"), ("verbose_json", b"busy"), ("text", b"<html>busy</html>"), ("text", b"")]
)
def test_transcription_is_no_page(asked: str, said: bytes) -> None:
    """A text where JSON is asked for is no transcription, nor is a web page or nothing at all."""
    with pytest.raises(httpx.DecodingError):
        judge_answer(transcription(asked, said))


def test_transcription_may_hold_an_error() -> None:
    """An error object is one whichever format of a transcription is asked for."""
    answer = transcription("text", b'{"error": {"code": 429}}')
    judge_answer(answer)
    assert answer.status_code == 429


def test_judged_client_is_closed_by_its_last_reference() -> None:
    """A client whose answers are judged lives no longer than the one who holds it."""
    client = judge_client(httpx.AsyncClient())
    gone = weakref.ref(client)
    assert vars(client)["send"]
    gc.disable()
    try:
        del client
        assert gone() is None
    finally:
        gc.enable()


def test_client_of_an_sdk_is_judged_once() -> None:
    """What an SDK's client gets is judged, however often that is asked for."""
    seen = httpx.MockTransport(lambda request: httpx.Response(200, content=b'{"error": {"code": 429}}'))
    http: Any = httpx.Client(transport=seen)
    sdk = openai.OpenAI(api_key="sk-test", max_retries=0, http_client=http)
    judge_client(judge_client(sdk))
    with pytest.raises(openai.RateLimitError):
        sdk.completions.create(model="m", prompt="ping")


async def test_users_own_client_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that the user has made for the whole process is not changed."""
    async with httpx.AsyncClient() as own:
        monkeypatch.setattr(litellm, "aclient_session", own)
        send = own.send
        assert judge_answers(lambda: own)() is own
        assert own.send == send
