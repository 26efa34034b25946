"""fix(router): ask another deployment before a request is lost

Problem
-------
A retry may pick the deployment that has just failed: with two deployments,
one of them dead, all three attempts land on the dead one for one request
in eight. 402 and 404 are not retried at all, so a caller pays for each. A
lone deployment that is rate-limited, out of credit, unreachable or silent
is tried again with back-off while a fallback group stands ready.

Change
------
- One function, `policy.next_step`, says what follows from a failed attempt:
  another one, the next group, or the failure itself. `python_router` and
  `compiled_router` ask it, each for the router of its releases.
- A retry goes to a deployment that has not failed this request yet. Where
  none is left, LiteLLM's own rule decides, as before.
- What the policy table blames on the deployment is retried elsewhere,
  whatever the status. A rejected request never is.
- If no retry on the same route can help and a fallback group stands ready,
  it is asked at once. A loop of fallbacks ends once each group was asked.
- What the router raises in the end says in its message, and as
  `failed_attempts`, which deployments were tried and why they failed.
- `num_retries`, retry policies, `allowed_fails`, the kinds of fallbacks,
  `order` and tags mean what they meant.

Since 1.110 the router is compiled, and its source is not a part of the
package. What its host in Python tells it of a failure, and which
deployments it offers, follows from the same function; in this repository
the router's crate would be the place.

1.102's own skip on retry (`_deployment_ids_to_skip_on_retry`) is left as
it is. It knows only statuses LiteLLM would not retry, and a fallback group
that shares a deployment with the one that failed starts without it.

Tests
-----
Every kind of failure with every answer to "another one?" and "a fallback?";
every fault that a deployment is to blame for, five providers, five
strategies, over sockets; properties over two to five deployments of which
any are broken; a soak.
"""

from fork.edits import AddImport, Decorate, ForReleases, InsertBeforeCall, InsertFirst, Otherwise, ReplaceExpression

FAILOVER = "litellm.router_utils.failover"
RETRIED_IN_PYTHON = "the router retries in Python"
COMPILED = "the router is compiled; what it asks of Python is edited"
UNTRIED = "healthy_deployments = exclude_failed_deployments(healthy_deployments)"
ROUTER = (
    AddImport(f"{FAILOVER}.affinity", ("exclude_failed_deployments",)),
    AddImport(
        f"{FAILOVER}.python_router",
        ("decide_retry", "record_failed_attempt", "record_selected_deployment", "track_retry_state"),
    ),
    Decorate("Router.async_function_with_fallbacks", "track_retry_state"),
    Decorate("Router.make_call", "record_failed_attempt"),
    Decorate("Router._update_kwargs_with_deployment", "record_selected_deployment"),
    InsertBeforeCall("Router.async_get_healthy_deployments", "len", UNTRIED),
    InsertBeforeCall("Router.get_available_deployment", "len", UNTRIED),
    InsertFirst(
        "Router.should_retry_this_error",
        """
        decided = decide_retry(error, healthy_deployments, all_deployments)
        if decided is True:
            return True
        if decided is False:
            raise error
        """,
    ),
)
# Since 1.106 the router wraps these streams in one that retries, on any deployment of the group.
FIRST_EVENT = "response = await await_first_event_if_stream(self, response, initial_kwargs)"
RETRYING_BY_ITSELF = (
    AddImport(f"{FAILOVER}.python_router", ("await_first_event_if_stream",)),
    InsertFirst("Router._aanthropic_messages_streaming_iterator", FIRST_EVENT),
    InsertFirst("Router._aresponses_streaming_iterator", FIRST_EVENT),
)

ADDS = (
    "litellm/router_utils/failover/affinity.py",
    "litellm/router_utils/failover/attempts.py",
    "litellm/router_utils/failover/fallback_cooldown.py",
    "litellm/router_utils/failover/fallbacks.py",
    "litellm/router_utils/failover/group_names.py",
    "litellm/router_utils/failover/retries.py",
    "litellm/router_utils/failover/rotation_wait.py",
    "tests/router_unit_tests/test_callers_part.py",
    "tests/router_unit_tests/test_cooldown_reports.py",
    "tests/router_unit_tests/test_empty_streams.py",
    "tests/router_unit_tests/test_failed_streams.py",
    "tests/router_unit_tests/test_first_event.py",
    "tests/router_unit_tests/test_next_step.py",
    "tests/router_unit_tests/test_pattern_cooldown.py",
    "tests/router_unit_tests/test_policies_by_class.py",
    "tests/router_unit_tests/test_policy_decisions.py",
    "tests/router_unit_tests/test_deployment_order.py",
    "tests/router_unit_tests/test_retry.py",
    "tests/router_unit_tests/test_nested_requests.py",
    "tests/router_unit_tests/test_stream_wait.py",
    "tests/router_unit_tests/test_trouble_by_code.py",
    "tests/support/router_methods.py",
    "tests/support/streams.py",
    ForReleases(
        {
            "<1.110": (
                "litellm/router_utils/failover/python_router.py",
                "tests/router_unit_tests/test_affinity.py",
                "tests/router_unit_tests/test_attempt_streams.py",
                "tests/router_unit_tests/test_attempts.py",
                "tests/router_unit_tests/test_decide_retry.py",
                "tests/router_unit_tests/test_described_attempts.py",
                "tests/router_unit_tests/test_fallbacks_left.py",
                "tests/router_unit_tests/test_python_router_stubs.py",
                "tests/support/attempts.py",
            ),
            ">=1.110": (
                "litellm/router_utils/failover/compiled_router.py",
                "litellm/router_utils/failover/driver_state.py",
                "tests/router_unit_tests/test_compiled_router.py",
                "tests/router_unit_tests/test_compiled_router_choice.py",
                "tests/router_unit_tests/test_compiled_router_cooldown.py",
                "tests/router_unit_tests/test_compiled_router_retry.py",
                "tests/support/compiled_host.py",
            ),
        },
        why="each of them needs one of the two",
        otherwise=Otherwise.MOVED,
    ),
)
EDITS = {
    "litellm/router_utils/fallback_event_handlers.py": (
        ForReleases(
            {
                "<1.97": (
                    AddImport(f"{FAILOVER}.fallbacks", ("skip_visited_fallbacks",)),
                    ReplaceExpression(
                        "run_async_fallback", "fallback_model_group", by="skip_visited_fallbacks(fallback_model_group)"
                    ),
                )
            },
            why="1.97 remembers by itself which fallbacks a request has been to (`AttemptedFallbackTargets`)",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/router.py": (
        ForReleases(
            {"<1.104": ROUTER, ">=1.104,<1.110": (*ROUTER, *RETRYING_BY_ITSELF)},
            why=COMPILED,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(
                        f"{FAILOVER}.compiled_router",
                        ("attach_attempts_to_error", "exclude_failed_deployments", "retry_by_policy"),
                    ),
                    AddImport(f"{FAILOVER}.driver_state", ("remember_turns",)),
                    Decorate("_Driver.__init__", "remember_turns"),
                    Decorate("_Driver.attempt", "retry_by_policy"),
                    Decorate("_Driver.attempt_sync", "retry_by_policy"),
                    Decorate("_Driver.select", "exclude_failed_deployments"),
                    Decorate("_Driver.select_sync", "exclude_failed_deployments"),
                    Decorate("_Driver.failed", "attach_attempts_to_error"),
                )
            },
            why=RETRIED_IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
}
