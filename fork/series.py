"""The series as mails for `git am`: each patch that is exported, with what it edits in a release, the modules it adds
and their tests.

git itself writes and applies them, in scratch repositories, with none of the user's own configuration.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fork import ForkError
from fork.base import Base
from fork.imports import imported_modules
from fork.patches import Patch, apply, load
from fork.tree import check_added, own_modules, patched

OUR_TESTS = "tests/"
UPSTREAM_TESTS = "tests/test_litellm/failover/"  # which upstream's `make test-unit` collects
UPSTREAM_LINE = 120  # characters, but for a comment at its end
ISOLATED_GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}  # and in English
NO_HOOKS = ("-c", f"core.hooksPath={os.devnull}")


def _identity(name: str, mail: str, date: str) -> dict[str, str]:
    said = {"NAME": name, "EMAIL": mail, "DATE": date}
    return {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in said.items()}


SCRATCH_IDENTITY = _identity(
    "litellm-failover", "litellm-failover@localhost", "2020-01-01T00:00:00Z"
)  # of scratch commits


class SeriesError(ForkError):
    """The series cannot be written, or does not do what the build does."""


@dataclass(frozen=True)
class Step:
    """What one patch does to upstream's files: those it changes and those it adds, by path there."""

    patch: Patch
    changed: Mapping[str, bytes]
    added: Mapping[str, bytes]


@dataclass(frozen=True)
class DiffStat:
    """How many lines a patch adds to upstream's modules and takes from them, and how many the files have that it adds,
    modules and tests."""

    files: int = 0
    added: int = 0
    removed: int = 0
    ours: int = 0


def upstream_path(path: str) -> str:
    """Where upstream would keep a file of this repository: a module where it is, a test among its own."""
    return UPSTREAM_TESTS + path.removeprefix(OUR_TESTS) if path.startswith(OUR_TESTS) else path


def steps(base: Base, root: Path) -> list[Step]:
    """The patches that are exported on `base`, in order. Raises TreeError unless each file of ours in the package, and
    each that a patch says it adds, is there and added by one patch; ForkError as `patches` does."""
    series = load(root / "patches")
    check_added(series, root)
    found: list[Step] = []
    now: dict[str, bytes] = {}
    for patch in (patch for patch in series if patch.exported and patch.applies_to(base.version)):
        changed = apply([patch], lambda path: now[path] if path in now else base.read(path), base.version)
        added = {upstream_path(path): (root / path).read_bytes() for path in patch.files(base.version)}
        now.update(changed)
        found.append(Step(patch, changed, added))
    return found


def write(base: Base, root: Path, folder: Path, *, signed: bool = True) -> list[Path]:
    """Write a mail for each patch of the series into `folder` and return their paths, in order.

    Author and date are those of the last commit of the patch's file. Raises SeriesError where it has none, unless the
    mails need not be `signed`, as those that are only tried.
    """
    taken = steps(base, root)
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.patch"):
        stale.unlink()
    with TemporaryDirectory() as scratch:
        repository = Path(scratch)
        originals = {path: base.read(path) or b"" for step in taken for path in step.changed}
        _init_repository(repository, {path: originals[path] for path in sorted(originals)})
        for step in taken:
            _commit(
                repository,
                {**step.changed, **step.added},
                step.patch.text,
                _authorship(step.patch, root) if signed else {},
            )
        plain = ("--quiet", "--full-index", "--zero-commit", "--no-signature")
        target = ("--output-directory", str(folder.resolve()), f"HEAD~{len(taken)}")
        git(repository, "format-patch", *plain, *target)
    return sorted(folder.glob("*.patch"))


def prove(base: Base, root: Path, mails: Sequence[Path]) -> list[DiffStat]:
    """Apply `mails` to a git repository of the base's wheel and return the lines of each.

    Raises SeriesError unless the package is then the one that is built from the exported patches, byte for byte, and
    imports no module of the others, no line in it has become too long for upstream, and git finds no fault with the
    white space.
    """
    with TemporaryDirectory() as scratch:
        repository = Path(scratch)
        _init_repository(repository, {path: file.read_bytes() for path, file in base.package.items()})
        for mail in mails:
            git(repository, "am", "--quiet", "--keep-cr", str(mail.resolve()))
        git(repository, "diff", "--check", f"HEAD~{len(mails)}", "HEAD")
        _check_lengths(git(repository, "diff", "--unified=0", f"HEAD~{len(mails)}", "HEAD"), base.version)
        expected = patched(base, root, exported=True)
        _check_imports(expected, root)
        listed = git(repository, "ls-files", "-z").split("\0")
        found = {name: (repository / name).read_bytes() for name in listed if name and not name.startswith(OUR_TESTS)}
        differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        if differing:
            raise SeriesError(f"The series and the build differ on LiteLLM {base.version} in {', '.join(differing)}.")
        return [
            _diff_stat(git(repository, "show", "--numstat", "--format=", f"HEAD~{age}"), base.package)
            for age in reversed(range(len(mails)))
        ]


