"""feat(exceptions): understand a provider's wait in whatever form

Problem
-------
`Retry-After` is read as whole seconds or as a date by this side's clock, and
nothing else is. Azure and OpenAI say `retry-after-ms`, Google says
`retryDelay` in the body, others tell which limit is spent and when it is
there again, or just say "try again in 6.5s". Their deployments are asked
again after the default five seconds, or kept out for a day by a
`Retry-After: 86400`, and a clock that is wrong makes any wait of a date.

Change
------
- The wait is read once an attempt, where its failure is mapped, and kept on
  it: `Retry-After` with fractions and dates, `retry-after-ms`,
  `x-ms-retry-after-ms`; the reset of a rate limit of which nothing remains,
  of OpenAI, Anthropic and the IETF's drafts; Google's RetryInfo; words,
  where nothing else says it. A moment is taken relative to the answer's
  Date.
- Cooldown, back-off and the caller's Retry-After are that one number, cut to
  `litellm.max_retry_after`, an hour by default; the log says so.
- A back-off longer than a minute is LiteLLM's own, as before.

Tests
-----
A table of headers and bodies by the providers' documentation; properties
over arbitrary text; cooldown, back-off and the proxy's answer over sockets.
"""

from fork.edits import AddImport, Decorate, ForReleases, Otherwise, ReplaceBody, ReplaceExpression, WidenCondition

READS_IN_PYTHON = "the router reads the wait in Python"
IN_THE_HOST = "the compiled router's host reads the wait"
READ_ONCE = '''
"""
The wait that the provider asks for, in seconds, as the mapping has read it; None if it asks for none, or for one of
nothing, which would be no cooldown.
"""
return failure_of(error).retry_after or None
'''
STATED = "stated_cooldown(exception)"


def cooling_down_as_stated(utils: str) -> tuple[WidenCondition | ReplaceExpression, ...]:
    return (
        WidenCondition(
            "Router.deployment_callback_on_failure",
            condition="exception_headers is not None",
            or_="exception is not None",
        ),
        ReplaceExpression(
            "Router.deployment_callback_on_failure",
            f"{utils}._get_retry_after_from_exception_header(response_headers=exception_headers)",
            by=STATED,
        ),
    )


ADDS = (
    "tests/exception_mapping/test_stated_wait.py",
    "tests/router_unit_tests/test_stated_waits.py",
    ForReleases(
        {"<1.110": ("litellm/router_utils/failover/stated_back_off.py",)},
        why=IN_THE_HOST,
        otherwise=Otherwise.MOVED,
    ),
)
EDITS = {
    "litellm/router.py": (
        ForReleases(
            {
                "<1.110": (
                    AddImport("litellm.router_utils.failover.cooldown", ("stated_cooldown",)),
                    AddImport("litellm.router_utils.failover.stated_back_off", ("back_off_as_stated",)),
                    Decorate("Router._time_to_sleep_before_retry", "back_off_as_stated"),
                )
            },
            why=IN_THE_HOST,
            otherwise=Otherwise.MOVED,
        ),
        ForReleases(
            {
                "<1.109": cooling_down_as_stated("litellm.utils"),
                ">=1.109,<1.110": cooling_down_as_stated("litellm_utils"),
            },
            why=IN_THE_HOST,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_utils/fallback_event_handlers.py": (
        ForReleases(
            {
                ">=1.99,<1.110": (
                    AddImport("litellm.router_utils.failover.cooldown", ("stated_cooldown",)),
                    ReplaceExpression(
                        "_trigger_cooldown_for_failed_deployment",
                        "litellm.utils._get_retry_after_from_exception_header",
                        by=f"lambda response_headers: {STATED}",
                    ),
                )
            },
            why="only these cool the deployment of a fallback down that the callbacks were not told of, in Python",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport("litellm.litellm_core_utils.failure", ("failure_of",)),
                    ReplaceBody("retry_after_seconds", READ_ONCE),
                )
            },
            why=READS_IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
}
