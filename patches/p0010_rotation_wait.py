"""fix(router): a request waits a moment for a group that is out as a whole

Problem
-------
A group whose deployments are all rate-limited for a second loses every
request of that second, retries or not. A lone deployment that is kept out
for the sake of others' fallbacks is out for callers who have none, too.

Change
------
- Where all of a group are cooling down for a moment (3 s at the most), a
  request that has retries left and no fallback waits for the first of them.
- A lone deployment that is kept out for others' fallbacks is open to who has
  none.

Tests
-----
Groups that are limited for a moment and for long, with and without retries
and fallbacks, over sockets.
"""

from fork.edits import AddImport, Decorate, ForReleases, Otherwise

FAILOVER = "litellm.router_utils.failover"
CHOSEN_IN_PYTHON = "the router chooses in Python"

ADDS = (
    "tests/router_unit_tests/test_all_cooling_down.py",
    ForReleases(
        {">=1.110": ("litellm/router_utils/failover/compiled_router_waiting.py",)},
        why=CHOSEN_IN_PYTHON,
        otherwise=Otherwise.MOVED,
    ),
)
EDITS = {
    "litellm/router.py": (
        ForReleases(
            {
                "<1.110": (
                    AddImport(
                        f"{FAILOVER}.rotation_wait", ("record_shut_out", "wait_for_rotation", "wait_for_rotation_sync")
                    ),
                    Decorate("Router._filter_cooldown_deployments", "record_shut_out"),
                    Decorate("Router.async_get_healthy_deployments", "wait_for_rotation"),
                    Decorate("Router.get_available_deployment", "wait_for_rotation_sync"),
                )
            },
            why="the router is compiled, and asks its host which deployments are cooling down",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(
                        f"{FAILOVER}.compiled_router_waiting",
                        ("record_group", "wait_for_rotation", "wait_for_rotation_sync"),
                    ),
                    Decorate("_Driver.take_events", "record_group"),
                    Decorate("RustCore._answer_cache", "wait_for_rotation"),
                    Decorate("RustCore._answer_cache_sync", "wait_for_rotation_sync"),
                )
            },
            why=CHOSEN_IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
}
