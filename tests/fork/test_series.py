"""The series that is written for upstream does to a clone what the build does to a release."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from fork import ForkError, patches, series
from fork.__main__ import main
from fork.base import Base, add, find, installed
from fork.tree import TreeError, patched

Install = Callable[..., Path]
ROOT = Path(__file__).parents[2]
STAYING = {
    "tests/drill/test_command.py",  # the build's
    "tests/drill/test_documentation.py",  # docs/drill.md's
    "tests/router_unit_tests/test_policy_table.py",  # the README's
    "tests/router_unit_tests/test_soak.py",  # the benchmark's
}
TEXT = '''"""fix: the answer

Problem
-------
It is 41.
"""
'''
TEST = "tests/router_unit_tests/test_answer.py"
ADDS = f'ADDS = ("litellm/extra/failover.py", "{TEST}")\n'
SECOND = '''"""feat: a second function"""
from fork.edits import InsertFirst
EDITS = {"litellm/router.py": (InsertFirst("answer", "pass"),)}
'''
NONE_OF_ITS_EDITS = """
from fork.edits import ForReleases, Otherwise
EDITS = {"litellm/router.py": (ForReleases({"<1": EDITS["litellm/router.py"]}, "1 lacks it", Otherwise.MISSING),)}
"""


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> None:
    """All of `folder`, by its author at a time of its own."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    git(folder, "add", "--force", ".")
    identity = ("-c", "user.name=The Author", "-c", "user.email=author@example.org")
    git(folder, *identity, "commit", "--quiet", "--message", "all", "--date", "2026-01-02T03:04:05+06:00")


@pytest.fixture
def base(repository: Path, install: Install) -> Base:
    """The release that `repository`, two patches of which are committed, is built on."""
    install()
    add("1.2.3", [installed("1.2.3")], repository)
    first = repository / "patches" / "p0001_answer.py"
    first.write_text(TEXT + first.read_text().partition("\n")[2] + ADDS)
    first.with_name("p0002_second.py").write_text(SECOND)
    (repository / TEST).parent.mkdir(parents=True)
    (repository / TEST).write_text("def test_answer() -> None: ...\n")
    commit(repository)
    return find("1.2.3", repository)


@pytest.fixture
def mails(base: Base, repository: Path, tmp_path: Path) -> list[Path]:
    return series.write(base, repository, tmp_path / "mails")


@pytest.fixture
def clone(base: Base, tmp_path: Path) -> Path:
    """Upstream's repository at the release."""
    clone = tmp_path / "clone"
    for name, path in base.package.items():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_bytes(path.read_bytes())
    commit(clone)
    return clone


def parsed(mail: Path) -> Message:
    return message_from_bytes(mail.read_bytes())


def test_each_patch_is_one_mail(mails: list[Path]) -> None:
    """Each patch is one mail with the author and date of its file's commit and its docstring for a message."""
    one, other = map(parsed, mails)
    assert (one["Subject"], other["Subject"]) == ("[PATCH 1/2] fix: the answer", "[PATCH 2/2] feat: a second function")
    assert one["From"] == "The Author <author@example.org>"
    assert one["Date"] == "Fri, 2 Jan 2026 03:04:05 +0600"
    assert str(one.get_payload()).startswith("Problem\n-------\nIt is 41.\n---\n")


def test_the_mails_are_the_same_each_time(mails: list[Path], base: Base, repository: Path, tmp_path: Path) -> None:
    """The mails are the same each time, byte for byte, and none of an earlier series stays among them."""
    before = [mail.read_bytes() for mail in mails]
    (tmp_path / "mails" / "0003-gone.patch").write_text("")
    again = series.write(base, repository, tmp_path / "mails")
    assert (again, [mail.read_bytes() for mail in again]) == (mails, before)


