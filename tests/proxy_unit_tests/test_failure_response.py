"""What the proxy's caller is told follows from the failure's signal and from what was tried, in one place."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import json
import logging
import string
import time
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import httpx
import litellm
import pytest
from fastapi import Request
from fastapi.responses import JSONResponse
from hypothesis import given
from hypothesis import strategies as st
from litellm import _logging
from litellm.litellm_core_utils import known_credentials
from litellm.litellm_core_utils.failure_signal import FailureSignal
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.proxy._types import ProxyException
from litellm.proxy.common_utils.provider_errors import answering_by_the_policy, in_band_error, restate
from litellm.router_utils.failover_attempts import FailedAttempt
from litellm.router_utils.failover_policy import POLICY, Retry
from litellm.router_utils.failure_response import as_told, caller_status, response_to
from litellm.types.router import RouterRateLimitError

from exception_mapping.expectations import mapped
from support.routing import deployment, routed

MODEL = "the-model"
SECRET = "correct horse battery staple"
HOST = "llm.internal.example"


def as_mapped(failure: Exception) -> Exception:
    error = mapped(failure, "hosted_vllm")
    assert isinstance(error, Exception)
    return error


def from_provider(status: int, message: str = "no", **headers: str) -> Exception:
    """As exception_type() makes it of a provider's answer."""
    failure = BaseLLMException(status_code=status, message=message, headers=httpx.Headers(headers))
    return as_mapped(failure)


def without_answer(cause: Exception) -> Exception:
    """As exception_type() makes it of a transport's error."""
    return as_mapped(cause)


def after(failure: Exception, *attempts: FailedAttempt) -> Exception:
    """`failure`, which the router raised in the end."""
    failure.failed_attempts = attempts  # type: ignore[attr-defined]
    return failure


def attempt(signal: FailureSignal, status: int | None = None, retry_after: int | None = None) -> FailedAttempt:
    return FailedAttempt("an-id", "a-group", signal, status, retry_after)


def as_litellm_answers(failure: Exception, **more: Any) -> ProxyException:
    """What the proxy turns a failure into without this branch."""
    status = getattr(failure, "status_code", 500)
    return ProxyException(getattr(failure, "message", str(failure)), "None", "None", status, **more)


def told(failure: Exception) -> Any:
    response = response_to(failure)
    assert response is not None
    return response


# --- the status


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((code, code) for code in (400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 500, 501, 502, 503, 529)),
        *((code, 504) for code in (504, 522, 524)),
    ],
)
def test_the_providers_status_is_the_callers(status: int, expected: int) -> None:
    """The caller gets the provider's status, but for the time-outs that a content network has codes of its own for."""
    assert told(from_provider(status)).status_code == expected


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (httpx.ConnectError("All connection attempts failed"), 502),
        (httpx.ReadError("reset"), 502),
        (httpx.RemoteProtocolError("Server disconnected"), 502),
        (httpx.DecodingError("broken"), 502),
        (httpx.ReadTimeout("slow"), 504),
        (litellm.Timeout("slow", MODEL, "hosted_vllm"), 504),
    ],
)
def test_unanswered_request_is_502_or_504(cause: Exception, expected: int) -> None:
    """Without an answer the caller gets 502, or 504 after a time-out (RFC 9110, sections 15.6.3 and 15.6.5)."""
    assert told(without_answer(cause)).status_code == expected


@given(signal=st.sampled_from(FailureSignal), status=st.none() | st.integers(400, 599))
def test_a_status_for_every_signal(signal: FailureSignal, status: int | None) -> None:
    """A signal has the table's status where that has one, else the provider's, else 500, and 408 stays 408."""
    expected = POLICY[signal].caller_status or status or 500
    if signal is FailureSignal.TIMED_OUT and status == 408:
        expected = 408
    assert caller_status(signal, status) == expected


@pytest.mark.parametrize(
    ("own", "expected"), [(400, 400), (422, 422), (599, 599), (399, 500), (600, 500), (None, 500), ("400", 500)]
)
def test_litellm_status_without_provider_status(own: object, expected: int) -> None:
    """Where no provider gave a status the caller gets LiteLLM's if it is an error's, else 500."""
    failure = as_mapped(litellm.ContextWindowExceededError("Too long.", MODEL, "hosted_vllm"))
    failure.status_code = own  # type: ignore[attr-defined]
    assert told(failure).status_code == expected


