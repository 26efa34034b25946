"""Which deployments the compiled router is offered: those left by the request's failures and by the choice's stages."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from litellm.router_utils.failover import driver_state
from litellm.router_utils.failover.affinity import soft_affinity
from litellm.router_utils.failover.compiled_router import exclude_failed_deployments
from litellm.router_utils.failover.compiled_router_cooldown import COOLS_DOWN_AND_RETRIES

from support.compiled_host import FIRST, NOWHERE, Host, answered, chosen, fails, step
from support.compiled_host import router as router
from support.routing import GROUP, deployment, routed


async def test_failed_deployments_are_not_offered(router: Any) -> None:
    """Deployments that have failed the request are not offered again, unless each has failed it."""
    host = Host(router)
    choice = {"stage": "callback_filters", "candidates": ["a", "b", "c"], "model": GROUP}

    async def select(self: Any, step: Any) -> Any:
        return step["candidates"]

    assert await exclude_failed_deployments(select)(host, choice) == ["a", "b", "c"]
    for name, left in (("a", ["b", "c"]), ("b", ["c"]), ("c", ["a", "b", "c"])):
        await fails(host, step(name), answered(500))
        assert await exclude_failed_deployments(select)(host, choice) == left
        assert chosen(host, FIRST) == left
    assert choice["candidates"] == ["a", "b", "c"]


async def test_what_was_rejected_is_offered_again(router: Any) -> None:
    """A deployment that rejected the request is offered again, as it is not to blame."""
    host = Host(router)
    await fails(host, step("a"), answered(400))
    assert chosen(host, FIRST, among="ab") == ["a", "b"]


def fact(limit: int | None = None, *, lacks: bool = False) -> dict[str, Any]:
    return {"max_input_tokens": limit, "lacks_params": lacks, "rejects_params": lacks}


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("callback_filters", (["a", "b"], None)),
        ("tags", ["a", "b"]),
        ("embedding_batch", ["b", "a"]),
        ("text_only", ["c"]),
        ("route_incapable", ["c"]),
        ("media_refusing", ["c"]),
        ("pre_call", {"input_tokens": 9, "deployments": {"a": fact(), "b": fact(9), "c": fact(8)}}),
        ("pre_call", {"input_tokens": 9, "deployments": {"a": fact(9), "b": fact(10), "c": fact(8)}}),
        ("pre_call", {"input_tokens": None, "deployments": {"a": fact(9), "b": fact(), "c": fact(lacks=True)}}),
    ],
)
async def test_retry_respects_earlier_filters(router: Any, stage: str, answer: Any) -> None:
    """A retry is between those that the stages of the choice before it have left."""
    host = Host(router)
    chosen(host, *([(stage, answer)] if stage == "callback_filters" else [FIRST, (stage, answer)]))
    await fails(host, step("a"), answered(500))
    assert chosen(host, FIRST) == ["b"]
    await fails(host, step("b"), answered(500))
    assert chosen(host, FIRST) == ["a", "b", "c"]  # whom the stages to come filter anew


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("text_only", ["a", "b", "c"]),
        ("pre_call", {"has_input": False}),
        ("strategy", ["a"]),
        ("routing_plugins", ["a-model"]),
    ],
)
async def test_unfiltering_stage_leaves_all(router: Any, stage: str, answer: Any) -> None:
    """A stage that filters nobody, such as a strategy, leaves all to a retry."""
    host = Host(router)
    chosen(host, FIRST, (stage, answer))
    await fails(host, step("a"), answered(500))
    assert chosen(host, FIRST) == ["b", "c"]


async def test_retry_respects_router_exclusions(router: Any) -> None:
    """What the compiled router has left out by itself is left out of the retry."""
    host = Host(router)
    chosen(host, FIRST)
    chosen(host, ("strategy", ["a"]), among="ab")
    await fails(host, step("a"), answered(500))
    assert chosen(host, FIRST) == ["b"]


async def test_retry_respects_region() -> None:
    """A retry stays within the region that is asked for."""
    group = [deployment(name, "openai", NOWHERE, region_name=region) for name, region in (("a", "eu"), ("b", "eu"))]
    group.append(deployment("c", "openai", NOWHERE))
    with routed(group) as router, mock.patch.object(driver_state, "router_of", lambda core: core.router):
        host = Host(router)
        facts = {"allowed_model_region": "eu", "deployments": {name: fact() for name in "abc"}}
        chosen(host, FIRST, ("pre_call", facts))
        await fails(host, step("a"), answered(500))
        assert chosen(host, FIRST) == ["b"]


@pytest.mark.parametrize("group", ["another", "yet-another"])
async def test_choices_are_kept_per_group(router: Any, group: str) -> None:
    """Whom the choice of one group has left says nothing of the next group, which may share a deployment."""
    host = Host(router)
    chosen(host, FIRST, among="ab")
    await fails(host, step("a"), answered(500))
    select = exclude_failed_deployments(lambda _, step: step["candidates"])
    assert select(host, {"stage": "callback_filters", "candidates": ["a", "z"], "model": group}) == ["z"]


async def test_choices_are_kept_per_order(router: Any) -> None:
    """Whom the choice of one order has left says nothing of the next order."""
    host = Host(router)
    chosen(host, FIRST)
    chosen(host, ("strategy", ["a"]), among="ab")
    await fails(host, step("a"), answered(500))
    select = exclude_failed_deployments(lambda _, step: step["candidates"])
    later = {"stage": "callback_filters", "candidates": ["a", "b", "c"], "model": GROUP, "target_order": 2}
    assert select(host, later) == ["b", "c"]


async def preferring(host: Host, name: str, *later: tuple[str, Any], prompt: str | None = None) -> Any:
    """The answer to the first stage of a choice, with a callback that keeps to deployment `name` and another one that
    knows where a `prompt` was cached. Of the `later` stages the strategy is asked about the preferred one alone."""

    @soft_affinity
    async def async_filter_deployments(_: Any, model: str, healthy_deployments: list[Any]) -> list[Any]:
        return [one for one in healthy_deployments if one["model_info"]["id"] == name] or healthy_deployments

    async def answer_to(self: Any, step: Any) -> Any:
        if step["stage"] != "callback_filters":
            return dict(later)[step["stage"]]
        records = [{"model_info": {"id": one}} for one in step["candidates"]]
        left = await async_filter_deployments(None, model=GROUP, healthy_deployments=records)
        return [one["model_info"]["id"] for one in left], prompt

    select = exclude_failed_deployments(answer_to)
    left, preferred = await select(host, {"stage": "callback_filters", "candidates": ["a", "b", "c"], "model": GROUP})
    for stage, _ in later:
        asked = [preferred] if stage == "strategy" else left
        await select(host, {"stage": stage, "candidates": asked, "model": GROUP})
    return left, preferred


async def test_a_preferred_deployment_gives_way_to_the_others(router: Any) -> None:
    """A preferred deployment is named beside the others, and gives way to them once it has failed."""
    host = Host(router)
    assert await preferring(host, "a", ("strategy", ["a"])) == (["a", "b", "c"], "a")
    for name, left in (("a", ["b", "c"]), ("b", ["c"])):
        assert (await fails(host, step(name), answered(404)))["status"] == COOLS_DOWN_AND_RETRIES
        assert await preferring(host, "a") == (left, None)
    assert (await fails(host, step("c", retry=2), answered(404)))["kind"] == "NotFoundError"


async def test_preference_respects_later_filters(router: Any) -> None:
    """A deployment that a later stage excludes is no other one to try for the preferred one."""
    host = Host(router, fallbacks=[])
    await preferring(host, "a", ("tags", ["a", "c"]), ("strategy", ["a"]))
    assert (await fails(host, step("a"), answered(404)))["status"] == COOLS_DOWN_AND_RETRIES
    assert (await preferring(host, "a", ("tags", ["c"])))[0] == ["c"]
    assert (await fails(host, step("c"), answered(404)))["status"] == 404


async def test_prompt_cache_is_a_preference(router: Any) -> None:
    """The deployment where a prompt was cached is preferred among several, after that of a session."""
    host = Host(router)
    assert await preferring(host, "nobody", ("strategy", ["a"]), prompt="a") == (["a", "b", "c"], "a")
    assert (await preferring(Host(router), "b", prompt="a"))[1] == "b"
    assert (await fails(host, step("a"), answered(404)))["status"] == COOLS_DOWN_AND_RETRIES
    assert await preferring(host, "nobody", prompt="c") == (["b", "c"], "c")


async def test_what_only_one_deployment_holds_is_preferred_there(router: Any) -> None:
    """A request for what only one deployment holds, such as a response to continue, keeps to that one."""
    host = Host(router, "aresponses", "generic", previous_response_id="r")
    await preferring(host, "a")
    assert (await fails(host, step("a"), answered(402)))["status"] == 402
    assert await preferring(host, "a") == (["a"], None)
