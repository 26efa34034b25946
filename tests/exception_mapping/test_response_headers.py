"""The headers of the provider's answer are found wherever in the chain they are."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from litellm.litellm_core_utils import exception_mapping_utils

from exception_mapping.aligned import ProviderError


def headers_of(failure: Exception) -> Any:
    """Where LiteLLM looks for them."""
    return exception_mapping_utils._get_response_headers(failure)


HEADERS: dict[str, Any] = {
    "of the answer": {"response": httpx.Response(429, headers={"retry-after": "6"})},
    "of the exception": {"headers": httpx.Headers({"retry-after": "6"})},
    "in a dict": {"headers": {"retry-after": "6"}},
    "beside an empty one": {"headers": {}, "response": httpx.Response(429, headers={"retry-after": "6"})},
    "before the answer's": {
        "headers": {"retry-after": "6"},
        "response": httpx.Response(429, headers={"retry-after": "7"}),
    },
}


@pytest.mark.parametrize("attributes", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("depth", [0, 2])
def test_headers_anywhere_in_chain(attributes: dict[str, Any], depth: int) -> None:
    """Headers are found on any exception of the chain or on its answer, the outermost first."""
    failure = ProviderError(429, **attributes)
    for _ in range(depth):
        outer = ProviderError(429)
        outer.__cause__, failure = failure, outer
    assert headers_of(failure)["retry-after"] == "6"


def test_headers_that_are_no_headers_are_looked_past() -> None:
    """`headers` that are no mapping are looked past, and numbers in a dict of headers are read."""
    below = ProviderError(429, headers=7, response=httpx.Response(429, headers={"retry-after": "6"}))
    above = ProviderError(429)
    above.__cause__ = below
    assert headers_of(above)["retry-after"] == "6"
    below.__dict__["headers"] = {"retry-after": 8}
    another = ProviderError(429)
    another.__cause__ = below
    assert headers_of(another)["retry-after"] == "8"


def test_the_headers_litellm_finds_itself_come_first() -> None:
    """The headers that LiteLLM finds itself come before those further down the chain."""
    failure = ProviderError(429, response=httpx.Response(429, headers={"retry-after": "6"}))
    failure.__cause__ = ProviderError(429, headers={"retry-after": "7"})
    found = headers_of(failure)
    assert found["retry-after"] == "6"
    assert headers_of(ProviderError(429)) is None
