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
NO_RECORD = "The RECORD of the LiteLLM 1.2.3 here cannot be read"
NO_ENTRIES = "The entry_points.txt of the LiteLLM 1.2.3 here cannot be read"
OUTSIDE = "is outside its packages and would not be packed."
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
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).write_text("import os\n")
        recorded(f"{file},,")(site)

    return forge


def recorded(row: str) -> Forgery:
    """One more `row` in RECORD, as it stands."""

    def forge(site: Path) -> None:
        with (site / INFO / "RECORD").open("a") as record:
            record.write(f"{row}\n")

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


def linked(file: str) -> Forgery:
    """A link to another file in the place of `file`."""

    def forge(site: Path) -> None:
        (site.parent / "other").write_text("import os\n")
        (site / file).unlink()
        (site / file).symlink_to(site.parent / "other")

    return forge


def other_metadata(site: Path) -> None:
    """A changed METADATA, and behind it the one expected, in a folder of its own."""
    known = (site / INFO / "METADATA").read_text()
    added("zz-1.2.3.dist-info/METADATA")(site)
    (site / "zz-1.2.3.dist-info" / "METADATA").write_text(known)
    (site / INFO / "METADATA").write_text(known.replace("httpx", "httpz"))


def moved_info(site: Path) -> None:
    """The folder of metadata by another name, which the installer takes for the same."""
    other = INFO.replace("litellm", "LiteLLM")
    record = site / INFO / "RECORD"
    record.write_text(record.read_text().replace(INFO, other))
    (site / INFO).rename(site / other)


def disguised(site: Path) -> None:
    """Changed code whose line in RECORD has a weak digest of it, and is there twice."""
    (site / "litellm" / "router.py").write_text("import os\n")
    for row in ("litellm/router.py,md5=fLwPD1Cn7zNFF8TMxNIFgA,10", "litellm/router.py,none=,"):
        recorded(row)(site)


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
    "record-garbled": (garbled(f"{INFO}/RECORD"), f"{NO_RECORD}: 'utf-8' codec can't"),
    "record-without-path": (recorded(",,"), f"{NO_RECORD}: it lists a file without a name. Install it anew."),
    "record-of-itself": (recorded(".,,"), f"{NO_RECORD}: it lists a file without a name. Install it anew."),
    "record-without-fields": (recorded(""), f"{NO_RECORD}: "),
    "record-with-more-fields": (recorded("litellm/router.py,,,x"), f"{NO_RECORD}: "),
    "record-without-numbers": (recorded("litellm/router.py,,many"), f"{NO_RECORD}: "),
    "record-with-long-field": (recorded("x" * 200_000), f"{NO_RECORD}: "),
    "record-disguises": (disguised, OTHER_FILES),
    "entry-points-garbled": (garbled(f"{INFO}/entry_points.txt"), f"{NO_ENTRIES}: 'utf-8' codec can't"),
    "entry-points-without-value": (replaced(f"{INFO}/entry_points.txt", "litellm=", "litellm "), f"{NO_ENTRIES}: "),
    "entry-points-without-section": (replaced(f"{INFO}/entry_points.txt", "[console_scripts]", ""), OTHER_FILES),
    "command-elsewhere": (added("../anywhere/litellm"), f"LiteLLM 1.2.3 ships ../anywhere/litellm, which {OUTSIDE}"),
    "command-in-packages": (added("../bin/../other/litellm"), "LiteLLM 1.2.3 ships ../bin/../other/litellm, which is"),
    "absolute": (recorded(f"{__file__},,"), f"LiteLLM 1.2.3 ships {__file__}, which {OUTSIDE}"),
    "second-metadata": (other_metadata, f"LiteLLM 1.2.3 ships zz-1.2.3.dist-info/METADATA, which {OUTSIDE}"),
    "metadata-renamed": (moved_info, f"LiteLLM 1.2.3 ships LiteLLM-1.2.3.dist-info/METADATA, which {OUTSIDE}"),
    "code-linked": (linked("litellm/router.py"), OTHER_FILES),
    "code-around-a-corner": (added("litellm/../litellm/more.py"), OTHER_FILES),
    "code-in-capitals": (added("LITELLM/router.py"), f"LiteLLM 1.2.3 ships LITELLM/router.py, which {OUTSIDE}"),
    "bytecode": (added("litellm/more.pyc"), OTHER_FILES),
    "bytecode-elsewhere": (added("__pycache__/more.pyc"), f"LiteLLM 1.2.3 ships __pycache__/more.pyc, which {OUTSIDE}"),
    "bytecode-outside": (added("../__pycache__/more.pyc"), "LiteLLM 1.2.3 ships ../__pycache__/more.pyc, which is"),
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
        ("1.107.0.1", "1.107.0"),
        ("1.82.7.0.1rc1", "1.82.7"),
        ("1!1.82.8", "1.82.8"),
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
