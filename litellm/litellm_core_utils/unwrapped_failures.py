"""
Has two kinds of requests fail as LiteLLM has every other kind fail: moderations, and generateContent by a completion.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import httpx
import litellm
import openai
from litellm.types.router import GenericLiteLLMParams

Answer = TypeVar("Answer")

_PROVIDER: Final = "openai"  # the only API of moderations that LiteLLM speaks


def map_client_errors(amoderation: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
    """Wrap `litellm.amoderation`, which lets the exceptions of OpenAI's client through: a caller, a retry policy and
    the cooldown expect LiteLLM's, with the kind of the failure.

    Raises what `exception_type()` makes of the client's exception; any other is raised as it is.
    """

    @functools.wraps(amoderation)
    async def amoderation_with_mapped_failures(*args: object, **kwargs: object) -> Answer:
        try:
            return await amoderation(*args, **kwargs)
        except openai.OpenAIError as error:
            from litellm.litellm_core_utils.exception_mapping_utils import exception_type

            raise exception_type(
                model=str(kwargs.get("model") or ""),
                original_exception=error,
                custom_llm_provider=str(kwargs.get("custom_llm_provider") or _PROVIDER),
                extra_kwargs=kwargs,
            ) from error

    return amoderation_with_mapped_failures


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
