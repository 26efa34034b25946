"""Which of the proxy's errors are a provider's failure, to be restated, and which stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import HTTPException
from litellm.litellm_core_utils import known_credentials
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.proxy._types import ProxyException
from litellm.proxy.failover_errors.handler import answer_by_policy, apply_failure_response, record_hook_answer
from litellm.proxy.failover_errors.response import client_response

from support.answers import after, as_litellm_answers, from_provider, without_answer


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
    assert client_response(failure) is None
    before = as_litellm_answers(failure)
    assert vars(apply_failure_response(as_litellm_answers(failure), failure)) == vars(before)


async def hooked(answer: object, shown: Exception, handled: Exception) -> None:
    """The proxy has its hooks look at the failure it handles, or at a copy, and one of them may answer."""

    @record_hook_answer
    async def post_call_failure_hook(self: object, request_data: object, original_exception: Exception) -> object:
        return answer

    try:
        raise handled
    except Exception:
        assert await post_call_failure_hook(None, {}, original_exception=shown) is answer


@pytest.mark.parametrize("is_copy", [False, True])
async def test_what_a_hook_put_in_its_place_stays(is_copy: bool) -> None:
    """An answer that a hook put in place of the failure keeps its words and its status."""
    for failure in (from_provider(503), httpx.ReadTimeout("")):
        await hooked(HTTPException(418, "We are closed."), from_provider(503) if is_copy else failure, failure)
        answer = ProxyException("We are closed.", "closed", None, 418)
        assert apply_failure_response(answer, failure, of_stream=True).code == "418"


async def test_a_hook_without_an_answer_changes_nothing() -> None:
    """A failure that hooks have only looked at is restated."""
    failure = from_provider(503)
    await hooked(None, failure, failure)
    assert apply_failure_response(as_litellm_answers(failure), failure).type == "server_error"


@pytest.mark.parametrize("raised", [HTTPException(418, "closed"), ProxyException("closed", "t", None, 418)])
def test_an_answer_is_no_failure(raised: Exception) -> None:
    """What somebody raises as an answer, to a stream too, is not a provider's failure."""
    answer = ProxyException("closed", "closed", None, 418)
    assert apply_failure_response(answer, raised, of_stream=True).message == "closed"


def test_what_the_proxy_says_instead_is_restated() -> None:
    """The words of the proxy's error need not be the failure's."""
    answer = ProxyException("Something else.", "None", "None", 500)
    assert apply_failure_response(answer, from_provider(503)).code == "503"


@pytest.mark.parametrize("traceback", ["", "\n\nTraceback (most recent call last):"])
def test_a_failure_without_words_is_restated(traceback: str) -> None:
    """A failure without words is restated, also where a release appends a traceback."""
    answer = ProxyException(traceback, "None", "None", 500)
    assert apply_failure_response(answer, httpx.ReadTimeout(""), of_stream=True).code == "504"


@pytest.mark.parametrize("failure", [None, KeyboardInterrupt(), "text"])
def test_nothing_is_made_of_no_failure(failure: object) -> None:
    """An error that was raised from no exception keeps its status."""
    assert apply_failure_response(ProxyException("m", "t", None, 403), failure).code == "403"


@pytest.mark.parametrize(
    "wrap",
    [answer_by_policy, known_credentials.redact_known_credentials, known_credentials.remember_deployment_credentials],
)
def test_wrapper_keeps_name_and_docstring(wrap: Callable[..., Any]) -> None:
    """A wrapped function keeps its name and its docstring."""

    def original() -> None:
        """What it does."""

    wrapped = wrap(original)
    assert (wrapped.__name__, wrapped.__doc__) == ("original", "What it does.")
