"""The patched package is the base, the patches and our files; vendored, it never costs anyone their work."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fork import ForkError
from fork.__main__ import main
from fork.base import Base, add, find, installed
from fork.tree import TreeError, own_files, patched, vendor

Install = Callable[..., Path]
PATCHED = b"import os\nfrom litellm.extra.failover import ANSWER\n\n\ndef answer():\n    return ANSWER\n"


def base(repository: Path, install: Install, version: str = "1.2.3", **files: str) -> Base:
    install(version, files={f"litellm/{name}.py": text for name, text in files.items()})
    add(version, [installed(version)], repository)
    return find(version, repository)


def test_the_tree_is_base_and_patches_and_ours(repository: Path, install: Install) -> None:
    """The tree has every file of the base, the edited ones as edited, and what the branch adds."""
    tree = patched(base(repository, install), repository)
    assert list(tree) == [
        "litellm/[model].html",
        "litellm/__init__.py",
        "litellm/extra/failover.py",
        "litellm/providers.json",
        "litellm/router.py",
        "litellm_cli/main.py",
    ]
    assert tree["litellm/router.py"] == PATCHED
    assert tree["litellm/extra/failover.py"] == b"ANSWER = 42\n"


def test_a_file_both_have_is_refused(repository: Path, install: Install) -> None:
    """A file that the base and the branch both have is refused, as ours would hide theirs."""
    (repository / "litellm" / "router.py").write_text("ours\n")
    patch = repository / "patches" / "p0001_answer.py"
    patch.write_text(patch.read_text().replace('failover.py",', 'failover.py", "litellm/router.py",'))
    with pytest.raises(TreeError, match=r"LiteLLM 1.2.3 has litellm/router.py too"):
        patched(base(repository, install), repository)


def test_bytecode_and_dotfiles_are_not_ours(repository: Path) -> None:
    """Bytecode and dotfiles that Python and editors leave behind are not packed."""
    for name in ("extra/__pycache__/failover.cpython-311.pyc", "extra/.failover.py.swp", ".DS_Store"):
        path = repository / "litellm" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    assert list(own_files(repository)) == ["litellm/extra/failover.py"]


def test_vendoring_makes_the_folder_the_package(repository: Path, install: Install) -> None:
    """Vendoring puts base and patches beside our files, which alone still count as ours, also the second time."""
    found = base(repository, install)
    whole = patched(found, repository)
    for _ in range(2):
        assert vendor(found, repository) == 4
        theirs = {name: data for name, data in whole.items() if name.startswith("litellm/")}
        assert {name: (repository / name).read_bytes() for name in theirs} == theirs
        assert list(own_files(repository)) == ["litellm/extra/failover.py"]
        assert patched(found, repository) == whole


def test_git_sees_our_files_only(repository: Path, install: Install) -> None:
    """Git sees only our own files among those that were vendored, and a new one of ours at once."""
    subprocess.run(["git", "init", "-q"], check=True)
    vendor(base(repository, install), repository)
    (repository / "litellm" / "extra" / "new.py").write_text("")
    command = ["git", "ls-files", "--others", "--exclude-standard", "litellm"]
    seen = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert seen == ["litellm/extra/failover.py", "litellm/extra/new.py"]


def test_another_base_replaces_the_one_vendored_before(repository: Path, install: Install) -> None:
    """Another base replaces the one that was vendored before, and files it does not have are gone."""
    vendor(base(repository, install, "1.2.3", old="old = 1\n"), repository)
    vendor(base(repository, install, "1.2.4", new="new = 1\n"), repository)
    assert not (repository / "litellm" / "old.py").exists()
    assert (repository / "litellm" / "new.py").exists()


@pytest.mark.parametrize("version", ["1.2.3", "1.2.4"])
def test_edited_file_is_not_overwritten(repository: Path, install: Install, version: str) -> None:
    """A vendored file that was edited is not overwritten, and nothing else is written before it is gone."""
    vendor(base(repository, install), repository)
    (repository / "litellm" / "router.py").write_text("print('debugging')\n")
    (repository / "litellm" / "__init__.py").unlink()
    with pytest.raises(TreeError, match=r"litellm/router.py was edited after it was vendored"):
        vendor(base(repository, install, version), repository)
    assert not (repository / "litellm" / "__init__.py").exists()
    (repository / "litellm" / "router.py").unlink()
    vendor(find(version, repository), repository)
    assert (repository / "litellm" / "router.py").read_bytes() == PATCHED


def test_interrupted_vendoring_is_resumed(repository: Path, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption leaves no file that counts as ours, and the next run finishes the work."""
    found = base(repository, install)
    write = Path.write_bytes

    def failing(path: Path, data: bytes) -> int:
        if path.name == "router.py":
            raise KeyboardInterrupt
        return write(path, data)

    with monkeypatch.context() as context:
        context.setattr(Path, "write_bytes", failing)
        with pytest.raises(KeyboardInterrupt):
            vendor(found, repository)
    assert list(own_files(repository)) == ["litellm/extra/failover.py"]
    assert vendor(found, repository) == 4