# --- after several attempts


def test_shortest_retry_after_wins() -> None:
    """A request that was rate-limited everywhere gets 429 with the shortest wait."""
    attempts = [attempt(FailureSignal.RATE_LIMITED, 429, wait) for wait in (30, 7, None)]
    response = told(after(from_provider(429), *attempts))
    assert (response.status_code, response.retry_after) == (429, 7)


def test_the_last_deployment_to_blame_decides() -> None:
    """The last deployment to blame decides the status, with its own Retry-After and not another's."""
    attempts = [attempt(FailureSignal.RATE_LIMITED, 429, 7), attempt(FailureSignal.UNAVAILABLE, 503, 40)]
    response = told(after(from_provider(429), *attempts))
    assert (response.status_code, response.retry_after) == (503, 40)
    response = told(after(from_provider(503), *reversed(attempts), attempt(FailureSignal.UNREACHABLE)))
    assert (response.status_code, response.retry_after) == (502, None)


def test_what_another_group_rejected_is_not_the_answer() -> None:
    """A rejection by another group is not the answer where the first group was down."""
    attempts = [attempt(FailureSignal.UNAVAILABLE, 503), attempt(FailureSignal.REQUEST_REJECTED, 400)]
    assert told(after(from_provider(503), *attempts)).status_code == 503


def test_rejection_reason_wins() -> None:
    """A rejected request gets the reason, whatever happened before."""
    attempts = [attempt(FailureSignal.UNREACHABLE), attempt(FailureSignal.REQUEST_REJECTED, 400)]
    response = told(after(from_provider(400, "No such parameter: temprature"), *attempts))
    assert response.status_code == 400
    assert "No such parameter: temprature" in response.message


def test_cooling_group_tells_retry_after() -> None:
    """A group that is cooling down answers 429 with its wait in whole seconds, rounded up (#2487)."""
    failure = RouterRateLimitError(MODEL, cooldown_time=4.2, enable_pre_call_checks=False, cooldown_list=["an-id"])
    assert told(failure)[:3] == (429, "No deployments available for selected model, try again in 5 seconds.", 5)
    failure.cooldown_time = 0
    assert told(failure)[:3] == (429, "No deployments available for selected model.", None)


def test_attempts_outweigh_cooldown() -> None:
    """A request that found the last deployment dead is told of that, not of the cooldown that followed."""
    failure = RouterRateLimitError(MODEL, cooldown_time=5, enable_pre_call_checks=False, cooldown_list=[])
    assert told(after(failure, attempt(FailureSignal.UNREACHABLE))).status_code == 502


@pytest.mark.parametrize(
    ("raised", "decisive", "told_of"),
    [
        (429, attempt(FailureSignal.RATE_LIMITED, 429), "As 429."),
        (429, attempt(FailureSignal.UNAVAILABLE, 503), "The provider is unavailable."),
        (503, attempt(FailureSignal.RATE_LIMITED, 429), "The provider's rate limit is reached."),
        (501, attempt(FailureSignal.SERVER_ERROR, 500), "The provider failed."),
        (500, attempt(FailureSignal.SERVER_ERROR, 501), "The provider failed."),
    ],
)
def test_the_words_are_of_the_failure_that_decides(raised: int, decisive: FailedAttempt, told_of: str) -> None:
    """The answer repeats what the router raised only where that is the failure that decides."""
    message = told(after(from_provider(raised, f"As {raised}."), decisive)).message
    assert told_of in message
    assert (f"As {raised}." in message) == (told_of == f"As {raised}.")


# --- what stays as it is


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("a guardrail's"),
        BaseLLMException(status_code=429, message="not from the router"),
        ProxyException("Invalid proxy server token", "auth_error", "key", 401),
        without_answer(KeyError("choices")),
        after(ValueError("a hook's, before any attempt")),
    ],
)
def test_an_error_of_the_proxys_own_stays(failure: Exception) -> None:
    """An error of the proxy's own, which no attempt led to, stays as it is."""
    assert response_to(failure) is None
    before = as_litellm_answers(failure)
    assert vars(restate(as_litellm_answers(failure), failure)) == vars(before)


