"""A documented code decides where the status says too little or nothing, and no wording does where a code is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import litellm
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.litellm_core_utils.error_object import error_object_of
from litellm.litellm_core_utils.failure import Basis, Failure, classify, failure_of
from litellm.litellm_core_utils.failure_evidence import (
    CONTENT_POLICY_CODES,
    DOCUMENTED_CODES,
    DOCUMENTED_PHRASES,
    STATUS_OF_CODE,
    FailureKind,
)
from litellm.llms.base_llm.chat.transformation import BaseLLMException

from exception_mapping.expectations import PAYMENT_REQUIRED, mapped
from exception_mapping.failures import REQUEST, Failed

OUT_OF_CREDIT, BAD_CREDENTIALS = FailureKind.OUT_OF_CREDIT, FailureKind.BAD_CREDENTIALS
MODEL_MISSING, RATE_LIMITED = FailureKind.MODEL_MISSING, FailureKind.RATE_LIMITED
REQUEST_REJECTED, SERVER_ERROR = FailureKind.REQUEST_REJECTED, FailureKind.SERVER_ERROR
Json = dict[str, Any]


def answer(status: int, body: Json, headers: dict[str, str] | None = None) -> Any:
    return httpx.Response(status, json=body, headers=headers, request=REQUEST)


def openai_error(status: int, body: Json) -> Exception:
    """As OpenAI's client raises it, with the inner error object as its body."""
    return openai.OpenAI(api_key="sk-test")._make_status_error_from_response(answer(status, body))


def text_error(status: int, body: Json) -> Exception:
    """As most of LiteLLM's providers raise it, with the body's text as the message."""
    return BaseLLMException(status_code=status, message=json.dumps(body))


def caught_error(status: int, body: Json) -> Exception:
    """As a provider's class that keeps nothing of the answer it was raised while handling."""
    failure = BaseLLMException(status_code=status, message="failed")
    failure.__context__ = httpx.HTTPStatusError("failed", request=REQUEST, response=answer(status, body))
    return failure


SHAPES: dict[str, Callable[[int, Json], Exception]] = {"openai": openai_error, "text": text_error, "in": caught_error}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def of_openai(code: str | None, error_type: str = "invalid_request_error", message: str = "no") -> Json:
    return {"error": {"message": message, "type": error_type, "param": None, "code": code}}


def of_google(reason: str, status: str = "INVALID_ARGUMENT") -> Json:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
    return {"error": {"code": 400, "message": "no", "status": status, "details": [info]}}


def of_anthropic(message: str, error_type: str = "invalid_request_error") -> Json:
    return {"type": "error", "error": {"type": error_type, "message": message}}


CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade."

