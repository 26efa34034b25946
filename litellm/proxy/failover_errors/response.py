"""
What the caller is told about a failed request: HTTP status, message and Retry-After, by the policy table of
`router_utils/failover/policy.py`. `handler.py` puts it into the format of the route.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from litellm.exceptions import MidStreamFallbackError
from litellm.litellm_core_utils.exception_chain import iter_exception_chain, safe_getattr
from litellm.litellm_core_utils.failure import FailureKind, failure_of, kept_failure
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.proxy.failover_errors.redaction import code_in, code_of, readable, without_secrets
from litellm.router_utils.failover.attempts import ATTEMPTS_ATTRIBUTE, describe_attempts
from litellm.router_utils.failover.policy import POLICY, is_deployment_fault
from litellm.router_utils.failover.retry_state import FailedAttempt
from litellm.types.router import RouterErrors, RouterRateLimitError

# For a failure the provider said nothing about. What LiteLLM says then is about this side: hosts, sockets, timeouts.
_WORDS_OF_KIND: Final[Mapping[FailureKind, str]] = MappingProxyType(
    {
        FailureKind.RATE_LIMITED: "The provider's rate limit is reached.",
        FailureKind.OUT_OF_CREDIT: "The provider's account is out of credit.",
        FailureKind.BAD_CREDENTIALS: "The provider does not accept the gateway's credentials.",
        FailureKind.MODEL_MISSING: "The provider does not have the model.",
        FailureKind.UNREACHABLE: "The provider cannot be reached.",
        FailureKind.TIMED_OUT: "The provider did not answer in time.",
        FailureKind.UNAVAILABLE: "The provider is unavailable.",
        FailureKind.INTERRUPTED: "The connection to the provider broke off.",
        FailureKind.SERVER_ERROR: "The provider failed.",
        FailureKind.GARBLED: "The provider's answer cannot be read.",
    }
)


class FailureResponse(NamedTuple):
    """An answer to a caller: the HTTP status, the message, the seconds after which to try again if known, and the
    provider's own code for the error, such as context_length_exceeded."""

    status_code: int
    message: str
    retry_after: int | None
    code: str | None = None


def client_response(error: Exception, of_stream: bool = False) -> FailureResponse | None:
    """What to tell the caller about a failure of the router or of a provider, None about any other. A stream may fail
    with an exception that has passed through neither.

    After several attempts: 429 and the shortest Retry-After if each was rate-limited, else the last one's answer that a
    deployment is to blame for. A request that was rejected gets that one's, whatever happened before.
    """
    attempts: Final = _attempts_on(error)
    if isinstance(error, RouterRateLimitError) and not attempts:
        # LiteLLM's answer to a group of which none is available is 429 (#2487).
        left: Final = math.ceil(error.cooldown_time) or None
        when: Final = f", try again in {left} seconds" if left else ""
        return FailureResponse(429, f"{RouterErrors.no_deployments_available.value}{when}.", left)
    if kept_failure(error) is None and not attempts and not of_stream:
        return None
    failure: Final = failure_of(error)
    decisive: Final = _decisive(attempts) if failure.kind is not FailureKind.REQUEST_REJECTED else None
    if decisive is None:
        if failure.kind is FailureKind.INTERNAL:
            return None
        status = client_status(failure.kind, failure.http_status, otherwise=_own_status(error))
        told = _message(error, failure.kind, failure.http_status, attempts)
        return FailureResponse(status, told, _whole_seconds(failure.retry_after), provider_code(error))
    status = client_status(decisive.kind, decisive.status_code)
    own: Final = (decisive.kind, decisive.status_code) == failure[:2]
    told = _message(error if own else None, decisive.kind, decisive.status_code, attempts)
    wait: Final = _whole_seconds(_shortest_wait(attempts, decisive))
    return FailureResponse(status, told, wait, provider_code(error) if own else None)


def _attempts_on(error: Exception) -> tuple[FailedAttempt, ...]:
    attempts: Final = safe_getattr(error, ATTEMPTS_ATTRIBUTE)
    return attempts if isinstance(attempts, tuple) else ()


def to_client_error(failure: Exception) -> Exception:
    """What a provider's stream raised as the caller is to hear of it, for an event that is made of an exception. It has
    the provider's `code`, which upstream's events repeat."""
    original: Final = failure.original_exception if isinstance(failure, MidStreamFallbackError) else None
    response: Final = client_response(original or failure, of_stream=True)
    if response is None:
        return failure
    told: Final = BaseLLMException(response.status_code, response.message)
    if response.code is not None:
        told.code = response.code  # type: ignore[attr-defined]
    return told


def provider_code(failure: Exception) -> str | None:
    """The code in the provider's error object: of the body its client read, on the exception, or in the text."""
    links: Final = tuple(iter_exception_chain(failure))
    bodies: Final = [body for link in links if isinstance(body := safe_getattr(link, "body"), Mapping)]
    inner: Final = [body["error"] for body in bodies if isinstance(body.get("error"), Mapping)]
    found: Final = next((code for one in (*inner, *bodies, *links) if (code := code_of(one))), None)
    return found or next(
        (code for link in links if (code := code_in(str(safe_getattr(link, "message") or link)))), None
    )


def client_status(kind: FailureKind, http_status: int | None, otherwise: int = 500) -> int:
    """The HTTP status for the caller; `http_status` is the provider's, if it answered."""
    if kind is FailureKind.TIMED_OUT and http_status == 408:
        return 408
    return POLICY[kind].client_status or http_status or otherwise


def _decisive(attempts: Sequence[FailedAttempt]) -> FailedAttempt | None:
    """The last attempt whose failure is the deployment's."""
    return next((one for one in reversed(attempts) if is_deployment_fault(one.kind)), None)


def _shortest_wait(attempts: Sequence[FailedAttempt], decisive: FailedAttempt) -> float | None:
    waits: Final = [one.retry_after for one in attempts if one.retry_after is not None]
    if all(one.kind is FailureKind.RATE_LIMITED for one in attempts):
        return min(waits, default=None)
    return decisive.retry_after


def _whole_seconds(wait: float | None) -> int | None:
    """As Retry-After has them, so that nobody comes too early (RFC 9110 section 10.2.3)."""
    return None if wait is None else math.ceil(wait)


def _own_status(failure: Exception) -> int:
    status: Final = safe_getattr(failure, "status_code")
    return status if isinstance(status, int) and 400 <= status <= 599 else 500


def _message(
    failure: Exception | None, kind: FailureKind, http_status: int | None, attempts: Sequence[FailedAttempt]
) -> str:
    """The provider's own words if it answered with an error, else ours; without secrets either way."""
    if failure is not None and (kind not in _WORDS_OF_KIND or (http_status is not None and http_status >= 400)):
        return without_secrets(readable(str(safe_getattr(failure, "message") or failure)))
    return f"{_WORDS_OF_KIND[kind]}{describe_attempts(attempts)}"
