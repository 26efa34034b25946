"""
Says once, for a failed provider call, what kind of failure it was and so whose fault.

The exception mapping keeps the answer on the exception, as `failure`. Whoever decides what follows, the router's
cooldown first, reads it there instead of searching the text again. Nothing here imports the router, and nothing here
raises.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from enum import Enum
from functools import lru_cache
from traceback import walk_tb
from types import FrameType, TracebackType
from typing import Final, NamedTuple, TypeVar

from litellm.litellm_core_utils.error_object import ErrorObject, as_http_status, error_object_of
from litellm.litellm_core_utils.exception_chain import (
    FAILURE_ATTRIBUTE,
    MAX_LINKS,
    iter_exception_chain,
    response_headers,
    safe_getattr,
)
from litellm.litellm_core_utils.failure_evidence import (
    ASKS_SOMEBODY_ELSE,
    CANCELLATIONS,
    CONTENT_POLICY_CODES,
    CONTEXT_WINDOW_CODES,
    DOCUMENTED_PHRASES,
    EVIDENCE_OF_CLASS,
    EVIDENCE_OF_MAPPED_CLASS,
    EVIDENCE_PACKAGES,
    KIND_OF_ERRNO,
    KIND_OF_STATUS,
    KIND_OF_WORDING,
    MODEL_CODES,
    OPENAI_PARSERS,
    PLACEHOLDER_STATUSES,
    READS_AN_ANSWER,
    REFUSALS,
    STATUS_OF_CODE,
    VAGUE_KIND_OF_CLASS,
    VAGUE_STATUSES,
    Evidence,
)
from litellm.litellm_core_utils.failure_evidence import FailureKind as FailureKind
from litellm.litellm_core_utils.stated_wait import MAX_BODY, longest_wait, wait_in_body, wait_in_headers

Row = TypeVar("Row")


class Basis(str, Enum):
    """What a diagnosis rests on, and so whose word its HTTP status is."""

    ANSWER = "the status of an HTTP answer"
    ERROR_OBJECT = "the provider's error object, in an answer of whatever status or in an event of its stream"
    TRANSPORT = "an error of the transport"
    LITELLM = "LiteLLM's word: a status it wrote itself, or a class it raised"
    WORDING = "wording"
    NOTHING = "nothing at all"


class Failure(NamedTuple):
    """A failure's kind; the HTTP status (100 to 599) it came with or its error object stands for, if any; what both
    rest on; the seconds after which the provider is to be tried again, if it asks for a wait; and the seconds that it
    has asked for, which may be more than `max_retry_after`."""

    kind: FailureKind
    http_status: int | None = None
    basis: Basis = Basis.NOTHING
    retry_after: float | None = None
    asked_for: float | None = None

    @property
    def proven(self) -> bool:
        """Whether more than wording proves the kind."""
        return self.basis not in (Basis.WORDING, Basis.NOTHING)


NO_PROVIDER_FAILURE: Final = Failure(FailureKind.INTERNAL, None, Basis.LITELLM)

_PASSING: Final = frozenset({FailureKind.RATE_LIMITED, FailureKind.UNAVAILABLE, FailureKind.SERVER_ERROR})
"""What is over after a while. Other failures tell of rate limits by the way, and quote the request's words."""
_ENDS: Final = (StopIteration, StopAsyncIteration)  # an iterator's, which say nothing
_MAX_WORDING: Final = 4000  # characters
TRACEBACK_HEADING: Final = "Traceback (most recent call last)"
_HTTP_CLIENTS: Final = frozenset({"aiohttp", "httpx", "httpx2", "openai", "requests"})
_MAPPED_EXCEPTIONS: Final = "litellm.exceptions"


class _Proof(NamedTuple):
    """What an exception's class says, and what it says if the exceptions it was raised from say nothing."""

    evidence: FailureKind | Evidence | None
    vague_kind: FailureKind | None
    is_cancellation: bool = False


def failure_of(failure: object) -> Failure:
    """What kind of failure a failed call is: an exception, or the text of one. Never raises, whatever `failure` holds.

    Read in this order: what the mapping has kept on it, the provider's HTTP status, the transport error in the
    exception chain, and the wording only where none of these exists (a 400 that quotes "429" is a 400).
    """
    return kept_failure(failure) or search_evidence(failure)