def test_what_a_hook_put_in_its_place_stays() -> None:
    """An answer that a hook put in place of the failure keeps its words and its status."""
    for failure in (from_provider(503), httpx.ReadTimeout("")):
        answer = ProxyException("We are closed.", "closed", None, 418)
        assert restate(answer, failure, of_stream=True).code == "418"


@pytest.mark.parametrize("traceback", ["", "\n\nTraceback (most recent call last):"])
def test_a_failure_without_words_is_restated(traceback: str) -> None:
    """A failure without words is restated, also where a release appends a traceback."""
    answer = ProxyException(traceback, "None", "None", 500)
    assert restate(answer, httpx.ReadTimeout(""), of_stream=True).code == "504"


@pytest.mark.parametrize("failure", [None, KeyboardInterrupt(), "text"])
def test_nothing_is_made_of_no_failure(failure: object) -> None:
    """An error that was raised from no exception keeps its status."""
    assert restate(ProxyException("m", "t", None, 403), failure).code == "403"


@pytest.mark.parametrize(
    "wrap",
    [answering_by_the_policy, known_credentials.redacting_known_credentials, known_credentials.remembering_credentials],
)
def test_wrapper_keeps_name_and_docstring(wrap: Callable[..., Any]) -> None:
    """A wrapped function keeps its name and its docstring."""

    def original() -> None:
        """What it does."""

    wrapped = wrap(original)
    assert (wrapped.__name__, wrapped.__doc__) == ("original", "What it does.")


# --- the answer

# The proxy takes out of what it says what looks like a secret or, in newer releases, like a host or a path.
REDACTIONS = {
    "nothing": str,
    "secrets": _logging._redact_string,
    "details": getattr(_logging, "redact_internal_details_from_client_message", str),
    "an AttributeError": "Invalid request format: {}".format,
}


@pytest.mark.parametrize("redaction", REDACTIONS)
def test_proxy_error_matches_failure_words(redaction: str) -> None:
    """The proxy's error is known by the failure's words, redacted or not."""
    failure = from_provider(503, "Ask Bearer abcdefghijklmnopqrstuvwxyz at /home/op/models on llm.internal:8000.")
    failure.num_retries = 2  # type: ignore[attr-defined]
    answer = as_litellm_answers(failure)
    answer.message = REDACTIONS[redaction](answer.message)
    assert restate(answer, failure).type == "server_error"


def test_proxy_error_matches_failure_text() -> None:
    """The proxy's error is known by the text of a failure that has no `message`."""
    failure = after(ValueError("refused"), attempt(FailureSignal.UNREACHABLE))
    assert restate(as_litellm_answers(failure), failure).code == "502"


def test_a_release_that_redacts_less_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a release that has no function to redact details a hook's answer stays, too."""
    monkeypatch.delattr(_logging, "redact_internal_details_from_client_message", raising=False)
    assert restate(ProxyException("We are closed.", "closed", None, 418), from_provider(503)).code == "418"


def test_the_answer_in_openais_format() -> None:
    """An answer in OpenAI's format has status and type, null for a missing param, and one Retry-After."""
    failure = from_provider(429, "Slow down.", **{"retry-after": "6"})
    headers = {"Retry-After": "60", "x-litellm-call-id": "1", "llm_provider-date": "today"}
    answer = restate(as_litellm_answers(failure, headers=headers), failure)
    assert answer.headers == {"x-litellm-call-id": "1", "llm_provider-date": "today", "retry-after": "6"}
    assert answer.to_dict() == {
        "message": answer.message,
        "type": "rate_limit_error",
        "param": None,
        "code": "429",
    }
    assert "Slow down." in answer.message


def test_the_answers_words_are_the_policys() -> None:
    """The answer and its text in the log are both in the policy's words."""
    failure = without_answer(httpx.ConnectError(f"to {HOST}"))
    answer = restate(as_litellm_answers(failure), failure)
    assert (answer.message, str(answer)) == ("The provider cannot be reached.",) * 2


@pytest.mark.parametrize("param", ["Instances", "temperature"])
def test_the_parameter_a_provider_named_is_the_answers(param: str) -> None:
    """The parameter that a provider named is the answer's."""
    failure = from_provider(400)
    answer = as_litellm_answers(failure)
    answer.param = param
    assert restate(answer, failure).param == param


