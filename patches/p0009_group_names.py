"""fix(router): a group is found under each of its names

Problem
-------
A team's model has a public and an internal name (#28019), an auto router's
request becomes one for a tier, a pattern stands for many names, and a
fallback may be named by a hidden alias, a team's name or an id. Fallbacks
are looked up by the name a request came with, and whom a retry could go to
without the request's team and the tier. The fallback is lost or comes after
useless retries, and a retry sees no deployment.

Change
------
- A group has its fallbacks, of each kind, by each of its names. Those of
  the name that was asked for go first, but for a tier, since 1.102, where
  LiteLLM puts that first.
- What the router has made of a name is remembered with the group's turn: by
  any name a retry goes to another deployment of the group, and the wait for
  a cooldown is for these.
- Before 1.84, a team's deployments of one name are one group.

The compiled router is told a request's fallbacks under the name it came
with, and retries behind an auto router by a retry policy.

Tests
-----
A group asked for by an alias, a hidden one and one of an auto router, a
team's two names, an auto router and patterns, with each kind of failure;
fallbacks under and by each name; over sockets.
"""

from fork.edits import AddImport, Decorate, ForReleases, Otherwise

FAILOVER = "litellm.router_utils.failover"
LOOKED_UP_IN_PYTHON = "the router looks names up in Python"
LOOKED_UP_IN_RUST = "the router is compiled, and looks names up by itself"

ADDS = (
    "tests/router_unit_tests/named_groups.py",
    "tests/router_unit_tests/test_model_names.py",
    ForReleases(
        {
            "<1.110": ("litellm/router_utils/failover/python_router_names.py",),
            ">=1.110": (
                "litellm/router_utils/failover/compiled_router_names.py",
                "litellm/router_utils/failover/compiled_router_registry.py",
            ),
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
                    AddImport(f"{FAILOVER}.python_router_names", ("resolve_fallback_names", "resolve_group_names")),
                    Decorate("Router.async_function_with_fallbacks_common_utils", "resolve_fallback_names"),
                    Decorate("Router._common_checks_available_deployment", "resolve_group_names"),
                )
            },
            why=LOOKED_UP_IN_RUST,
            otherwise=Otherwise.MOVED,
        ),
        ForReleases(
            {
                "<1.84": (
                    AddImport(f"{FAILOVER}.python_router_names", ("merge_team_deployments",)),
                    Decorate("Router._common_checks_available_deployment", "merge_team_deployments"),
                )
            },
            why="1.84 finds all deployments of a team's model by the name that the team has for it",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(
                        f"{FAILOVER}.compiled_router_names",
                        ("recall_group_names", "resolve_configured_aliases", "resolve_fallback_names"),
                    ),
                    Decorate("Resolved.dynamic_document", "resolve_configured_aliases"),
                    Decorate("RustCore._routing_fields", "resolve_fallback_names"),
                    Decorate("_Driver.attempt", "recall_group_names"),
                    Decorate("_Driver.attempt_sync", "recall_group_names"),
                )
            },
            why=LOOKED_UP_IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
}
