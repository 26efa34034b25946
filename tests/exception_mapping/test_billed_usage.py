"""What an answer that is none costs, in the words of each format, and where it is kept."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.litellm_core_utils.billed_usage import BILLED, Billed, billed_for, billed_in, billed_with

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["usage", "billed_units"]), inner),
    max_leaves=6,
)


@pytest.mark.parametrize(
    "answer",
    [
        {"usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}},
        {"usage": {"input_tokens": 3, "output_tokens": 5}},
        {"usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}},
        {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 5}},
        {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "thoughtsTokenCount": 4}},
        {"usage": {"billed_units": {"input_tokens": 3, "output_tokens": 5}}},
        {"meta": {"billed_units": {"input_tokens": 3, "output_tokens": 5}}},
        {"prompt_eval_count": 3, "eval_count": 5},
    ],
    ids=["openai", "anthropic", "bedrock", "google", "google thinking", "cohere", "cohere v1", "ollama"],
)
def test_each_format_is_read(answer: dict[str, Any]) -> None:
    """The tokens of the request and of the answer are read where each provider documents them."""
    assert billed_in(json.dumps(answer).encode()) == Billed(3, 5)


@pytest.mark.parametrize(
    "told",
    [
        [
            {"usage": {"prompt_tokens": 3, "completion_tokens": 1}},
            {"usage": {"prompt_tokens": 3, "completion_tokens": 5}},
        ],
        [{"type": "message_start", "message": {"usage": {"input_tokens": 3}}}, {"usage": {"output_tokens": 5}}],
        [{"response": {"usage": None}}, {"response": {"usage": {"input_tokens": 3, "output_tokens": 5}}}],
        [{"delta": {"usage": {"billed_units": {"input_tokens": 3, "output_tokens": 5}}}}],
        [
            {"x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 5}}},
            {"usage": None},
            {"message": 5},
            [],
            None,
            "text",
        ],
        [{"prompt_eval_count": 3}, {"eval_count": 5}],
    ],
    ids=["counted up", "anthropic", "responses", "cohere", "groq", "ollama"],
)
def test_each_stream_is_read(told: list[object]) -> None:
    """The tokens of a stream are the highest that its events say, wherever each format has them."""
    billed = None
    for event in told:
        billed = billed_with(billed, event)
    assert billed == Billed(3, 5)


@pytest.mark.parametrize(
    "body",
    ["", "null", "[]", "<html>", "{}", '{"usage": null}', '{"usage": {"prompt_tokens": 0, "completion_tokens": -1}}']
    + ['{"usage": {"prompt_tokens": true, "completion_tokens": "7"}}'],
)
def test_nothing_said_is_nothing_billed(body: str) -> None:
    """A body without counts, or with what are none, bills nothing."""
    assert billed_in(body.encode()) is None


@given(JSON)
def test_any_json_is_read(value: object) -> None:
    """No value that a provider sends raises."""
    billed = billed_in(json.dumps(value).encode())
    assert billed is None or min(billed) >= 0
    assert (billed_with(billed, value) or Billed(0, 0)) >= (billed or Billed(0, 0))


def test_it_is_found_along_the_chain() -> None:
    """It is kept on what was raised first, or in the response of that, and found on what is raised from it."""
    kept, answered = Exception("nothing in it"), Exception("429")
    setattr(kept, BILLED, Billed(3, 5))
    vars(answered)["response"] = httpx.Response(429, extensions={BILLED: Billed(4, 6)})
    for first, billed in ((kept, Billed(3, 5)), (answered, Billed(4, 6)), (Exception("other"), None)):
        mapped = Exception("mapped")
        mapped.__cause__ = first
        assert billed_for(mapped) == billed
