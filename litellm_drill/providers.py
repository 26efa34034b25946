"""Which deployments can have a stand-in: those whose provider is asked where api_base says, in a format it speaks."""

from __future__ import annotations

from litellm_drill.config import Deployment, is_reference
from litellm_drill.document import ConfigError
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
            "openai_like",
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


def provider_of(deployment: Deployment, release: Release) -> str:
    """The provider that `deployment` is asked of. Raises ConfigError if LiteLLM knows none such."""
    node = deployment.params.get("model")
    if node is not None and is_reference(node):
        return ""
    named = deployment.provider
    if named in release.providers:
        return named
    listed = release.models.get(deployment.model, {}).get("litellm_provider")
    if isinstance(listed, str):
        return listed
    place = f"{deployment.place.file}:{deployment.place.line}"
    raise ConfigError(
        f"{place}: LiteLLM knows no provider of this deployment: begin its model with one, such as `openai/`."
    )


def reason_against(deployment: Deployment, provider: str, models: Models) -> str:
    """Why `deployment` is not drilled, as the end of a sentence; empty if it is."""
    mode = models.mode([deployment]) or CHAT
    if mode not in (CHAT, EMBEDDING):
        return f"a drill asks chats and embeddings, and this is for {mode}"
    if not provider:
        return "its model is in the environment, and with it the provider"
    if mode == EMBEDDING and provider not in EMBED:
        return f"no stand-in speaks {provider}'s format for embeddings"
    return "" if provider in BASES else f"no stand-in speaks {provider}'s format"
