"""What the benchmarks share: a worker in each interpreter they compare, their command line, progress and tables.

The interpreter decides which litellm is measured; the process that asks imports none.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import execnet
import psutil
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

SIDES = ("stock", "patched")
Row = Sequence[str]
Outcome = TypeVar("Outcome")

FOLDER = Path(__file__).resolve().parent
DEADLINE = 150.0
"""Seconds after which a worker that owes an answer is taken for dead; the slowest cell, measured twice, takes 60."""

LAST_WORDS = 60
"""Lines a dead worker is quoted with: enough for the stack of each thread."""

ENVIRONMENT = {
    "PYTHONPATH": "",  # it would put one litellm in front of both interpreters' own
    "PYTHONHASHSEED": "0",
    # The resolver's usual five seconds a name server, where none can be reached, would only measure the resolver.
    "RES_OPTIONS": "timeout:1 attempts:1",
}

IN_THE_WORKER = """
import faulthandler, importlib, os, sys
channel.send(os.getpid())
paths, module, words = channel.receive()
os.dup2(os.open(words, os.O_WRONLY | os.O_APPEND), 2)  # so that its last words can be quoted
faulthandler.enable()
sys.path[:0] = paths
answer = importlib.import_module(module).answerer()
for question in channel:
    channel.send(answer(question))
"""


class BenchmarkError(Exception):
    """The run cannot go on; the message says why and what to do."""


class Worker:
    """A process of `python` that answers questions one at a time, by what `answerer()` of `module` returns.

    `module` is one of `folder`, by default that of the benchmarks; questions and answers are what JSON could hold.
    """

    def __init__(self, python: str, module: str, folder: Path = FOLDER) -> None:
        self._python = python
        self._words: IO[str] = tempfile.NamedTemporaryFile("r")  # noqa: SIM115  it lives as long as the worker
        variables = "".join(f"//env:{name}={value}" for name, value in ENVIRONMENT.items())
        # In another folder, since the interpreter looks for modules where it starts.
        spec = f"popen//python={python}//chdir={tempfile.gettempdir()}{variables}"
        self._group = execnet.Group()
        self._channel = self._group.makegateway(spec).remote_exec(IN_THE_WORKER)
        self._process = psutil.Process(self._channel.receive(DEADLINE))
        self._channel.send(([str(folder), str(FOLDER.parent / "tests")], module, self._words.name))

    def ask(self, question: Any) -> Any:
        """The answer to `question`. Raises BenchmarkError when the process ends or takes longer than DEADLINE."""
        try:
            self._channel.send(question)
            return self._channel.receive(DEADLINE)
        except self._channel.RemoteError as error:
            reason = error.formatted.strip()
        except self._channel.TimeoutError:
            self._process.send_signal(signal.SIGABRT)  # not killed: so it can say where each of its threads stood
            reason = f"no answer within {DEADLINE:.0f} s, {self._end()}"
        except (EOFError, OSError):
            reason = self._end()
        words = "\n".join((reason, *self._words.read().strip().splitlines()[-LAST_WORDS:]))
        raise BenchmarkError(f"{self._python} failed while it measured {question}: {words}")

    def _end(self) -> str:
        return f"it ended with code {self._process.wait()}"

    def kill(self) -> None:
        """End the process; a question it has not answered fails."""
        with suppress(psutil.NoSuchProcess):
            self._process.kill()

    def close(self) -> None:
        """End the process and close what led to it; nobody may be asking any more."""
        self.kill()
        self._group.terminate(timeout=1.0)
        self._words.close()


def asked_together(
    pythons: Mapping[str, str], module: str, questions: Sequence[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Ask a worker on each side the same, one question after the other; yields the answers by side.

    Raises BenchmarkError as soon as a worker does.
    """
    with ExitStack() as stack:
        workers = {side: stack.enter_context(closing(Worker(python, module))) for side, python in pythons.items()}
        with ThreadPoolExecutor(len(workers)) as pool:
            try:
                for question in questions:
                    asked = {side: pool.submit(worker.ask, question) for side, worker in workers.items()}
                    yield {side: answer.result() for side, answer in asked.items()}
            finally:
                for worker in workers.values():
                    worker.kill()  # so that the pool need not wait for an answer


