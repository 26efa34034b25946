"""The wheels that the index has of a release, one a platform: `python -m fork base` asks for them, no build does.

They are downloaded and read, never installed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from fork import ForkError
from fork.base import PACKAGE, Base, read, read_toml

LOWEST_PYTHON = "3.10"  # of fork.base.PYTHON: wheels for older ones are of no use


class WheelError(ForkError):
    """The index could not be asked for a release's wheels, or lacks them."""


def names(version: str) -> list[str]:
    """The file names of all wheels the index has of the release `version`, sorted; raises WheelError."""
    with TemporaryDirectory() as folder:
        lock = Path(folder, "pylock.toml")
        options = ["--quiet", "--no-deps", "--universal", "--python-version", LOWEST_PYTHON, "--output-file", str(lock)]
        # Named, or uv asks each Python of the machine for its version.
        command = [sys.executable, "-m", "uv", "pip", "compile", "--python", sys.executable, *options, "-"]
        done = subprocess.run(
            command, input=f"{PACKAGE}==={version}", stdout=subprocess.DEVNULL, text=True, check=False
        )
        if done.returncode:
            raise WheelError(f"The index could not be asked for the wheels of LiteLLM {version}: see above.")
        wheels = [wheel for package in read_toml(lock)["packages"] for wheel in package.get("wheels", [])]
    return sorted(wheel["url"].rpartition("/")[2] for wheel in wheels)


def download(name: str, folder: Path) -> Path | None:
    """The wheel of that name in `folder`, None if it could not be downloaded; what the installer says is shown."""
    version, *_, python, abi, platform = name.removesuffix(".whl").split("-")[1:]
    wanted = ["--implementation", python[:2], "--python-version", python[2:] if len(python) > 3 else LOWEST_PYTHON]
    wanted += ["--abi", abi, "--platform", platform.partition(".")[0]]
    options = ["--quiet", "--no-cache-dir", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, *wanted, f"{PACKAGE}==={version}"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    return folder / name if done.returncode == 0 and (folder / name).is_file() else None


def unpacked(version: str, wheels: Iterable[Path]) -> Iterator[Base]:
    """Each of `wheels`, which must be of the release `version`, as a base that is there until the next one is.

    Raises WheelError if one is no wheel, and BaseError as `fork.base.read` does."""
    for wheel in wheels:
        with TemporaryDirectory() as folder:
            try:
                with ZipFile(wheel) as archive:
                    archive.extractall(folder)
            except BadZipFile as error:
                raise WheelError(f"The wheel {wheel.name} cannot be unpacked: {error}.") from None
            releases = list(distributions(path=[folder]))
            if len(releases) != 1:
                raise WheelError(f"The wheel {wheel.name} has {len(releases)} .dist-info folders where one is due.")
            yield read(releases[0], version)
