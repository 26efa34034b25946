"""fix(router): a request is not lost while another deployment can answer it

Problem
-------
A retry may pick the deployment that has just failed: with two deployments,
one of them dead, all three attempts land on the dead one for one request
in eight, and for each one of a session that keeps to it. 402 and 404 are
not retried at all, so a caller pays for each. A stream that breaks off
before its first event, or whose 200 has an empty body, counts as an answer.
A lone deployment that is rate-limited, out of credit, unreachable or silent
is tried again with back-off while a fallback group stands ready, and by
every request anew.

Change
------
- A retry goes to a deployment that has not failed this request yet. Where
  none is left, LiteLLM's own rule decides, as before.
- The deployment that a session, a key or a cached prompt is at is preferred
  among those the other filters leave, until it fails the request.
- What the policy table blames on the deployment is retried elsewhere,
  whatever the status. A rejected request never is.
- If no retry on the same route can help and a fallback group stands ready,
  it is asked at once. Once it has answered, the lone deployment it stood
  in for is cooled down. A fallback makes way for the next one in the same
  way, and one that is cooling down for its own fallback. A loop of
  fallbacks ends once each group was asked.
- Where all of a group are cooling down for a moment, a request that has
  retries left and no fallback waits for the first of them. A lone
  deployment that is kept out for the sake of others' fallbacks is open to
  who has none. A lone one that fails as a fallback cools down for those it
  stands in for, as any does that has another beside it.
- A stream is an answer from its first event on, and one that ends without
  any has failed, as has an answer that breaks off. Events are judged, not
  the pieces they come in, and only while another deployment can be asked.
- A deployment's timeout holds on the way to another API too.
- A stream of Gemini that ends in the middle of its JSON ends: it was read
  for ever, and nothing else was served meanwhile.
- An embedding, an image, a moderation, speech or a transcription with
  `max_retries=0`, which is what the router sends, is not retried by
  OpenAI's client behind the router's back.
- A moderation is retried and falls back as other requests are, and fails
  with LiteLLM's exceptions. So does generateContent at another provider,
  whose failure was a ValueError. An edited image, a document that is read and a
  video are asked for elsewhere too.
- The attempts of a request are kept apart: what one changes in the
  request, its tags and files included, does not reach the next one, a
  fallback or the caller's own objects.
- An alias has the fallbacks of its group, unless it has its own.
- What the router raises in the end says in its message, and as
  `failed_attempts`, which deployments were tried and why they failed.
- `num_retries`, retry policies, `allowed_fails`, the kinds of fallbacks,
  `order` and tags mean what they meant.

Since 1.110 the router is compiled, and its source is not a part of the
package. What its host in Python tells it of a failure, and which
deployments it offers, follows from the same table there
(`compiled_router_retry`); in this repository the router's crate would be
the place.

1.102's own skip on retry (`_deployment_ids_to_skip_on_retry`) is left as
it is. It knows only statuses LiteLLM would not retry, and a fallback group
that shares a deployment with the one that failed starts without it.

Tests
-----
Every fault that a deployment is to blame for, with every format of
provider and every strategy, over sockets; properties over two to five
deployments of which any are broken; a state machine with retries and
fallbacks; a soak.
"""

from fork.edits import (
    AddArgument,
    AddImport,
    Decorate,
    ForReleases,
    InsertBeforeCall,
    InsertFirst,
    Otherwise,
    RemoveHandler,
    ReplaceExpression,
)

POSTING_A_MESSAGE = {
    "<1.84": "async_anthropic_messages_handler",
    ">=1.84,<1.95": "_async_post_anthropic_messages_with_http_error_retry",
}
BEGUN = "response = await begun(self, response, initial_kwargs)"
OF_THE_DEPLOYMENT = ("async_httpx_client.post", "timeout=litellm_params.timeout")
INTERRUPTIONS = (
    "(aiohttp.ClientPayloadError, aiohttp.client_exceptions.ClientPayloadError)",
    "aiohttp.http_exceptions.TransferEncodingError",
    "RuntimeError",
)

