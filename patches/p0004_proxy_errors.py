"""fix(proxy): a provider's failure reaches the caller with its status, Retry-After and reason

Problem
-------
A provider's Retry-After is lost. A host that refuses, resets, closes or
has no address is reported as 500, a silent one as 408, which is a client's
fault. Streams of Anthropic and Gemini report errors as Python bytes, a
silent Gemini stream hangs. A stream of /v1/messages that breaks off ends
with an event Anthropic's clients do not know.

Change
------
- What a provider's failure was turned into is restated in one place, where
  the error of every route passes: status, Retry-After, error type and
  message follow from the failure's signal. The gateway's upstream is to
  blame for 502 and 504 (RFC 9110 sections 15.6.3 and 15.6.5).
- After several attempts: 429 with the shortest Retry-After if every one was
  rate-limited, else the last one's answer that a deployment is to blame
  for. The message lists the attempts.
- Where the provider said nothing, the message says what happened and not
  which host or socket it happened on. The hosts of the proxy's
  deployments are taken out of what the provider said.
- Redaction, of answers and of the log, knows the deployments' credentials
  by their values: providers repeat a key they do not accept. So it knows
  the caller's own while the request lasts, and what a URL holds.
- /health and the model info show no credential, and neither does the
  header that names a deployment's address.
- The provider's own code for the error reaches the caller.
- /v1/messages answers in Anthropic's format, in-band errors included.
- Gemini's streams heed their timeout.
- Errors of the proxy's own, and what a hook has put in their place, stay.

Tests
-----
The proxy as a process: six providers, all routes, with and without
streaming, every fault; OpenAI's and Anthropic's clients; secrets of many
shapes.
"""

from fork.edits import (
    AddArgument,
    AddImport,
    AddParameter,
    Decorate,
    ForReleases,
    InsertAfterCall,
    InsertFirst,
    Otherwise,
    ReplaceExpression,
    WrapCall,
)

KNOWN_CREDENTIALS = "litellm.litellm_core_utils.known_credentials"
MESSAGES = "litellm.litellm_core_utils.message_for_callers"
HIDING = AddImport(MESSAGES, ("hiding_credentials",))
REMEMBERING = AddImport(KNOWN_CREDENTIALS, ("remembering_credentials",))
AS_TOLD = AddImport("litellm.router_utils.failure_response", ("as_told",))
GEMINI = "litellm/llms/vertex_ai/gemini/vertex_and_google_ai_studio_gemini.py"

KEEPING_ITS_FAILURE = (
    AddImport("litellm.litellm_core_utils.first_event", ("raising_its_failure",)),
    InsertAfterCall("AnthropicResponsesStreamWrapper.__anext__", "verbose_logger.error", "self.failure = e"),
)

