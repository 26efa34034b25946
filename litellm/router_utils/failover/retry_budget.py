"""
How many retries a model group may make beside its requests, so that in a brownout they do not multiply the load. Pure:
no router, no I/O; time is what the clock says that is passed in.

It is Finagle's budget (`RetryBudget`: a fifth of the requests of the last ten seconds, and a minimum beside it) with
the percentage and the minimum of Envoy's (`retry_budget`: `budget_percent` 20, `min_retry_concurrency` 3). Envoy counts
the retries under way; here those of ten seconds count. A provider in a brownout refuses within milliseconds: of such
retries three are hardly ever under way at once, and would be no limit.

A deployment is failing as in Hystrix: by more than half of its attempts, of 20 at the least. Fewer say too little, and
of requests that come together each has failed before it can be known of the others. They count for LiteLLM's minute,
unless its last three were answered: of one that fails 70 % that is so after one attempt in 37.
"""

from collections.abc import Callable, Collection
from typing import Final, NamedTuple, TypeVar

Kept = TypeVar("Kept")

PERCENT: Final = 20.0
MIN_RETRIES: Final = 3
WINDOW: Final = 10.0
"""Seconds for which requests and retries count."""
MOST_FAILED: Final = 0.5
FEWEST: Final = 20
MEMORY: Final = 60.0
"""Seconds for which what became of a deployment's attempts counts."""
WELL_AGAIN: Final = 3
"""Answers in a row after which a deployment is not failing, whatever was before."""
_SLOTS: Final = 10
_MOST_KEPT: Final = 1024  # of deployments and of groups, such as those that are no more


class RecentCount:
    """How often something has happened in the last `seconds`, to a tenth of them."""

    __slots__ = ("_slot", "_slots")

    def __init__(self, seconds: float) -> None:
        self._slot: Final = seconds / _SLOTS
        self._slots: Final = [(-_SLOTS, 0)] * _SLOTS  # the number of a slot of time, and how often in it

    def add(self, now: float) -> None:
        """It happens at `now`, in seconds."""
        number: Final = int(now / self._slot)
        known, count = self._slots[number % _SLOTS]
        self._slots[number % _SLOTS] = (number, count + 1 if known == number else 1)

    def total(self, now: float) -> int:
        """How often up to `now`, in seconds."""
        latest: Final = int(now / self._slot)
        return sum(count for number, count in self._slots if latest - _SLOTS < number <= latest)


class _Deployment:
    __slots__ = ("answered_in_a_row", "attempts", "ended", "failed")

    def __init__(self) -> None:
        self.attempts: Final = RecentCount(WINDOW)
        self.ended: Final = RecentCount(MEMORY)
        self.failed: Final = RecentCount(MEMORY)
        self.answered_in_a_row = 0


class _Group:
    __slots__ = ("denied", "drawn", "free")

    def __init__(self) -> None:
        self.drawn: Final = RecentCount(WINDOW)  # retries that the budget has paid for
        self.free: Final = RecentCount(WINDOW)  # those that it had not to
        self.denied: Final = RecentCount(WINDOW)


def _kept(known: dict[str, Kept], name: str, make: Callable[[], Kept]) -> Kept:
    """What is `known` by a name, made if there is none yet; the oldest makes way for it where there are too many."""
    found = known.get(name)
    if found is None:
        found = known[name] = make()
        if len(known) > _MOST_KEPT:
            del known[next(iter(known))]
    return found


class Members(NamedTuple):
    """The ids of a group's deployments, as one of its requests has found them: all of them, and those that are left: in
    rotation, or untried and to be asked, or just now asked and failed."""

    all: Collection[str]
    left: Collection[str] = ()


class Spent(NamedTuple):
    """How many more retries a group's budget pays for now, and how many it has denied in the last `WINDOW` seconds."""

    left: int
    denied: int


class RetryBudget:
    """The budgets of a router's model groups."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives the seconds since some moment and never goes back."""
        self._clock: Final = clock
        self._deployments: Final[dict[str, _Deployment]] = {}
        self._groups: Final[dict[str, _Group]] = {}

    def record(self, deployment_id: str, *, failed: bool) -> None:
        """An attempt at a deployment has come to an end; `failed` through a fault of the deployment's."""
        found: Final = _kept(self._deployments, deployment_id, _Deployment)
        now: Final = self._clock()
        found.attempts.add(now)
        found.ended.add(now)
        found.answered_in_a_row = 0 if failed else found.answered_in_a_row + 1
        if failed:
            found.failed.add(now)

    def is_failing(self, deployment_id: str) -> bool:
        """Whether most of a deployment's recent attempts have failed, the last ones among them."""
        found: Final = self._deployments.get(deployment_id)
        if found is None or found.answered_in_a_row >= WELL_AGAIN:
            return False
        ended: Final = found.ended.total(self._clock())
        return ended >= FEWEST and found.failed.total(self._clock()) > MOST_FAILED * ended

    def take(self, group: str, members: Members, percent: float = PERCENT) -> bool:
        """Whether a group may make one more retry, which from now on counts as made, or as denied. It is free while one
        of its deployments that is left is not failing: what fails now and then is no brownout.

        Args:
            group: What the budget is kept under.
            members: Of the group.
            percent: Of the group's requests in `WINDOW` seconds, that its retries may come to.
        """
        found: Final = _kept(self._groups, group, _Group)
        now: Final = self._clock()
        if any(not self.is_failing(one) for one in members.left):
            found.free.add(now)
            return True
        is_left: Final = found.drawn.total(now) + 1 <= self._limit(found, members.all, percent, now)
        (found.drawn if is_left else found.denied).add(now)
        return is_left

    def spent(self, group: str, deployment_ids: Collection[str], percent: float = PERCENT) -> Spent:
        """What has become of the budget of a group of these deployments."""
        found: Final = self._groups.get(group, _Group())
        now: Final = self._clock()
        limit: Final = int(self._limit(found, deployment_ids, percent, now))
        return Spent(max(0, limit - found.drawn.total(now)), found.denied.total(now))

    def _limit(self, group: _Group, deployment_ids: Collection[str], percent: float, now: float) -> float:
        known: Final = (self._deployments.get(one) for one in deployment_ids)
        attempts: Final = sum(one.attempts.total(now) for one in known if one is not None)
        requests: Final = attempts - group.drawn.total(now) - group.free.total(now)
        return max(MIN_RETRIES, percent / 100 * requests)
