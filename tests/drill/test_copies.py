"""The copy that a drill runs has the config's groups and settings, and nothing that leads out of loopback."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drill.drilled import THREE, config_of
from litellm_drill.config import Config
from litellm_drill.copied import KEY, Copy, copied, lines, with_short_timeouts

SINKS = """\
model_list:
  - model_name: gpt
    litellm_params:
      {model: openai/gpt-4o, api_base: SECRET, api_key: SECRET, organization: SECRET, extra_headers: {a: SECRET},
       litellm_credential_name: SECRET, aws_bedrock_runtime_endpoint: SECRET, mock_response: SECRET,
       aws_secret_access_key: SECRET, rpm: 7, weight: 2, max_tokens: 9,
       allowed_fails_policy: {TimeoutErrorAllowedFails: 3}}
    model_info: {id: one, team_id: SECRET, access_groups: [SECRET]}
environment_variables: {A_KEY: SECRET}
router_settings:
  num_retries: 3
  redis_host: SECRET
  redis_password: SECRET
  alerting_config: {webhook_url: SECRET}
  model_group_alias: {alias: gpt}
  fallbacks: [{gpt: [{model: openai/x, aws_secret_access_key: SECRET, endpoint: SECRET, api_base: SECRET}]}]
  default_litellm_params: {api_base: SECRET, api_key: SECRET}
  routing_strategy: simple-shuffle
  routing_strategy_args: {ttl: 9, redis_url: SECRET}
  context_window_fallbacks: [{alias: [{model: gpt, api_key: SECRET, temperature: 0}]}]
  search_tools: [{litellm_params: {api_key: SECRET}}]
  plugins: [SECRET]
  unheard_of: SECRET
  cooldown_time: 5
litellm_settings:
  {success_callback: [SECRET], cache: true, cache_params: {password: SECRET}, drop_params: true, api_base: SECRET,
   organization: SECRET, telemetry: true, datadog_params: {site: SECRET}, guardrails: [{a: {callbacks: [SECRET]}}],
   use_litellm_proxy: true, network_mock: true, global_gitlab_config: {url: SECRET}, max_budget: 1,
   s3_callback_params: {s3_bucket_name: SECRET}, ssl_verify: SECRET, request_timeout: 600}
general_settings:
  {master_key: SECRET, database_url: SECRET, alerting: [slack], key_management_system: SECRET,
   background_health_checks: true, health_check_interval: 9, custom_auth: SECRET, coordination_redis: {url: SECRET},
   pass_through_endpoints: [{path: /a, target: SECRET}], alert_to_webhook_url: {a: SECRET}, store_model_in_db: true}
callback_settings: {otel: SECRET}
credential_list: [{credential_name: c, credential_values: {api_base: SECRET, api_key: SECRET}}]
mcp_servers: {a: {url: SECRET}}
guardrails: [{litellm_params: {api_base: SECRET}}]
vector_store_registry: [{litellm_params: {vector_store_id: SECRET}}]
"""
SECRETS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=16, max_size=32).map("sk-{}x".format)


def copy_of(config: Config) -> Copy:
    """The copy of `config`, each deployment of which is OpenAI's at a port that is its number."""
    numbers = range(len(config.deployments))
    urls = {i: f"http://127.0.0.1:{i + 1}" for i in numbers}
    return copied(config, urls, dict.fromkeys(numbers, "openai"), "http://127.0.0.1:99")


@given(secret=SECRETS)
@settings(max_examples=20, deadline=None)
def test_no_key_is_in_the_copy(secret: str) -> None:
    """Whatever a key is, neither the copy nor what is told of it has it, and what is removed is scrubbed elsewhere."""
    copy = copy_of(config_of(SINKS.replace("SECRET", secret)))
    assert secret not in json.dumps(copy.data)
    assert secret not in "\n".join(lines(copy.replaced))
    assert secret not in copy.scrubbed(f"the key {secret} is wrong")


def test_settings_are_kept() -> None:
    """What decides about an outage is as it was, in each section."""
    data = copy_of(config_of(SINKS)).data
    deployment = data["model_list"][0]  # type: ignore[index]
    assert deployment["litellm_params"] == {
        "model": "openai/gpt-4o",
        "rpm": 7000,
        "weight": 2,
        "max_tokens": 9,
        "allowed_fails_policy": {"TimeoutErrorAllowedFails": 3},
        "api_base": "http://127.0.0.1:1/v1",
        "api_key": KEY,
    }
    assert deployment["model_info"] == {"id": "one"}
    assert data["router_settings"] == {
        "num_retries": 3,
        "model_group_alias": {"alias": "gpt"},
        "fallbacks": [{"gpt": [{"model": "openai/stand-in", "api_base": "http://127.0.0.1:99/v1", "api_key": KEY}]}],
        "context_window_fallbacks": [{"alias": [{"model": "gpt", "temperature": 0}]}],
        "routing_strategy": "simple-shuffle",
        "routing_strategy_args": {"ttl": 9},
        "cooldown_time": 5,
    }
    assert data["litellm_settings"] == {"drop_params": True, "request_timeout": 600}
    assert data["general_settings"] == {"background_health_checks": True, "health_check_interval": 9}


