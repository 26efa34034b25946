"""A key in a config is in nothing the command says."""

from __future__ import annotations

import string
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drill.configs import run, written

SECRETS = st.text(string.ascii_letters + string.digits + "-_", min_size=12, max_size=40).map("sk-".__add__)
TEMPLATE = """\
environment_variables: {OTHER_KEY: SECRET}
model_list:
  - model_name: one
    litellm_params:
      model: openai/gpt-4o
      api_key: SECRET
      api_base: https://user:SECRET@example.com/v1?key=SECRET
      api_kee: SECRET
      timeout: SECRET
      cooldown_time: 0
    model_info: {id: SECRET}
  - model_name: one
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/SECRET
      api_base: https://user:SECRET@example.com/v1?key=SECRET
    model_info: {id: SECRET}
  - litellm_params: {api_key: SECRET}
router_settings:
  num_retries: 0
  redis_passwort: SECRET
  fallbacks: SECRET
  health_check_interval: SECRET
general_settings:
  master_key: SECRET
  databse_url: postgres://user:SECRET@host/db
  health_check_interval: SECRET
"""
FAULTS = {
    "bracket": "  - broken: [}\n",
    "twice": "general_settings: {master_key: SECRET}\n",
    "anchor": "other: *SECRET\n",
    "tab": "\tSECRET\n",
}
"""By name, what makes no YAML of the config: what is said of it has no form."""


@pytest.mark.parametrize(
    ("form", "fault"),
    [("text", ""), ("json", ""), ("sarif", ""), *(("text", fault) for fault in FAULTS.values())],
    ids=["text", "json", "sarif", *FAULTS],
)
@given(secret=SECRETS)
@settings(max_examples=10)
def test_keys_are_not_shown(form: str, fault: str, secret: str) -> None:
    """Whatever a key is and wherever it stands, in a good file or a broken one, no form of output has it."""
    with TemporaryDirectory() as folder:
        result = run("--format", form, written(Path(folder), (TEMPLATE + fault).replace("SECRET", secret)))
    assert result.exit_code == (2 if fault else 1)
    assert secret not in result.output


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "SKLIVEABCDEF0123456789ABCDEF0123456789",
        "sk-ant-secretsecretsecret1",
        "gsk_0123456789abcdefghij",
    ],
)
def test_keys_for_names_are_not_shown(tmp_path: Path, secret: str) -> None:
    """A key that was put where a name belongs is told without it."""
    text = """\
model_list: [{model_name: a, litellm_params: {model: openai/x, api_key: os.environ/SECRET}}]
general_settings: {SECRET: x}
SECRET: 5
router_settings: {fallbacks: [{SECRET: [a]}, {a: [SECRET]}], model_group_alias: {b: SECRET}}
"""
    result = run(written(tmp_path, text.replace("SECRET", secret)))
    assert result.exit_code == 1
    assert secret not in result.output


def test_values_of_variables_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment only the names are asked for: a variable with an empty value counts as set."""
    monkeypatch.setenv("SOME_KEY", "")
    config = "general_settings: {master_key: os.environ/SOME_KEY}"
    assert run(written(tmp_path, config), variables=["SOME_KEY"]).exit_code == 0
