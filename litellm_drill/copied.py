"""The copy of a config that a drill runs: the same groups and settings, and no host, key or sink of the original."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

from litellm_drill.config import REFERENCE, Config, Deployment
from litellm_drill.document import Node
from litellm_drill.providers import ANY, BASES, VERSIONED

KEY = "sk-drill"
SHORT = 1.0
"""Seconds that stand for every longer timeout while a deployment is silent; more on a machine that is slow."""

PLACES = ("api_base", "base_url", "azure_endpoint")
TIMEOUTS = ("timeout", "stream_timeout", "request_timeout", "max_timeout")
LIMITS = ("rpm", "tpm", "itpm", "otpm", "rpd", "tpd")
MORE = 1000
"""How many times the limits are in the copy: the drill's own questions are more than they allow, and some strategies
weigh deployments by them."""

SECTIONS = ("model_list", "router_settings", "litellm_settings", "general_settings")
GENERAL = re.compile(
    r"(background_|enable_)?health_check\w*|background_health_check_model_groups|disable_fallbacks\w*|"
    r"infer_model_from_keys|max_parallel_requests|cancel_on_disconnect"
)
"""What of general_settings concerns an outage: the rest is who may ask, where it is noted and what it costs."""

SECRET = re.compile(
    r"key|secret|passw|credential|(?<!max_)(?<!completion_)(?<!prompt_)(?<!per_)tokens?$|token_|auth|cert|header"
)
SINK = re.compile(
    r"redis|cache|database|_db|db_|callback|alert|slack|webhook|email|smtp|log|otel|langfuse|s3_|gcs_|bucket|guardrail|"
    r"secret_manager|key_management|sentry|prometheus|pass_through|mcp|vector_store|search_tool|assistants|"
    r"post_call|pre_call_rules|custom_|json_logs|service_|_url$|host$|path$|mock|client|sso|jwt|telemetry|datadog|"
    r"newrelic|argilla|langsmith|presidio|use_litellm_proxy|verbose|debug|caching|budget"
)
KEPT_TEXTS = frozenset(
    ("model", "base_model", "custom_llm_provider", "tags", "mode", "id", "reasoning_effort", "api_version")
)
"""Settings of a deployment whose words are needed; numbers and switches are kept whatever they are called."""

STRUCTURES = frozenset(
    (
        "allowed_fails_policy",
        "background_health_check_model_groups",
        "content_policy_fallbacks",
        "context_window_fallbacks",
        "default_fallbacks",
        "empty_answer",
        "fallbacks",
        "model_alias_map",
        "model_group_affinity_config",
        "model_group_alias",
        "model_group_retry_policy",
        "optional_pre_call_checks",
        "retry_policy",
        "router_general_settings",
        "routing_groups",
        "routing_strategy",
        "routing_strategy_args",
        "tag_routing_prefix",
        "unfinished_stream",
    )
)
"""Settings of the router and of LiteLLM whose words are needed: names of groups, and of ways. Numbers and switches
hold no host or key."""


@dataclass
class Copy:
    """What becomes of a config: its `data` for LiteLLM, how often what was `replaced`, and the `removed` texts, which
    no output may have."""

    data: dict[str, object] = field(default_factory=dict)
    replaced: Counter[str] = field(default_factory=Counter)
    removed: set[str] = field(default_factory=set)

    def scrubbed(self, text: str) -> str:
        """`text` without anything that was removed from the config."""
        for secret in sorted(self.removed, key=len, reverse=True):
            text = text.replace(secret, "…")
        return text

    def drop(self, name: str, node: Node, why: str) -> None:
        """Note that the setting `name` is left out."""
        self.replaced[f"{name}: dropped ({why})"] += 1
        self.forget(node)

    def exchange(self, name: str, node: Node, by: str) -> None:
        """Note that the value of `name` is replaced `by` another."""
        self.replaced[f"{name}: {by}"] += 1
        self.forget(node)

    def forget(self, node: Node) -> None:
        """Let no output have the texts of `node`."""
        texts = (str(one.value) for one in node.walk() if isinstance(one.value, str))
        self.removed |= {text for text in texts if len(text) > 5 and not text.startswith(REFERENCE)}


def copied(
    config: Config,
    urls: Mapping[int, str],
    stood_in: Mapping[int, str],
    spare: str,
    asked: Container[int] | None = None,
) -> Copy:
    """`config` with deployment i at `urls[i]`, asked as the provider `stood_in[i]`, "" where that cannot be spoken for;
    what has no address of its own is at the address `spare`. Only deployments of the numbers `asked` are in it, if that
    is given."""
    copy = Copy()
    for name, node in config.root.entries.items():
        if name not in SECTIONS:
            copy.drop(name, node, "not needed, or a sink")
    model_list = [
        _deployment(copy, one, urls.get(i, spare), stood_in.get(i, "")) for i, one in enumerate(config.deployments)
    ]
    copy.data["model_list"] = [one for i, one in enumerate(model_list) if asked is None or i in asked]
    for section in ("router_settings", "litellm_settings"):
        if (settings := config.root.get(section)) is not None:
            copy.data[section] = _section(copy, section, settings, Names(config.is_known, spare))
    if (settings := config.root.get("general_settings")) is not None:
        copy.data["general_settings"] = _general(copy, settings)
    return copy


def with_short_timeouts(data: Mapping[str, object], short: float = SHORT) -> dict[str, object]:
    """The config `data` with `short` seconds for each longer timeout, and as the router's where none is given, and
    without total_timeout: whether that allows what the config's own timeouts add up to is reckoned afterwards."""
    changed = _shortened(data, short)
    router = changed.get("router_settings")
    own = {"timeout": short, "stream_timeout": short}
    return {**changed, "router_settings": {**own, **router} if isinstance(router, dict) else own}


