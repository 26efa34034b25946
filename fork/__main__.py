"""`python -m fork`: what nox sessions such as `base` and `patches` run where a release is installed.

Run it in the repository's root. A mistake ends in one sentence and exit code 2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from fork import ForkError, base, patches, series, tree, wheels
from fork.backend import base_version


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command with `arguments`, sys.argv's by default, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        print(options.run(options, Path.cwd()))
    except ForkError as error:
        print(f"litellm-failover: {error}", file=sys.stderr)
        return 2
    return 0


def vendor(options: argparse.Namespace, root: Path) -> str:
    """Write the patched source into litellm/, or only show what the patches change."""
    found = base.find(base_version(root, {"base": options.base} if options.base else None), root)
    if options.diff:
        return tree.diff(found, root).rstrip("\n")
    return f"vendored {tree.vendor(found, root)} files of LiteLLM {found.version}, patched, into litellm/"


def add_base(options: argparse.Namespace, root: Path) -> str:
    """Enter a LiteLLM release into fork/bases.toml, with all wheels that the index has of it."""
    version = base.allowed(options.version)  # before anything of it is downloaded
    names = wheels.names(version)
    with TemporaryDirectory() as scratch:
        found = {name: wheels.download(name, Path(scratch)) for name in names}
        entry = base.add(version, wheels.unpacked(version, filter(None, found.values())), root)
    missing = ", ".join(name for name in names if found[name] is None)
    if missing:
        raise wheels.WheelError(
            f"LiteLLM {version} is in fork/bases.toml without {missing}, which could not be downloaded: a build from "
            f"it is refused until `nox -s base -- {version}` has entered it."
        )
    lines = [f"fork/bases.toml: LiteLLM {version} has the digest {entry.sha256} and the wheels", *entry.wheels]
    return "\n".join(lines)


def apply(options: argparse.Namespace, root: Path) -> str:
    """Say whether the patches apply to the LiteLLM release installed here, supported or not, with each name bound and
    each module of ours imported."""
    from fork import fit  # the only command that needs pyflakes

    changed = fit.check(base.installed(options.version), root)
    return f"the patches change {changed} modules of LiteLLM {options.version}"


def list_modules(options: argparse.Namespace, root: Path) -> str:
    """List the modules of ours that the patches add, on whichever release: a path a line."""
    return "\n".join(sorted(tree.own_modules(root)))


def write_series(options: argparse.Namespace, root: Path) -> str:
    """Write the patches as mails for `git am`, or only try them on a clone, or prove them."""
    found = base.find(base_version(root, {"base": options.base} if options.base else None), root)
    if options.check or options.prove:
        with TemporaryDirectory() as scratch:
            mails = series.write(found, root, Path(scratch), signed=False)
            if options.check:
                return "\n".join(series.check(Path(options.check), mails))
            return _proved(found, root, mails)
    folder = Path(options.out, found.version)
    mails = series.write(found, root, folder)
    return f"{_proved(found, root, mails)}\nwritten to {folder}"


def _proved(found: base.Base, root: Path, mails: Sequence[Path]) -> str:
    lines = series.prove(found, root, mails)
    here = [patch for patch in patches.load(root / "patches") if patch.applies_to(found.version)]
    kept = ", ".join(patch.name for patch in here if not patch.exported)
    same = f"`git am` of {len(mails)} patches on LiteLLM {found.version} gives the package that is built"
    but = f", but for {kept}, not exported" if kept else ""
    return f"{same}{but}\n\n{series.table([mail.stem for mail in mails], lines)}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fork", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser("vendor", help=vendor.__doc__)
    command.add_argument("--base", help="the base release instead of the default one", metavar="VERSION")
    command.add_argument("--diff", action="store_true", help="print a unified diff and write nothing")
    command.set_defaults(run=vendor)
    command = commands.add_parser("base", help=add_base.__doc__)
    command.add_argument("version", help="the release, of which nothing is installed")
    command.set_defaults(run=add_base)
    command = commands.add_parser("apply", help=apply.__doc__)
    command.add_argument("version", help="the release, which must be the one installed")
    command.set_defaults(run=apply)
    command = commands.add_parser("modules", help=list_modules.__doc__)
    command.set_defaults(run=list_modules)
    command = commands.add_parser("series", help=write_series.__doc__)
    command.add_argument("--base", help="the base release instead of the default one", metavar="VERSION")
    command.add_argument("--out", help="where to write, ./series by default", metavar="FOLDER", default="series")
    command.add_argument("--check", help="try the patches on this clone of upstream and write nothing", metavar="CLONE")
    command.add_argument("--prove", action="store_true", help="compare with what is built and write nothing")
    command.set_defaults(run=write_series)
    return parser


if __name__ == "__main__":
    sys.exit(main())
