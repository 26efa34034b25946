"""A drill is told as a table, JSON, JUnit's XML and a page, and by the sentence that matters."""

from __future__ import annotations

import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from junitparser import Failure, JUnitXml
from rich.console import Console

from drill.drilled import outcome, report
from litellm_drill.drill_report import as_json, show, told, write_junit
from litellm_drill.outcome import Report, Scope, Verdict, about_streams, remarks, sentence, worst
from litellm_drill.page import page
from litellm_drill.stand_in import Fault

GOOD, LOST = outcome(Verdict.ANSWERED), outcome(Verdict.FAILED, Fault.UNAVAILABLE)
CUT = outcome(Verdict.CUT, Fault.CUT, streamed=True)
ALL_LOST = outcome(Verdict.FAILED, scope=Scope.ALL, group="other")


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (report(GOOD), "The one group survives the loss of one deployment."),
        (report(GOOD, ALL_LOST), "All 2 groups survive the loss of one deployment."),
        (report(GOOD, LOST), '1 of 1 group does not survive the loss of one deployment: "gpt".'),
        (report(LOST, ALL_LOST), '1 of 2 groups do not survive the loss of one deployment: "gpt".'),
        (report(CUT), "The one group survives the loss of one deployment."),
        (report(), "No group could be drilled."),
    ],
)
def test_sentence_counts_lost_groups(one: Report, text: str) -> None:
    """The sentence counts the groups in which the loss of one deployment is a caller's."""
    assert sentence(one) == text


def test_cut_streams_are_told_apart() -> None:
    """What becomes of streams that break off is said by itself, and only if it was drilled."""
    assert about_streams(report(CUT)).endswith('stays cut short in: "gpt".')
    finished = outcome(Verdict.ANSWERED, Fault.CUT, streamed=True)
    assert about_streams(report(finished)) == (
        "Streams that break off after their first words are finished by another deployment."
    )
    assert about_streams(report(GOOD)) == ""


def test_worst_outcome_is_shown() -> None:
    """Of several outcomes the worst stands for them."""
    assert worst([GOOD, CUT, LOST, outcome(Verdict.UNASKED)]) is LOST
    assert worst([]) is None
    assert told(GOOD) == "✓ gpt #2, 2 attempts, +60 s"
    assert told(LOST) == "✗ HTTP 503, 1 attempt, +60 s"


def test_deployment_that_stands_by_is_named() -> None:
    """One that no question came to, whatever broke it, is told: that its group lives on says nothing of its loss."""
    idle = outcome(Verdict.UNASKED), outcome(Verdict.UNASKED, Fault.SILENT)
    assert 'stands by, so that its loss alone was not tried: "gpt #1".' in " ".join(remarks(report(*idle)))
    assert not any("stands by" in line for line in remarks(report(*idle, outcome(Verdict.ANSWERED, Fault.CUT))))
    assert not any("stands by" in line for line in remarks(report(outcome(Verdict.UNASKED, scope=Scope.ALL))))


def test_table_has_each_group_and_fault() -> None:
    """The table has a row for each group and fault; then come what was replaced, not drilled and denied."""
    console = Console(file=io.StringIO(), width=200)
    show(console, report(GOOD, LOST), report(GOOD))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for fault in Fault:
        assert text.count(f"│ {fault.value} ") == 2
    assert "replaced: api_key: an invented key" in text
    assert "not drilled: far #1: no stand-in speaks it" in text
    assert "denied: the proxy wanted example" in text
    assert text.endswith("LiteLLM 1.2.3: The one group survives the loss of one deployment.\n")


def test_json_has_all() -> None:
    """JSON has each outcome, the sentence and the other LiteLLM's."""
    loaded = json.loads(as_json(report(GOOD, CUT), report(LOST), []))
    assert loaded["outcomes"][0] == {
        "group": "gpt",
        "broken": ["gpt #1"],
        "scope": "one",
        "fault": "refused",
        "streamed": False,
        "verdict": "answered",
        "answered_by": "gpt #2",
        "seen": None,
        "attempts": 2,
        "added_seconds": 0.25,
        "added_seconds_by_own_timeouts": 59.5,
    }
    assert loaded["stock"]["not_surviving"] == ["gpt"]
    assert loaded["findings"] == []


