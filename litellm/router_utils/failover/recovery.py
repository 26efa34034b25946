"""
When a deployment that was taken out of rotation is asked again: one request finds out whether it is well, the others
keep away until it has. Pure: no router, no I/O; time is what the clock says that is passed in.

The states are those of a circuit breaker: in rotation (closed), ejected until a time (open), and from then on
half-open, where one probe is under way at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

JITTER: Final = 0.1
"""The part by which an ejection that has grown is shorter or longer, so that probes of many routers do not coincide."""

_MOST_ABANDONED: Final = 2


class Phase(IntEnum):
    """Where a deployment stands; of two the one with the lower number is the better choice."""

    IN_ROTATION = 0
    HALF_OPEN = 1  # a probe may begin
    PROBING = 2  # one is under way
    EJECTED = 3


class Event(Enum):
    """What befalls a deployment, for who counts it."""

    EJECTED = "it is taken out of rotation, or out of it again"
    PROBED = "a request begins that finds out whether it is well"
    DENIED = "it fails a request that is not tried again, since its group's retry budget is spent"


@dataclass(slots=True)
class _Ejection:
    """Why a deployment is not in rotation. Times are the clock's, in seconds."""

    ends: float
    base: float  # seconds that it would last at the beginning of a row
    streak: int  # ejections in a row
    is_silent: bool  # it let a request wait, so that no caller is to find out whether it is well
    probe_began: float | None = None  # the latest one, also if it has been lost since
    probe_ends: float | None = None  # when the probe under way counts as lost
    abandoned: int = 0  # callers who have not waited for the answer to their probe, in a row


