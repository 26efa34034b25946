"""
Makes every provider's failure agree with its HTTP status, whichever branch of `exception_type` it took.

`exception_type` passes what it is about to raise through `align_with_http_status`: what is mapped rightly comes back
as it is, the rest as the class LiteLLM has for that status. Every mapped exception leaves with its `Failure`.
"""

import asyncio
import functools
import re
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import httpx
from litellm import exceptions
from litellm._logging import _ENABLE_SECRET_REDACTION, _redact_string, verbose_logger
from litellm.constants import _openai_like_providers
from litellm.litellm_core_utils.exception_chain import (
    FOUND_HEADERS_ATTRIBUTE,
    HEADERS_ATTRIBUTE,
    are_headers,
    response_headers,
    safe_getattr,
)
from litellm.litellm_core_utils.failure import (
    TRACEBACK_HEADING,
    Basis,
    Failure,
    FailureKind,
    answered_with,
    cancellation_of,
    failure_of,
    is_refused_by_policy,
    is_too_long_by_code,
    keep_failure,
    kept_failure,
    kind_of_status,
    with_stated_wait,
)
from litellm.litellm_core_utils.failure_evidence import PLACEHOLDER_STATUSES
from litellm.litellm_core_utils.release_differences import PAYMENT_REQUIRED_CLASS
from litellm.litellm_core_utils.stated_wait import SETTING
from litellm.llms.openai_like.json_loader import JSONProviderRegistry

# A status that is not here has the class of its hundred: BadRequestError below 500, APIError from there on.
_CLASS_OF_STATUS: Final[Mapping[int, type[Exception]]] = MappingProxyType(
    {
        401: exceptions.AuthenticationError,
        402: PAYMENT_REQUIRED_CLASS,
        403: exceptions.PermissionDeniedError,
        404: exceptions.NotFoundError,
        408: exceptions.Timeout,
        429: exceptions.RateLimitError,
        500: exceptions.InternalServerError,
        502: exceptions.BadGatewayError,
        503: exceptions.ServiceUnavailableError,
        504: exceptions.Timeout,
        522: exceptions.Timeout,
        524: exceptions.Timeout,
    }
)

_BARE_403: Final = (
    "ai21",
    "azure",
    "azure_ai",
    "deepseek",
    "fireworks_ai",
    "groq",
    "huggingface",
    "mistral",
    "openai",
    "openrouter",
    "perplexity",
    "replicate",
    "runwayml",
    "together_ai",
    "xai",
)

# A class with a status of its own, raised for a provider's exception of that status, needs no second look: this is most
# failures. 408 and 500 do, because LiteLLM puts them on failures without an answer too.
_USUAL_STATUS: Final[Mapping[type[Exception], int]] = MappingProxyType(
    {
        exceptions.BadRequestError: 400,
        exceptions.AuthenticationError: 401,
        exceptions.PermissionDeniedError: 403,
        exceptions.NotFoundError: 404,
        exceptions.RateLimitError: 429,
        exceptions.BadGatewayError: 502,
        exceptions.ServiceUnavailableError: 503,
    }
)

# 400 is any kind of trouble to some providers, and 403 what a filter answers: the code beside them is looked at.
_SAYING_ENOUGH: Final = frozenset({401, 404, 429, 502, 503})

