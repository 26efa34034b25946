"""Ways to ask a router for something, by the API and the provider, and what a good answer to each of them is."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

GROUP: Final = "group"
MESSAGES: Final = [{"role": "user", "content": "ping"}]
TEXT: Final = "pong"
KEYS: Final[dict[str, str]] = {
    "aws_access_key_id": "AKIDEXAMPLE",
    "aws_secret_access_key": "secret",
    "aws_region_name": "us-east-1",
}


class Call(NamedTuple):
    """A way to ask, `format` being what the provider answers in; `ask` returns what is to be `answer`."""

    api: str
    provider: str
    model: str
    format: str
    ask: Callable[[Any], Awaitable[Any]]
    streamed: bool = False
    path: str = ""
    answer: Any = TEXT

    @property
    def name(self) -> str:
        return f"{self.provider}, {self.api}"

    def params(self, url: str) -> dict[str, Any]:
        """`litellm_params` of a deployment served at `url`."""
        base = f"{url}{self.path}"
        if self.provider == "bedrock":
            return {"model": self.model, "aws_bedrock_runtime_endpoint": base, **KEYS}
        more = {"api_version": "2024-10-21"} if self.provider.startswith("azure") else {}
        return {"model": self.model, "api_base": base, "api_key": "sk-test", **more}


async def _chat(router: Any) -> Any:
    answer = await router.acompletion(model=GROUP, messages=MESSAGES)
    return answer.choices[0].message.content if answer.choices else None


async def _chat_by_aiohttp(router: Any) -> Any:
    """LiteLLM keeps one session of aiohttp, which serves the event loop that first asks: this loop gets its own."""
    import litellm.main

    handler: Any = litellm.main.base_llm_aiohttp_handler
    kept, handler.client_session = handler.client_session, None
    try:
        return await _chat(router)
    finally:
        if handler.client_session is not None:
            await handler.client_session.close()
        handler.client_session = kept


async def _sync_chat(router: Any) -> Any:
    answer = await asyncio.to_thread(router.completion, model=GROUP, messages=MESSAGES)
    return answer.choices[0].message.content if answer.choices else None


async def _chat_stream(router: Any) -> Any:
    answer = await router.acompletion(model=GROUP, messages=MESSAGES, stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in answer if chunk.choices])


async def _sync_chat_stream(router: Any) -> Any:
    def ask() -> str:
        chunks = router.completion(model=GROUP, messages=MESSAGES, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    return await asyncio.to_thread(ask)


async def _text(router: Any) -> Any:
    answer = await router.atext_completion(model=GROUP, prompt="ping")
    return answer.choices[0].text if answer.choices else None


async def _text_stream(router: Any) -> Any:
    answer = await router.atext_completion(model=GROUP, prompt="ping", stream=True)
    return "".join([chunk.choices[0].text or "" async for chunk in answer if chunk.choices])


async def _response(router: Any) -> Any:
    output = (await router.aresponses(model=GROUP, input="ping")).output
    return "".join(part.text or "" for item in output for part in getattr(item, "content", None) or ())


async def _response_stream(router: Any) -> Any:
    said = ""
    async for event in await router.aresponses(model=GROUP, input="ping", stream=True):
        kind = str(getattr(event.type, "value", event.type))
        if kind in ("error", "response.failed"):
            raise StreamError(kind)
        said += event.delta if kind == "response.output_text.delta" else ""
    return said


async def _message(router: Any) -> Any:
    answer = await router.aanthropic_messages(model=GROUP, messages=MESSAGES, max_tokens=16)
    return "".join(block.get("text") or "" for block in answer.get("content") or ())


async def _message_stream(router: Any) -> Any:
    stream = await router.aanthropic_messages(model=GROUP, messages=MESSAGES, max_tokens=16, stream=True)
    pieces = [piece if isinstance(piece, bytes) else str(piece).encode() async for piece in stream]
    said = ""
    for line in b"".join(pieces).decode().splitlines():
        event = json.loads(line[5:]) if line.startswith("data:") else {}
        if event.get("type") == "error":
            raise StreamError(line)
        said += (event.get("delta") or {}).get("text") or ""
    return said


async def _content(router: Any) -> Any:
    parts = [{"role": "user", "parts": [{"text": "ping"}]}]
    answer = await router.agenerate_content(model=GROUP, contents=parts)
    found = answer if isinstance(answer, dict) else answer.model_dump()
    candidates = found.get("candidates") or [{}]
    return "".join(part.get("text") or "" for part in (candidates[0].get("content") or {}).get("parts") or ())


async def _content_stream(router: Any) -> Any:
    parts = [{"role": "user", "parts": [{"text": "ping"}]}]
    stream = await router.agenerate_content_stream(model=GROUP, contents=parts)
    pieces = [piece if isinstance(piece, bytes) else str(piece).encode() async for piece in stream]
    said = ""
    for line in b"".join(pieces).decode().splitlines():
        event = json.loads(line[5:]) if line.startswith("data:") and "[DONE]" not in line else {}
        if "error" in event:
            raise StreamError(line)
        candidates = event.get("candidates") or [{}]
        parts = (candidates[0].get("content") or {}).get("parts") or []
        said += "".join(str(part.get("text") or "") for part in parts)
    return said


async def _embedding(router: Any) -> Any:
    data = (await router.aembedding(model=GROUP, input=["ping"])).data
    return data[0]["embedding"] if data else None


async def _sync_embedding(router: Any) -> Any:
    data = (await asyncio.to_thread(router.embedding, model=GROUP, input=["ping"])).data
    return data[0]["embedding"] if data else None


async def _image(router: Any) -> Any:
    data = (await router.aimage_generation(model=GROUP, prompt="ping")).data
    return bool(data and data[0].b64_json)


async def _sync_image(router: Any) -> Any:
    data = (await asyncio.to_thread(router.image_generation, model=GROUP, prompt="ping")).data
    return bool(data and data[0].b64_json)


async def _image_edit(router: Any) -> Any:
    file = io.BytesIO(b"\x89PNG some bytes of a file")
    file.name = "a.png"
    data = (await router.aimage_edit(model=GROUP, image=file, prompt="ping")).data
    return bool(data and data[0].b64_json)


async def _speech(router: Any) -> Any:
    return (await router.aspeech(model=GROUP, input="ping", voice="pong")).content


async def _transcription(router: Any) -> Any:
    file = io.BytesIO(b"RIFF some bytes of a file")
    file.name = "a.wav"
    return (await router.atranscription(model=GROUP, file=file)).text


async def _rerank(router: Any) -> Any:
    found = await router.arerank(model=GROUP, query="ping", documents=["pong"])
    return bool(found.results)


async def _moderation(router: Any) -> Any:
    return bool((await router.amoderation(model=GROUP, input="ping")).results)


class StreamError(Exception):
    """An event of a stream that tells its reader of a failure."""


GATEWAY: Final = "/gateway.ai.cloudflare.com/v1/account/gateway/azure-openai/resource"
INVOKED: Final = "bedrock/invoke/anthropic.claude-3-haiku-20240307-v1:0"
BRIDGED: Final = "openai/responses/some-model"

_OPENAI_LIKE: Final = {
    "openai": ("openai/gpt-4o-mini", "/v1"),
    "azure": ("azure/gpt-4o-mini", ""),
    "hosted_vllm": ("hosted_vllm/qwen2.5-7b-instruct", "/v1"),
    "deepseek": ("deepseek/deepseek-chat", "/v1"),
    "mistral": ("mistral/mistral-small-latest", "/v1"),
    "groq": ("groq/openai/gpt-oss-20b", "/v1"),
    "openrouter": ("openrouter/qwen/qwen3-8b", "/v1"),
    "together_ai": ("together_ai/Qwen/Qwen2.5-7B-Instruct-Turbo", "/v1"),
    "xai": ("xai/grok-3-mini", "/v1"),
    "databricks": ("databricks/databricks-dbrx-instruct", "/v1"),
    "publicai": ("publicai/swiss-ai/apertus-8b-instruct", "/v1"),
}
_OTHERS: Final = {
    "anthropic": ("anthropic/claude-3-5-haiku-20241022", "", "anthropic"),
    "gemini": ("gemini/gemini-2.0-flash", "", "gemini"),
    "ollama_chat": ("ollama_chat/llama3.2", "", "ollama"),
    "cohere": ("cohere_chat/some-model", "/v2/chat", "cohere"),
    "bedrock": ("bedrock/converse/anthropic.claude-3-haiku-20240307-v1:0", "", "bedrock"),
}


def _chats() -> list[Call]:
    calls: list[Call] = []
    like = [(name, model, path, "chat") for name, (model, path) in _OPENAI_LIKE.items()]
    for name, model, path, format in (*like, *((name, *rest) for name, rest in _OTHERS.items())):
        calls.append(Call("chat", name, model, format, _chat, path=path))
        calls.append(Call("chat stream", name, model, format, _chat_stream, streamed=True, path=path))
    for name in ("openai", "hosted_vllm"):
        model, path = _OPENAI_LIKE[name]
        calls.append(Call("sync chat", name, model, "chat", _sync_chat, path=path))
        calls.append(Call("sync chat stream", name, model, "chat", _sync_chat_stream, streamed=True, path=path))
    return calls


_VLLM, _OPENAI = (_OPENAI_LIKE[name][0] for name in ("hosted_vllm", "openai"))
_CLAUDE, _GEMINI = (_OTHERS[name][0] for name in ("anthropic", "gemini"))
_ROUTES: Final = (
    Call("text", "hosted_vllm", _VLLM, "text", _text, path="/v1"),
    Call("text stream", "hosted_vllm", _VLLM, "text", _text_stream, streamed=True, path="/v1"),
    Call("text", "azure_text", "azure_text/m", "text", _text),
    Call("text stream", "azure_text", "azure_text/m", "text", _text_stream, streamed=True),
    Call("chat through a gateway", "azure", "azure/gpt-4o-mini", "chat", _chat, path=GATEWAY),
    Call("chat", "aiohttp_openai", "aiohttp_openai/m", "chat", _chat_by_aiohttp, path="/v1/chat/completions"),
    Call("chat by responses", "openai", BRIDGED, "responses", _chat, path="/v1"),
    Call("chat by responses stream", "openai", BRIDGED, "responses", _chat_stream, streamed=True, path="/v1"),
    Call("responses", "openai", _OPENAI, "responses", _response, path="/v1"),
    Call("responses stream", "openai", _OPENAI, "responses", _response_stream, streamed=True, path="/v1"),
    Call("responses by chat", "anthropic", _CLAUDE, "anthropic", _response),
    Call("responses by chat stream", "anthropic", _CLAUDE, "anthropic", _response_stream, streamed=True),
    Call("messages", "anthropic", _CLAUDE, "anthropic", _message),
    Call("messages stream", "anthropic", _CLAUDE, "anthropic", _message_stream, streamed=True),
    Call("chat stream by invocation", "bedrock", INVOKED, "bedrock claude", _chat_stream, streamed=True),
    Call("messages stream", "bedrock", INVOKED, "bedrock claude", _message_stream, streamed=True),
    Call("messages by chat", "hosted_vllm", _VLLM, "chat", _message, path="/v1"),
    Call("messages by chat stream", "hosted_vllm", _VLLM, "chat", _message_stream, streamed=True, path="/v1"),
    Call("messages by responses", "openai", _OPENAI, "responses", _message, path="/v1"),
    Call("messages by responses stream", "openai", _OPENAI, "responses", _message_stream, streamed=True, path="/v1"),
    Call("generateContent", "gemini", _GEMINI, "gemini", _content),
    Call("generateContent stream", "gemini", _GEMINI, "gemini", _content_stream, streamed=True),
    Call("generateContent by chat", "openai", _OPENAI, "chat", _content, path="/v1"),
    Call("generateContent by chat stream", "openai", _OPENAI, "chat", _content_stream, streamed=True, path="/v1"),
    Call("embedding", "openai", "openai/text-embedding-3-small", "embedding", _embedding, path="/v1"),
    Call("embedding", "hosted_vllm", "hosted_vllm/bge", "embedding", _embedding, path="/v1"),
    Call("sync embedding", "openai", "openai/text-embedding-3-small", "embedding", _sync_embedding, path="/v1"),
    Call("embedding", "azure", "azure/text-embedding-3-small", "embedding", _embedding),
    Call("image", "openai", "openai/dall-e-3", "image", _image, path="/v1", answer=True),
    Call("sync image", "openai", "openai/dall-e-3", "image", _sync_image, path="/v1", answer=True),
    Call("image", "azure", "azure/dall-e-3", "image", _image, answer=True),
    Call("image edit", "openai", "openai/gpt-image-1", "image", _image_edit, path="/v1", answer=True),
    Call("speech", "openai", "openai/tts-1", "speech", _speech, path="/v1", answer=b"some sound"),
    Call("transcription", "openai", "openai/whisper-1", "transcription", _transcription, path="/v1"),
    Call("rerank", "hosted_vllm", "hosted_vllm/bge", "rerank", _rerank, path="/v1", answer=True),
    Call("rerank", "nvidia_nim", "nvidia_nim/bge", "rerank", _rerank, answer=True),
    Call("rerank", "deepinfra", "deepinfra/bge", "rerank", _rerank, path="/v1", answer=True),
    Call("speech", "elevenlabs", "elevenlabs/eleven_multilingual_v2", "speech", _speech, answer=b"some sound"),
    Call("speech", "minimax", "minimax/speech-02-hd", "object", _speech, answer=b"some sound"),
    Call("transcription", "elevenlabs", "elevenlabs/scribe_v1", "transcription", _transcription),
    Call("transcription", "deepgram", "deepgram/nova-2", "transcription", _transcription, path="/v1"),
    Call("moderation", "openai", "openai/omni-moderation-latest", "moderation", _moderation, path="/v1", answer=True),
)


EMBEDDING: Final = [0.25, -0.5, 0.75]
CALLS: Final[tuple[Call, ...]] = tuple(
    call._replace(answer=EMBEDDING) if call.format == "embedding" else call for call in (*_chats(), *_ROUTES)
)
