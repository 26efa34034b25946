"""A stand-in speaks its provider's format, and breaks as it is told to, on a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from litellm_drill.formats import Api, api_at
from litellm_drill.stand_in import QUESTION, RETRY_AFTER, Fault, StandIn, torn_text, whole_text

PATHS = {
    Api.CHAT: "/v1/chat/completions",
    Api.TEXT: "/v1/completions",
    Api.MESSAGES: "/v1/messages",
    Api.GEMINI: "/models/m:generateContent",
    Api.GEMINI_STREAM: "/models/m:streamGenerateContent",
    Api.OLLAMA_CHAT: "/api/chat",
    Api.OLLAMA_TEXT: "/api/generate",
}
BODY = {"model": "m", "messages": [{"role": "user", "content": QUESTION}]}


@asynccontextmanager
async def opened(fault: Fault | None = None) -> AsyncIterator[tuple[StandIn, httpx.AsyncClient]]:
    server = StandIn(7)
    await server.open()
    try:
        await server.turn(fault)
        async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=None) as client:
            yield server, client
    finally:
        await server.close()


@pytest.mark.parametrize("api", PATHS)
async def test_answers_in_each_format(api: Api) -> None:
    """Each endpoint is known by its path and answers with the stand-in's words, whole and as a stream."""
    assert api_at(f"{PATHS[api]}?version=1") is api
    async with opened() as (server, client):
        for stream in (False, True):
            response = await client.post(PATHS[api], json={**BODY, "stream": stream})
            assert response.status_code == 200
            assert whole_text(7) in response.text
        assert [attempt.fault for attempt in server.attempts] == [None, None]


async def test_whole_chats_have_a_tier() -> None:
    """LiteLLM reads the tier of a whole answer of Groq's, which it has always."""
    async with opened() as (_, client):
        assert (await client.post(PATHS[Api.CHAT], json=BODY)).json()["service_tier"] == "default"


@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.UNAUTHORIZED, 401), (Fault.UNAVAILABLE, 503), (Fault.RATE_LIMITED, 429)]
)
@pytest.mark.parametrize("path", [*PATHS.values(), "/unknown"])
async def test_states_an_error(fault: Fault, status: int, path: str) -> None:
    """An error has its status at each endpoint, and a rate limit says for how long."""
    async with opened(fault) as (_, client):
        response = await client.post(path, json=BODY)
    assert response.status_code == status
    assert "error" in response.json()
    assert response.headers.get("retry-after") == (str(RETRY_AFTER) if status == 429 else None)


async def test_refuses_and_is_back() -> None:
    """A stand-in that refuses has no listener, and has one again once it is mended."""
    async with opened(Fault.REFUSED) as (server, client):
        with pytest.raises(httpx.ConnectError):
            await client.post(PATHS[Api.CHAT], json=BODY)
        await server.turn(None)
        assert (await client.post(PATHS[Api.CHAT], json=BODY)).status_code == 200


async def test_silence_ends_with_the_fault() -> None:
    """A silent stand-in has the question and says nothing until it is mended, when the caller is let go."""
    async with opened(Fault.SILENT) as (server, client):
        waiting = asyncio.ensure_future(client.post(PATHS[Api.CHAT], json=BODY))
        while not server.attempts:
            await asyncio.sleep(0.005)
        assert not waiting.done()
        await server.turn(None)
        with pytest.raises(httpx.TransportError):
            await waiting
        assert server.attempts[0].ended > server.attempts[0].began


@pytest.mark.parametrize("api", [api for api in PATHS if api is not Api.GEMINI])  # it streams at another path
async def test_cut_stream_has_torn_words(api: Api) -> None:
    """A cut stream has words that no whole answer has, and then no end."""
    body = json.dumps({**BODY, "stream": True}).encode()
    head = f"POST {PATHS[api]} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with opened(Fault.CUT) as (server, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head + body)
        received = await reader.read()  # all of it, as HTTP has it
        writer.close()
    assert b"Transfer-Encoding: chunked" in received
    assert torn_text(7).encode() in received
    assert whole_text(7).encode() not in received
    assert not received.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.GARBAGE])
async def test_whole_answer_is_spoilt(fault: Fault) -> None:
    """A cut answer is shorter than its length says, a garbled one is a page."""
    async with opened(fault) as (_, client):
        if fault is Fault.CUT:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.post(PATHS[Api.CHAT], json=BODY)
        else:
            assert (await client.post(PATHS[Api.CHAT], json=BODY)).headers["content-type"] == "text/html"


async def test_health_checks_are_no_attempts() -> None:
    """What has no question of the drill is answered, and is no attempt."""
    async with opened() as (server, client):
        assert (await client.post(PATHS[Api.CHAT], json={"messages": []})).status_code == 200
        assert server.attempts == []


async def test_vectors_name_their_stand_in() -> None:
    """An embedding has the number of the stand-in it came from."""
    async with opened() as (_, client):
        body = (await client.post("/v1/embeddings", json={"input": QUESTION})).json()
    assert body["data"][0]["embedding"][0] == 7.0
