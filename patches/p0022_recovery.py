"""feat(router): probe what was out of rotation, wait for no silent host

Problem
-------
A cooldown ends for everybody at once. Of a deployment that answers nobody,
each of them is a herd that waits a whole timeout: of 240 requests at 8 a
second to a group of two, one of which never answers, about 40 wait 2 s: a
timeout cools down by failure rate only and for five seconds each time.

Change
------
- When a cooldown ends, one request is the probe; the others keep away until
  it has been answered. Each failed probe makes the next one come later:
  twice as long, up to `max_cooldown_time`, 5 minutes, with a jitter of 10 %.
  What is doubled is the wait that the provider asks for, if it does.
- A deployment that has answered nobody between the beginning of a request
  and its timeout is not asked by others until it answers. It is LiteLLM's
  health check that finds out, beside the callers' requests, unless
  `background_probes` is false.
- A deployment at which a request has been waiting for twice as long as any
  has lately, and for a second at least, is asked if no other of its `order`
  is left. So is one that has never answered while two requests wait for it.
- All of this orders a choice, after LiteLLM's cooldowns and before filters,
  `order` and strategies; it takes the last deployment from nobody: a choice
  that comes to nothing is made once more among all. Cooldowns
  are written as before, and `allowed_fails`, `cooldown_time` and
  `disable_cooldowns` decide on them alone. Only that of a lone deployment
  whose fallback answers grows itself.

Tests
-----
A state machine over schedules of failures, probes and time; silent hosts
over sockets; `silent_host` of the benchmarks.
"""

from fork.edits import AddImport, Decorate, ForReleases, InsertFirst, Otherwise
from fork.router_settings import RouterSettings

PYTHON = "litellm.router_utils.failover.python_router_recovery"
COMPILED = "litellm.router_utils.failover.compiled_router_recovery"
ROTATION = "litellm.router_utils.failover.rotation"
CHECKS = {"background_probes": "checked_background_probes", "max_cooldown_time": "checked_max_cooldown_time"}
IS_COMPILED = "the router is compiled; what it asks of Python is edited"
IN_PYTHON = "the router chooses in Python"
SETTINGS = RouterSettings({"max_cooldown_time": ("float | None", "None"), "background_probes": ("bool", "True")})

ADDS = (
    "litellm/router_utils/failover/background_probe.py",
    "litellm/router_utils/failover/recovery.py",
    "litellm/router_utils/failover/rotation.py",
    "litellm/router_utils/failover/rotation_metrics.py",
    "litellm/router_utils/failover/suspicion.py",
    "tests/router_unit_tests/test_held_back.py",
    "tests/router_unit_tests/test_recovery.py",
    "tests/router_unit_tests/test_rotation.py",
    "tests/router_unit_tests/test_silent_hosts.py",
    "tests/router_unit_tests/test_suspicion.py",
    "tests/router_unit_tests/test_unproven_failures.py",
    ForReleases(
        {
            "<1.110": ("litellm/router_utils/failover/python_router_recovery.py",),
            ">=1.110": ("litellm/router_utils/failover/compiled_router_recovery.py",),
        },
        why="each of them needs one of the two",
        otherwise=Otherwise.MOVED,
    ),
)
EDITS = {
    "litellm/router.py": (
        ForReleases(
            {
                "<1.110": (
                    AddImport(
                        PYTHON,
                        (
                            "choose_again_unheld",
                            "choose_again_unheld_sync",
                            "give_back_unsent",
                            "hold_back_doubtful",
                            "watch_selected_deployment",
                        ),
                    ),
                    AddImport(ROTATION, tuple(CHECKS.values())),
                    *SETTINGS.parameters("Router.__init__"),
                    *(InsertFirst("Router.__init__", f"self.{one} = {check}({one})") for one, check in CHECKS.items()),
                    Decorate("Router._update_kwargs_with_deployment", "watch_selected_deployment"),
                    Decorate("Router._filter_cooldown_deployments", "hold_back_doubtful"),
                    Decorate("Router.make_call", "give_back_unsent"),
                    Decorate("Router.async_get_available_deployment", "choose_again_unheld"),
                    Decorate("Router.get_available_deployment", "choose_again_unheld_sync"),
                ),
                ">=1.110": SETTINGS.compiled(),
            },
            why=IS_COMPILED,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_utils/cooldown_cache.py": (
        AddImport(ROTATION, ("eject_for_cooldown",)),
        Decorate("CooldownCache.add_deployment_to_cooldown", "eject_for_cooldown"),
    ),
    "litellm/redis/stores/router_cooldowns/__init__.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(COMPILED, ("eject_for_stored", "eject_for_stored_async")),
                    Decorate("RouterCooldownStore.put", "eject_for_stored"),
                    Decorate("RouterCooldownStore.async_put", "eject_for_stored_async"),
                )
            },
            why="cooldowns have no store of their own",
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
            {
                ">=1.110": (
                    AddImport(ROTATION, ("check_recovery_settings",)),
                    *SETTINGS.plain_defaults(),
                    Decorate("initial_plain", "check_recovery_settings"),
                )
            },
            why=IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(
                        COMPILED,
                        (
                            "adopt_stored",
                            "adopt_stored_sync",
                            "choose_again_unheld",
                            "choose_again_unheld_sync",
                            "give_back_unsent",
                            "hold_back_doubtful",
                            "hold_back_doubtful_sync",
                            "watch_attempt",
                            "watch_attempt_sync",
                        ),
                    ),
                    *SETTINGS.served_arguments(),
                    Decorate("RustCore._answer_cache", "adopt_stored"),
                    Decorate("RustCore._answer_cache_sync", "adopt_stored_sync"),
                    Decorate("RustCore._drive", "choose_again_unheld"),
                    Decorate("RustCore._call_sync", "choose_again_unheld_sync"),
                    Decorate("_Driver.attempt", "watch_attempt"),
                    Decorate("_Driver.failed", "give_back_unsent"),
                    Decorate("_Driver.attempt_sync", "watch_attempt_sync"),
                    Decorate("_Driver.select", "hold_back_doubtful"),
                    Decorate("_Driver.select_sync", "hold_back_doubtful_sync"),
                )
            },
            why=IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
}
