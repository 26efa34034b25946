"""Every public method of LiteLLM's Router, of all supported releases, and what the failover policy has to do with it.

A method of a new release is in none of these lists until somebody has looked at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

INSIDE_NAMES: Final = """
    abatch_completion abatch_completion_fastest_response abatch_completion_one_model_multiple_requests
    aadapter_completion aanthropic_messages acompact_responses acompletion aembedding agenerate_content
    agenerate_content_stream aimage_edit aimage_generation amoderation anthropic_messages aocr arerank aresponses
    aspeech atext_completion atranscription avideo_generation completion embedding image_generation schedule_acompletion
    """
INSIDE: Final = frozenset(INSIDE_NAMES.split())
"""Requests that any deployment of a group can answer: retried elsewhere, then by a fallback."""

OUTSIDE: Final[Mapping[str, str]] = {
    "what one provider holds is asked for, changed or added to; LiteLLM retries it by its own rule": """
    a_add_message acancel_batch acancel_fine_tuning_job acancel_interaction acancel_responses acreate_agent
    acreate_assistants acreate_batch acreate_container acreate_file acreate_fine_tuning_job acreate_interaction
    acreate_skill acreate_thread adelete_agent adelete_assistant adelete_container adelete_container_file
    adelete_interaction adelete_responses adelete_skill afile_content afile_delete afile_list aget_agent aget_assistants
    aget_interaction aget_messages aget_responses aget_skill aget_thread alist_agent_versions alist_agents alist_batches
    alist_container_files alist_containers alist_fine_tuning_jobs alist_input_items alist_skills aretrieve_batch
    aretrieve_container aretrieve_container_file aretrieve_container_file_content aretrieve_fine_tuning_job arun_thread
    aupload_container_file avector_store_create avector_store_delete avector_store_file_content
    avector_store_file_create avector_store_file_delete avector_store_file_list avector_store_file_retrieve
    avector_store_file_update avector_store_list avector_store_retrieve avector_store_search avector_store_update
    avideo_content avideo_create_character avideo_edit avideo_extension avideo_get_character avideo_list avideo_remix
    avideo_status
    """,
    "LiteLLM makes one attempt of a synchronous call of these, without retries or fallbacks": """
    cancel_interaction create_agent create_container create_interaction decisions delete_agent delete_container
    delete_container_file delete_interaction extraction generate_content generate_content_stream get_agent
    get_interaction list_agent_versions list_agents list_container_files list_containers ocr responses
    retrieve_container retrieve_container_file retrieve_container_file_content search systemone text_completion
    upload_container_file vector_store_create vector_store_delete vector_store_file_content vector_store_file_create
    vector_store_file_delete vector_store_file_list vector_store_file_retrieve vector_store_file_update
    vector_store_list vector_store_retrieve vector_store_search vector_store_update video_content
    video_create_character video_edit video_extension video_generation video_get_character video_list video_remix
    video_status
    """,
    "the session that it opens is with one provider": """
    acreate_realtime_client_secret acreate_realtime_transcription_session acreate_realtime_translation_client_secret
    arealtime_calls arealtime_translation_calls
    """,
    "a provider's own API, of which the router knows no answer from a failure": """
    aadapter_generate_content adecisions aextraction allm_passthrough_route asystemone
    """,
    "chooses among search tools and guardrails, which are no deployments": """
    aguardrail asearch available_guardrail get_available_guardrail
    """,
    "a part of the machinery that the others go through": """
    async_function_with_fallbacks async_function_with_fallbacks_common_utils async_function_with_retries call
    function_with_fallbacks make_call recover_stream recover_stream_sync retry_stream select
    """,
    "asks no provider": """
    aapply add_deployment add_optional_pre_call_checks apply apply_default_settings are_all_deployments_blocked
    arefresh_model_info arm_routing_read_prefetch async_admit_deployment_turn async_callback_filter_deployments
    async_deployment_callback_on_failure async_get_available_deployment
    async_get_available_deployment_for_pass_through async_get_fully_unhealthy_model_names async_get_healthy_deployments
    async_pre_routing_hook async_routing_strategy_pre_call_checks auto_router_capability_violation
    bind_to_request_logging blocked_failure_exempt build cached_deployment_model_info cached_model_group_info
    config_deployments cooldown_event cooldown_event_on_own_loop cooled_down count_realtime_session_success
    delete_deployment deployment_callback_on_failure deployment_callback_on_success deployment_is_active_for_environment
    deployment_tracks_usage deployment_usable_by_team deployments_for_request deployments_named discard
    factory_function failure_exits flush_cache from_config generate_model_id get_all_deployments
    get_allowed_fails_from_policy get_available_deployment get_available_deployment_for_pass_through
    get_candidate_model_ids_for_route get_configured_display_name get_configured_mode get_configured_service_tiers
    get_configured_token_limits get_credential_deployment get_deployment get_deployment_by_model_group_name
    get_deployment_credentials get_deployment_credentials_with_provider get_deployment_model_info
    get_discovered_model_info get_fully_blocked_model_names get_model_access_groups get_model_from_alias get_model_group
    get_model_group_info get_model_group_io_token_usage get_model_group_usage get_model_ids get_model_info
    get_model_list get_model_list_from_model_alias get_model_list_from_routing_groups get_model_list_of_routed_group
    get_model_listing_info get_model_names get_num_retries_from_retry_policy get_remaining_model_group_usage
    get_routable_deployments get_routable_upstream_model get_router_deployment_budget_limiter get_router_model_info
    get_rotation_state get_routing_group get_search_tool_support get_settings get_valid_args has_model_id health
    increment_deployment_usage_for_response init_adaptive_router_deployment init_auto_router_deployment
    init_complexity_router_deployment init_quality_router_deployment initialize_assistants_endpoint
    initialize_router_endpoints io_token_usage_sync is_deployment_blocked is_model_access_group_for_wildcard_route
    is_recognized_model log_retry map_team_model observe outcome_callbacks params_sent_to_deployment per_user_deployment
    print_deployment priority_header_update python_cooldown ran_as_request_deployment register_plugin registry
    repin_after_success replay_model_cost_registrations report_stream_failure report_stream_failure_sync
    report_stream_success report_stream_success_sync reset resolve_model_name_from_model_id resolve_served_model_name
    resolved_litellm_models retire retire_routing_state routable_model_group routed_name routing_group_has_alternatives
    routing_strategy_init routing_strategy_pre_call_checks run_routing_cache_sync serve_through_request_logging
    served_openai_models service_logged set_custom_routing_strategy set_model_list set_optional_pre_call_checks
    set_response_headers settings settings_dict should_include_deployment should_retry_this_error
    slack_alerting_logger split_request_priority stream_policy sync_deployment_callback_on_success
    team_model_has_alternatives team_ptu_ceiling team_public_model_names_of track_deployment_pick
    trigger_fallback_cooldown update_redis_cache update_settings upsert_deployment validate_fallbacks
    wildcard_route_deployments wildcard_routed_models
    """,
}
"""The names of all others, by the reason."""

ANY_DEPLOYMENT_WILL_DO: Final = (
    "_acompletion",
    "_completion",
    "_atext_completion",
    "_aadapter_completion",
    "_aembedding",
    "_embedding",
    "_arerank",
    "_aimage_generation",
    "_image_generation",
    "_aspeech",
    "_atranscription",
    "agenerate_content",
    "agenerate_content_stream",
    "amoderation",
    "anthropic_messages",
    "aresponses",
)
"""The functions by which the router makes an attempt, where any deployment of the group will do."""
