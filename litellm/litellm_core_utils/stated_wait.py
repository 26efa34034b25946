"""
Reads how long a provider asks to be left alone, in whichever form it says so: by the headers of a failed answer, or by
the words of its body. Pure but for the one setting; nothing here raises, what cannot be read is no wait.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import lru_cache
from operator import itemgetter
from types import MappingProxyType
from typing import Final

import litellm
from litellm._logging import verbose_logger
from litellm.litellm_core_utils.exception_chain import safe_getattr

SETTING: Final = "max_retry_after"
"""One of `litellm_settings`: the seconds a provider can ask for at the most, of any wait it states."""

DEFAULT_LIMIT: Final = 3600.0
"""Seconds."""

MAX_BODY: Final = 20_000
"""Characters of a body that are searched: an error is short."""

_MAX_HEADER: Final = 200  # characters
_LIST: Final = "ratelimit"  # a field that can stand in several lines (RFC 9651 section 3.1)
_REJECTED: Final = "rejected"  # the state of a limit of Anthropic's subscriptions, once it is spent
_TELLS_STATE: Final = re.compile(r"remaining|status$")
_MAY_BE_ZERO: Final = "0-.+"  # how a number of nothing begins
_FIRST_UNIX_TIME: Final = 1e9  # of 2001: a smaller number is a count of seconds, not a moment
_FIRST_UNIX_MILLISECONDS: Final = 1e12

_UNITS: Final[Mapping[str, float]] = MappingProxyType(
    {
        **dict.fromkeys(("ns", "nanosecond"), 1e-9),
        **dict.fromkeys(("us", "µs", "microsecond"), 1e-6),
        **dict.fromkeys(("ms", "millisecond"), 1e-3),
        **dict.fromkeys(("s", "sec", "second"), 1.0),
        **dict.fromkeys(("m", "min", "minute"), 60.0),
        **dict.fromkeys(("h", "hr", "hour"), 3600.0),
        **dict.fromkeys(("d", "day"), 86400.0),
    }
)
_PART: Final = rf"(\d+(?:\.\d+)?)\s?({'|'.join(sorted(_UNITS, key=len, reverse=True))})s?(?![a-zµ])"
_ONE_PART: Final = re.compile(_PART, re.ASCII)
_DURATION: Final = rf"{_PART}(?:(?:,?\s|\sand\s)?{_PART})*"
_WHOLE_DURATION: Final = re.compile(_DURATION, re.ASCII)
_ASKED: Final = r"(?:again(?:\slater,?)?|retry|wait)(?:\s(?:in|after|for))?|resets?\s(?:in|after)"
_ABOUT: Final = r"(?:\s(?:about|approximately|around|at\sleast))?"
_IN_WORDS: Final = re.compile(rf"\b(?:{_ASKED}){_ABOUT}\s(?P<wait>{_DURATION})", re.ASCII)
_BETWEEN: Final = r"[\s\"'\\:]{1,20}"  # a name and its value, quoted in whatever way
_IN_RETRY_INFO: Final = re.compile(rf"retryDelay{_BETWEEN}(\d+(?:\.\d+)?)s\b", re.ASCII)
_IN_RETRY_DELAY: Final = re.compile(
    r"retry_delay\s*\{(?:\s|\\n)*(?:seconds:\s*(?P<s>\d+))?(?:\s|\\n)*(?:nanos:\s*(?P<ns>\d+))?", re.ASCII
)
_IN_FIELD: Final = re.compile(
    rf"retry[_-]?after(?:_?(?:(?P<ms>ms|milliseconds)|s|seconds))?{_BETWEEN}(?P<number>\d+(?:\.\d+)?)(?![\w.])",
    re.ASCII | re.IGNORECASE,
)

_OF_A_WAIT: Final = re.compile(rb"retry-after|ratelimit", re.IGNORECASE)
_DATE: Final = b"date"
_NAME: Final = itemgetter(0)
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_ISO_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[t ](\d\d:\d\d:\d\d)(\.\d+)?\s?(z|[+-]\d\d:\d\d)?", re.ASCII | re.IGNORECASE
)
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_LIMIT_SPENT: Final = re.compile(r";\s*r=0+(?:\.0*)?\s*(?:;|$)")
_LIMIT_RESET: Final = re.compile(r";\s*t=(\d+)\s*(?:;|$)", re.ASCII)
_OLD_LIMIT_SPENT: Final = re.compile(r"\bremaining=0+\s*(?:[,;]|$)")
_OLD_LIMIT_RESET: Final = re.compile(r"\breset=(\d+)\s*(?:[,;]|$)", re.ASCII)


def wait_in_headers(headers: Iterable[tuple[bytes, bytes]], *, now: float, with_limits: bool = True) -> float | None:
    """The wait that the headers of a failed answer state, in seconds, 0 or more and finite; None if they state none.

    A moment is taken relative to the answer's own Date, so that a clock that goes wrong on either side does not matter
    (RFC 9110 section 10.2.3). What asks for a wait goes before what only tells of a limit, and any wait before one of
    nothing.

    Args:
        headers: Names, in any case, and values, as they came: to decode all of an answer's takes longer than the rest.
        now: Unix time in seconds, for an answer without a Date.
        with_limits: Whether a rate limit that is spent is such a statement: many an answer tells of one by the way.
    """
    found: Final = list(headers)
    if _OF_A_WAIT.search(b"\n".join(map(_NAME, found))) is None:
        return None  # as most often: at once for all of them
    fields: Final = _fields(found)
    of_nothing: Final[list[float]] = []
    for name, read in _ASKING:
        asked = _sane(read(fields[name], fields, now)) if name in fields else None
        if asked:
            return asked
        if asked is not None:
            of_nothing.append(asked)
    return max([*of_nothing, *(_resets(fields, now) if with_limits else ())], default=None)


def _fields(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    fields: Final[dict[str, str]] = {}
    for raw_name, value in headers:
        if raw_name.lower() == _DATE or _OF_A_WAIT.search(raw_name):
            name = raw_name.decode("latin-1").lower()
            text = value[:_MAX_HEADER].decode("utf-8", "replace").strip()
            is_more = name == _LIST and name in fields
            fields[name] = f"{fields[name]}, {text}" if is_more else text
    return fields


def _resets(fields: Mapping[str, str], now: float) -> list[float]:
    """The seconds until each rate limit of which nothing remains is there again."""
    maybe_spent: Final = [
        name
        for name, value in fields.items()
        if ("remaining" in name and value[:1] in _MAY_BE_ZERO) or (name.endswith("-status") and value == _REJECTED)
    ]
    resets: Final = [wait for name in maybe_spent if (wait := _sane(_reset(name, fields, now))) is not None]
    if _LIST in fields:
        resets.extend(_structured_resets(fields[_LIST]))
    return resets


def wait_in_body(text: str) -> float | None:
    """The wait that the body of a failed answer states, in seconds, 0 or more and finite; None if it states none.

    Args:
        text: The body, or a message that quotes it.
    """
    searched: Final = text[:MAX_BODY]
    stated: Final = (read(found) for form, read in _IN_BODY if (found := form.search(searched)) is not None)
    seconds: Final = next((wait for wait in stated if wait is not None), None)
    if seconds is not None:
        return _sane(seconds)
    said: Final = _IN_WORDS.search(searched.lower())
    return None if said is None else _sane(_duration(said["wait"]))


def _google_delay(found: re.Match[str]) -> float | None:
    """A `google.protobuf.Duration` as text, which leaves out a part that is nothing."""
    seconds, nanoseconds = found["s"], found["ns"]
    return None if seconds is None and nanoseconds is None else float(seconds or 0) + float(nanoseconds or 0) * 1e-9


def _field(found: re.Match[str]) -> float:
    return float(found["number"]) / (1000 if found["ms"] else 1)


_IN_BODY: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], float | None]], ...]] = (
    (_IN_RETRY_INFO, lambda found: float(found[1])),
    (_IN_RETRY_DELAY, _google_delay),
    (_IN_FIELD, _field),
)
"""The forms for machines, which go before words."""


def longest_wait() -> float:
    """The seconds of `max_retry_after`. For what is no number above zero the log names the setting, and the default
    holds."""
    return _limit(str(safe_getattr(litellm, SETTING))[:_MAX_HEADER])


@lru_cache(maxsize=8)
def _limit(setting: str) -> float:
    if setting == "None":
        return DEFAULT_LIMIT
    limit: Final = _sane(_number(setting))
    if not limit:
        verbose_logger.warning("%s is no number above zero, so %.0f seconds hold: %s", SETTING, DEFAULT_LIMIT, setting)
    return limit or DEFAULT_LIMIT


Fields = Mapping[str, str]
Reader = Callable[[str, Fields, float], float | None]


def _milliseconds(text: str, fields: Fields, now: float) -> float | None:
    number: Final = _number(text)
    return None if number is None else number / 1000


def _retry_after(text: str, fields: Fields, now: float) -> float | None:
    """Seconds, or a date; a duration with units from those who do not know it. Of several lines' seconds, which may
    have been joined on the way (RFC 9110 section 5.3), the most."""
    seconds: Final = [_number(one.strip()) for one in text.split(",")]
    if None not in seconds:
        return max(filter(None, seconds), default=0.0)
    if _WHOLE_DURATION.fullmatch(text.lower()):
        return _duration(text.lower())
    moment: Final = _moment(text)
    return None if moment is None else moment - _clock(fields, now)


_ASKING: Final[tuple[tuple[str, Reader], ...]] = (
    ("retry-after-ms", _milliseconds),
    ("x-ms-retry-after-ms", _milliseconds),
    ("retry-after", _retry_after),
)
"""The most exact first."""


def _reset(name: str, fields: Fields, now: float) -> float | None:
    """The seconds until the limit is there again of which the field `name` tells how much is left, or that it rejects;
    None unless nothing is left. The field that tells the rest differs by one word: `x-ratelimit-remaining-tokens` and
    `x-ratelimit-reset-tokens`, `anthropic-ratelimit-tokens-remaining` and `anthropic-ratelimit-tokens-reset`."""
    left: Final = 0.0 if fields[name] == _REJECTED else _number(fields[name])
    reset: Final = fields.get(_TELLS_STATE.sub("reset", name))
    if left is None or left > 0 or reset is None:
        return None
    number: Final = _number(reset)
    if number is None or number < _FIRST_UNIX_TIME:
        return _retry_after(reset, fields, now)
    return (number / 1000 if number >= _FIRST_UNIX_MILLISECONDS else number) - _clock(fields, now)


def _structured_resets(text: str) -> Iterator[float]:
    """The seconds of each spent limit in a RateLimit field, as the IETF's draft has it since its eighth version, or
    before."""
    plain: Final = _QUOTED.sub("", text)
    for item in plain.split(","):
        reset = _LIMIT_RESET.search(item)
        if reset is not None and _LIMIT_SPENT.search(item):
            yield float(reset[1])
    old: Final = _OLD_LIMIT_RESET.search(plain)
    if old is not None and _OLD_LIMIT_SPENT.search(plain):
        yield float(old[1])


def _clock(fields: Fields, now: float) -> float:
    """The Unix time at which the provider answered, by its own clock if it says so."""
    date: Final = _moment(fields.get("date", ""))
    return now if date is None else date


def _moment(text: str) -> float | None:
    """The Unix time of a date as in HTTP (RFC 9110 section 5.6.7) or of ISO 8601 (RFC 3339); UTC if it has no zone."""
    iso: Final = _ISO_TIME.fullmatch(text)
    try:
        if iso is not None:
            day, time, fraction, zone = iso.groups()
            offset: Final = "+00:00" if zone is None or zone in "zZ" else zone
            return datetime.fromisoformat(f"{day}T{time}{offset}").timestamp() + float(fraction or 0)
        date: Final = parsedate_to_datetime(text)
        return (date if date.tzinfo is not None else date.replace(tzinfo=timezone.utc)).timestamp()
    except (ArithmeticError, LookupError, TypeError, ValueError):  # the parser fails in each of these ways
        return None


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _duration(text: str) -> float:
    return sum(float(number) * _UNITS[unit] for number, unit in _ONE_PART.findall(text))


def _sane(seconds: float | None) -> float | None:
    """A wait, None for what is none: a moment that has passed, or a number without an end."""
    return seconds if seconds is not None and seconds >= 0 and math.isfinite(seconds) else None