# Upstream's tests assert another class for these providers (the status matrix of #38318), and they win over the table
# above. 403: left bare on purpose, says that pull request; the others are what each provider's own branch has always
# raised. 529 is asserted nowhere, but retry policies for InternalServerError rest on Anthropic's overload having that
# class.
_UPSTREAM_CLASS: Final[Mapping[tuple[str, int], type[Exception]]] = MappingProxyType(
    {
        **dict.fromkeys(((provider, 403) for provider in _BARE_403), exceptions.APIError),
        ("nlp_cloud", 403): exceptions.AuthenticationError,
        ("huggingface", 404): exceptions.APIError,
        ("nlp_cloud", 404): exceptions.APIError,
        ("replicate", 404): exceptions.APIError,
        ("nlp_cloud", 408): exceptions.APIError,
        ("huggingface", 422): exceptions.APIError,
        ("replicate", 422): exceptions.UnprocessableEntityError,
        ("azure", 500): exceptions.APIError,
        ("huggingface", 500): exceptions.APIError,
        ("nlp_cloud", 500): exceptions.APIError,
        ("openrouter", 500): exceptions.APIError,
        ("bedrock", 500): exceptions.ServiceUnavailableError,
        ("replicate", 500): exceptions.ServiceUnavailableError,
        ("sagemaker", 500): exceptions.ServiceUnavailableError,
        ("nlp_cloud", 503): exceptions.APIError,
        ("replicate", 503): exceptions.APIError,
        ("anthropic", 529): exceptions.InternalServerError,
    }
)

# The `status_code` of an exception where that matrix asserts another one than the provider answered with. The true one
# stays beside it, as `failure.http_status`: cooldowns, retries and the caller's answer follow from that.
_UPSTREAM_STATUS: Final[Mapping[tuple[str, int], int]] = MappingProxyType(
    {
        ("databricks", 422): 400,
        ("replicate", 403): 500,
        ("replicate", 404): 500,
        ("bedrock", 500): 503,
        ("replicate", 500): 503,
        ("sagemaker", 500): 503,
        ("replicate", 503): 500,
    }
)

# Providers whose own error type, under another status, says what these classes mean. `exception_type` recognises it,
# and upstream's tests assert most of these: class and kind stay what they are there.
_GOOGLE: Final = ("gemini", "vertex_ai", "vertex_ai_beta")
_RECOGNISED_UNDER_STATUS: Final[Mapping[tuple[str, int], tuple[type[Exception], ...]]] = MappingProxyType(
    {
        # Google answers 400 to a wrong key, and puts 429 into the body of a 5xx.
        **{(name, 400): (exceptions.AuthenticationError, exceptions.RateLimitError) for name in _GOOGLE},
        **{(name, status): (exceptions.RateLimitError,) for name in _GOOGLE for status in (500, 502, 503)},
        # The others answer 400 where they throttle, or to a wrong token.
        ("bedrock", 400): (exceptions.RateLimitError,),
        ("fireworks_ai", 400): (exceptions.RateLimitError,),
        ("watsonx", 400): (exceptions.RateLimitError,),
        ("watsonx", 403): (exceptions.RateLimitError,),
        ("cohere", 400): (exceptions.AuthenticationError,),
        ("cohere", 498): (exceptions.AuthenticationError,),
        ("cohere_chat", 400): (exceptions.AuthenticationError,),
        ("cohere_chat", 498): (exceptions.AuthenticationError,),
    }
)

# For a failure without an HTTP answer. A kind that is not here keeps the class `exception_type` gave it.
_CLASS_OF_KIND: Final[Mapping[FailureKind, type[Exception]]] = MappingProxyType(
    {
        FailureKind.RATE_LIMITED: exceptions.RateLimitError,
        FailureKind.UNREACHABLE: exceptions.APIConnectionError,
        FailureKind.TIMED_OUT: exceptions.Timeout,
        FailureKind.INTERRUPTED: exceptions.APIConnectionError,
        FailureKind.GARBLED: exceptions.APIConnectionError,
    }
)

# What some providers' branches raise for a failure without an answer: users have policies for these classes.
_ALSO_RIGHT: Final[Mapping[type[Exception], tuple[type[Exception], ...]]] = MappingProxyType(
    {exceptions.APIConnectionError: (exceptions.InternalServerError, exceptions.Timeout)}
)

# `exception_type` knows these from the provider's own words; their status is 400 whatever the answer's was.
_REQUEST_TOO_LARGE_OR_REFUSED: Final = (exceptions.ContextWindowExceededError, exceptions.ContentPolicyViolationError)

