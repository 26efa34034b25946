"""
The types of error Anthropic's API knows, for the statuses it answers them with. Its clients decide by the status before
a stream has begun and by the type after that.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_TYPE_OF_STATUS: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "invalid_request_error",
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        500: "api_error",
        504: "timeout_error",
        529: "overloaded_error",
    }
)
_STATUS_OF_TYPE: Final[Mapping[str, int]] = MappingProxyType({kind: status for status, kind in _TYPE_OF_STATUS.items()})


def anthropic_error_type(status: int) -> str:
    """The type of an error with HTTP `status`; one that is not listed has that of its hundred."""
    return _TYPE_OF_STATUS.get(status) or _TYPE_OF_STATUS[400 if status < 500 else 500]


def status_of_anthropic_error(error_type: object) -> int:
    """The HTTP status an error of this type stands for; the provider's own fault if the type is unknown."""
    return _STATUS_OF_TYPE.get(str(error_type), 500)
