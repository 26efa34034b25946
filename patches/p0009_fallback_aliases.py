"""fix(router): an alias has the fallbacks of its group

Problem
-------
Fallbacks are looked up by the name a request came with. A request by an
alias (`model_group_alias`) is lost although its group has a fallback.

Change
------
A name that is an alias has the fallbacks of its group, of each kind, unless
it has some of its own.

Tests
-----
A group asked for by its name and by aliases in both formats, over sockets.
"""

from fork.edits import AddImport, Decorate, ForReleases, Otherwise

FALLBACKS = "litellm.router_utils.failover.fallbacks"

ADDS = ("tests/router_unit_tests/test_model_names.py",)
EDITS = {
    "litellm/router.py": (
        ForReleases(
            {
                "<1.110": (
                    AddImport(FALLBACKS, ("resolve_fallback_aliases",)),
                    Decorate("Router.async_function_with_fallbacks_common_utils", "resolve_fallback_aliases"),
                )
            },
            why="the router is compiled, and looks fallbacks up by itself",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(FALLBACKS, ("resolve_configured_aliases",)),
                    Decorate("Resolved.dynamic_document", "resolve_configured_aliases"),
                )
            },
            why="the router looks fallbacks up in Python",
            otherwise=Otherwise.MOVED,
        ),
    ),
}
