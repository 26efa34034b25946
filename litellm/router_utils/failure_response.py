"""
What the caller is told about a failed request: HTTP status, message and Retry-After, by the policy table of
`failover_policy.py`. The proxy puts it into the format of its route.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from litellm.exceptions import MidStreamFallbackError
from litellm.litellm_core_utils.failure_signal import FailureSignal, carried_signal, chain, diagnose, peek
from litellm.litellm_core_utils.message_for_callers import code_in, code_of, readable, without_secrets
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.router_utils.failover_attempts import ATTEMPTS_ATTRIBUTE, FailedAttempt, retry_after, what_was_tried
from litellm.router_utils.failover_policy import POLICY, blames_the_deployment
from litellm.types.router import RouterErrors, RouterRateLimitError

# For a failure the provider said nothing about. What LiteLLM says then is about this side: hosts, sockets, timeouts.
_WORDS_OF_SIGNAL: Final[Mapping[FailureSignal, str]] = MappingProxyType(
    {
        FailureSignal.RATE_LIMITED: "The provider's rate limit is reached.",
        FailureSignal.OUT_OF_CREDIT: "The provider's account is out of credit.",
        FailureSignal.BAD_CREDENTIALS: "The provider does not accept the gateway's credentials.",
        FailureSignal.MODEL_MISSING: "The provider does not have the model.",
        FailureSignal.UNREACHABLE: "The provider cannot be reached.",
        FailureSignal.TIMED_OUT: "The provider did not answer in time.",
        FailureSignal.UNAVAILABLE: "The provider is unavailable.",
        FailureSignal.INTERRUPTED: "The connection to the provider broke off.",
        FailureSignal.SERVER_ERROR: "The provider failed.",
        FailureSignal.GARBLED: "The provider's answer cannot be read.",
    }
)


class FailureResponse(NamedTuple):
    """An answer to a caller: the HTTP status, the message, the seconds after which to try again if known, and the
    provider's own code for the error, such as context_length_exceeded."""

    status_code: int
    message: str
    retry_after: int | None
    code: str | None = None


def response_to(failure: Exception, of_stream: bool = False) -> FailureResponse | None:
    """What to tell the caller about a failure of the router or of a provider, None about any other. A stream may fail
    with an exception that has passed through neither.

    After several attempts: 429 and the shortest Retry-After if each was rate-limited, else the last one's answer that a
    deployment is to blame for. A request that was rejected gets that one's, whatever happened before.
    """
    attempts: Final[tuple[FailedAttempt, ...]] = getattr(failure, ATTEMPTS_ATTRIBUTE, ())
    if isinstance(failure, RouterRateLimitError) and not attempts:
        # LiteLLM's answer to a group of which none is available is 429 (#2487).
        wait: Final = math.ceil(failure.cooldown_time) or None
        when: Final = f", try again in {wait} seconds" if wait else ""
        return FailureResponse(429, f"{RouterErrors.no_deployments_available.value}{when}.", wait)
    signal, http_status, _ = diagnose(failure)
    if carried_signal(failure) is None and not attempts and not of_stream:
        return None
    decisive: Final = _decisive(attempts) if signal is not FailureSignal.REQUEST_REJECTED else None
    if decisive is None:
        if signal is FailureSignal.INTERNAL:
            return None
        status = caller_status(signal, http_status, otherwise=_own_status(failure))
        told = _message(failure, signal, http_status, attempts)
        return FailureResponse(status, told, retry_after(failure), provider_code(failure))
    status = caller_status(decisive.signal, decisive.status_code)
    own: Final = (decisive.signal, decisive.status_code) == (signal, http_status)
    told = _message(failure if own else None, decisive.signal, decisive.status_code, attempts)
    return FailureResponse(status, told, _shortest_wait(attempts, decisive), provider_code(failure) if own else None)


def as_told(failure: Exception) -> Exception:
    """What a provider's stream raised as the caller is to hear of it, for an event that is made of an exception. It has
    the provider's `code`, which upstream's events repeat."""
    original: Final = failure.original_exception if isinstance(failure, MidStreamFallbackError) else None
    response: Final = response_to(original or failure, of_stream=True)
    if response is None:
        return failure
    told: Final = BaseLLMException(response.status_code, response.message)
    if response.code is not None:
        told.code = response.code  # type: ignore[attr-defined]
    return told


def provider_code(failure: Exception) -> str | None:
    """The code in the provider's error object: of the body its client read, on the exception, or in the text."""
    links: Final = tuple(chain(failure))
    bodies: Final = [body for link in links if isinstance(body := peek(link, "body"), Mapping)]
    inner: Final = [body["error"] for body in bodies if isinstance(body.get("error"), Mapping)]
    found: Final = next((code for one in (*inner, *bodies, *links) if (code := code_of(one))), None)
    return found or next((code for link in links if (code := code_in(str(peek(link, "message") or link)))), None)


def caller_status(signal: FailureSignal, http_status: int | None, otherwise: int = 500) -> int:
    """The HTTP status for the caller; `http_status` is the provider's, if it answered."""
    if signal is FailureSignal.TIMED_OUT and http_status == 408:
        return 408
    return POLICY[signal].caller_status or http_status or otherwise


def _decisive(attempts: Sequence[FailedAttempt]) -> FailedAttempt | None:
    """The last attempt whose failure is the deployment's."""
    return next((one for one in reversed(attempts) if blames_the_deployment(one.signal)), None)


def _shortest_wait(attempts: Sequence[FailedAttempt], decisive: FailedAttempt) -> int | None:
    waits: Final = [one.retry_after for one in attempts if one.retry_after is not None]
    if all(one.signal is FailureSignal.RATE_LIMITED for one in attempts):
        return min(waits, default=None)
    return decisive.retry_after


def _own_status(failure: Exception) -> int:
    status: Final = peek(failure, "status_code")
    return status if isinstance(status, int) and 400 <= status <= 599 else 500


def _message(
    failure: Exception | None, signal: FailureSignal, http_status: int | None, attempts: Sequence[FailedAttempt]
) -> str:
    """The provider's own words if it answered with an error, else ours; without secrets either way."""
    if failure is not None and (signal not in _WORDS_OF_SIGNAL or (http_status is not None and http_status >= 400)):
        return without_secrets(readable(str(peek(failure, "message") or failure)))
    return f"{_WORDS_OF_SIGNAL[signal]}{what_was_tried(attempts)}"
