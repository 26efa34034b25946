"""What comes out of `exception_type` for a provider's answer, and what should, by upstream's tests and by the README.

Nothing here is read from the code under test. Upstream's table is that of BerriAI/litellm's pull requests #37807 and
#38318, as `tests/unit/litellm_core_utils/test_exception_mapping_utils.py` has it at 0e756bf, without `clinepass`, a
provider that no supported release has. Stock LiteLLM 1.103.7 and 1.110.2 were asked and do the same.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import litellm
from litellm.litellm_core_utils.exception_mapping_utils import exception_type
from packaging.version import Version

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
"""For a provider of which upstream asserts nothing: what #38318 asserts for those without a branch of their own, and
for the other statuses the README's column of exceptions."""

MATRIX = """
                  400  401   403      404      408      422      429   500              503
    ai21          bad  auth  api      missing  timeout  bad      rate  internal         unavailable
    anthropic     bad  auth  denied   missing  timeout  bad      rate  internal         unavailable
    azure         bad  auth  api      missing  timeout  bad      rate  api              unavailable
    azure_ai      bad  auth  api      missing  timeout  bad      rate  internal         unavailable
    bedrock       bad  auth  denied   missing  timeout  bad      rate  unavailable:503  unavailable
    cloudflare    bad  auth  denied   missing  timeout  bad      rate  internal         unavailable
    cohere        bad  auth  denied   missing  timeout  bad      rate  internal         unavailable
    databricks    bad  auth  denied   missing  timeout  bad:400  rate  internal         unavailable
    deepseek      bad  auth  api      missing  timeout  bad      rate  internal         unavailable
    fireworks_ai  bad  auth  api      missing  timeout  bad      rate  internal         unavailable
    gemini        bad  auth  denied   missing  timeout  bad      rate  internal         unavailable
    groq          bad  auth  api      missing  timeout  bad      rate  internal         unavailable
    huggingface   bad  auth  api      api      timeout  api      rate  api              unavailable
    mistral       bad  auth  api      missing  timeout  bad      rate  internal         unavailable
    nlp_cloud     bad  auth  auth     api      api      bad      rate  api              api
    ollama        bad  auth  denied   missing  timeout  bad      rate  internal         unavailable
    openai        bad  auth  api      missing  timeout  bad      rate  internal         unavailable
    openrouter    bad  auth  api      missing  timeout  bad      rate  api              unavailable
    perplexity    bad  auth  api      missing  timeout  bad      rate  internal         unavailable
    replicate     bad  auth  api:500  api:500  timeout  entity   rate  unavailable:503  api:500
    runwayml      bad  auth  api      missing  timeout  bad      rate  internal         unavailable
    sagemaker     bad  auth  denied   missing  timeout  bad      rate  unavailable:503  unavailable
    together_ai   bad  auth  api      missing  timeout  bad      rate  internal         unavailable
    vertex_ai     bad  auth  denied   missing  timeout  bad      rate  internal         unavailable
    vllm          bad  auth  denied   missing  timeout  bad      rate  internal         unavailable
    xai           bad  auth  api      missing  timeout  bad      rate  internal         unavailable
"""
"""What upstream asserts: the class, by a word of CLASSES, and behind a colon the `status_code` where it is another."""

CLASSES: dict[str, type[Exception]] = {
    "api": litellm.APIError,
    "auth": litellm.AuthenticationError,
    "bad": litellm.BadRequestError,
    "denied": litellm.PermissionDeniedError,
    "entity": litellm.UnprocessableEntityError,
    "internal": litellm.InternalServerError,
    "missing": litellm.NotFoundError,
    "rate": litellm.RateLimitError,
    "timeout": litellm.Timeout,
    "unavailable": litellm.ServiceUnavailableError,
}


def _cells(matrix: str) -> dict[tuple[str, int], tuple[type[Exception], int]]:
    """The class and the `status_code` for each provider and status of `matrix`."""
    head, *rows = matrix.strip().splitlines()
    cells = {}
    for provider, *words in map(str.split, rows):
        for status, word in zip(map(int, head.split()), words, strict=True):
            name, _, told = word.partition(":")
            cells[provider, status] = (CLASSES[name], int(told or status))
    return cells


