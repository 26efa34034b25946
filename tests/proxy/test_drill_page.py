"""The page of a drill in a real browser: light and dark, on a desk and on a phone. Needs Chromium."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from drill.drilled import outcome, report
from litellm_drill.outcome import Report, Scope, Verdict
from litellm_drill.page import page
from litellm_drill.stand_in import Fault

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LONG = "a_group_whose_name_is_so_long_that_no_phone_has_a_line_for_it_" * 3
SCHEMES: dict[str, Sequence[str]] = {"light": (), "dark": ("--blink-settings=preferredColorScheme=0",)}

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium: apt-get install chromium, or Chrome")


def shown(folder: Path, one: Report, width: int, scheme: str) -> Image.Image:
    """What the browser makes of the page about `one`, in a window of `width` pixels."""
    source, picture = folder / "report.html", folder / f"{scheme}-{width}.png"
    source.write_text(page(one, None, []), "utf-8")
    fixed = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}",
    ]
    options = [*fixed, *SCHEMES[scheme], f"--window-size={width},5000", f"--screenshot={picture}"]
    subprocess.run([str(BROWSER), *options, source.as_uri()], check=True, capture_output=True, timeout=120)
    with Image.open(picture) as opened:
        return opened.convert("L")


def every_kind() -> Report:
    """A report with each verdict, each scope and a name that fits in no line."""
    verdicts = zip(Fault, [*Verdict, *Verdict], strict=False)
    outcomes = [outcome(verdict, fault, scope) for fault, verdict in verdicts for scope in Scope]
    return report(outcome(Verdict.ANSWERED, group=LONG), *outcomes)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [390, 1200])
def test_page_fits_and_is_readable(scheme: str, width: int, tmp_path: Path) -> None:
    """In either scheme the paper has its colour, there is ink on it, and nothing runs over the edge, which has none."""
    picture = shown(tmp_path, every_kind(), width, scheme)
    assert picture.width == width
    paper = picture.getpixel((2, 2))
    assert isinstance(paper, int)
    assert paper < 60 if scheme == "dark" else paper > 200
    low, high = picture.getextrema()
    assert isinstance(low, int)
    assert isinstance(high, int)
    assert high - low > 180
    edge = picture.crop((width - 8, 0, width, picture.height))
    assert edge.getextrema() == (paper, paper)
