"""
What the router written in Python, before LiteLLM 1.110, is told of automatic fallbacks: those of a model group once it
has failed a request.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from litellm.router_utils.failover.automatic_fallbacks import (
    automatic_fallbacks,
    is_of_the_deployments,
    may_use,
    visit_denied_groups,
)
from litellm.router_utils.failover.group_names import routed_as
from litellm.router_utils.failover.retry_state import current_turn
from litellm.router_utils.failover.router_view import Router, falls_back_automatically

Result = TypeVar("Result")


def add_automatic_fallbacks(fall_back: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.async_function_with_fallbacks_common_utils`, which a request of any kind comes to once its model
    group has failed it, to give it fallbacks where the user has configured none."""
    signature: Final = inspect.signature(fall_back)

    @functools.wraps(fall_back)
    async def async_function_with_fallbacks_common_utils(self: Router, *args: object, **kwargs: object) -> Result:
        if not falls_back_automatically(self):
            return await fall_back(self, *args, **kwargs)
        bound: Final = signature.bind(self, *args, **kwargs)
        if is_of_the_deployments(bound.arguments["e"]):
            request: Final = bound.arguments["kwargs"]
            model_group: Final = str(bound.arguments["model_group"])
            groups: Final = automatic_fallbacks(self, model_group, request, routed_as(model_group))
            permitted: Final = [group for group in groups if await may_use(self, group, request)]
            if permitted:
                bound.arguments["fallbacks"] = permitted
        return await fall_back(*bound.args, **bound.kwargs)

    return async_function_with_fallbacks_common_utils


def skip_denied_groups(make_call: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.make_call`, through which each attempt goes: once one has failed, what follows is decided without
    the automatic fallbacks that the request's key may not use."""

    @functools.wraps(make_call)
    async def make_call_with_key(self: Router, *args: object, **kwargs: object) -> Result:
        try:
            return await make_call(self, *args, **kwargs)
        except Exception:
            turn: Final = current_turn()
            if turn is not None and falls_back_automatically(self):
                await visit_denied_groups(turn)
            raise

    return make_call_with_key
