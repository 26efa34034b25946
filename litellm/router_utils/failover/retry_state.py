"""
What is remembered of one request to the router while it is under way: which attempts have failed, which model groups it
has been to, and where the group whose turn it is stands.

Kept in a context variable, because a retry, the choice of a deployment and a fallback to another group happen in
methods that share no argument.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from litellm.litellm_core_utils.context_slot import ContextSlot, Holding
from litellm.litellm_core_utils.failure import FailureKind
from litellm.router_utils.failover.policy import is_deployment_fault
from litellm.router_utils.failover.router_view import Deployment, Request, Router, ids_of


class FailedAttempt(NamedTuple):
    """One attempt of a request: the deployment's id, its model group, what its failure was, the HTTP status the
    provider answered with, if it did, and the wait (in seconds) it asks for, if any."""

    deployment_id: str
    model_group: str
    kind: FailureKind
    status_code: int | None
    retry_after: float | None = None


@dataclass(slots=True)
class RequestState:
    """What all groups share that have had a turn at a request: the attempts that failed, and their names."""

    attempts: list[FailedAttempt] = field(default_factory=list)
    visited_groups: set[str] = field(default_factory=set)
    asked: str | None = None  # the id of the deployment that an attempt went to last
    is_recovered: bool = False  # whether its stream goes on elsewhere should it break off
    is_unheld: bool = False  # whether it may go to any deployment, since better ones could not serve it

    @property
    def failed_deployment_ids(self) -> frozenset[str]:
        """Those of the deployments that have failed this request through a fault of their own."""
        return frozenset(one.deployment_id for one in self.attempts if is_deployment_fault(one.kind))


class Attempt(NamedTuple):
    """One attempt of a group, from before a deployment is chosen; replaced whole by the next one."""

    number: int = 0  # of this group's, from 1; 0 before the first
    function: object = None  # of the router, that makes it
    is_recorded: bool = False  # whether any deployment of the group can serve the request, so that the policy decides
    offered: Sequence[Deployment] = ()  # the deployments it could go to
    deployment_id: str | None = None  # the one it went to
    failed: FailedAttempt | None = None  # what came of it; None also if no deployment could be chosen
    error: Exception | None = None  # as which it came

    @property
    def is_sync(self) -> bool:
        return not inspect.iscoroutinefunction(self.function)

    @property
    def candidates(self) -> frozenset[str | None]:
        """The ids of the deployments it could go to, which only a failure and a stream ask for."""
        return ids_of(self.offered)


@dataclass(frozen=True)
class Affinity:
    """What a callback that keeps to one deployment wants of the choice under way."""

    preferred: frozenset[str | None] = frozenset()  # the ids of those at which it wants the attempt
    excluded: Sequence[Deployment] = ()  # those that a preference for a later `order` leaves out


NO_AFFINITY: Final = Affinity()


@dataclass(frozen=True)
class Routed:
    """What the router has made of the name of a group: the name it looked up, such as that of the tier that an auto
    router has chosen, for which request, and the deployments it found."""

    group: str
    request: Request | None
    deployments: Sequence[Deployment]


class Sent(Protocol):
    """An attempt, as who watches how deployments fare knows it."""

    def succeed(self) -> None: ...

    def fail(self, router: Router, error: BaseException) -> None: ...

    def cut_off(self, router: Router) -> Exception | None: ...

    def drop(self) -> None: ...


@dataclass(slots=True)
class GroupTurn:
    """One model group's turn at a request. The groups it falls back to get turns of their own, with the same state."""

    group: str
    router: Router
    request: Mapping[str, object]  # as the caller sent it
    state: RequestState = field(default_factory=RequestState)
    previous: "GroupTurn | None" = None  # the turn of the group that this one is a fallback of
    routed: Routed | None = None  # None until the group's name has been looked up
    task: object = None  # in which it was begun
    attempt: Attempt = Attempt()
    is_attempting: bool = False
    affinity: Affinity = NO_AFFINITY
    others: Sequence[Deployment] = ()  # those beside the preferred one, should that be over its limits
    shut_out: Sequence[Deployment] = ()  # the deployments it could go to, if all of them are cooling down
    waits: int = 0  # how many times it has waited for one of these
    let_through: frozenset[str] = frozenset()  # the ids of those it may ask though they are cooling down
    sent: "Sent | None" = None  # the attempt under way, if somebody watches how it fares
    probed: Sequence[str] = ()  # the ids of those that the attempt may be the probe of, should it go there
    has_held: bool = False  # whether the choice under way leaves out some that are not as good as others

    @property
    def is_fallback(self) -> bool:
        return self.previous is not None

    @property
    def is_choosing(self) -> bool:
        """Whether the attempt under way has not been given a deployment yet."""
        return self.attempt.deployment_id is None


_TURN: Final = ContextSlot[GroupTurn]("litellm_failover_turn")

current_turn: Final = _TURN.get
"""The turn in whose context this is called, None where no request is under way."""

turn_under_way: Final = _TURN.holding
"""Have a turn be the current one meanwhile."""

_CARRIED: Final = ContextSlot[list[RequestState]]("litellm_failover_carried_state")


def carrying(state: RequestState) -> Holding[list[RequestState]]:
    """A block in which the next request to a router goes on with `state`: one for the second half of an answer."""
    return _CARRIED.holding([state])


def take_carried_state() -> RequestState:
    """The state that the request which is beginning goes on with. What is asked within that request has its own."""
    carried: Final = _CARRIED.get()
    return carried.pop() if carried else RequestState()