def classify(failure: object) -> FailureKind:
    """The kind of a failed call, see `failure_of`."""
    return failure_of(failure).kind


def kept_failure(failure: object) -> Failure | None:
    """What the mapping, or the router after it, has kept on an exception; None where it has been through neither."""
    kept: Final = safe_getattr(failure, FAILURE_ATTRIBUTE)
    return kept if isinstance(kept, Failure) else None


def keep_failure(on: BaseException, failure: Failure) -> None:
    """Keep `failure` on an exception, for `failure_of` to read. One of a class that has something else under that name,
    such as a hook's own, keeps that."""
    if isinstance(safe_getattr(on, FAILURE_ATTRIBUTE), (Failure, type(None))):
        setattr(on, FAILURE_ATTRIBUTE, failure)


def search_evidence(failure: object) -> Failure:
    """As `failure_of`, whatever is kept on `failure` itself: to be called once for a failure, where it is mapped."""
    try:
        found: Final = NO_PROVIDER_FAILURE if is_raised_by_somebody_else(failure) else _search(failure)
        return found if found.retry_after is not None else with_stated_wait(found, failure)
    except Exception:  # a class that cannot be hashed, an attribute that cannot be compared
        return Failure(FailureKind.INTERNAL)


def is_raised_by_somebody_else(failure: object) -> bool:
    """Whether something else than the provider was asked when this was raised, such as a hook of the operator's."""
    return any(not ASKS_SOMEBODY_ELSE.isdisjoint(_functions_of(link)) for link in iter_exception_chain(failure))


def is_about_the_model(failure: object) -> bool:
    """Whether the provider says, by a code or in words it documents, that it does not have the model."""
    objects: Final = [found for link in iter_exception_chain(failure) if (found := error_object_of(link)) is not None]
    return any(not MODEL_CODES.isdisjoint(one.codes) or _status_by_phrase(one) == 404 for one in objects)


def with_stated_wait(found: Failure, failure: object) -> Failure:
    """`found`, which is what is known of `failure`, with the wait that the provider asks for, if it does."""
    asked: Final = retry_after(failure, found.kind)
    return found if asked is None else Failure(*found[:3], min(asked, longest_wait()), asked)


def retry_after(failure: object, kind: FailureKind | None = None) -> float | None:
    """The seconds after which the provider asks to be tried again, None if it does not.

    It asks by a header. Where a failure of this `kind` is one that passes, it may also say so by a rate limit that is
    spent, or in words."""
    if not isinstance(failure, BaseException):
        return None
    headers: Final = response_headers(failure)
    passes: Final = kind in _PASSING
    told: Final = None if headers is None else wait_in_headers(headers.raw, now=time.time(), with_limits=passes)
    said: Final = wait_in_body(_body_text(failure)) if passes and not told else None
    return told if said is None else said


def _body_text(failure: object) -> str:
    """The body of the provider's answer, as it came or as its client has decoded it: most exceptions that have neither
    repeat it in their message."""
    content: Final = safe_getattr(safe_getattr(failure, "response"), "_content")  # `content` raises on an unread stream
    if isinstance(content, bytes) and content:
        return content[:MAX_BODY].decode("utf-8", "replace")
    body: Final = safe_getattr(failure, "body")
    if isinstance(body, (Mapping, list)) and body:
        return _as_text(body)
    message: Final = safe_getattr(failure, "message")
    return message if isinstance(message, str) else _as_text(failure)


