"""Which words the caller is told: the provider's where it answered, else the policy's."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import litellm
import pytest
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.proxy.failover_errors.response import client_response
from litellm.router_utils.failover.policy import POLICY, Retry
from litellm.router_utils.failover.retry_state import FailedAttempt

from exception_mapping.expectations import mapped
from support.answers import HOST, after, answer_at, attempt, from_provider, raised_while_handling, told, without_answer


@pytest.mark.parametrize(
    "body",
    [
        '{"type": "error", "error": {"type": "overloaded_error", "message": "Not now: it\'s late."}}',
        '{"error": {"code": 503, "message": "Not now: it\'s late.", "status": "UNAVAILABLE"}}',
        '{"error": "Not now: it\'s late."}',
        '{"message": "Not now: it\'s late."}',
        '{"detail": {"message": "Not now: it\'s late."}}',
        '{"Message": "Not now: it\'s late."}',
    ],
)
@pytest.mark.parametrize("form", [str, lambda body: str(body.encode()), lambda body: str(json.loads(body))])
def test_json_and_bytes_become_the_words_in_them(body: str, form: Any) -> None:
    """JSON, bytes and dicts become the words in them, and what stands around them stays."""
    message = told(from_provider(503, f"before {form(body)} after")).message
    assert "before Not now: it's late. after" in message
    bare = client_response(BaseLLMException(503, form(body)), of_stream=True)
    assert bare is not None
    assert bare.message == "Not now: it's late."


@pytest.mark.parametrize(
    "words", ["{not json", '{"no": "message"}', "{a_name}", "{{}}", "b'\\xZZ'", "b'\ud800'", "{}", "a } b", "b''"]
)
def test_other_braces_and_quotes_stay(words: str) -> None:
    """Braces and quotes that are no JSON with a message stay as the provider wrote them."""
    assert words.replace("b''", "") in told(from_provider(503, words)).message


@pytest.mark.parametrize("said", ['{"error":' * 5000 + "1" + "}" * 5000, '{"a":' + "[" * 5000, "{" + "-" * 3000 + "1}"])
def test_deeply_nested_json_stays(said: str) -> None:
    """JSON that is nested too deeply to be read stays in the message."""
    assert said in told(from_provider(503, said)).message


def test_long_page_search_is_bounded() -> None:
    """A long page with thousands of braces is not searched for a dict to its end."""
    page = "{color: red}" * 10_000
    began = time.process_time()
    assert page in told(from_provider(503, page)).message
    assert time.process_time() - began < 1


def test_dict_after_long_page_is_read() -> None:
    """A dict behind a long page becomes the words in it."""
    assert told(from_provider(503, "x" * 4000 + "{'message': 'Not now.'}")).message.endswith("xNot now.")


def test_lone_surrogate_is_replaced() -> None:
    """Half a character in the provider's words is replaced, so that the caller gets the answer."""
    answer = answer_at("/v1/embeddings", raised_while_handling(from_provider(400, '{"error": "Bad input: \\ud83d"}')))
    assert "Bad input: ?" in json.loads(bytes(answer.body))["error"]["message"]


@pytest.mark.parametrize(
    "kind", [one for one in FailureKind if POLICY[one].retry not in (Retry.NOWHERE, Retry.AS_TODAY)]
)
def test_silent_failure_gets_own_words(kind: FailureKind) -> None:
    """Where the provider said nothing the answer has words of ours, without hosts, and the attempts."""
    message = told(after(ValueError(f"http://{HOST}:8000"), attempt(kind))).message
    assert HOST not in message
    assert message.endswith(f"\nAttempts that failed: a-group, deployment an-id: {kind.value}")


def test_rate_limit_words_are_repeated() -> None:
    """The provider's words with a rate limit are repeated whatever its status, as Bedrock throttles with 400."""
    failure = mapped(BaseLLMException(400, "ThrottlingException: three a minute"), "bedrock")
    assert isinstance(failure, Exception)
    response = told(failure)
    assert response.status_code == 429
    assert "three a minute" in response.message


@pytest.mark.parametrize("status", [204, 302, 399])
def test_non_error_words_are_dropped(status: int) -> None:
    """The words of an answer that is no error are not repeated."""
    assert told(from_provider(status, "Welcome!")).message == "The provider's answer cannot be read."


def test_transport_error_words_are_dropped() -> None:
    """Where the provider did not answer, what LiteLLM says is not repeated, with or without attempts."""
    failure = without_answer(httpx.ConnectError(f"to {HOST}"))
    assert told(failure).message == "The provider cannot be reached."
    assert HOST not in told(after(failure, attempt(FailureKind.UNREACHABLE))).message


def test_attempts_are_hidden_by_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts are not listed where the user's setting hides the router's details."""
    monkeypatch.setattr(litellm, "expose_router_debug_in_errors", False, raising=False)
    message = told(after(ValueError("x"), attempt(FailureKind.UNREACHABLE))).message
    assert message == "The provider cannot be reached."


@pytest.mark.parametrize(
    ("raised", "decisive", "told_of"),
    [
        (429, attempt(FailureKind.RATE_LIMITED, 429), "As 429."),
        (429, attempt(FailureKind.UNAVAILABLE, 503), "The provider is unavailable."),
        (503, attempt(FailureKind.RATE_LIMITED, 429), "The provider's rate limit is reached."),
        (501, attempt(FailureKind.SERVER_ERROR, 500), "The provider failed."),
        (500, attempt(FailureKind.SERVER_ERROR, 501), "The provider failed."),
    ],
)
def test_the_words_are_of_the_failure_that_decides(raised: int, decisive: FailedAttempt, told_of: str) -> None:
    """The answer repeats what the router raised only where that is the failure that decides."""
    message = told(after(from_provider(raised, f"As {raised}."), decisive)).message
    assert told_of in message
    assert (f"As {raised}." in message) == (told_of == f"As {raised}.")
