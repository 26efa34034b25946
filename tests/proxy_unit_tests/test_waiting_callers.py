"""Who waits for a streamed response is watched and kept connected, and who does not is left alone."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import litellm
import pytest
from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from litellm.litellm_core_utils.stream_wait import waiting_caller
from litellm.proxy._types import ProxyException
from litellm.proxy.common_utils import waiting_callers
from litellm.proxy.common_utils.waiting_callers import keep_caller_alive, until_hung_up

SET_MEANWHILE: ContextVar[str] = ContextVar("set_meanwhile", default="")


class Caller:
    """One end of a connection, which can hang up."""

    def __init__(self) -> None:
        self.hung_up = asyncio.Event()
        self.request = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, self._receive)

    async def _receive(self) -> dict[str, Any]:
        await self.hung_up.wait()
        return {"type": "http.disconnect"}


class Processing:
    """Passes for LiteLLM's; notes the failures that its hooks are told of."""

    def __init__(self, path: str, **data: Any) -> None:
        self.data = {"stream": True, "proxy_server_request": {"url": f"http://proxy{path}"}, **data}
        self.failures: list[Exception] = []

    async def _handle_llm_api_exception(self, e: Exception, **_: Any) -> Exception:
        self.failures.append(e)
        raise ProxyException(str(getattr(e, "detail", e)), "server_error", None, getattr(e, "status_code", 500))


async def _response_of(
    process: Any, kind: str = "acompletion", path: str = "/v1/chat/completions", **data: Any
) -> tuple[Any, Processing, Caller]:
    processing, caller = Processing(path, **data), Caller()
    answered = await keep_caller_alive(process)(
        processing, request=caller.request, route_type=kind, user_api_key_dict=None, proxy_logging_obj=None
    )
    return answered, processing, caller


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_callers, "DEFAULT_INTERVAL", 0.02)
    monkeypatch.setattr(litellm, "anthropic_sse_ping_interval_seconds", 0.02, raising=False)


def thinking(result: Any, seconds: float = 0.1) -> Any:
    """A request whose stream is held back for so long, and that comes to `result`."""

    async def process(_: Any, **__: Any) -> Any:
        waiting_caller().stream_opened()
        waiting_caller().event_held_back()
        SET_MEANWHILE.set("by the request")
        await asyncio.sleep(seconds)
        if isinstance(result, Exception):
            raise result
        return result

    return process


async def _stream(*parts: str) -> Any:
    for part in parts:
        yield part


async def body_of(response: Any) -> str:
    return b"".join([part async for part in response.body_iterator]).decode()


@pytest.mark.usefixtures("impatient")
class TestKeepingConnected:
    @pytest.mark.parametrize(
        ("kind", "path", "ping"),
        [
            ("acompletion", "/v1/chat/completions", ": ping\n\n"),
            ("aresponses", "/v1/responses", ": ping\n\n"),
            ("anthropic_messages", "/v1/messages", 'event: ping\ndata: {"type": "ping"}\n\n'),
        ],
    )
    async def test_late_answer_follows_pings(self, kind: str, path: str, ping: str) -> None:
        """Each route has a ping its clients know."""
        response, _, _ = await _response_of(
            thinking(StreamingResponse(_stream("data: a\n\n", "data: b\n\n"))), kind, path
        )
        body = await body_of(response)
        assert body.startswith(ping * 2)
        assert body.replace(ping, "") == "data: a\n\ndata: b\n\n"

    @pytest.mark.parametrize(
        ("kind", "path", "event"),
        [
            ("acompletion", "/v1/chat/completions", 'data: {"error": {"message": "gone"'),
            (
                "anthropic_messages",
                "/v1/messages",
                'event: error\ndata: {"type": "error", "error": {"type": "api_error"',
            ),
        ],
    )
    @pytest.mark.parametrize("answered", [False, True])
    async def test_late_failure_is_an_event(self, kind: str, path: str, event: str, answered: bool) -> None:
        """A late failure is an event in the route's format, and the hooks are told of one that is raised."""
        said = JSONResponse({"error": {"message": "gone", "type": "server_error"}}, 503)
        failure = said if answered else HTTPException(503, "gone")
        response, processing, _ = await _response_of(thinking(failure), kind, path)
        assert event in await body_of(response)
        assert len(processing.failures) == (0 if answered else 1)

    async def test_early_failure_keeps_its_status(self) -> None:
        """A failure before the first ping is raised, for the endpoint to answer."""
        with pytest.raises(HTTPException) as raised:
            await _response_of(thinking(HTTPException(503, "gone"), seconds=0.0))
        assert raised.value.status_code == 503

    @pytest.mark.parametrize(("kind", "more"), [("agenerate_content_stream", {}), ("acompletion", {"stream": False})])
    async def test_others_get_no_pings(self, kind: str, more: dict[str, Any]) -> None:
        """Google's clients know no comment, and an answer that is no stream has one status."""
        whole = JSONResponse({})
        response, _, _ = await _response_of(thinking(whole), kind, **more)
        assert response is whole

    async def test_no_stream_no_pings(self) -> None:
        """A deployment that has not answered yet may still fail with a status."""

        async def process(_: Any, **__: Any) -> str:
            await asyncio.sleep(0.1)
            return "the response"

        response, _, _ = await _response_of(process)
        assert response == "the response"

    async def test_hang_up_ends_the_request(self) -> None:
        """A caller who hangs up ends its request, also amid pings, and who counts requests under way is told."""
        response, processing, _ = await _response_of(thinking(HTTPException(503, "gone"), seconds=60))
        body = response.body_iterator
        await body.__anext__()
        await body.aclose()
        assert [failure.status_code for failure in processing.failures if isinstance(failure, HTTPException)] == [499]
        assert len(asyncio.all_tasks()) == 1


async def test_context_variables_are_kept() -> None:
    """LiteLLM's hooks leave notes there for those who run after the request."""
    await _response_of(thinking("the response", seconds=0.0))
    assert SET_MEANWHILE.get() == "by the request"


class TestWatching:
    async def test_answer_is_returned(self) -> None:
        """The answer is returned, and nothing is left running."""
        assert await until_hung_up(Caller().request, asyncio.sleep(0.01, "the answer")) == "the answer"
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    async def test_hang_up_cancels_the_call(self) -> None:
        """The call has been cancelled by the time the hang-up is reported, with LiteLLM's status for it."""
        caller, cancelled = Caller(), asyncio.Event()

        async def call() -> None:
            caller.hung_up.set()
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.01)
                cancelled.set()

        with pytest.raises(HTTPException) as raised:
            await until_hung_up(caller.request, call())
        assert (raised.value.status_code, cancelled.is_set()) == (499, True)

    async def test_cancelling_the_watch_cancels_the_call(self) -> None:
        """The call is cancelled with the watch over it, as when the proxy is stopped."""
        cancelled = asyncio.Event()

        async def call() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                cancelled.set()

        watch = asyncio.create_task(until_hung_up(Caller().request, call()))
        await asyncio.sleep(0.01)
        watch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watch
        assert cancelled.is_set()

    async def test_connection_that_cannot_tell_is_no_hang_up(self) -> None:
        """A server's error is not taken for a caller who has left."""

        async def receive() -> dict[str, Any]:
            raise RuntimeError("nothing to receive")

        request = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
        assert await until_hung_up(request, asyncio.sleep(0.01, "the answer")) == "the answer"
