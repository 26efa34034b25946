"""Each rule at its edges: what is nearly a defect, or only looks like one, is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drill.configs import run, written

POOL = """\
model_list:
  - model_name: pool
    litellm_params: {model: hosted_vllm/a, api_base: "http://a:8000/v1", timeout: 60}
  - model_name: pool
    litellm_params: {model: hosted_vllm/a, api_base: "http://b:8000/v1", timeout: 60}
"""
OTHER = """\
  - model_name: other
    litellm_params: {model: hosted_vllm/c, api_base: "http://c:8000/v1", timeout: 60}
    model_info: {id: 7, team_public_model_name: public}
"""
WILD = """\
  - model_name: openai/gpt-*
    litellm_params: {model: openai/*, api_key: os.environ/KEY, timeout: 60}
"""


def rules(folder: Path, text: str) -> list[str]:
    """The rules that find something in `text`, which refers to no variable but KEY."""
    result = run("--format", "json", written(folder, text), variables=["KEY"])
    assert result.exit_code in (0, 1), result.output
    return [row["rule"] for row in json.loads(result.stdout)]


@pytest.mark.parametrize("name", ["other", "7", "public", "hosted_vllm/c", "alias", "openai/gpt-5", "hidden"])
def test_every_name_of_a_deployment_is_known(tmp_path: Path, name: str) -> None:
    """A fallback may go to a group, an id, a team's name, a model, an alias, or what a pattern stands for."""
    aliases = "model_group_alias: {alias: other, hidden: {model: other, hidden: true}}"
    settings = f'router_settings:\n  {aliases}\n  fallbacks: [{{pool: ["{name}"]}}, {{other: [pool]}}]\n'
    found = rules(tmp_path, POOL + OTHER + WILD + settings)
    assert set(found) <= {"fallback-loop"}


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ('{pool: ["openai/o3"]}', ["fallback-to-unknown-group"]),
        ('{"gpt-4": [pool]}', []),
        ('{"o3": [pool]}', ["fallback-from-unknown-group"]),
        ('{"*": [pool]}', []),
        ("{pool: [{model: openai/o3, api_key: os.environ/KEY}]}", []),
        ("{pool: [{model: openai/o3}]}", ["fallback-to-unknown-group"]),
    ],
)
def test_fallbacks_know_patterns(tmp_path: Path, entry: str, found: list[str]) -> None:
    """A pattern stands for what it matches, with its provider or without; a fallback with a key needs no group."""
    assert rules(tmp_path, f"{POOL}{WILD}router_settings:\n  fallbacks: [{entry}]\n") == found


@pytest.mark.parametrize(("name", "found"), [("command-r", []), ("pol", ["fallback-to-unknown-group"])])
def test_database_may_know_more_groups(tmp_path: Path, name: str, found: list[str]) -> None:
    """Where models are in the database too, only what is nearly a group's name is reported."""
    settings = f"router_settings: {{fallbacks: [{{other: [{name}]}}]}}\ngeneral_settings: {{store_model_in_db: true}}\n"
    assert rules(tmp_path, POOL + OTHER + settings) == found


@pytest.mark.parametrize(
    "settings",
    [
        "fallbacks: [{other: [pool]}]",
        "default_fallbacks: [pool]",
        'fallbacks: [{"*": [pool]}]',
        "fallbacks: [{pool: [other]}]",
        "automatic_fallbacks: true",
    ],
)
def test_group_with_a_fallback_is_not_alone(tmp_path: Path, settings: str) -> None:
    """A lone deployment is no defect where another group stands in for it, or where it only stands in for others."""
    assert rules(tmp_path, f"{POOL}{OTHER}router_settings:\n  {settings}\n") == []


def test_fallbacks_may_leave_the_provider_out(tmp_path: Path) -> None:
    """The fallbacks of a name are also those of the group that has a provider before it, as in LiteLLM."""
    other = OTHER.replace("model_name: other", "model_name: vllm/other")
    assert rules(tmp_path, f"{POOL}{other}router_settings: {{fallbacks: [{{other: [pool]}}]}}\n") == []


def test_default_of_another_kind_is_no_fallback(tmp_path: Path) -> None:
    """A lone deployment for embeddings is alone although chats have a default fallback."""
    words = POOL.replace("pool", "words", 1).partition("  - model_name: pool")[0]
    chat = OTHER.replace("{id: 7", "{mode: chat, id: 7")
    config = f"{words}    model_info: {{mode: embedding}}\n{chat}router_settings: {{default_fallbacks: [other]}}\n"
    assert rules(tmp_path, config) == ["group-alone"]


@pytest.mark.parametrize(("switch", "found"), [("true", 1), ("false", 0), ("os.environ/KEY", 0)])
def test_continuation_is_asked_for(tmp_path: Path, switch: str, found: int) -> None:
    """Only where streams are to be continued does a model have to be able to."""
    config = f"{POOL}router_settings: {{enable_mid_stream_fallback_continuation: {switch}}}\n"
    assert rules(tmp_path, config).count("continuation-without-model") == found


@pytest.mark.parametrize("settings", ["context_window_fallbacks: [{other: [pool]}]", "num_retries: 2"])
def test_other_fallbacks_leave_a_group_alone(tmp_path: Path, settings: str) -> None:
    """A fallback for long requests is none for an outage, nor is a retry."""
    assert rules(tmp_path, f"{POOL}{OTHER}router_settings:\n  {settings}\n") == ["group-alone"]


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ("model: openai/a, api_key: os.environ/KEY", "model: openai/a, api_key: os.environ/KEY2", True),
        ("model: openai/a, api_base: http://h", "model: azure/a, api_base: 'http://H:/v1'", True),
        ("model: openai/a, api_base: http://h:1", "model: openai/a, api_base: http://h:2", False),
        ("model: openai/a, api_base: http://h", "model: openai/a", False),
        ("model: openai/a, api_base: os.environ/A", "model: openai/a, api_base: os.environ/B", False),
        ("model: openai/a, api_base: os.environ/A", "model: openai/a, api_base: os.environ/A", True),
        (
            "model: openai/a, api_base: http://g, api_key: none",
            "model: openai/a, api_base: http://h, api_key: none",
            False,
        ),
        ("model: a, api_key: os.environ/KEY", "model: openai/a, api_key: os.environ/KEY2", False),
        ("model: vertex_ai/a, vertex_location: b", "model: vertex_ai/a, vertex_location: c", False),
        ("model: vertex_ai/a", "model: vertex_ai/a", True),
        ("model: bedrock/a, aws_region_name: b", "model: bedrock_converse/a, aws_region_name: b", True),
        ("model: bedrock/a, aws_region_name: b", "model: bedrock/a, aws_region_name: os.environ/R", False),
        (
            "model: hosted_vllm/a, api_base: http://g, api_key: os.environ/KEY",
            "model: hosted_vllm/a, api_base: http://h, api_key: os.environ/KEY",
            False,
        ),
        (
            "model: openai/a, litellm_credential_name: our-long-credential, api_base: http://g",
            "model: openai/a, litellm_credential_name: our-long-credential, api_base: http://h",
            True,
        ),
    ],
)
def test_places_are_told_apart(tmp_path: Path, first: str, second: str, found: bool) -> None:
    """Hosts, keys and regions are compared as written; what the file does not say is not taken for the same."""
    config = "router_settings: {timeout: 9}\nmodel_list:\n" + "".join(
        f"  - {{model_name: one, litellm_params: {{{params}}}}}\n" for params in (first, second)
    )
    result = run("--format", "json", "--ignore", "environment-unset", written(tmp_path, config))
    assert [row["rule"] for row in json.loads(result.stdout)] == ["group-on-one-endpoint"] * found


def test_automatic_fallbacks_save_one_host(tmp_path: Path) -> None:
    """A group on one host is no defect where it falls back to the other groups by itself."""
    config = f"{POOL.replace('//b:', '//a:')}{OTHER}router_settings: {{automatic_fallbacks: true}}\n"
    assert rules(tmp_path, config) == []


def test_fallback_elsewhere_saves_one_host(tmp_path: Path) -> None:
    """A group on one host is no defect if its fallback is on another one, or if it is unknown where that is."""
    config = POOL.replace("//b:", "//a:")
    for target in ("other", "openai/gpt-4"):
        settings = f'router_settings: {{fallbacks: [{{pool: ["{target}"]}}, {{other: [pool]}}]}}\n'
        assert set(rules(tmp_path, config + OTHER + WILD + settings)) <= {"fallback-loop"}


@pytest.mark.parametrize(("host", "found"), [("b", []), ("a", ["group-on-one-endpoint"])])
def test_chain_of_fallbacks_saves_one_host(tmp_path: Path, host: str, found: list[str]) -> None:
    """A group whose fallback is on its own host is no defect if the fallback's own fallback is elsewhere."""
    groups = "".join(
        f"  - {{model_name: {name}, litellm_params: {{model: hosted_vllm/a, api_base: '//{at}:1', timeout: 9}}}}\n"
        for name, at in (("one", "a"), ("two", "a"), ("three", host))
    )
    settings = "router_settings: {fallbacks: [{one: [two]}, {two: [three]}]}\n"
    assert rules(tmp_path, f"model_list:\n{groups}{settings}")[: len(found) or None] == found


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("router_settings: {num_retries: 1}", []),
        ("router_settings: {num_retries: 0}", ["retries-too-few"]),
        ("litellm_settings: {num_retries: 0}\nrouter_settings: {num_retries: 1}", []),
        ("router_settings: {num_retries: 0, retry_policy: {TimeoutErrorRetries: 3}}", []),
        ("router_settings: {num_retries: 9}", []),
        ("router_settings: {num_retries: 10}", ["timeout-too-long"]),
        ("router_settings: {cooldown_time: 0.5}", []),
        ("router_settings: {cooldown_time: false}", []),
        ("router_settings: {cooldown_time: -1}", ["cooldown-zero"]),
        ("router_settings: {disable_cooldowns: false}", []),
        ("router_settings: {disable_cooldowns: yes}", ["cooldowns-disabled"]),
        ("router_settings: {allowed_fails: 99}", []),
        ("router_settings: {allowed_fails: 100}", ["allowed-fails-unlimited"]),
        ("router_settings: {total_timeout: 1}", ["timeout-too-long"]),
        ("router_settings: {total_timeout: 180}", []),
        ("router_settings: {total_timeout: 900, num_retries: 10}", ["timeout-too-long"]),
        ("router_settings: {allowed_fails_policy: {BadRequestErrorAllowedFails: 100}}", []),
        ("general_settings: {background_health_checks: true, health_check_interval: 86400}", []),
        ("general_settings: {background_health_checks: true, health_check_interval: 86401}", ["health-check-interval"]),
        ("general_settings: {background_health_checks: true, health_check_interval: '60'}", []),
        ("general_settings: {background_health_checks: true, health_check_interval: often}", ["health-check-interval"]),
        ("general_settings: {health_check_interval: 60}", ["health-check-interval"]),
        ("router_settings: null\ngeneral_settings:\n", []),
        ("environment_variables: {MINE: a}\ngeneral_settings: {master_key: os.environ/MINE}", []),
        ("environment_variables: {MINE: os.environ/MINE}", ["environment-unset"]),
        ("general_settings: {key_management_system: azure_key_vault, master_key: os.environ/MINE}", []),
        ("x-mine: {a: b}\n_b: 1\nour_own_words: {a: b}", []),
        ("router_settings: {max_retry_after: 1}\nlitellm_settings: {max_retry_after: 1}", ["setting-unknown"]),
        ("zebra: 3", ["setting-unknown"]),
        ("modellist: []", ["setting-unknown"]),
        ("num_retries: 3", ["setting-unknown"]),
    ],
)
def test_settings_have_limits(tmp_path: Path, settings: str, found: list[str]) -> None:
    """A setting is a defect on one side of its limit and none on the other, however it is spelt."""
    assert rules(tmp_path, f"{POOL}{settings}\n") == found


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("router_settings: {timeout: 5}", []),
        ("litellm_settings: {request_timeout: 5}", []),
        ("router_settings: {default_litellm_params: {timeout: 5}}", []),
        ("router_settings: {stream_timeout: 5}", ["timeout-missing"]),
    ],
)
def test_timeout_may_stand_elsewhere(tmp_path: Path, setting: str, found: list[str]) -> None:
    """A timeout of the router or of all requests is one of each deployment; one for streams alone is none."""
    assert rules(tmp_path, f"{POOL.replace(', timeout: 60', '')}{setting}\n") == found


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ("max_retires: 1", ["setting-unknown"]),
        ("our_providers_own: 1", []),
        ("top_k: 5, guided_json: x, extra_body: {}", []),
        ("order: 1", ["order-gap"]),
    ],
)
def test_deployment_may_have_a_providers_own(tmp_path: Path, params: str, found: list[str]) -> None:
    """What a deployment has beside LiteLLM's own settings goes to its provider, unless it is nearly one of them."""
    assert rules(tmp_path, POOL.replace("timeout: 60}", f"timeout: 60, {params}}}", 1)) == found


@pytest.mark.parametrize(
    ("orders", "found"), [((1, 1), 0), ((1, 2), 0), ((0, 1), 0), ((2, 3), 0), ((1, 3), 1), ((3, 1), 1)]
)
def test_orders_follow_each_other(tmp_path: Path, orders: tuple[int, int], found: int) -> None:
    """Orders may be equal or begin anywhere; one that is left out is a defect."""
    first, second = (f"timeout: 60, order: {order}}}" for order in orders)
    config = POOL.replace("timeout: 60}", first, 1).replace("timeout: 60}", second, 1)
    assert rules(tmp_path, config) == ["order-gap"] * found


def test_nearest_name_is_told(tmp_path: Path) -> None:
    """What is misspelt is told with the name that it may be meant for, and what is misplaced with its section."""
    config = f"{POOL}{OTHER}router_settings:\n  fallbacks: [{{other: [pol]}}]\n  cooldwn_time: 5\n"
    said = run(written(tmp_path, f"{config}general_settings:\n  num_retries: 2\n")).stdout
    assert 'Write "pool", if that is meant.' in said
    assert "Write `cooldown_time`, if that is meant." in said
    assert "Move it to `router_settings`." in said
