"""
Walks an exception and all it was raised from. Nothing here raises: an attribute that cannot be read is none.
"""

import contextlib
from collections.abc import Iterator, Mapping
from traceback import walk_tb
from types import TracebackType
from typing import Any, Final, TypeGuard

import httpx

FAILURE_ATTRIBUTE: Final = "failure"
"""Where the exception mapping keeps the `Failure` on what it raises."""

HEADERS_ATTRIBUTE: Final = "litellm_response_headers"
"""Where LiteLLM keeps the headers of the answer on what it raises."""

FOUND_HEADERS_ATTRIBUTE: Final = "litellm_failover_response_headers"
"""Where it is kept what an exception, and what it was raised from, have been searched for: none are empty ones."""

_HTTP_LIBRARIES: Final = ("httpx", "httpx2")

MAX_LINKS: Final = 32
"""Far beyond any real chain."""


def safe_getattr(holder: object, name: str) -> object:
    """An attribute, or None where it is absent or raises."""
    try:
        return getattr(holder, name, None)
    except Exception:
        return None


def fields_of(model: object) -> dict[str, Any]:  # any-ok: whatever it has
    """The fields of a pydantic model, or the attributes of what stands for one. To dump it costs each chunk of a stream
    more, and so does asking for one that is not declared."""
    extra: Final = safe_getattr(model, "__pydantic_extra__")
    own: Final = safe_getattr(model, "__dict__")
    return {**(own if isinstance(own, dict) else {}), **(extra if isinstance(extra, dict) else {})}


def iter_exception_chain(failure: object) -> Iterator[object]:
    """`failure` and all it was raised from, outermost first."""
    yield failure
    waiting: Final = _sources(failure)
    seen: Final = {id(failure)}
    while waiting and len(seen) < MAX_LINKS:
        link = waiting.pop(0)
        if id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting.extend(_sources(link))


def response_headers(failure: object) -> httpx.Headers | None:
    """The headers of the provider's answer: those that were found before, else those of the outermost exception of the
    chain that has any."""
    known: Final = safe_getattr(failure, HEADERS_ATTRIBUTE)
    if are_headers(known):
        return known
    searched: Final = safe_getattr(failure, FOUND_HEADERS_ATTRIBUTE)
    if searched is not None:
        return searched if are_headers(searched) else None
    found: Final = search_headers(failure)
    if isinstance(failure, Exception):
        with contextlib.suppress(AttributeError, TypeError):  # of one that takes no attributes
            setattr(failure, FOUND_HEADERS_ATTRIBUTE, found or httpx.Headers())
    return found


def search_headers(failure: object) -> httpx.Headers | None:
    """As `response_headers`, whatever was found before."""
    for link in iter_exception_chain(failure):
        for holder in (link, safe_getattr(link, "response")):
            headers = safe_getattr(holder, "headers")
            if are_headers(headers):
                return headers
            if isinstance(headers, Mapping) and headers:
                pairs = [(str(name), str(value)) for name, value in headers.items()]
                return httpx.Headers(pairs, encoding="utf-8")
    return None


def are_headers(found: object) -> TypeGuard[httpx.Headers]:
    """Whether these are an answer's headers, and some: httpx's, or those of httpx2, which newer releases of openai use
    and which have the same methods."""
    kind: Final = type(found)
    return kind.__name__ == "Headers" and kind.__module__ in _HTTP_LIBRARIES and bool(found)


def _sources(link: object) -> list[BaseException]:
    """What `link` was raised from, or while handling what."""
    explicit: Final = [safe_getattr(link, "original_exception"), safe_getattr(link, "__cause__")]
    members: Final = safe_getattr(link, "exceptions")  # of an exception group
    if isinstance(members, (list, tuple)):
        explicit.extend(members[:MAX_LINKS])
    sources: Final = [source for source in explicit if isinstance(source, BaseException)]
    if sources:
        return sources
    context: Final = safe_getattr(link, "__context__")
    return [context] if isinstance(context, BaseException) and _is_of_the_same_call(link, context) else []


def _is_of_the_same_call(link: object, context: BaseException) -> bool:
    """Whether `context` was caught on the way `link` took.

    A retry is made while the failure before it is being handled, and an application may call LiteLLM while it handles
    a failure of its own. Both are context of what fails then, and say nothing about it.
    """
    if isinstance(safe_getattr(context, FAILURE_ATTRIBUTE), tuple):  # a mapped one has ended its call
        return False
    caught: Final = safe_getattr(context, "__traceback__")
    frames: Final = safe_getattr(link, "__traceback__")
    if not isinstance(caught, TracebackType) or not isinstance(frames, TracebackType):
        return True  # never raised, so nobody else's either
    return any(frame is caught.tb_frame for frame, _ in walk_tb(frames))