@pytest.mark.parametrize(
    ("status", "openai", "anthropic"),
    [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "authentication_error", "authentication_error"),
        (402, "insufficient_quota", "billing_error"),
        (403, "permission_error", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (413, "invalid_request_error", "request_too_large"),
        (422, "invalid_request_error", "invalid_request_error"),
        (429, "rate_limit_error", "rate_limit_error"),
        (499, "invalid_request_error", "api_error"),
        (500, "server_error", "api_error"),
        (503, "server_error", "api_error"),
        (504, "server_error", "timeout_error"),
        (529, "server_error", "overloaded_error"),
    ],
)
def test_the_type_is_the_statuss_in_each_taxonomy(status: int, openai: str, anthropic: str) -> None:
    """The type of an error follows from its status in OpenAI's taxonomy and in Anthropic's."""
    failure = from_provider(status)
    answer = restate(as_litellm_answers(failure), failure)
    assert answer.type == openai
    assert body_at("/v1/messages", answer)["error"]["type"] == anthropic


def request_to(path: str) -> Request:
    return Request({"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""})


@answering_by_the_policy
async def proxys_handler(request: Request, exc: ProxyException) -> JSONResponse:
    """As the proxy answers without this branch."""
    return JSONResponse({"error": exc.to_dict()}, int(exc.code), exc.headers)


def answer_at(path: str, exc: ProxyException) -> JSONResponse:
    return asyncio.run(proxys_handler(request_to(path), exc))


def body_at(path: str, exc: ProxyException) -> Any:
    return json.loads(bytes(answer_at(path, exc).body))


def raised_while_handling(failure: Exception) -> ProxyException:
    """The proxy raises its own error where it caught the failure."""
    answer = as_litellm_answers(failure)
    answer.__context__ = failure
    return answer


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", "/openai/deployments/m/chat/completions"])
def test_handler_restates_error_context(path: str) -> None:
    """The handler restates the failure that the proxy's error was raised from, whatever the route."""
    answer = answer_at(path, raised_while_handling(without_answer(httpx.ConnectError("refused"))))
    assert answer.status_code == 502
    assert json.loads(bytes(answer.body))["error"]["type"] == "server_error"


@pytest.mark.parametrize("path", ["/v1/messages", "/anthropic/v1/messages", "/v1/messages/count_tokens"])
def test_anthropics_route_answers_in_anthropics_format(path: str) -> None:
    """Anthropic's routes answer in Anthropic's format, with the length of the new body."""
    error = raised_while_handling(from_provider(529, "Overloaded.", **{"retry-after": "3"}))
    error.headers = {"cache-control": "no-store"}
    answer = answer_at(path, error)
    body = json.loads(bytes(answer.body))
    assert body == {"type": "error", "error": {"type": "overloaded_error", "message": body["error"]["message"]}}
    assert (answer.status_code, answer.headers["retry-after"]) == (529, "3")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-length"] == str(len(bytes(answer.body)))


def test_proxy_error_in_anthropic_format() -> None:
    """On Anthropic's route the proxy's own error is in Anthropic's format, too."""
    error = ProxyException("Invalid proxy server token", "auth_error", "key", 401, provider_specific_fields={"a": 1})
    assert body_at("/v1/messages", error) == {
        "type": "error",
        "error": {
            "type": "authentication_error",
            "message": "Invalid proxy server token",
            "provider_specific_fields": {"a": 1},
        },
    }


def test_broken_stream_ends_with_error_event() -> None:
    """A stream that has begun ends with an error event in the format of its route."""
    failure = without_answer(httpx.ReadError("reset"))
    error = restate(as_litellm_answers(failure), failure)
    assert in_band_error(error, {}) == f"data: {json.dumps({'error': error.to_dict()})}\n\n"
    url = "http://gateway:4000/v1/messages?beta=true"
    name, _, data = in_band_error(error, {"proxy_server_request": {"url": url}}).partition("\n")
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: ")) == {
        "type": "error",
        "error": {"type": "api_error", "message": error.message},
    }


def test_unmapped_stream_failure_is_restated() -> None:
    """An exception of an HTTP client's that a stream raises is told as any other failure."""
    error = as_told(httpx.ReadError(f"reset by {HOST}"))
    assert isinstance(error, BaseLLMException)
    assert (error.status_code, error.message) == (502, "The connection to the provider broke off.")
    request = httpx.Request("POST", "http://127.0.0.1:9")
    refusal = httpx.HTTPStatusError("No such voice.", request=request, response=httpx.Response(422, request=request))
    error = as_told(refusal)
    assert isinstance(error, BaseLLMException)
    assert (error.status_code, error.message) == (422, "No such voice.")


def test_stream_bug_is_unchanged() -> None:
    """A bug in the code of a stream is not the provider's, and is raised as it is."""
    bug = KeyError("choices")
    assert as_told(bug) is bug


def test_error_without_status_is_api_error() -> None:
    """An error without a status is an api_error in Anthropic's format."""
    event = in_band_error(ProxyException("m", "t", None), {"proxy_server_request": {"url": "/v1/messages"}})
    assert '"type": "api_error"' in event


# --- the words


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
    bare = response_to(BaseLLMException(503, form(body)), of_stream=True)
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
    "signal", [one for one in FailureSignal if POLICY[one].retry not in (Retry.NOWHERE, Retry.AS_TODAY)]
)
def test_silent_failure_gets_own_words(signal: FailureSignal) -> None:
    """Where the provider said nothing the answer has words of ours, without hosts, and the attempts."""
    message = told(after(ValueError(f"http://{HOST}:8000"), attempt(signal))).message
    assert HOST not in message
    assert message.endswith(f"\nAttempts that failed: a-group, deployment an-id: {signal.value}")


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
    assert HOST not in told(after(failure, attempt(FailureSignal.UNREACHABLE))).message


