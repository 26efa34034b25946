"""A stream that fails after its first words is logged as a failed attempt of its own deployment, at the proxy too."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, nullcontext
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from litellm.litellm_core_utils.failed_attempt_log import (
    Closing,
    closed_for,
    log_attempt,
    log_attempt_in_thread,
    log_closed_stream,
    report_failed_stream,
)
from litellm.utils import Rules, function_setup

from support.callback_log import CallbackLog, deployments_of, listening
from support.faulty_provider import FaultyProvider
from support.inband_calls import CALLS, GROUP
from support.routing import MESSAGES, RELEASE, failures, routed, until
from support.scripted_provider import HEALTHY_STREAM, ScriptedProvider, Stream

ANSWER = "one two three four five six"
RESET = Stream(cut_after=3, reset=True)
GARBLED = Stream(garbled_chunk=5)
STREAMS = {f"{call.provider}, {call.api}": call for call in CALLS}
CHATS = ("openai, chat stream", "anthropic, chat stream")
LOGS_BROKEN_MESSAGES = RELEASE >= (1, 102)
"""Before, LiteLLM logs no stream of /v1/messages as failed."""

MADE = "made of the first half"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> CallbackLog:
    """What LiteLLM's callbacks are told."""
    return listening(monkeypatch, CallbackLog(GROUP))


@pytest.fixture
def router_over() -> Iterator[Callable[..., Any]]:
    """Makes a router over a deployment "0" that breaks off and those that finish its answers, "1" first; None stands
    for one that begins anew where it is to go on."""
    with ExitStack() as stack:

        def build(name: str, *steps: Stream | None) -> Any:
            listed = []
            for number, step in enumerate(steps):
                one = ScriptedProvider([step], answer=ANSWER) if step else FaultyProvider(answer=ANSWER)
                provider = stack.enter_context(one)
                params = {**STREAMS[name].params(provider.url), "weight": 1e-9**number}
                info = {"id": f"{number}", "supports_assistant_prefill": True}
                listed.append({"model_name": GROUP, "litellm_params": params, "model_info": info})
            return stack.enter_context(routed(listed, num_retries=2))

        yield build


async def asked_by_proxy(router: Any, name: str, **more: Any) -> str:
    """A streamed answer, all attempts at which share one logging object, as at the proxy."""
    is_chat = name in CHATS
    function = "acompletion" if is_chat else "anthropic_messages"
    request: dict[str, Any] = {"model": GROUP, "messages": MESSAGES, "stream": True, "max_tokens": 50}
    request["litellm_call_id"] = str(uuid.uuid4())
    logging, request = function_setup(function, Rules(), datetime.now(), **request)
    for name_of_more, value in more.items():
        setattr(logging, name_of_more, value)
    request["litellm_logging_obj"] = logging
    if is_chat:
        return "".join([one.choices[0].delta.content or "" async for one in await router.acompletion(**request)])
    return b"".join([piece async for piece in await router.aanthropic_messages(**request)]).decode()


ATTEMPTS = [(name, RESET) for name in CHATS]
if LOGS_BROKEN_MESSAGES:
    ATTEMPTS += [("anthropic, messages stream", RESET), ("anthropic, messages stream", GARBLED)]


@pytest.mark.parametrize(("name", "step"), ATTEMPTS)
async def test_each_attempt_is_logged_as_its_own(
    name: str, step: Stream, router_over: Callable[..., Any], log: CallbackLog
) -> None:
    """Who broke off is told of as failed and counted once; who finished the answer has not failed."""
    router = router_over(name, step, HEALTHY_STREAM)
    answer = await asked_by_proxy(router, name)
    assert "six" in answer
    assert "error" not in answer
    assert await until(lambda: log.successes and log.failures and failures(router, "0"))
    assert (deployments_of(log.failures), deployments_of(log.successes)) == (["0"], ["1"])
    assert [failures(router, one) for one in ("0", "1")] == [1, 0]


@pytest.mark.parametrize("name", [*CHATS, "anthropic, messages stream"])
async def test_answer_that_is_not_used_is_not_logged(
    name: str, router_over: Callable[..., Any], log: CallbackLog
) -> None:
    """Who begins anew where the rest was asked for is asked again; the log has the answer once, and no other."""
    router = router_over(name, RESET, None)
    assert "six" in await asked_by_proxy(router, name)
    assert await until(lambda: log.successes)
    texts = [response.choices[0].message.content for _, response in log.successes]
    assert (deployments_of(log.successes), texts) == (["1"], [ANSWER])


