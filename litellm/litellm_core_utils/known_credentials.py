"""
Remembers the credentials of the router's deployments, of the environment and of the request at hand, for redaction to
know them by their value: what they look like is each provider's own business, and a provider repeats the key it does
not accept.
"""

import base64
import functools
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from litellm.litellm_core_utils.exception_chain import safe_getattr

if TYPE_CHECKING:  # the log, which everything imports, imports this module
    from litellm.types.router import Deployment

Result = TypeVar("Result")

_CREDENTIAL_NAME: Final = re.compile(r"key|token|secret|passw|credential|auth(?!ors?\b)", re.IGNORECASE)
_NO_CREDENTIAL_NAMES: Final = frozenset(("prompt_cache_key", "idempotency-key"))  # names a caller gives
_HEADERS: Final = ("extra_headers", "headers")  # parts of a request that may hold the key in theirs
_SCHEME: Final = re.compile(r"(?:Bearer|Basic|Token)\s+", re.IGNORECASE)  # RFC 9110 section 11.4
_SHORTEST: Final = 8  # characters; a shorter one stands in too many texts by chance
_IS_ON: Final = os.getenv("LITELLM_DISABLE_REDACT_SECRETS", "").lower() != "true"
_REDACTED: Final = "REDACTED"

_known: Final[set[str]] = set()
_of_this_request: Final[ContextVar[frozenset[str]]] = ContextVar("credentials_of_this_request", default=frozenset())


def remember_deployment_credentials(add_deployment: Callable[..., Result]) -> Callable[..., Result]:
    """Wrap the method through which each deployment of a router passes, with its secrets resolved:
    `Router._add_deployment`, since 1.110 `HostRegistry._register_deployment`."""

    @functools.wraps(add_deployment)
    def _add_deployment(self: object, deployment: "Deployment", *args: object) -> Result:
        remember_credentials(deployment.litellm_params.model_dump())
        return add_deployment(self, deployment, *args)

    return _add_deployment


def redact_known_credentials(redact: Callable[[str], str]) -> Callable[[str], str]:
    """Wrap LiteLLM's `_redact_string`, which knows credentials by their shape; its switch turns this off as well."""
    by_shape: Final = lru_cache(maxsize=1)(redact)  # many long patterns, and each exception's message comes twice

    @functools.wraps(redact)
    def _redact_string(value: str) -> str:
        of_this_request: Final = _of_this_request.get()
        if _IS_ON and (_known or of_this_request):
            known: Final = tuple(_known)  # another thread may add a deployment meanwhile
            value = without(value, (*known, *of_this_request))
        return by_shape(value)

    return _redact_string


def remember_caller_credentials(read_body: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap the proxy's `_read_request_body`, which sees each request: what the caller authenticates with, here and at
    the provider, is redacted until the request ends."""

    @functools.wraps(read_body)
    async def _read_request_body(*args: object, **kwargs: object) -> Result:
        body: Final = await read_body(*args, **kwargs)
        request: Final = kwargs.get("request", args[0] if args else None)
        headers: Final = safe_getattr(request, "headers")
        found = [credentials_in(one) for one in (headers, _settings_of(body)) if isinstance(one, Mapping)]
        _of_this_request.set(_of_this_request.get().union(*found))
        return body

    return _read_request_body


def _settings_of(body: object) -> Mapping[str, object]:
    """What a request says of the provider, as against what it asks of the model."""
    parts: Final = body.items() if isinstance(body, Mapping) else ()
    return {name: value for name, value in parts if isinstance(value, str) or name in _HEADERS}


def remember_credentials(settings: Mapping[str, object]) -> None:
    """Take the values whose names say that they are credentials, at any depth, and what URLs hold of them, to be
    redacted from now on."""
    _known.update(credentials_in(settings))


def credentials_in(settings: Mapping[str, object], shortest: int = _SHORTEST) -> frozenset[str]:
    """The credentials in `settings`, as they may be spelled in a text; those of fewer than `shortest` characters are
    left out. Of a URL they are the password and what its query has under a credential's name (RFC 3986 section 3)."""
    found: Final[set[str]] = set()
    for name, value in _flat(settings):
        if not isinstance(value, str):
            continue
        if is_credential(name, value):
            found.update((value, _SCHEME.sub("", value, count=1)))
        if "://" in value:
            found.update(_credentials_in_url(value))
    return frozenset(spelled for one in found if len(one) >= shortest for spelled in _spellings(one))


def is_credential(name: str, value: str) -> bool:
    """Whether a setting or header of this name holds a credential. A number of tokens is none."""
    named: Final = _CREDENTIAL_NAME.search(name) and name.lower() not in _NO_CREDENTIAL_NAMES
    return bool(named) and not value.isdecimal()


def without(text: str, credentials: Iterable[str]) -> str:
    """`text` with each of `credentials` taken out, the longest first."""
    found: Final = [one for one in credentials if one in text]
    for credential in sorted(found, key=len, reverse=True) if found else ():
        text = text.replace(credential, _REDACTED)
    return text


def _credentials_in_url(url: str) -> Iterator[str]:
    try:
        parts: Final = urlsplit(url)
    except ValueError:
        return
    user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
    if colon:
        yield password
        yield unquote(password)
        yield base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()  # RFC 7617 section 2
    yield from (value for name, value in parse_qsl(parts.query) if _CREDENTIAL_NAME.search(name))


def _spellings(credential: str) -> tuple[str, ...]:
    """As it is, in a URL, and in JSON."""
    return credential, quote(credential, safe=""), json.dumps(credential)[1:-1]


def _flat(settings: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in settings.items():
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(one, Mapping):
                yield from _flat(one)
            else:
                yield str(name), one


remember_credentials(os.environ)
