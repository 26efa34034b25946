"""Which deployments the proxy leaves alone is seen from outside: by an administrator, and by who reads the metrics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx

from proxy.routes import ask
from support.faulty_provider import FAULTS, FaultyProvider, litellm_params
from support.gateway import MASTER_KEY, Gateway

GROUP = "the-group"
NO_ADMIN = "sk-of-no-administrator"
AUTH = f"""
from litellm.proxy._types import LitellmUserRoles, UserAPIKeyAuth


async def auth(request, api_key):
    role = LitellmUserRoles.PROXY_ADMIN if api_key == "{MASTER_KEY}" else LitellmUserRoles.INTERNAL_USER
    return UserAPIKeyAuth(api_key=api_key, user_role=role)
"""


def state(gateway: Gateway, key: str | None, **query: str) -> httpx.Response:
    """What the proxy answers whoever has that key."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{gateway.url}/health/rotation", headers=headers, params=query, timeout=60, trust_env=False)


def config(*hosts: FaultyProvider) -> dict[str, Any]:
    models = [
        {"model_name": GROUP, "litellm_params": litellm_params("openai", host.url), "model_info": {"id": name}}
        for name, host in zip("ab", hosts, strict=True)
    ]
    settings = {"callbacks": ["prometheus"], "require_auth_for_metrics_endpoint": False}
    return {"model_list": models, "litellm_settings": settings, "router_settings": {"cooldown_time": 60}}


def test_ejected_deployment_is_shown_and_counted(tmp_path: Path) -> None:
    """The route says who is ejected, for how long and why; the metric counts it; no key and no host is in either."""
    with FaultyProvider(FAULTS["refused"]) as broken, FaultyProvider() as healthy:
        with Gateway(config(broken, healthy), tmp_path) as gateway:
            assert {ask(gateway, GROUP).status_code for _ in range(20)} == {200}
            answer = state(gateway, MASTER_KEY, model=GROUP)
            metrics = httpx.get(f"{gateway.url}/metrics/", timeout=60, trust_env=False).text
            assert len(state(gateway, MASTER_KEY).json()["deployments"]) == len(answer.json()["deployments"])
            assert state(gateway, MASTER_KEY, model="grup").status_code == 404
    failed, well = answer.json()["deployments"]
    assert 0 < failed.pop("seconds_left") <= 60
    assert failed == {"model_id": "a", "model_group": GROUP, "state": "ejected", "reason": "unreachable", "streak": 1}
    assert (well["model_id"], well["state"]) == ("b", "in_rotation")
    counted = re.findall(r"litellm_deployment_(?:ejections|probes)_total\{.*", metrics)
    assert counted == ['litellm_deployment_ejections_total{kind="unreachable",model_id="a"} 1.0']
    assert "127.0.0.1" not in answer.text


def test_only_an_administrator_sees_it(tmp_path: Path) -> None:
    """Without a key it is 401, with one of no administrator 403, and neither names a deployment."""
    (tmp_path / "own_auth.py").write_text(AUTH)
    with FaultyProvider() as one, FaultyProvider() as other:
        settings = {"general_settings": {"custom_auth": "own_auth.auth"}}
        with Gateway({**config(one, other), **settings}, tmp_path) as gateway:
            assert state(gateway, MASTER_KEY).status_code == 200
            refused = state(gateway, NO_ADMIN)
    assert refused.status_code == 403
    assert "model_id" not in refused.text
    with FaultyProvider() as one, FaultyProvider() as other, Gateway(config(one, other), tmp_path) as gateway:
        assert state(gateway, None).status_code == 401
