"""What the proxy shows of its deployments and of its callers holds no credential: no health check, no header."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.routes import PATIENCE, ask, comes_true
from support.faulty_provider import HEALTHY, Fault, FaultyProvider
from support.gateway import MASTER_KEY, Gateway

KEY = "correct-horse.battery:staple/42"
PASSWORD = "pa55w0rd-of-the-url"
QUERY_KEY = "in-the-query-0815"
HEADER = "Basic.of-a-header.99"
CALLERS_KEY = "callers-own-key-4711-xyz"
SECRETS = {"key": KEY, "password": PASSWORD, "query": QUERY_KEY, "header": HEADER, "caller": CALLERS_KEY}


class Shown:
    """A proxy with three groups at one provider, which is healthy until a test says otherwise."""

    def __init__(self, gateway: Gateway, provider: FaultyProvider) -> None:
        self.gateway = gateway
        self.provider = provider

    def get(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {MASTER_KEY}"}
        return httpx.get(self.gateway.url + path, headers=headers, timeout=PATIENCE, trust_env=False)


def deployment(group: str, address: str) -> dict[str, Any]:
    params = {"model": "openai/m", "api_base": address, "api_key": KEY, "timeout": 5, "max_retries": 0}
    configurable = {"configurable_clientside_auth_params": ["api_key"], "extra_headers": {"X-Auth": HEADER}}
    return {"model_name": group, "litellm_params": {**params, **configurable}, "model_info": {"mode": "chat"}}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with FaultyProvider() as provider:
        bare = provider.url.removeprefix("http://")
        groups = [
            deployment("plain", provider.url),
            deployment("password", f"http://user:{PASSWORD}@{bare}"),
            deployment("query", f"{provider.url}?api_key={QUERY_KEY}&x=1"),
        ]
        settings = {"router_settings": {"num_retries": 0, "disable_cooldowns": True}}
        with Gateway({"model_list": groups, **settings}, tmp_path_factory.mktemp("proxy")) as gateway:
            yield Shown(gateway, provider)


def echo() -> Fault:
    """A provider that repeats every credential it may have seen."""
    said = "; ".join(f"no such {name}: {secret}" for name, secret in SECRETS.items())
    error = {"message": said, "type": "invalid_request_error", "code": "invalid_api_key"}
    return Fault.status(401, body=json.dumps({"error": error}).encode())


def leaked(text: str, *names: str) -> list[str]:
    return [name for name in names or SECRETS if SECRETS[name] in text]


DEPLOYMENTS_OWN = ("key", "password", "query", "header")


@pytest.mark.parametrize("path", ["/health", "/health?model=password", "/model/info", "/v1/model/info"])
@pytest.mark.parametrize("fault", [HEALTHY, echo()], ids=["healthy", "echo"])
def test_shown_deployments_hold_no_credential(shown: Shown, path: str, fault: Fault) -> None:
    """An administrator sees each deployment's model and address, and none of its keys and passwords."""
    shown.provider.fault = fault
    response = shown.get(path)
    assert leaked(response.text, *DEPLOYMENTS_OWN) == []
    assert "openai/m" in response.text
    assert f"127.0.0.1:{shown.provider.port}" in response.text


def test_callers_own_key_shown_nowhere(shown: Shown) -> None:
    """A key that a caller brings for the provider stands in no answer, header or line of the log."""
    shown.provider.fault = echo()
    response = ask(shown.gateway, "plain", api_key=CALLERS_KEY)
    assert response.status_code == 401
    assert leaked(response.text) == []
    assert leaked(str(response.headers)) == []
    assert comes_true(lambda: "no such caller" in shown.gateway.log)
    assert leaked(shown.gateway.log) == []


def test_providers_code_reaches_caller(shown: Shown) -> None:
    """The provider's code for its error stands in the error object, beside the status that is LiteLLM's code."""
    shown.provider.fault = echo()
    error = ask(shown.gateway, "plain").json()["error"]
    assert (error["code"], error["provider_specific_fields"]) == ("401", {"code": "invalid_api_key"})


def test_address_header_holds_no_password(tmp_path: Path) -> None:
    """The header that names a deployment's address names it without the user and password in it."""
    from litellm.proxy._types import UserAPIKeyAuth
    from litellm.proxy.common_request_processing import ProxyBaseLLMRequestProcessing

    headers = ProxyBaseLLMRequestProcessing.get_custom_headers(
        user_api_key_dict=UserAPIKeyAuth(), api_base=f"http://user:{PASSWORD}@host/v1"
    )
    assert headers["x-litellm-model-api-base"] == "http://REDACTED@host/v1"