def test_attempts_are_hidden_by_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts are not listed where the user's setting hides the router's details."""
    monkeypatch.setattr(litellm, "expose_router_debug_in_errors", False, raising=False)
    message = told(after(ValueError("x"), attempt(FailureSignal.UNREACHABLE))).message
    assert message == "The provider cannot be reached."


# --- nothing secret


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test makes known is known to itself only."""
    monkeypatch.setattr(known_credentials, "_known", set())


@pytest.fixture
def deployments() -> Iterator[list[dict[str, Any]]]:
    """The proxy's deployments, to be filled."""
    model_list: list[dict[str, Any]] = []
    server = SimpleNamespace(llm_router=SimpleNamespace(model_list=model_list))
    with mock.patch("litellm.litellm_core_utils.message_for_callers._proxy_server", return_value=server):
        yield model_list


PARAMS: list[dict[str, Any]] = [
    {"api_key": SECRET},
    {"aws_secret_access_key": SECRET},
    {"vertex_credentials": SECRET},
    {"azure_ad_token": SECRET},
    {"azure_password": SECRET},
    {"extra_headers": {"Authorization": SECRET}},
    {"extra_body": {"nested": {"client_secret": SECRET}}},
]


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("params", PARAMS, ids=lambda params: next(iter(params)))
def test_a_deployments_credential_is_taken_out(params: dict[str, Any]) -> None:
    """A deployment's credential of any shape is taken out of what callers are told and of the log."""
    alone = deployment("a", "openai", "http://127.0.0.1:9")
    alone["litellm_params"].update(params)
    with routed([alone]):
        message = told(from_provider(401, f"no such key:{SECRET}!")).message
        record = logging.LogRecord("litellm", logging.ERROR, "file", 1, "no such %s", (SECRET,), None)
        assert _logging.SecretRedactionFilter().filter(record)
    assert SECRET not in message
    assert "no such key:REDACTED!" in message
    assert record.getMessage() == "no such REDACTED"


@pytest.mark.usefixtures("known")
def test_credential_name_and_length() -> None:
    """A setting is a credential by its name, and by a value long enough not to occur by chance."""
    params = {"model": "gpt-4o-mini", "a_key": "sesame7", "b_key": "sesame-8", "max_tokens": 12345678}
    known_credentials.remember_credentials(params)
    message = told(from_provider(401, "gpt-4o-mini has sesame7, sesame-8, 12345678")).message
    assert "gpt-4o-mini has sesame7, REDACTED, 12345678" in message


