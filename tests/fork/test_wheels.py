"""A release is added with all wheels that the index has of it, none of which is installed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fork import wheels
from fork.__main__ import main
from fork.base import supported

Publish = Callable[..., Path]

VERSION = "1.2.3"
PLATFORMS = {
    "cp310-abi3-manylinux_2_28_x86_64": "_native.abi3.so",
    "cp311-cp311-musllinux_1_2_aarch64": "_native.cpython-311-aarch64-linux-musl.so",
    "cp310-abi3-macosx_11_0_arm64": "_native.abi3.so",
    "cp310-abi3-win_amd64": "_native.pyd",
    "py3-none-any": "",
}


def test_build_asks_no_index(pytestconfig: pytest.Config) -> None:
    """What pip and uv call to build does not import what asks the index for wheels."""
    code = "import sys, fork.backend; print('fork.wheels' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=pytestconfig.rootpath, capture_output=True, text=True)
    assert done.stdout == "False\n"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_all_wheels_are_entered(repository: Path, publish: Publish, capsys: pytest.CaptureFixture[str]) -> None:
    """Each platform's wheel is read and entered with the digest of its compiled module, and named."""
    for tag, module in PLATFORMS.items():
        publish(tag, files={f"litellm/{module}": tag} if module else {})
    publish(version="1.2.4")
    assert main(["base", VERSION]) == 0
    first, *tags = capsys.readouterr().out.splitlines()
    entry = supported(repository)[VERSION]
    assert first == f"fork/bases.toml: LiteLLM 1.2.3 has the digest {entry.sha256} and the wheels"
    assert set(tags) == PLATFORMS.keys()
    compiled = {tag: files.get(f"litellm/{PLATFORMS[tag]}") for tag, files in entry.wheels.items()}
    assert compiled == {tag: digest(tag) if module else None for tag, module in PLATFORMS.items()}


def test_platform_not_got_is_named(
    repository: Path, publish: Publish, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wheel that cannot be downloaded is named, and the others are entered."""
    publish()
    gone = publish("cp310-abi3-win_amd64")
    names = wheels.names(VERSION)
    gone.unlink()
    monkeypatch.setattr(wheels, "names", lambda version: names)
    assert main(["base", VERSION]) == 2
    said = "without litellm-1.2.3-cp310-abi3-win_amd64.whl, which could not be downloaded: a build from it is refused"
    assert said in capsys.readouterr().err
    assert supported(repository)[VERSION].wheels.keys() == {"py3-none-any"}


def test_wheels_of_two_sources_are_refused(
    repository: Path, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release whose wheels differ in their Python code is not entered."""
    publish("cp310-abi3-manylinux_2_28_x86_64")
    publish("cp310-abi3-win_amd64", files={"litellm/router.py": "import sys\n"})
    assert main(["base", VERSION]) == 2
    said = "for cp310-abi3-win_amd64 differs from fork/bases.toml or from another of its wheels"
    assert f"{said}: " in capsys.readouterr().err
    assert supported(repository) == {}


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("1.2.9", "The index could not be asked for the wheels of LiteLLM 1.2.9: see above."),
        ("1.107.0rc1", "The base 1.107.0rc1 belongs to 1.107.0, which was published by an attacker"),
        ("latest", "The base 'latest' is not a version"),
    ],
)
def test_release_that_cannot_be_had_is_refused(
    repository: Path, publish: Publish, capsys: pytest.CaptureFixture[str], version: str, said: str
) -> None:
    """A release that is not there, an attacker's, or none at all ends in one sentence."""
    publish()
    assert main(["base", version]) == 2
    assert f"litellm-failover: {said}" in capsys.readouterr().err
