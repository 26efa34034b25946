"""Makes what a provider said fit for the proxy's caller: readable, and without a secret."""

import ast
import functools
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from litellm._logging import _ENABLE_SECRET_REDACTION, _redact_string
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.known_credentials import credentials_in, without
from litellm.router_utils.failover.router_view import Deployment

_BYTES_LITERAL: Final = re.compile(r"""\bb(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)
_URL_CREDENTIALS: Final = re.compile(r'(?<=://)[^\s/"]+(?=@)')
_QUERY_CREDENTIALS: Final = re.compile(
    r"(?<=[?&])([\w-]*(?:key|token|secret|passw|credential|sig)[\w-]*=)[^&\s\"'<>]+", re.IGNORECASE
)
_ADDRESS_HEADER: Final = "x-litellm-model-api-base"
_SHORTEST_OF_ITS_OWN: Final = 4  # characters of a credential that is looked for in one deployment's texts alone
_REDACTED: Final = "REDACTED"
_LONGEST_DICT: Final = 4000  # characters; Python has no way to read one that does not try each brace in turn
_UNREADABLE: Final = (ValueError, TypeError, SyntaxError, MemoryError)  # as ast.literal_eval documents


def readable(message: str) -> str:
    """`message` with what a provider sent as bytes or JSON put into the words it contains. Half a surrogate pair, which
    JSON can spell and no answer can hold, becomes a question mark."""
    text: Final = _BYTES_LITERAL.sub(lambda found: _decoded(found.group()), message)
    if "{" not in text:
        return text
    start: Final = text.index("{")
    try:
        body, end = _object_at(text, start)
        words: Final = _words_of(body)
    except RecursionError:  # nested deeper than anybody means to be read
        return text
    return text if words is None else f"{text[:start]}{words.encode(errors='replace').decode()}{text[end:]}"


def code_in(message: str) -> str | None:
    """The code of a provider's error in the JSON that `message` holds, None if there is none."""
    try:
        body: Final = _object_at(message, message.index("{"))[0] if "{" in message else None
    except RecursionError:
        return None
    error: Final = body.get("error") if isinstance(body, dict) else None
    return next((found for one in (error, body) if (found := code_of(one))), None)


def code_of(error: object) -> str | None:
    """The code of a provider's error object: a word, not a repeated HTTP status."""
    code: Final = error.get("code") if isinstance(error, Mapping) else safe_getattr(error, "code")
    return without_secrets(code) if isinstance(code, str) and code and not code.isdecimal() else None


def without_secrets(message: str) -> str:
    """`message` without credentials, and without the hosts of the proxy's deployments."""
    if not _ENABLE_SECRET_REDACTION:
        return message
    for host in _hosts():
        message = re.sub(re.escape(host), _REDACTED, message, flags=re.IGNORECASE)
    return without_credentials(message)


def without_credentials(text: str) -> str:
    """`text` without those that are known, that look like one, or that stand in a URL; its host stays."""
    if not _ENABLE_SECRET_REDACTION:
        return text
    return _redact_string(_QUERY_CREDENTIALS.sub(rf"\1{_REDACTED}", _URL_CREDENTIALS.sub(_REDACTED, text)))


def hide_credentials(clean: Callable[..., dict[str, object]]) -> Callable[..., dict[str, object]]:
    """Wrap a function through which passes what the proxy shows of a deployment: the health checks'
    `_clean_endpoint_data`, and `remove_sensitive_info_from_deployment`. A provider repeats a key it does not accept, a
    URL may hold a password, and a header may be the key."""

    signature: Final = inspect.signature(clean)

    @functools.wraps(clean)
    def hidden(*args: object, **kwargs: object) -> dict[str, object]:
        if not _ENABLE_SECRET_REDACTION:
            return clean(*args, **kwargs)
        shown: Final[Mapping[str, object]] = next(iter(signature.bind(*args, **kwargs).arguments.values()))
        # The `key` in there is that of LiteLLM's list of models, the model's name.
        settings: Final = {name: value for name, value in shown.items() if name != "model_info"}
        own: Final = credentials_in(settings, _SHORTEST_OF_ITS_OWN)
        cleaned: Final = clean(*args, **kwargs)
        for name, value in cleaned.items():  # in place, as the caller may show what it has given
            cleaned[name] = _shown(value, own)
        return cleaned

    return hidden


def hide_credentials_in_headers(headers_of: Callable[..., dict[str, str]]) -> Callable[..., dict[str, str]]:
    """Wrap the function that makes the headers of the proxy's answers: one of them is the deployment's address."""

    @functools.wraps(headers_of)
    def get_custom_headers(*args: object, **kwargs: object) -> dict[str, str]:
        headers: Final = headers_of(*args, **kwargs)
        address: Final = headers.get(_ADDRESS_HEADER)
        return {**headers, _ADDRESS_HEADER: without_credentials(address)} if address else headers

    return get_custom_headers


def _shown(value: object, credentials: Iterable[str]) -> object:
    """`value` with `credentials`, and all that look like one, taken out of its texts, at any depth."""
    if isinstance(value, str):
        return without_credentials(without(value, credentials))
    if isinstance(value, Mapping):
        return {key: _shown(one, credentials) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(one, credentials) for one in value]
    return value


def _object_at(text: str, start: int) -> tuple[object, int]:
    """The object that is written from `start` on, as JSON or as Python has it, and where it ends; None if none is."""
    try:
        return json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        pass
    for brace in re.compile("}").finditer(text, start, start + _LONGEST_DICT):
        try:
            return ast.literal_eval(text[start : brace.end()]), brace.end()
        except _UNREADABLE:
            continue
    return None, start


def _decoded(literal: str) -> str:
    try:
        content = ast.literal_eval(literal)
    except _UNREADABLE:
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


def _hosts() -> set[str]:
    """Of the proxy's deployments, as they stand in messages: with the port or, if there is none, behind the slashes."""
    router: Final = safe_getattr(_proxy_server(), "llm_router")
    model_list: Final = safe_getattr(router, "model_list")
    deployments: Final[Sequence[Deployment]] = model_list if isinstance(model_list, list) else []
    params: Final = [deployment.get("litellm_params") or {} for deployment in deployments]
    return {host for one in params for name in ("api_base", "base_url") if (host := _host(one.get(name)))}


def _proxy_server() -> object:
    """The module with the proxy's settings; it imports this one, and is heavy."""
    return sys.modules.get("litellm.proxy.proxy_server")


def _host(url: object) -> str | None:
    try:
        parts: Final = urlsplit(str(url))
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname and f"//{parts.hostname}"
    except ValueError:
        return None
