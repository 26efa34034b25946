"""The faulty provider does on the wire what its fault says, and litellm accepts what it answers when healthy.

These tests hold for the stock and the patched litellm: how a failure is classified is tested elsewhere.
"""

from __future__ import annotations

import errno
import http.client
import importlib
import json
import os
import socket
import threading
from typing import Any

import pytest

from support.faulty_provider import (
    CLOSED,
    FAULTS,
    HEALTHY,
    HTML_200,
    HTML_PAGE,
    PROVIDERS,
    REFUSED,
    RESET,
    SILENT,
    TEXT_200,
    TORN,
    TRUNCATED,
    UNRESOLVABLE,
    UNRESOLVABLE_URL,
    Fault,
    FaultyProvider,
    Kind,
    litellm_params,
    patience,
)
from support.provider_formats import EMBEDDING, OPENAI_USAGE, RESPONSES_USAGE

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

# After the variable, which stops a download at import; by name, because all a type checker sees of litellm in a
# checkout is what this branch adds.
litellm: Any = importlib.import_module("litellm")
openai: Any = importlib.import_module("openai")

MESSAGES = [{"role": "user", "content": "ping"}]
ENDPOINTS = [
    "/v1/chat/completions",
    "/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/api/chat",
    "/api/generate",
]
ENTRIES: dict[str, dict[str, Any]] = {
    "text_completion": {"model": "openai/gpt-3.5-turbo-instruct", "prompt": "ping"},
    "embedding": {"model": "openai/text-embedding-3-small", "input": "ping"},
    "responses": {"model": "openai/gpt-4o-mini", "input": "ping"},
}
"""litellm's functions for OpenAI's other endpoints, each with a question; an `a` before the name makes it async."""

PATHS = {"text_completion": "/v1/completions", "embedding": "/v1/embeddings", "responses": "/v1/responses"}
MODES = [(entry, stream) for entry in ENTRIES for stream in (False, True) if (entry, stream) != ("embedding", True)]
CLIENT_DEADLINE = 10.0
"""Seconds after which a raw client gives up; only a broken provider reaches it."""


def ask(
    provider: FaultyProvider, path: str = "/chat/completions", **body: Any
) -> tuple[http.client.HTTPResponse, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=CLIENT_DEADLINE)
    client.request("POST", path, json.dumps(body))
    response = client.getresponse()
    return response, response.read()


async def aenter(entry: str, provider: FaultyProvider, *, stream: bool = False, **params: Any) -> Any:
    """What `litellm.a<entry>` returns when the provider is asked once; the list of its chunks if streamed."""
    answer = await getattr(litellm, f"a{entry}")(**_question(entry, provider, stream), **params)
    return [chunk async for chunk in answer] if stream else answer


def enter(entry: str, provider: FaultyProvider, *, stream: bool = False, **params: Any) -> Any:
    """The same of `litellm.<entry>`."""
    answer = getattr(litellm, entry)(**_question(entry, provider, stream), **params)
    return list(answer) if stream else answer


def _question(entry: str, provider: FaultyProvider, stream: bool) -> dict[str, Any]:
    asked = {**litellm_params("openai", provider.url), **ENTRIES[entry], "max_retries": 0}
    return {**asked, "stream": True} if stream else asked


@pytest.fixture
def asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """litellm's embedding takes `max_retries=0` for none given and has OpenAI's client try twice more."""
    monkeypatch.setattr(litellm, "DEFAULT_MAX_RETRIES", 0)


def wait_for_attempts(provider: FaultyProvider, count: int) -> None:
    while provider.attempts < count:
        threading.Event().wait(0.005)


