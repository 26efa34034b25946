"""What the proxy shows of a deployment has its credentials taken out, however the function that shows it is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from litellm.proxy.failover_errors.redaction import hide_credentials

KEY = "correct-horse.battery:staple/42"
DEPLOYMENT: dict[str, Any] = {
    "litellm_params": {"model": "openai/m", "api_base": "http://user:pa55w0rd@host:1/v1", "api_key": KEY},
    "model_info": {"key": "openai/m"},
    "error": f"no such key: {KEY}",
}


@hide_credentials
def show(deployment_dict: dict[str, Any], excluded_keys: set[str] | None = None) -> dict[str, Any]:
    deployment_dict["excluded"] = sorted(excluded_keys or ())
    return deployment_dict


@pytest.mark.parametrize(
    "call",
    [
        lambda deployment: show(deployment),
        lambda deployment: show(deployment_dict=deployment),
        lambda deployment: show(excluded_keys={"a"}, deployment_dict=deployment),
    ],
    ids=["by position", "by name", "in another order"],
)
def test_credentials_are_hidden(call: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Key and password are hidden wherever they stand, also in what was given, and the model's name is not."""
    given = dict(DEPLOYMENT)
    shown = call(given)
    assert shown is given
    assert KEY not in str(shown)
    assert "pa55w0rd" not in str(shown)
    assert shown["litellm_params"]["model"] == "openai/m"
    assert "host:1" in shown["litellm_params"]["api_base"]
