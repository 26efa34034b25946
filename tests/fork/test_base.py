"""A base is packed only if it is a supported release, as published."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fork.base import BaseError, add, check, find, installed, supported

Install = Callable[..., Path]
OTHER_PLATFORM = {"litellm/_native.pyd": "compiled", "litellm.libs/libgcc_s-0bf6.so.1": "linked to"}
SBOM = "litellm-1.2.3.dist-info/sboms/native.json"


@pytest.fixture
def known(repository: Path, install: Install) -> Path:
    """The repository, with the installed base entered as supported."""
    install()
    add("1.2.3", [installed("1.2.3")], repository)
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


def test_the_digest_is_the_same_on_every_platform(install: Install) -> None:
    """Line ends, and what is a platform's own (compiled modules, what they link to, their bill of materials, the
    wheel's tag), do not change the digest."""
    install(files={SBOM: "of Linux"})
    digest = installed("1.2.3").digest()
    site = install(files={**OTHER_PLATFORM, SBOM: "of another"}, tags=("cp310-abi3-win_amd64",))
    for path in (site / "litellm" / "router.py", site / "litellm-1.2.3.dist-info" / "METADATA"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    there = installed("1.2.3")
    assert OTHER_PLATFORM.keys() <= there.package.keys()
    assert there.requires_python() == ">=3.9,<4.0"
    assert there.digest() == digest


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("1.2.2", "The base 1.2.2 is not a release this branch supports: use one of 1.2.3, or add it with "),
        ("1.10", "The base 1.10 is newer than 1.2.3, the newest release this branch supports: use one of 1.2.3, or "),
        ("latest", "The base 'latest' is not a version"),
        ("1.82.8", "The base 1.82.8 was published by an attacker and must not be used"),
        ("1.82.8.0", "The base 1.82.8.0 was published by an attacker and must not be used"),
        ("1.107.0", "The base 1.107.0 was published by an attacker and must not be used"),
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
    add("1.10.0", [installed("1.10.0")], known)
    install("1.2.0")
    add("1.2.0", [installed("1.2.0")], known)
    add("1.2.0", [installed("1.2.0")], known)
    table = (known / "fork" / "bases.toml").read_text()
    assert list(supported(known)) == ["1.2.0", "1.2.3", "1.10.0"]
    assert table.index('["1.2.3"]') < table.index('["1.10.0"]')
    assert supported(known)["1.2.0"].sha256 == installed("1.2.0").digest()


def test_wheels_are_added_one_by_one(repository: Path, install: Install) -> None:
    """The wheels of a release are entered beside those before, each with the digests of its compiled modules."""
    module = "litellm/[nested]/_native.pyd"
    install(files={module: "compiled"}, tags=("cp310-abi3-win_amd64", "cp310-abi3-win_arm64"))
    add("1.2.3", [installed("1.2.3")], repository)
    (install() / module).unlink()
    entry = add("1.2.3", [installed("1.2.3")], repository)
    assert entry.wheels.keys() == {"cp310-abi3-win_amd64.win_arm64", "py3-none-any"}
    assert entry.wheels["cp310-abi3-win_amd64.win_arm64"][module] == hashlib.sha256(b"compiled").hexdigest()
    assert entry.wheels["py3-none-any"].keys() == {"dist-info/WHEEL"}
    assert supported(repository) == {"1.2.3": entry}


@pytest.mark.parametrize("changed", ["litellm/router.py", "litellm/_native.pyd"])
def test_changed_release_is_not_added(repository: Path, install: Install, changed: str) -> None:
    """A wheel with other files than the table, or than another wheel, says is not added, and the entry stays."""
    install(files={"litellm/_native.pyd": "compiled"})
    add("1.2.3", [installed("1.2.3")], repository)
    before = (repository / "fork" / "bases.toml").read_text()
    install(files={"litellm/_native.pyd": "compiled", changed: "tampered"})
    with pytest.raises(BaseError, match=r"The wheel of LiteLLM 1\.2\.3 for py3-none-any differs from fork/bases.toml"):
        add("1.2.3", [installed("1.2.3")], repository)
    assert (repository / "fork" / "bases.toml").read_text() == before


def test_a_release_without_wheels_is_not_added(repository: Path) -> None:
    """A release that has no wheel is not added."""
    with pytest.raises(BaseError, match=r"There is no wheel of LiteLLM 1\.2\.3 to enter"):
        add("1.2.3", [], repository)


def test_the_table_of_this_repository_reads(pytestconfig: pytest.Config) -> None:
    """This repository's table has the default base and the release the failures were reported on."""
    bases = supported(pytestconfig.rootpath)
    assert {"1.82.6", "1.103.7"} <= bases.keys()
    assert all(len(base.sha256) == 64 and base.python and base.wheels for base in bases.values())
