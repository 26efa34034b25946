"""A base that is not what was published is not built on: each forgery ends the build in one sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from packaging.version import Version

from fork import backend
from fork.base import BaseError, add, installed

Install = Callable[..., Path]
Forgery = Callable[[Path], object]

LINUX, WINDOWS = "cp310-abi3-manylinux_2_28_x86_64", "cp310-abi3-win_amd64"
NATIVE = "litellm/_native.abi3.so"
INFO = "litellm-1.2.3.dist-info"
SBOM = f"{INFO}/sboms/native.json"
OTHER_FILES = "The files of LiteLLM 1.2.3 are not the ones this branch was tested on and were not packed: "
OTHER_WHEEL = "The wheel of LiteLLM 1.2.3 for {} is not the published one and was not packed: "


@pytest.fixture
def site(repository: Path, install: Install) -> Path:
    """A release with compiled modules as installed on Linux, its wheels for Linux and Windows known."""
    install(files={"litellm/_native.pyd": "for Windows", SBOM: "of Windows"}, tags=(WINDOWS,))
    add("1.2.3", [installed("1.2.3")], repository)
    shutil.rmtree(repository.parent / "site-1.2.3")
    site = install(files={NATIVE: "for Linux", SBOM: "of Linux"}, tags=(LINUX,))
    add("1.2.3", [installed("1.2.3")], repository)
    return site


def refusal(out: Path, version: str = "1.2.3") -> str:
    """The sentence a build on `version` ends in; nothing is built."""
    with pytest.raises(SystemExit) as refused:
        backend.build_wheel(str(out), {"base": version})
    assert not list(out.glob("*.whl"))
    said = str(refused.value)
    assert said.startswith("litellm-failover: ")
    assert "\n" not in said
    return said.removeprefix("litellm-failover: ")


def changed(file: str) -> Forgery:
    """Another content for `file`."""
    return lambda site: (site / file).write_bytes((site / file).read_bytes() + b" ")


def added(file: str) -> Forgery:
    """One more `file`, listed in RECORD as an installer does."""

    def forge(site: Path) -> None:
        (site / file).write_text("import os\n")
        with (site / INFO / "RECORD").open("a") as record:
            record.write(f"{file},,\n")

    return forge


def replaced(file: str, old: str, new: str) -> Forgery:
    """`new` for `old` in `file`."""
    return lambda site: (site / file).write_text((site / file).read_text().replace(old, new))


def garbled(file: str) -> Forgery:
    """`file` with what is no text."""
    return lambda site: (site / file).write_bytes(b"\xff\xfe" + (site / file).read_bytes())


def removed(file: str) -> Forgery:
    """No `file`."""
    return lambda site: (site / file).unlink()


def another_release(site: Path) -> None:
    """The files of another release, which say that they are the one asked for."""
    (site / "litellm" / "router.py").write_text("def answer():\n    return 40\n")


FORGERIES = {
    "code": (changed("litellm/router.py"), OTHER_FILES),
    "compiled": (changed(NATIVE), f"{OTHER_WHEEL.format(LINUX)}{NATIVE} should have the SHA-256 "),
    "metadata": (changed(f"{INFO}/METADATA"), OTHER_FILES),
    "pth": (added("litellm_init.pth"), "LiteLLM 1.2.3 ships litellm_init.pth, code that would run"),
    "module": (added("litellm/extra_module.py"), OTHER_FILES),
    "renamed": (
        replaced(f"{INFO}/METADATA", "Version: 1.2.3", "Version: 1.2.4"),
        "The LiteLLM here is 1.2.4 where 1.2",
    ),
    "metadata-garbled": (garbled(f"{INFO}/METADATA"), "The LiteLLM here is one without a readable METADATA where 1.2"),
    "metadata-removed": (removed(f"{INFO}/METADATA"), "The LiteLLM here is one without a readable METADATA where 1.2"),
    "wheel-file-garbled": (garbled(f"{INFO}/WHEEL"), OTHER_WHEEL.format(LINUX)),
    "relabelled": (another_release, OTHER_FILES),
    "compiled-added": (added("litellm/more.abi3.so"), f"{OTHER_WHEEL.format(LINUX)}litellm/more.abi3.so should have"),
    "compiled-removed": (removed(NATIVE), f"{OTHER_WHEEL.format(LINUX)}{NATIVE} should have the SHA-256 "),
    "compiled-elsewhere": (replaced(f"{INFO}/WHEEL", LINUX, WINDOWS), OTHER_WHEEL.format(WINDOWS)),
    "bill-of-materials": (changed(SBOM), f"{OTHER_WHEEL.format(LINUX)}dist-info/sboms/native.json should have"),
    "wheel-file": (replaced(f"{INFO}/WHEEL", "Purelib: true", "Purelib: false"), OTHER_WHEEL.format(LINUX)),
    "wheel-file-removed": (
        removed(f"{INFO}/WHEEL"),
        "The wheel of LiteLLM 1.2.3 here is for nothing, which is none of",
    ),
    "unknown-platform": (
        replaced(f"{INFO}/WHEEL", LINUX, "py3-none-any"),
        "The wheel of LiteLLM 1.2.3 here is for py3-none-any, which is none of those in fork/bases.toml",
    ),
}


@pytest.mark.parametrize(("forge", "said"), FORGERIES.values(), ids=FORGERIES)
def test_forged_base_is_refused(site: Path, tmp_path: Path, forge: Forgery, said: str) -> None:
    """A base that differs in any file from what was published is refused, and the same base unchanged is built on."""
    out = tmp_path / "out"
    out.mkdir()
    assert backend.build_wheel(str(out)).endswith(f"{LINUX}.whl")
    next(out.iterdir()).unlink()
    forge(site)
    assert refusal(out).startswith(said)


@pytest.mark.parametrize(
    ("version", "attackers"),
    [
        ("1.82.7.dev1", "1.82.7"),
        ("1.82.7+failover.6", "1.82.7"),
        ("1.82.8.post1", "1.82.8"),
        ("1.107.0rc1", "1.107.0"),
        ("v1.107-alpha", "1.107.0"),
    ],
)
@pytest.mark.parametrize("step", [backend.get_requires_for_build_wheel, backend.build_sdist, backend.build_wheel, add])
def test_attackers_release_is_refused(
    site: Path, repository: Path, version: str, attackers: str, step: Callable[..., object]
) -> None:
    """No form of an attacker's version is required, built on or added, and the sentence names the version it is of."""
    settings = {"base": version}
    given: Mapping[object, tuple[object, ...]] = {
        add: (version, [installed("1.2.3")], repository),
        backend.get_requires_for_build_wheel: (settings,),
    }
    with pytest.raises((BaseError, SystemExit)) as refused:
        step(*given.get(step, (str(repository), settings)))
    said = str(refused.value).removeprefix("litellm-failover: ")
    of = f"belongs to {attackers}, which was published by an attacker and must not be used: use another release."
    assert said == f"The base {Version(version)} {of}"


def test_shadowed_base_is_refused(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second LiteLLM earlier on the path, which Python would import, is refused, though the base is unchanged."""
    earlier = tmp_path / "earlier" / "litellm"
    earlier.mkdir(parents=True)
    (earlier / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(earlier.parent))
    assert refusal(tmp_path).startswith(
        f"The litellm that Python imports here is {earlier / '__init__.py'}, and LiteLLM"
    )


def test_vendored_tree_shadows_nothing(site: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The patched package that an editable install writes into the repository is no second LiteLLM."""
    backend.build_editable(str(repository.parent))
    monkeypatch.syspath_prepend(str(repository))
    assert backend.build_wheel(str(repository.parent)).endswith(f"{LINUX}.whl")
