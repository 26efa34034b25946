"""The proxy's routes, and one proxy over a model group for each provider, whose faults a test chooses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from packaging.version import Version

from support.faulty_provider import HEALTHY, MODELS, UNRESOLVABLE, Fault, FaultyProvider, Kind, litellm_params
from support.gateway import MASTER_KEY, Gateway

TIMEOUT = 1.0
"""Seconds a deployment of the proxy may be silent."""

PATIENCE = 20.0
"""Seconds a caller waits for an answer, and a test for what takes a few seconds; only a broken proxy reaches it."""

NAMES_AN_OVERLOAD = Version(version("litellm")).release >= (1, 110)
QUESTION = "asked by a caller, not by a health check"
MESSAGES = [{"role": "user", "content": QUESTION}]
API_KEY = "sk-test"
"""Of every deployment, as `litellm_params` has it."""


@dataclass(frozen=True)
class Route:
    """A path of the proxy, what to ask there besides the model, and the providers that can be asked there."""

    path: str
    body: dict[str, Any]
    providers: tuple[str, ...] = tuple(MODELS)
    streams: bool = True

    @property
    def is_anthropics(self) -> bool:
        """Whether its errors are in Anthropic's format; all others are in OpenAI's."""
        return self.path == "/v1/messages"

    def question(self, group: str, stream: bool, **more: Any) -> dict[str, Any]:
        """The body of a request for `group`."""
        return {"model": group, **({"stream": stream} if self.streams else {}), **self.body, **more}


ROUTES: dict[str, Route] = {
    "chat": Route("/v1/chat/completions", {"messages": MESSAGES}),
    "text": Route("/v1/completions", {"prompt": "ping"}),
    "embeddings": Route("/v1/embeddings", {"input": "ping"}, ("openai", "hosted_vllm"), streams=False),
    "responses": Route("/v1/responses", {"input": "ping"}),
    "messages": Route("/v1/messages", {"messages": MESSAGES, "max_tokens": 9}),
}
MODES = [(name, stream) for name, route in ROUTES.items() for stream in ((False, True) if route.streams else (False,))]
"""Each route without and, where there is that, with streaming."""


def ask(
    gateway: Gateway,
    group: str,
    route: Route = ROUTES["chat"],
    stream: bool = False,
    *,
    key: str = MASTER_KEY,
    **more: Any,
) -> httpx.Response:
    """The proxy's answer to one request of the holder of `key`, with `more` in its body."""
    return httpx.post(
        gateway.url + route.path,
        headers={"Authorization": f"Bearer {key}"},
        json=route.question(group, stream, **more),
        timeout=PATIENCE,
        trust_env=False,
    )


def callers(provider: FaultyProvider) -> int:
    """Chat requests of callers that have reached the provider."""
    return sum(QUESTION in str(request.body) for request in provider.requests)


class ProxiedProviders:
    """A proxy with a group for each provider, named like it, of one deployment; no retries and no cooldowns."""

    def __init__(self, gateway: Gateway, providers: dict[str, FaultyProvider]) -> None:
        self.gateway = gateway
        self.providers = providers

    def ask(self, route: Route, provider: str, fault: Fault, stream: bool) -> httpx.Response:
        """The proxy's answer to one request that meets `fault`; the provider is healthy afterwards."""
        if fault.kind is Kind.UNRESOLVABLE:
            return ask(self.gateway, f"{provider}-unresolvable", route, stream)
        self.providers[provider].fault = fault
        try:
            return ask(self.gateway, provider, route, stream)
        finally:
            self.providers[provider].fault = HEALTHY


@contextmanager
def proxied_providers(folder: Path, **params: Any) -> Iterator[ProxiedProviders]:
    """`params` are further litellm_params of every deployment."""
    with ExitStack() as stack:
        providers = {name: stack.enter_context(FaultyProvider()) for name in MODELS}
        urls = {name: provider.url for name, provider in providers.items()}
        urls |= {f"{name}-unresolvable": FaultyProvider(UNRESOLVABLE).url for name in MODELS}
        model_list = [_deployment(group, url, **params) for group, url in urls.items()]
        settings = {"num_retries": 0, "disable_cooldowns": True}
        gateway = stack.enter_context(Gateway({"model_list": model_list, "router_settings": settings}, folder))
        yield ProxiedProviders(gateway, providers)


def _deployment(group: str, url: str, **params: Any) -> dict[str, Any]:
    provider = group.partition("-")[0]
    return {
        "model_name": group,
        # 1.82.6 asks for tools, if an empty list of them, on the way from /v1/responses to chat; publicai takes none.
        "litellm_params": {**litellm_params(provider, url), "timeout": TIMEOUT, "drop_params": True, **params},
        "model_info": {"id": f"the-{group}"},
    }


def error_of(response: httpx.Response, route: Route) -> dict[str, Any]:
    """The error object of an answer in the format of its route; fails if it has another shape."""
    body = response.json()
    if route.is_anthropics:
        assert set(body) == {"type", "error"}, body
        assert body["type"] == "error"
        assert set(body["error"]) >= {"type", "message"}
    else:
        assert set(body) == {"error"}, body
        assert set(body["error"]) >= {"message", "type", "param", "code"}
        assert body["error"]["code"] in codes_for(response.status_code)
    error = body["error"]
    assert isinstance(error, dict)
    return error


def codes_for(status: int) -> tuple[str, ...]:
    """The `code` of an error in OpenAI's format: its status, or LiteLLM's own word for an overload, since 1.110."""
    return (str(status), "server_is_overloaded") if status == 529 and NAMES_AN_OVERLOAD else (str(status),)


def events_of(response: httpx.Response) -> list[str | dict[str, Any]]:
    """The data of each event of a stream, parsed but for OpenAI's last one, the text [DONE]."""
    lines = (line.removeprefix("data:").strip() for line in response.text.splitlines() if line.startswith("data:"))
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def comes_true(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Whether it does, within so many seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
