"""
What is known of the deployments of LiteLLM's compiled router, since 1.110, as long as these stay the same.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from litellm.router_utils.failover.compiled_router_types import Core
from litellm.router_utils.failover.router_view import Router, router_of

Found = TypeVar("Found")


class FoundInDeployments(Generic[Found]):
    """What `find` finds in a router's deployments, found again only after they have changed."""

    def __init__(self, find: Callable[[Router], Found]) -> None:
        self._find: Final = find
        self._known: Final[WeakKeyDictionary[Core, tuple[int, Found]]] = WeakKeyDictionary()

    def of(self, core: Core) -> Found:
        """What there is in the deployments of a core."""
        version: Final = core._hosted._registry_version
        known: Final = self._known.get(core)
        if known is not None and known[0] == version:
            return known[1]
        found: Final = self._find(router_of(core))
        self._known[core] = (version, found)
        return found