class Recovery:
    """The deployments of a router that are not in rotation, by their ids."""

    def __init__(
        self,
        clock: Callable[[], float],
        random: Callable[[], float],
        longest: float,
        tell: Callable[[Event, str], None] = lambda event, deployment_id: None,
    ) -> None:
        """
        Args:
            clock: The seconds since some moment; never goes back.
            random: A number between 0 and 1, another one each time.
            longest: Seconds to which an ejection grows at the most. One whose base is longer lasts as long as that.
            tell: Is told of each event and the deployment that it is about.
        """
        self._clock: Final = clock
        self._random: Final = random
        self._tell: Final = tell
        self.longest = longest
        self.ejected: Final[dict[str, _Ejection]] = {}  # those that are not in rotation

    def phase(self, deployment_id: str) -> Phase:
        """Where a deployment stands. A probe that has taken too long has failed when its time was over."""
        ejection: Final = self.ejected.get(deployment_id)
        if ejection is None:
            return Phase.IN_ROTATION
        now: Final = self._clock()
        if ejection.probe_ends is not None and now >= ejection.probe_ends:
            self._eject_again(deployment_id, ejection.base, ejection.probe_ends)
        if now < ejection.ends:
            return Phase.EJECTED
        return Phase.HALF_OPEN if ejection.probe_ends is None else Phase.PROBING

    def is_silent(self, deployment_id: str) -> bool:
        """Whether a deployment that is not in rotation had let a request wait."""
        ejection: Final = self.ejected.get(deployment_id)
        return ejection is not None and ejection.is_silent

    def seconds_left(self, deployment_id: str) -> float:
        """How long the ejection in force goes on, 0 without one."""
        ejection: Final = self.ejected.get(deployment_id)
        return 0.0 if self.phase(deployment_id) is not Phase.EJECTED or ejection is None else self._left(ejection)

    def streak(self, deployment_id: str) -> int:
        """How often in a row a deployment has been ejected."""
        ejection: Final = self.ejected.get(deployment_id)
        return 0 if ejection is None else ejection.streak

    def eject(self, deployment_id: str, base: float, *, is_silent: bool = False) -> float:
        """Take a deployment that has failed out of rotation; returns the seconds until it may be probed. One more
        failure of a deployment that is ejected already, such as of a request that was under way, makes that no longer
        than `base` from now; the failure of a half-open one, be it of its probe or not, twice as long as the last.

        Args:
            base: Seconds of a first ejection: the cooldown's.
            is_silent: Whether the request got no answer at all.
        """
        now: Final = self._clock()
        phase: Final = self.phase(deployment_id)
        ejection: Final = self.ejected.get(deployment_id)
        if ejection is None:
            self.ejected[deployment_id] = _Ejection(now + base, base, 1, is_silent)
            self._tell(Event.EJECTED, deployment_id)
            return base
        ejection.is_silent = is_silent or (ejection.is_silent and phase is Phase.EJECTED)
        if phase is Phase.EJECTED:
            if now + base > ejection.ends:
                ejection.ends, ejection.base = now + base, base
        else:
            self._eject_again(deployment_id, base, now)
        ejection.probe_began = None
        ejection.abandoned = 0
        return self._left(ejection)

    def adopt(self, deployment_id: str, base: float, left: float) -> None:
        """Another process has taken a deployment out of rotation, for `base` seconds of which so many are left."""
        phase: Final = self.phase(deployment_id)
        if phase in (Phase.IN_ROTATION, Phase.HALF_OPEN) and left > 0:
            streak: Final = max(1, self.streak(deployment_id))
            self.ejected[deployment_id] = _Ejection(self._clock() + left, base, streak, is_silent=False)

    def fail(self, deployment_id: str, begun: float, *, wait: float | None = None, is_silent: bool = False) -> None:
        """A request that was sent at `begun` has failed: it is what a half-open deployment is judged by, unless it was
        sent before the deployment was. `wait` is for how many seconds the provider asks to be left alone, if it does:
        the next ejection's base."""
        ejection: Final = self.ejected.get(deployment_id)
        if ejection is not None and self.phase(deployment_id) is not Phase.EJECTED and begun >= ejection.ends:
            self.eject(deployment_id, wait or ejection.base, is_silent=is_silent)

    def eject_again(self, deployment_id: str, *, wait: float | None = None, is_silent: bool) -> None:
        """The probe under way has failed. `wait` is as in `fail`."""
        ejection: Final = self.ejected.get(deployment_id)
        if ejection is not None and self.phase(deployment_id) is Phase.PROBING:
            self.eject(deployment_id, wait or ejection.base, is_silent=is_silent)

    def succeed(self, deployment_id: str, begun: float) -> None:
        """A request that was sent at `begun` has been answered. A half-open deployment is in rotation again, also by a
        probe that has taken too long; one that is ejected stays so, and begins anew with its base."""
        ejection: Final = self.ejected.get(deployment_id)
        if ejection is None:
            return
        is_probe: Final = ejection.probe_began is not None and begun >= ejection.probe_began
        if is_probe or self.phase(deployment_id) is not Phase.EJECTED:
            del self.ejected[deployment_id]
        else:
            ejection.streak = 0

    def restore(self, deployment_id: str) -> None:
        """Somebody knows that a deployment is well."""
        self.ejected.pop(deployment_id, None)

    def admit(self, deployment_id: str, timeout: float) -> bool:
        """Whether a request may be the probe of a half-open deployment: from now on it is, for `timeout` seconds."""
        if self.phase(deployment_id) is not Phase.HALF_OPEN:
            return False
        now: Final = self._clock()
        self.ejected[deployment_id].probe_began, self.ejected[deployment_id].probe_ends = now, now + timeout
        self._tell(Event.PROBED, deployment_id)
        return True

    def release(self, deployment_id: str) -> None:
        """The request that was admitted goes elsewhere: another one may be the probe."""
        if self.phase(deployment_id) is Phase.PROBING:
            self.ejected[deployment_id].probe_began = self.ejected[deployment_id].probe_ends = None

    def abandon(self, deployment_id: str, begun: float) -> None:
        """The probe that was sent at `begun` is over, and its caller has not waited for what would come of it: another
        request may be one. After two in a row it is no caller's risk, as if the deployment were silent, and where it
        has to be, it is once in the ejection's base: many an impatient caller may have met a silent host."""
        ejection: Final = self.ejected.get(deployment_id)
        began: Final = None if ejection is None else ejection.probe_began
        if ejection is None or began is None or begun < began or self.phase(deployment_id) is not Phase.PROBING:
            return
        self.release(deployment_id)
        ejection.abandoned += 1
        ejection.is_silent = ejection.is_silent or ejection.abandoned >= _MOST_ABANDONED
        if ejection.abandoned > _MOST_ABANDONED:
            ejection.ends = self._clock() + ejection.base

    def hand_over(self, deployment_id: str) -> None:
        """The probe beside the callers is over, since its event loop is: the next request is one itself."""
        if self.phase(deployment_id) is Phase.PROBING:
            self.release(deployment_id)
            self.ejected[deployment_id].is_silent = False

    def _eject_again(self, deployment_id: str, base: float, now: float) -> None:
        ejection: Final = self.ejected[deployment_id]
        grown: Final = min(base * 2.0 ** min(ejection.streak, 64), self.longest)
        jittered: Final = grown * (1 + JITTER * (2 * self._random() - 1)) if ejection.streak else grown
        ejection.base = base
        ejection.ends = now + max(base, min(jittered, self.longest))
        ejection.streak += 1
        ejection.probe_ends = None
        self._tell(Event.EJECTED, deployment_id)

    def _left(self, ejection: _Ejection) -> float:
        return max(0.0, ejection.ends - self._clock())
