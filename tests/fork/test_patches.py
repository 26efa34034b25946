"""A folder of patches is a numbered series, and a patch that does not fit says which one it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fork import ForkError, patches

PATCH = '"""fix: the text"""\nfrom fork.edits import Decorate\nEDITS = {"litellm/a.py": (Decorate("f", "ours"),)}\n'
SOURCES = {"litellm/a.py": b"def f():\n    pass\n", "litellm/b.py": b"def g():\n    pass\n"}


def for_releases(edits: str, more: str = "") -> str:
    """A patch whose `edits` are for some releases, with `more` edits for all of them."""
    some = f'({more}ForReleases({edits}, why="it is old", otherwise=Otherwise.NOT_NEEDED),)'
    patch = PATCH.replace('(Decorate("f", "ours"),)', some)
    return patch.replace("import Decorate", "import Decorate, ForReleases, Otherwise")


def load(folder: Path, **files: str) -> tuple[patches.Patch, ...]:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return patches.load(folder)


def test_patches_are_read_in_series_order(tmp_path: Path) -> None:
    """Patches are read in the order of their numbers, each with its name and the pull request's text."""
    found = load(tmp_path, p0002_b=PATCH, p0001_z=PATCH)
    assert [(patch.number, patch.name, patch.text) for patch in found] == [
        (1, "p0001_z", "fix: the text"),
        (2, "p0002_b", "fix: the text"),
    ]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"p0002_b": PATCH}, "patches/p0002_b.py has number 0002 where 0001 is next"),
        ({"p0001_a": PATCH, "p0003_c": PATCH}, "patches/p0003_c.py has number 0003 where 0002 is next"),
        ({"p0001_a": PATCH, "p0001_b": PATCH}, "patches/p0001_b.py has number 0001 where 0002 is next"),
        ({"helpers": PATCH}, "patches/helpers.py is not named like a patch"),
        ({"p0001_a": PATCH.split("\n", 1)[1]}, "patches/p0001_a.py has no docstring"),
        ({"p0001_a": '"""  """\n' + PATCH.split("\n", 1)[1]}, "patches/p0001_a.py has no docstring"),
        ({"p0001_a": '"""fix"""\n'}, "patches/p0001_a.py must define EDITS"),
        ({"p0001_a": '"""fix"""\nEDITS = {}\n'}, "patches/p0001_a.py must define EDITS"),
        ({"p0001_a": '"""fix"""\nEDITS = {"litellm/a.py": ()}\n'}, "patches/p0001_a.py must define EDITS"),
        ({"p0001_a": '"""fix"""\nEDITS = {"litellm/a.py": ("x",)}\n'}, "patches/p0001_a.py must define EDITS"),
        ({"p0001_a": '"""fix"""\nimport nowhere\n'}, "patches/p0001_a.py cannot be read (ModuleNotFoundError"),
    ],
)
def test_misfit_file_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    """A file that does not fit the series is refused by its name and what is expected of it."""
    with pytest.raises(patches.PatchError) as refused:
        load(tmp_path, **files)
    assert str(refused.value).startswith(said)


def test_patches_build_on_each_other(tmp_path: Path) -> None:
    """A later patch sees what an earlier one did to the same module."""
    series = load(tmp_path, p0001_a=PATCH, p0002_b=PATCH.replace('"ours"', '"theirs"'))
    changed = patches.apply(series, SOURCES.get, "1.2.3")
    assert changed == {"litellm/a.py": b"@ours\n@theirs\ndef f():\n    pass\n"}


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        (
            PATCH.replace("/a.py", "/gone.py"),
            "patches/p0001_a.py, Decorate (1 of 1): litellm/gone.py (base 1.2.3), function f: looked for the module, ",
        ),
        (
            PATCH.replace("/a.py", "/b.py"),
            "patches/p0001_a.py, Decorate (1 of 1): litellm/b.py (base 1.2.3), function f: looked for the f",
        ),
    ],
)
def test_a_patch_whose_target_moved_is_named(tmp_path: Path, patch: str, said: str) -> None:
    """A patch is named if its module is gone, or the function in it."""
    with pytest.raises(ForkError) as refused:
        patches.apply(load(tmp_path, p0001_a=patch), SOURCES.get, "1.2.3")
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(("base", "expected"), [("1.2.3", b"@ours\n@theirs\n"), ("1.2.4", b"@ours\n")])
def test_some_edits_are_for_some_releases(tmp_path: Path, base: str, expected: bytes) -> None:
    """Edits for some releases are left out on the others, which get the rest of the patch."""
    series = load(tmp_path, p0001_a=for_releases('{"< 1.2.4": (Decorate("f", "theirs"),)}', 'Decorate("f", "ours"), '))
    assert patches.apply(series, SOURCES.get, base) == {"litellm/a.py": expected + b"def f():\n    pass\n"}


def test_unedited_module_may_be_missing(tmp_path: Path) -> None:
    """A module may be missing from a release for which the patch has no edit of it."""
    series = load(tmp_path, p0001_a=for_releases('{"> 9": (Decorate("f", "ours"),)}'))
    assert patches.apply(series, lambda path: None, "1.2.3") == {}


@pytest.mark.parametrize(("base", "expected"), [("1.2.3", b"@old\n"), ("2.0", b"@new\n"), ("3.0", b"")])
def test_releases_may_need_different_edits(tmp_path: Path, base: str, expected: bytes) -> None:
    """Each release gets the edits of the specifier that names it."""
    edits = '{"< 2": (Decorate("f", "old"),), "< 3, >= 2": (Decorate("f", "new"),)}'
    changed = patches.apply(load(tmp_path, p0001_a=for_releases(edits)), SOURCES.get, base)
    assert changed.get("litellm/a.py", SOURCES["litellm/a.py"]) == expected + b"def f():\n    pass\n"