@pytest.mark.skipif(not LOGS_BROKEN_MESSAGES, reason="LiteLLM logs no stream of /v1/messages as failed")
async def test_unrescued_failure_is_accounted_for(router_over: Callable[..., Any], log: CallbackLog) -> None:
    """Where nobody finishes the answer the proxy hears once of the failure, though its caller gets an event."""
    name = "anthropic, messages stream"
    reported: list[Exception] = []

    async def report(failure: Exception) -> None:
        reported.append(failure)

    router = router_over(name, GARBLED, GARBLED)
    with pytest.raises(Exception, match="JSON"):
        await asked_by_proxy(router, name, on_detached_stream_failure=report)
    assert await until(lambda: len(log.failures) == 2)
    assert (sorted(deployments_of(log.failures)), log.successes, len(reported)) == (["0", "1"], [], 1)


def shared_logging(**details: Any) -> Any:
    """LiteLLM's logging object of a stream, as far as it is looked at."""
    return SimpleNamespace(stream=True, litellm_params={"attempt": 1}, model_call_details=details)


def begin_next_attempt(shared: Any) -> None:
    shared.litellm_params = {"attempt": 2}
    shared.model_call_details["made"] = "the next attempt's"


async def run(logged: Any, before: Callable[[], None]) -> None:
    before()
    if logged is not None:
        await logged


@pytest.mark.parametrize("is_next_under_way", [False, True])
async def test_details_are_given_back_to_their_attempt(is_next_under_way: bool) -> None:
    """What the proxy writes of a failed attempt it finds where it looks; that of the next one stays."""
    shared = shared_logging(made=None)
    seen: list[Any] = []

    @log_attempt
    async def tell(logging: Any) -> None:
        seen.append(logging.litellm_params)
        logging.model_call_details["made"] = MADE

    first = shared.litellm_params
    await run(tell(shared), lambda: begin_next_attempt(shared) if is_next_under_way else None)
    assert seen == [first]
    assert shared.model_call_details == {"made": "the next attempt's" if is_next_under_way else MADE}


async def test_each_failed_attempt_is_told_once() -> None:
    """A second failure of an attempt is none, that of the next attempt is."""
    shared = shared_logging()
    told: list[Any] = []

    @log_attempt
    async def tell(logging: Any) -> None:
        if not logging.model_call_details.get("has_logged_async_failure"):
            told.append(logging.litellm_params)
        logging.model_call_details["has_logged_async_failure"] = True

    for _ in range(2):
        await tell(shared)
    begin_next_attempt(shared)
    await tell(shared)
    assert told == [{"attempt": 1}, {"attempt": 2}]


@pytest.mark.parametrize("is_next_under_way", [False, True])
def test_thread_gives_details_back(is_next_under_way: bool) -> None:
    """So it is where the callbacks are told in a thread."""
    shared = shared_logging(made=None)

    @log_attempt_in_thread
    def tell(logging: Any) -> None:
        if is_next_under_way:
            begin_next_attempt(shared)
        logging.model_call_details["made"] = MADE

    tell(shared)
    assert shared.model_call_details == {"made": "the next attempt's" if is_next_under_way else MADE}


@pytest.mark.parametrize("stream", [False, None])
async def test_whole_answers_are_logged_as_before(stream: object) -> None:
    """What is no stream has been logged before the next attempt begins, on the object that LiteLLM made for it."""
    shared = shared_logging()
    shared.stream = stream
    told: list[Any] = []

    async def tell(logging: Any) -> None:
        told.append(logging)

    await log_attempt(tell)(shared)
    log_attempt_in_thread(told.append)(shared)
    assert [one is shared for one in told] == [True, True]


class Ended:
    """How a provider's stream was ended, and what it was taken for then."""

    def __init__(self) -> None:
        self.by: type[BaseException] | None = None
        self.is_success = False

    async def pieces(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        try:
            yield b"one"
            yield b"two"
        except BaseException as error:
            self.by = type(error)
            self.is_success = response.is_success
            raise


TOLD = ValueError("an event told of it")


@pytest.mark.parametrize(
    ("closing", "by", "is_success"),
    [
        (None, GeneratorExit, True),
        (closed_for(TOLD), ValueError, True),
        (closed_for(None), GeneratorExit, False),
    ],
    ids=["its reader has left", "it has failed", "it is another answer"],
)
async def test_reason_of_closing_reaches_who_logs(closing: Any, by: type[BaseException], is_success: bool) -> None:
    """A stream that is closed for a failure ends with it for LiteLLM; one that is another answer is no success."""
    ended = Ended()
    stream: Any = log_closed_stream(ended.pieces)(httpx.Response(200))
    assert await anext(stream) == b"one"
    with closing or nullcontext(Closing(None)) as reason:
        await stream.aclose()
    assert (ended.by, ended.is_success) == (by, is_success)
    assert reason.is_logged is (by is ValueError)


async def test_failure_that_cannot_be_reported_is_survived() -> None:
    """The caller gets the event though the proxy's account of it fails, or there is none."""

    async def report(_: Exception) -> None:
        raise RuntimeError("no database")

    await report_failed_stream(SimpleNamespace(on_detached_stream_failure=report), ValueError())
    await report_failed_stream(None, ValueError())
