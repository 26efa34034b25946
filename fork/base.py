"""The LiteLLM release this branch is built on: which are supported, and whether the one at hand is what it should be.

The base is an ordinary build requirement, so whoever builds (pip, uv, nox) has it installed before anything here runs;
this module reads the installed files and never touches the network.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from fork import ForkError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Read = TypeVar("Read")

PACKAGE = "litellm"
PACKAGES = (PACKAGE, "litellm_cli")  # in newer releases the commands have one of their own
COMMANDS = "litellm_drill"  # ours: importing `litellm` takes longer than such a command, and asks the network
LIBRARIES = "litellm.libs"  # auditwheel's folder for what compiled modules link to; the wheels for musl have one
LOCAL_LABEL = "failover"
PYTHON = SpecifierSet(">=3.10")  # what the modules of this branch need, whatever the base supports
COMPILED = (".so", ".pyd", ".dylib")
PER_PLATFORM = (
    f"{LIBRARIES}/",
    "dist-info/WHEEL",
    "dist-info/sboms/",
)  # an SBOM says what compiled modules are made of
SCRIPT_FOLDERS = ("bin", "Scripts")  # of an environment, the latter on Windows
INSTALLER_FILES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
MALICIOUS = tuple(map(Version, ("1.82.7", "1.82.8", "1.107.0")))  # published by an attacker
TABLE_HEAD = """\
# The LiteLLM releases this branch can be built on. `sha256` is the digest of the files that are the same on every
# platform (fork/base.py says which ones), `python` the Python versions the release is published for. `wheels` has, by
# the tag of each wheel, the SHA-256 of the files that are its platform's own. `nox -s base -- <version>` adds one.
"""


class BaseError(ForkError):
    """The base release asked for, or the one found, cannot be built on."""


@dataclass(frozen=True)
class Supported:
    """What bases.toml holds of one release: the digest of what is the same on every platform, the Python versions, and
    by the tag of each wheel the SHA-256 of the files that are its platform's own, by path."""

    sha256: str
    python: str
    wheels: Mapping[str, Mapping[str, str]]


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
        lines = self._text("METADATA").split("\n\n", 1)[0].splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("Requires-Python:")), "")

    def digest(self) -> str:
        """SHA-256 (hex) over the sorted lines "path sha256" of every packed file that is the same on every platform.

        That are all but `platform_files`. CR LF counts as LF: the wheels for Windows hold the same text with other
        line ends.
        """
        total = hashlib.sha256()
        for name, path in sorted(self._packed().items()):
            if not _is_per_platform(name):
                text = path.read_bytes().replace(b"\r\n", b"\n")
                total.update(f"{name} {hashlib.sha256(text).hexdigest()}\n".encode())
        return total.hexdigest()

    def platform_files(self) -> dict[str, str]:
        """SHA-256 (hex) of each file that is the platform's own, by path: compiled modules, what they link to, and what
        describes them."""
        own = {name: path for name, path in sorted(self._packed().items()) if _is_per_platform(name)}
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in own.items()}

    def _packed(self) -> dict[str, Path]:
        """All its files by path, those of the .dist-info folder below "dist-info"."""
        return {**self.package, **{f"dist-info/{name}": path for name, path in self.dist_info.items()}}

    def tag(self) -> str:
        """The tag the wheel's name ends in, from the Tag lines of its WHEEL file, one for each combination; empty if it
        has none."""
        lines = self._text("WHEEL").splitlines()
        tags = [line.split(":", 1)[1].strip().split("-") for line in lines if line.startswith("Tag:")]
        return "-".join(".".join(dict.fromkeys(part)) for part in zip(*tags))  # noqa: B905

    def _text(self, name: str) -> str:
        """A file of the .dist-info folder, as far as it is text: one that is none has another digest as well."""
        return self.dist_info[name].read_text("utf-8", errors="replace") if name in self.dist_info else ""

    def entry(self) -> Supported:
        """What bases.toml says of the release, as far as this wheel of it shows."""
        return Supported(self.digest(), self.requires_python(), {self.tag(): self.platform_files()})


def _is_per_platform(name: str) -> bool:
    return name.endswith(COMPILED) or name.startswith(PER_PLATFORM)


def read_toml(path: Path) -> dict[str, Any]:
    """The contents of a TOML file."""
    return tomllib.loads(path.read_text("utf-8"))


def supported(root: Path) -> dict[str, Supported]:
    """The releases in fork/bases.toml under the repository `root`, oldest first."""
    table = read_toml(root / "fork" / "bases.toml")
    return {version: Supported(**table[version]) for version in sorted(table, key=Version)}