# What each provider is reported to answer with 400 or 424, and what that means.
TROUBLE_OF_THE_DEPLOYMENT: dict[str, tuple[int, Json, FailureKind, int]] = {
    "OpenAI, billing limit": (400, of_openai("billing_hard_limit_reached"), OUT_OF_CREDIT, 402),
    "OpenAI, images": (400, of_openai("billing_hard_limit_reached", "image_generation_user_error"), OUT_OF_CREDIT, 402),
    "OpenAI, quota": (400, of_openai("insufficient_quota", "insufficient_quota"), OUT_OF_CREDIT, 402),
    "quota by type alone": (400, of_openai(None, "insufficient_quota"), OUT_OF_CREDIT, 402),
    "a wrong key": (400, of_openai("invalid_api_key"), BAD_CREDENTIALS, 401),
    "no such model": (400, of_openai("model_not_found"), MODEL_MISSING, 404),
    "Azure, no such deployment": (400, of_openai("DeploymentNotFound", ""), MODEL_MISSING, 404),
    "Groq, restricted": (400, of_openai("organization_restricted"), BAD_CREDENTIALS, 403),
    "Groq, withdrawn": (400, of_openai("model_decommissioned"), MODEL_MISSING, 404),
    "Google, a wrong key": (400, of_google("API_KEY_INVALID"), BAD_CREDENTIALS, 401),
    "Google, an expired token": (400, of_google("ACCESS_TOKEN_EXPIRED"), BAD_CREDENTIALS, 401),
    "Anthropic, no credit": (400, of_anthropic(CREDIT), OUT_OF_CREDIT, 402),
    "Anthropic, its later words": (400, of_anthropic(CREDIT.replace("Anthropic", "Claude")), OUT_OF_CREDIT, 402),
    "Anthropic, by type": (400, of_anthropic("no", "billing_error"), OUT_OF_CREDIT, 402),
    "Alibaba, overdue": (400, of_openai("Arrearage", "Arrearage"), OUT_OF_CREDIT, 402),
    "Bedrock, an expired token": (400, {"__type": "com.amazon#ExpiredTokenException"}, BAD_CREDENTIALS, 403),
    "Bedrock, throttled": (400, {"__type": "ThrottlingException", "message": "slow down"}, RATE_LIMITED, 429),
    "Bedrock, its model failed": (424, {"__type": "ModelErrorException", "message": "no"}, SERVER_ERROR, 500),
    "Bedrock, its stream failed": (424, {"__type": "modelStreamErrorException"}, SERVER_ERROR, 500),
    "watsonx, an expired token": (
        400,
        {"errors": [{"code": "authentication_token_expired", "message": "no"}]},
        BAD_CREDENTIALS,
        401,
    ),
    "a token endpoint": (400, {"error": "invalid_grant", "error_description": "no"}, BAD_CREDENTIALS, 401),
    "xAI, a wrong key": (
        400,
        {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***yz."},
        BAD_CREDENTIALS,
        401,
    ),
}


@shapes
@pytest.mark.parametrize(
    ("status", "body", "kind", "meant"), TROUBLE_OF_THE_DEPLOYMENT.values(), ids=TROUBLE_OF_THE_DEPLOYMENT
)
def test_a_code_tells_the_deployments_trouble(
    shape: Callable[[int, Json], Exception], status: int, body: Json, kind: FailureKind, meant: int
) -> None:
    """A code that blames the deployment decides though the status blames the request, wherever the answer is kept."""
    assert failure_of(shape(status, body)) == Failure(kind, meant, Basis.ERROR_OBJECT)


@pytest.mark.parametrize(
    "body",
    [
        of_openai("insufficient_funds_to_write_this_code"),
        of_openai(None, message="insufficient_quota, invalid_api_key, model_not_found"),
        of_openai("invalid_value", message=CREDIT),
        of_anthropic("messages.0: " + CREDIT),
        of_anthropic(CREDIT.lower()),
        of_google("FIELD_INVALID"),
        {"__type": "ValidationException", "message": "ThrottlingException"},
        {"error": "insufficient quota"},
        {"error": {"message": "no", "code": 429}},
        {},
    ],
    ids=str,
)
@shapes
def test_wording_never_outranks_the_code(shape: Callable[[int, Json], Exception], body: Json) -> None:
    """What a message says, or quotes of the request, does not make a rejected request the deployment's trouble."""
    assert failure_of(shape(400, body)) == Failure(REQUEST_REJECTED, 400, Basis.ANSWER)


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 409, 413, 429, 502, 503, 529])
@shapes
def test_a_status_that_names_its_cause_stands(shape: Callable[[int, Json], Exception], status: int) -> None:
    """A 413 stays one, though Groq's has the code of a rate limit: each deployment would refuse what is too long."""
    plain = classify(shape(status, {}))
    assert classify(shape(status, of_openai("rate_limit_exceeded", "tokens"))) is plain
    assert classify(shape(status, of_openai("billing_hard_limit_reached"))) is plain


