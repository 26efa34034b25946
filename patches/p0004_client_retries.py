"""fix(router): OpenAI's client does not retry behind the router's back

Problem
-------
The router has the client of a deployment not retry, by `max_retries=0`: it
retries itself, on another deployment. Embeddings, images, speech and
transcriptions lose that 0 on the way, so a deployment that fails is asked
three times over, 18 seconds long if it answers with Retry-After: 9, before
the router hears of it.

Change
------
The 0 reaches the client. LiteLLM's default holds where nobody says anything.

Tests
-----
Each of the four kinds of requests at a provider that fails, over a socket:
it is asked once.
"""

from fork.edits import ForReleases, InsertBeforeCall, InsertFirst, Otherwise, ReplaceExpression

OWN_RETRIES = 'litellm_params = {**(litellm_params or {}), "max_retries": max_retries}'

ADDS = ("tests/router_unit_tests/test_client_retries.py", "tests/support/media_provider.py")
EDITS = {
    "litellm/llms/openai/openai.py": (
        ReplaceExpression(
            "OpenAIChatCompletion.embedding",
            "max_retries or litellm.DEFAULT_MAX_RETRIES",
            by="litellm.DEFAULT_MAX_RETRIES if max_retries is None else max_retries",
        ),
    ),
    "litellm/images/main.py": (
        ForReleases(
            {
                "<1.109": (
                    InsertBeforeCall(
                        "image_generation",
                        "openai_chat_completions.image_generation",
                        """
                        if kwargs.get("max_retries") is not None:
                            optional_params["max_retries"] = kwargs["max_retries"]
                        """,
                    ),
                )
            },
            why="1.109 does not have OpenAI's client retry an image for the router",
            otherwise=Otherwise.NOT_NEEDED,
        ),
    ),
    "litellm/llms/azure/audio_transcriptions.py": (
        InsertFirst("AzureAudioTranscription.audio_transcriptions", OWN_RETRIES),
    ),
    "litellm/llms/azure/azure.py": (InsertFirst("AzureChatCompletion.audio_speech", OWN_RETRIES),),
}
