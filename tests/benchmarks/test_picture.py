"""The picture of an outage shows each attempt where and when it was made."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import picture
import pytest
from scenarios import Attempt, Observation, Reply

SVG = "{http://www.w3.org/2000/svg}"


def seen(*primary: Attempt) -> Observation:
    return Observation(
        scenario="S15",
        scale=0.1,
        own_time=0.1,
        replies=(Reply(begun=0.0, ended=0.5), Reply(begun=1.0, ended=4.0)),
        primary=primary,
        fallback=(Attempt(0.2, "fallback-model", False, False),),
        healed=2.0,
    )


def test_attempts_are_where_they_were() -> None:
    """A failed attempt is a cross and an answered one a dot, each at its time, and the outage ends where it did."""
    failed, answered = Attempt(0.0, "m", False, True), Attempt(4.0, "m", False, False)
    root = ElementTree.fromstring(picture.draw([("stock", seen(failed, failed)), ("patched", seen(failed, answered))]))
    crosses = [path.attrib["d"] for path in root.iter(f"{SVG}path")]
    assert len(crosses) == 3
    assert all(cross.startswith(f"M{picture.LEFT - 4}") for cross in crosses)
    dots = sorted(float(dot.attrib["cx"]) for dot in root.iter(f"{SVG}circle"))
    assert dots[-1] == picture.WIDTH - picture.RIGHT
    assert len(dots) == 3
    [outage, _] = root.iter(f"{SVG}rect")
    assert float(outage.attrib["width"]) == pytest.approx((picture.WIDTH - picture.RIGHT - picture.LEFT) / 2)
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert "stock: 2 attempts on the dead primary, the slowest of 2 answers took 3.00 s" in words
    assert "patched: 1 attempts on the dead primary, the slowest of 2 answers took 3.00 s" in words


def test_committed_picture_is_one_of_these() -> None:
    """The picture that the README shows is drawn by this code, in whole."""
    committed = Path(__file__).parents[2] / "docs" / "outage.svg"
    assert f'viewBox="0 0 {picture.WIDTH} {picture.TOP + 2 * picture.PANEL + picture.BOTTOM}"' in committed.read_text()
