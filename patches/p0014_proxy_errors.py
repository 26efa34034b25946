"""fix(proxy): pass a failure's status, Retry-After and reason on

Problem
-------
A provider's Retry-After is lost. A host that refuses, resets, closes or
has no address is reported as 500, a silent one as 408, which is a client's
fault. Streams of Anthropic and Gemini report errors as Python bytes. A stream of /v1/messages that breaks off ends
with an event Anthropic's clients do not know.

Change
------
- What a provider's failure was turned into is restated in one place, where
  the error of every route passes: status, Retry-After, error type and
  message follow from the failure's kind. The gateway's upstream is to
  blame for 502 and 504 (RFC 9110 sections 15.6.3 and 15.6.5).
- After several attempts: 429 with the shortest Retry-After if every one was
  rate-limited, else the last one's answer that a deployment is to blame
  for. The message lists the attempts.
- Where the provider said nothing, the message says what happened and not
  which host or socket it happened on. The hosts of the proxy's
  deployments are taken out of what the provider said.
- The provider's own code for the error reaches the caller.
- /v1/messages answers in Anthropic's format, in-band errors included.
- Errors of the proxy's own, and what a hook has put in their place, stay.

Tests
-----
The proxy as a process: six providers, all routes, with and without
streaming, every fault; OpenAI's and Anthropic's clients.
"""

from fork.edits import (
    AddImport,
    Decorate,
    ForReleases,
    InsertAfterCall,
    InsertFirst,
    Otherwise,
    ReplaceExpression,
    WrapCall,
)

AS_TOLD = AddImport("litellm.proxy.failover_errors.response", ("to_client_error",))

KEEPING_ITS_FAILURE = (
    AddImport("litellm.litellm_core_utils.stream_start", ("keep_failure_in_event", "raise_stream_failure")),
    InsertAfterCall("AnthropicResponsesStreamWrapper.__anext__", "verbose_logger.error", "self.failure = e"),
)

ADDS = (
    "litellm/proxy/failover_errors/handler.py",
    "litellm/proxy/failover_errors/response.py",
    "tests/proxy_unit_tests/test_broken_streams.py",
    "tests/proxy_unit_tests/test_error_formats.py",
    "tests/proxy_unit_tests/test_error_words.py",
    "tests/proxy_unit_tests/test_failure_response.py",
    "tests/proxy_unit_tests/test_kept_errors.py",
    "tests/proxy_unit_tests/test_one_look_each.py",
    "tests/proxy_unit_tests/test_redaction.py",
    "tests/support/answers.py",
)
EDITS = {
    "litellm/anthropic_interface/exceptions/exception_mapping_utils.py": (
        AddImport("litellm.litellm_core_utils.anthropic_errors", ("anthropic_error_type",)),
        ReplaceExpression(
            "AnthropicExceptionMapping.get_error_type",
            'ANTHROPIC_ERROR_TYPE_MAP.get(status_code, "api_error")',
            by="anthropic_error_type(status_code)",
        ),
    ),
    "litellm/proxy/proxy_server.py": (
        AddImport("litellm.proxy.failover_errors.handler", ("answer_by_policy", "apply_failure_response")),
        Decorate("openai_exception_handler", "answer_by_policy"),
        ForReleases(
            {
                "<1.109": (
                    InsertAfterCall(
                        "async_data_generator",
                        "ProxyException",
                        "apply_failure_response(proxy_exception, {error}, of_stream=True)",
                    ),
                ),
                ">=1.109": (
                    WrapCall(
                        "async_data_generator",
                        "route_failure_proxy_exception",
                        "apply_failure_response",
                        "{error}, of_stream=True",
                    ),
                ),
            },
            why="each of them needs one of the two",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/proxy/utils.py": (
        AddImport("litellm.proxy.failover_errors.handler", ("record_hook_answer",)),
        Decorate("ProxyLogging.post_call_failure_hook", "record_hook_answer"),
    ),
    "litellm/proxy/common_request_processing.py": (
        AddImport("litellm.proxy.failover_errors.handler", ("apply_failure_response",)),
        InsertAfterCall(
            "ProxyBaseLLMRequestProcessing.async_streaming_data_generator",
            "ProxyException",
            "apply_failure_response(proxy_exception, {error}, of_stream=True)",
        ),
        ForReleases(
            {
                "<1.104": (
                    AddImport("litellm.proxy.failover_errors.handler", ("stream_error_event",)),
                    ReplaceExpression(
                        "ProxyBaseLLMRequestProcessing.async_sse_data_generator",
                        "f\"{STREAM_SSE_DATA_PREFIX}{json.dumps({'error': proxy_exc.to_dict()})}\\n\\n\"",
                        by="stream_error_event(proxy_exc, request_data)",
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
                    InsertFirst("ResponsesStreamErrorState.format_failure", "exception = to_client_error(exception)"),
                )
            },
            why="a stream of /v1/responses that breaks off ends with the error object of the others, not with an event",
            otherwise=Otherwise.MISSING,
        ),
    ),
    "litellm/llms/anthropic/experimental_pass_through/adapters/streaming_iterator.py": (
        ForReleases(
            {">=1.103": (AS_TOLD, InsertFirst("_mid_stream_error_sse_event", "exc = to_client_error(exc)"))},
            why="the proxy itself makes the event that ends a broken stream of /v1/messages",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/llms/anthropic/experimental_pass_through/responses_adapters/streaming_iterator.py": (
        ForReleases(
            {
                "<1.103": (
                    *KEEPING_ITS_FAILURE,
                    Decorate("AnthropicResponsesStreamWrapper.async_anthropic_sse_wrapper", "keep_failure_in_event"),
                    Decorate("AnthropicResponsesStreamWrapper.async_anthropic_sse_wrapper", "raise_stream_failure"),
                ),
                ">=1.103,<1.104": (
                    *KEEPING_ITS_FAILURE,
                    Decorate("AnthropicResponsesStreamWrapper._sse_frames", "keep_failure_in_event"),
                    Decorate("AnthropicResponsesStreamWrapper._sse_frames", "raise_stream_failure"),
                ),
                ">=1.104": (
                    AS_TOLD,
                    InsertFirst("_failure_status_and_message", "exception = to_client_error(exception)"),
                    AddImport("litellm.litellm_core_utils.stream_start", ("keep_failure_in_event",)),
                    InsertAfterCall(
                        "AnthropicResponsesStreamWrapper.__anext__", "verbose_logger.exception", "self.failure = e"
                    ),
                    Decorate("AnthropicResponsesStreamWrapper._sse_frames", "keep_failure_in_event"),
                ),
            },
            why="each of them needs one of the two",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/proxy/anthropic_endpoints/endpoints.py": (
        AddImport("litellm.proxy.failover_errors.handler", ("apply_failure_response",)),
        WrapCall("anthropic_response", "ProxyException", "apply_failure_response", "{error}"),
    ),
}
