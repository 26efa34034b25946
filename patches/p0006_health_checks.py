"""fix(proxy): background health checks keep running, return a recovered deployment and never empty a group

Problem
-------
With `background_health_checks: true`, an interval of 0, below 0, null,
0.5, "60" (which is what an environment variable yields) or "abc" means no
check at all, and nothing says so. An interval that `asyncio.sleep` cannot
take, and any round that raises, ends the checks for good; /health then
shows the last results for ever (#8248 was about the contrary, checks
without a pause). A deployment that is healthy again stays out for the rest
of its cooldown, whatever the checks say. With `enable_health_check_routing`
a failed check cools a lone deployment down: a 404 to a check that asks at
the wrong route takes a group out of service whose requests are answered.

Change
------
- A number of seconds is rounded up to whole ones, also if it is text. For
  anything else that is set, the log names the setting and what holds
  instead: LiteLLM's default. The value is not printed.
- After a round that raised, the loop begins anew an interval later.
- A background check that finds a deployment healthy ends its cooldown. Not
  if the deployment has failed a request since the check began. Nor if it
  is rate-limited: a check's few tokens pass where a request would not.
- A failed check cools a deployment down only while another one of its
  group is in rotation.

What /health finds on demand leaves routing alone, as before.

Tests
-----
The proxy as a process, its provider failing and healing; intervals of all
kinds; a round that raises; groups of one and of two.
"""

from fork.edits import AddImport, Decorate, ForReleases, InsertBeforeCall, Otherwise, ReplaceExpression

OURS = "litellm.proxy.health_check_utils.background_health_checks"
COUNTING_A_FAILURE = {
    ">1.82.6,<1.107": "increment_deployment_failures_for_current_minute",
    ">=1.107": "llm_router.health().record_failure",
}

BRINGS = (
    "litellm/proxy/health_check_utils/background_health_checks.py",
    "tests/proxy_unit_tests/test_background_health_checks.py",
)
EDITS = {
    "litellm/proxy/health_check.py": (
        AddImport(OURS, ("ending_cooldowns",)),
        Decorate("_run_model_health_check", "ending_cooldowns"),
    ),
    "litellm/proxy/proxy_server.py": (
        AddImport(OURS, ("health_check_interval_of", "surviving_failed_rounds")),
        ReplaceExpression(
            "ProxyConfig.load_config",
            'general_settings.get("health_check_interval", DEFAULT_HEALTH_CHECK_INTERVAL)',
            by="health_check_interval_of(general_settings, DEFAULT_HEALTH_CHECK_INTERVAL)",
        ),
        Decorate("_run_background_health_check", "surviving_failed_rounds"),
        ForReleases(
            {
                releases: (
                    AddImport(OURS, ("may_cool_down",)),
                    InsertBeforeCall(
                        "_write_health_state_to_router_cache",
                        counting_a_failure,
                        """
                        if not may_cool_down(llm_router, model_id):
                            continue
                        """,
                    ),
                )
                for releases, counting_a_failure in COUNTING_A_FAILURE.items()
            },
            why="no health check takes a deployment out of rotation",
            otherwise=Otherwise.MISSING,
        ),
    ),
}
