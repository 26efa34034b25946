"""
What a failed call leaves as evidence of whose fault it was, as tables: data only, which `failure` reads.
"""

import errno
import re
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple


class FailureKind(str, Enum):
    """What a failed call says about the deployment; `router_utils/failover/policy.py` has what follows from each."""

    RATE_LIMITED = "rate_limited"
    OUT_OF_CREDIT = "out_of_credit"
    BAD_CREDENTIALS = "bad_credentials"
    MODEL_MISSING = "model_missing"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    UNAVAILABLE = "unavailable"
    INTERRUPTED = "interrupted"
    SERVER_ERROR = "server_error"
    GARBLED = "garbled"
    REQUEST_REJECTED = "request_rejected"
    INTERNAL = "internal"


KIND_OF_STATUS: Final = MappingProxyType(
    {
        401: FailureKind.BAD_CREDENTIALS,
        402: FailureKind.OUT_OF_CREDIT,
        403: FailureKind.BAD_CREDENTIALS,
        404: FailureKind.MODEL_MISSING,
        408: FailureKind.TIMED_OUT,
        429: FailureKind.RATE_LIMITED,
        503: FailureKind.UNAVAILABLE,
        504: FailureKind.TIMED_OUT,
        522: FailureKind.TIMED_OUT,
        524: FailureKind.TIMED_OUT,
        529: FailureKind.UNAVAILABLE,
    }
)

# Statuses LiteLLM itself writes on a failure that had no HTTP answer: 500 by default, 408 on its own timeouts, 422 on
# an answer it could not parse. They count only where the exception chain holds nothing better.
PLACEHOLDER_STATUSES: Final = frozenset({408, 422, 500})


# 4xx that say of a request no more than that it failed, and so yield to a code that says more. The others name what is
# wrong: a 413 stays one, whatever rate its limit is counted by.
VAGUE_STATUSES: Final = frozenset({400, 422, 424})

# LiteLLM's and OpenAI's functions that read an answer of success, or an event of it. A status they raise is their word
# for what the provider sent in it.
READS_AN_ANSWER: Final = re.compile(
    r"_?(async_)?(transform|process|convert|unwrap|handle|parse)_\w*(response|response_object|stream_chunk|streaming)"
    r"|_?chunk_(parser|creator)"
)

# Modules of OpenAI's SDK whose `parse` reads an answer: in some versions of it no other function of theirs is called.
OPENAI_PARSERS: Final = frozenset({"openai._legacy_response", "openai._response"})


# Functions of an attempt that ask somebody else than the provider: for what the caller has linked to, or a hook or a
# prompt store of the operator's. What is raised in them is nothing the deployment has done.
ASKS_SOMEBODY_ELSE: Final = frozenset(
    {
        *("async_convert_url_to_base64", "convert_url_to_base64", "async_serves_pdf", "serves_pdf"),
        *("get_image_details", "get_image_details_async"),
        *("async_pre_call_deployment_hook", "async_post_call_success_deployment_hook", "async_pre_request_hook"),
        *("async_get_chat_completion_prompt", "get_chat_completion_prompt"),
    }
)


class Evidence(Enum):
    """What an exception's type proves, where that is not a kind."""

    ANSWERED = "an HTTP client read this status off the provider's answer"
    NO_STATUS = "its status_code never comes from a provider"


class Codes(NamedTuple):
    """Words a provider documents for its errors, each with the HTTP status that says the same, and where it does."""

    source: str
    status_of: Mapping[str, int]


