"""`_is_cooldown_required` decides by kind, and still serves callers that have only a status and a text."""

from __future__ import annotations

from typing import Any

import litellm
import pytest
from litellm.router_utils.cooldown_handlers import _is_cooldown_required, _should_cooldown_deployment

from support.routing import RELEASE, deployment, routed

TRACEBACK = 'Traceback (most recent call last):\n  File "main.py", line 429, in completion\n    rate_limit()'


@pytest.fixture
def pair() -> Any:
    """A router over two deployments of one group."""
    group = [deployment(name, "openai", "http://127.0.0.1:9") for name in ("a", "b")]
    with routed(group) as router:
        yield router


@pytest.fixture
def lone() -> Any:
    """A router over a single deployment."""
    with routed([deployment("a", "openai", "http://127.0.0.1:9")]) as router:
        yield router


def connection_error(text: str) -> Exception:
    return litellm.APIConnectionError(message=text, llm_provider="ollama_chat", model="m")


@pytest.mark.parametrize(
    ("text", "required"),
    [
        ("Error code: 429 - {'error': {'message': 'Rate limit exceeded. Retry in 6s.'}}", True),
        ("too many requests: rate limit", True),
        ("rate_limit_exceeded", True),
        ("[Errno 111] Connection refused", True),
        ("Cannot connect to host 10.0.0.7:11434", True),
        ("[Errno 104] Connection reset by peer", True),
        ("Invalid Message passed in {'role': 'admin'}", False),
        (f"'choices'\n{TRACEBACK}", False),
        ("", False),
    ],
)
def test_api_connection_error_by_wording(pair: Any, text: str, required: bool) -> None:
    """An APIConnectionError that is known by its text alone is judged by its words (#24366, option B)."""
    assert _is_cooldown_required(pair, "a", 500, str(connection_error(text))) is required


@pytest.mark.parametrize(
    ("status", "required"),
    [
        (429, True),
        ("429", True),
        (401, True),
        (402, True),
        (403, True),
        (404, True),
        (408, True),
        (500, True),
        (503, True),
        (529, True),
        (400, False),
        (409, False),
        (413, False),
        (422, False),
        ("", False),
        ("not a number", True),
    ],
)
def test_a_status_without_an_exception_decides(pair: Any, status: str | int, required: bool) -> None:
    """A status without an exception decides, whatever the text beside it says."""
    assert _is_cooldown_required(pair, "a", status) is required
    if status != "":
        assert _is_cooldown_required(pair, "a", status, "429 rate limit, connection refused") is required


@pytest.mark.parametrize(
    ("status", "required"), [(402, RELEASE >= (1, 106)), (403, False), (401, True), (404, True), (429, True)]
)
def test_a_lone_deployment_keeps_the_protection_it_had(lone: Any, status: int, required: bool) -> None:
    """A lone deployment is not cooled down for a 403, nor for a 402 before 1.106."""
    assert _is_cooldown_required(lone, "a", status) is required


def test_the_exception_outranks_the_status_beside_it(pair: Any) -> None:
    """What the exception proves or says outranks the status beside it."""
    failure = connection_error("429 rate limit")
    failure.failure = "not a failure"  # type: ignore[attr-defined]
    assert _is_cooldown_required(pair, "a", 500, str(failure), original_exception=failure) is True
    refused = connection_error("failed")
    refused.__cause__ = ConnectionRefusedError(111, "refused")
    assert _is_cooldown_required(pair, "a", 500, str(refused), original_exception=refused) is True
    bug = connection_error("429 rate limit")
    bug.__cause__ = KeyError("choices")
    assert _should_cooldown_deployment(pair, "a", 500, bug) is False


def test_unproven_exception_defers_to_status(pair: Any) -> None:
    """An exception that proves nothing leaves the decision to the status."""
    assert _is_cooldown_required(pair, "a", 429, "failed", original_exception=Exception("failed")) is True
    assert _is_cooldown_required(pair, "a", 400, "failed", original_exception=Exception("failed")) is False


@pytest.mark.parametrize("number", [111, 113])
def test_unreachable_host_cools_down_at_once(pair: Any, lone: Any, number: int) -> None:
    """An unreachable host is cooled down at its first failure, unless it is alone."""
    refused = connection_error("failed")
    refused.__cause__ = OSError(number, "failed")
    assert _should_cooldown_deployment(pair, "a", 500, refused) is True
    assert _should_cooldown_deployment(lone, "a", 500, refused) is False
