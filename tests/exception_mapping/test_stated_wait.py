"""How long a provider asks to be left alone, by the forms its documentation has."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

import httpx
import litellm
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from litellm.litellm_core_utils.failure import Failure, FailureKind, failure_of, kept_failure
from litellm.litellm_core_utils.stated_wait import longest_wait, wait_in_body, wait_in_headers

from exception_mapping.failures import AnsweredError

NOW = 1_800_000_000.0
DATE = "Fri, 15 Jan 2027 08:00:00 GMT"
HOUR_OFF = "Fri, 15 Jan 2027 09:00:00 GMT"
"""The clock of a provider, at NOW."""

Headers = dict[str, str]

# Each row: the headers, the seconds they mean. The source is above each group.
HEADERS: list[tuple[Headers, float | None]] = [
    # RFC 9110 section 10.2.3: delay-seconds, or a date as in section 5.6.7.
    ({"retry-after": "120"}, 120),
    ({"retry-after": "0"}, 0),
    # A wait of nothing hides none that is stated otherwise.
    ({"retry-after-ms": "0", "retry-after": "3"}, 3),
    ({"retry-after": "0.0", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "9s"}, 9),
    ({"retry-after": "0", "ratelimit": '"default";r=0;t=0'}, 0),
    ({"retry-after": " 7 "}, 7),
    ({"retry-after": "+7"}, 7),
    # Section 5.3: what stands in several lines, here joined by a proxy on the way.
    ({"retry-after": "7, 7"}, 7),
    ({"retry-after": "2,9 , 0"}, 9),
    ({"retry-after": "7, soon"}, None),
    ({"retry-after": "7,"}, None),
    ({"date": DATE, "retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30),
    ({"date": DATE, "retry-after": "Friday, 15-Jan-27 08:00:30 GMT"}, 30),
    ({"date": DATE, "retry-after": "Fri Jan 15 08:00:30 2027"}, 30),
    ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30),
    ({"date": HOUR_OFF, "retry-after": "Fri, 15 Jan 2027 09:00:30 GMT"}, 30),
    ({"date": HOUR_OFF, "retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, None),
    ({"date": "yesterday", "retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30),
    # No standard, but sent: a fraction, a duration, a moment of RFC 3339.
    ({"retry-after": "1.5"}, 1.5),
    ({"retry-after": "30s"}, 30),
    ({"date": DATE, "retry-after": "2027-01-15T08:00:30Z"}, 30),
    # What is no wait.
    ({}, None),
    ({"retry-after": ""}, None),
    ({"retry-after": "-5"}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "inf"}, None),
    ({"retry-after": "1e999"}, None),
    ({"retry-after": "1_0"}, None),
    ({"retry-after": "٣"}, None),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "Fri, 15 Jan 2027 25:00:30 GMT"}, None),
    ({"retry-after": "Fri, 15 Jan 99999 08:00:30 GMT"}, None),
    ({"retry-after": "1000000000"}, 1e9),
    # https://learn.microsoft.com/azure/ai-foundry/openai/how-to/provisioned-throughput-onboarding: beside retry-after
    # stands retry-after-ms, the exact one.
    ({"retry-after-ms": "250"}, 0.25),
    ({"retry-after-ms": "1250.5", "retry-after": "2"}, 1.2505),
    ({"retry-after-ms": "soon", "retry-after": "2"}, 2),
    ({"retry-after-ms": "-1", "retry-after": "2"}, 2),
    # https://learn.microsoft.com/rest/api/cosmos-db/common-cosmosdb-rest-response-headers
    ({"x-ms-retry-after-ms": "4000"}, 4),
    # https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers: "1s", "6m0s".
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, 1),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "250ms"}, 0.25),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "845.3µs"}, 0.0008453),
    ({"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "6m0s"}, 360),
    ({"x-ratelimit-remaining-tokens": "0.5", "x-ratelimit-reset-tokens": "6m0s"}, None),
    ({"x-ratelimit-remaining-tokens": "1", "x-ratelimit-reset-tokens": "6m0s"}, None),
    ({"x-ratelimit-remaining-tokens": "", "x-ratelimit-reset-tokens": "6m0s"}, None),
    ({"x-ratelimit-remaining-tokens": "0"}, None),
    ({"x-ratelimit-reset-tokens": "6m0s"}, None),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-requests": "6m0s"}, None),
    ({"x-ratelimit-remaining-tokens": "none", "x-ratelimit-reset-tokens": "6m0s"}, None),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6 parsecs"}, None),
    (
        {
            "x-ratelimit-remaining-requests": "9",
            "x-ratelimit-reset-requests": "9h",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "2s",
        },
        2,
    ),
    (
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "2s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "7s",
        },
        7,
    ),
    ({"retry-after": "3", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 3),
    # https://console.groq.com/docs/rate-limits
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2m59.56s"}, 179.56),
    # https://inference-docs.cerebras.ai/support/rate-limits: seconds
    ({"x-ratelimit-remaining-requests-day": "0", "x-ratelimit-reset-requests-day": "33011.5"}, 33011.5),
    # https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api: Unix seconds
    ({"date": HOUR_OFF, "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1800003630"}, 30),
    # https://openrouter.ai/docs/api-reference/limits: Unix milliseconds
    ({"date": DATE, "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1800000030500"}, 30.5),
    ({"date": DATE, "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1000000000"}, None),
    # https://docs.anthropic.com/en/api/rate-limits#response-headers: RFC 3339
    (
        {
            "date": DATE,
            "anthropic-ratelimit-input-tokens-remaining": "0",
            "anthropic-ratelimit-input-tokens-reset": "2027-01-15T08:00:09Z",
            "anthropic-ratelimit-requests-remaining": "40",
            "anthropic-ratelimit-requests-reset": "2027-01-15T08:45:00Z",
        },
        9,
    ),
    (
        {
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2027-01-15T10:00:09+02:00",
        },
        9,
    ),
    (
        {
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2027-01-15 08:00:09.123456789z",
        },
        9.123456789,
    ),
    ({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:09"}, 9),
    (
        {"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "2027-02-31T08:00:09Z"},
        None,
    ),
    (
        {"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "2027-01-15T07:00:00Z"},
        None,
    ),
    # Of a subscription: Unix seconds, beside a status instead of what remains.
    (
        {
            "date": HOUR_OFF,
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-reset": "1800003630",
            "anthropic-ratelimit-unified-7d-status": "allowed",
            "anthropic-ratelimit-unified-7d-reset": "1800100000",
        },
        30,
    ),
    (
        {"anthropic-ratelimit-unified-status": "allowed_warning", "anthropic-ratelimit-unified-reset": "1800000030"},
        None,
    ),
    ({"anthropic-ratelimit-unified-status": "rejected"}, None),
    # draft-ietf-httpapi-ratelimit-headers-10 section 4: r is what remains, t the seconds until there is more
    ({"ratelimit": '"default";r=0;t=30'}, 30),
    ({"ratelimit": '"burst";r=0;t=5, "daily";r=0;t=50, "weekly";r=6;t=500'}, 50),
    ({"ratelimit": '"odd, ;r=0;t=9";r=5;t=30'}, None),
    ({"ratelimit": '"default";r=7;t=30'}, None),
    ({"ratelimit": '"default";r=0'}, None),
    ({"ratelimit": "default; t=30; r=0; pk=:c2VjcmV0:"}, 30),
    # its seventh version, and the first ones: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/07/
    ({"ratelimit": "limit=100, remaining=0, reset=50"}, 50),
    ({"ratelimit": "limit=100, remaining=10, reset=50"}, None),
    ({"ratelimit-limit": "100", "ratelimit-remaining": "0", "ratelimit-reset": "50"}, 50),
]

RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.074824224s"}
GOOGLE = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota. Please retry in 99s.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.Help"}, RETRY_INFO],
    }
}
OPENAI = "Rate limit reached for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Used 29900. "

BODIES: list[tuple[str, float | None]] = [
    # https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto (RetryInfo), whose duration is
    # in JSON as in https://protobuf.dev/reference/protobuf/google.protobuf/#duration
    (json.dumps(GOOGLE), 34.074824224),
    (json.dumps([GOOGLE], indent=2), 34.074824224),
    (json.dumps({"error": {"message": json.dumps(GOOGLE)}}), 34.074824224),
    (f"Error code: 429 - {GOOGLE}", 34.074824224),
    ('{"retryDelay": "0s"}', 0),
    ('{"retryDelay": "-3s"}', None),
    ('{"retryDelay": 3}', None),
    # The same as Google's client for gRPC prints it.
    ("429 Quota exceeded [violations {\n}\n, retry_delay {\n  seconds: 20\n  nanos: 500000000\n}\n]", 20.5),
    (json.dumps({"message": "Quota exceeded [retry_delay {\n  seconds: 20\n}\n]"}), 20),
    ("retry_delay {\n  nanos: 250000000\n}", 0.25),
    ("retry_delay {\n}", None),
    # https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors: retry_after
    ('{"status": 429, "retryable": true, "retry_after": 12}', 12),
    ('{"error": {"message": "Slow down", "retry_after": 1.5}}', 1.5),
    ("{'retryAfter': '3'}", 3),
    ('{"retry_after_seconds": 4}', 4),
    ('{"retry_after_ms": 250}', 0.25),
    ('{"retryAfterMs": 250}', 0.25),
    ('{"retry_after": null}', None),
    ('{"retry_after": "soon"}', None),
    ('{"retry_after": -2}', None),
    ('{"message": "The field retry_after is unknown", "code": 12}', None),
    # https://platform.openai.com/docs/guides/rate-limits, https://learn.microsoft.com/azure/ai-foundry/openai/quotas-limits
    (OPENAI + "Please try again in 6.5s. Visit https://platform.openai.com to learn more.", 6.5),
    (OPENAI + "Please try again in 20ms.", 0.02),
    (OPENAI + "Please try again in 7m12s.", 432),
    ("Requests have exceeded the call rate limit of your tier. Please retry after 26 seconds.", 26),
    ("Please wait 1 minute and 5 seconds.", 65),
    ("TRY AGAIN IN 2 HOURS, 3 MINUTES", 7380),
    ("Please try again in about 20 seconds.", 20),
    ("Try again later, in approximately 20 seconds.", 20),
    ("Please wait at least 5s before the next request.", 5),
    ("Your quota will reset after 5h30m10s.", 19810),
    ("The limit resets in 12 seconds.", 12),
    ("It has been reset 5 minutes ago.", None),
    ("Please try again in 9" + "9" * 400 + "s", None),
    ("Please try again in 20.", None),
    ("Please try again in 5 more tries.", None),
    ("Please try again later.", None),
    ("The stem is 6.5s.", None),
    ("", None),
]


def wait_in(headers: Headers, now: float = NOW, with_limits: bool = True) -> float | None:
    raw = [(name.encode(), value.encode("utf-8", "surrogatepass")) for name, value in headers.items()]
    return wait_in_headers(raw, now=now, with_limits=with_limits)


@pytest.mark.parametrize(("headers", "seconds"), HEADERS)
def test_headers_state_a_wait(headers: Headers, seconds: float | None) -> None:
    """The headers of an answer are read as their source says, in upper case too."""
    expected = None if seconds is None else pytest.approx(seconds, abs=1e-5)
    assert wait_in(headers) == expected
    assert wait_in({name.upper(): value for name, value in headers.items()}) == expected


@pytest.mark.parametrize(("body", "seconds"), BODIES)
def test_bodies_state_a_wait(body: str, seconds: float | None) -> None:
    """The words of a body, or Google's details in it, are read as their source says."""
    assert wait_in_body(body) == (None if seconds is None else pytest.approx(seconds))


