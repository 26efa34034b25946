"""The PEP 517 and PEP 660 hooks that pip, uv and build call: stock LiteLLM goes in as a build requirement, and comes
out patched, as one package with LiteLLM's own name, metadata and requirements.

Archives are the same bytes for the same commit and base: entries are sorted, times are SOURCE_DATE_EPOCH or fixed.
(Only another build of zlib may compress differently.) No environment variable chooses the base: installers cache the
wheels they build and do not tell them apart by environment.
"""

from __future__ import annotations

import configparser
import functools
import gzip
import io
import os
import re
import stat
import sys
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast
from zipfile import ZIP_DEFLATED, ZipInfo

from packaging.specifiers import SpecifierSet
from wheel.wheelfile import WheelFile

from fork import ForkError
from fork.base import LIBRARIES, LOCAL_LABEL, PACKAGE, PYTHON, Base, check, find, read_toml
from fork.compat import warnings
from fork.patches import load
from fork.tree import OWN_FOLDERS, own_files, patched, scripts, vendor

Settings = Mapping[str, object]
Hook = TypeVar("Hook", bound=Callable[..., object])

EARLIEST = 315532800  # 1980-01-01 in seconds since 1970: the first moment a zip archive can state
SDIST_DYNAMIC = ("Requires-Python", "Requires-Dist", "Provides-Extra", "Summary", "Description", "License-File")


class BackendError(ForkError):
    """The build was asked for something it cannot do."""


def hook(function: Hook) -> Hook:
    """Let a ForkError end the build as its one sentence instead of a traceback."""

    @functools.wraps(function)
    def run(*args: object, **kwargs: object) -> object:
        try:
            return function(*args, **kwargs)
        except ForkError as error:
            raise SystemExit(f"litellm-failover: {error}") from None

    return cast(Hook, run)


@hook
def get_requires_for_build_wheel(config_settings: Settings | None = None) -> list[str]:
    """The base as a build requirement; `===` because `==` would also take a patched wheel from a private index."""
    return [f"{PACKAGE}==={base_version(Path.cwd(), config_settings)}"]


get_requires_for_build_editable = get_requires_for_build_wheel


@hook
def get_requires_for_build_sdist(config_settings: Settings | None = None) -> list[str]:
    """Nothing: the sdist holds none of the base's files."""
    return []


