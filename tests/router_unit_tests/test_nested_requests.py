"""A request that is made within another one, by a hook or as an experiment, is one of its own."""

from __future__ import annotations

from typing import Any

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger

from support.faulty_provider import Fault, FaultyProvider
from support.routing import ask, deployment, routed, until

EXPERIMENT = "the-experiment"
OUT_OF_CREDIT = Fault.status(402)


async def test_silent_experiment_takes_no_fallback() -> None:
    """A fallback that a silent experiment has asked is still there for the request itself."""
    with FaultyProvider(Fault.status(503)) as a, FaultyProvider(Fault.status(500)) as b, FaultyProvider() as silent:
        deployments = [
            deployment("a", "openai", a.url, group="A"),
            deployment("b", "openai", b.url, group="B", silent_model=EXPERIMENT),
            deployment("s", "openai", silent.url, group=EXPERIMENT),
        ]
        with routed(deployments, fallbacks=[{"A": ["B", EXPERIMENT]}], num_retries=0) as router:
            assert [await ask(router, "async", model="A") for _ in range(2)] == ["pong", "pong"]


async def test_failed_experiment_is_no_attempt() -> None:
    """What a silent experiment fails with is not told as an attempt of the request."""
    with FaultyProvider(Fault.status(503)) as a, FaultyProvider(Fault.status(500)) as b:
        with FaultyProvider(OUT_OF_CREDIT) as silent:
            deployments = [
                deployment("a", "openai", a.url, group="A"),
                deployment("b", "openai", b.url, group="B", silent_model=EXPERIMENT),
                deployment("s", "openai", silent.url, group=EXPERIMENT),
            ]
            with routed(deployments, fallbacks=[{"A": ["B"]}], num_retries=0) as router:
                for _ in range(3):
                    with pytest.raises(Exception, match="Attempts that failed") as failure:
                        await router.acompletion(model="A", messages=[{"role": "user", "content": "ping"}])
                    tried = {attempt.model_group for attempt in failure.value.failed_attempts}  # type: ignore[attr-defined]
                    assert EXPERIMENT not in tried
                assert await until(lambda: silent.attempts)


async def test_request_of_a_hook_is_its_own() -> None:
    """A hook that passes a fallback's depth on with its own request does not join the request it belongs to."""

    class Hook(CustomLogger):
        async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any]:
            if kwargs.get("fallback_depth") and kwargs.get("model") != "openai/experiment":
                depth = kwargs["fallback_depth"]
                with pytest.raises(Exception, match="no"):
                    await router.acompletion(EXPERIMENT, kwargs["messages"], fallback_depth=depth)
            return kwargs

    with FaultyProvider(Fault.status(503)) as a, FaultyProvider(Fault.status(500)) as b:
        with FaultyProvider(OUT_OF_CREDIT) as other:
            deployments = [
                deployment("a", "openai", a.url, group="A"),
                deployment("b", "openai", b.url, group="B"),
                deployment("s", "openai", other.url, group=EXPERIMENT, model="openai/experiment"),
            ]
            with routed(deployments, fallbacks=[{"A": ["B"]}], num_retries=0) as router:
                litellm.callbacks.append(Hook())
                with pytest.raises(Exception, match="Attempts that failed") as failure:
                    await router.acompletion(model="A", messages=[{"role": "user", "content": "ping"}])
                tried = {attempt.model_group for attempt in failure.value.failed_attempts}  # type: ignore[attr-defined]
                assert tried == {"A", "B"}
