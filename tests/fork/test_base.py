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


def test_supported_release_is_complete(known: Path) -> None:
    """A supported release is found with its package and metadata, and without what the installer made."""
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
    """A base with a file that differs is refused with the digest expected and the one found."""
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
    """A base with one file more is refused, even if that file is empty."""
    install(files={"litellm/extra_empty.py": ""})
    assert "expects the digest" in refusal(known)


def test_the_digest_is_the_same_on_every_platform(install: Install) -> None:
    """Line ends, compiled modules and the wheel tag, which are a platform's own, do not change the digest."""
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
    """A base that is unsupported, an attacker's, or no version at all is refused with the reason."""
    assert refusal(known, version).startswith(said)


def test_a_release_for_another_python_is_refused(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release for another Python is refused before the installer looks for it."""
    monkeypatch.setattr(sys, "version_info", (4, 1, 0))
    with pytest.raises(BaseError, match=r"LiteLLM 1.2.3 needs Python >=3.9,<4.0, and this is Python 4.1.0: "):
        check("1.2.3", known)


def test_an_older_python_than_ours_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older Python than ours gets a sentence as soon as the package is imported."""
    source = (Path(__file__).parents[2] / "fork" / "__init__.py").read_text()
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(SystemExit, match=r"needs Python 3.10 or newer, this is"):
        exec(compile(source, "fork/__init__.py", "exec"), {})


def test_a_base_that_is_not_installed_is_refused(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base that is not installed is refused with what may be the reason."""
    monkeypatch.setattr(sys, "path", [])
    assert "is not installed where this branch is built: either the index" in refusal(known)


def test_another_release_than_asked_for_is_refused(known: Path, install: Install) -> None:
    """A release other than the one asked for is refused, and both are named."""
    install("1.2.4")
    assert "is 1.2.4 where 1.2.3 was asked for" in refusal(known)


def test_a_patched_base_is_refused(known: Path, install: Install) -> None:
    """A base that is patched already is refused, as its patches would be applied a second time."""
    install("1.2.3+failover.1")
    assert "1.2.3+failover.1, is patched already" in refusal(known)


def test_pth_file_is_refused(known: Path, install: Install) -> None:
    """A base that ships a .pth file, which would run in every Python process, is refused."""
    install(files={"litellm_init.pth": "import os\n"})
    assert refusal(known).startswith("LiteLLM 1.2.3 ships litellm_init.pth, code that would run")


@pytest.mark.parametrize("path", ["other/__init__.py", "../../bin/unexpected"])
def test_a_base_with_files_elsewhere_is_refused(known: Path, install: Install, path: str) -> None:
    """A base that ships a file outside its packages is refused, and the file is named."""
    (known.parent / "bin").mkdir()
    install(files={path: ""})
    assert f"ships {path}, which is outside its packages" in refusal(known)


def test_a_base_without_a_record_is_refused(known: Path, install: Install) -> None:
    """A base without a RECORD is refused, since it is not known what to pack."""
    (install() / "litellm-1.2.3.dist-info" / "RECORD").unlink()
    assert "has no RECORD" in refusal(known)


def test_a_release_is_added_in_its_place(known: Path, install: Install) -> None:
    """Added releases are sorted as versions, and adding one twice is adding it once."""
    install("1.10.0")
    add("1.10.0", known)
    install("1.2.0")
    add("1.2.0", known)
    add("1.2.0", known)
    table = (known / "fork" / "bases.toml").read_text()
    assert list(supported(known)) == ["1.2.0", "1.2.3", "1.10.0"]
    assert table.index('["1.2.3"]') < table.index('["1.10.0"]')
    assert supported(known)["1.2.0"].sha256 == installed("1.2.0").digest()


def test_changed_release_is_not_added(known: Path, install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """A known release with other files is not added, and its entry stays."""
    before = (known / "fork" / "bases.toml").read_text()
    install(files={"litellm/router.py": "tampered\n"})
    assert main(["base", "1.2.3"]) == 2
    assert "has another digest for LiteLLM 1.2.3" in capsys.readouterr().err
    assert (known / "fork" / "bases.toml").read_text() == before


def test_a_malicious_release_is_not_added(repository: Path, install: Install) -> None:
    """A release that an attacker published is not added, even if it is installed."""
    install("1.82.7")
    with pytest.raises(BaseError, match=r"LiteLLM 1.82.7 was published by an attacker and must not be added"):
        add("1.82.7", repository)


def test_the_table_of_this_repository_reads(pytestconfig: pytest.Config) -> None:
    """This repository's table has the default base and the release the failures were reported on."""
    bases = supported(pytestconfig.rootpath)
    assert {"1.82.6", "1.103.7"} <= bases.keys()
    assert all(len(base.sha256) == 64 and base.python for base in bases.values())