class TestAnswers:
    @pytest.mark.parametrize("path", ENDPOINTS)
    def test_every_endpoint_answers(self, path: str) -> None:
        """A healthy provider answers whole and streamed, and counts both."""
        with FaultyProvider(answer="hello there") as provider:
            for stream in (False, True):
                response, content = ask(provider, path, stream=stream)
                assert response.status == 200
                assert b"hello there" in content
            assert (provider.attempts, provider.answered) == (2, 2)

    def test_ollama_streams_unless_told_otherwise(self) -> None:
        """The Ollama format's default is a stream, one JSON object a line, the last one done."""
        with FaultyProvider() as provider:
            _, content = ask(provider, "/api/chat", model="m")
        assert [json.loads(line)["done"] for line in content.splitlines()] == [False, True]

    def test_requests_are_recorded(self) -> None:
        """A request is kept with its path, its content and the fault that met it."""
        with FaultyProvider(FAULTS["503"]) as provider:
            ask(provider, "/api/generate", model="m")
            [request] = provider.requests
        assert (request.path, request.body, request.fault) == ("/api/generate", {"model": "m"}, FAULTS["503"])

    def test_unknown_path_is_named(self) -> None:
        """A path nobody serves is a 404 that says which are served, and no attempt."""
        with FaultyProvider() as provider:
            response, content = ask(provider, "/v1/images/generations")
            assert provider.attempts == 0
        assert response.status == 404
        assert b"/v1/images/generations" in content
        assert b"/chat/completions" in content

    @pytest.mark.parametrize("provider_name", PROVIDERS)
    @pytest.mark.parametrize("stream", [False, True])
    async def test_litellm_accepts_them(self, provider_name: str, stream: bool) -> None:
        """All named providers are answered through litellm: async and sync, streamed and not."""
        with FaultyProvider(answer="hello there") as provider:
            params = litellm_params(provider_name, provider.url)
            answer = await litellm.acompletion(messages=MESSAGES, stream=stream, **params)
            text = [chunk async for chunk in answer] if stream else answer
            assert _text(text) == "hello there"
            answer = litellm.completion(messages=MESSAGES, stream=stream, **params)
            assert _text(list(answer) if stream else answer) == "hello there"
            assert provider.answered == 2

    @pytest.mark.parametrize("stream", [False, True])
    async def test_litellm_accepts_a_text_completion(self, stream: bool) -> None:
        """litellm accepts a text completion from /completions, with its text, its end and its usage."""
        with FaultyProvider(answer="hello there") as provider:
            answers = [
                await aenter("text_completion", provider, stream=stream),
                enter("text_completion", provider, stream=stream),
            ]
            assert {request.path for request in provider.requests} == {"/v1/completions"}
            assert (provider.attempts, provider.answered) == (2, 2)
        for answer in answers:
            choices = [part.choices[0] for part in (answer if stream else [answer])]
            assert "".join(choice.text or "" for choice in choices) == "hello there"
            assert choices[-1].finish_reason == "stop"
            assert stream or answer.usage.total_tokens == OPENAI_USAGE["total_tokens"]

    @pytest.mark.parametrize(
        ("given", "vectors"), [("ping", 1), (["ping", "pong"], 2), ([101, 102], 1), ([[101], [102], [103]], 3)]
    )
    async def test_litellm_accepts_embeddings(self, given: Any, vectors: int) -> None:
        """litellm accepts a vector for every text, be that words or a list of token numbers."""
        with FaultyProvider() as provider:
            params = {**litellm_params("openai", provider.url), **ENTRIES["embedding"], "input": given}
            answers = [await litellm.aembedding(**params), litellm.embedding(**params)]
            assert (provider.attempts, provider.answered) == (2, 2)
        for answer in answers:
            assert [item["embedding"] for item in answer.data] == [EMBEDDING] * vectors
            assert [item["index"] for item in answer.data] == list(range(vectors))

    async def test_litellm_accepts_a_response(self) -> None:
        """litellm accepts a whole answer of the Responses API, completed, with its text and its usage."""
        with FaultyProvider(answer="hello there") as provider:
            answers = [await aenter("responses", provider), enter("responses", provider)]
            assert (provider.attempts, provider.answered) == (2, 2)
        for answer in answers:
            _check_response(answer)

    async def test_litellm_accepts_a_streamed_response(self) -> None:
        """litellm accepts a streamed response, with numbered events in the order OpenAI sends them."""
        with FaultyProvider(answer="hello there") as provider:
            answers = [await aenter("responses", provider, stream=True), enter("responses", provider, stream=True)]
            _, content = ask(provider, "/v1/responses", stream=True)
            assert (provider.attempts, provider.answered) == (3, 3)
        for events in answers:
            assert [event.type for event in events] == [
                "response.created",
                "response.in_progress",
                "response.output_item.added",
                "response.content_part.added",
                "response.output_text.delta",
                "response.output_text.done",
                "response.content_part.done",
                "response.output_item.done",
                "response.completed",
            ]
            assert events[4].delta == "hello there"
            assert events[0].response.status == "in_progress"
            _check_response(events[-1].response)
        numbers = [json.loads(line[6:])["sequence_number"] for line in content.splitlines() if line[:5] == b"data:"]
        assert numbers == list(range(len(answers[0])))

    def test_unknown_provider_name_is_refused(self) -> None:
        """Parameters are known for the named providers only; the message lists them."""
        with pytest.raises(ValueError, match=r"'bedrock'; choose one of openai, .*anthropic"):
            litellm_params("bedrock", "http://127.0.0.1:1")


