"""fix(router): an unreachable or rate-limited deployment is cooled down

Fixes #24366 (option B) and #27362.

Problem
-------
`_is_cooldown_required()` ignores every exception whose text contains
"APIConnectionError", so a deployment whose host is down is never cooled
down. A strategy that prefers the idlest or the cheapest deployment then
picks it again for every request: of two deployments, one refusing
connections, least-busy answers 0 of 12 requests. The text is searched
because `exception_type()` also wraps LiteLLM's own bugs and bad arguments
in that class, and those say nothing about a deployment.

Change
------
- The decision is read from the failure's `failure` in one policy
  table. A host that cannot be reached cools down at once, as a 429 does; a
  connection that breaks off or stays silent counts in the failure rate, as
  a 500 does; LiteLLM's own failures still never cool anything down.
- 402 and 403 cool down at once, where the group has another deployment.
- A caller that has only a status and a text is still served: an
  `APIConnectionError` that says 429 or "rate limit" cools down.
- What is the caller's own doing, by what the request brings along, counts
  for nobody else: a 404 about an id the caller named, a time limit or
  credentials of the caller's own, a rejected request. Nor does a caller
  say how long a cooldown lasts.
- A deployment that stands for a pattern of names (`openai/*`), which was
  never cooled down, is while another one of the pattern is in rotation; a
  404 about the model that a caller asked it for counts for nobody else.
- A lone deployment, `allowed_fails`, `allowed_fails_policy`,
  `cooldown_time` and `disable_cooldowns` are treated as before.
- Since 1.110 the router is compiled and decides from the name of a class
  and a status. What its host in Python tells it of a failure is restated
  by the table (`compiled_router_cooldown`); in this repository the
  router's crate would be the place.

Tests
-----
Both reports as written, over sockets; five routing strategies, sync and
async, streaming and not; a state machine over a router whose deployments
break and heal.
"""

from fork.edits import (
    AddArgument,
    AddImport,
    AddParameter,
    Decorate,
    ForReleases,
    Otherwise,
    ReplaceBody,
    ReplaceExpression,
    WidenCondition,
)

ROUTER = {"<1.109": "litellm_router_instance", ">=1.109": "ctx"}  # the name of the parameter
DECIDED_BY_THE_POLICY = '''
"""
Whether a failure may cool the deployment down, by the policy table of `failover/policy.py`.

Parameters:
    model_id (str): The id of the deployment.
    exception_status (str | int): The HTTP status of the exception, "" if it has none.
    exception_str (str | None): The text of the exception, read only where nothing else tells.
    original_exception (Exception | None): The exception itself, where the caller has it.
"""
return requires_cooldown({router}, model_id, exception_status, exception_str, original_exception)
'''

COMPILED = "litellm.router_utils.failover.compiled_router_cooldown"
PATTERNS = "litellm.router_utils.failover.compiled_router_patterns"
REPORTS = "litellm.router_utils.failover.compiled_router_reports"
DECIDED_IN_PYTHON = "the router decides on cooldowns in Python"


REPORTED = "failure_status(exception_status)"
REPORTED_BY_POLICY = "status_to_cool_by(failure_status(exception_status), exception, {core}, deployment_id)"
REPORTED_BY_POLICY_IN_LINES = f"""{{
    **described,
    **exits,
    "status": {REPORTED_BY_POLICY.format(core="self")},
}}"""


def reporting_by_policy(function: str, core: str) -> ReplaceExpression:
    return ReplaceExpression(function, REPORTED, by=REPORTED_BY_POLICY.format(core=core))


SPARED_UNLESS_OF_A_PATTERN = """(
    deployment in {ids}
    and not may_cool_pattern_down({router}, deployment)
)"""
NEVER_COOLED_DOWN = {  # what LiteLLM never cools down: each deployment that stands for a pattern of names
    "<1.109": ("litellm_router_instance", "litellm_router_instance.provider_default_deployment_ids"),
    ">=1.109": ("ctx", "ctx.settings().provider_default_deployment_ids"),
}
WHOSE_FAILURE = "litellm.router_utils.failover.caller_fault"
COUNTING = (
    AddImport(WHOSE_FAILURE, ("ignore_caller_faults",)),
    Decorate("Router.deployment_callback_on_failure", "ignore_caller_faults"),
)

