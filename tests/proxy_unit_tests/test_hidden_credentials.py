"""What the proxy shows of a deployment has its credentials taken out, however the function that shows it is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from litellm.litellm_core_utils.message_for_callers import hiding_credentials

KEY = "correct-horse.battery:staple/42"
DEPLOYMENT = {
    "litellm_params": {"model": "openai/m", "api_base": "http://user:pa55w0rd@host:1/v1", "api_key": KEY},
    "model_info": {"key": "openai/m"},
    "error": f"no such key: {KEY}",
}


@hiding_credentials
def show(deployment_dict: dict[str, Any], excluded_keys: set[str] | None = None) -> dict[str, Any]:
    return {**deployment_dict, "excluded": sorted(excluded_keys or ())}


@pytest.mark.parametrize(
    "call",
    [
        lambda: show(DEPLOYMENT),
        lambda: show(deployment_dict=DEPLOYMENT),
        lambda: show(excluded_keys={"a"}, deployment_dict=DEPLOYMENT),
    ],
    ids=["by position", "by name", "in another order"],
)
def test_credentials_are_hidden(call: Callable[[], dict[str, Any]]) -> None:
    """The key is hidden wherever it stands and the password in the address, and the model's name is not."""
    shown = call()
    assert KEY not in str(shown)
    assert "pa55w0rd" not in str(shown)
    assert shown["litellm_params"]["model"] == "openai/m"
    assert "host:1" in shown["litellm_params"]["api_base"]
