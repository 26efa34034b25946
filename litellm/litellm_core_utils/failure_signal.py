"""
Says once, for a failed provider call, what kind of failure it was and so whose fault.

Whoever decides what follows, the router's cooldown first, reads this one answer instead of searching the text again.
Nothing here imports the router, and nothing here raises.
"""

import json
from collections.abc import Iterator, Mapping, Set
from enum import Enum
from functools import lru_cache
from traceback import walk_tb
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeVar

from litellm.litellm_core_utils.error_object import ErrorObject, error_object_of
from litellm.litellm_core_utils.error_object import peek as peek
from litellm.litellm_core_utils.failure_evidence import (
    CANCELLATIONS,
    CONTENT_POLICY_CODES,
    CONTEXT_WINDOW_CODES,
    DOCUMENTED_PHRASES,
    EVIDENCE_OF_CLASS,
    EVIDENCE_OF_MAPPED_CLASS,
    EVIDENCE_PACKAGES,
    PLACEHOLDER_STATUSES,
    READS_AN_ANSWER,
    REFUSALS,
    SIGNAL_OF_ERRNO,
    SIGNAL_OF_STATUS,
    SIGNAL_OF_WORDING,
    STATUS_OF_CODE,
    VAGUE_SIGNAL_OF_CLASS,
    VAGUE_STATUSES,
    Evidence,
)
from litellm.litellm_core_utils.failure_evidence import FailureSignal as FailureSignal

SIGNAL_ATTRIBUTE: Final = "failure_signal"
STATUS_ATTRIBUTE: Final = "provider_status"
BASIS_ATTRIBUTE: Final = "failure_basis"

Row = TypeVar("Row")


class Basis(str, Enum):
    """What a diagnosis rests on, and so whose word its HTTP status is."""

    ANSWER = "the status of an HTTP answer"
    ERROR_OBJECT = "the provider's error object, in an answer of whatever status or in an event of its stream"
    TRANSPORT = "an error of the transport"
    LITELLM = "LiteLLM's word: a status it wrote itself, or a class it raised"
    WORDING = "wording"
    NOTHING = "nothing at all"


class Diagnosis(NamedTuple):
    """A failure's signal, the HTTP status (100 to 599) it came with or its error object stands for, if any, and what
    both rest on."""

    signal: FailureSignal
    http_status: int | None = None
    basis: Basis = Basis.NOTHING

    @property
    def proven(self) -> bool:
        """Whether more than wording proves the signal."""
        return self.basis not in (Basis.WORDING, Basis.NOTHING)


_MAX_LINKS: Final = 32  # far beyond any real chain
_MAX_WORDING: Final = 4000  # characters
TRACEBACK_HEADING: Final = "Traceback (most recent call last)"
_HTTP_CLIENTS: Final = frozenset({"aiohttp", "httpx", "httpx2", "openai", "requests"})
_MAPPED_EXCEPTIONS: Final = "litellm.exceptions"


class _Proof(NamedTuple):
    """What an exception's class says, and what it says if the exceptions it was raised from say nothing."""

    evidence: FailureSignal | Evidence | None
    vague_signal: FailureSignal | None
    is_cancellation: bool = False


def classify(failure: object) -> FailureSignal:
    """The signal of a failed call: an exception, or the text of one. Never raises, whatever `failure` holds.

    Read in this order: the signal it already carries, the provider's HTTP status, the transport error in the exception
    chain, and the wording only where none of these exists (a 400 that quotes "429" is a 400).
    """
    return diagnose(failure).signal


def diagnose(failure: object) -> Diagnosis:
    """As `classify`, with the evidence."""
    try:
        return _diagnose(failure)
    except Exception:  # a class that cannot be hashed, an attribute that cannot be compared
        return Diagnosis(FailureSignal.INTERNAL)


