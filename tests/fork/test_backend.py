"""What pip and uv get from the hooks: the base's package under its name, patched, the same bytes every time."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from email.parser import BytesParser
from pathlib import Path

import pytest

from fork import backend
from fork.base import add, installed

Install = Callable[..., Path]
INFO = "litellm-1.2.3+failover.7.dist-info"


@pytest.fixture
def known(repository: Path, install: Install) -> Path:
    """The repository, with the installed base entered as supported."""
    install()
    add("1.2.3", [installed("1.2.3")], repository)
    return repository


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def imported_from(folder: Path) -> str:
    """What the package answers in a Python that has `folder` first on its path, and where it was found."""
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); import litellm; print(litellm.answer(), litellm.__file__)"
    return subprocess.run([sys.executable, "-IB", "-c", code], capture_output=True, text=True, check=True).stdout


def refusal(hook: Callable[..., object], *args: object) -> str:
    with pytest.raises(SystemExit) as refused:
        hook(*args)
    return str(refused.value)


@pytest.mark.parametrize("hook", [backend.get_requires_for_build_wheel, backend.get_requires_for_build_editable])
def test_the_base_is_a_build_requirement(known: Path, hook: Callable[..., list[str]]) -> None:
    """The build requires exactly the base's release by `===`, which no patched one of a private index meets."""
    assert hook() == hook({}) == hook({"base": "1.2.3"}) == ["litellm===1.2.3"]


def test_the_setting_wins_over_the_default(known: Path, install: Install) -> None:
    """A base that the config settings name wins over the default."""
    install("1.2.4")
    add("1.2.4", [installed("1.2.4")], known)
    assert backend.get_requires_for_build_wheel({"base": "1.2.4"}) == ["litellm===1.2.4"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base": "9.9"}, "litellm-failover: The base 9.9 is newer than 1.2.3"),
        ({"base": ""}, "litellm-failover: The base '' is not a version"),
        ({"base": ["1.2.3", "1.2.3"]}, "litellm-failover: The config setting base is given more than once"),
        ({"bases": "1.2.3"}, "litellm-failover: There is no config setting bases: the only one is base=<version>."),
    ],
)
@pytest.mark.parametrize(
    "hook",
    [
        backend.get_requires_for_build_wheel,
        lambda settings: backend.prepare_metadata_for_build_wheel(".", settings),
        lambda settings: backend.build_wheel(".", settings),
        lambda settings: backend.build_editable(".", settings),
        lambda settings: backend.build_sdist(".", settings),
    ],
)
def test_wrong_setting_is_refused(
    known: Path, hook: Callable[..., object], settings: dict[str, object], said: str
) -> None:
    """A wrong config setting ends every hook in one sentence."""
    assert refusal(hook, settings).startswith(said)


def test_the_wheel_is_the_patched_package(known: Path, out: Path) -> None:
    """The wheel holds the base's files with the edits, our files, and the base's .dist-info."""
    files = contents(out / backend.build_wheel(str(out)))
    assert list(files) == [
        "litellm/[model].html",
        "litellm/__init__.py",
        "litellm/extra/failover.py",
        "litellm/providers.json",
        "litellm/router.py",
        "litellm_cli/main.py",
        f"{INFO}/METADATA",
        f"{INFO}/WHEEL",
        f"{INFO}/entry_points.txt",
        f"{INFO}/licenses/LICENSE",
        f"{INFO}/RECORD",
    ]
    assert b"return ANSWER" in files["litellm/router.py"]
    assert files[f"{INFO}/entry_points.txt"] == b"[console_scripts]\nlitellm=litellm:run\n"


COMMAND = '''"""feat: a command"""
SCRIPTS = {"litellm-more": "litellm_drill.more:main"}
ADDS = ("litellm_drill/more.py",)
'''


@pytest.fixture
def command(known: Path) -> Path:
    """A patch that adds nothing but a command, of a package of ours beside LiteLLM's."""
    (known / "litellm_drill").mkdir()
    (known / "litellm_drill" / "more.py").write_text("def main() -> None: ...\n")
    patch = known / "patches" / "p0002_command.py"
    patch.write_text(COMMAND)
    return patch