_MAPPED_CLASSES: Final[tuple[type[Exception], ...]] = tuple(exceptions.LITELLM_EXCEPTION_TYPES)
_ANY_CLASS: Final[tuple[type[Exception], ...]] = (exceptions.APIConnectionError, *_MAPPED_CLASSES)
_HEADERS_OF_THE_BODY: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})

ResponseHeaders = Mapping[str, object] | None


def register_json_providers() -> None:
    """Let the providers of providers.json take the status-aware path of the OpenAI-like providers (#24366, option A).

    An entry without `base_url` or `api_key_env` is logged and left out.
    """
    try:
        slugs: Final = JSONProviderRegistry.list_providers()
    except Exception as error:
        verbose_logger.warning("providers.json cannot be read, so none of its providers is registered: %s", error)
        return
    for slug in slugs:
        if not is_json_provider(slug):
            verbose_logger.warning("Provider %s is left out: its entry needs a base_url and an api_key_env", slug)
        elif slug not in _openai_like_providers:
            _openai_like_providers.append(slug)
            verbose_logger.debug("Registered provider %s of providers.json as OpenAI-like", slug)


def is_json_provider(slug: str | None) -> bool:
    """Whether the registry has a complete entry for `slug` now: users add providers while the process runs."""
    provider: Final = JSONProviderRegistry.get(slug) if slug else None
    return bool(safe_getattr(provider, "base_url") and safe_getattr(provider, "api_key_env"))


def keep_failure_of_mapped(original_exception: object) -> None:
    """Keep its `Failure` on an exception that `exception_type` returns as it is, because it is mapped."""
    if isinstance(original_exception, Exception) and type(original_exception).__module__ == exceptions.__name__:
        known: Final = kept_failure(original_exception)
        if known is None:
            _with_failure(original_exception, failure_of(original_exception))


def align_with_http_status(mapped: Exception, original: object, model: str, provider: str) -> Exception:
    """What `exception_type` is to raise for `original`: `mapped` where it is right, else the exception it should be.

    It is one of LiteLLM's, agrees with the provider's HTTP status in `status_code` and class (where upstream's tests do
    not assert others), has the original as `__cause__` and the `Failure` as `failure`. Raises
    the cancellation that a provider's code has made a failure of, while the request is being cancelled: who would retry
    it or cool a deployment down for it, must not hear of it.
    """
    try:
        agreed = _mapped_rightly(mapped, original)
        if agreed is None:
            _reraise_cancellation(original)
            agreed = _agreed(mapped, original, model, provider)
            searched: Final = safe_getattr(original, FOUND_HEADERS_ATTRIBUTE)
            if searched is not None:
                setattr(agreed, FOUND_HEADERS_ATTRIBUTE, searched)
    except Exception as error:  # whatever is wrong here must not take the provider's failure from the caller
        verbose_logger.warning("The failure of %s was mapped without its HTTP status: %s", provider, error)
        agreed = mapped
    if isinstance(original, BaseException) and original is not agreed:
        agreed.__cause__ = original
    return agreed


def _mapped_rightly(mapped: Exception, original: object) -> Exception | None:
    """`mapped` with its `Failure`, if it has the class of the status that the provider answered with."""
    usual: Final = _USUAL_STATUS.get(type(mapped))
    if usual not in _SAYING_ENOUGH or usual != safe_getattr(original, "status_code"):
        return None
    return _with_failure(mapped, with_stated_wait(answered_with(usual), original))


def _reraise_cancellation(original: object) -> None:
    """Raise what says in the chain of `original` that the request is cancelled, if the task that runs now is."""
    left: Final = cancellation_of(original) if _is_being_cancelled() else None
    if isinstance(left, asyncio.CancelledError):
        raise left


def _is_being_cancelled() -> bool:
    """Whether somebody cancels the task that runs now, as far as this version of Python can tell."""
    try:
        task: Final = asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return False
    return task is not None and (sys.version_info < (3, 11) or task.cancelling() > 0)


