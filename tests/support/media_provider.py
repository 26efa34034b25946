"""A provider on a loopback socket that takes what is no chat: images, sound, files in a form, texts to judge or rank.

As `FaultyProvider`, which it is for all other paths. A file in a form is noted as the bytes that came.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Final

from support.faulty_provider import HEALTHY, Fault, FaultyProvider, Kind, Request, read_head
from support.provider_formats import error

PIXELS: Final = base64.b64encode(b"some pixels").decode()
SOUND: Final = b"some sound"
USAGE: Final = {"total_tokens": 1, "input_tokens": 1, "output_tokens": 0}
SCORES: Final = dict.fromkeys(("hate", "violence"), 0.0)
VERDICT: Final = {"flagged": True, "categories": dict.fromkeys(SCORES, True), "category_scores": SCORES}

ANSWERS: Final[dict[str, object]] = {
    "/images/generations": {"created": 1, "data": [{"b64_json": PIXELS}]},
    "/images/edits": {"created": 1, "data": [{"b64_json": PIXELS}]},
    "/audio/transcriptions": {"text": "pong"},
    "/audio/speech": SOUND,
    "/moderations": {"id": "modr-1", "model": "omni-moderation", "results": [VERDICT]},
    "/rerank": {"id": "r-1", "results": [{"index": 0, "relevance_score": 0.9}], "usage": {"total_tokens": 1}},
    # https://docs.api.nvidia.com/nim/reference, https://deepinfra.com/docs/rerank
    "/reranking": {"rankings": [{"index": 0, "logit": 1.5}], "usage": {"prompt_tokens": 1, "total_tokens": 1}},
    "/v1/inference/bge": {"scores": [0.9], "input_tokens": 1},
    # https://elevenlabs.io/docs/api-reference, https://developers.deepgram.com/reference/speech-to-text
    "/text-to-speech/pong": SOUND,
    "/speech-to-text": {"text": "pong", "language_code": "eng", "words": []},
    "/listen": {
        "metadata": {"duration": 1.0},
        "results": {"channels": [{"alternatives": [{"transcript": "pong", "words": []}]}]},
    },
    # https://platform.minimax.io/docs/api-reference/speech-t2a-http
    "/t2a_v2": {"data": {"audio": SOUND.hex()}, "base_resp": {"status_code": 0, "status_msg": "success"}},
    "/ocr": {
        "pages": [{"index": 0, "markdown": "pong", "images": [], "dimensions": None}],
        "model": "mistral-ocr",
        "usage_info": {"pages_processed": 1, "doc_size_bytes": 1},
    },
    "/videos": {"id": "video_1", "object": "video", "status": "queued", "created_at": 1, "model": "sora-2"},
    "/responses/compact": {
        "id": "resp_1",
        "object": "response.compaction",
        "created_at": 1,
        "output": [],
        "usage": USAGE,
    },
}
"""What is answered at a path that ends so; text is JSON."""


class MediaProvider(FaultyProvider):
    """`bodies` are the contents of the requests, as they came."""

    def __init__(self, fault: Fault = HEALTHY) -> None:
        super().__init__(fault)
        self.bodies: list[bytes] = []

    def __enter__(self) -> MediaProvider:
        self.start()
        return self

    @property
    def attempts(self) -> int:
        """All requests: there is no path here that only asks about a model."""
        return len(self.requests)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path, headers = await read_head(reader)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        fault = self._fault
        request = json.loads(body) if body.startswith(b"{") else {}
        self.requests.append(Request(path, request, fault))
        self.bodies.append(body)
        answer = next((said for end, said in ANSWERS.items() if path.partition("?")[0].endswith(end)), None)
        if answer is None or fault.kind is not Kind.ANSWER or fault.body is not None:
            return await self._send(writer, fault, path, request)
        if fault.code is not None:
            fault = Fault.status(fault.code, body=json.dumps(error("openai", fault.code)).encode())
        elif isinstance(answer, bytes):
            fault = Fault.status(200, body=answer, content_type="audio/mpeg")
        else:
            fault = Fault.status(200, body=json.dumps(answer).encode())
        return await self._send(writer, fault, "/v1/chat/completions", request)