def test_a_header_may_name_the_error() -> None:
    """AWS names the type of its exceptions in a header, with a URL behind it."""
    headers = {"x-amzn-ErrorType": "ExpiredTokenException:http://internal.amazon.com/coral/com.amazon.coral.service/"}
    failure = BaseLLMException(status_code=400, message='{"message": "no"}')
    failure.response = answer(400, {"message": "no"}, headers)
    assert classify(failure) is BAD_CREDENTIALS


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("throttlingException", RATE_LIMITED),
        ("modelStreamErrorException", SERVER_ERROR),
        ("internalServerException", SERVER_ERROR),
        ("serviceUnavailableException", FailureKind.UNAVAILABLE),
        ("validationException", REQUEST_REJECTED),
    ],
)
def test_bedrocks_events_have_the_type_in_front(event: str, kind: FailureKind) -> None:
    """Older releases of LiteLLM keep botocore's 400 on each error of a stream, and the event's type in its message."""
    assert classify(BaseLLMException(status_code=400, message=f'{event} {{"message": "no"}}')) is kind


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("rate_limit_exceeded", RATE_LIMITED),
        ("server_is_overloaded", FailureKind.UNAVAILABLE),
        ("insufficient_quota", OUT_OF_CREDIT),
        ("invalid_api_key", BAD_CREDENTIALS),
        ("context_length_exceeded", REQUEST_REJECTED),
        (429, RATE_LIMITED),
        ("503", FailureKind.UNAVAILABLE),
    ],
)
def test_error_inside_a_success_is_read_by_code(code: str | int, kind: FailureKind) -> None:
    """A code decides in an event of a stream, in the body of a 200, and where LiteLLM takes it for a status."""
    body = {"message": "no", "type": None, "code": code}
    failures = [
        openai.APIError("no", REQUEST, body=body),
        BaseLLMException(status_code=200, message=json.dumps({"error": body})),
        BaseLLMException(status_code=500, message="no", body={"error": body}),
        Failed("no", status_code=code, message="no"),
    ]
    assert [classify(failure) for failure in failures] == [kind] * 4


def test_an_unreadable_success_stays_garbled() -> None:
    """A 200 whose body is no error object, or one with a code nobody documents, is an answer that cannot be used."""
    for text in ('{"error": {"message": "no"}}', '{"error": {"code": "novel"}}', "<html>", "", "[]", "{", "[[[["):
        assert classify(BaseLLMException(status_code=200, message=text)) is FailureKind.GARBLED