def test_vendor_writes_the_tree(repository: Path, install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """`vendor` writes the base that pyproject.toml names, or --base."""
    base(repository, install)
    assert main(["vendor"]) == 0
    assert capsys.readouterr().out == "vendored 4 files of LiteLLM 1.2.3, patched, into litellm/\n"
    base(repository, install, "1.2.4")
    assert main(["vendor", "--base", "1.2.4"]) == 0
    assert "LiteLLM 1.2.4" in capsys.readouterr().out


def test_vendor_shows_what_the_patches_change(
    repository: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    """`vendor --diff` shows a unified diff that git would apply, and writes nothing."""
    base(repository, install)
    assert main(["vendor", "--diff"]) == 0
    assert capsys.readouterr().out == (
        "--- a/litellm/router.py\n+++ b/litellm/router.py\n@@ -1,5 +1,6 @@\n import os\n"
        "+from litellm.extra.failover import ANSWER\n \n \n def answer():\n"
        "-    return 41  # upstream's comment\n+    return ANSWER\n"
    )
    assert not (repository / "litellm" / "router.py").exists()


def test_a_mistake_ends_in_one_sentence(repository: Path, install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake ends in one sentence on standard error, with exit code 2 and no traceback."""
    base(repository, install)
    assert main(["vendor", "--base", "9.9"]) == 2
    assert capsys.readouterr().err.startswith("litellm-failover: The base 9.9 is newer than 1.2.3")


def test_misfit_patch_is_named(repository: Path, install: Install) -> None:
    """A patch that does not fit the base is named with that base."""
    install(files={"litellm/router.py": "def other(): pass\n"})
    add("1.2.3", [installed("1.2.3")], repository)
    with pytest.raises(
        ForkError, match=r"p0001_answer.py, ReplaceBody \(2 of 2\): litellm/router.py \(base 1.2.3\), function answer"
    ):
        patched(find("1.2.3", repository), repository)


NOT_HERE = """
from fork.edits import ForReleases, Otherwise

EDITS = {"litellm/router.py": (ForReleases({"<1": EDITS["litellm/router.py"]}, "1 lacks it", Otherwise.MISSING),)}
ADDS = ("litellm/extra/failover.py",)
"""


def test_unedited_base_gets_no_files(repository: Path, install: Install) -> None:
    """A base that gets none of a patch's edits gets none of its files."""
    found = base(repository, install)
    patch = repository / "patches" / "p0001_answer.py"
    patch.write_text(patch.read_text() + NOT_HERE)
    tree = patched(found, repository)
    assert "litellm/extra/failover.py" not in tree
    assert tree["litellm/router.py"] == found.read("litellm/router.py")


def test_merged_base_keeps_its_files(repository: Path, install: Install) -> None:
    """A base that has merged a patch keeps its own files and edits, and is not written over ours."""
    found = base(repository, install, **{"extra/failover": "ANSWER = 43\n"})
    with pytest.raises(
        TreeError, match="LiteLLM 1.2.3 has litellm/extra/failover.py too: .* which release has MERGED it"
    ):
        patched(found, repository)
    patch = repository / "patches" / "p0001_answer.py"
    patch.write_text(patch.read_text() + 'ADDS = ("litellm/extra/failover.py",)\nMERGED = "1.2.3"\n')
    tree = patched(found, repository)
    assert (tree["litellm/extra/failover.py"], tree["litellm/router.py"]) == (
        b"ANSWER = 43\n",
        found.read("litellm/router.py"),
    )
    with pytest.raises(TreeError, match="litellm/extra/failover.py by itself, which must not be written over ours"):
        vendor(found, repository)
    assert (repository / "litellm/extra/failover.py").read_text() == "ANSWER = 42\n"


SOME_FILES = """
from fork.edits import ForReleases, Otherwise

ADDS = (ForReleases({"<1.2.4": ("litellm/extra/failover.py",)}, "it is in Rust", Otherwise.MOVED),)
EDITS = {"litellm/router.py": (ReplaceBody("answer", "return 42"),)}
"""


@pytest.mark.parametrize(("version", "there"), [("1.2.3", True), ("1.2.4", False)])
def test_some_files_are_for_some_releases(repository: Path, install: Install, version: str, there: bool) -> None:
    """A release gets the files that a patch adds for it, and the patch's edits whether or not it gets any."""
    patch = repository / "patches" / "p0001_answer.py"
    patch.write_text(patch.read_text() + SOME_FILES)
    tree = patched(base(repository, install, version), repository)
    assert ("litellm/extra/failover.py" in tree) is there
    assert b"return 42" in tree["litellm/router.py"]


@pytest.mark.parametrize(
    ("adds", "said"),
    [
        ("()", "litellm/extra/failover.py is added by no patch: name it in ADDS"),
        ('("litellm/extra/failover.py", "litellm/gone.py")', "litellm/gone.py is added by a patch and is not there"),
    ],
)
def test_unclaimed_module_stops_the_build(repository: Path, install: Install, adds: str, said: str) -> None:
    """A module of ours that no patch adds, and one that a patch adds and nobody wrote, are named by the build."""
    found = base(repository, install)
    patch = repository / "patches" / "p0001_answer.py"
    patch.write_text(f"{patch.read_text()}ADDS = {adds}\n")
    with pytest.raises(TreeError, match=said):
        patched(found, repository)


def test_build_needs_no_tests(repository: Path, install: Install) -> None:
    """A package is built where the tests that a patch adds are not at hand."""
    patch = repository / "patches" / "p0001_answer.py"
    patch.write_text(f'{patch.read_text()}ADDS = ("litellm/extra/failover.py", "tests/test_gone.py")\n')
    assert "litellm/extra/failover.py" in patched(base(repository, install), repository)