def test_limits_can_be_left_out() -> None:
    """Where a failure does not pass, only what asks for a wait counts, and no limit that is told of by the way."""
    spent = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s", "ratelimit": '"a";r=0;t=5'}
    assert wait_in(spent, with_limits=False) is None
    assert wait_in({**spent, "retry-after": "3"}, with_limits=False) == 3


def test_limits_stand_in_several_lines() -> None:
    """Each line of a list tells of limits of its own (RFC 9651 section 3.1)."""
    lines = [(b"RateLimit", b'"burst";r=0;t=9'), (b"RateLimit", b'"daily";r=6;t=50')]
    assert wait_in_headers(lines, now=NOW) == wait_in_headers(lines[::-1], now=NOW) == 9


NAMES = st.sampled_from(
    [
        *("retry-after", "retry-after-ms", "x-ms-retry-after-ms", "date", "ratelimit"),
        *("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", "ratelimit-remaining", "ratelimit-reset"),
        *("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset", "x-id"),
    ]
)
STATED = [value for headers, _ in HEADERS for value in headers.values()]
VALUES = (
    st.text(max_size=300)
    | st.sampled_from(STATED)
    | st.floats().map(str)
    | st.integers().map(str)
    | st.lists(st.sampled_from([*STATED, " ", ";", ",", "-", "9" * 99]), max_size=4).map("".join)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from([body for body, _ in BODIES]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("retryDelay"), inner, max_size=3),
    max_leaves=12,
)


