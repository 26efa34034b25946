"""fix(streaming): a stalled stream of OpenAI's client is a timeout

Problem
-------
Since 1.109 a chat stream that breaks can be continued on a fallback
(`enable_mid_stream_fallback_continuation`). One that stalls ends in
`httpx.ReadTimeout` with some providers, and is continued; where OpenAI's
client reads it, the same stall is an `openai.APITimeoutError`, which is
taken for the provider's 408, a refusal that no fallback is asked about.

Change
------
`_is_transport_timeout` knows the exception of OpenAI's client as well.
LiteLLM's own `Timeout`, which inherits from it, is none by itself.

Tests
-----
A stream over a socket that stalls after its first words, with a fallback
that can continue it; and the function itself.
"""

from fork.edits import AddImport, ForReleases, Otherwise, ReplaceBody

FUNCTION = "_is_transport_timeout"
KNOWS_BOTH_CLIENTS = """
return any(
    isinstance(one, httpx.TimeoutException) or type(one) is APITimeoutError
    for one in (error, error.__cause__ if isinstance(error, Timeout) else None)
)
"""
NOT_CONTINUED = "no stream is continued on a fallback"

ADDS = (
    ForReleases(
        {">=1.109": ("tests/router_unit_tests/test_stalled_stream.py", "tests/support/scripted_provider.py")},
        why=NOT_CONTINUED,
        otherwise=Otherwise.NOT_NEEDED,
    ),
)
EDITS = {
    "litellm/litellm_core_utils/streaming_handler.py": (
        ForReleases(
            {
                ">=1.109": (
                    AddImport("openai", ("APITimeoutError",)),
                    ReplaceBody(FUNCTION, KNOWS_BOTH_CLIENTS),
                )
            },
            why=NOT_CONTINUED,
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
}