def allowed(wanted: str) -> str:
    """The version `wanted` in its normal form.

    Raises BaseError if it is none, or one that an attacker has published, or that such a one's numbers begin: a
    pre-release, post-release, development or local version of it, or one with more numbers.
    """
    try:
        version = Version(wanted)
    except InvalidVersion:
        raise BaseError(f"The base {wanted!r} is not a version: name a LiteLLM release such as 1.82.6.") from None
    attackers = next((bad for bad in MALICIOUS if bad.release == (*version.release, 0, 0)[: len(bad.release)]), None)
    if attackers is not None:
        of = "" if version == attackers else f"belongs to {attackers}, which "
        raise BaseError(
            f"The base {version} {of}was published by an attacker and must not be used: use another release."
        )
    return str(version)


def check(wanted: str, root: Path) -> str:
    """The supported release `wanted` names, before anything of it is installed.

    Raises BaseError as `allowed` does, and if it is not supported, or needs another Python than this.
    """
    python = ".".join(map(str, sys.version_info[:3]))
    version, bases = allowed(wanted), supported(root)
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
    """The supported release `version` as installed here, its files compared with those that bases.toml knows.

    Raises BaseError as `check` and `installed` do, if a file differs, and if Python would import another LiteLLM.
    """
    version = check(version, root)
    base = installed(version)
    _refuse_shadowed(base, root)
    _refuse_changed(base, supported(root)[version])
    return base


def _refuse_shadowed(base: Base, root: Path) -> None:
    """Raises BaseError if something earlier on the path hides what was found, but for the repository `root`, which may
    hold a vendored LiteLLM and is on the path of a build."""
    path = [entry for entry in sys.path if Path(entry).resolve() != root.resolve()]
    for package in PACKAGES:
        init = base.package.get(f"{package}/__init__.py")
        spec = PathFinder.find_spec(package, path)
        imported = spec.origin if spec and spec.origin else "nowhere"
        if init and Path(imported).resolve() != init.resolve():
            raise BaseError(
                f"The {package} that Python imports here is {imported}, and LiteLLM {base.version} is in "
                f"{init.parent}: take the first one off the path."
            )


def _refuse_changed(base: Base, known: Supported) -> None:
    """Raises BaseError if the files of `base` are not the `known` ones: what all platforms share, or what is the
    wheel's own."""
    what, tag, found = f"LiteLLM {base.version}", base.tag(), base.entry()
    if found.sha256 != known.sha256:
        raise BaseError(
            f"The files of {what} are not the ones this branch was tested on and were not packed: "
            f"fork/bases.toml expects the digest {known.sha256}, found {found.sha256}."
        )
    if tag not in known.wheels:
        raise BaseError(
            f"The wheel of {what} here is for {tag or 'nothing'}, which is none of those in fork/bases.toml and was "
            f"not packed: if the index has it, `nox -s base -- {base.version}` enters it."
        )
    wrong = _differences(known.wheels[tag], found.wheels[tag])
    if wrong:
        raise BaseError(f"The wheel of {what} for {tag} is not the published one and was not packed: {wrong}.")


def _differences(known: Mapping[str, str], found: Mapping[str, str]) -> str:
    """What differs between the digests in bases.toml and those found, by path; empty if nothing does."""
    return ", ".join(
        f"{path} should have the SHA-256 {known.get(path, '(none)')} and has {found.get(path, '(none)')}"
        for path in sorted({*known, *found})
        if known.get(path) != found.get(path)
    )


def installed(version: str) -> Base:
    """LiteLLM as installed in this environment, which must be the unpatched release `version`.

    Raises BaseError if it is not there, is another release or patched already, and as `read` does.
    """
    try:
        found = distribution(PACKAGE)
    except PackageNotFoundError:
        raise BaseError(
            f"LiteLLM {version} is not installed where this branch is built: either the index has no such release or "
            "could not be reached, or the build ran with --no-build-isolation and has to install it first."
        ) from None
    if LOCAL_LABEL in _version_of(found):
        raise BaseError(
            f"The LiteLLM here, {_version_of(found)}, is patched already: build where {version} is installed."
        )
    return read(found, version)


def _version_of(found: Distribution) -> str:
    """The version that a distribution's METADATA names, empty if that is missing or no text."""
    try:
        return str(found.version or "")
    except (KeyError, TypeError, UnicodeDecodeError):
        return ""


