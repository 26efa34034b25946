"""Which words of a message count where neither a status nor a transport error is known."""

from __future__ import annotations

import litellm
import pytest
from litellm.litellm_core_utils.failure import Basis, Failure, classify, failure_of
from litellm.litellm_core_utils.failure_evidence import FailureKind

from exception_mapping.failures import Failed, raised_from


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Rate limit exceeded. Retry in 6s.", FailureKind.RATE_LIMITED),
        ("Error code: 429", FailureKind.RATE_LIMITED),
        ("rate-limited", FailureKind.RATE_LIMITED),
        ("Too Many Requests", FailureKind.RATE_LIMITED),
        ("[Errno 111] Connection refused", FailureKind.UNREACHABLE),
        ("Cannot connect to host localhost:1", FailureKind.UNREACHABLE),
        ("[Errno -2] Name or service not known", FailureKind.UNREACHABLE),
        ("[Errno 104] Connection reset by peer", FailureKind.INTERRUPTED),
        ("Server disconnected without sending a response.", FailureKind.INTERRUPTED),
        ("Request timed out.", FailureKind.TIMED_OUT),
        ("Empty or invalid response from LLM endpoint", FailureKind.GARBLED),
        ("port 42900 is odd, 14299 too", FailureKind.INTERNAL),
        ("something else", FailureKind.INTERNAL),
        ("", FailureKind.INTERNAL),
    ],
)
def test_wording_counts_where_nothing_else_is_known(text: str, kind: FailureKind) -> None:
    """The wording decides where neither a status nor a transport error is known."""
    catch_all = litellm.APIConnectionError(message=text, llm_provider="x", model="m")
    assert [classify(failure) for failure in (Exception(text), catch_all, text)] == [kind] * 3


def test_first_matching_wording_counts() -> None:
    """The first row of the wording table that matches decides, whatever else the message quotes."""
    words = ["429", "connection refused", "connection reset", "timed out", "unable to get json response"]
    kinds = [
        FailureKind.RATE_LIMITED,
        FailureKind.UNREACHABLE,
        FailureKind.INTERRUPTED,
        FailureKind.TIMED_OUT,
        FailureKind.GARBLED,
    ]
    found = [classify(Failed(", ".join(reversed(words[start:])))) for start in range(len(words))]
    assert found == kinds


def test_the_outermost_words_count() -> None:
    """The outermost wording decides unless it is LiteLLM's own."""
    failure = raised_from(Failed("rate limit"), Failed("connection refused"))
    assert failure_of(failure) == Failure(FailureKind.RATE_LIMITED, None, Basis.WORDING)
    catch_all = litellm.APIConnectionError(message="connection reset", llm_provider="x", model="m")
    assert classify(raised_from(catch_all, failure)) is FailureKind.RATE_LIMITED


@pytest.mark.parametrize("bug", [KeyError, TypeError, AttributeError, ValueError, IndexError, AssertionError])
def test_a_bug_is_internal_whatever_it_quotes(bug: type[Exception]) -> None:
    """A bug's exception is internal whatever it quotes, also inside LiteLLM's catch-all."""
    words = "429 rate limit, connection refused, timed out"
    catch_all = litellm.APIConnectionError(message=words, llm_provider="x", model="m")
    assert classify(bug(words)) is FailureKind.INTERNAL
    assert classify(raised_from(catch_all, bug(words))) is FailureKind.INTERNAL


@pytest.mark.parametrize("module", ["aaa.errors", "builtins.errors", "zzz.errors"])
@pytest.mark.parametrize("base", [Exception, RuntimeError, ValueError])
def test_derived_class_wording_counts(module: str, base: type[Exception]) -> None:
    """The wording of a provider's class counts even if it is derived from ValueError."""
    assert classify(type("Failed", (base,), {"__module__": module})("Request timed out.")) is FailureKind.TIMED_OUT


@pytest.mark.parametrize("kind", [Exception, RuntimeError, OSError, BaseException])
def test_pythons_general_classes_are_no_bugs(kind: type[BaseException]) -> None:
    """The wording of Python's general exceptions, such as RuntimeError and OSError, counts."""
    assert classify(kind("Request timed out.")) is FailureKind.TIMED_OUT


def test_traceback_line_number_is_ignored() -> None:
    """Line 429 of a traceback that LiteLLM appended to a message is no rate limit."""
    trace = 'Traceback (most recent call last):\n  File "main.py", line 429, in completion'
    failure = litellm.APIConnectionError(message=f"'choices'\n{trace}", llm_provider="x", model="m")
    assert classify(failure) is FailureKind.INTERNAL


def test_non_text_message_is_ignored() -> None:
    """A `message` that is no text is ignored, and the exception's own text is read."""
    assert classify(Failed("Request timed out.", message=7)) is FailureKind.TIMED_OUT
    assert classify(Failed("Request timed out.", message="Connection refused")) is FailureKind.UNREACHABLE


def test_long_message_is_read_partially() -> None:
    """Only the first 4000 characters of a message are searched for its wording."""
    assert classify(Exception("x" * 3000 + " rate limit " + "x" * 1_000_000)) is FailureKind.RATE_LIMITED
    assert classify(Exception("x" * 1_000_000 + " rate limit")) is FailureKind.INTERNAL


def test_words_too_far_on_are_not_read() -> None:
    """Wording that is too far into a long message is not read."""
    assert classify(Failed(" " * 1000 + "rate limit")) is FailureKind.RATE_LIMITED
    assert classify(Failed(" " * 100_000 + "rate limit")) is FailureKind.INTERNAL
