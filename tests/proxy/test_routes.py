"""One failing request a route, which `nox -s releases` makes on every release: an edit that breaks a handler shows."""

from __future__ import annotations

import pytest

from proxy.routes import MODES, ROUTES, ProxiedProviders
from support.faulty_provider import Fault


@pytest.mark.parametrize(("route", "stream"), MODES)
@pytest.mark.parametrize("status", [404, 429, 503])
def test_failure_keeps_its_status(proxied: ProxiedProviders, route: str, stream: bool, status: int) -> None:
    """Each route answers a provider's failure with its status and an error in the route's format."""
    response = proxied.ask(ROUTES[route], "openai", Fault.status(status), stream)
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["message"]
    assert (response.json().get("type") == "error") is ROUTES[route].is_anthropics
