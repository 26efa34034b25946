"""fix(router): retry moderations, speech and generateContent

Problem
-------
A moderation, and before 1.92 speech, makes one attempt: the router chooses
a deployment and asks it. OpenAI's client retries the moderation behind its
back, and what it raises is the client's exception, which no retry policy,
cooldown or caller expects. generateContent at another provider's API fails
with a ValueError, without status and class (before 1.109). What reranking
fails with is the provider's own exception (before 1.102).

Change
------
These requests make attempts and fall back as others do, and fail with
LiteLLM's exceptions.

Tests
-----
Every public method of the Router, one deployment of two failing, over
sockets: which are inside the policy, which are not, and why.
"""

from fork.edits import AddArgument, AddImport, Decorate, ForReleases, Otherwise, ReplaceExpression

SINGLE_ATTEMPTS = "litellm.router_utils.failover.single_attempts"
UNWRAPPED = "litellm.litellm_core_utils.unwrapped_failures"
PLANNED_IN_RUST = "what made one attempt has a plan of several"
MODERATION_CLIENTS = {
    "<1.104": "openai_chat_completions._get_openai_client",
    ">=1.104": "openai_chat_completions.get_openai_client",
}
CLIENT_OF_A_MODERATION = ("max_retries=max_retries_of(optional_params)", "timeout=timeout_of(optional_params)")

ADDS = (
    "litellm/litellm_core_utils/unwrapped_failures.py",
    "tests/router_unit_tests/test_entry_points.py",
    "tests/router_unit_tests/test_public_methods.py",
    ForReleases(
        {"<1.110": ("litellm/router_utils/failover/single_attempts.py",)},
        why=PLANNED_IN_RUST,
        otherwise=Otherwise.MOVED,
    ),
)
EDITS = {
    "litellm/router.py": (
        ForReleases(
            {
                "<1.110": (
                    AddImport(SINGLE_ATTEMPTS, ("retry_moderations",)),
                    Decorate("Router._pass_through_moderation_endpoint_factory", "retry_moderations"),
                )
            },
            why="the router is compiled, and has a plan of each endpoint",
            otherwise=Otherwise.MOVED,
        ),
        ForReleases(
            {
                "<1.92": (
                    AddImport(SINGLE_ATTEMPTS, ("retry_speech",)),
                    Decorate("Router.aspeech", "retry_speech"),
                )
            },
            why="1.92 makes attempts of speech as of a transcription",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/router_rust/invoke/endpoints.py": (
        ForReleases(
            {
                ">=1.110": (
                    ReplaceExpression(
                        "RustEndpoints.amoderation",
                        'PLANS["amoderation"]',
                        by='dataclasses.replace(PLANS["amoderation"], single_attempt=False)',
                    ),
                    ReplaceExpression(
                        "RustEndpoints.amoderation",
                        "self._core.drive(plan, kwargs, _SINGLE_ATTEMPT)",
                        by="self._core.drive(plan, kwargs)",
                    ),
                )
            },
            why="the router has no plans",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/main.py": (
        AddImport(UNWRAPPED, ("map_moderation_failures", "max_retries_of", "timeout_of")),
        Decorate("amoderation", "map_moderation_failures"),
        ForReleases(
            {
                releases: tuple(AddArgument("amoderation", client, argument) for argument in CLIENT_OF_A_MODERATION)
                for releases, client in MODERATION_CLIENTS.items()
            },
            why="each of them needs one of the two",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/rerank_api/main.py": (
        ForReleases(
            {
                "<1.102": (
                    AddImport(UNWRAPPED, ("map_rerank_failures",)),
                    Decorate("arerank", "map_rerank_failures"),
                )
            },
            why="1.102 maps what reranking fails with by itself",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/google_genai/adapters/handler.py": (
        ForReleases(
            {
                "<1.108": (
                    AddImport(UNWRAPPED, ("raise_original_error",)),
                    Decorate(
                        "GenerateContentToCompletionHandler.async_generate_content_handler", "raise_original_error"
                    ),
                )
            },
            why="1.108 raises what a completion for generateContent fails with as it is",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
}
