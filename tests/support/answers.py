"""Failures as they reach the proxy, and what its caller is told of them, without a provider or a server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
from fastapi import Request
from fastapi.responses import JSONResponse
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.proxy._types import ProxyException
from litellm.proxy.failover_errors.handler import answer_by_policy
from litellm.proxy.failover_errors.response import client_response
from litellm.router_utils.failover.retry_state import FailedAttempt

from exception_mapping.expectations import mapped

MODEL = "the-model"
HOST = "llm.internal.example"


def as_mapped(failure: Exception) -> Exception:
    """As exception_type() makes it."""
    error = mapped(failure, "hosted_vllm")
    assert isinstance(error, Exception)
    return error


def from_provider(status: int, message: str = "no", **headers: str) -> Exception:
    """As exception_type() makes it of a provider's answer."""
    failure = BaseLLMException(status_code=status, message=message, headers=httpx.Headers(headers))
    return as_mapped(failure)


def without_answer(cause: Exception) -> Exception:
    """As exception_type() makes it of a transport's error."""
    return as_mapped(cause)


def after(failure: Exception, *attempts: FailedAttempt) -> Exception:
    """`failure`, which the router raised in the end."""
    failure.failed_attempts = attempts  # type: ignore[attr-defined]
    return failure


def attempt(kind: FailureKind, status: int | None = None, retry_after: int | None = None) -> FailedAttempt:
    """An attempt that failed so; `retry_after` is in seconds."""
    return FailedAttempt("an-id", "a-group", kind, status, retry_after)


def as_litellm_answers(failure: Exception, **more: Any) -> ProxyException:
    """What the proxy turns a failure into without this branch."""
    status = getattr(failure, "status_code", 500)
    return ProxyException(getattr(failure, "message", str(failure)), "None", "None", status, **more)


def told(failure: Exception) -> Any:
    """What the caller is told of `failure`, which is not left as it is."""
    response = client_response(failure)
    assert response is not None
    return response


def request_to(path: str) -> Request:
    return Request({"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""})


@answer_by_policy
async def proxys_handler(request: Request, exc: ProxyException) -> JSONResponse:
    """As the proxy answers without this branch."""
    return JSONResponse({"error": exc.to_dict()}, int(exc.code), exc.headers)


def answer_at(path: str, exc: ProxyException) -> JSONResponse:
    return asyncio.run(proxys_handler(request_to(path), exc))


def body_at(path: str, exc: ProxyException) -> Any:
    return json.loads(bytes(answer_at(path, exc).body))


def raised_while_handling(failure: Exception) -> ProxyException:
    """The proxy raises its own error where it caught the failure."""
    answer = as_litellm_answers(failure)
    answer.__context__ = failure
    return answer
