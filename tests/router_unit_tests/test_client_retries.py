"""A request that is not to be retried by OpenAI's client is sent once, whatever kind of request it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import litellm
import openai
import pytest

from support.faulty_provider import FAULTS
from support.media_provider import MediaProvider

SOUND = ("sound.wav", b"some sound", "audio/wav")
OPENAI: dict[str, Any] = {"api_key": "a-key", "timeout": 5}
AZURE: dict[str, Any] = {**OPENAI, "api_version": "2024-06-01"}
REQUESTS: dict[str, Callable[..., object]] = {
    "embedding": lambda **at: litellm.embedding(model="openai/m", input=["ping"], **OPENAI, **at),
    "image": lambda **at: litellm.image_generation(model="openai/dall-e-3", prompt="ping", **OPENAI, **at),
    "transcription": lambda **at: litellm.transcription(model="azure/whisper", file=SOUND, **AZURE, **at),
    "speech": lambda **at: litellm.speech(model="azure/tts", input="ping", voice="alloy", **AZURE, **at),
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_no_retry_is_one_request(kind: str) -> None:
    """With `max_retries=0`, which is what the router sends, a provider that fails is asked once."""
    with MediaProvider(FAULTS["503"]) as provider:
        with pytest.raises(openai.APIError):
            REQUESTS[kind](api_base=provider.url, max_retries=0)
        assert provider.attempts == 1


def test_client_retries_by_default() -> None:
    """Where nobody says how often, OpenAI's client retries as LiteLLM has it."""
    with MediaProvider(FAULTS["503"]) as provider:
        with pytest.raises(openai.APIError):
            REQUESTS["embedding"](api_base=provider.url)
        assert provider.attempts == 1 + litellm.DEFAULT_MAX_RETRIES