def _text(answer: Any) -> str:
    if isinstance(answer, list):
        return "".join(chunk.choices[0].delta.content or "" for chunk in answer)
    return str(answer.choices[0].message.content)


def _check_response(response: Any) -> None:
    assert response.status == "completed"
    assert response.output[0].content[0].text == "hello there"
    usage = response.usage if isinstance(response.usage, dict) else response.usage.model_dump()
    assert usage["total_tokens"] == RESPONSES_USAGE["total_tokens"]


class TestStatuses:
    @pytest.mark.parametrize("code", [201, 299, 300, 400, 402, 418, 429, 499, 500, 529, 599])
    def test_status_arrives(self, code: int) -> None:
        """A status with content arrives as it is, named or unassigned."""
        with FaultyProvider(Fault.status(code)) as provider:
            response, content = ask(provider)
            assert (provider.attempts, provider.answered) == (1, 0)
        assert response.status == code
        assert json.loads(content)["error"]["message"]

    @pytest.mark.parametrize("code", [204, 304])
    def test_status_without_content(self, code: int) -> None:
        """A 204 or a 304 carries no content (RFC 9110, section 6.4.1)."""
        with FaultyProvider(Fault.status(code)) as provider:
            response, content = ask(provider)
        assert (response.status, content) == (code, b"")

    @pytest.mark.parametrize("code", [100, 199])
    def test_interim_status_is_all_there_is(self, code: int) -> None:
        """A 1xx is sent bare and nothing follows it."""
        with (
            FaultyProvider(Fault.status(code)) as provider,
            socket.create_connection(("127.0.0.1", provider.port)) as raw,
        ):
            raw.sendall(b"POST /chat/completions HTTP/1.1\r\n\r\n")
            received = b"".join(iter(lambda: raw.recv(4096), b""))
        assert received.startswith(b"HTTP/1.1 %d " % code)
        assert received.endswith(b"\r\n\r\n")

    @pytest.mark.parametrize("code", [-1, 0, 99, 600, 10**9])
    def test_impossible_status_is_refused(self, code: int) -> None:
        """A status outside 100 to 599 is named in the error."""
        with pytest.raises(ValueError, match=f"HTTP status {code} is outside 100 to 599"):
            Fault.status(code)

    @pytest.mark.parametrize("delay", [6, 0.5, "Wed, 21 Oct 2015 07:28:00 GMT"])
    def test_retry_after(self, delay: float | str) -> None:
        """Retry-After is sent as given: seconds or a date."""
        with FaultyProvider(Fault.status(429, retry_after=delay)) as provider:
            response, _ = ask(provider)
        assert response.headers["retry-after"] == str(delay)

    def test_no_retry_after_unless_asked(self) -> None:
        """A plain 429 names no delay."""
        with FaultyProvider(FAULTS["429"]) as provider:
            response, _ = ask(provider)
        assert "retry-after" not in response.headers

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            (
                "/v1/chat/completions",
                {"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded"}},
            ),
            *(
                (path, {"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded"}})
                for path in PATHS.values()
            ),
            ("/v1/messages", {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down."}}),
            ("/api/chat", {"error": "Slow down."}),
            ("/api/generate", {"error": "Slow down."}),
        ],
    )
    def test_error_shape_of_the_format(self, path: str, expected: dict[str, Any]) -> None:
        """An error wears the shape of the format it was asked in, with the wording given."""
        with FaultyProvider(Fault.status(429, message="Slow down.")) as provider:
            _, content = ask(provider, path)
        assert json.loads(content) == expected

    def test_own_content(self) -> None:
        """Content and content type replace the format's shape, as a load balancer's error page would."""
        with FaultyProvider(Fault.status(502, body=HTML_PAGE, content_type="text/html")) as provider:
            response, content = ask(provider)
        assert (response.status, response.headers["content-type"], content) == (502, "text/html", HTML_PAGE)

    @pytest.mark.parametrize(
        ("fault", "content_type", "expected"),
        [
            (HTML_200, "text/html", HTML_PAGE),
            (TEXT_200, "text/plain", b"upstream is warming up"),
            (FAULTS["empty-200"], "application/json", b""),
        ],
    )
    def test_success_that_is_none(self, fault: Fault, content_type: str, expected: bytes) -> None:
        """A 200 may hold a page, plain text or nothing; it is an attempt, not an answer."""
        with FaultyProvider(fault) as provider:
            response, content = ask(provider)
            assert (provider.attempts, provider.answered) == (1, 0)
        assert (response.status, response.headers["content-type"], content) == (200, content_type, expected)


