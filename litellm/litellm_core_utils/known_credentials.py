"""
Remembers the credentials of the router's deployments and of the environment, for redaction to know them by their value:
what they look like is each provider's own business, and a provider repeats the key it does not accept.
"""

import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_CREDENTIAL_NAME: Final = re.compile(r"key|token|secret|passw|credential|authorization", re.IGNORECASE)
_SHORTEST: Final = 8  # characters; a shorter one stands in too many texts by chance
_IS_ON: Final = os.getenv("LITELLM_DISABLE_REDACT_SECRETS", "").lower() != "true"
_REDACTED: Final = "REDACTED"

_known: Final[set[str]] = set()


def remembering_credentials(add_deployment: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the method through which each deployment of a router passes, with its secrets resolved:
    `Router._add_deployment`, since 1.110 `HostRegistry._register_deployment`."""

    @functools.wraps(add_deployment)
    def _add_deployment(self: Any, deployment: Any, *args: Any) -> Any:
        remember_credentials(deployment.litellm_params.model_dump())
        return add_deployment(self, deployment, *args)

    return _add_deployment


def redacting_known_credentials(redact: Callable[[str], str]) -> Callable[[str], str]:
    """Wrap LiteLLM's `_redact_string`, which knows credentials by their shape; its switch turns this off as well."""

    @functools.wraps(redact)
    def _redact_string(value: str) -> str:
        if _IS_ON:
            known: Final = tuple(_known)  # another thread may add a deployment meanwhile
            for credential in sorted((one for one in known if one in value), key=len, reverse=True):
                value = value.replace(credential, _REDACTED)
        return redact(value)

    return _redact_string


def remember_credentials(settings: Mapping[str, Any]) -> None:
    """Take the values whose names say that they are credentials, at any depth, to be redacted from now on."""
    _known.update(
        value
        for name, value in _flat(settings)
        if isinstance(value, str) and len(value) >= _SHORTEST and _CREDENTIAL_NAME.search(name)
    )


def _flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield str(name), value


remember_credentials(os.environ)
