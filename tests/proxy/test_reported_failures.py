"""What the proxy reports of a deployment that fails: to whoever asks for its health, and in its metrics."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from proxy.routes import ask
from support.faulty_provider import FAULTS, FaultyProvider, litellm_params
from support.gateway import MASTER_KEY, Gateway

GROUP = "the-group"
CASES = {"404": ("404", "NotFoundError"), "refused": ("500", "InternalServerError")}
"""A fault; the status and the class that LiteLLM, stock too, has for it at an OpenAI deployment."""

A_LOGGER = """
from litellm.integrations.custom_logger import CustomLogger


class Named(CustomLogger):
    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        error = kwargs["exception"]
        print(f"logged {type(error).__name__} {error.status_code}.", flush=True)


handler = Named()
"""


@pytest.mark.parametrize("fault", CASES)
def test_reports_name_the_true_failure(fault: str, tmp_path: Path) -> None:
    """Logger, metric and /health name what the deployment failed with, and no status that stands for a decision."""
    (tmp_path / "named.py").write_text(A_LOGGER)
    status, name = CASES[fault]
    with FaultyProvider(FAULTS[fault]) as broken, FaultyProvider() as healthy:
        models = [
            {"model_name": GROUP, "litellm_params": litellm_params("openai", one.url), "model_info": {"mode": "chat"}}
            for one in (broken, healthy)
        ]
        settings = {"callbacks": ["prometheus", "named.handler"], "require_auth_for_metrics_endpoint": False}
        with Gateway({"model_list": models, "litellm_settings": settings}, tmp_path) as gateway:
            assert {ask(gateway, GROUP).status_code for _ in range(20)} == {200}
            key = {"Authorization": f"Bearer {MASTER_KEY}"}
            health = httpx.get(f"{gateway.url}/health", headers=key, timeout=60, trust_env=False).json()
            metrics = httpx.get(f"{gateway.url}/metrics/", timeout=60, trust_env=False).text
            logged = re.findall(r"logged (\w+) (\d+)\.", gateway.log)
    [unhealthy] = health["unhealthy_endpoints"]
    assert name in unhealthy["error"]
    assert "401" not in unhealthy["error"]
    cooled_down = re.findall(r'litellm_deployment_cooled_down_total\{.*exception_status="(\d+)".*\} (\S+)', metrics)
    assert cooled_down == [(status, "1.0")]
    assert set(logged) == {(name, status)}
