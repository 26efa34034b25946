"""
Keeps the attempts of one request apart: what one of them changes in the request reaches neither the next one, nor a
fallback, nor the caller's own objects.

What is for the provider is copied for each attempt. What LiteLLM itself hangs on a request, from spans and logging
objects to its metadata, stays shared: later steps read there what an attempt has left. Two things are put back after a
failed attempt instead: the tags, which the deployment adds its own to, and how far a file has been read.
"""

import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Final, Protocol

_BUCKETS: Final = ("metadata", "litellm_metadata")
_SHARED: Final = frozenset({*_BUCKETS, "proxy_server_request", "model_info", "secret_fields"})
_TAGS: Final = "tags"


class _File(Protocol):
    def tell(self) -> int: ...

    def seek(self, position: int, /) -> object: ...


def copied(value: Any) -> Any:
    """`value` with its lists and dicts copied, at every depth; whatever else is in them is the same object."""
    if type(value) is dict:
        return {key: copied(one) for key, one in value.items()}
    if type(value) is list:
        return [copied(one) for one in value]
    return value


def of_its_own(request: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a request, for one attempt to change as it likes."""
    return {name: value if _is_shared(name) else copied(value) for name, value in request.items()}


def _is_shared(name: str) -> bool:
    return name in _SHARED or name.startswith(("_", "litellm_"))


@contextmanager
def put_back_on_failure(request: Mapping[str, Any]) -> Iterator[None]:
    """After a failed attempt, give the request the tags it came with, and have its files read from where they were."""
    tags: Final = [(bucket, copied(bucket.get(_TAGS))) for bucket in _metadata_of(request)]
    files: Final = [(file, file.tell()) for file in _files_in(list(request.values()))]
    try:
        yield
    except Exception:
        for bucket, given in tags:
            _restore(bucket, given)
        for file, position in files:
            file.seek(position)
        raise


def _metadata_of(request: Mapping[str, Any]) -> Iterator[MutableMapping[str, Any]]:
    for name in _BUCKETS:
        bucket = request.get(name)
        if not isinstance(bucket, dict):
            continue
        if isinstance(bucket.get(_TAGS), str):  # which LiteLLM would take for a list of letters
            bucket[_TAGS] = [bucket[_TAGS]]
        yield bucket


def _restore(bucket: MutableMapping[str, Any], tags: object) -> None:
    if tags is not None:
        bucket[_TAGS] = tags
    else:
        bucket.pop(_TAGS, None)


def _files_in(values: object) -> Iterator[_File]:
    """The open files among `values`, also those in a list, or in a tuple with their name and type."""
    for value in values if isinstance(values, (list, tuple)) else ():
        if isinstance(value, (list, tuple)):
            yield from _files_in(value) if not _is_text(value) else ()
        elif _is_seekable(value):
            yield value


def _is_text(values: list[Any] | tuple[Any, ...]) -> bool:
    return bool(values) and isinstance(values[0], (dict, int, float))  # messages, tools or tokens, which may be many


def _is_seekable(value: object) -> bool:
    try:
        return callable(getattr(value, "read", None)) and value.seekable() is True  # type: ignore[attr-defined]
    except Exception:  # such as a closed file's ValueError
        return False


def isolating_attempts(make_call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap `Router.make_call`, through which each attempt of each kind of request goes."""

    @functools.wraps(make_call)
    async def make_call_alone(self: Any, original_function: Any, *args: Any, **kwargs: Any) -> Any:
        with put_back_on_failure(kwargs):
            return await make_call(self, original_function, *args, **of_its_own(kwargs))

    return make_call_alone


def isolating_the_request(attempt_call: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the compiled router's `attempt_call`, which makes the parameters of an attempt of those of the request."""

    @functools.wraps(attempt_call)
    def attempt_call_alone(core: Any, plan: Any, request: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        return attempt_call(core, plan, of_its_own(request), *args, **kwargs)

    return attempt_call_alone


def putting_back(attempt: Callable[..., Awaitable[Mapping[str, Any]]]) -> Callable[..., Awaitable[Mapping[str, Any]]]:
    """Wrap the compiled router's `_Driver.attempt`, which tells of a failure and does not raise it."""

    @functools.wraps(attempt)
    async def attempt_alone(self: Any, step: Any) -> Mapping[str, Any]:
        with _putting_back_what_failed(self._request) as told:
            told.update(await attempt(self, step))
        return told

    return attempt_alone


def putting_back_in_sync(attempt: Callable[..., Mapping[str, Any]]) -> Callable[..., Mapping[str, Any]]:
    """As `putting_back`, for `_Driver.attempt_sync`."""

    @functools.wraps(attempt)
    def attempt_alone(self: Any, step: Any) -> Mapping[str, Any]:
        with _putting_back_what_failed(self._request) as told:
            told.update(attempt(self, step))
        return told

    return attempt_alone


class _Failed(Exception):
    """An attempt that has been told of."""


@contextmanager
def _putting_back_what_failed(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    told: Final[dict[str, Any]] = {}
    try:
        with put_back_on_failure(request):
            yield told
            if not told.get("ok"):
                raise _Failed
    except _Failed:
        pass
