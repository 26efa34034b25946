"""All rules, in the order of docs/drill.md, which describes each of them."""

from __future__ import annotations

from litellm_drill import fallback_rules, group_rules, limit_rules, setting_rules
from litellm_drill.finding import Rule, Severity

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

RULES = (
    Rule(
        "fallback-malformed",
        ERROR,
        "A list of fallbacks has a form that LiteLLM refuses or reads otherwise.",
        "Write `fallbacks: [{group: [other, another]}]`, and `default_fallbacks: [other]`.",
        fallback_rules.malformed,
    ),
    Rule(
        "fallback-to-unknown-group",
        ERROR,
        "A fallback names no model group.",
        "Name a `model_name` of model_list, an alias, or what a group with `*` stands for.",
        fallback_rules.unknown_target,
    ),
    Rule(
        "fallback-from-unknown-group",
        ERROR,
        "Fallbacks are given for a name that is no model group.",
        "Name a `model_name` of model_list, an alias, or `*` for all.",
        fallback_rules.unknown_source,
    ),
    Rule(
        "alias-of-unknown-group",
        ERROR,
        "An alias stands for a name that is no model group.",
        "Name a `model_name` of model_list.",
        fallback_rules.unknown_alias,
    ),
    Rule(
        "fallback-loop",
        NOTE,
        "Fallbacks lead back to the group they began with; stock LiteLLM asks failed groups again.",
        "Let the last group of the chain have no fallback, or one that is not in it.",
        fallback_rules.loop,
    ),
    Rule(
        "fallback-smaller-context",
        WARNING,
        "A fallback has a smaller context window than the group, or as one of context_window_fallbacks no larger one.",
        "Name a group that holds as much, or give this one `context_window_fallbacks` of its own.",
        fallback_rules.smaller_context,
    ),
    Rule(
        "fallback-other-mode",
        ERROR,
        "A fallback is for another kind of request than the group.",
        "Name a group of the same mode, or correct `model_info: {mode: ...}`.",
        fallback_rules.other_mode,
    ),
    Rule(
        "fallback-missing-capability",
        WARNING,
        "A fallback lacks a capability that the group has.",
        "Name a model that can, or say so in `model_info` if this one can.",
        fallback_rules.missing_capability,
    ),
    Rule(
        "fallback-hidden",
        WARNING,
        "Some who may ask a group may not ask its fallback.",
        "Give the fallback the same team and `access_groups` as the group.",
        fallback_rules.hidden,
    ),
    Rule(
        "deployment-incomplete",
        ERROR,
        "A deployment has no model_name, or no litellm_params with a model.",
        "Give it both.",
        group_rules.incomplete,
    ),
    Rule(
        "group-alone",
        WARNING,
        "A group has one deployment, and nothing stands in for it.",
        "Add a deployment of the same `model_name`, or a fallback.",
        group_rules.lone,
    ),
    Rule(
        "group-on-one-endpoint",
        WARNING,
        "All that can serve a group is on one host, of one key or in one region.",
        "Add a deployment or a fallback at another provider, host, account or region.",
        group_rules.shared_endpoint,
    ),
    Rule(
        "duplicate-id",
        ERROR,
        "Two deployments have the same model_info.id, and are one to the router.",
        "Give each its own `id`, or none.",
        group_rules.duplicate_id,
    ),
    Rule(
        "order-gap",
        WARNING,
        "The orders of a group leave one out, or only some of its deployments have one.",
        "Number the deployments of a group from 1 on without a gap.",
        group_rules.order_gap,
    ),
    Rule(
        "continuation-without-model",
        WARNING,
        "Streams are to be continued on a fallback, and no model of the config is known to be able to.",
        "Add a model that takes an answer's beginning, or say `supports_assistant_prefill: true` in its `model_info`.",
        group_rules.no_continuation,
    ),
    Rule(
        "retries-too-few",
        WARNING,
        "A group has more deployments than a request has attempts.",
        "Set `num_retries` to the deployments that may fail at the same time.",
        limit_rules.too_few_retries,
    ),
    Rule(
        "timeout-missing",
        WARNING,
        "A deployment has no timeout of its own and none of the router's: LiteLLM's own is 6000 seconds.",
        "Set `timeout`, and a shorter `stream_timeout` for streams, in seconds.",
        limit_rules.no_timeout,
    ),
    Rule(
        "timeout-too-long",
        WARNING,
        "All attempts of a request together take longer than total_timeout, or than common clients wait.",
        "Lower `timeout` or `num_retries`.",
        limit_rules.too_long_in_all,
    ),
    Rule(
        "cooldown-zero",
        WARNING,
        "A cooldown_time of 0 leaves a failing deployment in rotation.",
        "Set `cooldown_time` to seconds above zero, such as 60.",
        limit_rules.no_cooldown,
    ),
    Rule(
        "cooldowns-disabled",
        WARNING,
        "disable_cooldowns leaves failing deployments in rotation.",
        "Take `disable_cooldowns` out.",
        limit_rules.cooldowns_disabled,
    ),
    Rule(
        "allowed-fails-unlimited",
        WARNING,
        "allowed_fails or allowed_fails_policy allows so many failures that nothing is cooled down.",
        "Take the setting out, so that the failover policy decides, or allow a few.",
        limit_rules.allows_all_fails,
    ),
    Rule(
        "health-check-interval",
        WARNING,
        "health_check_interval is no time above zero, longer than a day, or for checks that are off.",
        "Set whole seconds, such as 60.",
        limit_rules.health_check_interval,
    ),
    Rule(
        "environment-unset",
        WARNING,
        "A variable that the config refers to is not set where the check runs.",
        "Set it, or `--ignore environment-unset` where the gateway's environment is not at hand.",
        setting_rules.unset_variable,
    ),
    Rule(
        "setting-unknown",
        WARNING,
        "The installed LiteLLM knows no setting, or no routing_strategy, of this name, or knows it in another section.",
        "Correct its name, or take it out.",
        setting_rules.unknown_setting,
    ),
)
