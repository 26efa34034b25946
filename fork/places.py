"""Where upstream has moved modules that patches edit; a patch names the oldest place."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from packaging.version import Version

from fork.syntax import Location


class Move(NamedTuple):
    """A module, or a folder of them, that has another name since a release, and the `names` of classes and of single
    methods that have changed with it."""

    since: str
    old: str
    new: str
    names: Mapping[str, str] = MappingProxyType({})


IN_THE_ROUTERS_CORE = {
    "Router": "PythonCore",
    "Router.async_get_healthy_deployments": "PythonCore._core_async_get_healthy_deployments",
    "Router.get_available_deployment": "PythonCore._get_available_deployment_unresolved",
}
MOVES = (
    Move("1.104", "litellm/llms/anthropic/experimental_pass_through/", "litellm/llms/anthropic/pass_through/"),
    Move("1.107", "litellm/llms/anthropic/pass_through/", "litellm/llms/anthropic/messages/"),
    Move("1.107", "litellm/router.py", "litellm/router_python_core.py", IN_THE_ROUTERS_CORE),
)
"""Oldest first. `since` lies between the releases of bases.toml, which are all that is known of."""


def location(path: str, base: str) -> Location:
    """Where the release `base` has the module that was at `path` in the oldest one."""
    names: dict[str, str] = {}
    for move in MOVES:
        if path.startswith(move.old) and Version(base) >= Version(move.since):
            path = move.new + path.removeprefix(move.old)
            names.update(move.names)
    return Location(path, base, names)