ADDS = (
    "litellm/litellm_core_utils/known_credentials.py",
    "litellm/litellm_core_utils/message_for_callers.py",
    "litellm/proxy/common_utils/provider_errors.py",
    "litellm/router_utils/failure_response.py",
    "tests/proxy_unit_tests/__init__.py",
    "tests/proxy_unit_tests/test_broken_streams.py",
    "tests/proxy_unit_tests/test_failure_response.py",
    "tests/proxy_unit_tests/test_hidden_credentials.py",
)
EDITS = {
    "litellm/_logging.py": (
        ForReleases(
            {
                "<1.106": (
                    AddImport(KNOWN_CREDENTIALS, ("redacting_known_credentials",)),
                    Decorate("_redact_string", "redacting_known_credentials"),
                )
            },
            why="redaction has a module of its own",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/litellm_core_utils/secret_redaction.py": (
        ForReleases(
            {
                ">=1.106": (
                    AddImport(KNOWN_CREDENTIALS, ("redacting_known_credentials",)),
                    Decorate("python_redact_string", "redacting_known_credentials"),
                    Decorate("redact_string", "redacting_known_credentials"),
                    Decorate("redact_internal_details", "redacting_known_credentials"),
                )
            },
            why="redaction is a part of the logging module",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router.py": (
        ForReleases(
            {"<1.110": (REMEMBERING, Decorate("Router._add_deployment", "remembering_credentials"))},
            why="the registry of deployments has a module of its own",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/surface/registry.py": (
        ForReleases(
            {">=1.110": (REMEMBERING, Decorate("HostRegistry._register_deployment", "remembering_credentials"))},
            why="the router keeps its deployments itself",
            otherwise=Otherwise.MOVED,
        ),
    ),
    GEMINI: (
        ForReleases(
            {
                "<1.107": (
                    AddParameter("make_call", "timeout: float | httpx.Timeout | None = None"),
                    AddArgument("make_call", "client.post", "timeout=timeout"),
                    AddArgument("VertexLLM.async_streaming", "partial", "timeout=timeout"),
                    AddParameter("make_sync_call", "timeout: float | httpx.Timeout | None = None"),
                    AddArgument("make_sync_call", "client.post", "timeout=timeout"),
                    AddArgument("VertexLLM.completion", "partial", "timeout=timeout"),
                )
            },
            why="1.109 heeds the timeout of Gemini's streams by itself",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/anthropic_interface/exceptions/exception_mapping_utils.py": (
        AddImport("litellm.litellm_core_utils.anthropic_errors", ("anthropic_error_type",)),
        ReplaceExpression(
            "AnthropicExceptionMapping.get_error_type",
            'ANTHROPIC_ERROR_TYPE_MAP.get(status_code, "api_error")',
            by="anthropic_error_type(status_code)",
        ),
    ),
    "litellm/proxy/proxy_server.py": (
        AddImport("litellm.proxy.common_utils.provider_errors", ("answering_by_the_policy", "restate")),
        Decorate("openai_exception_handler", "answering_by_the_policy"),
        ForReleases(
            {
                "<1.107": (
                    InsertAfterCall(
                        "async_data_generator", "ProxyException", "restate(proxy_exception, {error}, of_stream=True)"
                    ),
                ),
                ">=1.107": (
                    WrapCall(
                        "async_data_generator", "route_failure_proxy_exception", "restate", "{error}, of_stream=True"
                    ),
                ),
            },
            why="each of them needs one of the two",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/proxy/common_utils/http_parsing_utils.py": (
        AddImport(KNOWN_CREDENTIALS, ("remembering_callers_credentials",)),
        ForReleases(
            {
                "<1.104": (Decorate("_read_request_body", "remembering_callers_credentials"),),
                ">=1.104": (Decorate("read_request_body", "remembering_callers_credentials"),),
            },
            why="it has one of the two names",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/proxy/common_utils/openai_endpoint_utils.py": (
        HIDING,
        Decorate("remove_sensitive_info_from_deployment", "hiding_credentials"),
    ),
    "litellm/proxy/health_check.py": (
        HIDING,
        ForReleases(
            {
                "<1.104": (Decorate("_clean_endpoint_data", "hiding_credentials"),),
                ">=1.104": (Decorate("clean_endpoint_data", "hiding_credentials"),),
            },
            why="it has one of the two names",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/proxy/common_request_processing.py": (
        AddImport(MESSAGES, ("hiding_credentials_in_headers",)),
        Decorate("ProxyBaseLLMRequestProcessing.get_custom_headers", "hiding_credentials_in_headers"),
        AddImport("litellm.proxy.common_utils.provider_errors", ("restate",)),
        InsertAfterCall(
            "ProxyBaseLLMRequestProcessing.async_streaming_data_generator",
            "ProxyException",
            "restate(proxy_exception, {error}, of_stream=True)",
        ),
        ForReleases(
            {
                "<1.104": (
                    AddImport("litellm.proxy.common_utils.provider_errors", ("in_band_error",)),
                    ReplaceExpression(
                        "ProxyBaseLLMRequestProcessing.async_sse_data_generator",
                        "f\"{STREAM_SSE_DATA_PREFIX}{json.dumps({'error': proxy_exc.to_dict()})}\\n\\n\"",
                        by="in_band_error(proxy_exc, request_data)",
                    ),
                )
            },
            why="1.106 ends a stream of /v1/messages that breaks off with Anthropic's event by itself",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/proxy/common_utils/responses_stream_errors.py": (
        ForReleases(
            {
                ">=1.103": (
                    AS_TOLD,
                    InsertFirst("ResponsesStreamErrorState.format_failure", "exception = as_told(exception)"),
                )
            },
            why="a stream of /v1/responses that breaks off ends with the error object of the others, not with an event",
            otherwise=Otherwise.MISSING,
        ),
    ),
    "litellm/llms/anthropic/experimental_pass_through/adapters/streaming_iterator.py": (
        ForReleases(
            {">=1.103": (AS_TOLD, InsertFirst("_mid_stream_error_sse_event", "exc = as_told(exc)"))},
            why="the proxy itself makes the event that ends a broken stream of /v1/messages",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/llms/anthropic/experimental_pass_through/responses_adapters/streaming_iterator.py": (
        ForReleases(
            {
                "<1.103": (
                    *KEEPING_ITS_FAILURE,
                    Decorate("AnthropicResponsesStreamWrapper.async_anthropic_sse_wrapper", "raising_its_failure"),
                ),
                ">=1.103,<1.104": (
                    *KEEPING_ITS_FAILURE,
                    Decorate("AnthropicResponsesStreamWrapper._sse_frames", "raising_its_failure"),
                ),
                ">=1.104": (AS_TOLD, InsertFirst("_failure_status_and_message", "exception = as_told(exception)")),
            },
            why="each of them needs one of the two",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/proxy/anthropic_endpoints/endpoints.py": (
        AddImport("litellm.proxy.common_utils.provider_errors", ("restate",)),
        WrapCall("anthropic_response", "ProxyException", "restate", "{error}"),
    ),
}
