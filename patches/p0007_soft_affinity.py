"""fix(router): a session leaves its deployment when that fails

Problem
-------
With `deployment_affinity` and its like, and with cached prompts, a retry is
offered nothing but the deployment that has just failed: all attempts of a
session that keeps to a dead one land there.

Change
------
The deployment that a session, a key or a cached prompt is at is preferred
among those the other filters leave, until it fails the request. A strategy
that finds it over its `rpm` or `tpm` is asked again about all of them. What
one deployment alone can read, a response that another one continues, stays
there.

Tests
-----
Sessions, keys and cached prompts whose deployment breaks; preferences for a
deployment of a later `order`.
"""

from fork.edits import AddImport, Decorate, ForReleases, Otherwise

SOFT_AFFINITY = AddImport("litellm.router_utils.failover.affinity", ("soft_affinity",))

ADDS = (
    "tests/router_unit_tests/test_every_strategy.py",
    "tests/router_unit_tests/test_limits_of_preferred.py",
    "tests/router_unit_tests/test_wrapped_methods.py",
)
STRATEGIES = {
    "lowest_cost": "LowestCostLoggingHandler",
    "lowest_latency": "LowestLatencyLoggingHandler",
    "lowest_tpm_rpm_v2": "LowestTPMLoggingHandler_v2",
}
EDITS = {
    **{
        f"litellm/router_strategy/{module}.py": (
            AddImport("litellm.router_utils.failover.affinity", ("ask_others_over_limits",)),
            Decorate(f"{strategy}.async_get_available_deployments", "ask_others_over_limits"),
        )
        for module, strategy in STRATEGIES.items()
    },
    "litellm/router_utils/pre_call_checks/deployment_affinity_check.py": (
        SOFT_AFFINITY,
        Decorate("DeploymentAffinityCheck.async_filter_deployments", "soft_affinity"),
    ),
    "litellm/router_utils/pre_call_checks/prompt_caching_deployment_check.py": (
        ForReleases(
            {
                "<1.110": (
                    SOFT_AFFINITY,
                    Decorate("PromptCachingDeploymentCheck.async_filter_deployments", "soft_affinity"),
                )
            },
            why="1.110 prefers the deployment of a cached prompt, and keeps the others beside it, by itself",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
}