def test_junit_has_failures(tmp_path: Path) -> None:
    """A loss by one deployment is a failure, that of the whole group is not, and what was not asked is skipped."""
    path = tmp_path / "junit.xml"
    write_junit(path, report(GOOD, LOST, outcome(Verdict.UNASKED, Fault.SILENT), ALL_LOST))
    suites = {suite.name: suite for suite in JUnitXml.fromfile(str(path))}
    assert (suites["gpt"].tests, suites["gpt"].failures, suites["gpt"].skipped) == (3, 1, 1)
    assert suites["other"].failures == 0
    (failed,) = (case for case in suites["gpt"] if case.result and isinstance(case.result[0], Failure))
    assert failed.result[0].message == "✗ HTTP 503, 1 attempt, +60 s"


def test_unwell_group_is_in_each_form(tmp_path: Path) -> None:
    """A group that does not answer even when nothing is broken is neither a survivor nor lost, and named everywhere."""
    unwell = replace(report(GOOD), unwell={"mute": "HTTP 400: no such tag"})
    assert (unwell.groups, unwell.lost()) == (["gpt"], [])
    reason = "does not answer even when nothing is broken: HTTP 400: no such tag"
    console = Console(file=io.StringIO(), width=200)
    show(console, unwell, None)
    assert f"not drilled: mute: {reason}\n" in console.file.getvalue()  # type: ignore[attr-defined]
    loaded = json.loads(as_json(unwell, None, []))
    assert (loaded["unwell"], loaded["not_drilled"]["mute"]) == (["mute"], reason)
    assert remarks(unwell)[-2].endswith('even when nothing is broken: "mute".')
    assert remarks(unwell)[-2] in html.unescape(page(unwell, None, []))
    write_junit(tmp_path / "junit.xml", unwell)
    assert JUnitXml.fromfile(str(tmp_path / "junit.xml")).errors == 1


def test_page_is_self_contained() -> None:
    """The page asks for nothing: it has no address of anything, and its policy forbids it."""
    text = page(report(GOOD, LOST, CUT), report(LOST), [])
    assert not re.search(r"""(?:src|href)=|url\((?!#)|@import|https?://""", text)
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert text.count("<svg viewBox") == 1
    assert "✗ HTTP 503, 1 attempt, +60 s" in text


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_stand_out(scheme: int) -> None:
    """What is written has a contrast of at least 4.5 to what it is written on, in either scheme (WCAG 2.1, 1.4.3)."""
    style = re.findall(r":root {([^}]*--ink[^}]*)}", page(report(GOOD), None, []))[scheme]
    light = {name: luminance(colour) for name, colour in re.findall(r"--(\w+): #(\w{6})", style)}
    for ink in ("ink", "good", "bad", "cut"):
        for paper in ("paper", "tint"):
            lower, higher = sorted((light[ink], light[paper]))
            assert (higher + 0.05) / (lower + 0.05) >= 4.5


def luminance(colour: str) -> float:
    """The relative luminance of six hexadecimal digits, as WCAG 2.1 defines it."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4))
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_names_are_no_markup() -> None:
    """A group's name is shown as it is, whatever it looks like."""
    odd = outcome(Verdict.ANSWERED, group="<b>[red]x")
    console = Console(file=io.StringIO(), width=200)
    show(console, report(odd), None)
    assert "<b>[red]x" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "<b>[red]" not in page(report(odd), None, [])


@pytest.mark.parametrize("name", ["a\\[/b]", "ctl\x01", "llama:fire:x", "\x1b[31mred", "\ud800", "[bold]x"])
def test_any_name_can_be_told(name: str, tmp_path: Path) -> None:
    """A name is told as it is, but for what steers a terminal, or no XML may have."""
    plain = re.sub("[\x01\x1b\ud800]", "\N{REPLACEMENT CHARACTER}", name)
    one = replace(report(outcome(Verdict.FAILED, group=name)), unwell={name: name})
    output = io.StringIO()
    show(Console(file=output, width=200), one, None)
    assert output.getvalue().count(plain) >= 2
    write_junit(tmp_path / "x.xml", one)
    assert [suite.name for suite in JUnitXml.fromfile(str(tmp_path / "x.xml"))] == [plain]
