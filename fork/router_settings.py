"""Edits that give LiteLLM's Router a setting, wherever a release looks for those it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fork.edits import AddItem, AddParameter, InsertFirst


@dataclass(frozen=True)
class RouterSettings:
    """New settings of the Router: the type and the default of each, as source code, by its name."""

    by_name: Mapping[str, tuple[str, str]]

    def parameters(self, function: str) -> tuple[AddParameter, ...]:
        """The settings as parameters of `function`."""
        return tuple(
            AddParameter(function, f"{name}: {kind} = {value}") for name, (kind, value) in self.by_name.items()
        )

    def in_python(self) -> tuple[AddParameter | InsertFirst, ...]:
        """For `litellm/router.py` before 1.110: parameters of the router, and attributes of the same names."""
        attributes = (InsertFirst("Router.__init__", f"self.{name} = {name}") for name in self.by_name)
        return (*self.parameters("Router.__init__"), *attributes)

    def compiled(self) -> tuple[AddParameter, ...]:
        """For `litellm/router.py` since 1.110, where the router is compiled."""
        return self.parameters("_router_init")

    def init_arguments(self) -> tuple[AddItem, ...]:
        """For `litellm/router_api.py`."""
        return tuple(AddItem("ROUTER_INIT_ARGS", f'"{name}"') for name in self.by_name)

    def plain_defaults(self) -> tuple[AddItem, ...]:
        """For `litellm/router_rust/surface/settings.py`."""
        return tuple(AddItem("PLAIN_DEFAULTS", f'"{name}": {value}') for name, (_, value) in self.by_name.items())

    def served_arguments(self) -> tuple[AddItem, ...]:
        """For `litellm/router_rust/core.py`."""
        return tuple(AddItem("_SERVED_ARGUMENTS", f'"{name}"') for name in self.by_name)