def _search(failure: object) -> Failure:
    links: Final[list[object]] = []
    vague: FailureKind | None = None
    placeholder: int | None = None
    for link in iter_exception_chain(failure):
        proof = _proof(type(link).__mro__)
        kept = kept_failure(link) if link is not failure else None
        if kept is not None:
            return kept
        certain = _transport_kind(link, proof)
        if certain is not None:
            return Failure(certain, None, Basis.TRANSPORT)
        if proof.is_cancellation and vague is None:  # a timeout cancels what it waits for, too
            return Failure(FailureKind.INTERNAL, None, Basis.LITELLM)
        status = None if proof.evidence is Evidence.NO_STATUS else _http_status(link)
        if status is not None and (status not in PLACEHOLDER_STATUSES or proof.evidence is Evidence.ANSWERED):
            return _search_by_status(status, failure)
        placeholder = placeholder or status
        vague = vague or proof.vague_kind
        if vague is not None and (_is_a_bug(link) or type(link) is RuntimeError):
            # openai wraps these too: "the client has been closed"
            return Failure(FailureKind.INTERNAL, None, Basis.LITELLM)
        if proof.evidence is not Evidence.NO_STATUS and not isinstance(link, _ENDS):
            links.append(link)
    if vague is not None:
        return Failure(vague, None, Basis.TRANSPORT)
    return _search_without_status(failure, links, placeholder)


def _search_without_status(failure: object, links: Sequence[object], placeholder: int | None) -> Failure:
    """By what else is told, where nothing in the chain has the status of an answer, or a dead socket's class. `links`
    are those whose words may count; `placeholder` is a status that stands for none."""
    told: Final = _search_by_error_object(failure, None)
    if told is not None:
        return told
    if (placeholder in VAGUE_STATUSES and _is_made_up(placeholder, failure)) or _is_misread(failure):
        return Failure(FailureKind.GARBLED, None, Basis.LITELLM)
    # LiteLLM's catch-all repeats the words of what it wraps, so what it wraps is asked.
    found: Final = _judge_wording(links[0] if links else failure, placeholder)
    # On an exception of LiteLLM's own classes that no mapping has looked at, these statuses are LiteLLM's word.
    return found._replace(http_status=None) if type(failure).__module__ == _MAPPED_EXCEPTIONS else found


def _search_by_status(status: int, failure: object) -> Failure:
    """By the `status` in the chain of `failure`, unless the error object beside it says more than that."""
    told: Final = _search_by_error_object(failure, status) if status < 500 else None
    if told is not None:
        return told
    if status in VAGUE_STATUSES and _is_made_up(status, failure):
        return Failure(FailureKind.GARBLED, None, Basis.LITELLM)
    return answered_with(status)


def _search_by_error_object(failure: object, status: int | None) -> Failure | None:
    """By the first documented code in the chain of `failure`; `status` is the HTTP answer's, None if there was none.

    An answer of failure names what is wrong by its status, if that is not a vague one: there only a code that refuses
    the request for its content counts.
    """
    has_failed: Final = status is not None and status >= 400
    for link in iter_exception_chain(failure):
        found = error_object_of(link)
        if found is None:
            continue
        if not REFUSALS.isdisjoint(found.codes):
            return Failure(FailureKind.REQUEST_REJECTED, status if has_failed else 400, Basis.ERROR_OBJECT)
        if has_failed and status not in VAGUE_STATUSES:
            continue
        number = _status_by_phrase(found) or _status_by_code(found) or (None if has_failed else found.status)
        if number is not None and not (has_failed and kind_of_status(number) is FailureKind.REQUEST_REJECTED):
            return Failure(kind_of_status(number), number, Basis.ERROR_OBJECT)
        if safe_getattr(link, "status_code_is_synthesized") is True and found.codes:
            return failure_of_error(found)  # of a type nobody knows
    return None


def failure_of_error(found: ErrorObject) -> Failure:
    """What kind of failure an error object is that stands where an answer of success was due; an unknown code is the
    server's failure."""
    if not REFUSALS.isdisjoint(found.codes):
        return Failure(FailureKind.REQUEST_REJECTED, 400, Basis.ERROR_OBJECT)
    number: Final = _status_by_phrase(found) or _status_by_code(found) or found.status or 500
    return Failure(kind_of_status(number), number, Basis.ERROR_OBJECT)


def _status_by_code(found: ErrorObject) -> int | None:
    return next((STATUS_OF_CODE[code] for code in found.codes if code in STATUS_OF_CODE), None)


