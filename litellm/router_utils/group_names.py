"""
Finds the fallbacks of a model group under each of the names it has: LiteLLM looks them up by the name a request came
with alone, so that a request by an alias is lost although its group has a fallback.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final

_LISTS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def group_of_alias(router: Any, name: str) -> str | None:
    """The group that `name` is an alias of, in either format of `model_group_alias`; None if it is none."""
    if "_core" in getattr(router, "__dict__", {}):  # the compiled router looks fallbacks up by itself, by one name
        return None
    aliases: Final = getattr(router, "model_group_alias", None)
    target: Final = aliases.get(name) if isinstance(aliases, dict) else None
    group: Final = target.get("model") if isinstance(target, dict) else target
    return group if isinstance(group, str) else None


def by_its_name(router: Any, name: object, fallbacks: Any) -> Any:
    """`fallbacks`, in any format LiteLLM takes, with those of the group that `name` is an alias of under that name too,
    unless it has some of its own."""
    group: Final = group_of_alias(router, name) if isinstance(name, str) else None
    if group is None or not isinstance(fallbacks, list) or not all(isinstance(one, dict) for one in fallbacks):
        return fallbacks
    if any(name in one for one in fallbacks):
        return fallbacks
    return [*fallbacks, *({name: one[group]} for one in fallbacks if list(one) == [group])]


def with_fallbacks_of_the_group(fall_back: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap `Router.async_function_with_fallbacks_common_utils`, which a request of any kind comes to once its model
    group has failed it."""
    signature: Final = inspect.signature(fall_back)

    @functools.wraps(fall_back)
    async def async_function_with_fallbacks_common_utils(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound: Final = signature.bind(self, *args, **kwargs)
        name: Final = bound.arguments["model_group"]
        if group_of_alias(self, str(name)) is not None:
            for one in _LISTS:
                bound.arguments[one] = by_its_name(self, name, bound.arguments[one])
        return await fall_back(*bound.args, **bound.kwargs)

    return async_function_with_fallbacks_common_utils