FIRST_EVENT = ("await_first_event", "wait_for_first_event")
ROUTER = (
    AddImport("litellm.litellm_core_utils.first_event", FIRST_EVENT),
    AddImport(
        "litellm.router_utils.failover_attempts",
        ("noting_its_failure", "noting_the_deployment", "remembering_attempts", "retry_by_policy", "untried"),
    ),
    AddImport(
        "litellm.router_utils.all_cooling_down",
        ("noting_who_is_shut_out", "waiting_for_rotation", "waiting_for_rotation_in_sync"),
    ),
    Decorate("Router._filter_cooldown_deployments", "noting_who_is_shut_out"),
    Decorate("Router.async_get_healthy_deployments", "waiting_for_rotation"),
    Decorate("Router.get_available_deployment", "waiting_for_rotation_in_sync"),
    Decorate("Router.async_function_with_fallbacks", "remembering_attempts"),
    Decorate("Router.make_call", "noting_its_failure"),
    Decorate("Router._update_kwargs_with_deployment", "noting_the_deployment"),
    AddImport("litellm.router_utils.single_attempts", ("retrying_moderations",)),
    Decorate("Router._pass_through_moderation_endpoint_factory", "retrying_moderations"),
    AddImport("litellm.router_utils.group_names", ("with_fallbacks_of_the_group",)),
    Decorate("Router.async_function_with_fallbacks_common_utils", "with_fallbacks_of_the_group"),
    AddImport("litellm.router_utils.attempt_isolation", ("isolating_attempts",)),
    Decorate("Router.make_call", "isolating_attempts"),
    InsertBeforeCall(
        "Router.async_get_healthy_deployments", "len", "healthy_deployments = untried(healthy_deployments)"
    ),
    InsertBeforeCall("Router.get_available_deployment", "len", "healthy_deployments = untried(healthy_deployments)"),
    InsertFirst(
        "Router.should_retry_this_error",
        """
        decided = retry_by_policy(error, healthy_deployments, all_deployments)
        if decided is True:
            return True
        if decided is False:
            raise error
        """,
    ),
    InsertBeforeCall(
        "Router._completion", "self._completion_streaming_iterator", "response = wait_for_first_event(response)"
    ),
)
AWAITING_AN_EVENT = InsertBeforeCall(
    "Router._acompletion", "self._acompletion_streaming_iterator", "response = await await_first_event(response)"
)
AWAITING_AN_EVENT_OF_A_STREAM = InsertBeforeCall(
    "Router._acompletion",
    "_aread_first_chunk",
    """
    if isinstance(response, CustomStreamWrapper):
        response = await await_first_event(response)
    """,
)
# Since 1.106 the router wraps these streams in one that retries, on any deployment of the group.
RETRYING_BY_ITSELF = (
    AddImport("litellm.router_utils.failover_attempts", ("begun",)),
    InsertFirst("Router._aanthropic_messages_streaming_iterator", BEGUN),
    InsertFirst("Router._aresponses_streaming_iterator", BEGUN),
)
RETRIED_IN_PYTHON = "the router retries in Python"
RETRIED_BY_PLAN = "what made one attempt has a plan of several"
OWN_RETRIES = 'litellm_params = {**(litellm_params or {}), "max_retries": max_retries}'
MODERATION_CLIENTS = {
    "<1.104": "openai_chat_completions._get_openai_client",
    ">=1.104": "openai_chat_completions.get_openai_client",
}
CLIENT_OF_A_MODERATION = (
    "max_retries=max_retries_of(optional_params)",
    "timeout=timeout_of(optional_params)",
)

