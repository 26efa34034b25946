"""Exceptions as clients, providers and applications raise them, one from the other."""

from __future__ import annotations

import errno
from typing import Any

import httpx

REQUEST: Any = httpx.Request("POST", "https://provider.test/v1/chat/completions")
"""Of no type, as what follows: newer releases of openai ask for a request of httpx2, and take httpx's."""


def answered(status: int) -> Any:
    """An answer without a body, as httpx has it."""
    return httpx.Response(status, request=REQUEST)


class Failed(Exception):
    """An exception of no known package, with whatever attributes a test gives it."""

    def __init__(self, text: str = "", **attributes: Any) -> None:
        super().__init__(text)
        self.__dict__.update(attributes)


def raised_from(outer: BaseException, *causes: BaseException) -> BaseException:
    """`outer` as `raise outer from causes[0]`, itself raised from the next, and so on."""
    link = outer
    for cause in causes:
        link.__cause__ = cause
        link = cause
    return outer


def raised_while_handling(outer: BaseException, inner: BaseException) -> BaseException:
    """`outer` as raised while `inner` was being handled."""
    outer.__context__ = inner
    return outer


def refused() -> ConnectionRefusedError:
    return ConnectionRefusedError(errno.ECONNREFUSED, "refused")


def of_class(module: str, name: str, *bases: type[Exception]) -> Exception:
    """An exception of a class that is not installed here, or not on this version of Python."""
    failure: Exception = type(name, bases or (Exception,), {"__module__": module})("failed")
    return failure


def http_status_error(status: int) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError("failed", request=REQUEST, response=httpx.Response(status, request=REQUEST))


class AnsweredError(Exception):
    """A provider's exception: a status, a message, and the answer it was read from."""

    def __init__(self, status: int, text: str = "the provider said no", headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status_code = status
        self.message = text
        self.request = REQUEST
        self.response = httpx.Response(status, headers=headers, json={"error": text}, request=REQUEST)