POLICY_ANSWERS: dict[str, Json] = {
    "Azure": {"error": {"message": "no", "type": None, "code": "content_filter", "status": 400}},
    "Azure, inner": {"error": {"message": "no", "code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
    "Azure, inner_error": {"error": {"code": "x", "inner_error": {"code": "ResponsibleAIPolicyViolation"}}},
    "OpenAI": of_openai("content_policy_violation", "image_generation_user_error"),
    "OpenAI, images": of_openai("moderation_blocked", "image_generation_user_error"),
    "Alibaba": of_openai("data_inspection_failed", "data_inspection_failed"),
    "Alibaba's own API": {"code": "DataInspectionFailed", "message": "no", "request_id": "1"},
}
PROVIDERS = ("openai", "azure", "azure_ai", "hosted_vllm", "anthropic", "bedrock", "gemini", "dashscope", "unheard_of")


@pytest.mark.parametrize("provider", PROVIDERS)
@shapes
@pytest.mark.parametrize("body", POLICY_ANSWERS.values(), ids=POLICY_ANSWERS)
def test_a_policy_code_has_the_policy_class(body: Json, shape: Callable[[int, Json], Exception], provider: str) -> None:
    """A code of the content policy makes the class that leads to content_policy_fallbacks, for each provider."""
    error = mapped(shape(400, body), provider)
    assert (type(error), error.failure.kind) == (litellm.ContentPolicyViolationError, REQUEST_REJECTED)
    assert (error.status_code, error.failure.http_status) == (400, 400)


def test_a_flagged_prompt_is_not_the_deployments_fault() -> None:
    """OpenRouter answers 403 to it, which else means that the credentials do not do."""
    metadata = {"reasons": ["violence"], "flagged_input": "how to", "provider_name": "x", "model_slug": "y"}
    error = mapped(openai_error(403, {"error": {"code": 403, "message": "no", "metadata": metadata}}), "openrouter")
    assert (type(error), error.failure.kind) == (litellm.ContentPolicyViolationError, REQUEST_REJECTED)


@pytest.mark.parametrize("provider", PROVIDERS)
@shapes
def test_a_length_code_has_the_window_class(shape: Callable[[int, Json], Exception], provider: str) -> None:
    """The code of a request that is too long makes the class that leads to context_window_fallbacks."""
    error = mapped(shape(400, of_openai("context_length_exceeded")), provider)
    assert (type(error), error.failure.kind) == (litellm.ContextWindowExceededError, REQUEST_REJECTED)


@pytest.mark.parametrize("provider", PROVIDERS)
@shapes
@pytest.mark.parametrize(
    ("code", "cls", "status"),
    [
        ("billing_hard_limit_reached", PAYMENT_REQUIRED, 402),
        ("invalid_api_key", litellm.AuthenticationError, 401),
        ("model_not_found", litellm.NotFoundError, 404),
        ("rate_limit_exceeded", litellm.RateLimitError, 429),
    ],
)
def test_the_exception_agrees_with_the_code(
    code: str, cls: type[Exception], status: int, shape: Callable[[int, Json], Exception], provider: str
) -> None:
    """Class, status and kind are those of the table, and the message is still the provider's."""
    error = mapped(shape(400, of_openai(code, message="as the provider put it")), provider)
    assert (type(error), error.status_code, error.failure.http_status) == (cls, status, status)
    assert shape is caught_error or "as the provider put it" in error.message


CODES = sorted(STATUS_OF_CODE)
words = st.one_of(st.text(), st.sampled_from([CREDIT, "429 rate limit", *CODES, *sorted(CONTENT_POLICY_CODES)]))


@given(code=st.sampled_from(CODES), text=words, shape=st.sampled_from(list(SHAPES.values())), upper=st.booleans())
def test_a_documented_code_decides_whatever_the_wording(
    code: str, text: str, shape: Callable[[int, Json], Exception], upper: bool
) -> None:
    """The same code has the same diagnosis whatever its message says and however it is written."""
    plain = failure_of(shape(400, of_openai(code)))
    assert failure_of(shape(400, of_openai(code.upper() if upper else code, message=text))) == plain


@given(code=st.sampled_from(sorted(CONTENT_POLICY_CODES)), text=words, status=st.integers(400, 499))
def test_a_policy_code_is_never_the_deployments_fault(code: str, text: str, status: int) -> None:
    """Whatever 4xx it comes with and whatever its message says."""
    assert classify(text_error(status, of_openai(code, message=text))) is REQUEST_REJECTED


json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.sampled_from(CODES)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["error", "errors", "code", "type", "status", "innererror", "details", "reason", "metadata"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(body=json_values, status=st.one_of(st.integers(), st.text(max_size=4), st.none(), st.sampled_from([200, 400])))
def test_any_error_object_has_a_diagnosis(body: Any, status: object) -> None:
    """Whatever shape a body has and wherever it is kept: nothing is raised, and a basis is named."""
    failures = [
        Failed("failed", status_code=status, body=body),
        Failed("failed", status_code=status, message=json.dumps(body)),
        Failed("failed", code=body, type=body, headers=body),
    ]
    for failure in failures:
        error_object_of(failure)  # raises nothing itself, `failure_of` would hide it
        found = failure_of(failure)
        assert isinstance(found.kind, FailureKind)
        assert isinstance(found.basis, Basis)


def test_each_row_has_a_source() -> None:
    """A code or a phrase is in its table because somebody documents it, and in only one row."""
    assert all(source.startswith(("https://", "RFC ")) for source, *_ in (*DOCUMENTED_CODES, *DOCUMENTED_PHRASES))
    written = [code.lower() for _, status_of in DOCUMENTED_CODES for code in status_of]
    contradicting = {
        code for code in written if len({r[1][c] for r in DOCUMENTED_CODES for c in r[1] if c.lower() == code}) > 1
    }
    assert contradicting == set()
    assert CONTENT_POLICY_CODES.isdisjoint(STATUS_OF_CODE)