ADDS = (
    "litellm/litellm_core_utils/event_stream.py",
    "litellm/litellm_core_utils/first_event.py",
    "litellm/litellm_core_utils/stream_wait.py",
    "litellm/litellm_core_utils/unwrapped_failures.py",
    "litellm/router_utils/all_cooling_down.py",
    "litellm/router_utils/attempt_isolation.py",
    "litellm/router_utils/failover_attempts.py",
    "litellm/router_utils/group_names.py",
    "tests/router_unit_tests/test_all_cooling_down.py",
    "tests/router_unit_tests/test_attempt_isolation.py",
    "tests/router_unit_tests/test_callers_part.py",
    "tests/router_unit_tests/test_entry_points.py",
    "tests/router_unit_tests/test_event_stream.py",
    "tests/router_unit_tests/test_every_strategy.py",
    "tests/router_unit_tests/test_failover_attempts.py",
    "tests/router_unit_tests/test_fallback.py",
    "tests/router_unit_tests/test_first_event.py",
    "tests/router_unit_tests/test_model_names.py",
    "tests/router_unit_tests/test_policy_decisions.py",
    "tests/router_unit_tests/test_public_methods.py",
    "tests/router_unit_tests/test_retry.py",
    "tests/router_unit_tests/test_state_machine.py",
    "tests/router_unit_tests/test_stream_wait.py",
    "tests/router_unit_tests/test_user_settings.py",
    "tests/support/media_provider.py",
    "tests/support/router_methods.py",
    "tests/support/thinking_provider.py",
    ForReleases(
        {
            ">=1.110": (
                "litellm/router_utils/compiled_router_retry.py",
                "litellm/router_utils/compiled_router_waiting.py",
                "tests/router_unit_tests/test_compiled_router.py",
            )
        },
        why=RETRIED_IN_PYTHON,
        otherwise=Otherwise.MOVED,
    ),
    ForReleases(
        {"<1.110": ("litellm/router_utils/single_attempts.py",)}, why=RETRIED_BY_PLAN, otherwise=Otherwise.MOVED
    ),
)
EDITS = {
    "litellm/litellm_core_utils/streaming_handler.py": (
        AddImport("litellm.litellm_core_utils.first_event", ("requiring_an_event",)),
        Decorate("CustomStreamWrapper.finish_reason_handler", "requiring_an_event"),
    ),
    "litellm/llms/anthropic/experimental_pass_through/adapters/streaming_iterator.py": (
        AddImport("litellm.litellm_core_utils.first_event", ("failing_before_its_first_event", "keeping_its_failure")),
        Decorate("AnthropicStreamWrapper.__anext__", "keeping_its_failure"),
        Decorate("AnthropicStreamWrapper.async_anthropic_sse_wrapper", "failing_before_its_first_event"),
    ),
    "litellm/llms/openai/openai.py": (
        ReplaceExpression(
            "OpenAIChatCompletion.embedding",
            "max_retries or litellm.DEFAULT_MAX_RETRIES",
            by="litellm.DEFAULT_MAX_RETRIES if max_retries is None else max_retries",
        ),
    ),
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
    ),
    "litellm/llms/custom_httpx/aiohttp_transport.py": (
        ForReleases(
            {
                "<1.103": (
                    AddImport("litellm.litellm_core_utils.stream_wait", ("hanging_up_when_cut_short",)),
                    Decorate("AiohttpResponseStream.__aiter__", "hanging_up_when_cut_short"),
                )
            },
            why="1.103 closes a provider's connection by itself when nobody reads on",
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
    "litellm/router_utils/cooldown_handlers.py": (
        AddImport("litellm.router_utils.failover_policy", ("yields_to_a_fallback",)),
        InsertBeforeCall(
            "_should_cooldown_deployment",
            "get_deployment_successes_for_current_minute",
            """
            if yields_to_a_fallback(original_exception):
                return True
            """,
        ),
        ForReleases(
            {
                ">=1.104": (
                    ReplaceExpression(
                        "_should_cooldown_deployment",
                        "exception_status_int == 402",
                        by="exception_status_int == 402 and not yields_to_a_fallback(original_exception)",
                    ),
                )
            },
            why="before 1.106 a 402 is no exception among the failures of a lone deployment",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/router_utils/pre_call_checks/deployment_affinity_check.py": (
        AddImport("litellm.router_utils.failover_attempts", ("as_a_preference",)),
        Decorate("DeploymentAffinityCheck.async_filter_deployments", "as_a_preference"),
    ),
    "litellm/router_utils/pre_call_checks/prompt_caching_deployment_check.py": (
        ForReleases(
            {
                "<1.110": (
                    AddImport("litellm.router_utils.failover_attempts", ("as_a_preference",)),
                    Decorate("PromptCachingDeploymentCheck.async_filter_deployments", "as_a_preference"),
                )
            },
            why="1.110 prefers the deployment of a cached prompt, and keeps the others beside it, by itself",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/router_utils/fallback_event_handlers.py": (
        ForReleases(
            {
                "<1.97": (
                    AddImport("litellm.router_utils.failover_attempts", ("unasked",)),
                    ReplaceExpression("run_async_fallback", "fallback_model_group", by="unasked(fallback_model_group)"),
                )
            },
            why="1.97 remembers by itself which fallbacks a request has been to (`AttemptedFallbackTargets`)",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/router.py": (
        ForReleases(
            {
                "<1.104": (*ROUTER, AWAITING_AN_EVENT),
                ">=1.104,<1.107": (*ROUTER, AWAITING_AN_EVENT, *RETRYING_BY_ITSELF),
                ">=1.107,<1.110": (*ROUTER, AWAITING_AN_EVENT_OF_A_STREAM, *RETRYING_BY_ITSELF),
            },
            why="the router is compiled; what it asks of Python is edited",
            otherwise=Otherwise.MOVED,
        ),
        ForReleases(
            {
                "<1.92": (
                    AddImport("litellm.router_utils.single_attempts", ("retrying_speech",)),
                    Decorate("Router.aspeech", "retrying_speech"),
                )
            },
            why="1.92 makes attempts of speech as of a transcription",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(
                        "litellm.router_utils.compiled_router_retry",
                        (
                            "among_the_untried",
                            "among_the_untried_in_sync",
                            "retrying_by_policy",
                            "retrying_by_policy_in_sync",
                            "saying_what_was_tried",
                        ),
                    ),
                    AddImport(
                        "litellm.router_utils.compiled_router_waiting",
                        ("noting_the_group", "waiting_for_rotation", "waiting_for_rotation_in_sync"),
                    ),
                    AddImport("litellm.router_utils.group_names", ("with_fallbacks_of_aliases",)),
                    Decorate("Resolved.dynamic_document", "with_fallbacks_of_aliases"),
                    Decorate("_Driver.take_events", "noting_the_group"),
                    Decorate("RustCore._answer_cache", "waiting_for_rotation"),
                    Decorate("RustCore._answer_cache_sync", "waiting_for_rotation_in_sync"),
                    Decorate("_Driver.attempt", "retrying_by_policy"),
                    Decorate("_Driver.attempt_sync", "retrying_by_policy_in_sync"),
                    Decorate("_Driver.select", "among_the_untried"),
                    Decorate("_Driver.select_sync", "among_the_untried_in_sync"),
                    Decorate("_Driver.failed", "saying_what_was_tried"),
                    AddImport("litellm.router_utils.attempt_isolation", ("putting_back", "putting_back_in_sync")),
                    Decorate("_Driver.attempt", "putting_back"),
                    Decorate("_Driver.attempt_sync", "putting_back_in_sync"),
                )
            },
            why=RETRIED_IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/invoke/streaming.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport("litellm.litellm_core_utils.first_event", (*FIRST_EVENT, "awaiting_googles")),
                    Decorate("open_attempt_stream", "awaiting_googles"),
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
            why=RETRIED_IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/images/main.py": (
        ForReleases(
            {
                "<1.107": (
                    InsertBeforeCall(
                        "image_generation",
                        "openai_chat_completions.image_generation",
                        """
                        if kwargs.get("max_retries") is not None:
                            optional_params["max_retries"] = kwargs["max_retries"]
                        """,
                    ),
                )
            },
            why="1.109 does not have OpenAI's client retry an image for the router",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/llms/azure/audio_transcriptions.py": (
        InsertFirst("AzureAudioTranscription.audio_transcriptions", OWN_RETRIES),
    ),
    "litellm/llms/azure/azure.py": (InsertFirst("AzureChatCompletion.audio_speech", OWN_RETRIES),),
    "litellm/main.py": (
        AddImport(
            "litellm.litellm_core_utils.unwrapped_failures", ("mapping_its_failures", "max_retries_of", "timeout_of")
        ),
        Decorate("amoderation", "mapping_its_failures"),
        ForReleases(
            {
                releases: tuple(AddArgument("amoderation", client, argument) for argument in CLIENT_OF_A_MODERATION)
                for releases, client in MODERATION_CLIENTS.items()
            },
            why="each of them needs one of the two",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/invoke/endpoints.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport("litellm.router_utils.attempt_isolation", ("isolating_the_request",)),
                    Decorate("attempt_call", "isolating_the_request"),
                    ReplaceExpression(
                        "RustEndpoints.amoderation",
                        'PLANS["amoderation"]',
                        by='dataclasses.replace(PLANS["amoderation"], single_attempt=False)',
                    ),
                    ReplaceExpression(
                        "RustEndpoints.amoderation",
                        "self._core.drive(plan, kwargs, _SINGLE_ATTEMPT)",
                        by="self._core.drive(plan, kwargs)",
                    ),
                )
            },
            why=RETRIED_IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/google_genai/adapters/handler.py": (
        ForReleases(
            {
                "<1.107": (
                    AddImport("litellm.litellm_core_utils.unwrapped_failures", ("raising_what_failed",)),
                    Decorate(
                        "GenerateContentToCompletionHandler.async_generate_content_handler", "raising_what_failed"
                    ),
                )
            },
            why="1.109 raises what a completion for generateContent fails with as it is",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
}