def _status_by_phrase(found: ErrorObject) -> int | None:
    """Where a provider has no code for it: none of the codes says anything else."""
    for phrase in DOCUMENTED_PHRASES:
        if found.codes[:1] == (phrase.code,) and found.message.startswith(phrase.beginning):
            return phrase.status
    return None


def cancellation_of(failure: object) -> BaseException | None:
    """What says in the chain of `failure` that the caller has left, None if nothing does.

    A timeout, or a client that gives a connection up, cancels what it waits for as well: one that stands before the
    cancellation is what happened.
    """
    for link in iter_exception_chain(failure):
        proof = _proof(type(link).__mro__)
        if proof.is_cancellation and isinstance(link, BaseException):
            return link
        if proof.vague_kind is not None or _own_transport_kind(link, proof) is not None:
            return None
    return None


def is_refused_by_policy(failure: object) -> bool:
    """Whether a code says that the provider's content policy forbids the request, or the answer to it."""
    return _has_code(failure, CONTENT_POLICY_CODES)


def is_too_long_by_code(failure: object) -> bool:
    """Whether a code says that the request exceeds the model's context window."""
    return _has_code(failure, CONTEXT_WINDOW_CODES)


def _has_code(failure: object, codes: Set[str]) -> bool:
    objects: Final = (error_object_of(link) for link in iter_exception_chain(failure))
    return any(found is not None and not codes.isdisjoint(found.codes) for found in objects)


def _is_made_up(status: int, failure: object) -> bool:
    """Whether `status` is no provider's: LiteLLM raised it where it could not read an answer of success.

    That is certain of its 422; it also refuses with a 400 what an answer of success is not to hold, an image that was
    filtered, and says with one that there was nothing where it looked.
    """
    links: Final = list(iter_exception_chain(failure))
    if any(map(_is_an_answer_of_failure, links)) or not any(map(_raised_by_a_reader, links)):
        return False
    return status == 422 or any(map(_is_a_bug, links))


def _is_misread(failure: object) -> bool:
    """Whether LiteLLM's code failed over what a provider sent, where it reads that: a bug of its own in asking for an
    answer is no provider's."""
    return any(_is_a_bug(link) and _raised_by_a_reader(link) for link in iter_exception_chain(failure))


def _is_an_answer_of_failure(link: object) -> bool:
    return _proof(type(link).__mro__).evidence is Evidence.ANSWERED and (_http_status(link) or 0) >= 400


def _raised_by_a_reader(link: object) -> bool:
    return any(
        READS_AN_ANSWER.fullmatch(frame.f_code.co_name) is not None
        or (frame.f_code.co_name == "parse" and frame.f_globals.get("__name__") in OPENAI_PARSERS)
        for frame in _frames_of(link)
    )


def _functions_of(link: object) -> Iterator[str]:
    """The names of the functions that an exception has passed through."""
    return (frame.f_code.co_name for frame in _frames_of(link))


def _frames_of(link: object) -> Iterator[FrameType]:
    """The calls that an exception has passed through."""
    trace: Final = safe_getattr(link, "__traceback__")
    for frame, _ in walk_tb(trace if isinstance(trace, TracebackType) else None):
        yield frame


def kind_of_status(status: int) -> FailureKind:
    """The kind of an HTTP status. One below 400 is an answer that could not be used, an unlisted one is its class's
    x00 (RFC 9110 section 15)."""
    if status < 400:
        return FailureKind.GARBLED
    return KIND_OF_STATUS.get(status, FailureKind.SERVER_ERROR if status >= 500 else FailureKind.REQUEST_REJECTED)


@lru_cache(maxsize=500)
def answered_with(status: int) -> Failure:
    """What an answer of this HTTP status is, where nothing else is told."""
    return Failure(kind_of_status(status), status, Basis.ANSWER)


def _http_status(link: object) -> int | None:
    """The HTTP status (100 to 599, a number or its digits) on this one exception; None where it has none."""
    if safe_getattr(link, "status_code_is_synthesized") is True:
        return None
    return (
        as_http_status(safe_getattr(link, "status_code"))
        or as_http_status(safe_getattr(link, "status"))
        or as_http_status(safe_getattr(safe_getattr(link, "response"), "status_code"))
        or as_http_status(safe_getattr(link, "code"))
    )