class TestConnections:
    def test_refused_port_is_kept_and_heals(self) -> None:
        """While a provider refuses nobody else gets its port, and afterwards it answers there again."""
        with FaultyProvider(REFUSED) as provider, socket.socket() as rival:
            with pytest.raises(ConnectionRefusedError):
                ask(provider)
            with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
                rival.bind(("127.0.0.1", provider.port))
            provider.fault = HEALTHY
            assert ask(provider)[0].status == 200
            provider.fault = REFUSED
            with pytest.raises(ConnectionRefusedError):
                ask(provider)
            assert provider.attempts == 1

    def test_reset(self) -> None:
        """The request is read, then the connection is reset."""
        with FaultyProvider(RESET) as provider:
            with pytest.raises(ConnectionResetError) as caught:
                ask(provider)
            assert caught.value.errno == errno.ECONNRESET
            assert provider.attempts == 1

    def test_close(self) -> None:
        """The request is read, then the connection ends in order, before any header."""
        with FaultyProvider(CLOSED) as provider:
            with pytest.raises(http.client.RemoteDisconnected) as caught:
                ask(provider)
            assert caught.value.errno is None
            assert provider.attempts == 1

    @pytest.mark.parametrize("path", [*ENDPOINTS, "/v1/embeddings"])
    @pytest.mark.parametrize("stream", [False, True])
    def test_truncated(self, path: str, stream: bool) -> None:
        """Half the content announced arrives."""
        with FaultyProvider(TRUNCATED) as provider:
            with pytest.raises(http.client.IncompleteRead) as caught:
                ask(provider, path, stream=stream)
            assert (provider.attempts, provider.answered) == (1, 0)
        assert 0 < len(caught.value.partial) <= (caught.value.expected or 0) + 1

    @pytest.mark.parametrize("path", ENDPOINTS)
    def test_torn(self, path: str) -> None:
        """The answer's words arrive in a whole event, and nothing of what follows them."""
        with FaultyProvider(answer="pong") as provider:
            _, whole = ask(provider, path, stream=True)
            provider.fault = TORN
            with pytest.raises(http.client.IncompleteRead) as caught:
                ask(provider, path, stream=True)
            assert (provider.attempts, provider.answered) == (2, 1)
        received = caught.value.partial
        assert whole.startswith(received)
        assert b"pong" in received
        assert received.endswith(b"\n\n" if b"\n\n" in whole else b"pong")

    @pytest.mark.parametrize("end", ["heal", "close"])
    def test_silence_ends_with_the_fault_or_the_provider(self, end: str) -> None:
        """A silent request hangs until the provider heals or closes, and then ends unanswered."""
        ended: list[BaseException] = []

        def wait_in_vain() -> None:
            try:
                ask(provider)
            except (http.client.HTTPException, OSError) as error:
                ended.append(error)

        with FaultyProvider(SILENT) as provider:
            client = threading.Thread(target=wait_in_vain)
            client.start()
            wait_for_attempts(provider, 1)
            assert not ended
            if end == "heal":
                provider.fault = HEALTHY
                client.join(CLIENT_DEADLINE / 2)
                assert ended
                assert ask(provider)[0].status == 200
        client.join(CLIENT_DEADLINE)
        assert [type(error) for error in ended] == [http.client.RemoteDisconnected]

    def test_closing_leaves_nothing_behind(self) -> None:
        """After close the server thread is gone and the port is free."""
        with FaultyProvider() as provider:
            assert "faulty-provider" in {thread.name for thread in threading.enumerate()}
        assert "faulty-provider" not in {thread.name for thread in threading.enumerate()}
        with socket.socket() as successor:
            successor.bind(("127.0.0.1", provider.port))

    def test_unresolvable_is_a_url(self) -> None:
        """An unresolvable provider is one whose url names a reserved host; a running one cannot move there."""
        with FaultyProvider(UNRESOLVABLE) as provider:
            assert provider.url == UNRESOLVABLE_URL
            with pytest.raises(ValueError, match="create it with fault=UNRESOLVABLE"):
                provider.fault = HEALTHY
        with FaultyProvider() as provider, pytest.raises(ValueError, match="cannot change its host name"):
            provider.fault = UNRESOLVABLE


