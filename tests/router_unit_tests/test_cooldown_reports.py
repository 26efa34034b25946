"""What is reported of a cooldown, to loggers, to metrics and to who looks it up, is what the deployment failed with."""

from __future__ import annotations

from types import SimpleNamespace

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger
from litellm.router_utils import cooldown_callbacks

from support.faulty_provider import REFUSED, Fault, FaultyProvider
from support.routing import RELEASE, cooldown_cache, cooling_down, deployment, lost, outcomes, routed, until

METRICS = ("get_prometheus_logger_from_callbacks", "_get_prometheus_logger_from_callbacks")  # since 1.109, before it
FAULTS = {
    "refused": (REFUSED, 500),  # the status that LiteLLM's APIConnectionError has
    "model missing": (Fault.status(404), 404),
    "key refused": (Fault.status(401), 401),
    "out of credit": (Fault.status(402), 402),
}


class FailureLog(CustomLogger):
    """The statuses of the failures that a custom logger is told of."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses: list[int] = []

    async def async_log_failure_event(
        self, kwargs: dict[str, object], response_obj: object, start_time: object, end_time: object
    ) -> None:
        self.statuses.append(kwargs["exception"].status_code)  # type: ignore[attr-defined]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statuses under which `litellm_deployment_cooled_down` is counted."""
    statuses: list[str] = []
    metrics = SimpleNamespace(
        set_deployment_complete_outage=lambda **_: None,
        increment_deployment_cooled_down=lambda **labels: statuses.append(labels["exception_status"]),
    )
    for name in METRICS:
        monkeypatch.setattr(cooldown_callbacks, name, lambda: metrics, raising=False)
    return statuses


@pytest.mark.parametrize("name", FAULTS)
async def test_cooldown_is_reported_truthfully(name: str, counted: list[str]) -> None:
    """A custom logger, the metric and the store of cooldowns name the status of the failure, and no other one."""
    fault, status = FAULTS[name]
    with FaultyProvider(fault) as failing, FaultyProvider() as healthy:
        group = [deployment("a-failing", "openai", failing.url), deployment("b-healthy", "openai", healthy.url)]
        with routed(group, routing_strategy="cost-based-routing", num_retries=1) as router:
            log = FailureLog()
            litellm.callbacks.append(log)
            assert lost(await outcomes(router, 1)) == []
            assert await until(lambda: cooling_down(router) == {"a-failing"})
            assert await until(lambda: log.statuses and counted)
            stored = dict(cooldown_cache(router).get_active_cooldowns(["a-failing"], parent_otel_span=None))
            assert (stored["a-failing"]["status_code"], counted, log.statuses) == (str(status), [str(status)], [status])


@pytest.mark.skipif(RELEASE < (1, 99), reason="before, a deployment has no policy of its own")
async def test_status_is_of_the_failure_that_cooled_down() -> None:
    """A failure of before does not lend its status to the cooldown of another one."""
    with FaultyProvider(Fault.status(503)) as failing, FaultyProvider() as healthy:
        group = [deployment("a-failing", "openai", failing.url), deployment("b-healthy", "openai", healthy.url)]
        group[0]["model_info"]["allowed_fails_policy"] = {"BadRequestErrorAllowedFails": 0}
        with routed(group, routing_strategy="cost-based-routing", num_retries=1) as router:
            assert lost(await outcomes(router, 1)) == []
            failing.fault = Fault.status(400)
            assert lost(await outcomes(router, 1)) == [0]
            assert await until(lambda: cooling_down(router) == {"a-failing"})
            stored = dict(cooldown_cache(router).get_active_cooldowns(["a-failing"], parent_otel_span=None))
            assert stored["a-failing"]["status_code"] == "400"
