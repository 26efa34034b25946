"""fix(proxy): look after who waits for a stream's first words

Problem
-------
A stream counts as an answer from its first words on, and the router holds
it back until then. Meanwhile nobody watches the caller: a hang-up is not
noticed before the model has thought to its end. And the caller hears
nothing, who would have had the role, Anthropic's `message_start` or a ping.

Change
------
- The router's call for a stream is cancelled when its caller hangs up, on
  each route that streams. No deployment is to blame for that.
- Once a stream is there and held back for LiteLLM's interval of pings, the
  response begins, with a ping. A failure is then told by an event, in the
  format of the route; before that by its status, as ever. The request can
  go to another deployment in both cases.

Tests
-----
The proxy as a process, a model that thinks, callers that hang up and wait,
on each route; OpenAI's and Anthropic's clients.
"""

from fork.edits import AddImport, Decorate, ForReleases, Otherwise

WAITING_CALLERS = "litellm.proxy.common_utils.waiting_callers"

ADDS = (
    "litellm/proxy/common_utils/waiting_callers.py",
    "tests/proxy_unit_tests/test_waiting_callers.py",
)
EDITS = {
    "litellm/proxy/route_llm_request.py": (
        AddImport(WAITING_CALLERS, ("cancel_on_disconnect",)),
        Decorate("route_request", "cancel_on_disconnect"),
    ),
    "litellm/proxy/common_request_processing.py": (
        AddImport(WAITING_CALLERS, ("keep_caller_alive",)),
        Decorate("ProxyBaseLLMRequestProcessing.base_process_llm_request", "keep_caller_alive"),
    ),
    "litellm/proxy/google_endpoints/endpoints.py": (
        ForReleases(
            {
                "<1.84": (
                    AddImport(WAITING_CALLERS, ("cancel_endpoint_on_disconnect",)),
                    Decorate("google_stream_generate_content", "cancel_endpoint_on_disconnect"),
                )
            },
            why="1.84 processes Google's route as the others",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
}
