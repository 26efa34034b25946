"""fix(router): a stream is an answer from its first event on

Problem
-------
A stream that breaks off before its first event, or whose 200 has an empty
or an HTML body, counts as an answer: the caller gets nothing, although
another deployment could be asked. A bridge from one API to another makes
up the first events of its answer before the provider has said a word, and
reports what fails then as an event.

Change
------
- The router waits for the first event in which something of the answer is
  told. What the stream raises before that is the attempt's failure.
- A stream that ends without any has failed.
- Events are judged, not the pieces they come in.
- Nothing is held back where no other deployment could be asked, beyond the
  one event LiteLLM's proxy waits for by itself.

Tests
-----
Streams of four formats, cut at every place; over sockets, ways to break
before and after the first event.
"""

from fork.edits import AddImport, Decorate, ForReleases, InsertBeforeCall, Otherwise

FIRST_EVENT = AddImport("litellm.litellm_core_utils.stream_start", ("await_first_event", "wait_for_first_event"))
SYNC_CHAT = InsertBeforeCall(
    "Router._completion", "self._completion_streaming_iterator", "response = wait_for_first_event(response)"
)
CHAT = InsertBeforeCall(
    "Router._acompletion", "self._acompletion_streaming_iterator", "response = await await_first_event(response)"
)
CHAT_OR_STREAM = InsertBeforeCall(
    "Router._acompletion",
    "_aread_first_chunk",
    """
    if isinstance(response, CustomStreamWrapper):
        response = await await_first_event(response)
    """,
)

ADDS = (
    "litellm/litellm_core_utils/answer_settings.py",
    "litellm/litellm_core_utils/event_stream.py",
    "litellm/litellm_core_utils/stream_start.py",
    "litellm/litellm_core_utils/stream_wait.py",
    "tests/router_unit_tests/test_event_stream.py",
    "tests/support/thinking_provider.py",
)
EDITS = {
    "litellm/litellm_core_utils/streaming_handler.py": (
        AddImport("litellm.litellm_core_utils.stream_start", ("fail_on_empty_stream",)),
        Decorate("CustomStreamWrapper.finish_reason_handler", "fail_on_empty_stream"),
    ),
    "litellm/llms/anthropic/experimental_pass_through/adapters/streaming_iterator.py": (
        AddImport("litellm.litellm_core_utils.stream_start", ("keep_failure_in_event", "keep_stream_failure")),
        Decorate("AnthropicStreamWrapper.__anext__", "keep_stream_failure"),
        Decorate("AnthropicStreamWrapper.async_anthropic_sse_wrapper", "keep_failure_in_event"),
    ),
    "litellm/router.py": (
        ForReleases(
            {"<1.108": (FIRST_EVENT, SYNC_CHAT, CHAT), ">=1.108,<1.110": (FIRST_EVENT, SYNC_CHAT, CHAT_OR_STREAM)},
            why="the router is compiled; what it asks of Python is edited",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/invoke/streaming.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(
                        "litellm.litellm_core_utils.stream_start",
                        ("await_first_event", "await_first_google_event", "wait_for_first_event"),
                    ),
                    Decorate("open_attempt_stream", "await_first_google_event"),
                    *(
                        InsertBeforeCall(
                            "open_attempt_stream", first_use, "response = await await_first_event(response)"
                        )
                        for first_use in (
                            "_aread_first_chunk",
                            "_reported_text_completion_stream",
                            "wrap_responses_stream",
                            "wrap_anthropic_stream",
                        )
                    ),
                    InsertBeforeCall(
                        "open_attempt_stream_sync", "wrap_chat_stream_sync", "response = wait_for_first_event(response)"
                    ),
                )
            },
            why="the router asks for streams in Python",
            otherwise=Otherwise.MOVED,
        ),
    ),
}
