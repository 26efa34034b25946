"""What failed is looked at once an attempt, where it is mapped: whoever decides later reads that one answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from unittest import mock

import litellm
import pytest
from litellm.litellm_core_utils import failure
from litellm.proxy.failover_errors.response import client_response

from support.faulty_provider import Fault, FaultyProvider
from support.routing import deployment, lost, outcomes, routed

LOOKS = ("search_evidence", "response_headers", "retry_after", "wait_in_headers")
ATTEMPTS = 3


@pytest.fixture
def looks() -> Iterator[dict[str, mock.Mock]]:
    """How often each of LOOKS is called."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(mock.patch.object(failure, name, wraps=getattr(failure, name))) for name in LOOKS
        }


@pytest.mark.parametrize("mode", ["async", "sync", "async-stream"])
async def test_each_attempt_is_looked_at_once(looks: dict[str, mock.Mock], mode: str) -> None:
    """Three failed attempts and the caller's answer: three searches, three readings, three waits."""
    with ExitStack() as stack:
        fault = Fault.status(500, retry_after=7)
        servers = [stack.enter_context(FaultyProvider(fault)) for _ in range(ATTEMPTS)]
        group = [deployment(str(number), "openai", server.url) for number, server in enumerate(servers)]
        with routed(group, num_retries=ATTEMPTS - 1) as router:
            (error,) = await outcomes(router, 1, mode, timeout=5)
            assert lost([error]) == [0]
            assert [server.attempts for server in servers] == [1] * ATTEMPTS
            assert isinstance(error, litellm.InternalServerError)
            told = client_response(error)
    assert told is not None
    assert (told.status_code, told.retry_after) == (500, 7)
    assert {name: look.call_count for name, look in looks.items()} == dict.fromkeys(LOOKS, ATTEMPTS)


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
