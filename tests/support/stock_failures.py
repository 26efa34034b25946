"""A pytest plugin for `nox -s baseline`: the suite on stock LiteLLM must fail exactly where it is known to.

`tests/stock_failures/<base>.txt` lists those tests. One that is not listed and fails, or is listed and passes, fails
the session: the first is a broken test that needs no patch, the second a patch the base no longer needs. Tests marked
`by_chance` pass or fail on stock LiteLLM as the router draws and as its callbacks come in time; they are left out. For
one that nobody has marked yet, the session runs those that differ from the list once more, by themselves.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "stock_failures"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--base VERSION` names the list to compare with, `--update` rewrites it, `--differing FILE` is where the tests
    that differ from it are written to, one a line, and with `--again` the list is about these tests alone."""
    parser.addoption("--base", required=True, help="the stock LiteLLM release under test")
    parser.addoption("--differing", type=Path, help="a file for the tests that differ from the list")
    parser.addoption("--again", action="store_true", help="compare only the tests that are run")
    parser.addoption("--update", action="store_true", help="write the list instead of comparing with it")


def pytest_configure(config: pytest.Config) -> None:
    """Only where all reports come together, not in pytest-xdist's workers."""
    if config.option.update and (config.option.keyword or config.option.markexpr):
        raise pytest.UsageError("--update needs the whole suite: leave out -k and -m")
    if not hasattr(config, "workerinput"):
        partial = bool(config.option.keyword or config.option.markexpr or config.option.again)
        path = FOLDER / f"{config.option.base}.txt"
        config.pluginmanager.register(StockFailures(path, config.option.update, partial, config.option.differing))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What a test that passes by chance does here proves nothing."""
    left_out = [item for item in items if item.get_closest_marker("by_chance")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


class StockFailures:
    """Collects failures and compares them with the list at `path`."""

    def __init__(self, path: Path, update: bool, partial: bool, differing: Path | None) -> None:
        self.path = path
        self.update = update
        self.partial = partial
        self.differing = differing
        self.reasons: dict[str, str] = {}
        self.passed: set[str] = set()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that needs one of our own is one failure."""
        if report.failed:
            self.reasons[report.nodeid] = report.longreprtext

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Set-up and tear-down count as the test."""
        if report.failed:
            self.reasons[report.nodeid] = report.longreprtext
        elif report.when == "call" and report.passed:
            self.passed.add(report.nodeid)

    @property
    def failed(self) -> set[str]:
        """The tests that failed, and the modules that could not be collected."""
        return set(self.reasons)

    @property
    def known(self) -> set[str]:
        """What the list says of the tests that were run, or of all where the run was whole."""
        listed = set(self.path.read_text("utf-8").splitlines()) if self.path.exists() else set()
        return listed & (self.failed | self.passed) if self.partial else listed

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """The session's exit code says whether the list is right, not whether all tests pass."""
        if self.update:
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_text("".join(f"{test}\n" for test in sorted(self.failed)), "utf-8")
        if self.differing is not None:
            self.differing.write_text("".join(f"{test}\n" for test in sorted(self.failed ^ self.known)), "utf-8")
        session.exitstatus = pytest.ExitCode.OK if self.failed == self.known else pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Failures by file, and whatever differs from the list, by name and with its traceback."""
        terminalreporter.section(f"stock LiteLLM {self.path.stem}")
        failed, passed = (Counter(test.partition("::")[0] for test in tests) for tests in (self.failed, self.passed))
        for file in sorted({*failed, *passed}):
            terminalreporter.write_line(f"{failed[file]:4} fail, {passed[file]:4} pass  {file}")
        for test in sorted(self.failed - self.known):
            terminalreporter.write_line(f"fails, and is not in {self.path.name}: {test}", red=True)
            terminalreporter.write_line(self.reasons[test])
        for test in sorted(self.known - self.failed):
            terminalreporter.write_line(f"passes, and is in {self.path.name}: {test}", red=True)
        if self.failed == self.known:
            total = len(self.failed)
            terminalreporter.write_line(f"{total} tests fail without the patches, exactly those of {self.path.name}.")
