"""
Has some kinds of requests fail as LiteLLM has every other kind fail: moderations, and on older releases reranking, and
generateContent by a completion.
"""

import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import httpx
import litellm
import openai
from litellm.litellm_core_utils.failure import FailureKind, classify
from litellm.types.router import GenericLiteLLMParams

Answer = TypeVar("Answer")

_MODERATOR: Final = "openai"  # the only API of moderations that LiteLLM speaks


def map_moderation_failures(amoderation: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
    """Wrap `litellm.amoderation`, which lets the exceptions of OpenAI's client through, and those of reading what it
    got: a caller, a retry policy and the cooldown expect LiteLLM's, with the kind of the failure.

    Raises what `exception_type()` makes of such an exception; any other is raised as it is.
    """

    @functools.wraps(amoderation)
    async def amoderation_mapped(*args: object, **kwargs: object) -> Answer:
        try:
            return await amoderation(*args, **kwargs)
        except Exception as error:
            if isinstance(error, openai.OpenAIError) or classify(error) is FailureKind.GARBLED:
                provider: Final = str(kwargs.get("custom_llm_provider") or _MODERATOR)
                raise _mapped(error, kwargs.get("model"), provider, kwargs) from error
            raise

    return amoderation_mapped


def map_rerank_failures(arerank: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
    """Wrap `litellm.arerank`, which before 1.102 lets a provider's exceptions through. Raises what `exception_type()`
    makes of them."""

    @functools.wraps(arerank)
    async def arerank_with_mapped_failures(*args: object, **kwargs: object) -> Answer:
        try:
            return await arerank(*args, **kwargs)
        except Exception as error:
            model: Final = str(kwargs.get("model", args[0] if args else ""))
            raise _mapped(error, model, _provider_of(model, kwargs), kwargs) from error

    return arerank_with_mapped_failures


def _provider_of(model: str, request: Mapping[str, object]) -> str:
    declared: Final = request.get("custom_llm_provider")
    with contextlib.suppress(Exception):  # nobody's, or not known to LiteLLM
        return str(declared or litellm.get_llm_provider(model)[1])
    return ""


def _mapped(error: Exception, model: object, provider: str, request: dict[str, object]) -> Exception:
    from litellm.litellm_core_utils.exception_mapping_utils import exception_type

    try:
        exception_type(
            model=str(model or ""), original_exception=error, custom_llm_provider=provider, extra_kwargs=request
        )
    except Exception as mapped:
        return mapped
    return error


def max_retries_of(params: GenericLiteLLMParams) -> int:
    """How often OpenAI's client tries a moderation again: 0 where the router retries, which says so; LiteLLM's default
    where nobody says anything."""
    return litellm.DEFAULT_MAX_RETRIES if params.max_retries is None else params.max_retries


def timeout_of(params: GenericLiteLLMParams) -> Any:  # any-ok: seconds, or httpx's or httpx2's Timeout
    """The seconds that OpenAI's client waits for a moderation; no limit where none is set."""
    timeout: Final = params.timeout
    return httpx.Timeout(None) if timeout is None or isinstance(timeout, str) else timeout


def raise_original_error(handler: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
    """Wrap `GenerateContentToCompletionHandler.async_generate_content_handler`, which asks for a completion and, before
    1.108, makes a ValueError of whatever that fails with: no status and no class is left of it.

    Raises the completion's own exception.
    """

    @functools.wraps(handler)
    async def async_generate_content_handler(*args: object, **kwargs: object) -> Answer:
        try:
            return await handler(*args, **kwargs)
        except ValueError as error:
            if isinstance(error.__context__, openai.OpenAIError):
                raise error.__context__ from error.__context__.__cause__
            raise

    return async_generate_content_handler