def _shortened(value: Mapping[str, object], short: float) -> dict[str, object]:
    changed: dict[str, object] = {}
    for key, inner in value.items():
        seconds = _number(inner)
        if key in TIMEOUTS and seconds is not None:
            changed[key] = min(seconds, short)
        elif isinstance(inner, list):
            changed[key] = [_shortened(one, short) if isinstance(one, dict) else one for one in inner]
        elif key != "total_timeout":
            changed[key] = _shortened(inner, short) if isinstance(inner, dict) else inner
    return changed


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _deployment(copy: Copy, one: Deployment, url: str, provider: str) -> dict[str, object]:
    params = _params(copy, one.params, url, provider)
    if not provider:
        params |= _stand_in_at(url)
        params.pop("custom_llm_provider", None)
    info = _kept(copy, "model_info", one.info, lambda name: name in ("id", "mode", "base_model"))
    if (own := one.info.get("id")) is not None:
        copy.forget(own)
    return {"model_name": one.group, "litellm_params": params, "model_info": info}


def _params(copy: Copy, node: Node, url: str, provider: str) -> dict[str, object]:
    for name in (*PLACES, "api_key"):
        if (given := node.get(name)) is not None:
            copy.exchange(f"litellm_params.{name}", given, "an invented key" if name == "api_key" else "a stand-in")
    kept = _kept(
        copy,
        "litellm_params",
        _without(node, (*PLACES, "api_key")),
        lambda name: name in KEPT_TEXTS or name.startswith("allowed_fails"),
    )
    for name in LIMITS:
        limit = _number(kept.get(name))
        if limit is not None:
            kept[name] = limit * MORE
            copy.replaced[f"litellm_params.{name}: {MORE} times as much"] += 1
    return {**kept, "api_base": url + BASES.get(provider, VERSIONED), "api_key": KEY}


def _kept(copy: Copy, where: str, node: Node, is_kept: Callable[[str], bool]) -> dict[str, object]:
    """The numbers and switches of a mapping, and the texts and lists that `is_kept` knows by name."""
    kept: dict[str, object] = {}
    for name, value in node.entries.items():
        plain = _plain(value)
        is_number = isinstance(plain, (bool, int, float)) or _number(plain) is not None
        if SECRET.search(name) and name not in KEPT_TEXTS and not name.startswith("supports_"):
            copy.drop(f"{where}.{name}", value, "may be a key")
        elif plain is None or is_kept(name) or (is_number and not SINK.search(name)):
            kept[name] = plain
        else:
            copy.drop(f"{where}.{name}", value, "not needed")
    return kept