@pytest.mark.usefixtures("known")
def test_credential_added_during_redaction() -> None:
    """A deployment may be added by another thread while a text is redacted."""

    class Text(str):
        def __contains__(self, credential: object) -> bool:
            known_credentials.remember_credentials({"api_key": f"{SECRET} {next(numbers)}"})
            return super().__contains__(credential)  # type: ignore[operator]

    numbers = itertools.count()
    known_credentials.remember_credentials({"a_key": SECRET, "b_key": SECRET[::-1]})
    assert known_credentials.redacting_known_credentials(str)(Text(f"key {SECRET}.")) == "key REDACTED."


@pytest.mark.usefixtures("known")
def test_a_credential_within_another_leaves_none_of_it() -> None:
    """Of a credential that contains another one nothing is left, since the longer one goes first."""
    known_credentials.remember_credentials({"a_key": SECRET, "b_key": f"{SECRET}-of-the-team"})
    assert "key REDACTED." in told(from_provider(401, f"key {SECRET}-of-the-team.")).message


@pytest.mark.parametrize(
    ("switch", "shown"),
    [("", "REDACTED"), ("false", "REDACTED"), ("yes", "REDACTED"), ("true", SECRET), ("True", SECRET)],
)
def test_the_environments_credentials_are_known_from_the_start(
    switch: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials in the environment are redacted from the start, unless LiteLLM's redaction is switched off."""
    monkeypatch.setenv("SOME_PROVIDER_API_KEY", SECRET)
    monkeypatch.setenv("LITELLM_DISABLE_REDACT_SECRETS", switch)
    redact = imported_anew(known_credentials).redacting_known_credentials(str)
    assert redact(f"no such key: {SECRET}") == f"no such key: {shown}"


def imported_anew(module: ModuleType) -> Any:
    """A copy of `module`, which has looked at the environment as it is now."""
    assert module.__spec__ is not None
    assert module.__spec__.loader is not None
    copy = importlib.util.module_from_spec(module.__spec__)
    module.__spec__.loader.exec_module(copy)
    return copy


@pytest.mark.parametrize("setting", ["api_base", "base_url"])
@pytest.mark.parametrize(
    ("url", "said", "left"),
    [
        (f"https://{HOST}/v1", f"for url https://{HOST}/v1/chat", "for url https:REDACTED/v1/chat"),
        (f"https://{HOST.upper()}/v1", f"for url https://{HOST.upper()}/v1", "for url https:REDACTED/v1"),
        (f"http://{HOST}:8000", f"connect to {HOST}:8000 failed", "connect to REDACTED failed"),
        ("http://ollama:11434", "Ollama at ollama:11434, says ollama", "Ollama at REDACTED, says ollama"),
        ("http://[not a url", "for url http://[not a url", "for url http://[not a url"),
    ],
)
def test_a_deployments_host_is_taken_out(
    deployments: list[dict[str, Any]], setting: str, url: str, said: str, left: str
) -> None:
    """A deployment's host is taken out of addresses, and a word that is a host's name as well stays."""
    deployments.append({"litellm_params": {setting: url, "model": "ollama/x"}})
    assert left in told(from_provider(500, said)).message


@given(
    name=st.text(string.ascii_lowercase, min_size=1),
    password=st.text(string.ascii_letters + string.digits + "%-._~!$&'()*+,;=", min_size=1),
)
def test_credentials_in_a_url_are_taken_out(name: str, password: str) -> None:
    """Credentials in a URL are taken out, whosever they are (RFC 3986, section 3.2.1)."""
    message = told(from_provider(500, f"at https://{name}:{password}@proxy.example/x")).message
    assert f"{name}:{password}@" not in message


SHAPES = {
    "openai": "sk-{}",
    "anthropic": "sk-ant-api03-{}",
    "google": "AIza{}",
    "bearer": "Authorization: Bearer {}",
    "header": "x-api-key: {}",
    "query": "api_key={}",
}


@given(
    shape=st.sampled_from(sorted(SHAPES)),
    secret=st.text(string.ascii_letters + string.digits, min_size=35, max_size=35),
)
def test_what_looks_like_a_key_is_taken_out(shape: str, secret: str) -> None:
    """A text that looks like a key is taken out, even if the proxy does not know it."""
    assert secret not in told(from_provider(401, f"who is {SHAPES[shape].format(secret)}?")).message
