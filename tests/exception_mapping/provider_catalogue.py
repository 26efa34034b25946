"""How every provider of LiteLLM is led to one local server, what that server answers, and what must come of it.

A provider is in `WAYS` or, with the reason, in `LEFT_OUT`; the tests check both against the installed base.
"""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import litellm
import pytest
from litellm import exceptions
from litellm.llms.custom_llm import CustomLLM
from litellm.llms.openai_like.json_loader import JSONProviderRegistry, SimpleProviderConfig
from litellm.llms.vertex_ai.vertex_llm_base import VertexBase
from litellm.types.utils import LlmProviders

from exception_mapping.expectations import expected_class, expected_status

# ---------------------------------------------------------------------------------------------- what comes back

TEXT = "The stand-in declines, reference quartz-heron."
"""The provider's words. They hint at no kind of failure, so only the status can tell."""

RETRY_AFTER = "6"
"""Seconds, in the Retry-After header of every failed answer (RFC 9110 section 10.2.3)."""


@dataclass(frozen=True)
class Body:
    """The content of a failed answer."""

    content_type: str
    content: bytes


JSON_BODY = Body("application/json", json.dumps({"error": {"message": TEXT}}).encode())
HTML_BODY = Body("text/html", f"<html><head><title>Stand-in</title></head><body><p>{TEXT}</p></body></html>".encode())
"""A gateway's error page. Some clients, openai's from 3 on, leave a page out of their own message."""

WORDLESS: Mapping[str, str] = {
    "aiohttp_openai": "aiohttp's exception is raised before the content is read, in acompletion",
    "replicate": "its branch sees httpx's own exception, which names the status and not the content",
    "runtime_handler": "a handler that lets httpx's exception through does the same",
    "sagemaker": "LiteLLM's handler fails while it reads the content of httpx's exception",
}
"""Providers whose original exception does not say the provider's words, but those of a client library."""

KIND_OF_STATUS: Mapping[int, str] = {
    400: "request_rejected",
    401: "bad_credentials",
    402: "out_of_credit",
    403: "bad_credentials",
    404: "model_missing",
    408: "timed_out",
    409: "request_rejected",
    413: "request_rejected",
    422: "request_rejected",
    429: "rate_limited",
    500: "server_error",
    502: "server_error",
    503: "unavailable",
    504: "timed_out",
    522: "timed_out",
    529: "unavailable",
}
STATUSES = tuple(KIND_OF_STATUS)


def flaws(provider: str, status: int, body: Body, error: BaseException) -> list[str]:
    """What is wrong with `error` as the outcome of `provider` answering with `status` and `body`; nothing if right."""
    expected = expected_class(status, provider)
    told = getattr(error, "status_code", None)
    found = {
        "not one of litellm's exceptions": type(error).__module__ != exceptions.__name__,
        f"class is not {expected.__name__}": type(error) is not expected,
        f"status_code is {told}": told != expected_status(status, provider),
        "the provider's text is lost": TEXT not in str(error) and _is_told(provider, body, error),
        "Retry-After is lost": _retry_after(error) != RETRY_AFTER,
    }
    return [flaw for flaw, holds in found.items() if holds]


def _is_told(provider: str, body: Body, error: BaseException) -> bool:
    """Whether the mapping was told the provider's words; of JSON it always is, unless WORDLESS says why not."""
    original = error.__cause__ or error.__context__
    return TEXT in str(original) or (body == JSON_BODY and provider not in WORDLESS)


def _retry_after(error: BaseException) -> str | None:
    """Retry-After from the two places the router looks at."""
    places = (
        getattr(getattr(error, "response", None), "headers", None),
        getattr(error, "litellm_response_headers", None),
    )
    return next((value for headers in places if (value := httpx.Headers(headers).get("retry-after"))), None)


# ---------------------------------------------------------------------------------------------- the stand-in

# What a provider's client asks before, or besides, its chat completion. These are answered well whatever the fault.
SIDE_ANSWERS: Mapping[str, Mapping[str, object]] = {
    "/oauth/token": {"access_token": "token", "expires_in": 36_000, "expires_at": 4_102_444_800_000},
    "/v2/lm/deployments": {
        "resources": [
            {
                "scenarioId": "orchestration",
                "configurationId": "c",
                "deploymentUrl": "{url}/deployment",
                "createdAt": "2026-01-01",
            }
        ]
    },
    "/v2/lm/configurations/c": {"executableId": "orchestration"},
}


