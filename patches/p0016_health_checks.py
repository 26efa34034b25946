"""fix(proxy): background health checks never stop or empty a group

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
- A failed check counts as a failure, and cools a deployment down only
  while another one of its group is in rotation.

What /health finds on demand leaves routing alone, as before.

Tests
-----
The proxy as a process, its provider failing and healing; intervals of all
kinds; a round that raises; groups of one and of two.
"""

from fork.edits import AddImport, Decorate, ForReleases, Otherwise, ReplaceExpression

OURS = "litellm.proxy.health_check_utils.background_health_checks"
MARKING = "litellm.proxy.health_check_utils.failed_health_checks"
FAILED = "litellm.router_utils.failover.health_check_cooldown"
SPARING = AddImport(FAILED, ("spare_last_deployment",))
NO_COOLDOWN = "no health check takes a deployment out of rotation"

ADDS = (
    "litellm/proxy/health_check_utils/background_health_checks.py",
    "tests/proxy_unit_tests/test_background_health_checks.py",
    "tests/proxy_unit_tests/test_stub_objects.py",
    ForReleases(
        {
            ">1.82.6": (
                "litellm/proxy/health_check_utils/failed_health_checks.py",
                "litellm/router_utils/failover/health_check_cooldown.py",
                "tests/proxy_unit_tests/test_health_check_cooldown.py",
            )
        },
        why=NO_COOLDOWN,
        otherwise=Otherwise.MISSING,
    ),
)
EDITS = {
    "litellm/proxy/health_check.py": (
        AddImport(OURS, ("end_cooldown_if_healthy",)),
        Decorate("_run_model_health_check", "end_cooldown_if_healthy"),
    ),
    "litellm/proxy/proxy_server.py": (
        AddImport(OURS, ("health_check_interval_of", "restart_failed_loop")),
        ReplaceExpression(
            "ProxyConfig.load_config",
            'general_settings.get("health_check_interval", DEFAULT_HEALTH_CHECK_INTERVAL)',
            by="health_check_interval_of(general_settings, DEFAULT_HEALTH_CHECK_INTERVAL)",
        ),
        Decorate("_run_background_health_check", "restart_failed_loop"),
        ForReleases(
            {
                ">1.82.6": (
                    AddImport(MARKING, ("mark_health_check_cooldowns",)),
                    Decorate("_write_health_state_to_router_cache", "mark_health_check_cooldowns"),
                )
            },
            why=NO_COOLDOWN,
            otherwise=Otherwise.MISSING,
        ),
    ),
    "litellm/router_utils/cooldown_handlers.py": (
        ForReleases(
            {">1.82.6,<1.110": (SPARING, Decorate("_should_run_cooldown_logic", "spare_last_deployment"))},
            why=f"{NO_COOLDOWN} before 1.84, and the compiled router of 1.110 decides by itself",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases(
            {">=1.110": (SPARING, Decorate("RustHealth.record_failure", "spare_last_deployment"))},
            why="the router decides on cooldowns in Python",
            otherwise=Otherwise.MOVED,
        ),
    ),
}
