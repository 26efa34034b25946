"""A scheduled job reads one sentence and an exit code about a release this branch does not know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from releases import newest
from releases.environment import Counts, Environment, ReleaseError

UNKNOWN = "1.999.0"


class Prepared(Environment):
    """An environment that has everything, and lets go of `relaxed`."""

    def __init__(self, relaxed: list[str]) -> None:
        self.base = UNKNOWN
        self.relaxed = relaxed

    def program(self, name: str) -> Path:
        return Path(sys.executable)

    def install(self, *arguments: object) -> bool:
        return True

    def relax(self) -> list[str]:
        return self.relaxed


def judged(
    monkeypatch: pytest.MonkeyPatch, *, failed: int, refusal: str = "", relaxed: tuple[str, ...] = ()
) -> tuple[int, str]:
    """What is said of a release on which `fork apply` ends with `refusal`, and the tests fail as often without it."""

    def apply(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 2 if refusal else 0, stderr=f"litellm-failover: {refusal}\n")

    monkeypatch.setattr(subprocess, "run", apply)
    monkeypatch.setattr(newest, "counts", lambda environment: Counts(passed=9, failed=failed, error=3))
    return newest.judged(UNKNOWN, Prepared(list(relaxed)), [])


def test_addable_release_is_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new release that the patches fit is no alarm, and the sentence says how to add it."""
    code, sentence = judged(monkeypatch, failed=800, relaxed=("certifi>=2099",))
    assert code == 0
    assert sentence == (
        "LiteLLM 1.999.0 is new: the patches apply, and 800 tests fail without them (without certifi>=2099, which the "
        "index does not have). Add it with `nox -s base -- 1.999.0`."
    )


def test_a_place_that_is_lost_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new release in which a patch loses its place is an alarm that names the patch and the place."""
    code, sentence = judged(monkeypatch, failed=800, refusal="patches/p0001_a.py: litellm/b.py has moved.")
    assert code == 1
    assert sentence.endswith("this branch does not fit it: patches/p0001_a.py: litellm/b.py has moved.")


def test_passing_release_is_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new release that passes the tests as it is, is an alarm: the patches may have been merged."""
    code, sentence = judged(monkeypatch, failed=0)
    assert (code, sentence.endswith("are the patches merged?")) == (1, True)


@pytest.mark.parametrize(("release", "code"), [("1.103.7", 0), (UNKNOWN, 1)])
def test_supported_release_is_not_judged(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    release: str,
    code: int,
) -> None:
    """The newest release is judged only if it is not supported, and one sentence is printed."""
    (tmp_path / "requirements.txt").write_text("pytest\n")
    monkeypatch.setattr(sys, "argv", ["newest.py", str(tmp_path), str(tmp_path / "requirements.txt")])
    monkeypatch.setattr(newest, "newest", lambda: release)
    monkeypatch.setattr(newest, "Environment", lambda release, work: Prepared([]))
    monkeypatch.setattr(newest, "judged", lambda release, environment, requirements: (1, f"{release}: {requirements}"))
    assert newest.main() == code
    said = "LiteLLM 1.103.7 is the newest release, and supported." if code == 0 else "1.999.0: ['pytest']"
    assert capsys.readouterr().out == f"{said}\n"


@pytest.mark.parametrize("step", ["newest", "judged"])
def test_unavailable_release_is_alarm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    """A newest release that cannot be looked at, as while the index is away, is an alarm in one sentence."""
    (tmp_path / "requirements.txt").write_text("")
    monkeypatch.setattr(sys, "argv", ["newest.py", str(tmp_path), str(tmp_path / "requirements.txt")])
    monkeypatch.setattr(newest, "newest", lambda: UNKNOWN)
    monkeypatch.setattr(newest, "Environment", lambda release, work: Prepared([]))
    monkeypatch.setattr(newest, step, mock.Mock(side_effect=ReleaseError("`uv pip compile` ended with 2: see above")))
    assert newest.main() == 1
    said = "The newest LiteLLM could not be looked at: `uv pip compile` ended with 2: see above\n"
    assert capsys.readouterr().out == said
