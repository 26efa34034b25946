"""A proxy over models that think, and callers of its streams who wait or hang up."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from proxy.routes import MESSAGES
from support.faulty_provider import litellm_params
from support.gateway import MASTER_KEY, Gateway
from support.thinking_provider import ThinkingProvider

CONTENTS = [{"role": "user", "parts": [{"text": "ping"}]}]


class StreamRoute(NamedTuple):
    """A route that streams: its path, the provider behind it and the body besides model and `stream`."""

    path: str
    provider: str
    body: dict[str, Any]


STREAM_ROUTES: dict[str, StreamRoute] = {
    "chat": StreamRoute("/v1/chat/completions", "openai", {"messages": MESSAGES}),
    "text": StreamRoute("/v1/completions", "text-completion-openai", {"prompt": "ping"}),
    "responses": StreamRoute("/v1/responses", "openai", {"input": "ping"}),
    "responses-by-chat": StreamRoute("/v1/responses", "hosted_vllm", {"input": "ping"}),
    "messages": StreamRoute("/v1/messages", "anthropic", {"messages": MESSAGES, "max_tokens": 9}),
    "messages-by-chat": StreamRoute("/v1/messages", "hosted_vllm", {"messages": MESSAGES, "max_tokens": 9}),
    "gemini": StreamRoute("/v1beta/models/{group}:streamGenerateContent?alt=sse", "gemini", {"contents": CONTENTS}),
}


class Answer(NamedTuple):
    """What a caller got: the status, the headers, the body, and seconds until its first byte (None if none came)."""

    status: int
    headers: dict[str, str]
    body: bytes
    first_byte: float | None


@contextmanager
def thinking_proxy(
    folder: Path, groups: Mapping[str, Sequence[ThinkingProvider]], **settings: Any
) -> Iterator[Gateway]:
    """A proxy with a group for each provider's name and each of `groups`: "chat-pair" is that of the route chat."""
    model_list = [
        {
            "model_name": f"{route}-{group}",
            "litellm_params": {**params_of(STREAM_ROUTES[route].provider, provider.url), "drop_params": True},
            "model_info": {"id": f"{route}-{group}-{number}"},
        }
        for route in STREAM_ROUTES
        for group, providers in groups.items()
        for number, provider in enumerate(providers)
    ]
    with ExitStack() as stack:
        for provider in {id(one): one for providers in groups.values() for one in providers}.values():
            stack.enter_context(provider)
        config = {"model_list": model_list, "router_settings": {"num_retries": 2}, **settings}
        yield stack.enter_context(Gateway(config, folder, LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY="true"))


def params_of(provider: str, url: str) -> dict[str, Any]:
    if provider == "text-completion-openai":
        return {**litellm_params("openai", url), "model": "text-completion-openai/gpt-3.5-turbo-instruct"}
    return litellm_params(provider, url)


def open_stream(gateway: Gateway, route: str, group: str, *, stream: bool = True) -> socket.socket:
    """A connection on which a request for a stream has been sent."""
    path, _, body = STREAM_ROUTES[route]
    named = f"{route}-{group}"
    content = json.dumps({"model": named, "stream": stream, **body}).encode()
    head = [
        f"POST {path.format(group=named)} HTTP/1.1",
        f"Host: 127.0.0.1:{gateway.port}",
        f"Authorization: Bearer {MASTER_KEY}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        "Connection: close",
    ]
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=60)
    connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + content)
    return connection


def read_to_the_end(connection: socket.socket) -> Answer:
    """The whole answer to the request on `connection`."""
    began = time.monotonic()
    first_byte = None
    received = b""
    with connection:
        while part := connection.recv(65536):
            received += part
            head, _, body = received.partition(b"\r\n\r\n")
            if first_byte is None and body:
                first_byte = time.monotonic() - began
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    is_chunked = headers.get("transfer-encoding") == "chunked"
    return Answer(int(lines[0].split()[1]), headers, _unchunked(body) if is_chunked else body, first_byte)


def _unchunked(body: bytes) -> bytes:
    """RFC 9112 section 7.1."""
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size or b"0", 16)
        content, body = content + body[:length], body[length + 2 :]
    return content
