"""
Finds the provider's error object on an exception, and the codes in it: the body of a failed answer, or what stands in
an answer of success or an event of its stream where the answer should.

Providers' classes keep it in different places: decoded as `body`, as the text of the message, on the response. The
codes are what a provider documents for machines; its message, written for people, is not looked at here.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, TypeGuard

from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.json_values import decoded_json

Json = Mapping[str, object]

_MAX_BODY: Final = 100_000  # characters; an error object is short, a megabyte is something else
_MAX_LEVELS: Final = 4
_EVENT_TYPE: Final = re.compile(r"([A-Za-z]+Exception)\b")  # Bedrock's, which LiteLLM puts before an event's message
_NAMES_OF_CODES: Final = ("code", "error_code", "err_code", "__type", "type", "error_type", "status", "error")
_NAMES_OF_STATUSES: Final = ("code", "status_code", "statusCode", "http_status", "status")
_MAPPED_EXCEPTIONS: Final = "litellm.exceptions"
_AWS_ERROR_TYPE: Final = "x-amzn-errortype"


class ErrorObject(NamedTuple):
    """The codes of an error object, the one that says the most first, in lower case; its message, and the number it
    has for a status, 400 to 599, if any."""

    codes: tuple[str, ...]
    message: str = ""
    status: int | None = None


def error_object_of(failure: object) -> ErrorObject | None:
    """What this one exception holds of the provider's error, None if nothing. Not what it was raised from."""
    return _found(_inner(_body(failure)), [*_codes_on(failure)], safe_getattr(failure, "code"))


def error_object_in(body: object) -> ErrorObject | None:
    """The error object in the decoded body of an answer, None if it is no JSON object."""
    return _found(_inner(body), [], None)


def _found(inner: Json | None, more_codes: list[str], more_status: object) -> ErrorObject | None:
    codes: Final = [*_codes_of(inner), *more_codes]
    if not codes and inner is None:
        return None
    told: Final = [] if inner is None else [inner.get(name) for name in _NAMES_OF_STATUSES]
    numbers: Final = (_as_error_status(value) for value in (*told, more_status))
    return ErrorObject(
        tuple(dict.fromkeys(code.lower() for code in codes)),
        _text(None if inner is None else inner.get("message") or inner.get("error")),
        next((number for number in numbers if number is not None), None),
    )


def _body(failure: object) -> object:
    """The decoded body of the provider's answer, or the event, that `failure` was made from."""
    body: Final = safe_getattr(failure, "body")
    if isinstance(body, Mapping) and body:
        return body
    message: Final = safe_getattr(failure, "message")
    content: Final = safe_getattr(
        safe_getattr(failure, "response"), "_content"
    )  # httpx.Response.content raises on an unread stream
    return _decoded(body) or _decoded(message) or _decoded(content)


def _decoded(text: object) -> object:
    """What a JSON text holds, None for anything else."""
    if not isinstance(text, (str, bytes)) or len(text) > _MAX_BODY or text.lstrip()[:1] not in ("{", "[", b"{", b"["):
        return None
    return decoded_json(text)


def _inner(body: object) -> Json | None:
    """The error object in a body: OpenAI's, Anthropic's and Google's under `error`, watsonx's in a list, ElevenLabs'
    under `detail`, others' the body itself. Google streams its own in a list."""
    if isinstance(body, list):
        body = body[0] if body else None
    if not isinstance(body, Mapping):
        return None
    error: Final = body.get("error")
    if isinstance(error, Mapping):
        return error
    errors: Final = body.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], Mapping):
        return dict(errors[0])
    detail: Final = body.get("detail")
    has_code: Final = any(_is_code(body.get(name)) for name in _NAMES_OF_CODES)
    return detail if isinstance(detail, Mapping) and detail and not has_code else body


def _codes_of(inner: Json | None) -> Iterator[str]:
    """From the most particular to the most general."""
    if inner is None:
        return
    for level in reversed(_levels(inner)):
        details = level.get("details")
        for detail in details if isinstance(details, list) else ():
            reason = _mapping(detail).get("reason")  # google.rpc.ErrorInfo
            if _is_code(reason):
                yield reason
        if "flagged_input" in _mapping(level.get("metadata")):  # OpenRouter's, under a 403
            yield "content_policy_violation"
        for name in _NAMES_OF_CODES:
            value = level.get(name)
            if _is_code(value):
                yield value.rpartition("#")[2]  # com.amazon.coral.service#ThrottlingException


def _levels(inner: Json) -> list[Json]:
    """An error object and what Azure nests in it."""
    levels: Final = [inner]
    while len(levels) < _MAX_LEVELS:
        nested = levels[-1].get("innererror") or levels[-1].get("inner_error")
        if not isinstance(nested, Mapping):
            break
        levels.append(nested)
    return levels


def _codes_on(failure: object) -> Iterator[str]:
    """Those the exception has as attributes of its own, or in the headers of the answer. LiteLLM's own classes have
    some that it made up."""
    named_on: Final = () if type(failure).__module__ == _MAPPED_EXCEPTIONS else ("code", "type", "status_code")
    for name in named_on:
        value = safe_getattr(failure, name)
        if _is_code(value):
            yield value
    for holder in (failure, safe_getattr(failure, "response")):
        headers = safe_getattr(holder, "headers")
        named = headers.get(_AWS_ERROR_TYPE) if isinstance(headers, Mapping) else None
        if isinstance(named, str):
            yield named.partition(":")[0]
    message: Final = safe_getattr(failure, "message")
    event: Final = _EVENT_TYPE.match(message) if isinstance(message, str) else None
    if event is not None:
        yield event[1]


def _is_code(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= 100


def _mapping(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def as_http_status(value: object, lowest: int = 100) -> int | None:
    """The HTTP status that a number is, or its digits, from `lowest` to 599; None if it is none."""
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    return int(value) if isinstance(value, int) and lowest <= value <= 599 else None


def _as_error_status(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():  # as some encoders write any number
        value = int(value)
    return as_http_status(value, 400)
