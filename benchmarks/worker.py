"""A worker process of one interpreter: JSON lines in, JSON lines out; how both benchmarks measure stock and patched.

The interpreter decides which litellm is measured; the process that asks imports none.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

DEADLINE = 150.0
"""Seconds after which a worker that owes an answer is taken for dead; the slowest cell, measured twice, takes 60."""


LAST_WORDS = 60
"""Lines a dead worker is quoted with: enough for the stack of each thread."""


class BenchmarkError(Exception):
    """The run cannot go on; the message says why and what to do."""


class Worker:
    """`script` run by `python`, answering one question at a time."""

    def __init__(self, python: str, script: Path) -> None:
        self._python = python
        self._words = tempfile.TemporaryFile("w+")  # noqa: SIM115  it lives as long as the worker
        self._process = subprocess.Popen(
            [python, "-X", "faulthandler", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            text=True,
            env=isolated(),
        )

    def ask(self, question: dict[str, Any]) -> Any:
        """The answer to `question`. Raises BenchmarkError when the process ends or takes longer than DEADLINE."""
        # Aborted, not killed: so it can say where each of its threads stood.
        timer = threading.Timer(DEADLINE, self._process.send_signal, (signal.SIGABRT,))
        timer.start()
        try:
            stdin, stdout = _pipes(self._process)
            print(json.dumps(question), file=stdin, flush=True)
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            words = self._last_words()
            raise BenchmarkError(
                f"{self._python} ended with code {self._process.returncode} while it measured {question}: {words}"
            )
        return json.loads(line)

    def _last_words(self) -> str:
        self._process.wait()
        self._words.seek(0)
        return "\n".join(self._words.read().strip().splitlines()[-LAST_WORDS:]) or "it said nothing"

    def kill(self) -> None:
        """End the process; a question it has not answered fails."""
        self._process.kill()

    def close(self) -> None:
        """End the process and close what led to it; nobody may be asking any more."""
        self.kill()
        self._process.wait()
        for stream in (*_pipes(self._process), self._words):
            stream.close()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def isolated() -> dict[str, str]:
    """The environment of a worker."""
    # A PYTHONPATH would put one litellm in front of both interpreters' own. The resolver's usual five seconds a name
    # server, where there is none to be reached, would only measure the resolver.
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {**kept, "RES_OPTIONS": "timeout:1 attempts:1", "PYTHONHASHSEED": "0"}


def version(python: str) -> str:
    """The litellm release `python` imports. Raises BenchmarkError where there is none."""
    command = [python, "-c", "from importlib.metadata import version; print(version('litellm'))"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, env=isolated())
    except OSError as error:
        raise BenchmarkError(f"cannot start {python}: {error.strerror}; name a Python interpreter") from error
    if answer.returncode:
        raise BenchmarkError(f"{python} has no litellm; install one there or name another interpreter")
    return answer.stdout.strip()


def json_file(text: str) -> Path:
    """An argument of `--json`; refused before the run rather than after it when it cannot be written."""
    path = Path(text)
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} cannot be written; name a file in an existing folder")
    return path


def positive(text: str) -> int:
    """An argument that counts something."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)
