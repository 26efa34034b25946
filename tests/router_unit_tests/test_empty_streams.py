"""A stream that ends without an answer is a failure: of LiteLLM's own stream, and of the deployment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import litellm
import openai
import pytest
from litellm import CustomStreamWrapper, Router
from litellm.exceptions import APIConnectionError, MidStreamFallbackError
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.failure import classify
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.litellm_core_utils.stream_start import wait_for_first_event

from support.faulty_provider import EMPTY_200, HTML_200, Fault, FaultyProvider
from support.routing import GROUP, MESSAGES, RELEASE, cooling_down, deployment, failures, lost, outcomes, routed, until
from support.streams import Source, begun, chunk, in_both_modes, source_in, the_rest, wrapper

DISPATCHING = ("failure_handler", "async_failure_handler", "dispatch_failure_handlers")
ON_THEIR_OWN = ("failure_handler", "async_failure_handler")  # in releases such as 1.82.6

FAILURES_THAT_MAKE_A_RATE = 5
"""Of one deployment within a minute; LiteLLM judges none by fewer."""


def generic_chunk(text: str, finish_reason: str | None) -> dict[str, Any]:
    """What a user's own provider streams (`litellm.CustomLLM`)."""
    ended = {"is_finished": finish_reason is not None, "finish_reason": finish_reason or ""}
    return {"text": text, **ended, "index": 0, "tool_use": None, "usage": None}


