"""feat(router): automatic_fallbacks, to any group that can serve the request

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
pattern of names. What a group rejects, no other is asked.

Tests
-----
Groups of several modes and sizes, over sockets. Keys of different rights,
at a real proxy.
"""

from fork.edits import AddImport, AddParameter, Decorate, ForReleases, InsertFirst, Otherwise

ADDS = (
    "litellm/router_utils/failover/automatic_fallbacks.py",
    "tests/router_unit_tests/test_automatic_fallbacks.py",
)
EDITS = {
    "litellm/router.py": (
        ForReleases(
            {
                "<1.110": (
                    AddImport("litellm.router_utils.failover.automatic_fallbacks", ("add_automatic_fallbacks",)),
                    AddParameter("Router.__init__", "automatic_fallbacks: bool = False"),
                    InsertFirst("Router.__init__", "self.automatic_fallbacks = automatic_fallbacks"),
                    Decorate("Router.async_function_with_fallbacks_common_utils", "add_automatic_fallbacks"),
                )
            },
            why="the router is compiled, and knows a request's fallbacks before the request has failed",
            otherwise=Otherwise.MISSING,
        ),
    ),
}
