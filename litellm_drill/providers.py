"""Which deployments can have a stand-in: those whose provider is asked where api_base says, in a format it speaks."""

from __future__ import annotations

from litellm_drill.config import Deployment, is_reference
from litellm_drill.models import CHAT, Models
from litellm_drill.release import Release

VERSIONED = "/v1"
BASES = {
    **dict.fromkeys(
        (
            "openai",
            "azure_ai",
            "cerebras",
            "custom_openai",
            "deepinfra",
            "deepseek",
            "fireworks_ai",
            "groq",
            "hosted_vllm",
            "litellm_proxy",
            "llamafile",
            "lm_studio",
            "mistral",
            "nvidia_nim",
            "openrouter",
            "perplexity",
            "publicai",
            "sambanova",
            "together_ai",
            "xai",
        ),
        VERSIONED,
    ),
    **dict.fromkeys(("anthropic", "azure", "gemini", "ollama", "ollama_chat"), ""),
}
"""What follows a stand-in's address in api_base, by provider: LiteLLM adds the rest of the path itself."""

EMBED = ("openai", "azure", "hosted_vllm", "litellm_proxy")
EMBEDDING = "embedding"
ANY = "openai"
"""As which a deployment is stood in for that its own provider's format cannot be spoken for."""


UNKNOWN = "LiteLLM's lists have no provider of its model: begin it with one, such as `openai/`"


def provider_of(deployment: Deployment, release: Release) -> str:
    """The provider that `deployment` is asked of; empty if only the environment says it, or LiteLLM's code."""
    named = deployment.provider
    if named in release.providers:
        return named
    fine_tuned = ":".join(deployment.model.split(":")[:2])
    listed = (release.models.get(name, {}).get("litellm_provider") for name in (deployment.model, fine_tuned))
    return next((found for found in listed if isinstance(found, str)), "")


def reason_against(deployment: Deployment, provider: str, models: Models) -> str:
    """Why `deployment` is not drilled, as the end of a sentence; empty if it is."""
    mode = models.mode([deployment]) or CHAT
    if mode not in (CHAT, EMBEDDING):
        return f"a drill asks chats and embeddings, and this is for {mode}"
    if not provider:
        node = deployment.params.get("model")
        hidden = node is not None and is_reference(node)
        return "its model is in the environment, and with it the provider" if hidden else UNKNOWN
    if models.is_asked_by_responses(deployment):
        return "LiteLLM asks it by /v1/responses, which no stand-in speaks"
    if mode == EMBEDDING and provider not in EMBED:
        return f"no stand-in speaks {provider}'s format for embeddings"
    return "" if provider in BASES else f"no stand-in speaks {provider}'s format"
