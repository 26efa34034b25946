"""What comes out of `exception_type` for a provider's answer, and what should, kept apart from the code under test."""

from __future__ import annotations

from typing import Any

import litellm
from litellm.litellm_core_utils.exception_mapping_utils import exception_type

PAYMENT_REQUIRED = getattr(litellm.exceptions, "PaymentRequiredError", litellm.BadRequestError)

CLASS_OF_STATUS: dict[int, type[Exception]] = {
    302: litellm.APIError,
    400: litellm.BadRequestError,
    401: litellm.AuthenticationError,
    402: PAYMENT_REQUIRED,
    403: litellm.PermissionDeniedError,
    404: litellm.NotFoundError,
    408: litellm.Timeout,
    409: litellm.BadRequestError,
    413: litellm.BadRequestError,
    418: litellm.BadRequestError,
    422: litellm.BadRequestError,
    429: litellm.RateLimitError,
    500: litellm.InternalServerError,
    501: litellm.APIError,
    502: litellm.BadGatewayError,
    503: litellm.ServiceUnavailableError,
    504: litellm.Timeout,
    522: litellm.Timeout,
    524: litellm.Timeout,
    529: litellm.APIError,
}

BARE_403 = [
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
]

ROWS_UPSTREAM_ASSERTS: list[tuple[str, int, type[Exception]]] = [
    *[(provider, 403, litellm.APIError) for provider in BARE_403],
    ("nlp_cloud", 403, litellm.AuthenticationError),
    ("huggingface", 404, litellm.APIError),
    ("nlp_cloud", 404, litellm.APIError),
    ("replicate", 404, litellm.APIError),
    ("nlp_cloud", 408, litellm.APIError),
    ("huggingface", 422, litellm.APIError),
    ("replicate", 422, litellm.UnprocessableEntityError),
    ("azure", 500, litellm.APIError),
    ("huggingface", 500, litellm.APIError),
    ("nlp_cloud", 500, litellm.APIError),
    ("openrouter", 500, litellm.APIError),
    ("bedrock", 500, litellm.ServiceUnavailableError),
    ("replicate", 500, litellm.ServiceUnavailableError),
    ("sagemaker", 500, litellm.ServiceUnavailableError),
    ("nlp_cloud", 503, litellm.APIError),
    ("replicate", 503, litellm.APIError),
    ("anthropic", 529, litellm.InternalServerError),
]

STATUS_UPSTREAM_ASSERTS: dict[tuple[str, int], int] = {
    ("bedrock", 500): 503,
    ("databricks", 422): 400,
    ("replicate", 403): 500,
    ("replicate", 404): 500,
    ("replicate", 500): 503,
    ("replicate", 503): 500,
    ("sagemaker", 500): 503,
}
"""What upstream's matrix asserts as `status_code`, where that is not what the provider answered with."""

RECOGNISED_BY_WORDING = {
    *((provider, status) for provider in ("gemini", "vertex_ai", "vertex_ai_beta") for status in (400, 500, 502, 503)),
    *(("cohere", 400), ("cohere", 498), ("cohere_chat", 400), ("cohere_chat", 498)),
    *(("bedrock", 400), ("fireworks_ai", 400), ("watsonx", 400), ("watsonx", 403)),
}
"""Answers whose wording may say more than their status, by the provider's own error type."""

_ROWS = {(provider, status): expected for provider, status, expected in ROWS_UPSTREAM_ASSERTS}


def expected_class(status: int, provider: str) -> type[Exception]:
    """The class for `provider` answering with `status`, 100 to 199 or 300 to 599."""
    hundred = litellm.BadRequestError if 400 <= status < 500 else litellm.APIError
    return _ROWS.get((provider, status)) or CLASS_OF_STATUS.get(status, hundred)


def expected_status(status: int, provider: str) -> int:
    """The `status_code` of the exception for `provider` answering with `status`."""
    return STATUS_UPSTREAM_ASSERTS.get((provider, status), status)


def mapped(error: object, provider: str | None) -> Any:
    """What comes out of `exception_type`, raised or returned."""
    try:
        return exception_type(model="some-model", original_exception=error, custom_llm_provider=provider)
    except Exception as raised:
        return raised