class StandIn:
    """An HTTP server on the loopback that fails every request with `status` and `body`, at any path."""

    def __init__(self) -> None:
        self.status = 500
        self.body = JSON_BODY
        self.requests = 0
        stand_in = self

        class Handler(_Handler):
            served_by = stand_in

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> StandIn:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fail_with(self, status: int, body: Body) -> None:
        """Fail from now on with `status` and `body`, and count `requests` from zero."""
        self.status, self.body, self.requests = status, body, 0

    def answer(self, path: str) -> tuple[int, Body]:
        """Status and content for a request at `path`."""
        side = SIDE_ANSWERS.get(path.partition("?")[0])
        if side is not None:
            return 200, Body("application/json", json.dumps(side).replace("{url}", self.url).encode())
        self.requests += 1
        return self.status, self.body


class _Handler(BaseHTTPRequestHandler):
    served_by: StandIn
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and content leave together: two small writes would wait for the client's delayed ACK

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        status, body = self.served_by.answer(self.path)
        self.send_response(status, "Stand-in")
        self.send_header("Content-Type", body.content_type)
        self.send_header("Content-Length", str(len(body.content)))
        if status >= 400:
            self.send_header("Retry-After", RETRY_AFTER)
            self.send_header("x-should-retry", "false")  # openai's client would try some providers' requests thrice
        self.end_headers()
        self.wfile.write(body.content)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the requests are expected."""


# ---------------------------------------------------------------------------------------------- the ways there

Prepare = Callable[[pytest.MonkeyPatch, str, Path], None]
"""Sets up what is neither an argument nor an address, given the server's url and an empty folder."""


@dataclass(frozen=True)
class Way:
    """How a provider's chat completion reaches the server; `{provider}` and `{url}` are filled in.

    `hosts` are addresses that are fixed in LiteLLM's code: what is sent there is sent to the server instead.
    """

    model: str = "{provider}/m"
    api_base: str = "{url}"
    api_key: str = "sk-test"
    params: Mapping[str, object] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    prepare: Prepare | None = None

    def call(self, provider: str, url: str) -> dict[str, Any]:
        """The arguments of `litellm.completion` and `litellm.acompletion`."""
        return {
            "model": self.model.format(provider=provider),
            "api_base": self.api_base.format(url=url),
            "api_key": self.api_key,
            "messages": [{"role": "user", "content": "ping"}],
            "timeout": 10,
            **{name: _filled(value, url) for name, value in self.params.items()},
        }


def _filled(value: object, url: str) -> object:
    return value.format(url=url) if isinstance(value, str) else value


def lead(way: Way, monkeypatch: pytest.MonkeyPatch, url: str, folder: Path) -> None:
    """Make everything outside the call's arguments ready, until `monkeypatch` is undone."""
    if way.hosts:
        _send_elsewhere(monkeypatch, way.hosts, httpx.URL(url))
    if way.prepare:
        way.prepare(monkeypatch, url, folder)


def _send_elsewhere(monkeypatch: pytest.MonkeyPatch, hosts: tuple[str, ...], server: httpx.URL) -> None:
    for client in (httpx.Client, httpx.AsyncClient):
        send: Callable[..., object] = getattr(client, "send")  # noqa: B009  # the two have no common type

        def send_to_server(
            self: object, request: httpx.Request, send: Callable[..., object] = send, **options: object
        ) -> object:
            if request.url.host in hosts:
                request.url = server.copy_with(raw_path=request.url.raw_path)
            return send(self, request, **options)

        monkeypatch.setattr(client, "send", send_to_server)


def _google_token(monkeypatch: pytest.MonkeyPatch, url: str, folder: Path) -> None:
    async def token_async(*_: object, **__: object) -> tuple[str, str]:
        return "token", "project"

    monkeypatch.setattr(VertexBase, "_ensure_access_token", lambda *_, **__: ("token", "project"))
    monkeypatch.setattr(VertexBase, "_ensure_access_token_async", token_async)


def _copilot_login(monkeypatch: pytest.MonkeyPatch, url: str, folder: Path) -> None:
    login = {"token": "token", "expires_at": 4_102_444_800, "endpoints": {"api": url}}
    (folder / "api-key.json").write_text(json.dumps(login))
    (folder / "access-token").write_text("token")
    monkeypatch.setenv("GITHUB_COPILOT_TOKEN_DIR", str(folder))


def _chatgpt_login(monkeypatch: pytest.MonkeyPatch, url: str, folder: Path) -> None:
    login = {"access_token": "token", "account_id": "account", "expires_at": 4_102_444_800}
    (folder / "auth.json").write_text(json.dumps(login))
    monkeypatch.setenv("CHATGPT_TOKEN_DIR", str(folder))
    monkeypatch.setenv("CHATGPT_API_BASE", url)


