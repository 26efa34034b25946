"""fix(router): a shorter cooldown does not end a longer one (#40130)

Problem
-------
A deployment that answers a request with `Retry-After: 60` and another one,
which was under way at the time, with `Retry-After: 1` is asked again after a
second: each cooldown overwrites the one before, in memory and in Redis.

Change
------
A cooldown is stored only if the deployment has none that lasts longer. A
store that cannot be read is written to as before.

Tests
-----
Longer and shorter cooldowns in either order, two requests over sockets that
fail one after the other, and two routers that share a Redis.
"""

from fork.edits import AddImport, Decorate, ForReleases, Otherwise

LONGER_COOLDOWN = "litellm.router_utils.failover.longer_cooldown"
STORED = "each cooldown goes through a store of its own"

ADDS = (
    "litellm/router_utils/failover/longer_cooldown.py",
    "tests/router_unit_tests/test_longer_cooldown.py",
)
EDITS = {
    "litellm/router_utils/cooldown_cache.py": (
        ForReleases(
            {
                "<1.110": (
                    AddImport(LONGER_COOLDOWN, ("keep_longer_cooldown",)),
                    Decorate("CooldownCache.add_deployment_to_cooldown", "keep_longer_cooldown"),
                )
            },
            why=STORED,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/redis/stores/router_cooldowns/__init__.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(LONGER_COOLDOWN, ("keep_longer_stored", "keep_longer_stored_async")),
                    Decorate("RouterCooldownStore.put", "keep_longer_stored"),
                    Decorate("RouterCooldownStore.async_put", "keep_longer_stored_async"),
                )
            },
            why="cooldowns have no store of their own",
            otherwise=Otherwise.MOVED,
        ),
    ),
}