def search_exception_chain(get_headers: Callable[..., ResponseHeaders]) -> Callable[..., ResponseHeaders]:
    """Wrap `_get_response_headers` to look also at what the exception was raised from: some providers' classes drop
    the answer they were made from, and Retry-After with it. What is found there is kept on the exception, where
    LiteLLM's function looks the next time."""

    @functools.wraps(get_headers)
    def _get_response_headers(original_exception: Exception) -> ResponseHeaders:
        found: Final = get_headers(original_exception) or response_headers(original_exception)
        is_known: Final = safe_getattr(original_exception, HEADERS_ATTRIBUTE) is not None
        if not is_known and are_headers(found) and isinstance(original_exception, Exception):
            setattr(original_exception, HEADERS_ATTRIBUTE, found)
        return found

    return _get_response_headers


def _agreed(mapped: Exception, original: object, model: str, provider: str) -> Exception:
    found: Final = failure_of(original)
    if isinstance(mapped, _REQUEST_TOO_LARGE_OR_REFUSED):
        return _with_failure(mapped, found._replace(kind=FailureKind.REQUEST_REJECTED))
    refusal: Final = _class_by_code(original) if found.kind is FailureKind.REQUEST_REJECTED else None
    if refusal is not None:
        return _with_failure(_rebuilt(refusal, 400, mapped, original, model, provider), found)
    if isinstance(mapped, _RECOGNISED_UNDER_STATUS.get((provider, found.http_status or 0), ())):
        recognised: Final = _USUAL_STATUS[type(mapped)]
        told: Final = found._replace(kind=kind_of_status(recognised), http_status=recognised, basis=Basis.ERROR_OBJECT)
        return _with_failure(mapped, told)
    if not found.proven and _knows_more(mapped):
        said: Final = _kind_by_words(safe_getattr(mapped, "status_code"), found.kind)
        return _with_failure(mapped, found._replace(kind=said, http_status=None))  # which prove nothing
    return _with_failure(_of_expected_class(mapped, found, original, model, provider), found)


def _kind_by_words(status: object, found: FailureKind) -> FailureKind:
    """The kind of a failure whose words LiteLLM has made a `status` of. One that it gives where it cannot read an
    answer takes nothing from words that say just that."""
    if not isinstance(status, int) or (found is FailureKind.GARBLED and status in PLACEHOLDER_STATUSES):
        return found
    return kind_of_status(status)


def _class_by_code(original: object) -> type[Exception] | None:
    """The class that has fallbacks of its own, for a request that a code refuses for its content or its length."""
    if is_refused_by_policy(original):
        return exceptions.ContentPolicyViolationError
    return exceptions.ContextWindowExceededError if is_too_long_by_code(original) else None


def _of_expected_class(mapped: Exception, found: Failure, original: object, model: str, provider: str) -> Exception:
    status: Final = found.http_status
    expected: Final = _expected_classes(found.kind, status, provider)
    if not isinstance(mapped, expected):
        mapped = _rebuilt(expected[0], status, mapped, original, model, provider)
    if status is not None and not _is_success(status):
        as_upstream: Final = isinstance(mapped, expected[0])
        told: Final = _UPSTREAM_STATUS.get((provider, status), status) if as_upstream else status
        mapped.status_code = told  # type: ignore[attr-defined]  # every LiteLLM exception has one
    return mapped


def _knows_more(mapped: Exception) -> bool:
    """Whether `exception_type` recognised the provider's wording, and did not end in its catch-all."""
    return isinstance(mapped, _MAPPED_CLASSES) and not isinstance(mapped, exceptions.APIConnectionError)


