"""Runs `litellm-drill check` as its caller does, and reads what a seeded config says should be found."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

from click.testing import CliRunner, Result

from litellm_drill.cli import main

FOLDER = Path(__file__).parent
REFERENCE = re.compile(r"os\.environ/(\w+)")
UNSET = "UNSET_"
"""How the names of variables begin that no test sets."""

SEED = re.compile(r"# finds: (?P<always>[a-z, -]*?)(?:, before (?P<release>[\d.]+) (?P<older>[a-z-]+))?$")


def run(*arguments: str | Path, variables: Iterable[str] = ()) -> Result:
    """What the command says and its exit code, where only `variables` of the environment are set."""
    with patch.dict("os.environ", dict.fromkeys(variables, "x"), clear=True):
        return CliRunner(catch_exceptions=False).invoke(main, ["check", *map(str, arguments)])


def found(path: Path, *options: str) -> set[tuple[int, str]]:
    """Line and rule of each finding in the file at `path`; all variables it refers to are set, but for UNSET ones."""
    names = {name for name in REFERENCE.findall(path.read_text("utf-8")) if not name.startswith(UNSET)}
    result = run("--format", "json", *options, path, variables=names)
    assert result.exit_code in (0, 1), result.output
    rows = json.loads(result.stdout)
    assert result.exit_code == bool(rows)
    return {(row["line"], row["rule"]) for row in rows}


def seeded(path: Path, release: tuple[int, ...]) -> set[tuple[int, str]]:
    """Line and rule of each defect that the comments of the file at `path` say it has, for a LiteLLM `release`."""
    defects: set[tuple[int, str]] = set()
    for line, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        seed = SEED.search(text)
        if seed is None:
            continue
        defects |= {(line, rule.strip()) for rule in seed["always"].split(",")}
        if seed["older"] and release < tuple(map(int, seed["release"].split("."))):
            defects.add((line, seed["older"]))
    return defects


def written(folder: Path, text: str, name: str = "config.yaml") -> Path:
    """A file of `text` in `folder`."""
    path = folder / name
    path.write_text(text, "utf-8")
    return path
