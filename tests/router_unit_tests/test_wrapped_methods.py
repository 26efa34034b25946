"""The methods of LiteLLM's that this branch wraps look as they did."""

from __future__ import annotations

import importlib
import inspect

import pytest
from litellm import Router
from litellm.router_utils.pre_call_checks.deployment_affinity_check import DeploymentAffinityCheck

from support.routing import COMPILED_ROUTER

OF_THE_ROUTER = (
    ("attempt", "attempt_sync", "select", "select_sync", "failed", "_failed")  # of the compiled router's host
    if COMPILED_ROUTER
    else ("async_function_with_fallbacks", "make_call", "_update_kwargs_with_deployment")
)
ROUTER = importlib.import_module("litellm.router_rust.core")._Driver if COMPILED_ROUTER else Router
WRAPPED = [*((ROUTER, name) for name in OF_THE_ROUTER), (DeploymentAffinityCheck, "async_filter_deployments")]


@pytest.mark.parametrize(("owner", "name"), WRAPPED)
def test_a_wrapped_method_looks_as_it_did(owner: type, name: str) -> None:
    """A wrapped method keeps its name and its signature."""
    method = getattr(owner, name)
    assert method.__name__ == name
    assert inspect.signature(method) == inspect.signature(inspect.unwrap(method))
    assert inspect.unwrap(method) is not method
