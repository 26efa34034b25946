"""feat(router): show which deployments are out of rotation, and why

Problem
-------
Nobody can ask a router which of its deployments it leaves alone, until when
and why: /health asks the providers, and the cooldowns' metric says neither
that a deployment is probed nor how long it stays out.

Change
------
- `Router.get_rotation_state()`: of each deployment of a group, or of all,
  whether it is in rotation, suspected, ejected, half-open or being probed,
  for how long, the kind of its latest failure, and how often in a row.
- `GET /health/rotation` of the proxy, for administrators, is the same.
- With the Prometheus callback, `litellm_deployment_ejections_total` and
  `litellm_deployment_probes_total` by `model_id` and `kind`.

No host and no key is in any of them.

Tests
-----
Each state at a router over sockets, both kinds of router; the route and
the metrics at the real proxy, with an administrator's key and another.
"""

from fork.edits import AddImport, ForReleases, InsertAfter, Otherwise

STATE = "litellm.router_utils.failover.rotation_state"
ENDPOINT = "litellm.proxy.health_check_utils.rotation_endpoint"
METHOD = "get_rotation_state"

ADDS = (
    "litellm/proxy/health_check_utils/rotation_endpoint.py",
    "litellm/router_utils/failover/rotation_state.py",
    "tests/proxy_unit_tests/test_rotation_endpoint.py",
    "tests/router_unit_tests/test_rotation_state.py",
)
EDITS = {
    "litellm/router.py": (
        ForReleases(
            {
                "<1.110": (
                    AddImport(STATE, (METHOD,)),
                    InsertAfter("Router._filter_cooldown_deployments", f"{METHOD} = {METHOD}"),
                )
            },
            why="the router is compiled; its core has the method",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(STATE, (f"{METHOD}_of_core",)),
                    InsertAfter("RustCore._answer_cache", f"{METHOD} = {METHOD}_of_core"),
                )
            },
            why="the router chooses in Python",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/proxy/health_endpoints/_health_endpoints.py": (
        AddImport(ENDPOINT, ("add_rotation_route",)),
        InsertAfter("health_endpoint", "add_rotation_route(router, user_api_key_auth)"),
    ),
}
