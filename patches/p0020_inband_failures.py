"""fix(exceptions): a failure inside a 200 is a failure

Problem
-------
Providers and gateways answer 200 and put the error into the body, or
nothing at all. Some of that is passed on as an answer, some raises what
nobody retries, a stream that closes without an end passes for a whole one.

Change
------
- What LiteLLM's HTTP clients get from a model by POST is read for whether it
  is an answer, whole or as a stream is read: `inband_failure` is the one
  reader, `inband_formats` its tables.
- An error object gives the answer the status it stands for; so the mapping,
  cooldown, retry and the caller's answer are those of such an answer.
- An answer with nothing in it cannot be decoded, a stream without an end
  was cut off. `litellm.empty_answer = "pass"` has the former as before.
- What is asked by another method or at another path, files and stored
  responses among it, and pass-through routes are left alone.
- The log of a failed answer, whole or streamed, has the tokens that were
  billed for it.

Tests
-----
Providers × APIs × shapes over sockets; properties over arbitrary JSON, cut
anywhere; healthy answers of every format, none of which may raise.
"""

from fork.edits import AddImport, Decorate, ForReleases, InsertBeforeCall, Otherwise, ReplaceExpression

MODULE = "litellm.litellm_core_utils.inband_http"
FACTORIES = "what makes a client there is edited"
SYNC, ASYNC = "litellm.client_session", "litellm.aclient_session"


def litellms_client(*edits: AddImport | ReplaceExpression) -> ForReleases[AddImport | ReplaceExpression]:
    """Where older releases let OpenAI's SDK make an HTTP client of its own: it gets LiteLLM's there."""
    return ForReleases({"<1.108": edits}, why=FACTORIES, otherwise=Otherwise.MOVED)


def judged(*functions: str) -> ForReleases[AddImport | Decorate]:
    """Where newer releases make an HTTP client for OpenAI's SDK."""
    edits: list[AddImport | Decorate] = [Decorate(function, "judge_answers") for function in functions]
    edits.insert(0, AddImport(MODULE, ("judge_answers",)))
    return ForReleases(
        {">=1.108": tuple(edits)}, why="each place makes its client by itself", otherwise=Otherwise.MOVED
    )


ADDS = (
    "litellm/litellm_core_utils/billed_usage.py",
    "litellm/litellm_core_utils/inband_aws.py",
    "litellm/litellm_core_utils/inband_failure.py",
    "litellm/litellm_core_utils/inband_fast_path.py",
    "litellm/litellm_core_utils/inband_formats.py",
    "litellm/litellm_core_utils/inband_http.py",
    "litellm/litellm_core_utils/inband_stream.py",
    "litellm/litellm_core_utils/inband_whole.py",
    "tests/exception_mapping/test_aws_streams.py",
    "tests/exception_mapping/test_billed_usage.py",
    "tests/exception_mapping/test_inband_failures.py",
    "tests/exception_mapping/test_inband_fast_path.py",
    "tests/exception_mapping/test_inband_whole.py",
    "tests/exception_mapping/test_odd_answers.py",
    "tests/router_unit_tests/test_inband_answers.py",
    "tests/router_unit_tests/test_whole_answers.py",
    "tests/support/aws_events.py",
    "tests/support/healthy_answers.py",
    "tests/support/inband_calls.py",
    "tests/support/inband_provider.py",
    "tests/support/inband_shapes.py",
)
EDITS = {
    "litellm/completion_extras/litellm_responses_transformation/transformation.py": (
        ForReleases(
            {
                "<1.95": (
                    AddImport(MODULE, ("raise_failed_event",)),
                    Decorate("OpenAiResponsesToChatCompletionStreamIterator.chunk_parser", "raise_failed_event"),
                )
            },
            why="what reads the events of responses for a chat knows that of an error by itself",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/llms/anthropic/experimental_pass_through/responses_adapters/streaming_iterator.py": (
        ForReleases(
            {
                "<1.104": (
                    AddImport(MODULE, ("raise_failed_event",)),
                    Decorate("AnthropicResponsesStreamWrapper._process_event", "raise_failed_event"),
                )
            },
            why="what reads the events of responses for messages knows those of an error and a failure by itself",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/litellm_core_utils/litellm_logging.py": (
        AddImport("litellm.litellm_core_utils.billed_usage", ("log_billed_usage",)),
        Decorate("Logging._failure_handler_helper_fn", "log_billed_usage"),
    ),
    "litellm/llms/custom_httpx/http_handler.py": (
        AddImport(MODULE, ("judge_answer",)),
        *(
            InsertBeforeCall(function, "response.raise_for_status", "judge_answer(response, stream)")
            for function in (
                "AsyncHTTPHandler.post",
                "AsyncHTTPHandler.single_connection_post_request",
                "HTTPHandler.post",
            )
        ),
    ),
    "litellm/llms/custom_httpx/aiohttp_handler.py": (
        AddImport(MODULE, ("judge_aiohttp_answers",)),
        Decorate("BaseLLMAIOHTTPHandler._make_common_async_call", "judge_aiohttp_answers"),
    ),
    "litellm/llms/openai/common_utils.py": (
        AddImport(MODULE, ("judge_answers",)),
        Decorate("BaseOpenAILLM._get_async_http_client", "judge_answers"),
        Decorate("BaseOpenAILLM._get_sync_http_client", "judge_answers"),
    ),
    "litellm/llms/azure/common_utils.py": (
        judged("BaseAzureLLM._init_azure_client_for_cloudflare_ai_gateway"),
        litellms_client(
            ReplaceExpression(
                "BaseAzureLLM._init_azure_client_for_cloudflare_ai_gateway",
                SYNC,
                "self._get_async_http_client() if acompletion else self._get_sync_http_client()",
            ),
        ),
    ),
    "litellm/llms/openai/workload_identity.py": (judged("build_openai_client", "build_async_openai_client"),),
    "litellm/llms/openai/completion/handler.py": (
        litellms_client(
            ReplaceExpression(
                "OpenAITextCompletion.completion", SYNC, f"{SYNC} or BaseOpenAILLM._get_sync_http_client()"
            ),
            ReplaceExpression(
                "OpenAITextCompletion.streaming", SYNC, f"{SYNC} or BaseOpenAILLM._get_sync_http_client()"
            ),
            ReplaceExpression(
                "OpenAITextCompletion.async_streaming", ASYNC, f"{ASYNC} or BaseOpenAILLM._get_async_http_client()"
            ),
        ),
    ),
    "litellm/llms/openai/image_variations/handler.py": (
        litellms_client(
            AddImport("litellm.llms.openai.common_utils", ("BaseOpenAILLM",)),
            ReplaceExpression(
                "OpenAIImageVariationsHandler.image_variations",
                SYNC,
                f"{SYNC} or BaseOpenAILLM._get_sync_http_client()",
            ),
            ReplaceExpression(
                "OpenAIImageVariationsHandler.async_image_variations",
                SYNC,
                f"{ASYNC} or BaseOpenAILLM._get_async_http_client()",
            ),
        ),
    ),
    "litellm/main.py": (
        litellms_client(
            ReplaceExpression(
                "moderation",
                'kwargs.get("client", None)',
                """
                kwargs.get("client", None) or openai.OpenAI(
                    api_key=api_key,
                    base_url=api_base,
                    http_client=openai_chat_completions._get_sync_http_client(),
                )
                """,
            ),
        ),
    ),
}
