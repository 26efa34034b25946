"""What the sessions over all releases rest on: an environment for each, and an honest count of what its tests say."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from zipfile import ZipFile

import pytest

from fork.patches import Patch
from releases import bisect_series, compat, environment
from releases.environment import Counts, Environment, ReleaseError, counts

INDEX = {
    "litellm": ("9.9.9", ["present>=2", "absent>=1", "fine", "another-absent; extra == 'proxy'"]),
    "present": ("1.0", []),
    "fine": ("1.0", []),
}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels is all that an installer knows."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, (version, needed) in INDEX.items():
        info = f"{name}-{version}.dist-info"
        requires = "".join(f"Requires-Dist: {one}\n" for one in needed)
        with ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    config = tmp_path / "uv.toml"
    config.write_text(f"[pip]\nno-index = true\nfind-links = ['{folder.as_posix()}']\n")
    monkeypatch.setenv("UV_CONFIG_FILE", str(config))
    monkeypatch.setenv("UV_NO_CACHE", "1")
    return folder


def test_unmet_requirements_are_relaxed(index: Path, tmp_path: Path) -> None:
    """Only the requirements that the index cannot meet are let go of, and they are named."""
    tried = Environment("9.9.9", tmp_path / "work")
    assert sorted(tried.prepare(["fine"])) == ["absent>=1", "another-absent", "present>=2"]
    installed = environment.output(*environment.UV, "pip", "freeze", "--python", tried.folder)
    assert installed.split() == ["fine==1.0", "litellm==9.9.9", "present==1.0"]


def test_missing_release_is_named(index: Path, tmp_path: Path) -> None:
    """A release that is not on the index raises an error that names it."""
    with pytest.raises(ReleaseError, match=r"LiteLLM 1\.0\.0 cannot be installed: see above"):
        Environment("1.0.0", tmp_path / "work").prepare([])


@pytest.mark.parametrize("version", ["1.82.7", "1.107.0rc2"])
def test_attackers_release_is_not_installed(tmp_path: Path, version: str) -> None:
    """A release that an attacker published has no environment, so that nothing of it is installed."""
    with pytest.raises(ReleaseError, match="published by an attacker and must not be used"):
        Environment(version, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [environment.run, environment.output])
def test_failing_command_is_named(command: Callable[..., object]) -> None:
    """A command that fails raises an error that names it and its exit code."""
    with pytest.raises(ReleaseError, match="-c exit\\(3\\)` ended with 3: see above"):
        command(sys.executable, "-c", "exit(3)")


class Here(Environment):
    """The environment that this test runs in."""

    def __init__(self, work: Path) -> None:
        self.base = "9.9.9"
        self.work = work

    def program(self, name: str) -> Path:
        return Path(sys.executable).with_name(name)


OUTCOMES = """
import pytest

def test_one(): pass
def test_other(): pass
def test_three(): assert False
@pytest.mark.skip
def test_four(): pass
@pytest.fixture
def broken(): 1 / 0
def test_five(broken): pass
"""


def test_errors_are_counted_apart(tmp_path: Path) -> None:
    """Tests that cannot be collected or set up are counted apart from those that fail."""
    (tmp_path / "test_a.py").write_text(OUTCOMES)
    (tmp_path / "test_b.py").write_text("import no_such_module")
    found = counts(Here(tmp_path), ["test_a.py", "test_b.py"], tmp_path)
    assert found == Counts(passed=2, failed=1, error=2, skipped=1)
    assert str(found) == "2 passed, 1 skipped, 3 FAILED"
    assert not found.all_pass
    assert not Counts(2, 0, 1).all_pass


def test_no_test_is_no_success(tmp_path: Path) -> None:
    """A run without any test is an error and not a success."""
    with pytest.raises(ReleaseError, match=r"the tests on LiteLLM 9\.9\.9 did not run: see above"):
        counts(Here(tmp_path), [], tmp_path)


def test_broken_release_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release that cannot be built is in the matrix with the reason, beside the results of the others."""

    def tried(base: str, work: Path, requirements: list[str]) -> compat.Outcome:
        if base == "1.82.6":
            raise ReleaseError("LiteLLM 1.82.6 cannot be installed: see above")
        return compat.Outcome(Counts(7, 0), 1.25, ["certifi>=2099"])

    (tmp_path / "requirements.txt").write_text("pytest\n")
    monkeypatch.setattr(
        sys, "argv", ["compat.py", str(tmp_path), str(tmp_path / "requirements.txt"), "1.82.6", "1.88.6"]
    )
    monkeypatch.setattr(compat, "tried", tried)
    assert compat.main() == 1
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| 1.8")]
    assert rows[0].endswith("| NOT TESTED: LiteLLM 1.82.6 cannot be installed: see above |")
    assert rows[1].endswith("| 7 passed, built in 1.2 s, without certifi>=2099 |")
    sys.argv.remove("1.82.6")
    assert compat.main() == 0


def bisected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, applied: Callable[[Patch], Counts]) -> int:
    """The exit code of the series applied patch by patch, where `applied` says what becomes of each."""
    (tmp_path / "requirements.txt").write_text("pytest\n")
    monkeypatch.setenv("ROUTER_PATIENCE", "5")  # which it sets, and is set back
    monkeypatch.setattr(sys, "argv", ["bisect_series.py", str(tmp_path), str(tmp_path / "requirements.txt"), "9.9.9"])
    monkeypatch.setattr(bisect_series, "Environment", lambda base, work: Prepared(work))
    monkeypatch.setattr(bisect_series, "applied", lambda patch, repository, environment: applied(patch))
    return bisect_series.main()


class Prepared(Here):
    def prepare(self, requirements: Sequence[str]) -> list[str]:
        return []


def test_failing_patch_fails_the_bisection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A patch with a failing test is named at the end, though the later ones pass, and the exit code is 1."""
    failing = ("p0002_cooldown", "p0005_first_event")
    assert bisected(monkeypatch, tmp_path, lambda patch: Counts(3, int(patch.name in failing))) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "=== LiteLLM 9.9.9, up to p0006_retry: 3 passed" in lines
    assert lines[-1].startswith("=== LiteLLM 9.9.9: tests FAILED with p0002_cooldown, p0005_first_event: name those")


def test_series_without_failure_passes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the tests of each patch pass, or it has none, the exit code is 0."""
    assert bisected(monkeypatch, tmp_path, lambda patch: Counts(patch.number - 1, 0)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "=== LiteLLM 9.9.9: each patch passes its own tests"


def test_patch_that_does_not_build_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A patch that cannot be built, or whose tests cannot be run, is named with the reason, and the exit code is 1."""

    def applied(patch: Patch) -> Counts:
        raise ReleaseError("the tests did not run: see above")

    assert bisected(monkeypatch, tmp_path, applied) == 1
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == "=== LiteLLM 9.9.9: up to p0001_exception_mapping: the tests did not run: see above"
