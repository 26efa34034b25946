"""Any object at all has a kind of failure, also one that raises at every look."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.litellm_core_utils.failure import Failure, classify, failure_of
from litellm.litellm_core_utils.failure_evidence import FailureKind

from exception_mapping.failures import Failed, of_class, raised_from


class Hostile(Exception):
    """Raises at every look."""

    @property
    def status_code(self) -> int:
        raise RuntimeError("no status")

    @property
    def message(self) -> str:
        raise RuntimeError("no message")

    @property
    def response(self) -> object:
        raise RuntimeError("no response")

    @property
    def failure(self) -> object:
        raise RuntimeError("no kind")

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Untrue(Exception):
    """Cannot be asked whether it is there."""

    def __bool__(self) -> bool:
        raise RuntimeError("neither true nor false")


class Nowhere(Exception):
    """Comes from no module."""

    __module__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    "failure",
    [Hostile(), OSError([1], "no number"), raised_from(Failed("a"), Untrue()), Nowhere("a")],
    ids=["raises at every look", "errno is a list", "its cause has no truth", "its class has no module"],
)
def test_what_cannot_be_read_is_internal(failure: BaseException) -> None:
    """An exception whose attributes cannot be read is internal, and `classify` never raises."""
    assert classify(failure) is FailureKind.INTERNAL


def test_nothing_proves_that_the_unreadable_is_internal() -> None:
    """An unreadable exception is internal without proof."""
    assert failure_of(of_class("", "Failed")) == Failure(FailureKind.INTERNAL)
    assert failure_of(type("Nowhere", (Exception,), {"__module__": None})()) == Failure(FailureKind.INTERNAL)


GARBAGE = st.one_of(
    st.none(),
    st.integers(),
    st.just(10**9),
    st.text(max_size=5),
    st.floats(),
    st.booleans(),
    st.binary(max_size=3),
    st.lists(st.integers(), max_size=2),
    st.builds(object),
)


@given(
    attributes=st.dictionaries(
        st.sampled_from(["status_code", "status", "code", "response", "message", "original_exception", "exceptions"]),
        GARBAGE,
    ),
    cause=st.sampled_from([None, Hostile(), Untrue(), OSError([1], "no number"), Failed("b", status_code=[])]),
    text=st.text(),
)
def test_any_exception_has_a_kind(attributes: dict[str, object], cause: BaseException | None, text: str) -> None:
    """Any exception has a kind, and `failure_of` names only a status that a provider can have sent."""
    failure = Failed(text, **attributes)
    failure.__cause__ = cause
    diagnosis = failure_of(failure)
    assert isinstance(diagnosis.kind, FailureKind)
    assert diagnosis.http_status is None or 100 <= diagnosis.http_status <= 599


@given(failure=GARBAGE)
def test_anything_at_all_has_a_kind(failure: object) -> None:
    """Any object has a kind, whether or not it is an exception."""
    assert isinstance(classify(failure), FailureKind)
