"""What the tests of the real proxy share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proxy.routes import ProxiedProviders, proxied_providers


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedProviders]:
    """A proxy over a group for each provider."""
    with proxied_providers(tmp_path_factory.mktemp("proxy")) as proxied:
        yield proxied
