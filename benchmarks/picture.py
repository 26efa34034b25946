"""Draws an outage that ends as an SVG: when callers asked and were answered, and whom the router asked meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from scenarios import Attempt, Observation, while_dead

WIDTH, LEFT, RIGHT = 880, 130, 20
"""Pixels; what is drawn over time lies between the margins."""

PANEL, ROW, TOP, BOTTOM = 150, 34, 44, 12
"""Pixels: the height of a side, of a row in it, and of what stands above and below the sides."""

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.faint { fill: #59636e; }
.outage { fill: #cf222e; fill-opacity: .09; }
.axis { stroke: #59636e; }
.wait { stroke: #0969da; stroke-width: 5; stroke-linecap: round; }
.failed { stroke: #cf222e; stroke-width: 2; }
.answered { fill: #1a7f37; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .faint { fill: #9198a1; }
  .axis { stroke: #9198a1; }
  .outage { fill: #f85149; fill-opacity: .15; }
  .wait { stroke: #4493f8; }
  .failed { stroke: #f85149; }
  .answered { fill: #3fb950; }
}
"""
"""A failed attempt is a cross, an answered one a dot: no colour is needed to tell them apart."""

ROWS = ("callers wait", "primary asked", "fallback asked")


def draw(sides: Sequence[tuple[str, Observation]]) -> str:
    """The picture of one scenario on each side, given with its title, below a common axis in seconds."""
    end = max(reply.ended for _, seen in sides for reply in seen.replies)
    height = TOP + PANEL * len(sides) + BOTTOM
    image = Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {height}", role="img")
    SubElement(image, "title").text = f"{sides[0][1].scenario}: attempts over time"
    SubElement(image, "style").text = STYLE
    _text(image, LEFT, 20, "shaded: the primary answers 503; ✕ a failed attempt, ● an answered one", "faint")
    for number, (title, seen) in enumerate(sides):
        _side(image, TOP + PANEL * number, title, seen, _Axis(end))
    _ticks(image, TOP + PANEL * len(sides), _Axis(end))
    ElementTree.indent(image)
    return ElementTree.tostring(image, encoding="unicode") + "\n"


class _Axis:
    """Seconds to pixels."""

    def __init__(self, end: float) -> None:
        self.end = end

    def __call__(self, seconds: float) -> float:
        return round(LEFT + seconds / self.end * (WIDTH - LEFT - RIGHT), 1)


def _side(image: Element, top: float, title: str, seen: Observation, x: _Axis) -> None:
    width = x(seen.healed if seen.healed is not None else x.end) - LEFT
    SubElement(image, "rect", {"class": "outage"}, **_numbers(x=LEFT, y=top + 8, width=width, height=3 * ROW))
    worst = max(reply.ended - reply.begun for reply in seen.replies)
    words = f"{title}: {while_dead(seen)} attempts on the dead primary, the slowest of {len(seen.replies)} answers"
    _text(image, LEFT, top, f"{words} took {worst:.2f} s", "title")
    for number, name in enumerate(ROWS):
        _text(image, 8, top + 8 + ROW * (number + 0.65), name, "faint")
    for reply in seen.replies:
        y = top + 8 + ROW / 2
        ends = _numbers(x1=x(reply.begun), x2=max(x(reply.ended), x(reply.begun) + 0.1), y1=y, y2=y)
        SubElement(image, "line", {"class": "wait"}, **ends)
    _attempts(image, top + 8 + ROW * 1.5, seen.primary, x)
    _attempts(image, top + 8 + ROW * 2.5, seen.fallback, x)


def _attempts(image: Element, y: float, attempts: Iterable[Attempt], x: _Axis) -> None:
    for attempt in attempts:
        at = x(attempt.at)
        if attempt.faulty:
            SubElement(image, "path", {"class": "failed"}, d=f"M{at - 4} {y - 4}l8 8m0 -8l-8 8")
        else:
            SubElement(image, "circle", {"class": "answered"}, **_numbers(cx=at, cy=y, r=4))


def _ticks(image: Element, y: float, x: _Axis) -> None:
    SubElement(image, "line", {"class": "axis"}, **_numbers(x1=LEFT, x2=WIDTH - RIGHT, y1=y - 20, y2=y - 20))
    for second in range(int(x.end) + 1):
        _text(image, x(second), y - 4, f"{second} s", "faint")


def _text(image: Element, x: float, y: float, words: str, kind: str) -> None:
    SubElement(image, "text", {"class": kind}, **_numbers(x=x, y=y)).text = words


def _numbers(**numbers: float) -> dict[str, str]:
    return {name: f"{number:g}" for name, number in numbers.items()}
