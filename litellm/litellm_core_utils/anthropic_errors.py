"""
The types of error Anthropic's API knows, for the statuses it answers them with. Its clients decide by the status before
a stream has begun and by the type after that.
"""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar

Result = TypeVar("Result")

_INVALID_REQUEST: Final = "invalid_request_error"
_SERVER_ERROR: Final = "api_error"

_TYPE_OF_STATUS: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: _INVALID_REQUEST,
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        408: "timeout_error",
        409: "conflict_error",
        413: "request_too_large",
        429: "rate_limit_error",
        500: _SERVER_ERROR,
        504: "timeout_error",  # after 408: it is 504 that the type stands for
        529: "overloaded_error",
    }
)
# Of these Anthropic's documentation says nothing, RFC 9110 section 15.5 does: the request is at fault.
_REJECTED: Final = frozenset({405, 406, 409, 411, 412, 414, 415, 417, 422, 428, 431})
_STATUS_OF_TYPE: Final[Mapping[str, int]] = MappingProxyType({kind: status for status, kind in _TYPE_OF_STATUS.items()})


def anthropic_error_type(status: int) -> str:
    """The type of an error with HTTP `status`, 100 to 599.

    An unknown status is `api_error`, as LiteLLM's own mapping has it and upstream's tests assert (of 418).
    """
    return _TYPE_OF_STATUS.get(status) or (_INVALID_REQUEST if status in _REJECTED else _SERVER_ERROR)


def status_of_anthropic_error(error_type: object) -> int:
    """The HTTP status an error of this type stands for; 500 if the type is unknown."""
    return _STATUS_OF_TYPE.get(str(error_type), 500)


def anthropic_stream_error(said: object) -> Exception:
    """What to raise for the `error` of an event of that type in a stream of Anthropic's.

    Its status is no answer's, and it keeps the error object: the type in it tells the kind. One that nobody knows is
    the server's failure.
    """
    from litellm.llms.anthropic.common_utils import AnthropicError

    error: Final[Mapping[str, object]] = said if isinstance(said, Mapping) else {"message": said}
    failure: Final = AnthropicError(
        status_code=status_of_anthropic_error(error.get("type")), message=str(error.get("message") or said)
    )
    failure.body = {"type": "error", "error": dict(error)}
    failure.status_code_is_synthesized = True  # a field of the class since 1.100
    return failure


def raise_error_events(chunk_parser: Callable[..., Result]) -> Callable[..., Result]:
    """Wrap `ModelResponseIterator.chunk_parser`, which raises a 500 for each error, without the error's type."""

    @functools.wraps(chunk_parser)
    def parse_chunk(self: object, chunk: object, *args: object, **kwargs: object) -> Result:
        if isinstance(chunk, Mapping) and chunk.get("type") == "error":
            raise anthropic_stream_error(chunk.get("error"))
        return chunk_parser(self, chunk, *args, **kwargs)

    return parse_chunk