def test_commands_are_in_the_wheel(command: Path, known: Path, out: Path) -> None:
    """A patch's command is among the wheel's entry points, behind the base's, and its module is packed."""
    files = contents(out / backend.build_wheel(str(out)))
    theirs, ours = "litellm = litellm:run", "litellm-more = litellm_drill.more:main"
    assert files[f"{INFO}/entry_points.txt"].decode() == f"[console_scripts]\n{theirs}\n{ours}\n"
    assert files["litellm_drill/more.py"] == b"def main() -> None: ...\n"
    assert "litellm_drill/more.py" in backend._sdist_files(known)


def test_commands_need_no_others(command: Path, known: Path, install: Install, out: Path) -> None:
    """A base without any entry point gets the command all the same."""
    install("1.2.4", files={"litellm-1.2.4.dist-info/entry_points.txt": ""})
    add("1.2.4", [installed("1.2.4")], known)
    files = contents(out / backend.build_wheel(str(out), {"base": "1.2.4"}))
    assert (
        files[f"{INFO.replace('1.2.3', '1.2.4')}/entry_points.txt"]
        == b"[console_scripts]\nlitellm-more = litellm_drill.more:main\n"
    )


def test_taken_command_is_refused(command: Path, out: Path) -> None:
    """A command that the base has by itself is named, and nothing is built."""
    command.write_text(COMMAND.replace("litellm-more", "litellm"))
    assert "The base has a command litellm of its own" in refusal(backend.build_wheel, str(out))


def test_linked_libraries_are_packed(known: Path, install: Install, out: Path) -> None:
    """The wheel for musl holds what its compiled modules link to, and an editable install, which cannot, is refused."""
    linked = "litellm.libs/libgcc_s-0bf6.so.1"
    install(
        files={"litellm/_native.abi3.so": "compiled", linked: "linked to"}, tags=("cp310-abi3-musllinux_1_2_x86_64",)
    )
    add("1.2.3", [installed("1.2.3")], known)
    assert contents(out / backend.build_wheel(str(out)))[linked] == b"linked to"
    assert "finds what its compiled modules link to, litellm.libs/, only beside litellm/, " in refusal(
        backend.build_editable, str(out)
    )
    assert not (known / "litellm" / "router.py").exists()


def test_the_wheel_imports(known: Path, out: Path) -> None:
    """The wheel's package can be imported by a Python that has nothing else on its path."""
    with zipfile.ZipFile(out / backend.build_wheel(str(out))) as archive:
        archive.extractall(out)  # noqa: S202
    assert imported_from(out) == f"42 {out / 'litellm' / '__init__.py'}\n"


def test_metadata_follows_base(known: Path, out: Path) -> None:
    """The wheel's metadata is the base's but for the version and the lowest Python."""
    message = BytesParser().parsebytes(contents(out / backend.build_wheel(str(out)))[f"{INFO}/METADATA"])
    assert message.get_all("Version") == ["1.2.3+failover.7"]
    assert message.get_all("Requires-Python") == ["<4.0,>=3.10,>=3.9"]
    assert message.get_all("Requires-Dist") == ["httpx >=0.23", "fastapi >=0.100 ; extra == 'proxy'"]
    assert message.get_all("Provides-Extra") == ["proxy"]
    assert message.get_payload() == "Version: this line is part of the description\n"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (("py3-none-any",), "py3-none-any"),
        (("cp310-abi3-manylinux_2_28_x86_64",), "cp310-abi3-manylinux_2_28_x86_64"),
        (("py2-none-any", "py3-none-any"), "py2.py3-none-any"),
        (("cp310-abi3-linux_a", "cp310-abi3-linux_b"), "cp310-abi3-linux_a.linux_b"),
    ],
)
def test_the_tag_is_the_base_s(known: Path, install: Install, out: Path, tags: tuple[str, ...], expected: str) -> None:
    """The wheel has the base's tag in its file name and in WHEEL."""
    install(tags=tags)
    add("1.2.3", [installed("1.2.3")], known)
    name = backend.build_wheel(str(out))
    assert name == f"litellm-1.2.3+failover.7-{expected}.whl"
    wheel = contents(out / name)[f"{INFO}/WHEEL"].decode()
    assert [line for line in wheel.splitlines() if line.startswith("Tag")] == [f"Tag: {tag}" for tag in tags]
    assert "Generator: litellm-failover\n" in wheel


