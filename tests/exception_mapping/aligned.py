"""What becomes of an exception that one of `exception_type`'s branches has picked for a provider's."""

from __future__ import annotations

from typing import Any

import httpx
import litellm
from litellm.litellm_core_utils.http_status_mapping import align_with_http_status

from exception_mapping.failures import REQUEST

PICKED = [
    litellm.APIConnectionError,
    litellm.APIError,
    litellm.AuthenticationError,
    litellm.BadGatewayError,
    litellm.BadRequestError,
    litellm.InternalServerError,
    litellm.NotFoundError,
    litellm.PermissionDeniedError,
    litellm.RateLimitError,
    litellm.ServiceUnavailableError,
    litellm.Timeout,
]


class ProviderError(Exception):
    """A provider's exception: a status, and whatever else a test gives it."""

    def __init__(self, status: int | None, text: str = "the provider said no", **attributes: Any) -> None:
        super().__init__(text)
        self.status_code = status
        self.__dict__.update(attributes)


def picked(cls: type[Exception], message: str = "failed") -> Any:
    """An exception as one of `exception_type`'s branches makes it."""
    arguments: dict[str, Any] = {"message": message, "model": "m", "llm_provider": "p", "litellm_debug_info": "debug"}
    if cls is litellm.APIError:
        arguments["status_code"] = 500
    if cls in (litellm.PermissionDeniedError, litellm.UnprocessableEntityError):
        arguments["response"] = httpx.Response(403, request=REQUEST)
    return cls(**arguments)


def agreed(cls: type[Exception], original: object, provider: str = "unheard_of", message: str = "failed") -> Any:
    """What becomes of it."""
    return align_with_http_status(picked(cls, message), original, "some-model", provider)