def _gigachat_login(monkeypatch: pytest.MonkeyPatch, url: str, folder: Path) -> None:
    monkeypatch.setenv("GIGACHAT_CREDENTIALS", "credentials")
    monkeypatch.setenv("GIGACHAT_AUTH_URL", f"{url}/oauth/token")


def _sap_login(monkeypatch: pytest.MonkeyPatch, url: str, folder: Path) -> None:
    for name, value in {"CLIENT_ID": "id", "CLIENT_SECRET": "secret", "AUTH_URL": url, "BASE_URL": url}.items():
        monkeypatch.setenv(f"AICORE_{name}", value)


def _predibase_tenant(monkeypatch: pytest.MonkeyPatch, url: str, folder: Path) -> None:
    monkeypatch.setenv("PREDIBASE_TENANT_ID", "tenant")


def _add_to_registry(monkeypatch: pytest.MonkeyPatch, url: str, folder: Path) -> None:
    entry = SimpleProviderConfig(RUNTIME_JSON, {"base_url": url, "api_key_env": "RUNTIME_JSON_API_KEY"})
    monkeypatch.setitem(JSONProviderRegistry._providers, RUNTIME_JSON, entry)


class _Handmade(CustomLLM):
    """A user's own handler, which lets httpx's exceptions through."""

    def completion(self, *_: Any, **options: Any) -> Any:
        return httpx.post(str(options["api_base"]), timeout=10).raise_for_status()

    async def acompletion(self, *_: Any, **options: Any) -> Any:
        async with httpx.AsyncClient(timeout=10) as client:
            return (await client.post(str(options["api_base"]))).raise_for_status()


def _add_handler(monkeypatch: pytest.MonkeyPatch, url: str, folder: Path) -> None:
    monkeypatch.setattr(litellm, "provider_list", list(litellm.provider_list))
    monkeypatch.setattr(litellm, "_custom_providers", list(litellm._custom_providers))
    monkeypatch.setattr(litellm, "custom_provider_map", [{"provider": RUNTIME_HANDLER, "custom_handler": _Handmade()}])
    importlib.import_module("litellm.utils").custom_llm_setup()


class _OciSigner:
    """Stands for the OCI SDK's signer."""

    def do_request_sign(self, request: object, enforce_content_headers: bool = False) -> None:
        """Sign nothing: the server does not look."""


# ---------------------------------------------------------------------------------------------- the catalogue

RUNTIME_JSON = "runtime_json"
"""A provider added to the registry of providers.json while the process runs."""

RUNTIME_HANDLER = "runtime_handler"
"""A provider a user adds with `litellm.custom_provider_map`."""

UNKNOWN = "unknown_provider"
"""A name LiteLLM has never heard of."""

OWN_NAMES = frozenset({RUNTIME_JSON, RUNTIME_HANDLER, UNKNOWN})

AWS: Mapping[str, object] = {
    "aws_access_key_id": "id",
    "aws_secret_access_key": "secret",
    "aws_region_name": "us-east-1",
}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


PLAIN = _names("""
    a2a abliteration ai21 ai21_chat aiand aihubmix aiml aiohttp_openai amazon_nova anthropic anthropic_text apertis
    assemblyai azure azure_ai azure_text baseten bedrock_mantle bigmodel cerebras charity_engine chutes
    clf_ai_gateway codestral cognition cohere cohere_chat cometapi compactifai coralbricks cortecs crusoe custom
    custom_openai darkbloom dashscope databricks databricks_agent datarobot deepinfra deepseek docker_model_runner
    edenai empiriolabs empower featherless_ai fireworks_ai friendliai galadriel gemini github gmi gradient_ai groq
    helicone heroku hosted_vllm hostinger_router huggingface hyperbolic inception inferenceapis kyma lambda_ai
    langflow langgraph lemonade libertai litellm_proxy llamafile llamagate lm_studio maritalk meta meta_llama
    minimax mistral modelscope moonshot morph nadir nano-gpt nebius neosantara novita nscale nvidia_nim ollama
    ollama_chat oobabooga openai opencode_go openinfer openrouter ovhcloud parasail perplexity petals pinstripes poe
    prism publicai qwen_ai_platform qwencloud refuseless reka sail sambanova sarvam scaleway scx-ai snowflake
    streamlake synthetic tencent tensormesh text-completion-codestral text-completion-inception
    text-completion-openai together_ai v0 veniceai vercel_ai_gateway volcengine wally wandb xai xiaomi_mimo
    xinference zai zerogpu
""")
"""Providers that `api_base` and `api_key` alone lead to the server."""

