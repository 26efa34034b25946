"""A fallback fits if its list is well formed, it answers what the group answers, and who asks the group may ask it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drill.configs import run, written

PAIR = """\
model_list:
  - model_name: one
    litellm_params: {model: hosted_vllm/a, api_base: "http://a:8000/v1", timeout: 60}
    model_info: {ONE}
  - model_name: two
    litellm_params: {model: hosted_vllm/b, api_base: "http://b:8000/v1", timeout: 60}
    model_info: {TWO}
  - model_name: three
    litellm_params: {model: hosted_vllm/c, api_base: "http://c:8000/v1", timeout: 60}
    model_info: {mode: chat, max_input_tokens: 9000}
"""
TO_TWO = "fallbacks: [{one: [two]}, {three: [two]}]"


def rules(folder: Path, settings: str, one: str = "mode: chat", two: str = "mode: chat", rest: str = "") -> list[str]:
    """The rules that find something where `one` and `two` are what model_info says, and `settings` the router's."""
    text = PAIR.replace("ONE", one).replace("TWO", two) + f"router_settings: {{{settings}}}\n{rest}"
    result = run("--format", "json", "--ignore", "group-alone", written(folder, text))
    assert result.exit_code in (0, 1), result.output
    return [row["rule"] for row in json.loads(result.stdout)]


@pytest.mark.parametrize(
    "settings",
    [
        "fallbacks: two",
        "fallbacks: {one: [two]}",
        "fallbacks: [two]",
        "fallbacks: [{one: two}]",
        "fallbacks: [{one: [two], two: [three]}]",
        "fallbacks: [{}]",
        "default_fallbacks: two",
        "default_fallbacks: [[two]]",
        "default_fallbacks: [{one: [two]}]",
        "context_window_fallbacks: [two]",
        "content_policy_fallbacks: {one: [two]}",
    ],
)
def test_malformed_lists_are_found(tmp_path: Path, settings: str) -> None:
    """Each form of a list that LiteLLM refuses, or reads as something else, is found once."""
    assert rules(tmp_path, settings) == ["fallback-malformed"]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("fallbacks: [{one: [two]}, {two: [one]}]", 1),
        ("fallbacks: [{one: [two]}], context_window_fallbacks: [{two: [one]}]", 0),
        ("fallbacks: [{one: [two, three]}, {two: [three]}, {three: [two]}]", 1),
        ("fallbacks: [{one: [two, three]}, {two: [three]}]", 0),
        ("fallbacks: [{one: [alias]}], model_group_alias: {alias: one}", 1),
        ("default_fallbacks: [one]", 0),
    ],
)
def test_loops_are_of_one_setting(tmp_path: Path, settings: str, found: int) -> None:
    """A loop is one of a single setting, through aliases too; two ways to one group, or a default, are none."""
    assert rules(tmp_path, settings) == ["fallback-loop"] * found


@pytest.mark.parametrize(
    ("settings", "tokens", "found"),
    [
        (TO_TWO, 9000, []),
        (TO_TWO, 8999, ["fallback-smaller-context"] * 2),
        ("default_fallbacks: [two]", 8999, ["fallback-smaller-context"] * 2),
        (f"{TO_TWO}, context_window_fallbacks: [{{two: [one]}}]", 8999, []),
        ("context_window_fallbacks: [{one: [two]}]", 9000, ["fallback-smaller-context"]),
        ("context_window_fallbacks: [{one: [two]}]", 9001, []),
        ("content_policy_fallbacks: [{one: [two]}]", 8999, ["fallback-smaller-context"]),
        (TO_TWO, ".inf", []),
        (TO_TWO, "os.environ/TOKENS", ["environment-unset"]),
    ],
)
def test_windows_are_compared(tmp_path: Path, settings: str, tokens: int | str, found: list[str]) -> None:
    """A fallback must hold as much as the group, or have a larger one for what it cannot; one for size, more."""
    one, two = "mode: chat, max_input_tokens: 9000", f"mode: chat, max_input_tokens: {tokens}"
    assert rules(tmp_path, settings, one, two) == found