class TestWrapper:
    """What LiteLLM's own stream makes of a provider's that ends without an answer."""

    @in_both_modes
    @pytest.mark.parametrize("chunks", [[], [chunk(role="assistant", content="")]], ids=["nothing", "a role"])
    async def test_answer_end_is_not_made_up(self, chunks: list[Any], mode: str) -> None:
        """LiteLLM's stream does not make up the end of an answer that never began."""
        with pytest.raises(APIConnectionError) as raised:
            await begun(mode, wrapper(source_in(mode, chunks)))
        told_by_litellm = chunks and RELEASE >= (1, 109)
        assert classify(raised.value) is (FailureKind.INTERRUPTED if told_by_litellm else FailureKind.GARBLED)

    @pytest.mark.parametrize("noted_as", ["received_finish_reason", "intermittent_finish_reason"])
    def test_it_passes_on_an_end_it_was_told(self, noted_as: str) -> None:
        """LiteLLM's stream passes on an end that was noted and did not come with a chunk."""
        stream = wrapper(iter([]))
        setattr(stream, noted_as, "length")
        assert stream.finish_reason_handler().choices[0].finish_reason == "length"

    @in_both_modes
    async def test_cached_answer_ends_as_it_did(self, mode: str) -> None:
        """What LiteLLM has cached of an answer is no failure when it is streamed, though it says nothing."""
        stream = await begun(mode, wrapper(source_in(mode, []), "cached_response"))
        assert [one.choices[0].finish_reason for one in await the_rest(mode, stream)] == ["stop"]

    def test_it_needs_no_event_loop(self) -> None:
        """LiteLLM's stream fails without an answer even where there is no event loop."""
        with pytest.raises(APIConnectionError):
            wait_for_first_event(wrapper(iter([])))

    @in_both_modes
    @pytest.mark.parametrize("provider", ["openai", "the-users-own"])
    @pytest.mark.parametrize(
        ("chunks", "end"),
        [([("p", None)], "stop"), ([("", "length")], "length"), ([("", None), ("", "length")], "length")],
        ids=["text without an end", "an end", "an empty chunk and an end"],
    )
    async def test_partial_answer_counts(
        self, chunks: list[Any], end: str, provider: str, mode: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A stream with only a text, or with only an end, is an answer."""
        monkeypatch.setattr(litellm, "_custom_providers", ["the-users-own"])
        native = [chunk(finish_reason, content=text) for text, finish_reason in chunks]
        custom = [generic_chunk(text, finish_reason) for text, finish_reason in chunks]
        source = source_in(mode, native if provider == "openai" else custom)
        stream = await begun(mode, wrapper(source, provider))
        if end == "stop" and provider == "openai" and RELEASE >= (1, 109):  # a provider that is known not to forget it
            with pytest.raises(MidStreamFallbackError):
                await the_rest(mode, stream)
        else:
            assert (await the_rest(mode, stream))[-1].choices[0].finish_reason == end

    @pytest.mark.parametrize(
        ("of_call", "handlers", "told"),
        [
            ({"litellm_params": {"acompletion": True}}, DISPATCHING, ["dispatched"]),
            ({"litellm_params": {"atext_completion": True}}, DISPATCHING, ["dispatched"]),
            ({"litellm_params": {"acompletion": True}}, ON_THEIR_OWN, ["async", "sync"]),
            ({"litellm_params": {}}, DISPATCHING, ["sync"]),
            ({"litellm_params": None}, ON_THEIR_OWN, ["sync"]),
            ({}, ON_THEIR_OWN, ["sync"]),
        ],
    )
    async def test_failure_is_logged_by_call_type(
        self, of_call: dict[str, Any], handlers: tuple[str, ...], told: list[str]
    ) -> None:
        """LiteLLM's stream logs its failure by the handlers of the call, preferring the async ones of an async call."""
        logged: list[str] = []

        def failure_handler(error: Exception, trace: str) -> None:
            assert f"{error}" in trace
            logged.append("sync")

        async def async_failure_handler(error: Exception, trace: str) -> None:
            assert f"{error}" in trace
            logged.append("async")

        async def dispatch_failure_handlers(error: Exception, trace: str, prefer_async_handlers: bool = False) -> None:
            assert f"{error}" in trace
            logged.append("dispatched" if prefer_async_handlers else "sync")

        known = {function.__name__: function for function in (failure_handler, async_failure_handler)}
        known["dispatch_failure_handlers"] = dispatch_failure_handlers
        stream: Any = wrapper(Source([]))
        stream.logging_obj = SimpleNamespace(model_call_details=of_call, **{name: known[name] for name in handlers})
        with pytest.raises(openai.APIError):
            stream.finish_reason_handler()
        assert await until(lambda: sorted(logged) == told)


NOTHING = {"nothing": b"", "an end": b"data: [DONE]\n\n"}


@pytest.mark.parametrize("body", NOTHING)
@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
@pytest.mark.parametrize("mode", ["async-stream", "sync-stream"])
async def test_empty_stream_passes_if_wanted(
    mode: str, provider: str, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `empty_answer: pass` a stream of 200 that says nothing is an answer, as LiteLLM has it."""
    monkeypatch.setattr(litellm, "empty_answer", "pass", raising=False)
    says_nothing = Fault.status(200, body=NOTHING[body], content_type="text/event-stream")
    with FaultyProvider(says_nothing) as provided:
        models = [deployment(name, provider, provided.url) for name in ("first", "second")]
        with routed(models, num_retries=1) as router:
            assert await outcomes(router, 1, mode) == [""]
            assert provided.attempts == 1


class Logger(CustomLogger):
    """Notes which of its methods is told of which failure."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str]] = []

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.told.append(("sync", type(kwargs["exception"]).__name__))

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.told.append(("async", type(kwargs["exception"]).__name__))


def _counted(router: Router) -> int:
    return failures(router, "a") + failures(router, "b")


class TestRouter:
    @pytest.mark.parametrize("mode", ["async-stream", "sync-stream"])
    @pytest.mark.parametrize("provider", ["openai", "anthropic", "ollama_chat"])
    @pytest.mark.parametrize("fault", [EMPTY_200, HTML_200], ids=["empty", "html"])
    async def test_an_empty_stream_counts_as_one_failure(self, fault: Fault, provider: str, mode: str) -> None:
        """An empty stream counts as one failure of its deployment, which cools down once they make a rate."""
        with FaultyProvider(fault) as a, FaultyProvider(fault) as b:
            group = [deployment("a", provider, a.url), deployment("b", provider, b.url)]
            with routed(group, num_retries=0) as router:
                while max(a.attempts, b.attempts) < FAILURES_THAT_MAKE_A_RATE:
                    assert cooling_down(router) == set()
                    assert lost(await outcomes(router, 1, mode)) == [0]
                    assert await until(lambda: _counted(router) == a.attempts + b.attempts)
                failing = "a" if a.attempts == FAILURES_THAT_MAKE_A_RATE else "b"
                assert await until(lambda: cooling_down(router) == {failing})
                assert _counted(router) == a.attempts + b.attempts

    @pytest.mark.parametrize("mode", ["async", "sync"])
    async def test_an_empty_stream_is_logged_once(self, mode: str) -> None:
        """An empty stream is logged once with each callback, by its method for the mode."""
        with FaultyProvider(EMPTY_200) as bad:
            with routed([deployment("a-bad", "openai", bad.url)], num_retries=0) as router:
                logger = Logger()
                litellm.callbacks.append(logger)
                for count in (1, 2):
                    assert lost(await outcomes(router, 1, f"{mode}-stream")) == [0]
                    assert await until(lambda: len(logger.told) >= bad.attempts)
                    assert logger.told == [(mode, "APIConnectionError")] * count

    async def test_late_failure_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A stream that breaks after its first content, at each deployment, tells why, and repeats none of it."""
        sources: list[Source] = []

        async def completion(**_: Any) -> CustomStreamWrapper:
            sources.append(Source([chunk(content="po"), ConnectionResetError(104, "cut"), chunk(content="ng")]))
            return wrapper(sources[-1])

        monkeypatch.setattr(litellm, "acompletion", completion)
        group = [deployment(name, "openai", "http://127.0.0.1:9") for name in ("a", "b")]
        with routed(group, num_retries=2) as router:
            stream: Any = await router.acompletion(GROUP, MESSAGES, stream=True)
            told: list[str] = []

            async def read() -> None:
                async for got in stream:
                    told.append(got.choices[0].delta.content)

            with pytest.raises(openai.APIError, match="cut"):
                await read()
        assert told == ["po"]
        assert all(source.closed for source in sources)