def is_sane(wait: float | None) -> bool:
    return wait is None or (math.isfinite(wait) and wait >= 0)


@given(headers=st.dictionaries(NAMES, VALUES), now=st.floats(0, 4e9))
@example(headers={"retry-after": "Mon, 01 Jan 0001 00:00:00 +2359"}, now=NOW)
@example(headers={"retry-after": "0001-01-01T00:00:00+23:59"}, now=NOW)
def test_any_header_is_read(headers: Headers, now: float) -> None:
    """Whatever the headers hold, the wait is none or a finite number from zero on, and names have no case."""
    wait = wait_in(headers, now)
    assert is_sane(wait)
    assert wait_in({name.title(): value for name, value in headers.items()}, now) == wait


@given(body=st.text() | JSON.map(json.dumps))
def test_any_body_is_read(body: str) -> None:
    """Whatever a body holds, the wait is none or a finite number from zero on."""
    assert is_sane(wait_in_body(body))


@given(
    headers=st.dictionaries(NAMES, VALUES), body=st.text() | JSON.map(json.dumps), kind=st.sampled_from([429, 503, 500])
)
def test_no_failure_exceeds_the_limit(headers: Headers, body: str, kind: int) -> None:
    """Whatever an answer states, its failure has no wait, or one from zero to an hour."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    failure = AnsweredError(kind, body)
    failure.response = httpx.Response(kind, headers=httpx.Headers(raw), text=body)
    wait = failure_of(failure).retry_after
    assert wait is None or 0 <= wait <= 3600


@pytest.mark.parametrize(
    ("setting", "seconds"),
    [
        (None, 3600),
        (60, 60),
        (0.5, 0.5),
        ("90", 90),
        (0, 3600),
        (-1, 3600),
        ("soon", 3600),
        (math.nan, 3600),
        (True, 3600),
    ],
)
def test_limit_is_a_setting(monkeypatch: pytest.MonkeyPatch, setting: Any, seconds: float) -> None:
    """`max_retry_after` is a number of seconds above zero, and an hour where it is none."""
    monkeypatch.setattr(litellm, "max_retry_after", setting, raising=False)
    assert longest_wait() == seconds


def mapped(status: int, body: str = "no", **headers: str) -> Exception:
    """What `exception_type` makes of an answer of OpenAI's."""
    original = AnsweredError(status, body, headers={name.replace("_", "-"): value for name, value in headers.items()})
    with pytest.raises(Exception) as raised:  # noqa: PT011
        litellm.exception_type(model="the-model", original_exception=original, custom_llm_provider="openai")
    return raised.value