# An error object's code, type, status or reason, or the type of an AWS exception, in any case. A word's status need not
# be the one the provider sends with it: what counts is what the word says.
DOCUMENTED_CODES: Final = (
    Codes(
        "https://platform.openai.com/docs/guides/error-codes and ResponseErrorCode of its API reference",
        {
            "insufficient_quota": 402,
            "billing_not_active": 402,
            "invalid_api_key": 401,
            "account_deactivated": 401,
            "authentication_error": 401,
            "permission_error": 403,
            "model_not_found": 404,
            "rate_limit_exceeded": 429,
            "server_error": 500,
            "internal_server_error": 500,
            "internal_error": 500,
            "server_is_overloaded": 503,
            "engine_overloaded": 503,
            "service_unavailable": 503,
            "slow_down": 503,
            "invalid_request_error": 400,
            "vector_store_timeout": 504,
        },
    ),
    Codes(
        "https://community.openai.com/t/billing-hard-limit-reached-api-error/572481",
        {"billing_hard_limit_reached": 402},
    ),
    Codes(
        "https://github.com/huggingface/text-generation-inference, router/src/infer (`error_type`)",
        {"overloaded": 503},
    ),
    Codes("https://github.com/cline/cline/issues/9085 (Mistral)", {"rate_limited": 429}),
    Codes("https://github.com/explyt/explyt/issues/35 (Cerebras)", {"request_quota_exceeded": 429}),
    Codes(
        "https://platform.kimi.ai/docs/api/errors (Moonshot)",
        {
            "invalid_authentication_error": 401,
            "incorrect_api_key_error": 401,
            "exceeded_current_quota_error": 402,
            "rate_limit_reached_error": 429,
            "engine_overloaded_error": 429,
        },
    ),
    Codes(
        "https://docs.databricks.com/api/account/errors and databricks-sdk-py's errors/platform.py",
        {"request_limit_exceeded": 429, "temporarily_unavailable": 503},
    ),
    Codes(
        "https://platform.claude.com/docs/en/api/errors",
        {
            "billing_error": 402,
            "not_found_error": 404,
            "conflict_error": 409,
            "request_too_large": 413,
            "rate_limit_error": 429,
            "api_error": 500,
            "timeout_error": 504,
            "overloaded_error": 529,
        },
    ),
    Codes(
        "https://learn.microsoft.com/en-us/azure/ai-foundry/openai/quotas-limits and its REST API reference",
        {"DeploymentNotFound": 404, "NoCapacity": 429},
    ),
    Codes(
        "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html and CommonErrors.html",
        {
            "AccessDeniedException": 403,
            "ExpiredTokenException": 403,
            "ExpiredToken": 403,
            "IncompleteSignature": 403,
            "InvalidClientTokenId": 403,
            "InvalidSignatureException": 403,
            "NotAuthorized": 403,
            "OptInRequired": 403,
            "RequestExpired": 403,
            "UnrecognizedClientException": 403,
            "ModelTimeoutException": 408,
            "ModelNotReadyException": 429,
            "ServiceQuotaExceededException": 429,
            "ThrottlingException": 429,
            "InternalFailure": 500,
            "InternalServerException": 500,
            "ModelErrorException": 500,
            "ModelStreamErrorException": 500,
            "ServiceUnavailableException": 503,
            "ValidationException": 400,
        },
    ),
    Codes(
        "https://cloud.google.com/apis/design/errors and google/api/error_reason.proto",
        {
            "ACCESS_TOKEN_EXPIRED": 401,
            "ACCESS_TOKEN_TYPE_UNSUPPORTED": 401,
            "ACCOUNT_STATE_INVALID": 401,
            "API_KEY_INVALID": 401,
            "CREDENTIALS_MISSING": 401,
            "UNAUTHENTICATED": 401,
            "BILLING_DISABLED": 402,
            "API_KEY_SERVICE_BLOCKED": 403,
            "CONSUMER_INVALID": 403,
            "CONSUMER_SUSPENDED": 403,
            "PERMISSION_DENIED": 403,
            "SERVICE_DISABLED": 403,
            "NOT_FOUND": 404,
            "RATE_LIMIT_EXCEEDED": 429,
            "RESOURCE_EXHAUSTED": 429,
            "INTERNAL": 500,
            "UNAVAILABLE": 503,
            "DEADLINE_EXCEEDED": 504,
            "INVALID_ARGUMENT": 400,
        },
    ),
    Codes(
        "https://github.com/crewAIInc/crewAI/issues/783, https://github.com/ItzCrazyKns/Perplexica/issues/771 (Groq)",
        {"organization_restricted": 403, "model_decommissioned": 404},
    ),
    Codes(
        "https://help.aliyun.com/en/model-studio/error-code",
        {
            "Arrearage": 402,
            "InvalidApiKey": 401,
            "ModelNotFound": 404,
            "Throttling": 429,
            "Throttling.RateQuota": 429,
            "Throttling.AllocationQuota": 429,
        },
    ),
    Codes(
        "https://developers.deepgram.com/docs/errors, in `err_code`",
        {
            "INVALID_AUTH": 401,
            "ASR_PAYMENT_REQUIRED": 402,
            "INSUFFICIENT_PERMISSIONS": 403,
            "PROJECT_NOT_FOUND": 404,
            "Bad Request": 400,
        },
    ),
    Codes(
        "https://help.elevenlabs.io/hc/en-us/articles/19572237925521 and "
        "https://elevenlabs.io/docs/eleven-api/resources/errors, in `detail`",
        {
            "quota_exceeded": 402,
            "concurrent_limit_exceeded": 429,
            "too_many_concurrent_requests": 429,
            "system_busy": 503,
            "max_character_limit_exceeded": 400,
            "voice_not_found": 400,
        },
    ),
    Codes("https://cloud.ibm.com/apidocs/watsonx-ai#error-codes", {"authentication_token_expired": 401}),
    Codes(
        "RFC 6749 section 5.2: what a provider's token endpoint answers with 400",
        {"invalid_client": 401, "invalid_grant": 401, "unauthorized_client": 401},
    ),
    Codes(
        "RFC 9110 section 15 and RFC 6585 section 4: a status by its name",
        {
            "unauthorized": 401,
            "payment_required": 402,
            "too_many_requests": 429,
            "bad_gateway": 502,
            "gateway_timeout": 504,
        },
    ),
)

