"""The proxy's caller gets Retry-After in whole seconds, in whichever form the provider states its wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from router_unit_tests.test_stated_waits import FORMS
from support.faulty_provider import HEALTHY, Fault, FaultyProvider, litellm_params
from support.gateway import MASTER_KEY, Gateway

ROUTES = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
}
SECONDS = {"fraction": "21", "spent limit": "20", "RetryInfo": "21", "words": "21"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, FaultyProvider, FaultyProvider]]:
    """A proxy that keeps a provider's wait for a minute at the most, and its two providers, of a group each."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(FaultyProvider()) for _ in range(2))
        config = {
            "model_list": [
                {"model_name": "one", "litellm_params": litellm_params("openai", one.url)},
                {"model_name": "other", "litellm_params": litellm_params("openai", other.url)},
            ],
            "litellm_settings": {"max_retry_after": 60},
            "router_settings": {"num_retries": 0},
        }
        yield stack.enter_context(Gateway(config, tmp_path_factory.mktemp("gateway"))), one, other


def ask(gateway: Gateway, model: str, route: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "ping"}], "max_tokens": 9}
    headers = {"Authorization": f"Bearer {MASTER_KEY}"}
    return httpx.post(f"{gateway.url}{ROUTES[route]}", headers=headers, json=body, timeout=30, trust_env=False)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("form", SECONDS)
def test_caller_gets_whole_seconds(
    served: tuple[Gateway, FaultyProvider, FaultyProvider], form: str, route: str
) -> None:
    """Each form reaches the caller as one Retry-After, rounded up."""
    gateway, one, _ = served
    one.fault = FORMS[form][0]
    response = ask(gateway, "one", route)
    assert response.status_code == 429
    assert response.headers.get_list("retry-after") == [SECONDS[form]]
    one.fault = HEALTHY


@pytest.mark.parametrize("route", ROUTES)
def test_caller_gets_no_longer_wait_than_allowed(
    served: tuple[Gateway, FaultyProvider, FaultyProvider], route: str
) -> None:
    """The caller is told to come back when the deployment is asked again, as `max_retry_after` in the file says."""
    gateway, _, other = served
    other.fault = Fault.status(429, retry_after=86400)
    response = ask(gateway, "other", route)
    assert (response.status_code, response.headers.get_list("retry-after")) == (429, ["60"])
