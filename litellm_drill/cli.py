"""The command `litellm-drill`.

Exit code of `check`: 0 without a finding, 1 with one, 2 where a config cannot be read or an option is wrong.
Of `run`: 0 where each group survives the loss of one deployment, 1 where one does not, 2 where nothing is drilled.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from litellm_drill.finding import Finding, Rule

FORMAT_NAMES = ("text", "json", "sarif")
FOUND, UNREADABLE = 1, 2
NEEDED = {"ruamel": "ruamel.yaml"}
"""The names by which packages are installed, where they are imported by another."""


@click.group()
def main() -> None:
    """See what a gateway's config.yaml does in an outage, before the night does."""


@main.command()
@click.argument("config", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMAT_NAMES), default="text", show_default=True)
@click.option("--select", multiple=True, metavar="RULE[,RULE]", help="Only these rules.")
@click.option("--ignore", multiple=True, metavar="RULE[,RULE]", help="Not these rules.")
@click.pass_context
def check(
    context: click.Context, config: Sequence[Path], form: str, select: Sequence[str], ignore: Sequence[str]
) -> None:
    """Look for what makes CONFIG fail where it need not. Nothing is started, asked or sent."""
    try:
        from litellm_drill.report import FORMATS
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("ruamel"):
            raise
        click.echo("litellm-drill: ruamel.yaml is missing, which reads the config: pip install ruamel.yaml", err=True)
        context.exit(UNREADABLE)
    rules = _chosen(select, ignore)
    found, faults = _check_all(config, rules)
    if found or not faults or form != "text":  # a program that reads the others wants a whole document
        click.echo(FORMATS[form](found, rules))
    for fault in faults:
        click.echo(f"litellm-drill: {fault}", err=True)
    context.exit(UNREADABLE if faults else FOUND if found else 0)


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit's XML as well.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page as well.")
@click.option("--stock", metavar="PYTHON", help="Drill the LiteLLM of this interpreter too, and show it beside.")
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Drill only N groups, and less of each.")
@click.pass_context
def run(
    context: click.Context,
    config: Path,
    as_json: bool,
    junit: Path | None,
    html: Path | None,
    stock: str | None,
    sample: int | None,
) -> None:
    """Break each deployment of a copy of CONFIG in every way, and ask the real proxy meanwhile. Only loopback is
    reached: hosts, keys, databases and sinks are replaced."""
    try:
        from litellm_drill.run_command import Request, run_drill
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        click.echo(f"litellm-drill: {package} is missing: pip install {NEEDED.get(package, package)}", err=True)
        context.exit(UNREADABLE)
    context.exit(run_drill(Request(config, as_json, junit, html, stock, sample)))


def _chosen(select: Sequence[str], ignore: Sequence[str]) -> list[Rule]:
    """The rules that the options leave. Raises BadParameter for a name that is no rule's."""
    from litellm_drill.rules import RULES

    ids = [rule.id for rule in RULES]
    selected, ignored = _named("--select", select, ids), _named("--ignore", ignore, ids)
    return [rule for rule in RULES if (not selected or rule.id in selected) and rule.id not in ignored]


def _named(option: str, given: Sequence[str], ids: Sequence[str]) -> set[str]:
    names = {name.strip() for part in given for name in part.split(",") if name.strip()}
    unknown = sorted(names.difference(ids))
    if unknown:
        known = f"the rules are {', '.join(ids)}"
        raise click.BadParameter(f"there is no rule {', '.join(unknown)}; {known}", param_hint=option)
    return names


def _check_all(paths: Sequence[Path], rules: Sequence[Rule]) -> tuple[list[Finding], list[str]]:
    """What `rules` find in the files at `paths`, and a sentence for each that cannot be read."""
    from litellm_drill.config import Config
    from litellm_drill.document import ConfigError, load
    from litellm_drill.finding import Subject, findings
    from litellm_drill.models import Models
    from litellm_drill.release import installed

    found: list[Finding] = []
    faults: list[str] = []
    try:
        release = installed()
    except ConfigError as error:
        return [], [str(error)]
    for path in paths:
        try:
            subject = Subject(Config(load(path)), release, Models(release), os.environ.__contains__)
            found += findings(subject, rules)
        except ConfigError as error:
            faults.append(str(error))
    return found, faults