STATUS_OF_CODE: Final[Mapping[str, int]] = MappingProxyType(
    {word.lower(): status for _, status_of in DOCUMENTED_CODES for word, status in status_of.items()}
)


class Numbers(NamedTuple):
    """Numbers a provider documents for its errors, the field they stand in, and for each the HTTP status that says the
    same."""

    source: str
    field: str
    status_of: Mapping[int, int]


# They are read in an answer of 200 alone, which has no status of its own: elsewhere such a number means something else.
DOCUMENTED_NUMBERS: Final = (
    Numbers(
        "https://platform.minimax.io/docs/api-reference/errorcode, in `base_resp`",
        "status_code",
        {
            **dict.fromkeys((1002, 1039, 1041, 2056), 429),
            **dict.fromkeys((1004, 2049), 401),
            **dict.fromkeys((1026, 1027, 1042, 2013), 400),
            **{1001: 504, 1008: 402},
        },
    ),
    Numbers(
        "https://cloud.baidu.com/doc/WENXINWORKSHOP/s/tlmyncueh and APIErrorCode of baidubce/bce-qianfan-sdk",
        "error_code",
        {
            **dict.fromkeys((4, 17, 18, 19), 429),
            **dict.fromkeys((2, 336100), 503),
            **dict.fromkeys((13, 14, 110, 111), 401),
            **dict.fromkeys((6, 336004), 403),
            **dict.fromkeys((3, 336005), 404),
            **dict.fromkeys((100, 336001, 336002, 336003), 400),
        },
    ),
    Numbers(
        "https://docs.z.ai/api-reference/api-code (Zhipu)",
        "code",
        {
            **dict.fromkeys((1302, 1303, 1304, 1305, 1308), 429),
            **dict.fromkeys((1000, 1001, 1002, 1003, 1004), 401),
            **dict.fromkeys((1113, 1309), 402),
            **dict.fromkeys((1110, 1111, 1112, 1121, 1220), 403),
            **dict.fromkeys((1210, 1212, 1213, 1214, 1215, 1301), 400),
            **{1211: 404, 1234: 502},
        },
    ),
)

STATUS_OF_NUMBER: Final[Mapping[str, Mapping[int, int]]] = MappingProxyType(
    {numbers.field: numbers.status_of for numbers in DOCUMENTED_NUMBERS}
)

# The request is refused for what it says. LiteLLM has fallbacks of their own for these two.
CONTENT_POLICY_CODES: Final = frozenset(
    {
        # https://learn.microsoft.com/en-us/azure/ai-foundry/openai/concepts/content-filter
        "content_filter",
        "responsibleaipolicyviolation",
        "contentfilter",  # of its images
        # https://platform.openai.com/docs/guides/error-codes and ResponseErrorCode of its API reference
        "content_policy_violation",
        "image_content_policy_violation",
        "moderation_blocked",
        # https://help.aliyun.com/en/model-studio/error-code
        "data_inspection_failed",
        "datainspectionfailed",
    }
)
CONTEXT_WINDOW_CODES: Final = frozenset({"context_length_exceeded"})  # ResponseErrorCode, as above
REFUSALS: Final = CONTENT_POLICY_CODES | CONTEXT_WINDOW_CODES


