"""Hosts that exist only for respx: each answers with whatever status, or transport error, it is set to."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import respx

from support.faulty_provider import MODELS
from support.provider_formats import whole

HEALTHY = 200
OVER_THE_OPENAI_CLIENT = ("openai", "publicai")
"""LiteLLM's own HTTP client, which the other providers use, sends a request a second time when the wire is cut."""

litellm: Any = importlib.import_module("litellm")


class Wire:
    """The hosts `http://<name>.test`; `state[name]` is an HTTP status or the transport error to raise."""

    def __init__(self, names: list[str]) -> None:
        self.state: dict[str, int | type[httpx.TransportError]] = dict.fromkeys(names, HEALTHY)
        self.words = "the provider said no"
        self.attempts: Counter[str] = Counter()

    def url(self, name: str) -> str:
        return f"http://{name}.test"

    def answer(self, request: httpx.Request) -> httpx.Response:
        """What respx calls for every request."""
        name = request.url.host.removesuffix(".test")
        if name not in self.state:  # LiteLLM may ask an Ollama of this machine about a model that is registered
            raise httpx.ConnectError("no such host", request=request)
        self.attempts[name] += 1
        state = self.state[name]
        if not isinstance(state, int):
            raise state("the wire is cut", request=request)
        if state != HEALTHY:
            return httpx.Response(state, json={"error": {"message": self.words}})
        model = json.loads(request.content)["model"]
        return httpx.Response(200, json=whole(self._format(request.url.path), model, "pong"))

    def _format(self, path: str) -> Any:
        return {"/v1/messages": "anthropic", "/api/chat": "ollama_chat"}.get(path, "openai")


@contextmanager
def wired(names: list[str]) -> Iterator[Wire]:
    """Puts litellm on plain httpx and respx under it for the duration."""
    wire = Wire(names)
    transport = litellm.disable_aiohttp_transport
    litellm.disable_aiohttp_transport = True
    litellm.in_memory_llm_clients_cache.flush_cache()
    try:
        with respx.mock(assert_all_called=False) as mock:
            mock.route().mock(side_effect=wire.answer)
            yield wire
    finally:
        litellm.disable_aiohttp_transport = transport
        litellm.in_memory_llm_clients_cache.flush_cache()


__all__ = ["HEALTHY", "MODELS", "OVER_THE_OPENAI_CLIENT", "Wire", "wired"]