@hook
def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings | None = None) -> str:
    """Write the .dist-info folder but for RECORD and return its name."""
    base = _base(config_settings)
    name = f"{_stem(base.version)}.dist-info"
    for file, data in _dist_info(base).items():
        path = Path(metadata_directory, name, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return name


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


@hook
def build_wheel(
    wheel_directory: str, config_settings: Settings | None = None, metadata_directory: str | None = None
) -> str:
    """Write the wheel of the patched package and return its file name; what the base cannot have is said on stderr."""
    base = _base(config_settings)
    for warning in warnings(load(Path("patches")), base.version):
        print(f"litellm-failover: {warning}", file=sys.stderr)
    return _write_wheel(Path(wheel_directory), base, patched(base, Path.cwd()))


@hook
def build_editable(
    wheel_directory: str, config_settings: Settings | None = None, metadata_directory: str | None = None
) -> str:
    """Vendor the patched package into `litellm/` and write a wheel that puts the repository on the path.

    All of the repository: `fork`, `patches` and `tests` can then be imported too, as with any flat project.
    """
    base = _base(config_settings)
    if any(name.startswith(f"{LIBRARIES}/") for name in base.package):
        raise BackendError(
            f"LiteLLM {base.version} for {base.tag()} finds what its compiled modules link to, {LIBRARIES}/, only "
            "beside litellm/, which an editable install keeps elsewhere: install it without -e."
        )
    vendor(base, Path.cwd())
    others = {name: path.read_bytes() for name, path in base.package.items() if not name.startswith(f"{PACKAGE}/")}
    link = {f"__editable__.{PACKAGE}.pth": f"{Path.cwd()}\n".encode()}
    return _write_wheel(Path(wheel_directory), base, {**others, **link})


@hook
def build_sdist(sdist_directory: str, config_settings: Settings | None = None) -> str:
    """Write the repository's files ([tool.fork] sdist) as a .tar.gz and return its name.

    Its version is the default base's, whatever base is asked for: any base can be built from it.
    """
    root = Path.cwd()
    base_version(root, config_settings)
    stem = _stem(base_version(root))
    files = _sdist_files(root)
    with (
        Path(sdist_directory, f"{stem}.tar.gz").open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=_timestamp()) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, (data, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(f"{stem}/{name}")
            entry.size, entry.mode, entry.mtime = len(data), mode, _timestamp()
            archive.addfile(entry, io.BytesIO(data))
    return f"{stem}.tar.gz"


def base_version(root: Path, config_settings: Settings | None = None) -> str:
    """The base to build on: the config setting `base`, else [tool.fork] base.

    Raises BackendError for any other setting, BaseError for a base that is not supported.
    """
    settings = dict(config_settings or {})
    wanted = settings.pop("base", _config(root)["base"])
    if settings:
        raise BackendError(f"There is no config setting {', '.join(sorted(settings))}: the only one is base=<version>.")
    if not isinstance(wanted, str):
        raise BackendError("The config setting base is given more than once: give the one base to build on.")
    return check(wanted, root)


def _base(config_settings: Settings | None) -> Base:
    return find(base_version(Path.cwd(), config_settings), Path.cwd())


def _config(root: Path) -> dict[str, Any]:
    table: dict[str, Any] = read_toml(root / "pyproject.toml")["tool"]["fork"]
    return table


def _stem(base: str) -> str:
    """Name and version as archive names state them: "litellm-<base>+failover.<n>"."""
    return f"{PACKAGE}-{base}+{LOCAL_LABEL}.{_config(Path.cwd())['release']}"


def _dist_info(base: Base) -> dict[str, bytes]:
    """The base's .dist-info files with our version, Python floor, generator and commands, by path in that folder."""
    files = {name: path.read_bytes() for name, path in base.dist_info.items()}
    version = _stem(base.version).removeprefix(f"{PACKAGE}-")
    python = SpecifierSet(base.requires_python()) & PYTHON
    head = re.sub(rb"(?m)^Requires-Python:.*\n", b"", files["METADATA"], count=1)
    lines = f"Version: {version}\nRequires-Python: {python}\n"
    files["METADATA"] = re.sub(rb"(?m)^Version:.*\n", lines.encode(), head, count=1)
    files["entry_points.txt"] = _entry_points(files.get("entry_points.txt", b""), scripts(base.version, Path.cwd()))
    files["WHEEL"] = re.sub(rb"(?m)^Generator:.*\n", b"Generator: litellm-failover\n", files["WHEEL"])
    return files


def _entry_points(theirs: bytes, scripts: Mapping[str, str]) -> bytes:
    """The base's entry_points.txt with our commands. Raises BackendError if one of them is there already."""
    section = "console_scripts"
    table = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    table.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    table.read_string(theirs.decode())
    taken = sorted(name for name in scripts if table.has_option(section, name))
    if taken:
        raise BackendError(f"The base has a command {', '.join(taken)} of its own: name ours otherwise.")
    if not scripts:
        return theirs
    if not table.has_section(section):
        table.add_section(section)
    for name, function in scripts.items():
        table.set(section, name, function)
    text = io.StringIO()
    table.write(text)
    return text.getvalue().rstrip("\n").encode() + b"\n"


class _Wheel(WheelFile):  # type: ignore[misc]  # wheel has no types
    """A wheel whose entries all carry the same time. It writes its RECORD itself, as its last entry."""

    def writestr(self, name: str | ZipInfo, data: Any, compress_type: int | None = None, *, mode: int = 0o644) -> None:
        entry = ZipInfo(str(name), time.gmtime(_timestamp())[:6])
        entry.create_system, entry.external_attr = 3, (stat.S_IFREG | mode) << 16
        super().writestr(entry, data, ZIP_DEFLATED)


def _write_wheel(folder: Path, base: Base, files: Mapping[str, bytes]) -> str:
    """Write `files` and the .dist-info as a wheel; a file is executable where the base's is."""
    stem = _stem(base.version)
    dist_info = _dist_info(base)
    wheel = f"{stem}-{base.tag()}.whl"
    with _Wheel(folder / wheel, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data, mode=_mode(base.package[name]) if name in base.package else 0o644)
        for name in sorted(dist_info):
            archive.writestr(f"{stem}.dist-info/{name}", dist_info[name])
    return wheel


def _sdist_files(root: Path) -> dict[str, tuple[bytes, int]]:
    """Contents and mode by path, PKG-INFO among them; below a folder, bytecode and names with a leading dot are not."""
    listed = [root / name for name in _config(root)["sdist"]]
    missing = [path.name for path in listed if not path.exists()]
    if missing:
        raise BackendError(f"The repository has no {', '.join(missing)}, which pyproject.toml lists for the sdist.")
    paths = [path for path in listed if path.is_file()] + list(own_files(root).values())
    for folder in (path for path in listed if path.is_dir() and f"{path.name}/" not in OWN_FOLDERS):
        below = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
        paths += [path for path in below if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    version = _stem(base_version(root)).removeprefix(f"{PACKAGE}-")
    dynamic = "".join(f"Dynamic: {field}\n" for field in SDIST_DYNAMIC)
    info = f"Metadata-Version: 2.2\nName: {PACKAGE}\nVersion: {version}\n{dynamic}"
    files = {path.relative_to(root).as_posix(): (path.read_bytes(), _mode(path)) for path in paths}
    return {**files, "PKG-INFO": (info.encode(), 0o644)}


def _mode(path: Path) -> int:
    return 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644


def _timestamp() -> int:
    """The time all archive entries carry, in seconds since 1970."""
    stated = os.environ.get("SOURCE_DATE_EPOCH", str(EARLIEST))
    if not stated.isdecimal():
        raise BackendError(f"SOURCE_DATE_EPOCH is {stated!r} and must be a whole number of seconds since 1970.")
    return max(int(stated), EARLIEST)