def test_a_test_goes_where_upstream_keeps_its_own(mails: list[Path], clone: Path) -> None:
    """A test is sent to where upstream keeps its own, a module to its own place, and nothing else is sent."""
    git(clone, "-c", "user.name=me", "-c", "user.email=me@example.org", "am", "--quiet", *map(str, mails))
    added = git(clone, "diff", "--name-only", "--diff-filter=A", "HEAD~2").split()
    assert added == ["litellm/extra/failover.py", f"tests/test_litellm/failover/{TEST.removeprefix('tests/')}"]
    assert git(clone, "log", "-1", "--format=%B", "HEAD~1").strip() == TEXT.strip().strip('"').strip()


def test_the_series_gives_what_is_built(mails: list[Path], base: Base, repository: Path) -> None:
    """The series gives the package that is built, and the lines it touches are counted."""
    lines = series.prove(base, repository, mails)
    assert lines == [series.DiffStat(files=1, added=2, removed=1, ours=2), series.DiffStat(files=1, added=1)]


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        (b"    return ANSWER", b"    return ANOTHE", "differ on LiteLLM 1.2.3 in litellm/router.py"),
        (b"+ANSWER = 42", b"+ANSWER = 43", "differ on LiteLLM 1.2.3 in litellm/extra/failover.py"),
        (b"b/litellm/extra/failover.py", b"b/litellm/extra/unwanted.py", "failover.py, litellm/extra/unwanted.py"),
        (b"+ANSWER = 42", b"+ANSWER =42 ", "trailing whitespace"),
        (
            b"+ANSWER = 42",
            b"+ANSWER = 4" + b"2" * 111,
            f"longer than 120 characters on LiteLLM 1.2.3: ANSWER = 4{'2' * 111}",
        ),
    ],
    ids=["an edit", "a module", "a name", "white space", "a line"],
)
def test_a_series_that_does_something_else_is_noticed(
    mails: list[Path], base: Base, repository: Path, written: bytes, instead: bytes, said: str
) -> None:
    """A series that does something else than the build is refused with the name of the file."""
    for mail in mails:
        mail.write_bytes(mail.read_bytes().replace(written, instead))
    with pytest.raises(series.SeriesError, match=said):
        series.prove(base, repository, mails)


def test_check_leaves_clone_unchanged(mails: list[Path], clone: Path) -> None:
    """A check of the series changes neither the files of the clone nor its branches nor its worktrees."""
    state = [git(clone, *words) for words in (("status", "-s"), ("worktree", "list"), ("log", "--all", "--oneline"))]
    commit = git(clone, "rev-parse", "--short", "HEAD").strip()
    assert series.check(clone, mails) == [
        f"on {commit} all",
        "0001-fix-the-answer.patch: applies",
        "0002-feat-a-second-function.patch: applies",
    ]
    assert state == [
        git(clone, *words) for words in (("status", "-s"), ("worktree", "list"), ("log", "--all", "--oneline"))
    ]


def test_moved_clone_is_merged(mails: list[Path], clone: Path) -> None:
    """A clone that has moved on is merged with where git can, and the check says so."""
    router = clone / "litellm" / "router.py"
    router.write_text(router.read_text().replace("\n\n\ndef", "\n\nNEW = 1\n\ndef"))
    commit(clone)
    said = series.check(clone, mails)
    assert said[1] == "0001-fix-the-answer.patch: applies, merged three ways"


def test_merged_patch_is_recognised(mails: list[Path], clone: Path) -> None:
    """A patch that the clone has already is not said to apply."""
    git(clone, "-c", "user.name=me", "-c", "user.email=me@example.org", "am", "--quiet", str(mails[0]))
    assert series.check(clone, mails)[1:] == [
        "0001-fix-the-answer.patch: is there already",
        "0002-feat-a-second-function.patch: applies",
    ]


def test_a_patch_that_does_not_apply_is_named(mails: list[Path], clone: Path) -> None:
    """A patch that does not apply is named with git's reason, and those behind it are not tried."""
    router = clone / "litellm" / "router.py"
    router.write_text("def answer():\n    return 40\n")
    commit(clone)
    with pytest.raises(
        series.SeriesError, match="\n0001-fix-the-answer.patch: does NOT apply: .*litellm/router.py"
    ) as said:
        series.check(clone, mails)
    assert "0002" not in str(said.value)