def test_the_record_verifies(known: Path, out: Path) -> None:
    """RECORD lists every file once, with its digest and size, and itself without."""
    files = contents(out / backend.build_wheel(str(out)))
    rows = list(csv.reader(io.StringIO(files[f"{INFO}/RECORD"].decode())))
    assert [row[0] for row in rows] == list(files)
    for name, digest, size in rows[:-1]:
        expected = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).decode().rstrip("=")
        assert (digest, int(size)) == (f"sha256={expected}", len(files[name]))
    assert rows[-1] == [f"{INFO}/RECORD", "", ""]


@pytest.mark.parametrize("hook", [backend.build_wheel, backend.build_sdist])
def test_archives_are_the_same_bytes_every_time(
    known: Path, install: Install, tmp_path: Path, hook: Callable[[str], str]
) -> None:
    """An archive is the same bytes whenever the base was installed or the repository checked out."""
    archives = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        install()
        (known / "litellm" / "extra" / "failover.py").touch()
        archives.append((folder / hook(str(folder))).read_bytes())
    assert archives[0] == archives[1]


@pytest.mark.parametrize(("epoch", "year"), [("1700000000", 2023), ("0", 1980), (None, 1980)])
def test_the_date_in_archives_can_be_stated(
    known: Path, out: Path, monkeypatch: pytest.MonkeyPatch, epoch: str | None, year: int
) -> None:
    """SOURCE_DATE_EPOCH dates the files in an archive, but not before what zip can express."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    if epoch is not None:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with zipfile.ZipFile(out / backend.build_wheel(str(out))) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {year}


def test_a_date_that_is_none_is_refused(known: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SOURCE_DATE_EPOCH that is no date is refused by its name and value."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert "SOURCE_DATE_EPOCH is 'yesterday'" in refusal(backend.build_wheel, str(out))


def test_file_modes_are_two(known: Path, install: Install, out: Path) -> None:
    """A file in the wheel is executable where the base's is, whatever the umask of the build."""
    site = install()
    (site / "litellm" / "router.py").chmod(0o755)
    (site / "litellm" / "__init__.py").chmod(0o600)
    with zipfile.ZipFile(out / backend.build_wheel(str(out))) as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert modes["litellm/router.py"] == 0o100755
    assert {mode for name, mode in modes.items() if name != "litellm/router.py"} == {0o100644}


def test_two_bases_make_two_packages(known: Path, install: Install, out: Path) -> None:
    """Two bases make two wheels from one commit in one folder, each with its own files."""
    install("1.2.4", files={"litellm/new.py": ""})
    add("1.2.4", [installed("1.2.4")], known)
    newer = backend.build_wheel(str(out), {"base": "1.2.4"})
    install("1.2.3")
    older = backend.build_wheel(str(out), {"base": "1.2.3"})
    assert (older, newer) == ("litellm-1.2.3+failover.7-py3-none-any.whl", "litellm-1.2.4+failover.7-py3-none-any.whl")
    assert "litellm/new.py" in contents(out / newer)
    assert "litellm/new.py" not in contents(out / older)