def _diagnose(failure: object) -> Diagnosis:
    links: Final[list[object]] = []
    vague: FailureSignal | None = None
    placeholder: int | None = None
    for link in chain(failure):
        proof = _proof(type(link).__mro__)
        carried = carried_signal(link)
        if carried is not None:
            return Diagnosis(carried, _as_http_status(peek(link, STATUS_ATTRIBUTE)), _carried_basis(link))
        certain = _transport_signal(link, proof)
        if certain is not None:
            return Diagnosis(certain, None, Basis.TRANSPORT)
        if proof.is_cancellation and vague is None:  # a timeout cancels what it waits for, too
            return Diagnosis(FailureSignal.INTERNAL, None, Basis.LITELLM)
        status = None if proof.evidence is Evidence.NO_STATUS else _http_status(link)
        if status is not None and (status not in PLACEHOLDER_STATUSES or proof.evidence is Evidence.ANSWERED):
            return _diagnose_by_status(status, failure)
        placeholder = placeholder or status
        vague = vague or proof.vague_signal
        if vague is not None and (_is_a_bug(link) or type(link) is RuntimeError):
            # openai wraps these too: "the client has been closed"
            return Diagnosis(FailureSignal.INTERNAL, None, Basis.LITELLM)
        if proof.evidence is not Evidence.NO_STATUS:
            links.append(link)
    if vague is not None:
        return Diagnosis(vague, None, Basis.TRANSPORT)
    told: Final = _diagnose_by_error_object(failure, None)
    if told is not None:
        return told
    if placeholder in VAGUE_STATUSES and _is_made_up(placeholder, failure):
        return Diagnosis(FailureSignal.GARBLED, None, Basis.LITELLM)
    # LiteLLM's catch-all repeats the words of what it wraps, so what it wraps is asked.
    diagnosis: Final = _diagnose_by_wording(links[0] if links else failure, placeholder)
    # On an exception of LiteLLM's own classes that no mapping has looked at, these statuses are LiteLLM's word.
    return diagnosis._replace(http_status=None) if type(failure).__module__ == _MAPPED_EXCEPTIONS else diagnosis


def _diagnose_by_status(status: int, failure: object) -> Diagnosis:
    """By the `status` in the chain of `failure`, unless the error object beside it says more than that."""
    told: Final = _diagnose_by_error_object(failure, status) if status < 500 else None
    if told is not None:
        return told
    if status in VAGUE_STATUSES and _is_made_up(status, failure):
        return Diagnosis(FailureSignal.GARBLED, None, Basis.LITELLM)
    return Diagnosis(signal_of_status(status), status, Basis.ANSWER)


def _diagnose_by_error_object(failure: object, status: int | None) -> Diagnosis | None:
    """By the first documented code in the chain of `failure`; `status` is the HTTP answer's, None if there was none.

    An answer of failure names what is wrong by its status, if that is not a vague one: there only a code that refuses
    the request for its content counts.
    """
    has_failed: Final = status is not None and status >= 400
    for link in chain(failure):
        found = error_object_of(link)
        if found is None:
            continue
        if not REFUSALS.isdisjoint(found.codes):
            return Diagnosis(FailureSignal.REQUEST_REJECTED, status if has_failed else 400, Basis.ERROR_OBJECT)
        if has_failed and status not in VAGUE_STATUSES:
            continue
        number = _status_by_phrase(found) or _status_by_code(found) or (None if has_failed else found.status)
        if number is not None and not (has_failed and signal_of_status(number) is FailureSignal.REQUEST_REJECTED):
            return Diagnosis(signal_of_status(number), number, Basis.ERROR_OBJECT)
        if peek(link, "status_code_is_synthesized") is True and found.codes:
            return Diagnosis(FailureSignal.INTERNAL, None, Basis.LITELLM)  # of a type nobody knows
    return None


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
    for link in chain(failure):
        proof = _proof(type(link).__mro__)
        if proof.is_cancellation and isinstance(link, BaseException):
            return link
        if proof.vague_signal is not None or _own_transport_signal(link, proof) is not None:
            return None
    return None


