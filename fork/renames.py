"""What upstream has renamed of what patches edit; a patch says the oldest name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from packaging.version import Version

from fork.syntax import Location


class Rename(NamedTuple):
    """A module, or a folder of them, that has another name since a release, and the `names` of classes and of single
    methods that have changed with it."""

    since: str
    old: str
    new: str
    names: Mapping[str, str] = MappingProxyType({})


IN_THE_ROUTERS_CORE = {
    "Router": "PythonCore",
    "Router.async_get_healthy_deployments": "PythonCore._core_async_get_healthy_deployments",
    "Router.async_get_available_deployment": "PythonCore._async_get_available_deployment_unresolved",
    "Router.get_available_deployment": "PythonCore._get_available_deployment_unresolved",
}
RENAMES = (
    Rename("1.104", "litellm/llms/anthropic/experimental_pass_through/", "litellm/llms/anthropic/pass_through/"),
    Rename(
        "1.108",
        "litellm/llms/custom_httpx/http_handler.py",
        "litellm/llms/custom_httpx/http_handler.py",
        {"AsyncHTTPHandler.single_connection_post_request": "AsyncHTTPHandler.single_connection_request"},
    ),
    Rename("1.109", "litellm/llms/anthropic/pass_through/", "litellm/llms/anthropic/messages/"),
    Rename("1.109", "litellm/router.py", "litellm/router_python_core.py", IN_THE_ROUTERS_CORE),
    Rename("1.110", "litellm/router_python_core.py", "litellm/router.py", {"Router": "Router"}),
)
"""Oldest first. `since` lies between the releases of bases.toml, which are all that is known of."""


def location(path: str, base: str) -> Location:
    """Where the release `base` has the module that was at `path` in the oldest one."""
    names: dict[str, str] = {}
    for rename in RENAMES:
        if path.startswith(rename.old) and Version(base) >= Version(rename.since):
            path = rename.new + path.removeprefix(rename.old)
            names.update(rename.names)
    return Location(path, base, names)
