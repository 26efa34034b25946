"""What is drilled of a config, what is not and why, and which scenarios go side by side."""

from __future__ import annotations

from itertools import combinations

import pytest

from drill.drilled import THREE, plan_of
from litellm_drill.document import ConfigError
from litellm_drill.outcome import Scope
from litellm_drill.plan import rounds
from litellm_drill.stand_in import Fault

POOL = "model_list:\n" + "".join(
    f"  - model_name: pool\n    litellm_params: {{model: hosted_vllm/a, api_base: http://h{i}/v1}}\n" for i in range(3)
)


def test_each_pair_and_group_is_broken() -> None:
    """Of three deployments each one, each pair and all are broken, by each fault, streamed and not."""
    scenarios = plan_of(POOL).scenarios
    sets = [*((i,) for i in range(3)), *combinations(range(3), 2), (0, 1, 2)]
    assert len(scenarios) == len(sets) * len(Fault) * 2
    assert {one.broken for one in scenarios} == set(sets)
    assert {(len(one.broken), one.scope) for one in scenarios} == {(1, Scope.ONE), (2, Scope.PAIR), (3, Scope.ALL)}


def test_a_pair_that_is_all_is_once() -> None:
    """In a group of two the pair is the whole group, and a lone deployment is one."""
    scopes = {(one.group, one.scope) for one in plan_of().scenarios}
    assert scopes >= {("gpt", Scope.ONE), ("gpt", Scope.ALL), ("spare", Scope.ONE)}
    assert not scopes & {("gpt", Scope.PAIR), ("spare", Scope.ALL)}


def test_not_drilled_is_named() -> None:
    """What has no stand-in is named with the reason, and not broken."""
    plan = plan_of(THREE.replace("model_name: other", 'model_name: "o/*"'))
    assert plan.not_drilled == {
        "far #1": "no stand-in speaks bedrock's format",
        "o/*": "its name stands for many",
    }
    assert plan.groups == ["gpt", "spare", "vectors"]


def test_vectors_are_not_streamed() -> None:
    """A group of embeddings is asked for whole answers only."""
    assert {one.streamed for one in plan_of().scenarios if one.group == "vectors"} == {False}


def test_groups_with_a_fallback_take_turns() -> None:
    """Groups that can ask the same deployment are never in one round, others are, and silence is by itself."""
    plan = plan_of()
    made = rounds(plan.scenarios, plan.components)
    assert sorted(map(repr, (one for each in made for one in each))) == sorted(map(repr, plan.scenarios))
    assert all(not {"gpt", "spare"} <= {one.group for one in each} for each in made)
    assert {len(each) for each in made} >= {3}
    assert all(len({one.fault is Fault.SILENT for one in each}) == 1 for each in made)


@pytest.mark.parametrize("setting", ["automatic_fallbacks: true", "default_fallbacks: [other]"])
def test_common_fallbacks_join_groups(setting: str) -> None:
    """Where all groups can come to the same deployments one is drilled at a time."""
    plan = plan_of(THREE.replace("fallbacks: [{gpt: [spare]}]", setting))
    assert len(set(plan.components.values())) == 1
    assert set(plan.reach("gpt")) >= {0, 1, 3}


def test_sample_is_spread() -> None:
    """A sample has as many groups as it was asked for, and names the others."""
    plan = plan_of(sample=2)
    assert plan.groups == ["gpt", "other"]
    assert plan.not_drilled["vectors"] == "not in the sample"
    assert len({one.broken for one in plan_of(POOL, sample=1).scenarios}) == 4


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [("num_retries: 3", 0), ("num_retries: 3, retry_after: 11", 66), ("retry_after: 2", 8), ("retry_after: 999", 600)],
)
def test_waits_are_allowed_for(settings: str, seconds: float) -> None:
    """A config that waits between attempts is given the time, for the group and its fallback, up to a client's."""
    text = THREE.replace(
        "router_settings:\n  fallbacks: [{gpt: [spare]}]",
        f"router_settings: {{{settings}, fallbacks: [{{gpt: [spare]}}]}}",
    )
    assert plan_of(text).waits("gpt") == seconds


@pytest.mark.parametrize(
    ("i", "streamed", "seconds"), [(0, False, 60.0), (0, True, 60.0), (1, True, 10.0), (2, False, 6000.0)]
)
def test_own_timeouts_are_known(i: int, streamed: bool, seconds: float) -> None:
    """How long the config itself waits for a silent deployment is told, LiteLLM's own time where it says nothing."""
    assert plan_of().timeout(i, streamed) == seconds


@pytest.mark.parametrize("model", ['"*"', "veniceai/llama", "us.anthropic.claude-99-v1:0", "opneai/x"])
def test_unknown_provider_is_not_drilled(model: str) -> None:
    """A model whose provider no list has is named with the reason, without its value, and all others are drilled."""
    plan = plan_of(THREE.replace("openai/gpt-4o,", f"{model},"))
    assert plan.groups == ["gpt", "spare", "other", "vectors"]
    assert plan.not_drilled["gpt #1"].endswith("begin it with one, such as `openai/`")
    assert {one.broken for one in plan.scenarios if one.group == "gpt"} == {(1,), (0, 1)}


def test_fine_tuned_model_is_its_providers() -> None:
    """OpenAI names a model that is made of another one after it."""
    assert "gpt #1" not in plan_of(THREE.replace("openai/gpt-4o,", '"ft:gpt-4o-mini-2024-07-18:org::a",')).not_drilled


@pytest.mark.parametrize(
    "params",
    [
        "openai/gpt-5-pro",
        "openai/own}, model_info: {mode: responses",
        "openai/responses/own",
        "azure/responses/own",
        "responses/own, custom_llm_provider: openai",
    ],
)
def test_asked_by_responses_is_not_drilled(params: str) -> None:
    """A model that LiteLLM asks at a path no stand-in has is named with the reason, and is no loss to its group."""
    plan = plan_of(
        f"model_list: [{{model_name: g, litellm_params: {{model: {params}}}}}, {{model_name: g, litellm_params: "
        "{model: openai/gpt-4o}}]"
    )
    assert plan.not_drilled == {"g #1": "LiteLLM asks it by /v1/responses, which no stand-in speaks"}
    assert plan.spoken == {0: "", 1: "openai"}


def test_incomplete_entry_is_named() -> None:
    """An entry of model_list that is no deployment is not left out without a word."""
    plan = plan_of("model_list:\n  - {model_name: g, litellm_params: {model: openai/a}}\n  - {litellm_params: {}}\n")
    assert plan.not_drilled == {"model_list, line 3": "it has no model_name"}


def test_only_unknown_providers_are_told() -> None:
    """Where nothing is left to drill the line is told, and not its value."""
    with pytest.raises(ConfigError) as caught:
        plan_of("model_list: [{model_name: a, litellm_params: {model: opneai/x}}]")
    assert "config.yaml:1: nothing can be drilled: LiteLLM's lists have no provider" in str(caught.value)
    assert "opneai" not in str(caught.value)


def test_no_deployment_is_a_sentence() -> None:
    """A config without deployments has nothing to drill, which is said."""
    with pytest.raises(ConfigError, match="has no deployment in model_list"):
        plan_of("model_list: []")
