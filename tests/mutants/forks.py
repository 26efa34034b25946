"""Imports LiteLLM as far as one module of ours, and splits off a process there for each mutant, which runs tests on it.

`run.py` starts this and talks to it in JSON lines. Importing LiteLLM takes seconds; no mutant waits for what comes
before its module, and nothing is written to the installed package.
"""

from __future__ import annotations

import gc
import importlib
import json
import math
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.metadata import entry_points
from types import CodeType, ModuleType
from typing import Any

import pytest


class Fork(MetaPathFinder):
    """Comes into play when Python looks for `module`, the dotted name of a module that nothing has imported yet."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.request: dict[str, Any] = {}

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Returns, for `module`, in a new process for every request, and never in this one."""
        if name != self.module:
            return None
        self.request = _request_in_a_new_process()
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(name)
        spec.loader = _Changed(name, spec.origin, self.request["source"])
        return spec


class _Changed(SourceFileLoader):
    """Loads a module with another text than its file's."""

    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self.source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, self.path, "exec", dont_inherit=True)


def _request_in_a_new_process() -> dict[str, Any]:
    """Answers each request on standard input with what the process split off for it says: null if its tests pass."""
    gc.freeze()  # of what is here already nothing ever becomes garbage
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        with tempfile.TemporaryFile("w+", errors="replace") as words:
            child = os.fork()
            if child == 0:
                signal.alarm(math.ceil(request["seconds"]))  # ends the process
                os.dup2(words.fileno(), 1)
                os.dup2(words.fileno(), 2)
                return request
            _, status = os.waitpid(child, 0)
            words.seek(0)
            print(json.dumps(None if status == 0 else f"{words.read()}\nended with {status}"), flush=True)
    os._exit(0)


def main() -> None:
    """The only argument is the dotted name of the module."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    for name in ("hypothesis", *(plugin.module for plugin in entry_points(group="pytest11"))):
        importlib.import_module(name)
    gc.disable()  # collecting after every few thousand new objects would make up a third of an import
    fork = Fork(sys.argv[1])
    sys.meta_path.insert(0, fork)
    code: int = pytest.ExitCode.INTERNAL_ERROR
    try:
        importlib.import_module(fork.module)
        gc.enable()
        # pytest-timeout's alarm would take the place of the process's own.
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--timeout=0", *fork.request["arguments"]])
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
