"""
The one deadline of a request to the router: a moment on a clock that is passed in, and what is known of the request
when it comes. Pure but for the context variable that the request's parts find it by.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from litellm.litellm_core_utils.context_slot import ContextSlot

TOTAL_TIMEOUT: Final = "total_timeout"
"""The setting of a router and of a request."""

MOSTLY: Final = 0.9
"""How much of a deadline is left for an attempt that has all of it, since to choose a deployment takes a moment."""


def seconds_from(value: object, whose: str) -> float | None:
    """The seconds that `value` of the setting is, a number or the text of one; None for None.

    Raises ValueError for whatever is not finite and above zero; `whose` it is, it says.
    """
    if value is None:
        return None
    try:
        seconds: Final = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise _refused(value, whose) from None
    if not math.isfinite(seconds) or seconds <= 0:
        raise _refused(value, whose)
    return seconds


def _refused(value: object, whose: str) -> ValueError:
    shown: Final = repr(value)[:40]
    return ValueError(
        f"{TOTAL_TIMEOUT} of the {whose} is {shown}: give a number of seconds above zero, or leave it out for no limit."
    )


@dataclass(slots=True)
class Deadline:
    """The end of `seconds` from now on by `clock`; `is_for_all` is that of a router's setting, `task` the one that the
    request runs in, None until there is one, and `turn` the latest turn that a model group had at it."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    is_for_all: bool = False
    task: object = None
    turn: object = None
    cuts_short: bool = False  # whether the attempt under way has less than what it has by everybody's settings
    had_whole: bool = False  # whether it has had all of a deadline that is everybody's
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.at = self.clock() + self.seconds

    def start_attempt(self, *, is_shorter: bool) -> None:
        """An attempt begins, which `is_shorter` by this deadline than by its own timeout. The deadline of a router is
        as good a proof as a timeout of the router's that a deployment is silent, if the attempt has had all of it."""
        self.had_whole = self.is_for_all and self.left() >= MOSTLY * self.seconds
        self.cuts_short = is_shorter and not self.had_whole

    def left(self) -> float:
        """The seconds until then, 0 if it has passed."""
        return max(0.0, self.at - self.clock())

    @property
    def nearly(self) -> float:
        """The moment on its clock at which most of it has passed."""
        return self.at - (1 - MOSTLY) * self.seconds

    @property
    def has_passed(self) -> bool:
        """Whether nothing is left."""
        return self.clock() >= self.at


_DEADLINE: Final = ContextSlot[Deadline]("litellm_failover_deadline")

current_deadline: Final = _DEADLINE.get
"""The deadline of the request in whose context this is called, None if it has none."""

deadline_under_way: Final = _DEADLINE.holding
"""Have a deadline be the current one meanwhile."""


def is_over() -> bool:
    """Whether the deadline of the request in whose context this is called has passed, so that nothing follows."""
    deadline: Final = current_deadline()
    return deadline is not None and deadline.has_passed


def is_cut_short() -> bool:
    """Whether the attempt under way in this context has less time than by everybody's settings, for its deadline."""
    deadline: Final = current_deadline()
    return deadline is not None and deadline.cuts_short


def has_used_up_deadline() -> bool:
    """Whether the attempt under way in this context has had all of a deadline that is everybody's, to its end."""
    deadline: Final = current_deadline()
    return deadline is not None and deadline.had_whole and is_over()


def note_turn(turn: object) -> None:
    """Have the deadline know which turn is the latest."""
    deadline: Final = current_deadline()
    if deadline is not None:
        deadline.turn = turn
