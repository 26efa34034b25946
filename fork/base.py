"""The LiteLLM release this branch is built on: which are supported, and whether the one at hand is what it should be.

The base is an ordinary build requirement, so whoever builds (pip, uv, nox) has it installed before anything here runs;
this module reads the installed files and never touches the network.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from fork import ForkError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGE = "litellm"
PACKAGES = (PACKAGE, "litellm_cli")  # in newer releases the commands have one of their own
LOCAL_LABEL = "failover"
PYTHON = SpecifierSet(">=3.10")  # what the modules of this branch need, whatever the base supports
COMPILED = (".so", ".pyd", ".dylib")
INSTALLER_FILES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
MALICIOUS = ("1.82.7", "1.82.8")  # published by an attacker
TABLE_HEAD = """\
# The LiteLLM releases this branch can be built on. `sha256` is the digest of the release's files (fork/base.py says of
# which ones), `python` the Python versions it is published for. `nox -s base -- <version>` adds a release.
"""


class BaseError(ForkError):
    """The base release asked for, or the one found, cannot be built on."""


@dataclass(frozen=True)
class Supported:
    """What bases.toml holds of one release."""

    sha256: str
    python: str


@dataclass(frozen=True)
class Base:
    """An installed base release: `package`, which may be several, by path in the wheel ("litellm/main.py"), `dist_info`
    by path in there."""

    version: str
    package: dict[str, Path]
    dist_info: dict[str, Path]

    def read(self, path: str) -> bytes | None:
        """The contents of a file of the package, None if there is no such file."""
        return self.package[path].read_bytes() if path in self.package else None

    def requires_python(self) -> str:
        lines = self.dist_info["METADATA"].read_text("utf-8").split("\n\n", 1)[0].splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("Requires-Python:")), "")

    def digest(self) -> str:
        """SHA-256 (hex) over the sorted lines "path sha256" of every file that is the same on every platform.

        That is all that is packed (Python sources, data, metadata) but compiled modules and WHEEL, of which each
        platform has its own. CR LF counts as LF: the wheels for Windows hold the same text with other line ends.
        """
        metadata = {f"dist-info/{name}": path for name, path in self.dist_info.items() if name != "WHEEL"}
        total = hashlib.sha256()
        for name, path in sorted({**self.package, **metadata}.items()):
            if not name.endswith(COMPILED):
                text = path.read_bytes().replace(b"\r\n", b"\n")
                total.update(f"{name} {hashlib.sha256(text).hexdigest()}\n".encode())
        return total.hexdigest()


def read_toml(path: Path) -> dict[str, Any]:
    """The contents of a TOML file."""
    return tomllib.loads(path.read_text("utf-8"))


def supported(root: Path) -> dict[str, Supported]:
    """The releases in fork/bases.toml under the repository `root`, oldest first."""
    table = read_toml(root / "fork" / "bases.toml")
    return {version: Supported(**table[version]) for version in sorted(table, key=Version)}


def check(wanted: str, root: Path) -> str:
    """The supported release `wanted` names, before anything of it is installed.

    Raises BaseError if it is not supported, or needs another Python than this.
    """
    python = ".".join(map(str, sys.version_info[:3]))
    try:
        version = str(Version(wanted))
    except InvalidVersion:
        raise BaseError(f"The base {wanted!r} is not a version: name a LiteLLM release such as 1.82.6.") from None
    if version in MALICIOUS:
        raise BaseError(f"The base {version} was published by an attacker and must not be used: use another release.")
    bases = supported(root)
    if version not in bases:
        newest = max(bases, key=Version)
        newer = Version(version) > Version(newest)
        raise BaseError(
            f"The base {version} is {f'newer than {newest}, the newest' if newer else 'not a'} release this branch "
            f"supports: use one of {', '.join(bases)}, or add it with `nox -s base -- {version}`."
        )
    if bases[version].python and python not in SpecifierSet(bases[version].python):
        raise BaseError(
            f"LiteLLM {version} needs Python {bases[version].python}, and this is Python {python}: "
            "use another Python or another base."
        )
    return version


def find(version: str, root: Path) -> Base:
    """The supported release `version` as installed here, its files compared with the digest in bases.toml.

    Raises BaseError as `check` and `installed` do, and if the digest differs.
    """
    version = check(version, root)
    base = installed(version)
    expected, found = supported(root)[version].sha256, base.digest()
    if found != expected:
        raise BaseError(
            f"The files of LiteLLM {version} are not the ones this branch was tested on and were not packed: "
            f"fork/bases.toml expects the digest {expected}, found {found}."
        )
    return base


def installed(version: str) -> Base:
    """LiteLLM as installed in this environment, which must be the unpatched release `version`.

    Raises BaseError if it is not there, is another release, is already patched, ships a .pth file, which would run in
    every Python process of an environment it is installed in, or a file outside its packages.
    """
    try:
        found = distribution(PACKAGE)
    except PackageNotFoundError:
        raise BaseError(
            f"LiteLLM {version} is not installed where this branch is built: either the index has no such release or "
            "could not be reached, or the build ran with --no-build-isolation and has to install it first."
        ) from None
    if LOCAL_LABEL in found.version:
        raise BaseError(f"The LiteLLM here, {found.version}, is patched already: build where {version} is installed.")
    if found.version != version:
        raise BaseError(f"The LiteLLM here is {found.version} where {version} was asked for: install that one.")
    if found.files is None:
        raise BaseError(f"The LiteLLM {version} here has no RECORD of its files: install it with pip or uv.")
    base = Base(version, {}, {})
    scripts = {point.name for point in found.entry_points}
    for file in found.files:
        path = PurePosixPath(file)
        top, name = path.parts[0], "/".join(path.parts[1:])
        if path.suffix == ".pth":
            raise BaseError(f"LiteLLM {version} ships {path}, code that would run in every Python process: not packed.")
        if path.suffix == ".pyc" or (top == ".." and path.name.removesuffix(".exe") in scripts):
            continue  # made by the installer
        located = Path(str(file.locate()))
        if not located.is_file():
            continue  # so that the digest differs, as it does where importlib.metadata leaves such a file out
        if top in PACKAGES:
            base.package[path.as_posix()] = located
        elif not top.endswith(".dist-info"):
            raise BaseError(f"LiteLLM {version} ships {path}, which is outside its packages and would not be packed.")
        elif name not in INSTALLER_FILES:
            base.dist_info[name] = located
    return base


def add(version: str, root: Path) -> str:
    """Enter the LiteLLM installed here, which must be `version`, into bases.toml and return its digest.

    Raises BaseError as `installed` does, for a release known to be malicious, and if the table has another digest.
    """
    if version in MALICIOUS:
        raise BaseError(f"LiteLLM {version} was published by an attacker and must not be added: use another release.")
    base = installed(version)
    bases = supported(root)
    entry = Supported(base.digest(), base.requires_python())
    if bases.get(version, entry) != entry:
        raise BaseError(
            f"fork/bases.toml has another digest for LiteLLM {version}, {bases[version].sha256}, than the one found, "
            f"{entry.sha256}: find out why before you remove the old entry."
        )
    bases[version] = entry
    rows = (
        f'\n["{name}"]\nsha256 = "{bases[name].sha256}"\npython = "{bases[name].python}"\n'
        for name in sorted(bases, key=Version)
    )
    (root / "fork" / "bases.toml").write_text(TABLE_HEAD + "".join(rows), "utf-8")
    return entry.sha256