def test_a_folder_that_is_no_clone_is_refused(mails: list[Path], tmp_path: Path) -> None:
    """A folder that is no clone is refused in git's words."""
    with pytest.raises(series.SeriesError, match="not a git repository"):
        series.check(tmp_path, mails)


@pytest.mark.parametrize(
    ("adds", "said"),
    [
        ("ADDS = ()\n", "litellm/extra/failover.py is added by no patch: name it in ADDS"),
        (ADDS.replace("extra/", "gone/"), "litellm/extra/failover.py is added by no patch: name it in ADDS"),
        (
            ADDS.replace("test_answer", "gone"),
            "tests/router_unit_tests/gone.py is added by a patch and is not there",
        ),
    ],
    ids=["none", "another", "gone"],
)
def test_file_is_added_once(base: Base, repository: Path, adds: str, said: str) -> None:
    """A file that is added by no patch, or without being there, is named."""
    first = repository / "patches" / "p0001_answer.py"
    first.write_text(first.read_text().replace(ADDS, adds))
    with pytest.raises(TreeError, match=said):
        series.steps(base, repository)


def test_file_added_twice_is_refused(base: Base, repository: Path) -> None:
    """A file that two patches add is named."""
    second = repository / "patches" / "p0002_second.py"
    second.write_text(f'{second.read_text()}ADDS = ("{TEST}",)\n')
    with pytest.raises(TreeError, match=f"{TEST} is added by several patches: name it in one of them"):
        series.steps(base, repository)


def test_a_patch_without_a_commit_has_no_author(base: Base, repository: Path, tmp_path: Path) -> None:
    """A patch without a commit has no author, and the message says to commit it."""
    (repository / "patches" / "p0003_new.py").write_text(SECOND.replace('"pass"', '"..."'))
    with pytest.raises(series.SeriesError, match="patches/p0003_new.py is not committed yet: commit it"):
        series.write(base, repository, tmp_path / "mails")
    assert len(series.write(base, repository, tmp_path / "mails", signed=False)) == 3


@pytest.mark.parametrize(
    "adds",
    ['"litellm/extra/failover.py"', "(7,)", '(ForReleases({"<2": "litellm/extra/failover.py"}, "", Otherwise.MOVED),)'],
    ids=["text", "number", "table of text"],
)
def test_adds_that_are_no_paths_are_refused(repository: Path, adds: str) -> None:
    """An ADDS that is no tuple of paths, or of tables of them, is refused."""
    first = repository / "patches" / "p0001_answer.py"
    imported = "from fork.edits import ForReleases, Otherwise\n"
    first.write_text(f"{first.read_text()}{imported}ADDS = {adds}\n")
    with pytest.raises(ForkError, match="patches/p0001_answer.py must define ADDS, if any, as a tuple of paths"):
        patches.load(repository / "patches")