def _general(copy: Copy, node: Node) -> dict[str, object]:
    kept: dict[str, object] = {}
    for name, value in node.entries.items():
        if GENERAL.fullmatch(name):
            kept[name] = _plain(value)
        elif name == "master_key":
            copy.exchange("general_settings.master_key", value, "an invented key")
        else:
            copy.drop(f"general_settings.{name}", value, "database, cache, sink or access")
    return kept


@dataclass(frozen=True)
class Names:
    """What a fallback may lead to: a group that `is_known`, or the address `spare` for what is in no model_list."""

    is_known: Callable[[str], bool]
    spare: str


def _section(copy: Copy, section: str, node: Node, names: Names) -> dict[str, object]:
    kept: dict[str, object] = {}
    for name, value in node.entries.items():
        if name in STRUCTURES:
            kept[name] = _safe(copy, f"{section}.{name}", value, names)
    return kept | _kept(copy, section, _without(node, STRUCTURES), lambda name: False)


def _safe(copy: Copy, where: str, node: Node, names: Names) -> object:
    """A setting without the hosts and keys in it, as a fallback may bring a whole deployment along."""
    text = node.text()
    if text is not None and not names.is_known(text):
        copy.forget(node)  # a way, or a name that is wrong: LiteLLM has it, and nobody else needs it
    if node.is_list:
        return [_safe(copy, where, item, names) for item in node.items]
    if not node.is_mapping:
        return _plain(node)
    model = node.entries.get("model")
    if model is not None and (named := model.text()) is not None:
        return _led_to(copy, where, node, named, names)
    kept: dict[str, object] = {}
    for name, value in node.entries.items():
        text = value.text()
        if text is not None and not names.is_known(text) and (SECRET.search(name) or SINK.search(name)):
            copy.drop(f"{where}.{name}", value, "may be a key, or a host")
        else:
            kept[name] = _safe(copy, where, value, names)
    return kept


def _led_to(copy: Copy, where: str, node: Node, named: str, names: Names) -> dict[str, object]:
    """A fallback with parameters of its own: a group, or what stands in for a deployment that is in no model_list."""
    kept = _kept(copy, where, _without(node, ("model",)), lambda name: False)
    if names.is_known(named):
        return {**kept, "model": named}
    copy.exchange(f"{where}.model", node, "a stand-in")
    return {**kept, **_stand_in_at(names.spare)}


def _stand_in_at(url: str) -> dict[str, object]:
    """What is asked in the place of a deployment that cannot be spoken for."""
    return {"model": f"{ANY}/stand-in", "api_base": url + VERSIONED, "api_key": KEY}


def _without(node: Node, names: Container[str]) -> Node:
    """The mapping `node` without the entries of these `names`."""
    others = {name: value for name, value in node.entries.items() if name not in names}
    return Node(node.place, entries=others, is_mapping=True)


def _plain(node: Node) -> object:
    """A value as LiteLLM would read it; one that stands in the environment is taken from there."""
    if node.is_list:
        return [_plain(item) for item in node.items]
    if node.is_mapping:
        return {name: _plain(value) for name, value in node.entries.items()}
    text = node.text()
    if text is not None and text.startswith(REFERENCE):
        return os.environ.get(text.removeprefix(REFERENCE))
    return text if text is not None else _scalar(node.value)


def _scalar(value: object) -> object:
    """A number, a switch or nothing as JSON has them; ruamel.yaml's own numbers know how they were written."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) else str(value)


def lines(replaced: Counter[str]) -> Sequence[str]:
    """What was replaced, a line each with how often."""
    return [f"{what}{f', {times} times' if times > 1 else ''}" for what, times in sorted(replaced.items())]