class Phrase(NamedTuple):
    """How a provider begins the message of an error whose own code says less; only with exactly that code."""

    source: str
    code: str
    beginning: str
    status: int


# Of those with status 404, the ones about the model, and so about the deployment, whatever else a request names.
MODEL_CODES: Final = frozenset({"deploymentnotfound", "model_decommissioned", "model_not_found", "modelnotfound"})

DOCUMENTED_PHRASES: Final = (
    Phrase(
        "https://github.com/anthropics/claude-code/issues/5349",
        "not_found_error",
        "model: ",
        404,
    ),
    Phrase(
        "https://github.com/anthropics/claude-code/issues/66314",
        "invalid_request_error",
        "Your credit balance is too low to access the ",  # Anthropic API, or Claude API
        402,
    ),
    Phrase(
        "https://github.com/hotovo/aider-desk/issues/653",  # xAI
        "client specified an invalid argument",
        "Incorrect API key provided",
        401,
    ),
)

# Keyed by class name, so that no HTTP client is imported, and read only for classes of `EVIDENCE_PACKAGES`.
EVIDENCE_OF_CLASS: Final[Mapping[str, FailureKind | Evidence]] = MappingProxyType(
    {
        # An answer arrived.
        "HTTPStatusError": Evidence.ANSWERED,  # httpx
        "APIStatusError": Evidence.ANSWERED,  # openai, anthropic
        "ClientResponseError": Evidence.ANSWERED,  # aiohttp
        "HTTPError": Evidence.ANSWERED,  # requests, urllib
        "DecodingError": FailureKind.GARBLED,  # httpx
        "TooManyRedirects": FailureKind.GARBLED,
        "ContentDecodingError": FailureKind.GARBLED,  # requests
        "APIResponseValidationError": FailureKind.GARBLED,  # openai
        # No connection was made.
        "ConnectError": FailureKind.UNREACHABLE,  # httpx, httpcore
        "ConnectTimeout": FailureKind.UNREACHABLE,  # httpx, httpcore, requests
        "ProxyError": FailureKind.UNREACHABLE,
        "UnsupportedProtocol": FailureKind.UNREACHABLE,
        "InvalidURL": FailureKind.UNREACHABLE,
        "ClientConnectorError": FailureKind.UNREACHABLE,  # aiohttp: refused, DNS, TLS
        "ClientConnectionResetError": FailureKind.INTERRUPTED,
        "SSLError": FailureKind.UNREACHABLE,
        "gaierror": FailureKind.UNREACHABLE,
        "ConnectionRefusedError": FailureKind.UNREACHABLE,
        # This side is at fault.
        "PoolTimeout": FailureKind.INTERNAL,  # httpx, httpcore: all connections are in use
        "LocalProtocolError": FailureKind.INTERNAL,  # a header the caller gave cannot be sent
        # The connection broke off.
        "SSLEOFError": FailureKind.INTERRUPTED,
        "SSLZeroReturnError": FailureKind.INTERRUPTED,
        "ConnectionResetError": FailureKind.INTERRUPTED,
        "ConnectionAbortedError": FailureKind.INTERRUPTED,
        "BrokenPipeError": FailureKind.INTERRUPTED,
        "IncompleteReadError": FailureKind.INTERRUPTED,
        "EndOfStream": FailureKind.INTERRUPTED,
        "NetworkError": FailureKind.INTERRUPTED,  # httpx: read, write, close
        "ProtocolError": FailureKind.INTERRUPTED,  # httpx, urllib3
        "ServerDisconnectedError": FailureKind.INTERRUPTED,  # aiohttp
        "ClientPayloadError": FailureKind.INTERRUPTED,
        "ClientOSError": FailureKind.INTERRUPTED,
        "HttpProcessingError": FailureKind.INTERRUPTED,
        "ChunkedEncodingError": FailureKind.INTERRUPTED,  # requests
        # The provider was silent.
        "TimeoutException": FailureKind.TIMED_OUT,  # httpx: read, write
        "ReadTimeout": FailureKind.TIMED_OUT,  # httpcore, requests
        "WriteTimeout": FailureKind.TIMED_OUT,
        "ServerTimeoutError": FailureKind.TIMED_OUT,  # aiohttp; a wait for a free connection ends in it as well
        "SocketTimeoutError": FailureKind.TIMED_OUT,
    }
)