def test_the_command_writes_proves_and_checks(
    base: Base, repository: Path, clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command writes the mails into series/ by release, and nothing where it is to check or to prove."""
    assert main(["series", "--prove"]) == main(["series", "--check", str(clone)]) == 0
    assert not (repository / "series").exists()
    assert main(["series"]) == 0
    assert len(list((repository / "series" / "1.2.3").glob("*.patch"))) == 2
    said = capsys.readouterr().out
    assert "`git am` of 2 patches on LiteLLM 1.2.3 gives the package that is built" in said
    assert "| 0001-fix-the-answer | 1 | 2 | 1 | 2 |" in said
    assert "0002-feat-a-second-function.patch: applies" in said


@pytest.fixture
def backport(base: Base, repository: Path) -> Path:
    """The second patch, which is no pull request."""
    second = repository / "patches" / "p0002_second.py"
    second.write_text(f"{second.read_text()}EXPORT = False\n")
    return second


def test_backport_is_built_and_not_exported(
    backport: Path, base: Base, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A patch that is not exported is in the package and in no mail, and the proof names it."""
    assert b"    pass\n" in patched(base, repository)["litellm/router.py"]
    [mail] = series.write(base, repository, tmp_path / "mails")
    assert parsed(mail)["Subject"] == "[PATCH] fix: the answer"
    assert series.prove(base, repository, [mail]) == [series.DiffStat(files=1, added=2, removed=1, ours=2)]
    assert main(["series", "--prove"]) == 0
    said = capsys.readouterr().out
    assert "of 1 patches on LiteLLM 1.2.3 gives the package that is built, but for p0002_second, not exported" in said


def test_exported_patch_needs_no_backport(backport: Path, base: Base, repository: Path, tmp_path: Path) -> None:
    """A module that only a patch adds which is not exported must not be imported by what is exported."""
    backport.write_text(f'{backport.read_text()}ADDS = ("litellm/extra/failover.py",)\n')
    first = repository / "patches" / "p0001_answer.py"
    first.write_text(f'{first.read_text()}ADDS = ("{TEST}",)\n')
    mails = series.write(base, repository, tmp_path / "mails", signed=False)
    with pytest.raises(series.SeriesError, match="What is exported imports litellm/extra/failover.py, which a patch"):
        series.prove(base, repository, mails)


def test_export_is_true_or_false(backport: Path, repository: Path) -> None:
    """An EXPORT that is neither True nor False is refused."""
    backport.write_text(f'{backport.read_text()}EXPORT = "no"\n')
    with pytest.raises(ForkError, match="patches/p0002_second.py must define EXPORT, if any, as True or False"):
        patches.load(repository / "patches")


def test_subjects_are_of_a_commits_length() -> None:
    """The first line of a patch is the subject of its commit, and so the title of its pull request."""
    subjects = [patch.text.splitlines()[0] for patch in patches.load(ROOT / "patches")]
    assert [subject for subject in subjects if len(subject) > 72] == []


def test_every_test_about_litellm_is_added() -> None:
    """Every test about LiteLLM is added by a patch, but for those about this repository's own."""
    folders = ("drill", "exception_mapping", "router_unit_tests", "proxy_unit_tests")
    there = {path.relative_to(ROOT).as_posix() for name in folders for path in (ROOT / "tests" / name).glob("*.py")}
    added = {path for patch in patches.load(ROOT / "patches") for path in patch.all_files()}
    assert there - added == STAYING


@pytest.mark.parametrize("reason", ['MERGED = "1.2.3"\n', NONE_OF_ITS_EDITS], ids=["merged", "none of its edits"])
def test_inapplicable_patch_is_not_sent(base: Base, repository: Path, tmp_path: Path, reason: str) -> None:
    """A patch that is merged, or of which the release gets no edit, is not sent."""
    second = repository / "patches" / "p0002_second.py"
    second.write_text(second.read_text() + reason)
    assert [mail.name for mail in series.write(base, repository, tmp_path / "mails")] == ["0001-fix-the-answer.patch"]


def test_clone_without_release_is_refused(mails: list[Path], clone: Path, tmp_path: Path) -> None:
    """A clone without the release, as a shallow one, is told to fetch its tag."""
    router = clone / "litellm" / "router.py"
    router.write_text(router.read_text().replace("import os", "import sys"))
    shutil.rmtree(clone / ".git")
    commit(clone)
    with pytest.raises(series.SeriesError, match="the clone lacks the release: fetch its tag"):
        series.check(clone, mails)


def test_a_clones_hooks_do_not_run(mails: list[Path], clone: Path) -> None:
    """The hooks of a clone do not run while the series is checked on it."""
    hook = clone / ".git" / "hooks" / "applypatch-msg"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert [line.endswith(": applies") for line in series.check(clone, mails)[1:]] == [True, True]
