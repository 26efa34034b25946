"""A second half of an answer is joined to the first so that no word is doubled, lost or another answer's."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.router_utils.failover.chat_halves import ChatHalves
from litellm.router_utils.failover.responses_halves import ResponsesHalves
from litellm.router_utils.failover.stream_recovery import Diverged, Half, Sent, Splice, halves, prefill

ALPHABET = "ab \n"  # few letters, so that answers repeat themselves
ANSWERS = st.text(ALPHABET, min_size=1, max_size=24)
CALL = SimpleNamespace(tool_calls=[{"id": "call_1"}])
THOUGHT = SimpleNamespace(reasoning_content="hm")
PICTURE = SimpleNamespace(images=["a"])
SOURCE = SimpleNamespace(annotations=[{"type": "url_citation"}])
REFUSAL = SimpleNamespace(refusal="I cannot")


def joined(sent: str, half: Half, pieces: Iterable[str]) -> str | None:
    """What the caller has in the end, None for an error."""
    splice = Splice(sent, half)
    heard = sent
    try:
        for piece in pieces:
            heard += splice.feed(piece)
        return heard + splice.end()
    except Diverged:
        assert heard == sent  # nothing of the other answer
        return None


@st.composite
def in_pieces(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@given(data=st.data(), answer=ANSWERS)
def test_continuation_is_whole_or_refused(data: st.DataObject, answer: str) -> None:
    """Whoever goes on where the prefill ends makes the answer whole."""
    sent = answer[: data.draw(st.integers(0, len(answer)))]
    rest = answer[len(prefill(sent)) :]
    heard = joined(sent, Half.CONTINUED, data.draw(in_pieces(rest)))
    assert heard in (answer, None)


@given(data=st.data(), answer=ANSWERS)
def test_repeated_answer_is_never_doubled(data: st.DataObject, answer: str) -> None:
    """Whoever begins anew, though asked to go on, is not taken at their word."""
    sent = answer[: data.draw(st.integers(1, len(answer)))]
    if sent.strip():
        assert joined(sent, Half.CONTINUED, data.draw(in_pieces(answer))) is None


@given(data=st.data(), answer=ANSWERS, other=ANSWERS)
def test_restart_gives_one_whole_answer(data: st.DataObject, answer: str, other: str) -> None:
    """The second answer is the caller's whole one if it begins as the first did; else there is an error."""
    sent = answer[: data.draw(st.integers(0, len(answer)))]
    for second in (answer, other):
        heard = joined(sent, Half.RESTARTED, data.draw(in_pieces(second)))
        assert heard == (second if second.startswith(sent) else None)


@given(data=st.data())
def test_plain_prose_is_continued(data: st.DataObject) -> None:
    """An answer that does not repeat itself is joined wherever it was cut."""
    answer = "one two three four five six"
    sent = answer[: data.draw(st.integers(1, len(answer)))]
    rest = answer[len(prefill(sent)) :]
    assert joined(sent, Half.CONTINUED, data.draw(in_pieces(rest))) == answer


def test_an_echo_can_be_told_apart() -> None:
    """Only what was asked to go on may have begun anew."""
    for half, is_echo in ((Half.CONTINUED, True), (Half.RESTARTED, False)):
        with pytest.raises(Diverged) as raised:
            Splice("one two", half).feed("one two" if is_echo else "three")
        assert raised.value.is_echo is is_echo


@pytest.mark.parametrize(
    ("sent", "asked", "expected"),
    [
        ("", {}, [Half.RESTARTED]),
        ("", {"n": 2}, [Half.RESTARTED]),
        ("one", {}, [Half.CONTINUED, Half.RESTARTED]),
        ("one", {"n": 1, "response_format": {"type": "text"}, "tool_choice": "auto"}, list(Half)),
        (" \n", {}, [Half.RESTARTED]),
        ("one", {"tools": [{}]}, [Half.RESTARTED]),
        ("one", {"tools": [{}], "tool_choice": "required"}, []),
        ("one", {"n": 2}, []),
        ("one", {"response_format": {"type": "json_object"}}, []),
        ("one", {"thinking": {"type": "enabled"}}, []),
        ("one", {"thinking": {"type": "disabled"}, "reasoning_effort": "none"}, list(Half)),
        ("one", {"reasoning_effort": "low"}, []),
        ("one", {"tools": [{}], "tool_choice": {"type": "auto"}}, [Half.RESTARTED]),
        ("one", {"tools": [{}], "tool_choice": {"type": "tool", "name": "look"}}, []),
        ("one", {"output_format": {"type": "json_schema"}}, []),
        ("one", {"output_config": {"format": {"type": "json_schema"}}}, []),
        ("one", {"output_config": {"effort": "low"}}, list(Half)),
    ],
)
def test_what_is_asked_for(sent: str, asked: dict[str, Any], expected: list[Half]) -> None:
    """Words are continued, then restarted; what is more than words is restarted if nothing was sent."""
    had = Sent()
    had.add(sent, None, None)
    assert list(halves(had, asked)) == expected


@pytest.mark.parametrize(("limit", "left"), [(10, 8), (2, 1)], ids=["some", "none"])
@pytest.mark.parametrize(
    ("halves_of", "name"),
    [(ChatHalves, "max_tokens"), (ChatHalves, "max_completion_tokens"), (ResponsesHalves, "max_output_tokens")],
)
def test_rest_has_the_tokens_that_are_left(halves_of: Any, name: str, limit: int, left: int) -> None:
    """The words that were sent count towards the limit of the whole answer; one token is asked for at least."""
    answer = halves_of("ping")
    answer.sent.add("one two", None, None)
    answer.broke("gpt-4o-mini", "")
    assert answer.prefilled({"messages": [], "input": "ping", name: limit})[name] == left


@pytest.mark.parametrize(
    "delta", [CALL, THOUGHT, PICTURE, SOURCE, REFUSAL], ids=["call", "thought", "picture", "source", "refusal"]
)
def test_what_is_no_text_is_final(delta: Any) -> None:
    """A call, a thought or a picture that was sent cannot be joined to another answer."""
    had = Sent()
    had.add(None, delta, None)
    assert halves(had, {}) == ()


def test_an_end_is_final() -> None:
    """What fails after the end of the answer takes nothing from it."""
    had = Sent()
    had.add("one", None, "stop")
    assert halves(had, {}) == ()
