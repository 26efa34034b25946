"""
Keeps the attempts of one request apart: what one of them changes in the request reaches neither the next one, nor a
fallback, nor the caller's own objects.

What is for the provider is copied for each attempt. What LiteLLM itself hangs on a request, from spans and logging
objects to its metadata, stays shared: later steps read there what an attempt has left. Two things are put back after a
failed attempt instead: the tags, which the deployment adds its own to, and how far a file has been read.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.router_utils.failover.router_view import Request

Result = TypeVar("Result")

_BUCKETS: Final = ("metadata", "litellm_metadata")
_SHARED: Final = frozenset({*_BUCKETS, "proxy_server_request", "model_info", "secret_fields"})
_TAGS: Final = "tags"


class _Driver(Protocol):
    _request: Request


HostFunction = Callable[[_Driver, object], Any]  # any-ok: async and sync, which tell of an attempt in a dict


class _File(Protocol):
    def tell(self) -> int: ...

    def seek(self, position: int, /) -> object: ...


def copied(value: object) -> object:
    """`value` with its lists and dicts copied, at every depth; whatever else is in them is the same object."""
    if type(value) is dict:
        return {key: copied(one) for key, one in value.items()}
    if type(value) is list:
        return [copied(one) for one in value]
    return value


def of_its_own(request: Request) -> dict[str, object]:
    """The parameters of a request, for one attempt to change as it likes."""
    return {name: value if _is_shared(name) else copied(value) for name, value in request.items()}


def _is_shared(name: str) -> bool:
    return name in _SHARED or name.startswith(("_", "litellm_"))


@contextmanager
def put_back_on_failure(request: Request) -> Iterator[None]:
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


def _metadata_of(request: Request) -> Iterator[MutableMapping[str, object]]:
    for name in _BUCKETS:
        bucket = request.get(name)
        if not isinstance(bucket, dict):
            continue
        if isinstance(bucket.get(_TAGS), str):  # which LiteLLM would take for a list of letters
            bucket[_TAGS] = [bucket[_TAGS]]
        yield bucket


def _restore(bucket: MutableMapping[str, object], tags: object) -> None:
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


def _is_text(values: Sequence[object]) -> bool:
    return bool(values) and isinstance(values[0], (dict, int, float))  # messages, tools or tokens, which may be many


def _is_seekable(value: object) -> bool:
    try:
        return callable(safe_getattr(value, "read")) and value.seekable() is True  # type: ignore[attr-defined]
    except Exception:  # such as a closed file's ValueError
        return False


def isolate_attempts(make_call: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.make_call`, through which each attempt of each kind of request goes."""

    @functools.wraps(make_call)
    async def make_call_alone(self: object, original_function: object, *args: object, **kwargs: object) -> Result:
        with put_back_on_failure(kwargs):
            return await make_call(self, original_function, *args, **of_its_own(kwargs))

    return make_call_alone


def isolate_request(attempt_call: Callable[..., Result]) -> Callable[..., Result]:
    """Wrap the compiled router's `attempt_call`, which makes the parameters of an attempt of those of the request."""

    @functools.wraps(attempt_call)
    def attempt_call_alone(core: object, plan: object, request: Request, *args: object, **kwargs: object) -> Result:
        return attempt_call(core, plan, of_its_own(request), *args, **kwargs)

    return attempt_call_alone


def restore_on_failure(attempt: HostFunction) -> HostFunction:
    """Wrap the compiled router's `_Driver.attempt` and its sync twin, which tell of a failure and do not raise it."""
    if inspect.iscoroutinefunction(attempt):

        async def attempt_alone(self: _Driver, step: object) -> dict[str, object]:
            with _restoring_what_failed(self._request) as told:
                told.update(await attempt(self, step))
            return told

        return functools.wraps(attempt)(attempt_alone)

    def attempt_alone_sync(self: _Driver, step: object) -> dict[str, object]:
        with _restoring_what_failed(self._request) as told:
            told.update(attempt(self, step))
        return told

    return functools.wraps(attempt)(attempt_alone_sync)


class _Failed(Exception):
    """An attempt that has been told of."""


@contextmanager
def _restoring_what_failed(request: Request) -> Iterator[dict[str, object]]:
    told: Final[dict[str, object]] = {}
    try:
        with put_back_on_failure(request):
            yield told
            if not told.get("ok"):
                raise _Failed
    except _Failed:
        pass
