"""fix(router): the attempts of a request do not share what they change

Problem
-------
What an attempt changes in the request reaches the next one, a fallback and
the caller's own objects: tags given as text crash the second attempt on
1.103.7, and a file is read on where the first attempt has left off.

Change
------
What is for the provider is copied for each attempt. Tags, and how far a
file has been read, are put back after a failed one.

Tests
-----
Requests of each kind whose first attempt fails, with tags, files and nested
parameters.
"""

from fork.edits import AddImport, Decorate, ForReleases, Otherwise

ISOLATION = "litellm.router_utils.failover.attempt_isolation"
COMPILED_ISOLATION = "litellm.router_utils.failover.compiled_router_isolation"
ATTEMPTED_IN_PYTHON = "the router makes its attempts in Python"

ADDS = (
    "litellm/router_utils/failover/attempt_isolation.py",
    ForReleases(
        {">=1.110": ("litellm/router_utils/failover/compiled_router_isolation.py",)},
        why=ATTEMPTED_IN_PYTHON,
        otherwise=Otherwise.MOVED,
    ),
    "tests/router_unit_tests/test_attempt_isolation.py",
)
EDITS = {
    "litellm/router.py": (
        ForReleases(
            {
                "<1.110": (
                    AddImport(ISOLATION, ("isolate_attempts",)),
                    Decorate("Router.make_call", "isolate_attempts"),
                )
            },
            why="the router is compiled; what makes its attempts is edited",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(COMPILED_ISOLATION, ("restore_on_failure",)),
                    Decorate("_Driver.attempt", "restore_on_failure"),
                    Decorate("_Driver.attempt_sync", "restore_on_failure"),
                )
            },
            why=ATTEMPTED_IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/invoke/endpoints.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(COMPILED_ISOLATION, ("isolate_request",)),
                    Decorate("attempt_call", "isolate_request"),
                )
            },
            why=ATTEMPTED_IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
}
