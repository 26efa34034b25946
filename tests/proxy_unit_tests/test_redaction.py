"""Neither a credential nor a deployment's host is in what the caller is told, or in the log."""

from __future__ import annotations

import importlib.util
import itertools
import logging
import string
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm import _logging
from litellm.litellm_core_utils import known_credentials

from support.answers import HOST, from_provider, told
from support.routing import deployment, routed

SECRET = "correct horse battery staple"


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test makes known is known to itself only."""
    monkeypatch.setattr(known_credentials, "_known", set())


@pytest.fixture
def deployments() -> Iterator[list[dict[str, Any]]]:
    """The proxy's deployments, to be filled."""
    model_list: list[dict[str, Any]] = []
    server = SimpleNamespace(llm_router=SimpleNamespace(model_list=model_list))
    with mock.patch("litellm.proxy.failover_errors.redaction._proxy_server", return_value=server):
        yield model_list


PARAMS: list[dict[str, Any]] = [
    {"api_key": SECRET},
    {"aws_secret_access_key": SECRET},
    {"vertex_credentials": SECRET},
    {"azure_ad_token": SECRET},
    {"azure_password": SECRET},
    {"extra_headers": {"Authorization": SECRET}},
    {"extra_body": {"nested": {"client_secret": SECRET}}},
]


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("params", PARAMS, ids=lambda params: next(iter(params)))
def test_a_deployments_credential_is_taken_out(params: dict[str, Any]) -> None:
    """A deployment's credential of any shape is taken out of what callers are told and of the log."""
    alone = deployment("a", "openai", "http://127.0.0.1:9")
    alone["litellm_params"].update(params)
    with routed([alone]):
        message = told(from_provider(401, f"no such key:{SECRET}!")).message
        record = logging.LogRecord("litellm", logging.ERROR, "file", 1, "no such %s", (SECRET,), None)
        assert _logging.SecretRedactionFilter().filter(record)
    assert SECRET not in message
    assert "no such key:REDACTED!" in message
    assert record.getMessage() == "no such REDACTED"


@pytest.mark.usefixtures("known")
def test_credential_name_and_length() -> None:
    """A setting is a credential by its name, and by a value long enough not to occur by chance."""
    params = {"model": "gpt-4o-mini", "a_key": "sesame7", "b_key": "sesame-8", "max_tokens": 12345678}
    known_credentials.remember_credentials(params)
    message = told(from_provider(401, "gpt-4o-mini has sesame7, sesame-8, 12345678")).message
    assert "gpt-4o-mini has sesame7, REDACTED, 12345678" in message


@pytest.mark.usefixtures("known")
def test_credential_added_during_redaction() -> None:
    """A deployment may be added by another thread while a text is redacted."""

    class Text(str):
        def __contains__(self, credential: object) -> bool:
            known_credentials.remember_credentials({"api_key": f"{SECRET} {next(numbers)}"})
            return super().__contains__(credential)  # type: ignore[operator]

    numbers = itertools.count()
    known_credentials.remember_credentials({"a_key": SECRET, "b_key": SECRET[::-1]})
    assert known_credentials.redact_known_credentials(str)(Text(f"key {SECRET}.")) == "key REDACTED."


@pytest.mark.usefixtures("known")
def test_a_text_is_searched_once() -> None:
    """A message that comes twice in a row is searched for shapes once; what is known to be a credential since, goes."""
    searched: list[str] = []

    def by_shape(text: str) -> str:
        searched.append(text)
        return text.upper()

    redact = known_credentials.redact_known_credentials(by_shape)
    text = f"no such key: {SECRET}"
    assert [redact(one) for one in (text, text, "else", text)] == [text.upper(), text.upper(), "ELSE", text.upper()]
    assert searched == [text, "else", text]
    known_credentials.remember_credentials({"api_key": SECRET})
    assert redact(text) == "NO SUCH KEY: REDACTED"


@pytest.mark.usefixtures("known")
def test_a_credential_within_another_leaves_none_of_it() -> None:
    """Of a credential that contains another one nothing is left, since the longer one goes first."""
    known_credentials.remember_credentials({"a_key": SECRET, "b_key": f"{SECRET}-of-the-team"})
    assert "key REDACTED." in told(from_provider(401, f"key {SECRET}-of-the-team.")).message


@pytest.mark.parametrize(
    ("switch", "shown"),
    [("", "REDACTED"), ("false", "REDACTED"), ("yes", "REDACTED"), ("true", SECRET), ("True", SECRET)],
)
def test_the_environments_credentials_are_known_from_the_start(
    switch: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials in the environment are redacted from the start, unless LiteLLM's redaction is switched off."""
    monkeypatch.setenv("SOME_PROVIDER_API_KEY", SECRET)
    monkeypatch.setenv("LITELLM_DISABLE_REDACT_SECRETS", switch)
    redact = imported_anew(known_credentials).redact_known_credentials(str)
    assert redact(f"no such key: {SECRET}") == f"no such key: {shown}"


def imported_anew(module: ModuleType) -> Any:
    """A copy of `module`, which has looked at the environment as it is now."""
    assert module.__spec__ is not None
    assert module.__spec__.loader is not None
    copy = importlib.util.module_from_spec(module.__spec__)
    module.__spec__.loader.exec_module(copy)
    return copy


@pytest.mark.parametrize("setting", ["api_base", "base_url"])
@pytest.mark.parametrize(
    ("url", "said", "left"),
    [
        (f"https://{HOST}/v1", f"for url https://{HOST}/v1/chat", "for url https:REDACTED/v1/chat"),
        (f"https://{HOST.upper()}/v1", f"for url https://{HOST.upper()}/v1", "for url https:REDACTED/v1"),
        (f"http://{HOST}:8000", f"connect to {HOST}:8000 failed", "connect to REDACTED failed"),
        ("http://ollama:11434", "Ollama at ollama:11434, says ollama", "Ollama at REDACTED, says ollama"),
        ("http://[not a url", "for url http://[not a url", "for url http://[not a url"),
    ],
)
def test_a_deployments_host_is_taken_out(
    deployments: list[dict[str, Any]], setting: str, url: str, said: str, left: str
) -> None:
    """A deployment's host is taken out of addresses, and a word that is a host's name as well stays."""
    deployments.append({"litellm_params": {setting: url, "model": "ollama/x"}})
    assert left in told(from_provider(500, said)).message


@given(
    name=st.text(string.ascii_lowercase, min_size=1),
    password=st.text(string.ascii_letters + string.digits + "%-._~!$&'()*+,;=", min_size=1),
)
def test_credentials_in_a_url_are_taken_out(name: str, password: str) -> None:
    """Credentials in a URL are taken out, whosever they are (RFC 3986, section 3.2.1)."""
    message = told(from_provider(500, f"at https://{name}:{password}@proxy.example/x")).message
    assert f"{name}:{password}@" not in message


SHAPES = {
    "openai": "sk-{}",
    "anthropic": "sk-ant-api03-{}",
    "google": "AIza{}",
    "bearer": "Authorization: Bearer {}",
    "header": "x-api-key: {}",
    "query": "api_key={}",
}


@given(
    shape=st.sampled_from(sorted(SHAPES)),
    secret=st.text(string.ascii_letters + string.digits, min_size=35, max_size=35),
)
def test_what_looks_like_a_key_is_taken_out(shape: str, secret: str) -> None:
    """A text that looks like a key is taken out, even if the proxy does not know it."""
    assert secret not in told(from_provider(401, f"who is {SHAPES[shape].format(secret)}?")).message