ADDS = (
    "litellm/litellm_core_utils/context_slot.py",
    "litellm/router_utils/failover/__init__.py",
    "litellm/router_utils/failover/caller_fault.py",
    "litellm/router_utils/failover/deadline.py",
    "litellm/router_utils/failover/cooldown.py",
    "litellm/router_utils/failover/policy.py",
    "litellm/router_utils/failover/retry_state.py",
    "litellm/router_utils/failover/router_view.py",
    "tests/exception_mapping/test_errors_in_answers.py",
    "tests/router_unit_tests/__init__.py",
    "tests/router_unit_tests/test_cancellation.py",
    "tests/router_unit_tests/test_cooldown_decision.py",
    "tests/router_unit_tests/test_policy_functions.py",
    "tests/router_unit_tests/test_properties.py",
    "tests/router_unit_tests/test_reports.py",
    "tests/router_unit_tests/test_retry_state.py",
    "tests/support/routing.py",
    "tests/support/wire.py",
    ForReleases(
        {
            ">=1.110": (
                "litellm/router_utils/failover/compiled_router_cooldown.py",
                "litellm/router_utils/failover/compiled_router_patterns.py",
                "litellm/router_utils/failover/compiled_router_reports.py",
                "litellm/router_utils/failover/compiled_router_types.py",
                "tests/router_unit_tests/test_compiled_router_stubs.py",
            )
        },
        why=DECIDED_IN_PYTHON,
        otherwise=Otherwise.MOVED,
    ),
)
EDITS = {
    "litellm/router_utils/cooldown_handlers.py": (
        AddImport(
            "litellm.router_utils.failover.cooldown", ("cools_down_now", "may_cool_pattern_down", "requires_cooldown")
        ),
        AddParameter("_is_cooldown_required", "original_exception: Exception | None = None"),
        ForReleases(
            {
                releases: (ReplaceBody("_is_cooldown_required", DECIDED_BY_THE_POLICY.format(router=router)),)
                for releases, router in ROUTER.items()
            },
            why="each of them needs one of the two",
            otherwise=Otherwise.MOVED,
        ),
        ForReleases(
            {
                releases: (
                    ReplaceExpression(
                        "_should_run_cooldown_logic",
                        f"deployment in {ids}",
                        by=SPARED_UNLESS_OF_A_PATTERN.format(ids=ids, router=router),
                    ),
                )
                for releases, (router, ids) in NEVER_COOLED_DOWN.items()
            },
            why="each of them needs one of the two",
            otherwise=Otherwise.MOVED,
        ),
        AddArgument("_should_run_cooldown_logic", "_is_cooldown_required", "original_exception=original_exception"),
        WidenCondition(
            "_should_cooldown_deployment",
            condition="exception_status_int == 429",
            or_="cools_down_now(original_exception)",
        ),
    ),
    "litellm/router.py": (
        ForReleases(
            {"<1.110": COUNTING},
            why="the router counts failures by itself; what its host tells it of them is edited",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_utils/fallback_event_handlers.py": (
        ForReleases(
            {
                ">=1.99,<1.110": (
                    AddImport(WHOSE_FAILURE, ("skip_counted_and_caller_faults",)),
                    Decorate("_trigger_cooldown_for_failed_deployment", "skip_counted_and_caller_faults"),
                )
            },
            why="only these count the failure of a fallback that the callbacks were not told of, in Python",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(
                        COMPILED,
                        (
                            "cooldown_by_policy",
                            "rename_connection_errors",
                            "status_to_cool_by",
                            "drop_caller_cooldown_time",
                        ),
                    ),
                    AddImport(PATTERNS, ("cool_patterns_down",)),
                    Decorate("RustCore._provider_default_ids", "cool_patterns_down"),
                    Decorate("_start_fields", "drop_caller_cooldown_time"),
                    Decorate("failure_kind", "rename_connection_errors"),
                    Decorate("_Driver._failed", "cooldown_by_policy"),
                    reporting_by_policy("RustHealth.record_failure", "self._core"),
                    AddImport(REPORTS, ("report_true_status", "report_true_status_sync")),
                    Decorate("RustCore._answer_cache", "report_true_status"),
                    Decorate("RustCore._answer_cache_sync", "report_true_status_sync"),
                )
            },
            why=DECIDED_IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/surface/health.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(COMPILED, ("exclude_caller_faults", "status_to_cool_by", "skip_caller_faults")),
                    AddImport(PATTERNS, ("keep_last_of_pattern",)),
                    Decorate("RustHealthCallbacks.per_user_deployment", "keep_last_of_pattern"),
                    Decorate("RustHealthCallbacks.failure_exits", "exclude_caller_faults"),
                    Decorate("RustHealthCallbacks.trigger_fallback_cooldown", "skip_caller_faults"),
                    ReplaceExpression(
                        "RustHealthCallbacks._failure_call",
                        f'{{**described, **exits, "status": {REPORTED}}}',
                        by=REPORTED_BY_POLICY_IN_LINES,
                    ),
                    reporting_by_policy("RustHealthCallbacks._fallback_failure_call", "self"),
                )
            },
            why=DECIDED_IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
}
