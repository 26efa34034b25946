"""`python -m fork`: what the nox sessions `vendor`, `base` and `upstream` run where a release is installed.

Run it in the repository's root. A mistake ends in one sentence and exit code 2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fork import ForkError, base, tree
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
    """Lay the patched source into litellm/, or only show what the patches change."""
    found = base.find(base_version(root, {"base": options.base} if options.base else None), root)
    if options.diff:
        return tree.diff(found, root).rstrip("\n")
    return f"laid {tree.lay(found, root)} files of LiteLLM {found.version}, patched, into litellm/"


def add_base(options: argparse.Namespace, root: Path) -> str:
    """Enter the LiteLLM release installed here into fork/bases.toml."""
    return f"fork/bases.toml: LiteLLM {options.version} has the digest {base.add(options.version, root)}"


def apply(options: argparse.Namespace, root: Path) -> str:
    """Say whether the patches apply to the LiteLLM release installed here, supported or not."""
    changed = tree.changed_files(base.installed(options.version), root)
    return f"the patches change {len(changed)} modules of LiteLLM {options.version}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fork", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser("vendor", help=vendor.__doc__)
    command.add_argument("--base", help="the base release instead of the default one", metavar="VERSION")
    command.add_argument("--diff", action="store_true", help="print a unified diff and write nothing")
    command.set_defaults(run=vendor)
    command = commands.add_parser("base", help=add_base.__doc__)
    command.add_argument("version", help="the release, which must be the one installed")
    command.set_defaults(run=add_base)
    command = commands.add_parser("apply", help=apply.__doc__)
    command.add_argument("version", help="the release, which must be the one installed")
    command.set_defaults(run=apply)
    return parser


if __name__ == "__main__":
    sys.exit(main())