class TestThroughLitellm:
    @pytest.mark.parametrize("provider_name", PROVIDERS)
    @pytest.mark.parametrize("name", FAULTS)
    async def test_every_fault_is_a_failure(self, provider_name: str, name: str) -> None:
        """Whatever the fault, litellm raises one of its exceptions, async and sync, and the provider saw the call."""
        fault = FAULTS[name]
        with FaultyProvider(fault) as provider:
            params = {**litellm_params(provider_name, provider.url), **patience(fault), "messages": MESSAGES}
            with pytest.raises(openai.APIError):
                await litellm.acompletion(max_retries=0, **params)
            with pytest.raises(openai.APIError):
                litellm.completion(max_retries=0, **params)
            unseen = fault.kind in (Kind.REFUSE, Kind.UNRESOLVABLE)
            assert (provider.attempts == 0) if unseen else (provider.attempts >= 2)
            assert provider.answered == 0

    @pytest.mark.usefixtures("asked_once")
    @pytest.mark.parametrize(("entry", "stream"), MODES)
    @pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 408, 429, 500, 503, 529])
    async def test_a_status_arrives_at_every_entry(self, entry: str, stream: bool, code: int) -> None:
        """At every entry the status of the error is the status of the exception."""
        with FaultyProvider(Fault.status(code)) as provider:
            with pytest.raises(openai.APIError) as caught:
                await aenter(entry, provider, stream=stream)
            assert caught.value.status_code == code
            with pytest.raises(openai.APIError) as caught:
                enter(entry, provider, stream=stream)
            assert caught.value.status_code == code
            assert [request.path for request in provider.requests] == [PATHS[entry]] * 2
            assert (provider.attempts, provider.answered) == (2, 0)

    @pytest.mark.usefixtures("asked_once")
    @pytest.mark.parametrize("entry", ENTRIES)
    @pytest.mark.parametrize("name", FAULTS)
    async def test_every_fault_is_a_failure_at_every_entry(self, entry: str, name: str) -> None:
        """Every fault is a failure of text completions, embeddings and responses, as it is of chat."""
        fault = FAULTS[name]
        with FaultyProvider(fault) as provider:
            with pytest.raises(openai.APIError):
                await aenter(entry, provider, **patience(fault))
            with pytest.raises(openai.APIError):
                enter(entry, provider, **patience(fault))
            unseen = fault.kind in (Kind.REFUSE, Kind.UNRESOLVABLE)
            assert (provider.attempts == 0) if unseen else (provider.attempts >= 2)
            assert provider.answered == 0

    @pytest.mark.parametrize("name", [name for name in FAULTS if name != "unresolvable"])
    async def test_it_heals(self, name: str) -> None:
        """A client that met the fault is answered as soon as it has gone."""
        with FaultyProvider(FAULTS[name]) as provider:
            params: dict[str, Any] = {**litellm_params("openai", provider.url), "messages": MESSAGES}
            with pytest.raises(openai.APIError):
                await litellm.acompletion(max_retries=0, **params, **patience(FAULTS[name]))
            provider.fault = HEALTHY
            assert _text(await litellm.acompletion(max_retries=0, **params)) == "pong"
            assert provider.answered == 1