def read(found: Distribution, version: str) -> Base:
    """What was `found`, installed or unpacked, as the release `version`: the files that its RECORD lists.

    Raises BaseError if it is another release, what lists its files cannot be read, or it ships a .pth file, which would
    run in every Python process of an environment it is installed in, or a file outside its packages.
    """
    if _version_of(found) != version:
        named = _version_of(found) or "one without a readable METADATA"
        raise BaseError(f"The LiteLLM here is {named} where {version} was asked for: install that one.")
    base = Base(version, {}, {})
    commands = {point.name for point in _readable("entry_points.txt", version, lambda: found.entry_points)}
    for file in _recorded(found, version):
        path = PurePosixPath(file)
        top, name = path.parts[0], "/".join(path.parts[1:])
        if path.suffix == ".pth":
            raise BaseError(f"LiteLLM {version} ships {path}, code that would run in every Python process: not packed.")
        if _is_made_by_installer(path, commands):
            continue
        if top not in (*PACKAGES, LIBRARIES, f"{PACKAGE}-{version}.dist-info"):
            raise BaseError(f"LiteLLM {version} ships {path}, which is outside its packages and would not be packed.")
        located = Path(str(file.locate()))
        if not _readable("RECORD", version, located.is_file):
            continue  # so that the digest differs, as it does where importlib.metadata leaves such a file out
        if not top.endswith(".dist-info"):
            base.package[path.as_posix()] = located
        elif name not in INSTALLER_FILES:
            base.dist_info[name] = located
    return base


def _recorded(found: Distribution, version: str) -> list[PackagePath]:
    """The files that RECORD lists; raises BaseError if it is not there, or no such list."""
    files = _readable("RECORD", version, lambda: found.files)
    if files is None:
        raise BaseError(f"The LiteLLM {version} here has no RECORD of its files: install it with pip or uv.")
    if any(not file.parts for file in files):
        raise BaseError(_unreadable("RECORD", version, "it lists a file without a name"))
    return files


def _readable(name: str, version: str, read_it: Callable[[], Read]) -> Read:
    """What importlib.metadata reads from the file `name`, in which it raises whatever the first oddity leads to."""
    try:
        return read_it()
    except Exception as error:
        raise BaseError(_unreadable(name, version, " ".join(str(error).split()))) from None


def _unreadable(name: str, version: str, why: str) -> str:
    return f"The {name} of the LiteLLM {version} here cannot be read: {why}. Install it anew."


def _is_made_by_installer(path: PurePosixPath, commands: Container[str]) -> bool:
    """Whether the file is a module's bytecode, or the script of one of `commands` where an environment has them."""
    if path.suffix == ".pyc":
        return path.parts[0] in PACKAGES and ".." not in path.parts and path.parent.name == "__pycache__"
    *up, folder, name = ("", *path.parts)
    is_script_folder = set(up) == {"", ".."} and folder in SCRIPT_FOLDERS
    return is_script_folder and name.removesuffix(".exe") in commands


def add(version: str, wheels: Iterable[Base], root: Path) -> Supported:
    """Enter the release `version`, of which `wheels` are given one after the other, into bases.toml beside those that
    are there, and return its entry.

    Raises BaseError, and enters nothing, for a release known to be malicious, if there is no wheel, and if one has
    other files than another or than the table says.
    """
    version, bases = allowed(version), supported(root)
    for base in wheels:
        found, tag = base.entry(), base.tag()
        known = bases.get(version, found)
        wrong = _differences(
            {"the whole": known.sha256, **known.wheels.get(tag, found.wheels[tag])},
            {"the whole": found.sha256, **found.wheels[tag]},
        )
        if wrong:
            raise BaseError(
                f"The wheel of LiteLLM {version} for {tag} differs from fork/bases.toml or from another of its wheels: "
                f"{wrong}; find out why before you remove the old entry."
            )
        bases[version] = Supported(known.sha256, known.python, {**known.wheels, **found.wheels})
    if version not in bases:
        raise BaseError(f"There is no wheel of LiteLLM {version} to enter: see whether the index has one.")
    rows = "".join(_rows(name, bases[name]) for name in sorted(bases, key=Version))
    (root / "fork" / "bases.toml").write_text(TABLE_HEAD + rows, "utf-8")
    return bases[version]


def _rows(version: str, entry: Supported) -> str:
    """A release's part of bases.toml, with a table for each wheel."""
    tables = {f'["{version}"]': {"sha256": entry.sha256, "python": entry.python}}
    for tag, files in sorted(entry.wheels.items()):
        tables[f'["{version}".wheels."{tag}"]'] = {f'"{path}"': digest for path, digest in files.items()}
    return "".join(
        f"\n{head}\n" + "".join(f'{key} = "{value}"\n' for key, value in table.items())
        for head, table in tables.items()
    )
