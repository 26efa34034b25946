"""A stream that stalls after its first words is continued by a fallback that can, whichever client reads it."""

from __future__ import annotations

from typing import Any

import httpx
import litellm
import openai
import pytest
from litellm.litellm_core_utils.streaming_handler import _is_transport_timeout

from support.routing import GROUP, MESSAGES, deployment, routed
from support.scripted_provider import HEALTHY_STREAM, ScriptedProvider, Stream

ANSWER = "one two three four five six"
STALLED = Stream(stall_after=2, stall=30)
REQUEST: Any = httpx.Request("POST", "http://127.0.0.1/v1/chat/completions")


def timeout(cause: BaseException | None) -> litellm.Timeout:
    """LiteLLM's own, raised from `cause`."""
    error = litellm.Timeout(message="too late", model="gpt", llm_provider="openai")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ReadTimeout("silent"), True),
        (openai.APITimeoutError(request=REQUEST), True),
        (timeout(httpx.ReadTimeout("silent")), True),
        (timeout(openai.APITimeoutError(request=REQUEST)), True),
        (timeout(None), False),
        (timeout(timeout(None)), False),
        (openai.APIConnectionError(request=REQUEST), False),
    ],
    ids=["httpx", "openai", "from httpx", "from openai", "a 408", "from a 408", "unreachable"],
)
def test_timeouts_of_the_transport(error: BaseException, expected: bool) -> None:
    """A client's timeout is the transport's, and LiteLLM's word for a 408 is not."""
    assert _is_transport_timeout(error) is expected


async def test_stalled_stream_is_continued() -> None:
    """The fallback goes on where the stalled deployment's words end."""
    with (
        ScriptedProvider([STALLED], answer=ANSWER) as primary,
        ScriptedProvider([HEALTHY_STREAM], answer=ANSWER) as fallback,
    ):
        continuing = deployment("b-continues", "openai", fallback.url, group="fallback")
        continuing["model_info"]["supports_assistant_prefill"] = True
        group = [deployment("a-stalls", "openai", primary.url, stream_timeout=0.5), continuing]
        settings = {"fallbacks": [{GROUP: ["fallback"]}], "enable_mid_stream_fallback_continuation": True}
        with routed(group, num_retries=0, **settings) as router:
            stream = await router.acompletion(model=GROUP, messages=MESSAGES, stream=True)
            words = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(words) == ANSWER
        assert [arrival.prefilled for arrival in fallback.arrivals] == [True]
