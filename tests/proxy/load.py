"""Callers that keep asking a proxy while something happens to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from proxy.routes import comes_true

BUSY = 120.0
"""Seconds a busy machine has for some requests of each of many callers."""


@contextmanager
def load(callers: int, outcome_for: Callable[[int], str]) -> Iterator[list[str]]:
    """Callers that ask without a pause; `outcome_for` asks once for the caller of that number and says what became of
    it. What it raises is raised at the end."""
    outcomes: list[str] = []
    enough = threading.Event()

    def keep_asking(number: int) -> None:
        while not enough.is_set():
            outcomes.append(outcome_for(number))

    with ThreadPoolExecutor(callers) as pool:
        futures = [pool.submit(keep_asking, number) for number in range(callers)]
        try:
            yield outcomes
        finally:
            enough.set()
    for future in futures:
        future.result()


def grows(number: Callable[[], int], by: int) -> bool:
    """Whether it does, before patience ends."""
    enough = number() + by
    return comes_true(lambda: number() >= enough, BUSY)
