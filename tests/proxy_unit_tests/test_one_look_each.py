"""What failed is looked at once an attempt, where it is mapped: whoever decides later reads that one answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from unittest import mock

import litellm
import pytest
from litellm.litellm_core_utils import exception_chain, failure
from litellm.proxy.failover_errors.response import client_response

from support.faulty_provider import REFUSED, Fault, FaultyProvider
from support.routing import deployment, lost, outcomes, routed

LOOKS = ("search_evidence", "retry_after", "search_headers", "wait_in_headers")
SAYS_ENOUGH = 429
"""A status that leaves nothing to search where LiteLLM itself maps it to its class."""

ATTEMPTS = 3
CASES = [
    ("openai", 500, 500),
    ("openai", 402, 402),
    ("openai", None, 502),
    ("ollama_chat", 429, 429),
    ("ollama_chat", None, 502),
    ("anthropic", 529, 529),
    ("anthropic", None, 502),
]
"""Provider, the status it answers with (None: it cannot be reached), and the status that the caller is told."""


@pytest.fixture
def looks() -> Iterator[dict[str, mock.Mock]]:
    """How often each of these is called, by whichever module."""
    with ExitStack() as stack:
        found = {}
        for name in LOOKS:
            real = getattr(exception_chain if name == "search_headers" else failure, name)
            found[name] = mock.Mock(wraps=real)
            for module in [one for one in sys.modules.values() if vars(one).get(name) is real]:
                stack.enter_context(mock.patch.object(module, name, found[name]))
        yield found


@pytest.mark.parametrize("mode", ["async", "sync", "async-stream"])
@pytest.mark.parametrize(("provider", "status", "told_status"), CASES)
async def test_each_attempt_is_looked_at_once(
    looks: dict[str, mock.Mock], provider: str, status: int | None, told_status: int, mode: str
) -> None:
    """Three failed attempts and the caller's answer: evidence and wait are looked for three times, the headers no more
    than that: LiteLLM may have them at hand."""
    fault = REFUSED if status is None else Fault.status(status, retry_after=7)
    stated = None if status is None else 7
    with ExitStack() as stack:
        servers = [stack.enter_context(FaultyProvider(fault)) for _ in range(ATTEMPTS)]
        group = [deployment(str(number), provider, server.url) for number, server in enumerate(servers)]
        with routed(group, num_retries=ATTEMPTS - 1) as router:
            (error,) = await outcomes(router, 1, mode, timeout=5)
            assert lost([error]) == [0]
            assert [server.attempts for server in servers] == [0 if status is None else 1] * ATTEMPTS
            assert isinstance(error, Exception)
            told = client_response(error)
    assert told is not None
    assert (told.status_code, told.retry_after) == (told_status, stated)
    assert len(vars(error)["failed_attempts"]) == ATTEMPTS
    assert looks["search_evidence"].call_count in ((0, ATTEMPTS) if status == SAYS_ENOUGH else (ATTEMPTS,))
    assert looks["retry_after"].call_count == ATTEMPTS
    assert looks["search_headers"].call_count <= ATTEMPTS
    assert looks["wait_in_headers"].call_count == (0 if status is None else ATTEMPTS)


@pytest.mark.parametrize("provider", ["gemini", "groq", "mistral", "openai", "replicate", "xai"])
@pytest.mark.parametrize("words", ["403 Forbidden", "429 Too Many Requests", "connection refused", "rate limit hit"])
def test_wording_proves_nothing_after_mapping(words: str, provider: str) -> None:
    """A text that proves nothing by itself proves nothing once it has been through `exception_type` either."""
    worded = Exception(words)
    assert not failure.failure_of(worded).proven
    with mock.patch.object(failure, "_search", wraps=failure._search) as search:
        with pytest.raises(Exception, match=words) as raised:
            litellm.exception_type(model="m", original_exception=worded, custom_llm_provider=provider)
        assert not failure.failure_of(raised.value).proven
    assert search.call_count == 1
