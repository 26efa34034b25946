"""
What an answer of 200 looks like in each format, and what in it says that it is none: data only, for `inband_failure`.
"""

import re
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from litellm.litellm_core_utils.event_stream import RESPONSE_OPENINGS


class Api(Enum):
    """The format of an answer, by the path that was asked."""

    CHAT = "chat completions"
    EMBEDDING = "embeddings"
    IMAGE = "images"
    SPEECH = "speech"
    TRANSCRIPTION = "a transcription"
    RERANK = "rerank"
    MODERATION = "moderations"
    RESPONSES = "responses"
    MESSAGES = "Anthropic's messages"
    GEMINI = "generateContent"
    OLLAMA = "Ollama's chat and generate"
    COHERE = "Cohere's chat"
    CONVERSE = "Bedrock's Converse"
    OTHER = "a model's answer in a format of its own"


# The end of a path that a model is asked at by POST. What is asked elsewhere is not judged: a file, a batch and a
# stored response may hold errors and be what was asked for.
API_OF_PATH: Final = tuple(
    (re.compile(pattern + r"$"), api)
    for pattern, api in (
        (r"/chat/completions", Api.CHAT),
        (r"/completions", Api.CHAT),
        (r"/embeddings", Api.EMBEDDING),
        (r"/images/(generations|edits|variations)", Api.IMAGE),
        (r"/audio/speech", Api.SPEECH),
        (r"/text-to-speech/[^/]+(/stream)?", Api.SPEECH),  # ElevenLabs'
        (r"/t2a_v2", Api.OTHER),  # MiniMax' speech: a JSON object with the sound in it
        (r"/audio/(transcriptions|translations)", Api.TRANSCRIPTION),
        (r"/speech-to-text", Api.TRANSCRIPTION),  # ElevenLabs'
        (r"/v1/listen", Api.TRANSCRIPTION),  # Deepgram's
        (r"/(rerank|reranking|ranking)", Api.RERANK),  # the last two are NVIDIA's
        (r"/v1/inference/.+", Api.RERANK),  # DeepInfra's, which LiteLLM asks for nothing else
        (r"/moderations", Api.MODERATION),
        (r"/responses", Api.RESPONSES),
        (r"/v1/messages", Api.MESSAGES),
        (r"/models/claude[^/]*:(raw|streamRaw)Predict", Api.MESSAGES),  # Vertex
        (r":(generate|streamGenerate)Content", Api.GEMINI),
        (r"/api/(chat|generate)", Api.OLLAMA),
        (r"/v[12]/chat", Api.COHERE),
        (r"/converse(-stream)?", Api.CONVERSE),
        (r"/model/.*anthropic.*/invoke-with-response-stream", Api.MESSAGES),
        (r"/model/.+/invoke(-with-response-stream)?", Api.OTHER),
        (r"/endpoints/[^/]+/invocations-response-stream", Api.OTHER),  # SageMaker's
        (r"/ml/v1/(text|deployments/[^/]+/text)/chat(_stream)?", Api.CHAT),  # watsonx
        (r"/ml/v1/(text|deployments/[^/]+/text)/generation(_stream)?", Api.OTHER),
        (r"/v[12]/embed", Api.EMBEDDING),  # Cohere's
        (r"/api/embed", Api.EMBEDDING),  # Ollama's
        (r":(embedContent|batchEmbedContents)", Api.EMBEDDING),  # Google's
        (r"/models/imagen[^/]*:predict", Api.OTHER),
    )
)

# Where a message, or a piece of one, says something.
CONTENT_FIELDS: Final = frozenset(
    {
        *("content", "text", "refusal", "tool_calls", "function_call", "audio", "images"),
        *("reasoning", "reasoning_content", "reasoning_details", "reasoning_text", "thinking", "thinking_blocks"),
        *("tool_plan", "citations", "annotations", "executed_tools", "generations"),
    }
)

# Fields that say nothing of the answer they stand in.
LABELS: Final = frozenset({"type", "role", "id", "index", "object", "thought", "expires_at", "status"})

# Under which a choice gives the reason for its end; Google's gateway for OpenAI's format had it under the second
# (jakobdylanc/llmcord#84).
NAMES_OF_REASON: Final = ("finish_reason", "finishReason")

# Reasons for an end after which nothing said is nothing at all, unless tokens were spent on it as well: then the model
# was asked, and ended at once. After any other reason, such as a filter or the limit of tokens, silence is the answer.
ORDINARY_ENDS: Final = frozenset(
    {
        *("", "stop", "end_turn", "complete", "completed", "eos", "end", "tool_calls", "function_call", "tool_use"),
        *("tool_call", "other", "finish_reason_unspecified", "malformed_function_call", "unexpected_tool_call"),
    }
)

# Reasons for an end that say the answer failed, with the HTTP status that says the same.
STATUS_OF_END: Final = MappingProxyType(
    {
        "failed": 500,  # as `cancelled`
        "error": 500,  # vLLM's FinishReason, https://openrouter.ai/docs/api/errors, Cohere's
        "abort": 500,  # vLLM's and SGLang's
        "cancelled": 500,  # ResponseStatus of OpenAI's API reference
        "insufficient_system_resource": 503,  # https://api-docs.deepseek.com/api/create-chat-completion
        "network_error": 502,  # https://docs.z.ai/api-reference/llm/chat-completion
        "timeout": 504,  # https://docs.cohere.com/reference/chat
    }
)

# A response is not begun by these events, see `stream_start`; its end is one of the others.
OPENS_RESPONSE: Final = frozenset(
    {
        *RESPONSE_OPENINGS,
        *("response.queued", "keepalive"),
        *("response.output_item.done", "response.content_part.done", "response.output_text.done"),
    }
)
ENDS_RESPONSE: Final = frozenset({"response.completed", "response.incomplete"})

# What a list of results stands under, for the formats that are hardly more than one.
RESULTS_OF: Final = MappingProxyType(
    {
        Api.EMBEDDING: ("data", "embeddings", "embedding", "output", "results"),
        Api.IMAGE: ("data", "images", "output", "artifacts"),
        Api.MODERATION: ("results",),
        Api.RERANK: ("results", "data", "rankings", "scores", "output"),  # every document asked about has a rank
    }
)
# What an item of such a list holds one of.
VALUES: Final = ("embedding", "b64_json", "url")

HAS_END: Final = (Api.CHAT, Api.RESPONSES, Api.MESSAGES, Api.GEMINI, Api.OLLAMA, Api.COHERE, Api.CONVERSE)
"""Formats whose streams say that they are over."""

TRANSCRIPT: Final[Mapping[str, tuple[type, ...]]] = MappingProxyType(
    {
        **dict.fromkeys(("text", "task"), (str,)),
        **dict.fromkeys(("segments", "words", "channels", "transcripts"), (list,)),
        "results": (list, dict),  # https://developers.deepgram.com/reference/speech-to-text/listen-pre-recorded
    }
)
"""What a transcription has one of, and of which type; the text of a silence is empty."""

ENDS_STREAM: Final = "[DONE]"
