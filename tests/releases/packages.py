"""Builds and installs this commit for real, on the bases it is given: what the unit tests of the build cannot show.

`nox -s releases -- packages` runs it. It needs the index, pip and uv, and clones the repository, so only what is
committed counts.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from releases.environment import ROOT, arguments

PIP = [sys.executable, "-m", "pip"]
UV = [sys.executable, "-m", "uv", "pip"]
SHOW = "import importlib.metadata as m, litellm; print(m.version('litellm'), litellm.__file__)"


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """The command's output. A failure ends the check with it."""
    finished = subprocess.run([*map(str, command)], cwd=cwd, text=True, capture_output=True)
    if finished.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{finished.stdout}{finished.stderr}")
    return finished.stdout.strip()


def digest(folder: Path) -> str:
    """Of the one archive in `folder`."""
    (archive,) = folder.iterdir()
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def wheels(bases: list[str], clone: Path, work: Path) -> Iterator[str]:
    """Each base's wheel twice, then once from the sdist: the same bytes each time, and other bytes for another base."""
    run(PIP[0], "-m", "build", "--sdist", "--installer=uv", "--outdir", work / "sdist", clone)
    (sdist,) = (work / "sdist").iterdir()
    seen = set()
    for base in bases:
        found = set()
        for number, source in enumerate((clone, clone, sdist)):
            folder = work / f"{base}-{number}"
            run(*PIP, "wheel", "--quiet", "--no-deps", f"--config-settings=base={base}", "-w", folder, source)
            found.add(digest(folder))
        if len(found) != 1:
            sys.exit(f"{base}: two builds and one from the sdist gave {len(found)} different wheels")
        seen |= found
        yield f"{base}: one wheel, {found.pop()[:16]}, built twice and from the sdist"
    if len(seen) != len(bases):
        sys.exit("two bases gave the same wheel")


def installs(bases: list[str], clone: Path, work: Path) -> Iterator[str]:
    """Every base by git URL, twice in turn with the caches as they are, each time into an empty environment."""
    url = f"git+{clone.as_uri()}@{run('git', 'rev-parse', 'HEAD', cwd=clone)}"
    ways = {"uv": (UV, []), "pip": (PIP, ["--no-cache-dir"])}
    for base in [*bases, *bases]:
        for name, (installer, flags) in ways.items():
            python = environment(work / f"env-{base}-{name}")
            options = [f"--python={python}"]
            target = [*flags, f"--config-settings=base={base}", f"litellm @ {url}"]
            command = [*installer, *options, "install"] if installer is PIP else [*installer, "install", *options]
            run(*command, "--quiet", *target)
            yield shown(f"{name} {base}", python, base)


def editable(base: str, clone: Path, work: Path) -> Iterator[str]:
    """`-e .` serves the clone's own files."""
    python = environment(work / "env-editable")
    run(*UV, "install", f"--python={python}", "--quiet", "-e", clone)
    line = shown("uv -e .", python, base)
    if str(clone) not in line or run("git", "status", "--short", cwd=clone):
        sys.exit(f"the editable install does not serve the clone, or git sees what it vendored there: {line}")
    yield line


def environment(folder: Path) -> Path:
    """An empty one; its interpreter."""
    run(sys.executable, "-m", "virtualenv", "--quiet", "--no-download", "--clear", folder)
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def shown(label: str, python: Path, base: str) -> str:
    """What is installed, which must be this branch on `base`."""
    line = run(python, "-c", SHOW, cwd=python.parent)
    if not line.startswith(f"{base}+failover."):
        sys.exit(f"{label} installed {line}")
    return f"{label}: {line}"


def main() -> None:
    """Check everything for the bases named after the folder to work in; the first one is the default."""
    work, _, bases = arguments()
    with tempfile.TemporaryDirectory(dir=work) as folder:
        check_all(bases, Path(folder).resolve())


def check_all(bases: list[str], work: Path) -> None:
    """Print a line for each thing that holds; the first one that does not ends the check."""
    clone = work / "clone"
    run("git", "clone", "--quiet", ROOT, clone)
    for check in (wheels(bases, clone, work), installs(bases, clone, work), editable(bases[0], clone, work)):
        for line in check:
            print(line, flush=True)


if __name__ == "__main__":
    main()
