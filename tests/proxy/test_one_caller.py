"""What one caller of the proxy brings along takes no deployment from the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from proxy.routes import comes_true
from support.faulty_provider import HEALTHY, SILENT, Fault, FaultyProvider, litellm_params
from support.gateway import MASTER_KEY, Gateway

LIMITS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "x-litellm-timeout": ({"x-litellm-timeout": "0.2"}, {}),
    "x-litellm-stream-timeout": ({"x-litellm-stream-timeout": "0.2"}, {"stream": True}),
    "timeout": ({}, {"timeout": 0.2}),
    "timeout of a stream": ({}, {"timeout": 0.2, "stream": True}),
    "stream_timeout": ({}, {"stream_timeout": 0.2, "stream": True}),
}
ROUTES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "ping"}]}),
    "messages": ("/v1/messages", {"messages": [{"role": "user", "content": "ping"}], "max_tokens": 9}),
}
NAMING_A_FILE = [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]


class Shared(NamedTuple):
    """A proxy with a pair of deployments, and a lone one that has a fallback and an alias."""

    gateway: Gateway
    pair: tuple[FaultyProvider, FaultyProvider]
    lone: FaultyProvider

    def status(self, model: str, route: str = "chat", headers: dict[str, str] | None = None, **body: Any) -> int:
        """The HTTP status of one request, and that its answer was read to the end."""
        path, request = ROUTES[route]
        answer = httpx.post(
            f"{self.gateway.url}{path}",
            headers={"Authorization": f"Bearer {MASTER_KEY}", **(headers or {})},
            json={"model": model, **request, **body},
            timeout=30,
            trust_env=False,
        )
        return answer.status_code

    def break_the_pair(self, fault: Fault) -> None:
        for provider in self.pair:
            provider.fault = fault


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with ExitStack() as stack:
        one, other, lone, substitute = (stack.enter_context(FaultyProvider()) for _ in range(4))
        served = {"pair": (one, other), "lone": (lone,), "substitute": (substitute,)}
        config = {
            "model_list": [
                {"model_name": name, "litellm_params": litellm_params("openai", provider.url)}
                for name, providers in served.items()
                for provider in providers
            ],
            "router_settings": {
                "fallbacks": [{"lone": ["substitute"]}],
                "model_group_alias": {"by-another-name": "lone"},
                "num_retries": 0,
                "cooldown_time": 60,
            },
        }
        folder: Path = tmp_path_factory.mktemp("one-caller")
        weak = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
        yield Shared(stack.enter_context(Gateway(config, folder, **weak)), (one, other), lone)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("headers", "body"), LIMITS.values(), ids=LIMITS)
def test_own_time_limit_leaves_deployments_to_others(
    shared: Shared, headers: dict[str, str], body: dict[str, Any], route: str
) -> None:
    """Ten requests whose own limit ran out are told 408, and then four of four others are answered."""
    shared.break_the_pair(SILENT)
    limited = [shared.status("pair", route, headers, **body) for _ in range(10)]
    shared.break_the_pair(HEALTHY)
    assert [shared.status("pair", route) for _ in range(4)] == [200] * 4
    assert limited == [408] * 10


def test_missing_file_leaves_deployments_to_others(shared: Shared) -> None:
    """Two requests that name a file nobody has take a pair of deployments from nobody."""
    shared.break_the_pair(Fault.status(404, body=b'{"error": {"message": "No such file object."}}'))
    assert [shared.status("pair", messages=NAMING_A_FILE) for _ in range(4)] == [404] * 4
    shared.break_the_pair(HEALTHY)
    assert [shared.status("pair") for _ in range(4)] == [200] * 4


@pytest.mark.parametrize("own", [{"disable_fallbacks": True}, {"fallbacks": []}])
def test_caller_without_fallback_is_answered(shared: Shared, own: dict[str, Any]) -> None:
    """While a fallback stands in for a lone deployment, who has none still asks that deployment."""
    shared.lone.fault = Fault.status(429, retry_after=60)
    assert shared.status("lone") == 200
    asked = shared.lone.attempts
    assert comes_true(lambda: shared.status("lone") == 200 and shared.lone.attempts == asked)
    shared.lone.fault = HEALTHY
    assert [shared.status("lone", **own) for _ in range(4)] == [200] * 4


def test_alias_is_answered_while_the_fallback_stands_in(shared: Shared) -> None:
    """Four of four callers of an alias are answered too."""
    shared.lone.fault = Fault.status(429, retry_after=60)
    assert shared.status("lone") == 200
    shared.lone.fault = HEALTHY
    assert [shared.status("by-another-name") for _ in range(4)] == [200] * 4
