"""feat(router): hold a request to one deadline

Problem
-------
`timeout` is one attempt's. With retries, back-offs and fallbacks nobody can
say how long a request takes: three attempts of 60 seconds and the waits
between them, then the next group's.

Change
------
- `total_timeout`, a setting of the router and of a request, off by default:
  attempts, back-offs and fallbacks together end by then. Each attempt gets
  what is left of it, if its own timeout is longer.
- What ends so is a Timeout with status 504 that names the attempts.
- A deployment that was given a part of it, or a request's, is not blamed. One
  that has answered nobody for all of the router's is left alone, as after a
  timeout of its own: a group with a silent one loses one request, not half.
- A stream has been answered in time once its first words are there. Words
  that are held back keep to it as well.
- A value that is no number of seconds above zero is refused.

A synchronous request runs in a thread, which nothing can stop; it is left
alone at the deadline, and makes no further attempt.

LiteLLM 1.110's proxy has a `total_timeout` of a request that is not
streamed. It is left as it is, and comes before the router's.

Tests
-----
Silent, slow and refusing hosts over sockets, thirty-six cells of them behind
the real proxy; the deadline under a clock of its own.
"""

from fork.edits import AddImport, Decorate, ForReleases, InsertFirst, Otherwise
from fork.router_settings import RouterSettings

DEADLINE = "litellm.router_utils.failover.deadline"
TOTAL_TIMEOUT = "litellm.router_utils.failover.total_timeout"
IS_COMPILED = "the router is compiled; what it asks of Python is edited"
IN_PYTHON = "the router chooses in Python"
SETTINGS = RouterSettings({"total_timeout": ("float | None", "None")})

ADDS = (
    "tests/router_unit_tests/test_deadline.py",
    "tests/router_unit_tests/test_run_within.py",
    "tests/router_unit_tests/test_total_timeout.py",
    "tests/support/slow_host.py",
)
EDITS = {
    "litellm/router.py": (
        AddImport(DEADLINE, ("seconds_from",)),
        ForReleases(
            {
                "<1.110": (
                    AddImport(TOTAL_TIMEOUT, ("hold_to_deadline", "hold_to_deadline_sync", "limit_attempt")),
                    *SETTINGS.parameters("Router.__init__"),
                    InsertFirst("Router.__init__", 'self.total_timeout = seconds_from(total_timeout, "router")'),
                    Decorate("Router.async_function_with_fallbacks", "hold_to_deadline"),
                    Decorate("Router.function_with_fallbacks", "hold_to_deadline_sync"),
                    Decorate("Router._generic_api_call_with_fallbacks", "hold_to_deadline_sync"),
                    Decorate("Router._update_kwargs_with_deployment", "limit_attempt"),
                ),
                ">=1.110": (
                    *SETTINGS.compiled(),
                    InsertFirst("router_arguments", 'seconds_from(kwargs.get("total_timeout"), "router")'),
                ),
            },
            why=IS_COMPILED,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_api.py": (
        ForReleases({">=1.110": SETTINGS.init_arguments()}, why=IN_PYTHON, otherwise=Otherwise.MOVED),
    ),
    "litellm/router_rust/surface/settings.py": (
        ForReleases({">=1.110": SETTINGS.plain_defaults()}, why=IN_PYTHON, otherwise=Otherwise.MOVED),
    ),
    "litellm/router_rust/invoke/shaping.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(TOTAL_TIMEOUT, ("limit_attempt",)),
                    Decorate("update_kwargs_with_deployment", "limit_attempt"),
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
                    AddImport(TOTAL_TIMEOUT, ("hold_call_to_deadline", "hold_drive_to_deadline")),
                    *SETTINGS.served_arguments(),
                    Decorate("RustCore._drive", "hold_drive_to_deadline"),
                    Decorate("RustCore._call_sync", "hold_call_to_deadline"),
                )
            },
            why=IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
}
