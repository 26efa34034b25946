"""fix: older releases do what newer ones do by themselves

Problem
-------
What LiteLLM has mended since, an operator of an older release still has:

- An answer that breaks off counts as a whole one (until 1.95).
- A stream of Gemini that ends in the middle of its JSON is read for ever,
  and nothing else is served meanwhile (until 1.95). It does not heed its
  timeout (until 1.109).
- A deployment's timeout does not hold on the way from one API to another:
  at /v1/messages (until 1.95) and at /v1/responses (until 1.88).
- A provider's connection stays open when nobody reads on (until 1.103).

Change
------
Each is mended for the releases that need it. The newest needs none of it,
so this is no pull request.

Tests
-----
Those of the next patches, which need it on the releases named here.
"""

from fork.edits import (
    AddArgument,
    AddImport,
    AddParameter,
    Decorate,
    ForReleases,
    InsertBeforeCall,
    Otherwise,
    RemoveHandler,
)

EXPORT = False

POSTING_A_MESSAGE = {
    "<1.84": "async_anthropic_messages_handler",
    ">=1.84,<1.95": "_async_post_anthropic_messages_with_http_error_retry",
}
OF_THE_DEPLOYMENT = ("async_httpx_client.post", "timeout=litellm_params.timeout")
INTERRUPTIONS = (
    "(aiohttp.ClientPayloadError, aiohttp.client_exceptions.ClientPayloadError)",
    "aiohttp.http_exceptions.TransferEncodingError",
    "RuntimeError",
)
CLOSED_BY_ITSELF = "1.103 closes a provider's connection by itself when nobody reads on"

ADDS = (
    ForReleases(
        {
            "<1.103": (
                "litellm/litellm_core_utils/abandoned_stream.py",
                "tests/router_unit_tests/test_abandoned_stream.py",
            )
        },
        why=CLOSED_BY_ITSELF,
        otherwise=Otherwise.NOT_NEEDED,
    ),
)
EDITS = {
    "litellm/responses/main.py": (
        ForReleases(
            {
                "<1.88": (
                    AddArgument(
                        "responses",
                        "litellm_completion_transformation_handler.response_api_handler",
                        "timeout=timeout",
                    ),
                )
            },
            why="1.88 passes the deployment's timeout on to the API it translates /v1/responses to",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/llms/vertex_ai/gemini/vertex_and_google_ai_studio_gemini.py": (
        ForReleases(
            {
                "<1.95": tuple(
                    InsertBeforeCall(
                        f"ModelResponseIterator.{function}",
                        "self.handle_accumulated_json_chunk",
                        'self.chunk_type = "valid_json"  # so that a rest that cannot be read is not tried for ever',
                    )
                    for function in ("__next__", "__anext__")
                )
            },
            why="1.95 ends a stream of Gemini whose rest is no JSON, such as an HTML page, by itself",
            otherwise=Otherwise.NOT_NEEDED,
        ),
        ForReleases(
            {
                "<1.108": (
                    AddParameter("make_call", "timeout: float | httpx.Timeout | None = None"),
                    AddArgument("make_call", "client.post", "timeout=timeout"),
                    AddArgument("VertexLLM.async_streaming", "partial", "timeout=timeout"),
                    AddParameter("make_sync_call", "timeout: float | httpx.Timeout | None = None"),
                    AddArgument("make_sync_call", "client.post", "timeout=timeout"),
                    AddArgument("VertexLLM.completion", "partial", "timeout=timeout"),
                )
            },
            why="1.108 heeds the timeout of Gemini's streams by itself",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/llms/custom_httpx/aiohttp_transport.py": (
        ForReleases(
            {
                "<1.103": (
                    AddImport("litellm.litellm_core_utils.abandoned_stream", ("close_when_abandoned",)),
                    Decorate("AiohttpResponseStream.__aiter__", "close_when_abandoned"),
                )
            },
            why=CLOSED_BY_ITSELF,
            otherwise=Otherwise.NOT_NEEDED,
        ),
        ForReleases(
            {"<1.95": tuple(RemoveHandler("AiohttpResponseStream.__aiter__", error) for error in INTERRUPTIONS)},
            why="1.95 does not take an answer that breaks off for a whole one",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/llms/custom_httpx/llm_http_handler.py": (
        ForReleases(
            {
                specifier: (AddArgument(f"BaseLLMHTTPHandler.{method}", *OF_THE_DEPLOYMENT),)
                for specifier, method in POSTING_A_MESSAGE.items()
            },
            why="1.95 heeds the deployment's timeout at /v1/messages by itself",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
}