@dataclass(frozen=True)
class Benchmark(Generic[Outcome]):
    """A comparison of stock and patched LiteLLM, by what `main` needs of it.

    Attributes:
        name: Of the module, and of `nox -s bench -- NAME`.
        about: What it measures, for `--help`.
        add_arguments: Adds the arguments of its own.
        steps: How many outcomes a run yields, given the arguments.
        run: Measures, given the two interpreters by side and the arguments; raises BenchmarkError.
        explain: What a reader needs to know before the table, given the arguments.
        columns, rows: The table, stock → patched in each column.
        remarks: What the table has no column for.
        sentence: The run in one sentence.
        report: Everything measured, for `--json`.
        failed: Whether the patched side is worse than stock, or than it promises.
    """

    name: str
    about: str | None
    add_arguments: Callable[[argparse.ArgumentParser], None]
    steps: Callable[[argparse.Namespace], int]
    run: Callable[[Mapping[str, str], argparse.Namespace], Iterator[Outcome]]
    explain: Callable[[argparse.Namespace], str]
    columns: Row
    rows: Callable[[Sequence[Outcome]], Sequence[Row]]
    remarks: Callable[[Sequence[Outcome]], Sequence[str]]
    sentence: Callable[[Sequence[Outcome]], str]
    report: Callable[[Sequence[Outcome]], dict[str, Any]]
    failed: Callable[[Sequence[Outcome]], bool]


def main(benchmark: Benchmark[Any], arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when all is as promised, 1 when it is not, 2 when nothing could be measured."""
    options = _parser(benchmark).parse_args(arguments)
    pythons = dict(zip(SIDES, (options.stock, options.patched), strict=True))
    try:
        versions = {side: version(python) for side, python in pythons.items()}
        outcomes = list(_shown(benchmark.run(pythons, options), benchmark.steps(options)))
    except BenchmarkError as error:
        print(f"{benchmark.name}: {error}", file=sys.stderr)
        return 2
    if options.json is not None:
        measured = {"versions": versions, "summary": benchmark.sentence(outcomes), **benchmark.report(outcomes)}
        options.json.write_text(json.dumps(measured, indent=1) + "\n")
    print("litellm {stock} (stock) → {patched} (patched)".format(**versions))
    print(benchmark.explain(options))
    print(table(benchmark.columns, benchmark.rows(outcomes)))
    for remark in benchmark.remarks(outcomes):
        print(f"- {remark}")
    print(f"\n{benchmark.sentence(outcomes)}")
    return int(benchmark.failed(outcomes))


def concluded(said: str, wrong: Sequence[str]) -> str:
    """The sentence that ends a run: what is `wrong` with the patched side, if anything, and what was measured, which is
    `said` in a clause."""
    return f"The patched LiteLLM is wrong: {'; '.join(wrong)}; {said}." if wrong else f"{said[0].upper()}{said[1:]}."


def table(columns: Row, rows: Sequence[Row]) -> str:
    """A table as text, as wide as its widest row."""
    drawn = Table(*columns, box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for row in rows:
        drawn.add_row(*map(Text, row))
    console = Console(width=sum(max(map(len, column)) + 3 for column in zip(columns, *rows, strict=True)))
    with console.capture() as printed:
        console.print(drawn)
    return "\n".join(line.rstrip() for line in printed.get().splitlines()) + "\n"


def version(python: str) -> str:
    """The litellm release `python` imports. Raises BenchmarkError where there is none."""
    command = [python, "-c", "from importlib.metadata import version; print(version('litellm'))"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ENVIRONMENT})
    except OSError as error:
        raise BenchmarkError(f"cannot start {python}: {error.strerror}; name a Python interpreter") from error
    if answer.returncode:
        raise BenchmarkError(f"{python} has no litellm; install one there or name another interpreter")
    return answer.stdout.strip()


def positive(text: str) -> int:
    """An argument that counts something."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)


def writable(text: str) -> Path:
    """An argument that names a file to write; refused before the run rather than after it when it cannot be written."""
    path = Path(text)
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} cannot be written; name a file in an existing folder")
    return path


def _shown(outcomes: Iterator[Outcome], steps: int) -> Iterator[Outcome]:
    errors = Console(stderr=True)
    yield from track(outcomes, total=steps, console=errors, transient=True, disable=not errors.is_terminal)


def _parser(benchmark: Benchmark[Any]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        benchmark.name, description=benchmark.about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for side in SIDES:
        parser.add_argument(f"--{side}", required=True, metavar="PYTHON", help=f"interpreter with {side} litellm")
    parser.add_argument("--json", metavar="FILE", type=writable, help="write everything measured to FILE")
    benchmark.add_arguments(parser)
    return parser
