"""fix(router): an empty list of content policy fallbacks is none

Problem
-------
`content_policy_fallbacks: [{"gpt": []}]` says that what a provider refuses
for its content is not to be asked elsewhere: its refusal, a 400, reaches the
caller after one attempt. An answer of 200 that the provider has filtered is
taken for one with a fallback all the same, and the caller gets an error in
place of what there is of it.

Change
------
What decides whether such an answer is an error looks whether there is a
group to go to.

Tests
-----
Refusals and filtered answers, whole and of /v1/messages, over sockets, with
lists that are empty, absent, the request's own, and with a group.
"""

from fork.edits import AddImport, Decorate, ForReleases, Otherwise

MODULE = "litellm.router_utils.failover.content_policy"
IN_PYTHON = "the router asks for itself, in Python"
COMPILED = "the router is compiled; what tells it of a filtered answer is edited"

ADDS = (
    "litellm/router_utils/failover/content_policy.py",
    "tests/router_unit_tests/test_content_policy.py",
)
WHOLE = (
    AddImport(MODULE, ("keep_filtered_answer",)),
    Decorate("Router._should_raise_content_policy_error", "keep_filtered_answer"),
)
EDITS = {
    "litellm/router.py": (
        ForReleases(
            {
                "<1.102": WHOLE,  # a filtered message goes to no fallback there
                ">=1.102,<1.110": (
                    *WHOLE,
                    Decorate("Router._should_raise_anthropic_refusal_error", "keep_filtered_answer"),
                ),
            },
            why=COMPILED,
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/core.py": (
        ForReleases(
            {
                ">=1.110": (
                    AddImport(MODULE, ("pass_filtered_answer",)),
                    Decorate("_Driver._blocked", "pass_filtered_answer"),
                )
            },
            why=IN_PYTHON,
            otherwise=Otherwise.MOVED,
        ),
    ),
}
