"""When a deployment that another group has stood in for is cooled down, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import litellm
import litellm.google_genai
import pytest
from litellm.types.router import AllowedFailsPolicy

from support.attempts import ANOTHER, FALLBACK, NOWHERE, attempt, attempts_of, failing, fails, members, request, status
from support.attempts import router as router
from support.routing import GROUP, cooldown_seconds, cooling_down, deployment, routed


@pytest.fixture
def relieved() -> Iterator[Any]:
    """A router with a lone deployment and a group behind it."""
    group = [deployment("a", "openai", NOWHERE), deployment("z", "openai", NOWHERE, group=ANOTHER)]
    with routed(group, cooldown_time=77, **FALLBACK) as router:
        yield router


async def answered(router: Any, error: Exception | None, **kwargs: Any) -> set[str]:
    """What is cooling down after a request in which the lone deployment failed so and another group answered."""

    async def body() -> str:
        if error is not None:
            await fails(router, "a", error)
        return "an answer"

    assert await request(router, body, **kwargs) == "an answer"
    return cooling_down(router)


TIMED_OUT = httpx.ReadTimeout("slow")


@pytest.mark.parametrize(
    ("error", "kwargs", "cooled"),
    [
        (None, {}, set()),
        (status(429), {}, {"a"}),
        (status(503), {}, {"a"}),
        (status(429), {"timeout": 1}, {"a"}),
        (TIMED_OUT, {}, {"a"}),
        (TIMED_OUT, {"timeout": None}, {"a"}),
        (TIMED_OUT, {"timeout": 1}, set()),
        (status(500), {}, set()),
        (status(400), {}, set()),
        (KeyError("choices"), {}, set()),
    ],
)
async def test_relieved_deployment_is_cooled_down(
    relieved: Any, error: Exception | None, kwargs: dict[str, Any], cooled: set[str]
) -> None:
    """A deployment that a fallback stood in for is cooled down where no retry on it can help."""
    assert await answered(relieved, error, **kwargs) == cooled


async def test_it_stays_where_the_others_have_no_fallback(relieved: Any) -> None:
    """A lone deployment stays in rotation where only one request has brought a fallback along."""
    relieved.fallbacks = []
    assert await answered(relieved, status(429), **FALLBACK) == set()
    relieved.fallbacks = [{ANOTHER: [GROUP]}]
    assert await answered(relieved, status(429)) == set()


async def test_it_stays_while_the_request_fails(relieved: Any) -> None:
    """A lone deployment stays in rotation while no other group has stood in for it."""

    async def body() -> None:
        await fails(relieved, "a", status(429))

    await attempts_of(relieved, body)
    assert cooling_down(relieved) == set()


async def test_one_of_several_is_left_to_litellms_callback(router: Any) -> None:
    """One of several deployments of a group is left to LiteLLM's callback."""
    router.fallbacks = FALLBACK["fallbacks"]
    assert await answered(router, status(429)) == set()


async def test_recovered_deployment_is_not_cooled_down(relieved: Any) -> None:
    """A deployment that answered in the end, after a back-off, is not cooled down."""

    async def body() -> None:
        await fails(relieved, "a", status(429))
        await attempt(relieved, "a", "an answer")

    await request(relieved, body)
    assert cooling_down(relieved) == set()


@pytest.mark.parametrize(
    ("of_router", "of_deployment"),
    [
        ({"allowed_fails": 0}, {}),
        ({"allowed_fails_policy": AllowedFailsPolicy(RateLimitErrorAllowedFails=0)}, {}),
        ({}, {"model_info": {"allowed_fails": 0}}),
        ({}, {"model_info": {"allowed_fails_policy": {"RateLimitErrorAllowedFails": 0}}}),
        ({}, {"litellm_params": {"allowed_fails": 0}}),
    ],
)
async def test_allowed_fails_are_for_litellms_callback_to_count(
    of_router: dict[str, Any], of_deployment: dict[str, Any]
) -> None:
    """Where allowed fails are set, for all deployments or for one, LiteLLM's callback counts them."""
    alone = deployment("a", "openai", NOWHERE)
    for holder, settings in of_deployment.items():
        alone[holder].update(settings)
    with routed([alone, deployment("z", "openai", NOWHERE, group=ANOTHER)], **of_router, **FALLBACK) as router:
        assert await answered(router, litellm.RateLimitError("slow down", "openai", "m")) == set()


@pytest.mark.parametrize(
    ("of_deployment", "retry_after", "seconds"),
    [
        (None, None, 77),
        (None, "33", 33),
        (55, None, 55),
        (0.5, None, 0.5),
        (55, "33", 55),
        (-1, "33", 33),
        (None, "nonsense", 77),
    ],
)
async def test_the_cooldown_is_as_long_as_litellms(of_deployment: Any, retry_after: str | None, seconds: float) -> None:
    """The cooldown is as long as the deployment says, else as the provider asks, else as the router says."""
    alone = deployment("a", "openai", NOWHERE)
    if of_deployment is not None:
        alone["model_info"]["cooldown_time"] = of_deployment
    headers = {} if retry_after is None else {"retry-after": retry_after}
    failure = status(429)
    failure.response = httpx.Response(429, headers=headers)
    group = [alone, deployment("z", "openai", NOWHERE, group=ANOTHER)]
    with routed(group, cooldown_time=77, **FALLBACK) as router:
        assert await answered(router, failure) == {"a"}
        assert cooldown_seconds(router, "a") == seconds


async def test_a_cooldown_of_no_time_is_none() -> None:
    """A deployment with a cooldown time of zero is not cooled down."""
    alone = deployment("a", "openai", NOWHERE)
    alone["model_info"]["cooldown_time"] = 0
    group = [alone, deployment("z", "openai", NOWHERE, group=ANOTHER)]
    with routed(group, cooldown_time=77, **FALLBACK) as router:
        assert await answered(router, status(429)) == set()


async def test_wait_of_nothing_is_no_wait(relieved: Any) -> None:
    """A Retry-After of zero leaves the cooldown to the router, and the attempt tells it from none."""
    failure = status(429)
    failure.response = httpx.Response(429, headers={"retry-after": "0"})
    assert await answered(relieved, failure) == {"a"}

    async def body() -> None:
        await fails(relieved, "a", failure)

    assert [one.retry_after for one in (await failing(relieved, body, status(429))).failed_attempts] == [0]


async def test_failed_fallback_is_cooled_down(relieved: Any) -> None:
    """A fallback that gave way to another group in its turn is cooled down too."""
    relieved.fallbacks = [{ANOTHER: [GROUP]}]

    async def fallback() -> str:
        await fails(relieved, "z", status(429), among=members(relieved, ANOTHER))
        return "an answer"

    async def body() -> Any:
        await fails(relieved, "a", status(500))
        return await request(relieved, fallback, model=ANOTHER, fallback_depth=1)

    assert await request(relieved, body) == "an answer"
    assert cooling_down(relieved) == {"z"}
