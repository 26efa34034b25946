"""The deadline of a request, under a clock of the test's own, and what a setting of it may be."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litellm.router_utils.failover.deadline import (
    Deadline,
    current_deadline,
    deadline_under_way,
    has_used_up_deadline,
    is_cut_short,
    note_turn,
    seconds_from,
)

SECONDS = st.floats(min_value=0.001, max_value=1e6)


class Clock:
    """A clock that stands until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@settings(max_examples=30)
@given(SECONDS, st.lists(st.floats(min_value=0, max_value=1e6), max_size=8))
def test_what_is_left_only_shrinks(seconds: float, steps: list[float]) -> None:
    """What is left never grows nor falls below nothing, and is nothing exactly once the deadline has passed."""
    clock = Clock()
    deadline = Deadline(seconds, clock)
    before = deadline.left()
    for step in steps:
        clock.now += step
        left = deadline.left()
        assert 0 <= left <= before
        assert deadline.has_passed == (left == 0)
        before = left


def test_nearly_is_before_the_end() -> None:
    """A tenth of it is left when it is nearly over."""
    assert Deadline(10, Clock()).nearly == pytest.approx(109)


@settings(max_examples=30)
@given(SECONDS)
def test_numbers_and_their_texts(seconds: float) -> None:
    """A number above zero is taken, and its text, as an environment variable has it."""
    assert seconds_from(seconds, "router") == seconds
    assert seconds_from(repr(seconds), "request") == seconds


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "soon", "nan", True, [1], 10**400])
def test_senseless_values_are_refused(value: Any) -> None:
    """Whatever is no finite number above zero is refused, by the setting's name and whose it is."""
    with pytest.raises(ValueError, match="total_timeout of the request .* seconds above zero"):
        seconds_from(value, "request")


def test_long_values_are_shown_in_part() -> None:
    """Of a value that is refused the first 40 characters are shown."""
    with pytest.raises(ValueError, match=f"is '{'x' * 39}: give"):
        seconds_from("x" * 60, "request")


def test_nothing_used_up_without_an_attempt() -> None:
    """A deadline of a router that passes before there was an attempt says nothing of a deployment."""
    with deadline_under_way(Deadline(0, Clock(), is_for_all=True)):
        assert not has_used_up_deadline()


def test_none_is_no_limit() -> None:
    """Nothing is no limit."""
    assert seconds_from(None, "router") is None


def test_known_only_within_its_block() -> None:
    """A deadline is known to what runs within its block, and knows the latest turn of it."""
    clock = Clock()
    with deadline_under_way(Deadline(1, clock)) as deadline:
        note_turn("turn")
        assert not is_cut_short()
        deadline.start_attempt(is_shorter=True)
        assert is_cut_short()
        clock.now += 1
        assert not has_used_up_deadline()
    assert deadline.turn == "turn"
    assert current_deadline() is None
    assert not is_cut_short()
    note_turn("another")


@pytest.mark.parametrize(("spent", "has_whole"), [(1.0, True), (1.5, False)])
def test_whole_of_everybodys_deadline_counts(spent: float, has_whole: bool) -> None:
    """An attempt that begins with nearly all of a router's deadline has used it up at its end, and is not cut short."""
    clock = Clock()
    with deadline_under_way(Deadline(10, clock, is_for_all=True)) as deadline:
        clock.now += spent
        deadline.start_attempt(is_shorter=True)
        assert is_cut_short() is not has_whole
        assert not has_used_up_deadline()
        clock.now = deadline.at
        assert has_used_up_deadline() is has_whole
    assert not has_used_up_deadline()
