"""A base is packed only if it is a supported release, as published."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fork.__main__ import main
from fork.base import BaseError, add, check, find, installed, supported

Install = Callable[..., Path]


@pytest.fixture
def known(repository: Path, install: Install) -> Path:
    """The repository, with the installed base entered as supported."""
    install()
    add("1.2.3", repository)
    return repository


def refusal(root: Path, version: str = "1.2.3") -> str:
    with pytest.raises(BaseError) as refused:
        find(version, root)
    return str(refused.value)


def test_a_supported_release_is_found_with_all_its_files(known: Path) -> None:
    """The package and the metadata; nothing that the installer made."""
    base = find("1.2.3", known)
    assert sorted(base.package) == [
        "litellm/[model].html",
        "litellm/__init__.py",
        "litellm/providers.json",
        "litellm/router.py",
        "litellm_cli/main.py",
    ]
    assert sorted(base.dist_info) == ["METADATA", "WHEEL", "entry_points.txt", "licenses/LICENSE"]
    assert base.read("litellm/gone.py") is None


@pytest.mark.parametrize(
    "file",
    ["litellm/router.py", "litellm/providers.json", "litellm-1.2.3.dist-info/METADATA"],
    ids=["code", "data", "metadata"],
)
def test_a_file_that_differs_is_refused(known: Path, install: Install, file: str) -> None:
    """With the digest expected and the one found: a tampered release must not be packed."""
    site = install()
    expected = supported(known)["1.2.3"].sha256
    (site / file).write_bytes((site / file).read_bytes() + b" ")
    found = installed("1.2.3").digest()
    assert found != expected
    assert f"expects the digest {expected}, found {found}" in refusal(known)


def test_a_file_that_is_missing_is_refused(known: Path, install: Install) -> None:
    """A damaged installation is not packed as if it were whole."""
    (install() / "litellm" / "providers.json").unlink()
    assert "expects the digest" in refusal(known)


def test_a_file_by_another_name_is_refused(known: Path, install: Install) -> None:
    """The digest covers names as well as contents."""
    site = install(files={"litellm/providers.jsonl": '{"some": "data"}\n'})
    record = site / "litellm-1.2.3.dist-info" / "RECORD"
    record.write_text(record.read_text().replace("litellm/providers.json,,\n", ""))
    assert "expects the digest" in refusal(known)


def test_a_file_more_is_refused(known: Path, install: Install) -> None:
    """Even an empty one."""
    install(files={"litellm/extra_empty.py": ""})
    assert "expects the digest" in refusal(known)


def test_the_digest_is_the_same_on_every_platform(install: Install) -> None:
    """Line ends, compiled modules and the wheel tag are a platform's own."""
    install()
    digest = installed("1.2.3").digest()
    site = install(files={"litellm/_native.pyd": "compiled"}, tags=("cp310-abi3-win_amd64",))
    for path in (site / "litellm" / "router.py", site / "litellm-1.2.3.dist-info" / "METADATA"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    there = installed("1.2.3")
    assert "litellm/_native.pyd" in there.package
    assert there.requires_python() == ">=3.9,<4.0"
    assert there.digest() == digest


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("1.2.2", "The base 1.2.2 is not a release this branch supports: use one of 1.2.3, or add it with "),
        ("1.10", "The base 1.10 is newer than 1.2.3, the newest release this branch supports: use one of 1.2.3, or "),
        ("latest", "The base 'latest' is not a version"),
        ("1.82.8", "The base 1.82.8 was published by an attacker and must not be used"),
    ],
)
def test_an_unsupported_release_is_refused(known: Path, version: str, said: str) -> None:
    """The sentence lists what is supported and says how to add one."""
    assert refusal(known, version).startswith(said)


def test_a_release_for_another_python_is_refused(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the installer looks for a release it will not find."""
    monkeypatch.setattr(sys, "version_info", (4, 1, 0))
    with pytest.raises(BaseError, match=r"LiteLLM 1.2.3 needs Python >=3.9,<4.0, and this is Python 4.1.0: "):
        check("1.2.3", known)


def test_an_older_python_than_ours_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the package is imported, before a module that Python could not parse."""
    source = (Path(__file__).parents[2] / "fork" / "__init__.py").read_text()
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(SystemExit, match=r"needs Python 3.10 or newer, this is"):
        exec(compile(source, "fork/__init__.py", "exec"), {})


def test_a_base_that_is_not_installed_is_refused(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the network failed before."""
    monkeypatch.setattr(sys, "path", [])
    assert "is not installed where this branch is built: either the index" in refusal(known)


def test_another_release_than_asked_for_is_refused(known: Path, install: Install) -> None:
    """Both are named."""
    install("1.2.4")
    assert "is 1.2.4 where 1.2.3 was asked for" in refusal(known)


def test_a_patched_base_is_refused(known: Path, install: Install) -> None:
    """Its patches would be applied a second time."""
    install("1.2.3+failover.1")
    assert "1.2.3+failover.1, is patched already" in refusal(known)


def test_a_base_that_ships_a_pth_file_is_refused(known: Path, install: Install) -> None:
    """That is how one malicious release ran in every Python process, whether it imported litellm or not."""
    install(files={"litellm_init.pth": "import os\n"})
    assert refusal(known).startswith("LiteLLM 1.2.3 ships litellm_init.pth, code that would run")


@pytest.mark.parametrize("path", ["other/__init__.py", "../../bin/unexpected"])
def test_a_base_with_files_elsewhere_is_refused(known: Path, install: Install, path: str) -> None:
    """Nothing of a release is left out in silence; its console scripts the installer makes anew."""
    (known.parent / "bin").mkdir()
    install(files={path: ""})
    assert f"ships {path}, which is outside its packages" in refusal(known)


def test_a_base_without_a_record_is_refused(known: Path, install: Install) -> None:
    """Without the list of files it is not known what to pack."""
    (install() / "litellm-1.2.3.dist-info" / "RECORD").unlink()
    assert "has no RECORD" in refusal(known)


def test_a_release_is_added_in_its_place(known: Path, install: Install) -> None:
    """Sorted as versions, twice is once, and the table reads back as it was written."""
    install("1.10.0")
    add("1.10.0", known)
    install("1.2.0")
    add("1.2.0", known)
    add("1.2.0", known)
    table = (known / "fork" / "bases.toml").read_text()
    assert list(supported(known)) == ["1.2.0", "1.2.3", "1.10.0"]
    assert table.index('["1.2.3"]') < table.index('["1.10.0"]')
    assert supported(known)["1.2.0"].sha256 == installed("1.2.0").digest()


def test_a_known_release_with_other_files_is_not_added(
    known: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    """The entry stays, and the command ends in one sentence."""
    before = (known / "fork" / "bases.toml").read_text()
    install(files={"litellm/router.py": "tampered\n"})
    assert main(["base", "1.2.3"]) == 2
    assert "has another digest for LiteLLM 1.2.3" in capsys.readouterr().err
    assert (known / "fork" / "bases.toml").read_text() == before


def test_a_malicious_release_is_not_added(repository: Path, install: Install) -> None:
    """Even where one was kept somewhere."""
    install("1.82.7")
    with pytest.raises(BaseError, match=r"LiteLLM 1.82.7 was published by an attacker and must not be added"):
        add("1.82.7", repository)


def test_the_table_of_this_repository_reads(pytestconfig: pytest.Config) -> None:
    """With the default base in it and the release the failures were reported on."""
    bases = supported(pytestconfig.rootpath)
    assert {"1.82.6", "1.103.7"} <= bases.keys()
    assert all(len(base.sha256) == 64 and base.python for base in bases.values())