# These say less than what they were raised from, so they count only where that is gone.
VAGUE_KIND_OF_CLASS: Final[Mapping[str, FailureKind]] = MappingProxyType(
    {
        "APITimeoutError": FailureKind.TIMED_OUT,  # openai
        "APIConnectionError": FailureKind.UNREACHABLE,
        "TransportError": FailureKind.INTERRUPTED,  # httpx
        "ClientConnectionError": FailureKind.INTERRUPTED,  # aiohttp
        "ConnectionError": FailureKind.INTERRUPTED,
        "TimeoutError": FailureKind.TIMED_OUT,
    }
)

# LiteLLM's own exceptions inherit from openai's, but their status is LiteLLM's word and not an answer's.
EVIDENCE_OF_MAPPED_CLASS: Final[Mapping[str, FailureKind | Evidence]] = MappingProxyType(
    {
        "APIConnectionError": Evidence.NO_STATUS,  # always 500
        "MidStreamFallbackError": Evidence.NO_STATUS,  # its original_exception's, or else 503
        "APIResponseValidationError": FailureKind.GARBLED,
        "ContextWindowExceededError": FailureKind.REQUEST_REJECTED,  # whatever the status
        "ContentPolicyViolationError": FailureKind.REQUEST_REJECTED,
    }
)

# The caller has left, or the process is ending: asyncio's and anyio's, concurrent.futures', trio's.
CANCELLATIONS: Final = frozenset({"CancelledError", "Cancelled"})

EVIDENCE_PACKAGES: Final = frozenset(
    {
        "aiohttp",
        "anthropic",
        "anyio",
        "asyncio",
        "builtins",
        "concurrent",
        "h11",
        "httpcore",
        "httpcore2",
        "httpx",
        "httpx2",
        "openai",
        "requests",
        "socket",
        "ssl",
        "trio",
        "urllib",
        "urllib3",
    }
)

KIND_OF_ERRNO: Final = MappingProxyType(
    {
        errno.ECONNREFUSED: FailureKind.UNREACHABLE,
        errno.EHOSTUNREACH: FailureKind.UNREACHABLE,
        errno.ENETUNREACH: FailureKind.UNREACHABLE,
        errno.ENETDOWN: FailureKind.UNREACHABLE,
        errno.EADDRNOTAVAIL: FailureKind.UNREACHABLE,
        errno.ECONNRESET: FailureKind.INTERRUPTED,
        errno.ECONNABORTED: FailureKind.INTERRUPTED,
        errno.EPIPE: FailureKind.INTERRUPTED,
        errno.ENOTCONN: FailureKind.INTERRUPTED,
        # This machine ran out of something: no deployment is to blame.
        errno.EMFILE: FailureKind.INTERNAL,
        errno.ENFILE: FailureKind.INTERNAL,
        errno.ENOBUFS: FailureKind.INTERNAL,
        errno.ENOMEM: FailureKind.INTERNAL,
    }
)

# Wording, in the order it is tried; only for a failure that holds neither a status nor a transport error.
KIND_OF_WORDING: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (
            r"\b429\b|rate[\s_-]*limit|too many requests|quota exceeded|exceeded your current quota|resource_exhausted",
            FailureKind.RATE_LIMITED,
        ),
        (
            r"connection refused|connect call failed|cannot connect to host|all connection attempts failed"
            r"|name or service not known|nodename nor servname|name resolution|getaddrinfo failed"
            r"|no route to host|network is unreachable|certificate verify failed|connection error",
            FailureKind.UNREACHABLE,
        ),
        (
            r"connection reset|connection aborted|broken pipe|server disconnected|peer closed connection"
            r"|closed connection without|closed the responses stream before|midstreamfallbackerror"
            r"|response payload is not completed|incomplete read",
            FailureKind.INTERRUPTED,
        ),
        (r"timed out|litellm\.Timeout\b|time-?out exceeded", FailureKind.TIMED_OUT),
        (
            r"empty or invalid response from llm endpoint|unable to get json response|error parsing json response"
            r"|'str' object has no attribute 'model_dump'",  # openai's client returns what is no JSON as it came
            FailureKind.GARBLED,
        ),
    )
)
