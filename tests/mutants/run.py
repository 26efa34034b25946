"""Changes our modules in one place at a time and runs the tests: `nox -s mutants`, or `-- MODULE` for one module.

Cosmic Ray makes the changes, all but parts left out, which it does not know. Needs a system that can fork.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import queue
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from rich.console import Console
from rich.progress import track

from mutants.mutation import (
    TESTS,
    Mutant,
    Verdict,
    by_name,
    distinct,
    explanations,
    killers,
    path_in_wheel,
    without_one_part,
)

sys.path.append(str(TESTS.parent))  # for `fork`; last, as a vendored litellm/ must not hide the installed one
from fork.patches import files_for_others, load
from fork.tree import own_modules, shipped_files

FORKS = Path(__file__).with_name("forks.py")
LONG = 600.0
"""Seconds the tests may take without a mutant."""

NEWS = Console(stderr=True, highlight=False)
"""Where progress is shown, and what becomes of a mutant that behaves other than it is known to."""

PATIENCE = 5
"""With one, they hang if they take so many times longer."""


class Testbed:
    """Processes that run tests on changed texts of `module`, as many at a time as there are."""

    def __init__(self, module: str, processes: int) -> None:
        self._stack = ExitStack()
        self._idle: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        command = [sys.executable, str(FORKS), path_in_wheel(module).replace("/", ".")]
        for _ in range(processes):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self._idle.put(self._stack.enter_context(process))
            self._stack.callback(process.kill)

    def __enter__(self) -> Testbed:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def failure(self, source: str, tests: Sequence[str], seconds: float) -> str | None:
        """What pytest says of `tests` where `source` is the module's text; None if all pass, within `seconds`."""
        arguments = ["--hypothesis-profile=no-shrinking", *(str(TESTS / name) for name in tests)]
        request = {"source": source, "arguments": arguments, "seconds": seconds}
        process = self._idle.get()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            print(json.dumps(request), file=process.stdin, flush=True)
            answer: str | None = json.loads(process.stdout.readline())
        finally:
            self._idle.put(process)
        return answer


def changed(source: str) -> Iterator[str]:
    """What a module of text `source` becomes by any one change."""
    yield from without_one_part(source)
    for name in operator_names():
        operator = get_operator(name)
        if not operator.arguments() and _is_a_mistake(name):
            texts = (mutate_code(source, operator(), occurrence) for occurrence in itertools.count())
            yield from itertools.takewhile(lambda text: text is not None, texts)


def _is_a_mistake(operator: str) -> bool:
    """Nobody writes `<` for `is`, `==` for it makes no difference to an enum or None, and `|` joins types here."""
    kind, _, change = operator.rpartition("Operator_")
    return not change.startswith("BitOr") and len({name.startswith("Is") for name in change.split("_")}) == 1


def put_to_the_test(module: str, processes: int, absent: Collection[str]) -> Verdict:
    """Which mutants of `module` no test notices, without those `absent`; progress and news of them on standard
    error."""
    source = _installed(module)
    mutants = distinct(source, changed(source))
    known = explanations(module)
    explained = {explanation.mutant for explanation in known}
    with Testbed(module, processes) as testbed, ThreadPoolExecutor(processes) as pool:
        stages = [(tests, _time_limit(testbed, source, tests)) for tests in killers(module).without(absent).stages]

        def survives(mutant: Mutant) -> bool:
            failures = (testbed.failure(mutant.source, tests, seconds) for tests, seconds in stages)
            failure = next(filter(None, failures), None)
            if failure is None and mutant not in explained:
                NEWS.print(f"survives: {mutant}", markup=False)
            elif failure is not None and mutant in explained:
                NEWS.print(f"does not survive: {mutant}\n{failure}", markup=False)
            return failure is None

        answers = track(pool.map(survives, mutants), module, len(mutants), console=NEWS)
        survivors = [mutant for mutant, survived in zip(mutants, answers, strict=True) if survived]
    return Verdict(len(mutants), survivors, known)


def _installed(module: str) -> str:
    """The text of `module` in the installed package."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("litellm is not installed")
    return Path(spec.submodule_search_locations[0]).parent.joinpath(f"{path_in_wheel(module)}.py").read_text("utf-8")


def _time_limit(testbed: Testbed, source: str, tests: Sequence[str]) -> float:
    """Seconds after which `tests` hang, which must pass as things are and be able to tell a broken module from ours."""
    started = time.monotonic()
    if failure := testbed.failure(source, tests, LONG):
        raise SystemExit(f"{failure}\nThese tests fail without any mutant.")
    took = time.monotonic() - started
    if not testbed.failure("raise ImportError", tests, LONG):
        raise SystemExit(f"{' '.join(tests)} pass without the module.")
    return took * PATIENCE


def main() -> int:
    """1 where a mutant survives without an explanation, or an explanation without a mutant."""
    modules = by_name(own_modules(TESTS.parent))
    base = version("litellm").partition("+")[0]
    in_use = list(by_name(shipped_files(base, TESTS.parent)))
    absent = files_for_others(load(TESTS.parent / "patches"), base)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", nargs="*", default=in_use, help=f"of {', '.join(modules)}; leave out for all")
    parser.add_argument("--processes", type=int, default=2, help="tests run at a time")
    parser.add_argument("--base", help="the release to do it on, which nox has installed; the default one if left out")
    arguments = parser.parse_args()
    if unknown := set(arguments.module) - set(modules):
        parser.error(f"no module of ours: {', '.join(sorted(unknown))}")
    if idle := set(arguments.module) - set(in_use):
        parser.error(f"this release does not use {', '.join(sorted(idle))}: name another one with --base")
    failed = False
    for name in arguments.module:
        verdict = put_to_the_test(modules[name], arguments.processes, absent)
        print(f"{name}: {verdict}", *verdict.complaints(), sep="\n", flush=True)
        failed |= bool(verdict.complaints())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