@pytest.mark.parametrize(
    ("base", "folder"),
    [("1.103.7", "experimental_pass_through"), ("1.106.10", "pass_through"), ("1.109.1", "messages")],
)
def test_moved_module_is_edited(tmp_path: Path, base: str, folder: str) -> None:
    """A module that moved is edited where the release has it, though the patch names the oldest place."""
    place = "litellm/llms/anthropic/{}/adapters/x.py".format
    series = load(tmp_path, p0001_a=PATCH.replace("litellm/a.py", place("experimental_pass_through")))
    sources = {place(folder): b"def f():\n    pass\n"}
    assert patches.apply(series, sources.get, base) == {place(folder): b"@ours\ndef f():\n    pass\n"}


@pytest.mark.parametrize(
    ("edited", "there"),
    [("Router.make_call", "make_call"), ("Router.get_available_deployment", "_get_available_deployment_unresolved")],
)
def test_renamed_method_is_edited(tmp_path: Path, edited: str, there: str) -> None:
    """A method is edited under the names that the release has for it and for its class."""
    text = PATCH.replace("litellm/a.py", "litellm/router.py")
    path, source = "litellm/router_python_core.py", f"class PythonCore:\n{{}}    def {there}(self):\n        pass\n"
    changed = patches.apply(
        load(tmp_path, p0001_a=text.replace('"f"', f'"{edited}"')), {path: source.format("").encode()}.get, "1.109.1"
    )
    assert changed == {path: source.format("    @ours\n").encode()}
    with pytest.raises(ForkError, match="function PythonCore.other: looked for"):
        patches.apply(
            load(tmp_path, p0001_a=text.replace('"f"', '"Router.other"')),
            {path: source.format("").encode()}.get,
            "1.109.1",
        )


@pytest.mark.parametrize(("base", "is_applied"), [("1.9.9", True), ("1.10.0", False), ("1.11.0", False)])
def test_a_patch_that_is_merged_is_not_applied(tmp_path: Path, base: str, is_applied: bool) -> None:
    """A merged patch is not applied from the release on that has it, while the others are as before."""
    series = load(tmp_path, p0001_a=PATCH + 'MERGED = "1.10.0"\n', p0002_b=PATCH.replace('"ours"', '"theirs"'))
    changed = patches.apply(series, SOURCES.get, base)
    assert changed["litellm/a.py"] == (b"@ours\n" if is_applied else b"") + b"@theirs\ndef f():\n    pass\n"


@pytest.mark.parametrize("merged", ["'soon'", "1.1"])
def test_a_release_that_is_none_is_refused(tmp_path: Path, merged: str) -> None:
    """A MERGED that is no release, or no text, is refused."""
    with pytest.raises(patches.PatchError, match="p0001_a.py must define MERGED, if any, as a LiteLLM release"):
        load(tmp_path, p0001_a=f"{PATCH}MERGED = {merged}\n")


COMMANDS = '"""feat: a command"""\nSCRIPTS = {"more": "litellm_drill.more:main"}\n'


def test_patch_may_add_commands_alone(tmp_path: Path) -> None:
    """A patch that adds a command needs no edits, and is applied until a release has merged it."""
    series = load(tmp_path, p0001_a=PATCH, p0002_b=COMMANDS + 'MERGED = "2.0"\n')
    assert patches.scripts(series, "1.9") == {"more": "litellm_drill.more:main"}
    assert patches.scripts(series, "2.0") == {}
    assert [patch.applies_to("1.9") for patch in series] == [True, True]


@pytest.mark.parametrize("scripts", ["'more'", '{"more": "litellm_drill.more"}', '{"more": 1}', '{1: "a:b"}', "{}"])
def test_commands_that_name_no_function_are_refused(tmp_path: Path, scripts: str) -> None:
    """A SCRIPTS that is no mapping from names to functions is refused, and one without any is no patch."""
    with pytest.raises(patches.PatchError, match="p0001_a.py must define (SCRIPTS, if any, as a dict|EDITS, a dict)"):
        load(tmp_path, p0001_a=f'"""feat: a command"""\nSCRIPTS = {scripts}\n')


def test_two_entries_that_name_one_release_are_refused(tmp_path: Path) -> None:
    """Two entries that name one release are refused, and the message names them and the release."""
    series = load(tmp_path, p0001_a=for_releases('{"< 2": (Decorate("f", "old"),), "> 1": (Decorate("f", "new"),)}'))
    with pytest.raises(ForkError, match="Both < 2 and > 1 name the base 1.2.3: let one entry"):
        patches.apply(series, SOURCES.get, "1.2.3")


ADDING = """
from fork.edits import ForReleases, Otherwise
ADDS = ("litellm/all.py", ForReleases({">=2": ("litellm/new.py", "tests/test_new.py")}, "", Otherwise.MOVED))
"""


@pytest.mark.parametrize(
    ("base", "files"),
    [
        ("1.9", {"litellm/new.py", "tests/test_new.py", "litellm/old.py"}),
        ("2.0", {"litellm/old.py"}),
        ("3.0", set()),
    ],
)
def test_files_for_other_releases_are_told(tmp_path: Path, base: str, files: set[str]) -> None:
    """Files for others are those that the release does not get, but for those of a patch that is merged there."""
    old = for_releases('{"<1": (Decorate("f", "ours"),)}') + 'ADDS = ("litellm/old.py",)\nMERGED = "3.0"\n'
    series = load(tmp_path, p0001_a=PATCH + ADDING, p0002_b=old)
    assert patches.files_for_others(series, base) == files
