"""What the caller is told of the attempts that failed."""

from __future__ import annotations

from typing import Any

import httpx
import litellm
import litellm.google_genai
import pytest
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.router_utils.failover.attempts import describe_attempts
from litellm.router_utils.failover.retry_state import FailedAttempt

from support.attempts import BROKEN, RATE_LIMITED, REJECTED, failing, fails, status
from support.attempts import router as router
from support.routing import GROUP


async def test_the_message_names_what_was_tried(router: Any) -> None:
    """The message names what was tried, in the order it was."""

    async def body() -> None:
        await fails(router, "b", status(429))
        await fails(router, "a", httpx.ConnectError("refused"))

    error = await failing(router, body, status(429))
    attempts = error.failed_attempts
    assert attempts == (
        FailedAttempt("b", GROUP, FailureKind.RATE_LIMITED, 429),
        FailedAttempt("a", GROUP, FailureKind.UNREACHABLE, None),
    )
    lines = [f"{GROUP}, deployment b: rate_limited (429)", f"{GROUP}, deployment a: unreachable"]
    assert error.message == f"no\nAttempts that failed: {'; '.join(lines)}"


def test_similar_ids_are_told_apart() -> None:
    """Ids that begin alike are shown whole, and other long ones by their beginning."""
    names = ("azure-gpt-4o-eastus", "azure-gpt-4o-eastus2", "c" * 64)
    attempts = [FailedAttempt(name, GROUP, FailureKind.RATE_LIMITED, 429) for name in names]
    lines = [f"{GROUP}, deployment {name}: rate_limited (429)" for name in (*names[:2], f"{'c' * 16}…")]
    assert describe_attempts(attempts) == f"\nAttempts that failed: {'; '.join(lines)}"


def test_one_kind_of_a_deployment_once() -> None:
    """Attempts that failed in one way on one deployment are one entry, with each status once."""
    attempts = [FailedAttempt("eu-1", GROUP, FailureKind.SERVER_ERROR, code) for code in (500, 502, 500)]
    said = f"{GROUP}, deployment eu-1: server_error (500, 502), 3 times"
    assert describe_attempts(attempts) == f"\nAttempts that failed: {said}"


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        ([], False),
        ([REJECTED], False),
        ([REJECTED, REJECTED], False),
        ([REJECTED, RATE_LIMITED], True),
        ([BROKEN], True),
    ],
)
async def test_rejection_lists_no_attempts(router: Any, failures: list[int], told: bool) -> None:
    """The message lists no attempts where all were rejected, and the attribute is there all the same."""

    async def body() -> None:
        for name, code in zip("abc", failures, strict=False):
            await fails(router, name, status(code))

    error = await failing(router, body, status(400))
    assert ("Attempts that failed" in error.message) is told
    assert len(error.failed_attempts) == len(failures)


async def test_the_message_says_it_once(router: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message lists the attempts once, and not at all where the user hides such things."""

    async def body() -> None:
        await fails(router, "a", status(429))

    error = status(429)
    for _ in range(2):
        await failing(router, body, error)
        assert error.message.count("Attempts that failed") == 1
    monkeypatch.setattr(litellm, "expose_router_debug_in_errors", False, raising=False)
    hidden = await failing(router, body, status(429))
    assert (hidden.message, len(hidden.failed_attempts)) == ("no", 1)
    monkeypatch.delattr(litellm, "expose_router_debug_in_errors")
    assert "Attempts that failed" in (await failing(router, body, status(429))).message


async def test_an_exception_without_a_message_has_the_attribute(router: Any) -> None:
    """An exception without a message has the attempts as an attribute, and gets no message."""

    async def body() -> None:
        await fails(router, "a", status(429))

    for error in (ValueError("?"), Messaged(None), Messaged(7)):
        told = await failing(router, body, error)
        assert len(told.failed_attempts) == 1
        assert getattr(told, "message", None) in (None, 7)


class Messaged(Exception):
    """With a message of some kind."""

    def __init__(self, message: object) -> None:
        self.message = message
