"""
Leaves an answer that the provider has filtered to the caller where `content_policy_fallbacks` name no group for it.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Final, Protocol

from litellm.router_utils.failover.fallbacks import fallback_groups
from litellm.router_utils.failover.group_names import by_any_name, routed_as
from litellm.router_utils.failover.router_view import Request, Router, router_of, router_setting


class Driver(Protocol):
    """What makes the attempts of a request of the compiled router."""

    _request: Request
    _core: object


def keep_filtered_answer(should_raise: Callable[..., bool]) -> Callable[..., bool]:
    """Wrap `Router._should_raise_content_policy_error` and its twin of /v1/messages, which ask whether a fallback is
    configured for such an answer, and take an empty list for one."""
    signature: Final = inspect.signature(should_raise)

    @functools.wraps(should_raise)
    def should_raise_for_a_fallback(self: Router, *args: object, **kwargs: object) -> bool:
        asked: Final = signature.bind(self, *args, **kwargs).arguments
        return should_raise(self, *args, **kwargs) and not _is_left(self, asked["kwargs"], str(asked["model"]))

    return should_raise_for_a_fallback


def pass_filtered_answer(blocked: Callable[..., str | None]) -> Callable[..., str | None]:
    """Wrap `_Driver._blocked`, which tells the compiled router how an answer was filtered, None if it was not."""

    @functools.wraps(blocked)
    def blocked_for_a_fallback(self: Driver, *args: object, **kwargs: object) -> str | None:
        found: Final = blocked(self, *args, **kwargs)
        is_left: Final = found is not None and _is_left(
            router_of(self._core), self._request, str(self._request.get("model"))
        )
        return None if is_left else found

    return blocked_for_a_fallback


def _is_left(router: Router, request: Request, group: str) -> bool:
    """Whether `content_policy_fallbacks` are set and none of them is for `group`."""
    configured: Final = request.get("content_policy_fallbacks", router_setting(router, "content_policy_fallbacks"))
    named: Final = by_any_name(router, group, configured, routed_as(group))
    return configured is not None and not fallback_groups(group, named)
