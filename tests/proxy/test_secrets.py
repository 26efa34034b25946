"""No credential and no host of a deployment reaches a caller or the log, on any route, in any shape."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.routes import MODES, ROUTES, ProxiedProviders, proxied_providers
from support.faulty_provider import FAULTS, MODELS, Fault

KEY = "correct-horse.battery:staple/42"
"""A deployment's key, of a shape no pattern knows."""

SHAPES = (
    "{}",
    "invalid key {}",
    "Authorization: Bearer {}",
    "{{'x-api-key': '{}'}}",
    "https://user:{}@llm.internal.example/v1",
    '{{"error": {{"message": "bad key {}"}}}}',
    "api_key={}&x=1",
    "b'{}'",
)
known_shapes = ("sk-{}", "sk-ant-api03-{}", "AIza{}", "Bearer {}", "password={}", "client_secret: {}")
letters = string.ascii_letters + string.digits


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedProviders]:
    with proxied_providers(tmp_path_factory.mktemp("proxy"), api_key=KEY) as proxied:
        yield proxied


@st.composite
def secrets(draw: st.DrawFn) -> tuple[str, str]:
    """A secret, and a message that tells it: the deployment's own in any shape, or another's in a shape of keys."""
    if draw(st.booleans()):
        return KEY, draw(st.sampled_from(SHAPES)).format(KEY)
    secret = draw(st.text(letters, min_size=35, max_size=35))
    return secret, draw(st.sampled_from(known_shapes)).format(secret)


@pytest.mark.parametrize(("route_name", "stream"), MODES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    told=secrets(),
    status=st.sampled_from((400, 401, 403, 404, 422, 429, 500, 503)),
    provider=st.sampled_from(sorted(MODELS)),
    whole=st.booleans(),
)
def test_provider_message_is_redacted(
    proxied: ProxiedProviders,
    route_name: str,
    stream: bool,
    told: tuple[str, str],
    status: int,
    provider: str,
    whole: bool,
) -> None:
    """A secret that a provider repeats is neither in the body nor in a header nor in the proxy's log."""
    secret, message = told
    route = ROUTES[route_name]
    if provider not in route.providers:
        provider = route.providers[0]
    fault = Fault.status(status, message=message)
    if whole:
        fault = Fault.status(status, body=message.encode(), content_type="text/plain")
    response = proxied.ask(route, provider, fault, stream)
    # Of a lone deployment's stream LiteLLM's bridges make up the first event, and tell of the failure by the next one.
    is_told_by_event = stream and "event: error" in response.text
    assert response.status_code == (200 if is_told_by_event else status)
    assert secret not in response.text
    assert secret not in str(response.headers)
    assert secret not in proxied.gateway.log


def test_where_a_deployment_is_stays_unknown(proxied: ProxiedProviders) -> None:
    """The host of a deployment is told to no caller, whether it answers or not."""
    hosts: list[Any] = [f"127.0.0.1:{provider.port}" for provider in proxied.providers.values()]
    for route_name, stream in MODES:
        route = ROUTES[route_name]
        for provider in route.providers:
            for fault in (FAULTS[name] for name in ("404", "500", "refused", "reset")):
                text = proxied.ask(route, provider, fault, stream).text
                assert not [host for host in hosts if host in text], text
