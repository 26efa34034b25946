"""What holds for every status, every provider and every shape an exception can have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import litellm
import openai
from hypothesis import assume, given
from hypothesis import strategies as st
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.llms.openai_like.json_loader import JSONProviderRegistry
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from exception_mapping.expectations import RECOGNISED_BY_WORDING, expected_class, expected_status, mapped

REQUEST = httpx.Request("POST", "https://provider.test/v1/chat/completions")
KEEPS_ITS_CLASS = (litellm.ContextWindowExceededError, litellm.ContentPolicyViolationError)


class PlainError(Exception):
    """As a custom provider raises: attributes and nothing behind them."""

    def __init__(self, status_code: object, text: str) -> None:
        super().__init__(text)
        self.status_code = status_code


def answer(status: int, text: str) -> Any:
    return httpx.Response(status, json={"error": {"message": text}}, request=REQUEST)


def openai_error(status: int, text: str) -> Exception:
    return openai.OpenAI(api_key="sk-test")._make_status_error(text, body=None, response=answer(status, text))


def aiohttp_error(status: int, text: str) -> Exception:
    url = URL(str(REQUEST.url))
    request = aiohttp.RequestInfo(url, "POST", CIMultiDictProxy(CIMultiDict()), url)
    return aiohttp.ClientResponseError(request, (), status=status, message=text)


SHAPES: dict[str, Callable[[int, str], Exception]] = {
    "openai": openai_error,
    "httpx": lambda status, text: httpx.HTTPStatusError(text, request=REQUEST, response=answer(status, text)),
    "aiohttp": aiohttp_error,
    "a provider's class": lambda status, text: BaseLLMException(status_code=status, message=text),
    "plain": PlainError,
    "plain, the status as text": lambda status, text: PlainError(str(status), text),
}

shapes = st.sampled_from(list(SHAPES.values()))
providers = st.one_of(
    st.sampled_from(sorted({str(getattr(name, "value", name)) for name in litellm.provider_list})),
    st.sampled_from(JSONProviderRegistry.list_providers()),
    st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12),
)
failing_statuses = st.integers(400, 599)
wording = st.one_of(
    st.just("the provider said no"),
    st.text(),
    st.sampled_from(
        [
            "Rate limit exceeded. Retry in 6s.",
            "Error code: 429",
            "[Errno 111] Connection refused",
            "Request timed out",
            "invalid_request_error",
            "Invalid API Key",
            "Request too large",
            "Overloaded",
        ]
    ),
)


@given(status=failing_statuses, provider=providers, shape=shapes, text=wording)
def test_the_status_survives(status: int, provider: str, shape: Callable[[int, str], Exception], text: str) -> None:
    """No HTTP answer surfaces as an APIConnectionError, or with a status the provider did not send."""
    assume((provider, status) not in RECOGNISED_BY_WORDING)
    exception = mapped(shape(status, text), provider)
    assert not isinstance(exception, litellm.APIConnectionError)
    assert exception.failure.http_status == status
    assert isinstance(exception, KEEPS_ITS_CLASS) or exception.status_code in (
        status,
        expected_status(status, provider),
    )


@given(status=failing_statuses, provider=providers, shape=shapes)
def test_the_same_status_has_the_same_class(status: int, provider: str, shape: Callable[[int, str], Exception]) -> None:
    """A status has the same class for every provider, but for the rows that upstream's tests assert."""
    assert type(mapped(shape(status, "the provider said no"), provider)) is expected_class(status, provider)


@given(status=failing_statuses, provider=providers, shape=shapes, text=wording)
def test_the_kind_is_the_statuss_whatever_the_wording(
    status: int, provider: str, shape: Callable[[int, str], Exception], text: str
) -> None:
    """The kind, and so the cooldown, follows from the status whatever the wording."""
    assume((provider, status) not in RECOGNISED_BY_WORDING)
    worded, plain = mapped(shape(status, text), provider), mapped(PlainError(status, "no"), "unheard_of")
    assume(not isinstance(worded, KEEPS_ITS_CLASS))
    assert worded.failure.kind is plain.failure.kind


@given(status=failing_statuses, provider=providers, shape=shapes, text=wording, other=providers)
def test_mapping_twice_is_mapping_once(
    status: int, provider: str, shape: Callable[[int, str], Exception], text: str, other: str
) -> None:
    """A mapped exception comes back as it is, whatever provider it is mapped for then."""
    once = mapped(shape(status, text), provider)
    kind = once.failure.kind
    assert mapped(once, other) is once
    assert once.failure.kind is kind


@given(
    status=st.one_of(st.integers(), st.none(), st.text(), st.floats(), st.just(10**9), st.binary()),
    provider=providers,
    text=wording,
)
def test_nothing_but_litellms_exceptions_comes_out(status: object, provider: str, text: str) -> None:
    """Only LiteLLM's exceptions come out, whatever the original claims its status is."""
    exception = mapped(PlainError(status, text), provider)
    assert type(exception) in litellm.LITELLM_EXCEPTION_TYPES
    assert exception.failure.kind


@given(
    error=st.sampled_from([Exception, RuntimeError, KeyError, TypeError, ValueError, OSError, TimeoutError]),
    provider=providers,
    text=wording,
)
def test_bug_wording_is_no_rate_limit(error: type[Exception], provider: str, text: str) -> None:
    """A bug without a status does not become a rate limit by its wording."""
    exception = mapped(error(text), provider)
    assert type(exception) in litellm.LITELLM_EXCEPTION_TYPES
    if error in (KeyError, TypeError, ValueError):
        assert (type(exception), exception.failure.kind) != (litellm.APIConnectionError, "rate_limited")


@given(
    status=failing_statuses,
    provider=providers,
    seconds=st.integers(0, 10**6),
    shape=st.sampled_from([SHAPES["httpx"], SHAPES["openai"]]),
)
def test_retry_after_stays_reachable(
    status: int, provider: str, seconds: int, shape: Callable[[int, str], Exception]
) -> None:
    """Retry-After stays on the mapped exception where the router looks for it."""
    original: Any = shape(status, "the provider said no")
    original.response.headers["retry-after"] = str(seconds)
    exception = mapped(original, provider)
    assert dict(exception.litellm_response_headers)["retry-after"] == str(seconds)
