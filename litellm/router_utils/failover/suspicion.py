"""
Which deployments let a request wait longer than they ever have lately: a choice avoids them before the first timeout,
as balancers by peak EWMA do. Pure: no router, no I/O; a time is what the caller says.
"""

from collections import deque
from typing import Final

PATIENCE: Final = 2.0
"""By what factor a wait exceeds the longest one lately."""
SHORTEST_WAIT: Final = 1.0
"""Seconds before which nothing is suspicious."""
HISTORY: Final = 32
"""How many of the latest answers count; the slowest of a heavy-tailed provider's is far out on the tail."""
FEWEST: Final = 5
"""Answers without which nothing is known of a deployment."""
MOST_UNPROVEN: Final = 2
"""Requests that are under way at a deployment that has never answered, before others are asked."""


class ResponseTimes:
    """What one deployment's requests wait for. `waiting` are those sent since its latest answer, by a key of each."""

    __slots__ = ("_lately", "has_answered", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[object, float] = {}  # in the order they were sent
        self.has_answered = False
        self._lately: Final = deque[float](maxlen=HISTORY)

    def send(self, key: object, now: float) -> None:
        """A request is sent."""
        self.waiting[key] = now

    def forget(self, key: object) -> bool:
        """A request has come to an end without an answer. Whether nobody was answered since it was sent."""
        return self.waiting.pop(key, None) is not None

    def answer(self, seconds: float | None) -> None:
        """The deployment has answered, after so many seconds or, None, with a failure that says nothing of its speed:
        whoever waits has not been waiting for a silent one."""
        self.waiting.clear()
        self.has_answered = True
        if seconds is not None:
            self._lately.append(seconds)

    @property
    def longest(self) -> float | None:
        """The seconds that a wait may be before it is suspicious, None if nothing is known."""
        return max(SHORTEST_WAIT, PATIENCE * max(self._lately)) if len(self._lately) >= FEWEST else None

    def is_suspected(self, now: float) -> bool:
        """Whether a request has been waiting for longer than is usual, and nobody was answered since it was sent; or,
        of a deployment that has never answered, whether enough are waiting to find out whether it does."""
        if not self.waiting:
            return False
        if not self.has_answered:
            return len(self.waiting) >= MOST_UNPROVEN
        longest: Final = self.longest
        return longest is not None and now - next(iter(self.waiting.values())) > longest