def _transport_kind(link: object, proof: _Proof) -> FailureKind | None:
    """What a transport error proves. What it was explicitly raised from says more: LiteLLM's aiohttp transport reports
    a reset as httpx.ConnectError, and a wait for a free connection as httpx.ConnectTimeout."""
    kind: FailureKind | None = None
    for _ in range(MAX_LINKS):
        kind = _own_transport_kind(link, proof) or kind
        cause = safe_getattr(link, "__cause__")
        if cause is None and safe_getattr(link, "__suppress_context__") is True:
            cause = safe_getattr(link, "__context__")
        if kind is None or cause is None:
            break
        link, proof = cause, _proof(type(cause).__mro__)
    return kind


def _own_transport_kind(link: object, proof: _Proof) -> FailureKind | None:
    if isinstance(link, OSError) and isinstance(link.errno, int) and link.errno in KIND_OF_ERRNO:
        return KIND_OF_ERRNO[link.errno]
    if isinstance(link, json.JSONDecodeError) and _raised_reading_an_answer(link.__traceback__):
        return FailureKind.GARBLED
    return proof.evidence if isinstance(proof.evidence, FailureKind) else None


@lru_cache(maxsize=512)
def _proof(lineage: tuple[type, ...]) -> _Proof:
    """What an exception's class proves, given with the classes it inherits from."""
    mapped: Final = [base.__name__ for base in lineage if base.__module__ == _MAPPED_EXCEPTIONS]
    if mapped:
        return _Proof(_first(EVIDENCE_OF_MAPPED_CLASS, mapped), None)
    names: Final = [base.__name__ for base in lineage if base.__module__.partition(".")[0] in EVIDENCE_PACKAGES]
    return _Proof(
        _first(EVIDENCE_OF_CLASS, names),
        _first(VAGUE_KIND_OF_CLASS, names),
        is_cancellation=not CANCELLATIONS.isdisjoint(names),
    )


def _first(table: Mapping[str, Row], names: list[str]) -> Row | None:
    return next((table[name] for name in names if name in table), None)


def _raised_reading_an_answer(traceback: TracebackType | None) -> bool:
    """Whether the JSON that failed to parse came from the provider, and not from the caller's messages."""
    return any(
        str(frame.f_globals.get("__name__")).partition(".")[0] in _HTTP_CLIENTS
        or frame.f_code.co_name == "transform_response"
        for frame, _ in walk_tb(traceback)
    )


def _judge_wording(failure: object, placeholder: int | None) -> Failure:
    kind: Final = _kind_of_wording(_wording(failure))
    if placeholder is not None and kind is not FailureKind.GARBLED:
        return Failure(kind_of_status(placeholder), placeholder, Basis.LITELLM)
    if kind is None:
        return Failure(FailureKind.INTERNAL)
    return Failure(kind, None, Basis.WORDING)


def _kind_of_wording(text: str) -> FailureKind | None:
    if not text:
        return None
    return next((kind for pattern, kind in KIND_OF_WORDING if pattern.search(text)), None)


def _wording(failure: object) -> str:
    """What `failure` says, without the traceback LiteLLM appends to its catch-all ("line 429" is no rate limit)."""
    if _is_a_bug(failure):
        return ""
    text: Final = failure if isinstance(failure, str) else safe_getattr(failure, "message")
    told: Final = text if isinstance(text, str) else _as_text(failure)
    return told[:_MAX_WORDING].partition(TRACEBACK_HEADING)[0]


def _as_text(failure: object) -> str:
    try:
        return str(failure)
    except Exception:
        return ""


def _is_a_bug(failure: object) -> bool:
    """A KeyError, TypeError ... says what is wrong with the program, whatever words it quotes."""
    kind: Final = type(failure)
    if kind.__name__ == "ValidationError" and kind.__module__.startswith("pydantic"):
        return True
    if kind.__module__ != "builtins" or kind in (Exception, RuntimeError):
        return False
    return issubclass(kind, Exception) and not issubclass(kind, OSError)