WAYS: Mapping[str, Way] = {
    **dict.fromkeys(PLAIN, Way()),
    "bedrock": Way(model="bedrock/anthropic.claude-3-haiku-20240307-v1:0", params=AWS),
    "bytez": Way(hosts=("api.bytez.com",)),
    "chatgpt": Way(prepare=_chatgpt_login),
    "clarifai": Way(model="clarifai/user.app.m"),
    "cloudflare": Way(api_base="{url}/"),
    "gdc": Way(params={"vertex_project": "project", "vertex_location": "location"}),
    "gigachat": Way(prepare=_gigachat_login),
    "github_copilot": Way(prepare=_copilot_login),
    "microsoft_365_copilot": Way(hosts=("graph.microsoft.com",)),
    "nlp_cloud": Way(api_base="{url}/"),
    "oci": Way(
        params={"oci_compartment_id": "compartment", "oci_signer": _OciSigner()},
        hosts=("inference.generativeai.us-ashburn-1.oci.oraclecloud.com",),  # before 1.100 it ignores api_base
    ),
    "predibase": Way(prepare=_predibase_tenant),
    "ragflow": Way(model="ragflow/chat/c/m"),
    "replicate": Way(model="replicate/owner/m", hosts=("api.replicate.com",)),
    "sagemaker": Way(params={**AWS, "sagemaker_base_url": "{url}"}),
    "sagemaker_chat": Way(params={**AWS, "sagemaker_base_url": "{url}"}),
    "sagemaker_nova": Way(params={**AWS, "sagemaker_base_url": "{url}"}),
    "sap": Way(model="sap/gpt-4o", prepare=_sap_login),
    "scaledown": Way(model="scaledown/summarize"),
    "triton": Way(api_base="{url}/generate"),
    "vertex_ai": Way(model="vertex_ai/gemini-2.0-flash", api_base="{url}/v1", prepare=_google_token),
    "vertex_ai_beta": Way(model="vertex_ai_beta/gemini-2.0-flash", api_base="{url}/v1", prepare=_google_token),
    "watsonx": Way(params={"project_id": "project", "token": "token"}),
    "watsonx_text": Way(params={"project_id": "project", "token": "token"}),
    RUNTIME_JSON: Way(prepare=_add_to_registry),
    RUNTIME_HANDLER: Way(prepare=_add_handler),
}

NO_CHAT = _names("""
    a2a_agent auto_router aws_polly aws_textract azure_speech bespoke black_forest_labs cursor deepgram dotprompt
    elevenlabs eu_jev fal_ai humanloop infinity jina_ai langfuse laya litellm_agent manus milvus mongodb nace
    nvidia_riva openai_like opensearch parallel_ai pg_vector recraft reducto runwayml s3_vectors soniox
    stability strands_decider topaz transcribe typesafe valkey voyage
""")

LEFT_OUT: Mapping[str, str] = {
    **dict.fromkeys(NO_CHAT, "has no chat completion: LiteLLM refuses the call before any request"),
    "vllm": "runs the model in the same process: there is no request (hosted_vllm is its HTTP sibling)",
    UNKNOWN: "LiteLLM refuses a name it does not know before any request",
}
"""Providers no server can stand in for, each with the reason."""

SINCE_1_83 = _names("""
    aiand aihubmix aws_textract azure_speech bespoke bigmodel clf_ai_gateway cognition coralbricks cortecs crusoe
    darkbloom databricks_agent edenai empiriolabs eu_jev gdc hostinger_router inception inferenceapis kyma
    langflow laya libertai meta microsoft_365_copilot modelscope mongodb nace nadir neosantara nvidia_riva
    opencode_go openinfer opensearch parallel_ai parasail pinstripes prism qwen_ai_platform qwencloud reducto
    refuseless reka sail scaledown scx-ai soniox strands_decider streamlake tencent tensormesh
    text-completion-inception transcribe typesafe valkey wally zerogpu
""")
"""Catalogued names that the oldest supported base, 1.82.6, does not have."""


def providers_of_base() -> frozenset[str]:
    """Every provider name of the installed LiteLLM: its enum, its list and its registry of providers.json."""
    named = {str(getattr(provider, "value", provider)) for provider in litellm.provider_list}
    return frozenset(named | {provider.value for provider in LlmProviders} | set(JSONProviderRegistry._providers))
