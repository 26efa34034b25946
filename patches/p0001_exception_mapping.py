"""fix(exceptions): a failure agrees with the provider's HTTP status

Fixes #24366 (option A).

Problem
-------
Which exception a failed call raises depends on the branch of
`exception_type()` its provider takes. A provider of `providers.json` that
is in neither `openai_compatible_providers` nor `_openai_like_providers` has
no branch: before 1.100 its 429 becomes `APIConnectionError` with status
500, which the router never cools down. The branches there are lose statuses
as well: 402, 409 and 413 leave the OpenAI branch as a bare `APIError`;
Anthropic's 413 and 529, Bedrock's 500 and Gemini's 502 leave with another
status.

Change
------
- Providers of `providers.json` are registered as OpenAI-like providers, so
  they take the status-aware path; one that is added to the registry at run
  time takes it too.
- What `exception_type()` raises has the status the provider answered with
  and the class LiteLLM has for that status. Exceptions that are right
  already pass untouched, context-window and content-policy errors among
  them.
- The mapped exception has the original as `__cause__` and carries a
  `failure`, which later steps read instead of the message.
- A status is believed only if it is an HTTP answer's. A documented code in
  the error object says what a 200 holds instead of an answer, and whose
  fault a 400 is: an account without credit, a wrong key, a missing model,
  a content policy. What LiteLLM itself raises over an answer of success it
  could not read is an answer that could not be used, not a request that
  was rejected. `failure_evidence.py` lists each code with its source.
- An error in a stream of Anthropic's has the status its type stands for,
  not always 500, and one of a type nobody knows blames nobody.
- A caller who leaves is no failure: Azure's code makes a 500 of the
  cancellation, which goes on as one.
- Response headers (Retry-After) are looked for in the whole exception
  chain: the classes of twelve providers drop them. That of a thirteenth,
  microsoft_365_copilot (since 1.109), is given them.
- Where the tests of this repository assert another class or status for a
  provider, that stays: `_UPSTREAM_CLASS` and `_UPSTREAM_STATUS` list every
  such row. The status that was answered is kept as its `http_status`.

Tests
-----
Every provider a local server can stand in for, with 16 statuses each, over
a socket; properties over arbitrary statuses, providers and shapes of
exception; the report of #24366 as written.
"""

from fork.edits import AddArgument, AddImport, Decorate, ForReleases, InsertBeforeCall, Otherwise, WidenCondition

ADDS = (
    "litellm/litellm_core_utils/anthropic_errors.py",
    "litellm/litellm_core_utils/error_object.py",
    "litellm/litellm_core_utils/exception_chain.py",
    "litellm/litellm_core_utils/failure.py",
    "litellm/litellm_core_utils/failure_evidence.py",
    "litellm/litellm_core_utils/http_status_mapping.py",
    "litellm/litellm_core_utils/json_values.py",
    "litellm/litellm_core_utils/release_differences.py",
    "litellm/litellm_core_utils/stated_wait.py",
    "tests/conftest.py",
    "tests/exception_mapping/__init__.py",
    "tests/exception_mapping/aligned.py",
    "tests/exception_mapping/expectations.py",
    "tests/exception_mapping/failures.py",
    "tests/exception_mapping/provider_catalogue.py",
    "tests/exception_mapping/test_aligned_class.py",
    "tests/exception_mapping/test_error_codes.py",
    "tests/exception_mapping/test_every_provider.py",
    "tests/exception_mapping/test_exception_chain.py",
    "tests/exception_mapping/test_garbled_json.py",
    "tests/exception_mapping/test_http_status_mapping.py",
    "tests/exception_mapping/test_json_providers.py",
    "tests/exception_mapping/test_kept_failure.py",
    "tests/exception_mapping/test_properties.py",
    "tests/exception_mapping/test_rebuilt_exceptions.py",
    "tests/exception_mapping/test_response_headers.py",
    "tests/exception_mapping/test_status_kinds.py",
    "tests/exception_mapping/test_statuses_upstream_asserts.py",
    "tests/exception_mapping/test_transport_errors.py",
    "tests/exception_mapping/test_unreadable_exceptions.py",
    "tests/exception_mapping/test_wording.py",
    "tests/support/__init__.py",
    "tests/support/faulty_provider.py",
    "tests/support/provider_formats.py",
)
EDITS = {
    "litellm/litellm_core_utils/exception_mapping_utils.py": (
        AddImport(
            "litellm.litellm_core_utils.http_status_mapping",
            ("align_with_http_status", "keep_failure_of_mapped", "is_json_provider", "search_exception_chain"),
        ),
        Decorate("_get_response_headers", "search_exception_chain"),
        InsertBeforeCall("exception_type", "any", "keep_failure_of_mapped(original_exception)"),
        WidenCondition(
            "exception_type",
            condition="custom_llm_provider in litellm._openai_like_providers",
            or_="is_json_provider(custom_llm_provider)",
        ),
        InsertBeforeCall(
            "exception_type",
            "exception_logging",
            "{error} = align_with_http_status({error}, original_exception, model, custom_llm_provider)",
        ),
    ),
    "litellm/llms/anthropic/chat/handler.py": (
        AddImport("litellm.litellm_core_utils.anthropic_errors", ("raise_error_events",)),
        Decorate("ModelResponseIterator.chunk_parser", "raise_error_events"),
    ),
    "litellm/llms/microsoft_365_copilot/chat/handler.py": (
        ForReleases(
            {">=1.108": (AddArgument("_graph_error", "Microsoft365CopilotError", "headers=response.headers"),)},
            why="there is no provider that drops the headers before the mapping sees them",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
}
