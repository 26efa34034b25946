"""Which exceptions belong to a failure: causes, contexts and groups, each once and to a bounded depth."""

from __future__ import annotations

import errno
import sys
import types
from collections.abc import Callable

import httpx
import litellm
import pytest
from litellm.litellm_core_utils.exception_chain import iter_exception_chain, safe_getattr
from litellm.litellm_core_utils.failure import Failure, classify
from litellm.litellm_core_utils.failure_evidence import FailureKind
from litellm.llms.base_llm.chat.transformation import BaseLLMException

from exception_mapping.failures import Failed, raised_from, raised_while_handling, refused

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


def test_a_chain_has_each_exception_once_outermost_first() -> None:
    """`iter_exception_chain` yields each exception once and the outermost first, even in a cycle."""
    a, b, c, d = Failed("a"), Failed("b"), Failed("c"), Failed("d")
    a.__dict__["original_exception"] = b
    a.__cause__ = c
    b.__cause__ = d
    c.__cause__ = d
    d.__cause__ = a
    assert list(iter_exception_chain(a)) == [a, b, c, d]


@pytest.mark.parametrize("container", [list, tuple])
def test_a_group_is_its_members(container: Callable[..., object]) -> None:
    """The members of a group come after its own cause and before theirs."""
    cause, first, second, below = Failed("cause"), Failed("first"), Failed("second"), Failed("below")
    first.__cause__ = below
    group = raised_from(Failed("group", exceptions=container([first, "no exception", second])), cause)
    assert list(iter_exception_chain(group)) == [group, cause, first, second, below]


def test_exception_group_first_telling_member() -> None:
    """An exception group has the kind of its first member that tells one."""
    group = ExceptionGroup("failed", [ValueError("harmless"), ConnectionRefusedError(errno.ECONNREFUSED, "refused")])
    assert classify(group) is FailureKind.UNREACHABLE


def test_context_counts_without_cause() -> None:
    """`iter_exception_chain` follows a context only where there is no cause, and only if it is an exception."""
    cause, context = Failed("cause"), Failed("context")
    assert list(iter_exception_chain(raised_while_handling(raised_from(both := Failed("both"), cause), context))) == [
        both,
        cause,
    ]
    stranger = types.SimpleNamespace(__context__="not an exception")
    assert list(iter_exception_chain(stranger)) == [stranger]


def test_context_of_unraised_exception_counts() -> None:
    """The context of an exception that was built but never raised decides its kind."""

    def fails() -> None:
        raise refused()

    with pytest.raises(ConnectionRefusedError) as caught:
        fails()
    assert classify(raised_while_handling(Failed("never raised"), caught.value)) is FailureKind.UNREACHABLE


def test_what_is_caught_on_the_way_is_evidence() -> None:
    """A transport error that provider code replaced without `from` still decides the kind."""

    def provider_code() -> None:
        try:
            raise httpx.ConnectError("failed")
        except httpx.ConnectError:
            raise BaseLLMException(status_code=500, message="failed")  # noqa: B904

    with pytest.raises(BaseLLMException) as caught:
        provider_code()
    assert classify(caught.value) is FailureKind.UNREACHABLE


def test_an_applications_own_failure_is_not_the_deployments() -> None:
    """A transport error that the calling application was handling is no evidence against the deployment."""
    found: list[BaseException] = []

    def litellm_fails() -> None:
        answer: dict[str, str] = {}
        try:
            answer["choices"]
        except KeyError as failure:
            found.append(failure)

    try:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "the application's database")
    except ConnectionRefusedError:
        litellm_fails()
    assert isinstance(found[0].__context__, ConnectionRefusedError)
    assert classify(found[0]) is FailureKind.INTERNAL


def test_retry_does_not_inherit_kind() -> None:
    """A failed retry does not take its kind from the previous attempt, which is its context."""
    before = Failed("rate limited", failure=Failure(FailureKind.RATE_LIMITED))
    before.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "earlier")
    assert classify(raised_while_handling(KeyError("choices"), before)) is FailureKind.INTERNAL


def test_midstream_error_uses_original_exception() -> None:
    """A MidStreamFallbackError has the kind of its original_exception, not of its own status."""
    original = Failed("gone", failure=Failure(FailureKind.UNREACHABLE))
    failure = litellm.exceptions.MidStreamFallbackError(
        message="broke off", model="m", llm_provider="x", original_exception=original
    )
    assert classify(failure) is FailureKind.UNREACHABLE


def test_a_chain_that_bites_its_tail_ends() -> None:
    """A cycle of causes is walked once."""
    first, second = Failed("first"), Failed("second")
    first.__cause__, second.__cause__ = second, first
    assert classify(first) is FailureKind.INTERNAL


def test_endless_chain_is_bounded() -> None:
    """A chain without an end is read to a bounded length."""

    class Endless(Exception):
        @property
        def original_exception(self) -> Exception:
            return Endless()

    assert 8 < len(list(iter_exception_chain(Endless()))) < 1000
    turning = httpx.ConnectError("")
    turning.__cause__ = turning
    assert classify(turning) is FailureKind.UNREACHABLE


def test_classification_walks_no_further_than_it_must() -> None:
    """A chain a thousand links deep costs no more than one of thirty-two."""
    depth = 1000
    links = [Failed(str(number)) for number in range(depth)]
    raised_from(links[0], *links[1:], ConnectionRefusedError(errno.ECONNREFUSED, "deep"))
    assert classify(links[0]) is FailureKind.INTERNAL


def test_safe_getattr_where_a_look_raises() -> None:
    """`safe_getattr` returns an attribute, or None where it is missing or raises."""

    class Hostile:
        here = 1

        @property
        def gone(self) -> int:
            raise RuntimeError

    assert (safe_getattr(Hostile(), "here"), safe_getattr(Hostile(), "gone"), safe_getattr(Hostile(), "absent")) == (
        1,
        None,
        None,
    )
