"""The plugin of `nox -s baseline` compares a run with the list of what fails on stock LiteLLM."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import stock_failures

pytest_plugins = ["pytester"]

SUITE = """
def test_that_passes():
    pass

def test_that_fails():
    assert False
"""
PASSES, FAILS = (f"test_suite.py::test_that_{what}" for what in ("passes", "fails"))


@pytest.fixture
def lists(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the lists are, beside a suite of two tests."""
    monkeypatch.setattr(stock_failures, "FOLDER", pytester.path)
    pytester.makepyfile(test_suite=SUITE)
    pytester.makeini("[pytest]")  # or a test would be named from the folder of another configuration on
    return pytester.path


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "support.stock_failures", "--base=1.0", *arguments)


def test_run_that_fails_as_listed_succeeds(pytester: pytest.Pytester, lists: Path) -> None:
    """The session's success is that exactly the listed tests fail."""
    (lists / "1.0.txt").write_text(f"{FAILS}\n")
    assert run(pytester).ret == 0


@pytest.mark.parametrize("listed", [[], [PASSES], [FAILS, PASSES]], ids=["too few", "wrong", "too many"])
def test_run_that_differs_fails(pytester: pytest.Pytester, lists: Path, listed: list[str]) -> None:
    """A test that differs from the list fails the session and is written down to be run once more."""
    (lists / "1.0.txt").write_text("".join(f"{test}\n" for test in listed))
    differing = lists / "differing.txt"
    assert run(pytester, f"--differing={differing}").ret == 1
    assert set(differing.read_text().split()) == {FAILS} ^ set(listed)


def test_other_tests_are_not_missed_again(pytester: pytest.Pytester, lists: Path) -> None:
    """A second run of the tests that differed is compared with what the list says of these."""
    (lists / "1.0.txt").write_text(f"{FAILS}\ntest_suite.py::test_of_before\n")
    assert run(pytester, "--again", FAILS).ret == 0
    assert run(pytester, FAILS).ret == 1


def test_listed_test_that_passes_again_fails(pytester: pytest.Pytester, lists: Path) -> None:
    """One that differs twice is no chance."""
    (lists / "1.0.txt").write_text(f"{PASSES}\n")
    assert run(pytester, "--again", PASSES).ret == 1