def is_refused_by_policy(failure: object) -> bool:
    """Whether a code says that the provider's content policy forbids the request, or the answer to it."""
    return _has_code(failure, CONTENT_POLICY_CODES)


def is_too_long_by_code(failure: object) -> bool:
    """Whether a code says that the request exceeds the model's context window."""
    return _has_code(failure, CONTEXT_WINDOW_CODES)


def _has_code(failure: object, codes: Set[str]) -> bool:
    objects: Final = (error_object_of(link) for link in chain(failure))
    return any(found is not None and not codes.isdisjoint(found.codes) for found in objects)


def _is_made_up(status: int, failure: object) -> bool:
    """Whether `status` is no provider's: LiteLLM raised it where it could not read an answer of success.

    That is certain of its 422; it also refuses with a 400 what an answer of success is not to hold, an image that was
    filtered, and says with one that there was nothing where it looked.
    """
    links: Final = list(chain(failure))
    if any(map(_is_an_answer_of_failure, links)) or not any(map(_raised_by_a_reader, links)):
        return False
    return status == 422 or any(map(_is_a_bug, links))


def _is_an_answer_of_failure(link: object) -> bool:
    return _proof(type(link).__mro__).evidence is Evidence.ANSWERED and (_http_status(link) or 0) >= 400


def _raised_by_a_reader(link: object) -> bool:
    trace: Final = peek(link, "__traceback__")
    frames: Final = walk_tb(trace if isinstance(trace, TracebackType) else None)
    return any(READS_AN_ANSWER.fullmatch(frame.f_code.co_name) is not None for frame, _ in frames)


def signal_of_status(status: int) -> FailureSignal:
    """The signal of an HTTP status. One below 400 is an answer that could not be used, an unlisted one is its class's
    x00 (RFC 9110 section 15)."""
    if status < 400:
        return FailureSignal.GARBLED
    return SIGNAL_OF_STATUS.get(status, FailureSignal.SERVER_ERROR if status >= 500 else FailureSignal.REQUEST_REJECTED)


def carried_signal(failure: object) -> FailureSignal | None:
    """The signal the exception mapping left on `failure`, None where it did not pass through there."""
    signal: Final = peek(failure, SIGNAL_ATTRIBUTE)
    return signal if isinstance(signal, FailureSignal) else None


def _carried_basis(link: object) -> Basis:
    """What the mapping's diagnosis rested on; what has been through it is proven."""
    basis: Final = peek(link, BASIS_ATTRIBUTE)
    return (
        basis if isinstance(basis, Basis) and Diagnosis(FailureSignal.INTERNAL, None, basis).proven else Basis.LITELLM
    )


def _http_status(link: object) -> int | None:
    """The HTTP status (100 to 599, a number or its digits) on this one exception; None where it has none."""
    if peek(link, "status_code_is_synthesized") is True:
        return None
    return (
        _as_http_status(peek(link, "status_code"))
        or _as_http_status(peek(link, "status"))
        or _as_http_status(peek(peek(link, "response"), "status_code"))
        or _as_http_status(peek(link, "code"))
    )


def _as_http_status(value: object) -> int | None:
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    return int(value) if isinstance(value, int) and 100 <= value <= 599 else None


def _transport_signal(link: object, proof: _Proof) -> FailureSignal | None:
    """What a transport error proves. What it was explicitly raised from says more: LiteLLM's aiohttp transport reports
    a reset as httpx.ConnectError, and a wait for a free connection as httpx.ConnectTimeout."""
    signal: FailureSignal | None = None
    for _ in range(_MAX_LINKS):
        signal = _own_transport_signal(link, proof) or signal
        cause = peek(link, "__cause__")
        if cause is None and peek(link, "__suppress_context__") is True:
            cause = peek(link, "__context__")
        if signal is None or cause is None:
            break
        link, proof = cause, _proof(type(cause).__mro__)
    return signal


