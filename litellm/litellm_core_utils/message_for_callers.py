"""
Makes what a provider said fit for the proxy's caller: readable, and without a secret.
"""

import ast
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from litellm._logging import _ENABLE_SECRET_REDACTION, _redact_string
from litellm.litellm_core_utils.failure_signal import peek

_BYTES_LITERAL: Final = re.compile(r"""\bb(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)
_CREDENTIAL_NAME: Final = re.compile(r"key|token|secret|passw|credential|authorization", re.IGNORECASE)
_SHORTEST_SECRET: Final = 8  # characters; a shorter one stands in too many messages by chance
_URL_CREDENTIALS: Final = re.compile(r'(?<=://)[^\s/"]+(?=@)')
_REDACTED: Final = "REDACTED"


def readable(message: str) -> str:
    """`message` with what a provider sent as bytes or JSON put into the words it contains."""
    text: Final = _BYTES_LITERAL.sub(lambda found: _decoded(found.group()), message)
    start: Final = text.find("{")
    body, end = _object_at(text, start) if start >= 0 else (None, 0)
    words: Final = _words_of(body)
    return text if words is None else f"{text[:start]}{words}{text[end:]}"


def without_secrets(message: str) -> str:
    """`message` without the credentials and hosts of the proxy's deployments, and without what looks like a secret."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        message = message.replace(secret, _REDACTED)
    message = _URL_CREDENTIALS.sub(_REDACTED, message)
    return _redact_string(message) if _ENABLE_SECRET_REDACTION else message


def _object_at(text: str, start: int) -> tuple[object, int]:
    """The object that is written from `start` on, as JSON or as Python has it, and where it ends; None if none is."""
    try:
        return json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        pass
    for brace in re.compile("}").finditer(text, start):
        try:
            return ast.literal_eval(text[start : brace.end()]), brace.end()
        except (SyntaxError, ValueError):
            continue
    return None, start


def _decoded(literal: str) -> str:
    try:
        content = ast.literal_eval(literal)
    except (SyntaxError, ValueError):
        return literal
    return str(content, errors="replace") if isinstance(content, bytes) else literal


def _words_of(body: object) -> str | None:
    """The message of a provider's error, in one of the usual shapes."""
    for name in ("error", "message", "detail", "Message"):
        found = body.get(name) if isinstance(body, dict) else None
        if isinstance(found, str) and found:
            return found
        if isinstance(found, dict) and (words := _words_of(found)) is not None:
            return words
    return None


def _secrets() -> set[str]:
    proxy_server: Final = _proxy_server()
    named: Final[list[tuple[str, Any]]] = [
        (name, value) for name, value in os.environ.items() if _CREDENTIAL_NAME.search(name)
    ]
    named.append(("master_key", peek(proxy_server, "master_key")))
    hosts: Final[list[str | None]] = []
    for deployment in _model_list(peek(proxy_server, "llm_router")):
        params = deployment.get("litellm_params") or {}
        named.extend(_flat(params))
        hosts.extend(_host(value) for name, value in params.items() if name in ("api_base", "base_url"))
    credentials: Final = (value for name, value in named if _CREDENTIAL_NAME.search(name) and isinstance(value, str))
    return {value for value in (*credentials, *filter(None, hosts)) if len(value) >= _SHORTEST_SECRET}


def _proxy_server() -> object:
    """The module with the proxy's settings; it imports this one, and is heavy."""
    return sys.modules.get("litellm.proxy.proxy_server")


def _model_list(router: object) -> list[Any]:
    model_list: Final = peek(router, "model_list")
    return model_list if isinstance(model_list, list) else []


def _flat(params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield str(name), value


def _host(url: object) -> str | None:
    """A host as it stands in messages: with its port or, if it has none, behind the slashes."""
    try:
        parts: Final = urlsplit(str(url))
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname and f"//{parts.hostname}"
    except ValueError:
        return None
