"""feat(router): a retry budget, so that a brownout is not multiplied

Problem
-------
In a brownout each retry is one more request at a provider that has too many:
when 70 % of the attempts at both deployments of a group fail, a request
makes about 2.2 attempts.

Change
------
- A retry is free as long as a deployment that is left is not failing. Failing
  is one that fails more than half of its attempts of a minute, of at least
  20, and at least one of its last three.
- Every other retry draws on a budget of its model group: a fifth of the
  group's requests in ten seconds, and three retries whatever they are. When
  it is spent, the failure goes to the fallback, or to the caller, at once.
- `retry_budget` among the router's settings is that percentage, or `false`.
  `num_retries` is a limit beside it; a retry policy that names a failure
  wins. A lone deployment is retried, with back-off, as LiteLLM does.
- Denials are logged, once a row, shown by `get_rotation_state()`, and
  counted as `litellm_deployment_retries_denied_total` by `model_id`, `kind`.

Tests
-----
The pure budget under a clock of the test's, brownouts of it by chance among
them; groups of failing and healthy hosts over sockets; `brownout` of the
benchmarks.
"""

from fork.edits import AddImport, Decorate, ForReleases, InsertFirst, Otherwise
from fork.router_settings import RouterSettings

BUDGETED = "litellm.router_utils.failover.budgeted_retries"
IS_COMPILED = "the router is compiled; where its settings are read is edited"
IN_PYTHON = "the router reads its settings in Python"
SETTINGS = RouterSettings({"retry_budget": ("float | bool | None", "None")})

ADDS = (
    "litellm/router_utils/failover/budgeted_retries.py",
    "litellm/router_utils/failover/retry_budget.py",
    "tests/router_unit_tests/test_budgeted_retries.py",
    "tests/router_unit_tests/test_retry_budget.py",
)
EDITS = {
    "litellm/router.py": (
        ForReleases(
            {
                "<1.110": (
                    AddImport(BUDGETED, ("checked_retry_budget",)),
                    *SETTINGS.parameters("Router.__init__"),
                    InsertFirst("Router.__init__", "self.retry_budget = checked_retry_budget(retry_budget)"),
                ),
                ">=1.110": SETTINGS.compiled(),
            },
            why=IS_COMPILED,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_api.py": (
        ForReleases({">=1.110": SETTINGS.init_arguments()}, why=IN_PYTHON, otherwise=Otherwise.MOVED),
    ),
    "litellm/router_rust/surface/settings.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(BUDGETED, ("check_retry_budget",)),
                    *SETTINGS.plain_defaults(),
                    Decorate("initial_plain", "check_retry_budget"),
                )
            },
            why=IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases({">=1.110": SETTINGS.served_arguments()}, why=IN_PYTHON, otherwise=Otherwise.MOVED),
    ),
}