def kept_on(error: Exception) -> Failure:
    kept = kept_failure(error)
    assert kept is not None
    return kept


@pytest.mark.parametrize("status", [429, 503, 500])
def test_longer_wait_is_shortened_and_logged(
    status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A wait of a day is kept for as long as the setting allows, and the log names both and the model, once."""
    monkeypatch.setattr(litellm, "max_retry_after", 600, raising=False)
    monkeypatch.setattr(logging.getLogger("LiteLLM"), "propagate", True)
    failure = kept_on(mapped(status, retry_after="86400"))
    assert (failure.retry_after, failure.asked_for) == (600, 86400)
    told = [record.getMessage() for record in caplog.records if "max_retry_after" in record.getMessage()]
    assert len(told) == 1
    assert all(word in told[0] for word in ("the-model", "openai", "86400", "600"))


def test_wait_within_the_limit_is_not_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said of a wait that is kept as it is."""
    monkeypatch.setattr(logging.getLogger("LiteLLM"), "propagate", True)
    failure = kept_on(mapped(429, retry_after="3600"))
    assert (failure.retry_after, failure.asked_for) == (3600, 3600)
    assert not [record for record in caplog.records if "max_retry_after" in record.getMessage()]


def test_rejected_request_quotes_a_wait() -> None:
    """What a 400 quotes, or tells of a limit by the way, is no wait; what it asks for by a header is."""
    words = "you sent: try again in 6.5s"
    spent = {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "9s"}
    rejected = kept_on(mapped(400, words, **spent))
    assert (rejected.kind, rejected.retry_after) == (FailureKind.REQUEST_REJECTED, None)
    assert kept_on(mapped(400, words, **spent, retry_after="4")).retry_after == 4
    assert kept_on(mapped(429, words, **spent)).retry_after == 9
    assert kept_on(mapped(429, words)).retry_after == 6.5


@pytest.mark.parametrize(("body", "seconds"), [("Please try again in 9s.", 9), ("no", 0)])
def test_zero_hides_no_words(body: str, seconds: float) -> None:
    """A header that asks for no wait does not hide the one in the body."""
    assert kept_on(mapped(429, body, retry_after="0")).retry_after == seconds