def _expected_classes(kind: FailureKind, status: int | None, provider: str) -> tuple[type[Exception], ...]:
    """The class to raise, then those that are right as well."""
    if status is None or _is_success(status):
        by_kind: Final = _CLASS_OF_KIND.get(kind)
        if by_kind is None:
            return _ANY_CLASS
        return (by_kind, *_ALSO_RIGHT.get(by_kind, ()))
    return _classes_of_status(status, provider)


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _classes_of_status(status: int, provider: str) -> tuple[type[Exception], ...]:
    """The classes LiteLLM has for `provider` answering with HTTP `status`; the first is the one to raise."""
    hundred: Final[type[Exception]] = exceptions.BadRequestError if 400 <= status < 500 else exceptions.APIError
    by_status: Final = _CLASS_OF_STATUS.get(status, hundred)
    return (_UPSTREAM_CLASS.get((provider, status), by_status), by_status)


def _rebuilt(
    expected: type[Exception], status: int | None, mapped: Exception, original: object, model: str, provider: str
) -> Exception:
    message: Final = _message(mapped, original, provider)
    arguments: dict[str, Any] = {
        "message": _redact_string(message) if _ENABLE_SECRET_REDACTION else message,
        "model": model,
        "llm_provider": provider,
        "litellm_debug_info": safe_getattr(mapped, "litellm_debug_info"),
    }
    if expected is exceptions.Timeout:
        arguments.update(exception_status_code=status)
    elif expected is exceptions.APIError:
        arguments.update(status_code=status)
    elif expected is not exceptions.APIConnectionError:
        arguments.update(response=_response(status or 429, original))
    rebuilt: Final = expected(**arguments)
    for name in ("body", "code", "param", "provider_specific_fields"):
        value = safe_getattr(mapped, name) or safe_getattr(original, name)
        if value is not None and safe_getattr(rebuilt, name) is None:
            setattr(rebuilt, name, value)
    return rebuilt


def _message(mapped: Exception, original: object, provider: str) -> str:
    """The mapped message without the labels of the class it had, or the provider's own words where that message is
    LiteLLM's catch-all with a traceback in it."""
    message: Final = safe_getattr(mapped, "message")
    words: Final = _text(safe_getattr(original, "message") or original)
    if not isinstance(message, str) or (TRACEBACK_HEADING in message and TRACEBACK_HEADING not in words):
        name: Final = str(provider or "unknown")
        return f"{name[:1].upper()}{name[1:]}Exception - {words}"
    label: Final = re.escape(type(mapped).__name__)
    return re.sub(rf"^(?:(?:litellm\.)?{label}: )+", "", message)


def _text(original: object) -> str:
    try:
        return str(original)
    except Exception:
        return type(original).__name__


def _response(status: int, original: object) -> httpx.Response:
    """The provider's answer, decoded, so without the headers that describe how its body was sent."""
    response: Final = safe_getattr(original, "response")
    content: Final = safe_getattr(response, "_content")  # httpx.Response.content raises on an unread stream
    request: Final = safe_getattr(response, "_request")
    headers: Final = response_headers(original) or httpx.Headers()
    kept: Final = [(name, value) for name, value in headers.raw if name.decode().lower() not in _HEADERS_OF_THE_BODY]
    return httpx.Response(
        status_code=status,
        headers=kept,
        content=content if isinstance(content, bytes) else None,
        request=request if isinstance(request, httpx.Request) else httpx.Request("POST", "https://litellm.ai"),
    )


def _with_failure(mapped: Exception, found: Failure) -> Exception:
    keep_failure(mapped, found)
    if found.asked_for is not None and found.asked_for != found.retry_after:
        _log_shortened_wait(mapped, found)
    return mapped


def _log_shortened_wait(mapped: Exception, found: Failure) -> None:
    verbose_logger.warning(
        "%s of %s asks to be left alone for %.0f seconds; it is for %.0f seconds, as %s says.",
        safe_getattr(mapped, "model"),
        safe_getattr(mapped, "llm_provider"),
        found.asked_for,
        found.retry_after,
        SETTING,
    )


register_json_providers()