ASSERTED_UPSTREAM = _cells(MATRIX)
OVERLOADED = {("anthropic", 529): litellm.InternalServerError}
"""Asserted nowhere; it is what stock LiteLLM 1.103.7 and 1.110.2 raise, and what users' retry policies go by."""

ROWS_UPSTREAM_ASSERTS: list[tuple[str, int, type[Exception]]] = [
    *((provider, status, cls) for (provider, status), (cls, _) in ASSERTED_UPSTREAM.items()),
    *((provider, status, cls) for (provider, status), cls in OVERLOADED.items()),
]
STATUS_UPSTREAM_ASSERTS: dict[tuple[str, int], int] = {
    (provider, status): told for (provider, status), (_, told) in ASSERTED_UPSTREAM.items() if told != status
}
"""What upstream's matrix asserts as `status_code`, where that is not what the provider answered with."""

AUTH, RATE = litellm.AuthenticationError, litellm.RateLimitError
TELLING_WORDS: list[tuple[str, tuple[int, ...], str, type[Exception]]] = [
    ("gemini", (400,), "API key not valid. Please pass a valid API key.", AUTH),
    ("gemini", (400,), "Quota exceeded for requests per minute", RATE),
    ("gemini", (500, 502, 503), '{"error": {"code": 429, "message": "high demand"}}', RATE),
    ("vertex_ai", (400,), "API key not valid. Please pass a valid API key.", AUTH),
    ("vertex_ai", (400,), "Quota exceeded for requests per minute", RATE),
    ("vertex_ai", (500, 502, 503), '{"error": {"code": 429, "message": "high demand"}}', RATE),
    ("vertex_ai_beta", (400,), "API key not valid. Please pass a valid API key.", AUTH),
    ("vertex_ai_beta", (400,), "Quota exceeded for requests per minute", RATE),
    ("vertex_ai_beta", (500, 502, 503), '{"error": {"code": 429, "message": "high demand"}}', RATE),
    ("bedrock", (400,), "ThrottlingException: slow down", RATE),
    ("fireworks_ai", (400,), "rate limit exceeded", RATE),
    ("watsonx", (400, 403), "token_quota_reached", RATE),
    ("cohere", (400, 498), "invalid api token", AUTH),
    ("cohere_chat", (400, 498), "invalid api token", AUTH),
]
"""Words by which a provider says more than by its status, and the class they have in stock LiteLLM, which was asked.

Google's 429 inside a 5xx and Fireworks' 400 (#11455) are asserted by upstream's tests; the others are what the
provider's own branch recognises.
"""

READS_CODES_IN_5XX = Version(version("litellm")).release >= (1, 92)
"""Of stock LiteLLM, 1.88.6 goes by the status where Google's 5xx holds a 429, and 1.92.2 by the 429."""

RECOGNISED_BY_WORDING = {(provider, status) for provider, statuses, _, _ in TELLING_WORDS for status in statuses}


def recognised_classes(provider: str, status: int) -> set[type[Exception]]:
    """The classes that words of `provider` may lead to under `status`."""
    return {cls for name, statuses, _, cls in TELLING_WORDS if name == provider and status in statuses}


def expected_class(status: int, provider: str) -> type[Exception]:
    """The class for `provider` answering with `status`, 100 to 199 or 300 to 599."""
    if (provider, status) in ASSERTED_UPSTREAM:
        return ASSERTED_UPSTREAM[provider, status][0]
    hundred = litellm.BadRequestError if 400 <= status < 500 else litellm.APIError
    return OVERLOADED.get((provider, status)) or CLASS_OF_STATUS.get(status, hundred)


def expected_status(status: int, provider: str) -> int:
    """The `status_code` of the exception for `provider` answering with `status`."""
    return STATUS_UPSTREAM_ASSERTS.get((provider, status), status)


def mapped(error: object, provider: str | None) -> Any:
    """What comes out of `exception_type`, raised or returned."""
    try:
        return exception_type(model="some-model", original_exception=error, custom_llm_provider=provider)
    except Exception as raised:
        return raised