@pytest.mark.parametrize(
    ("one", "two", "found"),
    [
        ("mode: chat", "mode: embedding", ["fallback-other-mode"] * 2),
        ("mode: chat", "mode: responses", []),
        ("mode: chat", "id: b", []),
        ("mode: chat, supports_vision: true", "mode: chat, supports_vision: false", ["fallback-missing-capability"]),
        ("mode: chat, supports_vision: true", "mode: chat", []),
        ("mode: chat", "mode: chat, supports_vision: false", []),
        ("base_model: gpt-4o", "base_model: gpt-4", ["fallback-missing-capability", *["fallback-smaller-context"] * 2]),
        ("base_model: gpt-4o", "base_model: os.environ/BASE", ["environment-unset"]),
    ],
)
def test_kinds_are_compared(tmp_path: Path, one: str, two: str, found: list[str]) -> None:
    """Modes and capabilities are compared where both are known, by model_info or by the model that it names."""
    assert rules(tmp_path, TO_TWO, one, two) == found


@pytest.mark.parametrize(("model", "found"), [("openai/gpt-4o", 1), ("gpt-4o", 1), ("hosted_vllm/gpt-4o", 0)])
def test_models_are_their_providers(tmp_path: Path, model: str, found: int) -> None:
    """What is known of a provider's model is not known of one of the same name elsewhere."""
    text = PAIR.replace("hosted_vllm/a", model).replace("ONE", "id: a").replace("TWO", "supports_vision: false")
    result = run("--format", "json", written(tmp_path, f"{text}router_settings: {{fallbacks: [{{one: [two]}}]}}\n"))
    assert [row["rule"] for row in json.loads(result.stdout)].count("fallback-missing-capability") == found


def test_unknown_window_is_no_small_one(tmp_path: Path) -> None:
    """A group of which one deployment's window is unknown may hold as little as its fallback."""
    second = (
        '  - {model_name: one, litellm_params: {model: hosted_vllm/d, api_base: "http://d:8000/v1", timeout: 60}}\n'
    )
    text = PAIR.replace("ONE", "max_input_tokens: 9000").replace("TWO", "max_input_tokens: 8000") + second
    result = run("--format", "json", written(tmp_path, f"{text}router_settings: {{fallbacks: [{{one: [two]}}]}}\n"))
    assert "fallback-smaller-context" not in result.stdout


@pytest.mark.parametrize(
    ("one", "two", "found"),
    [
        ("team_id: a", "team_id: a", 1),  # for the third group, which is everybody's
        ("team_id: a", "team_id: b", 2),
        ("id: a", "team_id: b", 2),
        ("team_id: a", "id: b", 0),
        ("access_groups: [x]", "access_groups: [x, y]", 0),
        ("access_groups: [x, y]", "access_groups: [y]", 1),
        ("access_groups: [x]", "id: b", 1),
        ("id: a", "access_groups: [x]", 0),
    ],
)
def test_access_is_compared(tmp_path: Path, one: str, two: str, found: int) -> None:
    """A fallback of another team, or outside of an access group that the group is in, is hidden from some."""
    assert rules(tmp_path, TO_TWO, one, two) == ["fallback-hidden"] * found


@pytest.mark.parametrize(
    ("models", "found"),
    [
        ("[one]", 1),
        ("[one, two]", 0),
        ("[one, three]", 2),
        ("[one, all-proxy-models]", 0),
        ("[one, t*]", 0),
        ("[one, members]", 0),
        ("[other]", 0),
        ("[]", 0),
    ],
)
def test_new_users_may_ask_fallbacks(tmp_path: Path, models: str, found: int) -> None:
    """What a new user may ask by default is to include the fallback of what it includes, in one way or another."""
    rest = f"litellm_settings: {{default_internal_user_params: {{models: {models}}}}}\n"
    assert rules(tmp_path, TO_TWO, two="access_groups: [members]", rest=rest) == ["fallback-hidden"] * found


@pytest.mark.parametrize(("stored", "found"), [("false", ["fallback-to-unknown-group"]), ("true", [])])
def test_likeness_counts_more_with_a_database(tmp_path: Path, stored: str, found: list[str]) -> None:
    """A name that is a little like a group's may well be one that the database has."""
    rest = f"general_settings: {{store_model_in_db: {stored}}}\n"
    assert rules(tmp_path, "fallbacks: [{one: [thrice]}]", rest=rest) == found