def check(clone: Path, mails: Sequence[Path]) -> list[str]:
    """Try `mails` in a scratch worktree of `clone`, whose own files and branches stay as they are, and return a line
    for the commit they are tried on and one for each of them.

    Raises SeriesError, with the lines so far, at the first that does not apply, and if `clone` is no git repository.
    """
    with _worktree(clone) as worktree:
        said = [f"on {git(worktree, 'log', '-1', '--format=%h %s').strip()}"]
        for mail in mails:
            tried = _run(worktree, "am", "--3way", "--keep-cr", str(mail.resolve()))
            outcome = _outcome(tried.returncode, tried.stdout + tried.stderr)
            said.append(f"{mail.name}: {outcome}")
            if tried.returncode:
                raise SeriesError("\n".join(said))
        return said


def table(taken: Sequence[str], lines: Sequence[DiffStat]) -> str:
    """How much each of the patches named `taken` touches, in Markdown."""
    head = ["patch", "upstream modules", "lines added there", "lines removed there", "lines of our own files"]
    rows = [
        [name, str(one.files), str(one.added), str(one.removed), str(one.ours)]
        for name, one in zip(taken, lines, strict=True)
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def git(repository: Path, *arguments: str, **more: str) -> str:
    """What git prints; `more` goes into its environment. Raises SeriesError with what it says where it fails."""
    done = _run(repository, *arguments, **more)
    if done.returncode:
        raise SeriesError(f"git {arguments[0]} failed: {(done.stderr.strip() or done.stdout.strip())}")
    return done.stdout


def _run(repository: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(repository), *NO_HOOKS, *arguments]
    environment = {**outside, **ISOLATED_GIT, **SCRATCH_IDENTITY, **more}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _outcome(code: int, said: str) -> str:
    """What became of one mail, by the exit code of `git am` and what it said."""
    if code:
        return f"does NOT apply: {_reason(said)}"
    if "Patch already applied" in said:
        return "is there already"
    return "applies, merged three ways" if "Falling back" in said else "applies"


def _reason(said: str) -> str:
    """The line of what git says that is the reason; all of it if there is none."""
    if "lacks necessary blobs" in said:
        return "the lines have moved, and for a three-way merge the clone lacks the release: fetch its tag"
    return next((line for line in said.splitlines() if line.startswith(("CONFLICT", "error: patch failed"))), said)


def _authorship(patch: Patch, root: Path) -> dict[str, str]:
    path = f"patches/{patch.name}.py"
    found = git(root, "log", "-1", "--format=%an%n%ae%n%aI", "--", path).splitlines()
    if not found:
        raise SeriesError(f"{path} is not committed yet: commit it, for the mail to have an author and a date.")
    return _identity(*found)


def _init_repository(repository: Path, files: Mapping[str, bytes]) -> None:
    git(repository, "init", "--quiet")
    _commit(repository, files, "base", {})


def _commit(repository: Path, files: Mapping[str, bytes], message: str, identity: Mapping[str, str]) -> None:
    for name, data in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    git(repository, "add", "--force", ".")
    git(repository, "commit", "--quiet", "--cleanup=whitespace", f"--message={message}", **identity)


def _check_imports(package: Mapping[str, bytes], root: Path) -> None:
    kept = {path for patch in load(root / "patches") if not patch.exported for path in patch.all_files()}
    missing = sorted((imported_modules(package, own_modules(root)) - package.keys()) & kept)
    if missing:
        raise SeriesError(f"What is exported imports {', '.join(missing)}, which a patch adds that is not.")


def _check_lengths(diff: str, version: str) -> None:
    for line in diff.splitlines():
        if line.startswith("+") and len(line.partition("  # ")[0]) > UPSTREAM_LINE + len("+"):
            raise SeriesError(
                f"A line is longer than {UPSTREAM_LINE} characters on LiteLLM {version}: {line[1:].strip()}"
            )


def _diff_stat(numstat: str, package: Mapping[str, Path]) -> DiffStat:
    rows = [line.split("\t") for line in numstat.splitlines()]
    theirs = [(int(added), int(removed)) for added, removed, path in rows if path in package]
    ours = sum(int(added) for added, _, path in rows if path not in package)
    return DiffStat(len(theirs), sum(added for added, _ in theirs), sum(removed for _, removed in theirs), ours)


@contextmanager
def _worktree(clone: Path) -> Iterator[Path]:
    with TemporaryDirectory() as scratch:
        worktree = Path(scratch, "worktree")
        git(clone, "worktree", "add", "--quiet", "--detach", str(worktree), "HEAD")
        try:
            yield worktree
        finally:
            git(clone, "worktree", "remove", "--force", str(worktree))
