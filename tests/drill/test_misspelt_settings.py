"""A setting that is nearly one, or at a place where LiteLLM does not read it, is found; what may be meant is not."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import pytest

from drill.configs import run, written
from litellm_drill.release import Release, installed

CONFIG = """\
model_list:
  - model_name: g
    litellm_params: {model: hosted_vllm/a, api_base: "http://a:8000/v1", timeout: 30, PARAMS}
    model_info: {mode: chat, INFO}
    BESIDE
  - model_name: g
    litellm_params: {model: hosted_vllm/a, api_base: "http://b:8000/v1", timeout: 30}
router_settings: {num_retries: 2, SETTINGS}
litellm_settings: {drop_params: true, LITELLM}
general_settings: {master_key: sk-0123456789, GENERAL}
TOP
"""
EMPTY = {
    "PARAMS": "temperature: 0",
    "INFO": "id: one",
    "BESIDE": "x-note: a",
    "SETTINGS": "cooldown_time: 5",
    "LITELLM": "set_verbose: false",
    "GENERAL": "infer_model_from_keys: true",
    "TOP": "callback_settings: {}",
}


def found(folder: Path, place: str, text: str) -> list[tuple[str, str]]:
    """The findings, and their remedies, where `text` stands at `place`."""
    config = CONFIG
    for name, given in {**EMPTY, place: text}.items():
        config = config.replace(name, given)
    rows = json.loads(run("--format", "json", written(folder, config)).stdout)
    return [(row["rule"], row["remedy"]) for row in rows]


@pytest.mark.parametrize(
    ("place", "text", "remedy"),
    [
        ("PARAMS", "num_retry: 5", "Write `num_retries`, if that is meant."),
        ("PARAMS", "allowed_fails_policy: {TimeoutErrorAllowedFail: 3}", "Write `TimeoutErrorAllowedFails`, if that"),
        ("PARAMS", "total_timeout: 20", "Move it to `router_settings`."),
        ("INFO", "supports_visoin: true", "Write `supports_vision`, if that is meant."),
        ("INFO", "acess_groups: [x]", "Write `access_groups`, if that is meant."),
        ("BESIDE", "order: 1", "Move it to `litellm_params`."),
        ("BESIDE", "tags: [paid]", "Move it to `litellm_params`."),
        ("BESIDE", "modelinfo: {mode: chat}", "Write `model_info`, if that is meant."),
        ("SETTINGS", "retry_policy: {TimeoutErrorRetry: 3}", "Write `TimeoutErrorRetries`, if that is meant."),
        ("SETTINGS", "model_group_retry_policy: {g: {TimeoutErrorRetry: 3}}", "Write `TimeoutErrorRetries`, if that"),
        ("SETTINGS", "routing_strategy: simple_shuffle", "Write `routing_strategy: simple-shuffle`, if that is meant."),
        ("SETTINGS", "default_litellm_params: {retry_budget: 0.2}", "Move it to `router_settings`."),
        ("SETTINGS", "request_timeout: 5", "Move it to `litellm_settings`."),
        ("LITELLM", "fallback: [{g: [g]}]", "Write `fallbacks`, if that is meant."),
        ("LITELLM", "routing_strategy: least-busy", "Move it to `router_settings`."),
        ("GENERAL", "request_timeout: 5", "Move it to `litellm_settings`."),
        ("GENERAL", "drop_params: true", "Move it to `litellm_settings`."),
        ("GENERAL", "success_callback: [langfuse]", "Move it to `litellm_settings`."),
        ("TOP", "guardrail: []", "Write `guardrails`, if that is meant."),
    ],
)
def test_misspelt_setting_is_found(tmp_path: Path, place: str, text: str, remedy: str) -> None:
    """Each is told once, with the name or the place that is meant."""
    ((rule, told),) = found(tmp_path, place, text)
    assert rule == "setting-unknown"
    assert told.startswith(remedy)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("PARAMS", "azure_ad_token_scope: x, top_k: 5, min_p: 1, keep_alive: 5, num_ctx: 9, dimensions: 3"),
        ("INFO", "supports_vision: true, access_groups: [x], team: x, owner: y, version: 2, description: z"),
        ("BESIDE", "rpm: 5"),
        ("BESIDE", "description: a"),
        ("SETTINGS", "retry_policy: {TimeoutErrorRetries: 3}, routing_strategy: least-busy"),
        ("LITELLM", "ui_theme_config: {}, cache_params: {type: local}, mcp_aliases: {}, langfuse_default_tags: []"),
        ("GENERAL", "enable_jwt_auth: true, public_routes: [], moderation_model: e, disable_error_logs: true"),
        ("TOP", "guardrails: []"),
    ],
)
def test_what_may_be_meant_is_none(tmp_path: Path, place: str, text: str) -> None:
    """A provider's own parameter, a remark, and a limit where some strategies read it."""
    assert found(tmp_path, place, text) == []


def test_routers_settings_are_its_cores(tmp_path: Path) -> None:
    """Since 1.109 Router passes what it is given on to a core, in a module of its own, whose parameters they are."""
    written(tmp_path, "class Router:\n    def __init__(self, *args, **kwargs): ...\n", "router.py")
    written(tmp_path, "class PythonCore:\n    def __init__(self, num_retries=None): ...\n", "router_python_core.py")
    assert Release(tmp_path).router_settings == {"num_retries"}


def test_no_list_knows_no_unknown(tmp_path: Path) -> None:
    """Where a release has its list elsewhere nothing is called unknown."""
    installed.cache_clear()
    with patch.object(Release, "router_settings", frozenset()):
        assert found(tmp_path, "SETTINGS", "cooldown_time: 5, nobody_knows: 1") == []
    installed.cache_clear()
