"""The command `litellm-drill run`: reads, drills, and tells."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from litellm_drill.config import Config
from litellm_drill.document import ConfigError, load
from litellm_drill.drill import drill
from litellm_drill.drill_report import as_json, show, write_junit
from litellm_drill.finding import Finding, Subject, findings
from litellm_drill.models import Models
from litellm_drill.outcome import Report
from litellm_drill.page import page
from litellm_drill.plan import MANY, Plan, planned
from litellm_drill.release import Release, installed
from litellm_drill.rules import RULES

SURVIVES, LOST, IMPOSSIBLE, STOPPED = 0, 1, 2, 130
ASK_RELEASE = "from importlib.metadata import version; print(version('litellm'))"


@dataclass(frozen=True)
class Request:
    """What the command was asked for."""

    config: Path
    as_json: bool = False
    junit: Path | None = None
    html: Path | None = None
    stock: str | None = None
    sample: int | None = None


def run_drill(request: Request) -> int:
    """Drill as `request` says and print what came of it. Returns the exit code."""
    try:
        release = installed()
        config = Config(load(request.config))
        plan = planned(config, release, request.sample)
        _check_size(plan)
        if request.junit is not None:
            import junitparser  # noqa: F401  # so that it is missed before the drill, not after
        report, other, missed = asyncio.run(_drilled(plan, request.stock))
    except ConfigError as error:
        print(f"litellm-drill: {error}", file=sys.stderr)
        return IMPOSSIBLE
    except ModuleNotFoundError as error:
        print(f"litellm-drill: {error.name} is missing: pip install {error.name}", file=sys.stderr)
        return IMPOSSIBLE
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("litellm-drill: stopped; nothing of it is left running.", file=sys.stderr)
        return STOPPED
    try:
        _tell(request, report, other, _found(config, release))
    except OSError as error:
        print(f"litellm-drill: {error.filename}: cannot be written: {error.strerror}.", file=sys.stderr)
        return IMPOSSIBLE
    if missed:
        print(f"litellm-drill: {missed}", file=sys.stderr)
        return IMPOSSIBLE
    if report.lost():
        return LOST
    return SURVIVES if report.groups and not report.unwell else IMPOSSIBLE


def _check_size(plan: Plan) -> None:
    if len(plan.scenarios) > MANY:
        raise ConfigError(
            f"{len(plan.scenarios)} faults to drill in {len(plan.groups)} groups, which takes long: "
            "name how many groups to drill with --sample, such as --sample 10."
        )


def _found(config: Config, release: Release) -> list[Finding]:
    return findings(Subject(config, release, Models(release), os.environ.__contains__), RULES)


async def _drilled(plan: Plan, stock: str | None) -> tuple[Report, Report | None, str]:
    """What this LiteLLM does, and that of the interpreter `stock`, one after the other; why the latter was not drilled,
    empty if it was. Raises ConfigError if this one was not."""
    _end_on_signal()
    releases = {python: _release(python) for python in filter(None, (sys.executable, stock))}
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
    with progress if console.is_terminal else nullcontext():
        reports: list[Report] = []
        for python, release in releases.items():
            task = progress.add_task(f"LiteLLM {release}", total=len(plan.scenarios))
            try:
                reports.append(await drill(plan, python, release, partial(progress.advance, task)))
            except ConfigError as error:
                if not reports:
                    raise
                return reports[0], None, f"LiteLLM {release} of {python} is not drilled: {error}"
    return reports[0], reports[-1] if stock else None, ""


def _end_on_signal() -> None:
    """End as on Ctrl-C when a supervisor says so."""
    task = asyncio.current_task()
    if task is not None and sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _release(python: str) -> str:
    """The version of the LiteLLM that belongs to the interpreter. Raises ConfigError if there is none."""
    try:
        asked = subprocess.run([python, "-c", ASK_RELEASE], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        raise ConfigError(f"{python} is no Python with LiteLLM: name the interpreter of its environment.") from None
    return asked.stdout.strip()


def _tell(request: Request, report: Report, other: Report | None, found: list[Finding]) -> None:
    if request.as_json:
        print(as_json(report, other, found))
    else:
        show(Console(), report, other)
    if request.junit is not None:
        write_junit(request.junit, report)
    if request.html is not None:
        request.html.write_text(page(report, other, found), "utf-8")
