"""feat(router): automatic_fallbacks, to any group that can serve

Problem
-------
A rate-limited model group without configured fallbacks fails its requests
although other groups could serve them (#25080). To name a fallback for
each group of a long list, and to keep that up to date, is left to the
operator.

Change
------
`router_settings: {automatic_fallbacks: true}`, off by default. A group that
has failed a request for a reason the policy table blames on its
deployments, or that has none left, falls back to the other groups of the
same mode whose context window, where known, holds the request, in the
order they are declared in. Configured `fallbacks`, `default_fallbacks` and
those of the request win. A group that the request's key or team may not
use is never asked, nor is another team's, nor one that stands for a
pattern of names. What a group rejects, no other is asked. Whose key may use
none of them is retried as if there were none.

The compiled router wants to know a request's fallbacks before it fails: it
is told of all groups, and which of them are for the request once it asks
whether it may go to one.

Tests
-----
Groups of several modes and sizes, over sockets. Keys of different rights,
at a real proxy.
"""

from fork.edits import AddImport, Decorate, ForReleases, Otherwise
from fork.router_settings import RouterSettings

FAILOVER = "litellm.router_utils.failover"
TOLD_IN_PYTHON = "the router looks its fallbacks up in Python"
COMPILED = "the router is compiled; its settings and what it is told of a request's fallbacks are edited"
SETTINGS = RouterSettings({"automatic_fallbacks": ("bool", "False")})
ADAPTERS = (
    "keep_refusal_as_answer",
    "refuse_unfit_groups",
    "skip_denied_groups",
    "tell_declared_groups",
    "tell_no_fallback_fit",
)

ADDS = (
    "litellm/router_utils/failover/automatic_fallbacks.py",
    "tests/router_unit_tests/test_automatic_fallbacks.py",
    "tests/router_unit_tests/test_fallback_permissions.py",
    ForReleases(
        {
            "<1.110": ("litellm/router_utils/failover/python_router_fallbacks.py",),
            ">=1.110": ("litellm/router_utils/failover/compiled_router_fallbacks.py",),
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
                    AddImport(f"{FAILOVER}.python_router_fallbacks", ("add_automatic_fallbacks", "skip_denied_groups")),
                    *SETTINGS.in_python(),
                    Decorate("Router.async_function_with_fallbacks_common_utils", "add_automatic_fallbacks"),
                    Decorate("Router.make_call", "skip_denied_groups"),
                ),
                ">=1.110": SETTINGS.compiled(),
            },
            why=COMPILED,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_api.py": (
        ForReleases(
            {">=1.110": SETTINGS.init_arguments()},
            why=TOLD_IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/surface/settings.py": (
        ForReleases(
            {">=1.110": SETTINGS.plain_defaults()},
            why=TOLD_IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(f"{FAILOVER}.compiled_router_fallbacks", ADAPTERS),
                    *SETTINGS.served_arguments(),
                    Decorate("RustCore._routing_fields", "tell_declared_groups"),
                    Decorate("_Driver.allow_fallback", "refuse_unfit_groups"),
                    Decorate("_Driver.attempt", "skip_denied_groups"),
                    Decorate("_Driver._blocked", "keep_refusal_as_answer"),
                    Decorate("_Driver._fallbacks_failed", "tell_no_fallback_fit"),
                )
            },
            why=TOLD_IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
}
