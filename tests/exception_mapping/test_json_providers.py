"""The providers of providers.json, also those added at run time, are OpenAI-like (#24366, option A)."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import litellm
import pytest
from litellm.llms.openai_like.json_loader import JSONProviderRegistry, SimpleProviderConfig

from exception_mapping.expectations import mapped
from exception_mapping.failures import AnsweredError


@pytest.fixture
def added_provider() -> Iterator[str]:
    """A provider a user adds to the registry while the process runs."""
    JSONProviderRegistry._providers["acme"] = SimpleProviderConfig(
        "acme", {"base_url": "https://acme.test/v1", "api_key_env": "ACME_API_KEY"}
    )
    yield "acme"
    del JSONProviderRegistry._providers["acme"]
    if "acme" in litellm._openai_like_providers:
        litellm._openai_like_providers.remove("acme")


def test_the_providers_of_providers_json_are_openai_like() -> None:
    """All providers of providers.json are OpenAI-like, so none ends in the catch-all (#24366, option A)."""
    registered = set(JSONProviderRegistry.list_providers())
    assert registered
    assert registered <= set(litellm._openai_like_providers)


def test_runtime_provider_is_openai_like(added_provider: str) -> None:
    """A provider that is registered at run time is mapped by the OpenAI-like branch."""
    exception = mapped(AnsweredError(429), added_provider)
    assert (type(exception), exception.status_code) == (litellm.RateLimitError, 429)
    assert exception.message == mapped(AnsweredError(429), "databricks").message.replace("Databricks", "Acme")


def test_registration_is_logged(added_provider: str, caplog: pytest.LogCaptureFixture) -> None:
    """The debug log names each provider that is registered."""
    from litellm.litellm_core_utils.http_status_mapping import register_json_providers

    with caplog.at_level(logging.DEBUG, logger="LiteLLM"):
        register_json_providers()
    assert added_provider in litellm._openai_like_providers
    assert any(added_provider in record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG)


@pytest.mark.parametrize("missing", ["base_url", "api_key_env"])
def test_an_incomplete_entry_is_logged_and_left_out(
    added_provider: str, missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An incomplete entry is logged and left out, and its failures agree with their status all the same."""
    from litellm.litellm_core_utils.http_status_mapping import register_json_providers

    setattr(JSONProviderRegistry._providers[added_provider], missing, "")
    with caplog.at_level(logging.WARNING, logger="LiteLLM"):
        register_json_providers()
    assert added_provider not in litellm._openai_like_providers
    assert any(missing in record.getMessage() for record in caplog.records)
    assert type(mapped(AnsweredError(429), added_provider)) is litellm.RateLimitError


def test_unreadable_registry_is_skipped(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A registry that cannot be read is logged and does not keep litellm from being imported."""
    from litellm.litellm_core_utils.http_status_mapping import register_json_providers

    def broken() -> list[str]:
        raise ValueError("line 3: expected a comma")

    monkeypatch.setattr(JSONProviderRegistry, "list_providers", broken)
    with caplog.at_level(logging.WARNING, logger="LiteLLM"):
        register_json_providers()
    assert any("line 3: expected a comma" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("slug", [None, "", "unheard_of"])
def test_unregistered_provider_is_not_json(slug: str | None) -> None:
    """A provider that the registry does not know, or none at all, is not one of providers.json."""
    from litellm.litellm_core_utils.http_status_mapping import is_json_provider

    assert is_json_provider(slug) is False


def test_registry_entries_are_json_providers() -> None:
    """Every entry of the shipped registry is a provider of providers.json."""
    from litellm.litellm_core_utils.http_status_mapping import is_json_provider

    slugs = JSONProviderRegistry.list_providers()
    assert slugs
    assert all(map(is_json_provider, slugs))
