"""
What is used here of the host that LiteLLM's compiled router, since 1.110, has in Python: its types, as far as they are
looked at.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from litellm.router_utils.failover.router_view import Request

Step: TypeAlias = Mapping[str, Any]  # any-ok: what the compiled router asks of its host, a dict
Outcome: TypeAlias = Mapping[str, Any]  # any-ok: what it is told of an attempt, a dict
Answer: TypeAlias = Any  # any-ok: what it is told of other steps, in a shape of each step's own


class Host(Protocol):
    """The functions of the host that wait."""

    async def sleep(self, seconds: float) -> None: ...

    def sleep_sync(self, seconds: float) -> None: ...


class Registry(Protocol):
    """The deployments that the host keeps."""

    _registry_version: int  # another one after each change


class Core(Protocol):
    """A `RustCore`: one router's state."""

    _host: Host
    _hosted: Registry
    _resolved: object  # its settings
    _walked_fallbacks: Mapping[str, object]  # the router's own, by the name of the setting

    def _prefetch_strategy_and_selector(self, model: str, request: Request) -> tuple[str | None, object]: ...


class Plan(Protocol):
    """How an endpoint is served."""

    handler: str
    kind: str


class Driver(Protocol):
    """A `_Driver`, which makes the attempts at one request."""

    _core: Core
    _request: Request
    _plan: Plan
    _last_error: Exception
    _level_errors: Mapping[int, BaseException]  # what each group has failed with, by its level
    _level: int
    _fallback_depth: int
