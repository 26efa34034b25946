"""fix(router): cool a lone deployment down once its fallback answered

Problem
-------
LiteLLM cools no lone deployment down: a group of one that is rate-limited
or unreachable is asked by every request anew before its fallback is
(#25080). A fallback of one that fails is asked by every request as well.

Change
------
- Once a fallback group has answered, the lone deployment it stood in for is
  cooled down, as one that has another beside it, if LiteLLM does not do so
  itself. A fallback makes way for the next one in the same way.
- A lone one that fails as a fallback cools down for those it stands in for.
- `allowed_fails` and its policies win, and what one request brings along,
  a fallback or a short timeout, takes the deployment from nobody else.

Tests
-----
Groups of one with one, two and no fallbacks, over sockets; a state machine
with retries and fallbacks.
"""

from fork.edits import AddImport, ForReleases, InsertBeforeCall, Otherwise, ReplaceExpression

ADDS = (
    "tests/router_unit_tests/test_counted_cooldowns.py",
    "tests/router_unit_tests/test_fallback.py",
    "tests/router_unit_tests/test_state_machine.py",
    "tests/router_unit_tests/test_user_settings.py",
    ForReleases(
        {"<1.110": ("tests/router_unit_tests/test_fallback_cooldown.py",)},
        why="its attempts are those of the router in Python",
        otherwise=Otherwise.MOVED,
    ),
)
EDITS = {
    "litellm/router_utils/cooldown_handlers.py": (
        AddImport("litellm.router_utils.failover.cooldown", ("served_by_fallback",)),
        InsertBeforeCall(
            "_should_cooldown_deployment",
            "get_deployment_successes_for_current_minute",
            """
            if served_by_fallback(original_exception):
                return True
            """,
        ),
        ForReleases(
            {
                ">=1.104": (
                    ReplaceExpression(
                        "_should_cooldown_deployment",
                        "exception_status_int == 402",
                        by="exception_status_int == 402 and not served_by_fallback(original_exception)",
                    ),
                )
            },
            why="before 1.106 a 402 is no exception among the failures of a lone deployment",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
}