def test_a_build_says_what_its_base_cannot_have(known: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A build says on stderr what its base cannot have, and applies the rest of the patch."""
    patch = known / "patches" / "p0001_answer.py"
    part = 'ForReleases({">9": (ReplaceBody("question", "pass"),)}, "there is no question", Otherwise.MISSING)'
    text = patch.read_text().replace('ReplaceBody("answer"', f'{part},\n        ReplaceBody("answer"')
    patch.write_text(text.replace("AddImport, ReplaceBody\n", "AddImport, ForReleases, Otherwise, ReplaceBody\n"))
    assert b"return ANSWER" in contents(out / backend.build_wheel(str(out)))["litellm/router.py"]
    warning = "patches/p0001_answer.py is not applied whole on LiteLLM 1.2.3: there is no question."
    assert capsys.readouterr().err == f"litellm-failover: {warning}\n"


@pytest.mark.parametrize(
    "hook", [backend.prepare_metadata_for_build_wheel, backend.prepare_metadata_for_build_editable]
)
def test_prepared_metadata_is_the_wheel_s(known: Path, out: Path, hook: Callable[[str], str]) -> None:
    """Prepared metadata is that of the wheel, but for RECORD."""
    name = hook(str(out))
    prepared = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    built = contents(out / backend.build_wheel(str(out)))
    assert name == INFO
    assert prepared == {key: built[key] for key in built if key.startswith(INFO) and not key.endswith("RECORD")}


def test_an_editable_install_is_the_repository(known: Path, out: Path) -> None:
    """An editable wheel points to the repository, which holds the patched package, also the second time."""
    for _ in range(2):
        files = contents(out / backend.build_editable(str(out)))
        assert files["__editable__.litellm.pth"].decode().strip() == str(known)
        assert not [name for name in files if name.startswith("litellm/")]
        assert "litellm_cli/main.py" in files  # which is not vendored
        assert not (known / "litellm_cli").exists()
        assert imported_from(known) == f"42 {known / 'litellm' / '__init__.py'}\n"


def test_a_wheel_is_built_from_the_sdist(known: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that is built from the sdist is the one that is built from the repository."""
    wheel = (out / backend.build_wheel(str(out))).read_bytes()
    backend.build_editable(str(out))
    sdist = backend.build_sdist(str(out))
    assert backend.get_requires_for_build_sdist() == []
    assert sdist == "litellm-1.2.3+failover.7.tar.gz"
    with tarfile.open(out / sdist) as archive:
        assert archive.getnames() == [
            f"litellm-1.2.3+failover.7/{name}"
            for name in (
                "PKG-INFO",
                "fork/bases.toml",
                "litellm/extra/failover.py",
                "patches/p0001_answer.py",
                "pyproject.toml",
            )
        ]
        archive.extractall(out)  # noqa: S202
    monkeypatch.chdir(out / "litellm-1.2.3+failover.7")
    assert (out / backend.build_wheel(str(out))).read_bytes() == wheel


def test_the_sdist_claims_no_requirements(known: Path, out: Path) -> None:
    """The sdist leaves its requirements dynamic, since they are the base's."""
    with tarfile.open(out / backend.build_sdist(str(out))) as archive:
        info = archive.extractfile("litellm-1.2.3+failover.7/PKG-INFO")
        assert info is not None
        message = BytesParser().parse(info)
    assert message["Name"] == "litellm"
    assert message["Version"] == "1.2.3+failover.7"
    assert {"Requires-Dist", "Provides-Extra", "Requires-Python"} <= set(message.get_all("Dynamic", []))


def test_a_file_the_sdist_misses_is_named(known: Path, out: Path) -> None:
    """A file that pyproject.toml lists for the sdist and that is not there is named."""
    project = known / "pyproject.toml"
    project.write_text(project.read_text().replace('"fork",', '"fork", "README.md",'))
    assert "has no README.md, which pyproject.toml lists" in refusal(backend.build_sdist, str(out))


def test_sdist_files_exist(pytestconfig: pytest.Config) -> None:
    """The files that this repository's sdist lists exist, and they include what the build needs."""
    files = backend._sdist_files(pytestconfig.rootpath)
    assert {"fork/backend.py", "fork/bases.toml", "pyproject.toml", "README.md"} <= files.keys()
