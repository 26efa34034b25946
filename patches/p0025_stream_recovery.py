"""feat(router): a stream that has begun is finished

Problem
-------
A stream that breaks after its first words is lost, though other deployments
of its group are well: cut off, reset, stalled for `stream_timeout`, with a
chunk that is no JSON, an error in an event, or without an end. Releases
before 1.108 have a fallback go on in a way that may repeat words. 1.109 and
1.110 can continue one by an assistant prefill, off by default, on another
group only, and not for a synchronous caller.

Change
------
- A stream of a chat, of /v1/messages or of /v1/responses that breaks goes on
  at another deployment of the group, then at the fallbacks: with the words
  sent so far as an assistant prefill, where each deployment that may answer
  can continue one.
- Where that is refused or cannot be done, the request is asked again. If the
  answer begins with exactly the words sent, the rest of it follows; if not,
  the caller gets the failure of the first half. So does that of a response
  which one provider keeps.
- Nothing is passed on before it is sure to follow. An answer with calls,
  thoughts, a format or siblings is not joined to another one.
- `stream_recovery` is off, continue or hold; hold keeps the words back, for
  `hold_ms` or until they are complete, so that any failure is retried.
- The caller gets one id, and the usage of both halves. So does the log, with
  the whole text and what both halves cost; the metadata of the request, and
  its `spend_logs_metadata`, name the failure as `rescued_failures`.
- A first half is logged as the failed attempt of its own deployment. Before
  1.109 it was counted against the next one at the proxy, and one whose event
  told of the failure was a success.
- A fallback's events no longer follow those of a first half of a response,
  which since 1.88 were a second response with words the caller may have.
- With LiteLLM's `enable_mid_stream_fallback_continuation` it is off unless
  it is set, and then goes first where both could.

Tests
-----
Answers by where they are cut and what the second one says, as a property;
each way to break over sockets, async and sync; `outages` of the benchmarks.
"""

from fork.edits import AddImport, Decorate, ForReleases, Otherwise
from fork.router_settings import RouterSettings

RESCUE = "litellm.router_utils.failover.stream_rescue"
IS_COMPILED = "the router is compiled; what it asks of Python is edited"
IN_PYTHON = "the router asks in Python"
SETTINGS = RouterSettings({"stream_recovery": ("str | None", "None"), "hold_ms": ("float | None", "None")})
IN_CORE = ("recover_message_streams", "recover_response_streams", "recover_streams", "recover_sync_streams")
WRAPPERS = ("recover_built_streams", "recover_streams", "recover_sync_streams")

ATTEMPT_LOG = "litellm.litellm_core_utils.failed_attempt_log"
CALLED = "log_attempt"
THREAD = "log_attempt_in_thread"

ADDS = (
    "litellm/litellm_core_utils/failed_attempt_log.py",
    "litellm/litellm_core_utils/rescued_log.py",
    "litellm/router_utils/failover/chat_halves.py",
    "litellm/router_utils/failover/message_halves.py",
    "litellm/router_utils/failover/recovering_events.py",
    "litellm/router_utils/failover/recovering_stream.py",
    "litellm/router_utils/failover/responses_halves.py",
    "litellm/router_utils/failover/second_answers.py",
    "litellm/router_utils/failover/stream_recovery.py",
    "litellm/router_utils/failover/stream_rescue.py",
    "litellm/router_utils/failover/stream_settings.py",
    "litellm/router_utils/failover/token_estimates.py",
    "litellm/router_utils/failover/total_timeout.py",
    "tests/router_unit_tests/test_any_break.py",
    "tests/router_unit_tests/test_failed_attempt_log.py",
    "tests/router_unit_tests/test_message_halves.py",
    "tests/router_unit_tests/test_rescued_log.py",
    "tests/router_unit_tests/test_rescued_formats.py",
    "tests/router_unit_tests/test_responses_halves.py",
    "tests/router_unit_tests/test_splice.py",
    "tests/router_unit_tests/test_stream_recovery.py",
    "tests/support/callback_log.py",
)
IN_ROUTER = (
    *SETTINGS.in_python(),
    Decorate("Router.acompletion", "recover_streams"),
    Decorate("Router.completion", "recover_sync_streams"),
    Decorate("Router.factory_function", "recover_built_streams"),
)
RESPONSES = "leave_responses_to_recovery"
RESPONSES_FALLBACK = Decorate("Router._aresponses_streaming_iterator", RESPONSES)
ANY_FALLBACKS = (
    Decorate("Router._acompletion_streaming_iterator", "leave_to_recovery"),
    Decorate("Router._completion_streaming_iterator", "leave_to_recovery"),
)
EDITS = {
    "litellm/litellm_core_utils/litellm_logging.py": (
        AddImport("litellm.litellm_core_utils.rescued_log", ("log_whole_answer",)),
        Decorate("Logging._get_assembled_streaming_response", "log_whole_answer"),
        ForReleases(
            {
                "<1.95": (
                    AddImport(ATTEMPT_LOG, (CALLED, THREAD)),
                    Decorate("Logging.async_failure_handler", CALLED),
                    Decorate("Logging.failure_handler", THREAD),
                ),
                ">=1.95,<1.109": (
                    AddImport(ATTEMPT_LOG, (CALLED,)),
                    Decorate("Logging.dispatch_failure_handlers", CALLED),
                ),
            },
            why="LiteLLM logs each attempt of a stream by itself",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/proxy/pass_through_endpoints/streaming_handler.py": (
        ForReleases(
            {
                ">=1.102": (
                    AddImport(ATTEMPT_LOG, ("log_closed_stream",)),
                    Decorate("PassThroughStreamingHandler.chunk_processor", "log_closed_stream"),
                )
            },
            why="LiteLLM logs no stream of /v1/messages as failed",
            otherwise=Otherwise.MISSING,
        ),
    ),
    "litellm/router.py": (
        ForReleases(
            {
                "<1.88": (AddImport(RESCUE, ("leave_to_recovery", *WRAPPERS)), *IN_ROUTER, *ANY_FALLBACKS),
                ">=1.88,<1.108": (
                    AddImport(RESCUE, (RESPONSES, "leave_to_recovery", *WRAPPERS)),
                    *IN_ROUTER,
                    *ANY_FALLBACKS,
                    RESPONSES_FALLBACK,
                ),
                ">=1.108,<1.110": (AddImport(RESCUE, (RESPONSES, *WRAPPERS)), *IN_ROUTER, RESPONSES_FALLBACK),
                ">=1.110": SETTINGS.compiled(),
            },
            why=IS_COMPILED,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_api.py": (
        ForReleases(
            {">=1.110": SETTINGS.init_arguments()},
            why=IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/surface/settings.py": (
        ForReleases(
            {">=1.110": SETTINGS.plain_defaults()},
            why=IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(RESCUE, IN_CORE),
                    *SETTINGS.served_arguments(),
                    Decorate("RustCore.acompletion", "recover_streams"),
                    Decorate("RustCore.completion", "recover_sync_streams"),
                    Decorate("RustCore.aresponses", "recover_response_streams"),
                    Decorate("RustCore.aanthropic_messages", "recover_message_streams"),
                    Decorate("RustCore.anthropic_messages", "recover_message_streams"),
                )
            },
            why=IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/invoke/streaming.py": (
        ForReleases(
            {">=1.110": (AddImport(RESCUE, (RESPONSES,)), Decorate("wrap_responses_stream", RESPONSES))},
            why=IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
}