def test_sample_has_what_is_asked() -> None:
    """The copy of a sample has no deployment but the ones asked, and the keys of the others are scrubbed as well."""
    config = config_of(THREE)
    copy = copied(config, {2: "http://127.0.0.1:3"}, {2: "anthropic"}, "http://127.0.0.1:9", {2})
    listed = copy.data["model_list"]
    assert isinstance(listed, list)
    (only,) = listed
    assert (only["model_name"], only["litellm_params"]["api_base"]) == ("spare", "http://127.0.0.1:3")
    assert copy.scrubbed("sk-abcdef") == "…"


@pytest.mark.parametrize(
    "name",
    [
        "environment_variables",
        "router_settings.redis_host",
        "router_settings.redis_password",
        "router_settings.alerting_config",
        "router_settings.default_litellm_params",
        "router_settings.search_tools",
        "router_settings.plugins",
        "router_settings.unheard_of",
        "router_settings.fallbacks.model",
        "router_settings.fallbacks.aws_secret_access_key",
        "router_settings.routing_strategy_args.redis_url",
        "router_settings.context_window_fallbacks.api_key",
        "litellm_settings.success_callback",
        "litellm_settings.cache",
        "litellm_settings.cache_params",
        "litellm_settings.api_base",
        "litellm_settings.organization",
        "litellm_settings.telemetry",
        "litellm_settings.datadog_params",
        "litellm_settings.guardrails",
        "litellm_settings.use_litellm_proxy",
        "litellm_settings.network_mock",
        "litellm_settings.global_gitlab_config",
        "litellm_settings.max_budget",
        "litellm_settings.s3_callback_params",
        "litellm_settings.ssl_verify",
        "general_settings.database_url",
        "general_settings.master_key",
        "general_settings.key_management_system",
        "general_settings.alerting",
        "general_settings.custom_auth",
        "general_settings.coordination_redis",
        "general_settings.pass_through_endpoints",
        "general_settings.alert_to_webhook_url",
        "general_settings.store_model_in_db",
        "litellm_params.api_key",
        "litellm_params.rpm",
        "litellm_params.api_base",
        "litellm_params.extra_headers",
        "litellm_params.organization",
        "litellm_params.litellm_credential_name",
        "litellm_params.aws_bedrock_runtime_endpoint",
        "litellm_params.aws_secret_access_key",
        "litellm_params.mock_response",
        "model_info.team_id",
        "model_info.access_groups",
        "callback_settings",
        "credential_list",
        "mcp_servers",
        "guardrails",
        "vector_store_registry",
    ],
)
def test_each_replacement_is_named(name: str) -> None:
    """Each host, key and sink that is left out or replaced is named."""
    assert any(line.startswith(f"{name}: ") for line in lines(copy_of(config_of(SINKS)).replaced))


def test_timeouts_are_shortened_for_silence() -> None:
    """Longer timeouts become the short one, total_timeout is reckoned later; where none is given the router has one."""
    data = copy_of(config_of(THREE.replace("router_settings:", "router_settings:\n  total_timeout: 180"))).data
    short = with_short_timeouts(data, 2.0)
    params = [one["litellm_params"] for one in short["model_list"]]  # type: ignore[attr-defined]
    assert [one.get("timeout") for one in params[:3]] == [2.0, 2.0, None]
    assert params[1]["stream_timeout"] == 2.0
    router = short["router_settings"]
    assert isinstance(router, dict)
    assert (router["timeout"], router["stream_timeout"]) == (2.0, 2.0)
    assert "total_timeout" not in router
    assert "timeout" not in json.dumps(data["router_settings"]).replace("total_timeout", "")


def test_unspoken_formats_are_stood_in_for() -> None:
    """A deployment whose provider's format nobody speaks here is asked in OpenAI's, so that it still takes over."""
    config = config_of(THREE)
    copy = copied(config, {4: "http://127.0.0.1:5"}, {}, "http://127.0.0.1:9")
    params = copy.data["model_list"][4]["litellm_params"]  # type: ignore[index]
    assert params == {"model": "openai/stand-in", "api_base": "http://127.0.0.1:5/v1", "api_key": KEY}
