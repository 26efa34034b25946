"""
Keeps the attempts of one request apart: what one of them changes in the request reaches neither the next one, nor a
fallback, nor the caller's own objects.

What is for the provider is copied for each attempt. What LiteLLM itself hangs on a request, from spans and logging
objects to its metadata, stays shared: later steps read there what an attempt has left. Two things are put back after a
failed attempt instead: the tags, which the deployment adds its own to, and how far a file has been read.
"""

import functools
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeGuard, TypeVar

from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.router_utils.failover.router_view import Request

Result = TypeVar("Result")

_BUCKETS: Final = ("metadata", "litellm_metadata")
_SHARED: Final = frozenset({*_BUCKETS, "proxy_server_request", "model_info", "secret_fields"})
_TAGS: Final = "tags"
_CONTAINERS: Final = (dict, list)
_NO_FILES: Final = (bool, dict, float, int, str, type(None))


class _File(Protocol):
    def tell(self) -> int: ...

    def seek(self, position: int, /) -> object: ...


def copied(value: object) -> object:
    """`value` with its lists and dicts copied, at every depth; whatever else is in them is the same object."""
    if type(value) is dict:
        return {key: copied(one) if type(one) in _CONTAINERS else one for key, one in value.items()}
    if type(value) is list:
        return [copied(one) if type(one) in _CONTAINERS else one for one in value]
    return value


def of_its_own(request: Request) -> dict[str, object]:
    """The parameters of a request, for one attempt to change as it likes."""
    return {
        name: copied(value) if type(value) in _CONTAINERS and not _is_shared(name) else value
        for name, value in request.items()
    }


def _is_shared(name: str) -> bool:
    return name in _SHARED or name.startswith(("_", "litellm_"))


class Given(NamedTuple):
    """What a request came with and an attempt changes in place: the tags of its metadata, and how far its files have
    been read."""

    tags: Sequence[tuple[MutableMapping[str, object], object]]
    files: Sequence[tuple[_File, int]]

    @classmethod
    def of(cls, request: Request) -> "Given":
        """That of a request, before an attempt at it."""
        tags: Final = [(bucket, copied(bucket.get(_TAGS))) for bucket in _metadata_of(request)]
        return cls(tags, [(file, file.tell()) for file in _files_in(request.values())])

    def put_back(self) -> None:
        """Give it to the request again, after the attempt has failed."""
        for bucket, tags in self.tags:
            _restore(bucket, tags)
        for file, position in self.files:
            file.seek(position)


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


def _files_in(values: Iterable[object]) -> Iterator[_File]:
    """The open files among `values`, also those in a list, or in a tuple with their name and type."""
    for value in values:
        if type(value) in _NO_FILES:
            continue
        if isinstance(value, (list, tuple)):
            yield from _files_in(value) if not _is_text(value) else ()
        elif _is_seekable(value):
            yield value


def _is_text(values: Sequence[object]) -> bool:
    return bool(values) and isinstance(values[0], (dict, int, float))  # messages, tools or tokens, which may be many


def _is_seekable(value: object) -> TypeGuard[_File]:
    try:
        return callable(safe_getattr(value, "read")) and value.seekable() is True  # type: ignore[attr-defined]
    except Exception:  # such as a closed file's ValueError
        return False


def isolate_attempts(make_call: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router.make_call`, through which each attempt of each kind of request goes."""

    @functools.wraps(make_call)
    async def make_call_alone(self: object, original_function: object, *args: object, **kwargs: object) -> Result:
        given: Final = Given.of(kwargs)
        try:
            return await make_call(self, original_function, *args, **of_its_own(kwargs))
        except Exception:
            given.put_back()
            raise

    return make_call_alone
