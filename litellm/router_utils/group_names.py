"""
Finds the fallbacks of a model group under each of the names it has: LiteLLM looks them up by the name a request came
with alone, so that a request by an alias is lost although its group has a fallback.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

_LISTS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def group_of_alias(aliases: object, name: object) -> str | None:
    """The group that `name` is an alias of, in either format of `model_group_alias`; None if it is none."""
    target: Final = aliases.get(name) if isinstance(aliases, Mapping) else None
    group: Final = target.get("model") if isinstance(target, Mapping) else target
    return group if isinstance(group, str) else None


def by_alias(aliases: object, name: object, fallbacks: Any) -> Any:
    """`fallbacks`, in any format LiteLLM takes, with those of the group that `name` is an alias of under that name too,
    unless it has some of its own."""
    group: Final = group_of_alias(aliases, name)
    if group is None or not isinstance(fallbacks, list) or not all(isinstance(one, Mapping) for one in fallbacks):
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
        aliases: Final = getattr(self, "model_group_alias", None)
        for one in _LISTS:
            bound.arguments[one] = by_alias(aliases, bound.arguments["model_group"], bound.arguments[one])
        return await fall_back(*bound.args, **bound.kwargs)

    return async_function_with_fallbacks_common_utils


def with_fallbacks_of_aliases(settings: Callable[..., Mapping[str, Any]]) -> Callable[..., Mapping[str, Any]]:
    """Wrap `Resolved.dynamic_document`, in which the compiled router, since 1.110, is told its settings: it looks
    fallbacks up by itself, and those of each alias stand there for it to find."""

    @functools.wraps(settings)
    def dynamic_document(self: Any, *args: Any, **kwargs: Any) -> Mapping[str, Any]:
        told: Final = dict(settings(self, *args, **kwargs))
        aliases: Final = told.get("model_group_alias") or {}
        for one in _LISTS:
            for alias in aliases if told.get(one) else ():
                told[one] = by_alias(aliases, alias, told[one])
        return told

    return dynamic_document