def _own_transport_signal(link: object, proof: _Proof) -> FailureSignal | None:
    if isinstance(link, OSError) and isinstance(link.errno, int) and link.errno in SIGNAL_OF_ERRNO:
        return SIGNAL_OF_ERRNO[link.errno]
    if isinstance(link, json.JSONDecodeError) and _raised_reading_an_answer(link.__traceback__):
        return FailureSignal.GARBLED
    return proof.evidence if isinstance(proof.evidence, FailureSignal) else None


@lru_cache(maxsize=512)
def _proof(lineage: tuple[type, ...]) -> _Proof:
    """What an exception's class proves, given with the classes it inherits from."""
    mapped: Final = [base.__name__ for base in lineage if base.__module__ == _MAPPED_EXCEPTIONS]
    if mapped:
        return _Proof(_first(EVIDENCE_OF_MAPPED_CLASS, mapped), None)
    names: Final = [base.__name__ for base in lineage if base.__module__.partition(".")[0] in EVIDENCE_PACKAGES]
    return _Proof(
        _first(EVIDENCE_OF_CLASS, names),
        _first(VAGUE_SIGNAL_OF_CLASS, names),
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


def _diagnose_by_wording(failure: object, placeholder: int | None) -> Diagnosis:
    signal: Final = _signal_of_wording(_wording(failure))
    if placeholder is not None and signal is not FailureSignal.GARBLED:
        return Diagnosis(signal_of_status(placeholder), placeholder, Basis.LITELLM)
    if signal is None:
        return Diagnosis(FailureSignal.INTERNAL)
    return Diagnosis(signal, None, Basis.WORDING)


def _signal_of_wording(text: str) -> FailureSignal | None:
    if not text:
        return None
    return next((signal for pattern, signal in SIGNAL_OF_WORDING if pattern.search(text)), None)


def _wording(failure: object) -> str:
    """What `failure` says, without the traceback LiteLLM appends to its catch-all ("line 429" is no rate limit)."""
    if _is_a_bug(failure):
        return ""
    text: object = failure if isinstance(failure, str) else peek(failure, "message")
    if not isinstance(text, str):
        try:
            text = str(failure)
        except Exception:
            return ""
    return str(text)[:_MAX_WORDING].partition(TRACEBACK_HEADING)[0]


def _is_a_bug(failure: object) -> bool:
    """A KeyError, TypeError ... says what is wrong with the program, whatever words it quotes."""
    kind: Final = type(failure)
    if kind.__module__ != "builtins" or kind in (Exception, RuntimeError):
        return False
    return issubclass(kind, Exception) and not issubclass(kind, OSError)


def chain(failure: Any) -> Iterator[Any]:
    """`failure` and all it was raised from, outermost first."""
    yield failure
    waiting: Final = _sources(failure)
    seen: Final = {id(failure)}
    while waiting and len(seen) < _MAX_LINKS:
        link = waiting.pop(0)
        if id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting.extend(_sources(link))


def _sources(link: object) -> list[BaseException]:
    """What `link` was raised from, or while handling what."""
    explicit: Final = [peek(link, "original_exception"), peek(link, "__cause__")]
    members: Final = peek(link, "exceptions")  # of an exception group
    if isinstance(members, (list, tuple)):
        explicit.extend(members[:_MAX_LINKS])
    sources: Final = [source for source in explicit if isinstance(source, BaseException)]
    if sources:
        return sources
    context: Final = peek(link, "__context__")
    return [context] if isinstance(context, BaseException) and _is_of_the_same_call(link, context) else []


def _is_of_the_same_call(link: object, context: BaseException) -> bool:
    """Whether `context` was caught on the way `link` took.

    A retry is made while the failure before it is being handled, and an application may call LiteLLM while it handles
    a failure of its own. Both are context of what fails then, and say nothing about it.
    """
    if carried_signal(context) is not None:
        return False
    caught: Final = peek(context, "__traceback__")
    frames: Final = peek(link, "__traceback__")
    if not isinstance(caught, TracebackType) or not isinstance(frames, TracebackType):
        return True  # never raised, so nobody else's either
    return any(frame is caught.tb_frame for frame, _ in walk_tb(frames))
