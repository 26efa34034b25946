"""
What is remembered of a request that LiteLLM's compiled router, since 1.110, has under way: one object on the driver in
Python that makes the router's attempts.
"""

import functools
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from litellm.router_utils.failover import compiled_router_types
from litellm.router_utils.failover.attempts import serves_on_any_deployment
from litellm.router_utils.failover.compiled_router_types import Core, Step
from litellm.router_utils.failover.fallbacks import start_turn
from litellm.router_utils.failover.retry_state import (
    Affinity,
    Attempt,
    GroupTurn,
    RequestState,
    take_carried_state,
)
from litellm.router_utils.failover.router_view import Deployment, Router, id_of, router_of


@dataclass(slots=True)
class Choice:
    """How far a driver's choice of a deployment has come: the ids of those it can still fall on, `among` those of a
    model group and an `order` in it, the one of these that is `preferred`, if any is, and what a callback that keeps to
    one deployment wants. `is_asked_first` says that the strategy is asked about the preferred one, and about the others
    should that be over its limits."""

    among: tuple[str, int | None] = ("", None)
    left: Sequence[str] = ()
    preferred: str | None = None
    is_asked_first: bool = False
    affinity: Affinity = Affinity()

    @property
    def candidates(self) -> Sequence[str | None]:
        """The ids of the deployments an attempt or a retry can go to; none before a choice has begun."""
        return [*self.left, *map(id_of, self.affinity.excluded)] if self.left else ()


@dataclass(slots=True)
class DriverState:
    """The `router` that the request is to, and the turns that model groups have had at it, by their level: the first
    group's is 0, that of its fallbacks 1. `group` is the one a deployment is chosen from and the `order` in it, None
    for the one asked for, `substitutes` the automatic fallbacks of that, once it has failed, `given` what an attempt is
    to leave as it was, `is_recorded` whether the policy decides, None until that has been asked, `probed` the ids of
    the deployments that the attempt may be the probe of, should it go there, `has_held` whether the choice under way
    leaves out some that are not as good as others, and `driver` a weak reference.
    `request_state` is what all turns share."""

    router: Router
    turns: dict[int, GroupTurn] = field(default_factory=dict)
    choice: Choice = field(default_factory=Choice)
    group: tuple[str, int | None] | None = None
    substitutes: Sequence[str] | None = None
    given: object = None
    is_recorded: bool | None = None
    probed: Sequence[str] = ()
    has_held: bool = False
    driver: "Callable[[], Driver | None]" = lambda: None
    request_state: RequestState = field(default_factory=RequestState)

    @property
    def latest(self) -> GroupTurn | None:
        """The turn of the deepest level."""
        return self.turns[max(self.turns)] if self.turns else None


class Driver(compiled_router_types.Driver, Protocol):
    """A driver that has been given its state."""

    failover: DriverState


def remember_turns(init: Callable[..., None]) -> Callable[..., None]:
    """Wrap `_Driver.__init__`."""

    @functools.wraps(init)
    def __init__(self: Driver, core: Core, *args: object, **kwargs: object) -> None:
        self.failover = DriverState(router_of(core), driver=weakref.ref(self), request_state=take_carried_state())
        init(self, core, *args, **kwargs)

    return __init__


def turn_at(driver: Driver, level: int, group: str, depth: int, order: int | None) -> GroupTurn:
    """The turn of the model group that is at a request; those of deeper levels, which have ended, are forgotten."""
    turns: Final = driver.failover.turns
    if len(turns) == 1 and level in turns:
        return turns[level]  # whatever it is called: the first one may have several names
    for ended in [deeper for deeper in turns if deeper > level]:
        del turns[ended]
    previous = next((turns[shallower] for shallower in sorted(turns, reverse=True) if shallower < level), None)
    if level in turns and (previous is None or turns[level].group == group):
        return turns[level]
    router: Final = driver.failover.router
    if level and previous is None:  # the group that was asked for had none to choose from
        previous = turns[0] = start_turn(
            router, driver._request, str(driver._request.get("model")), None, driver.failover.request_state
        )
    of_order: Final = {} if order is None else {"_target_order": order}
    request: Final = {**driver._request, "fallback_depth": depth, **of_order}
    turns[level] = start_turn(router, request, group, previous, driver.failover.request_state)
    return turns[level]


def turn_of_step(driver: Driver, step: Step) -> GroupTurn:
    """The turn of the model group that `step` makes an attempt of."""
    return turn_at(driver, step["fallback_level"], str(step["model"]), step["fallback_depth"], step["target_order"])


def start_attempt(driver: Driver, step: Step) -> GroupTurn:
    """The turn of the model group that `step` makes an attempt of, which knows of it."""
    turn: Final = turn_of_step(driver, step)
    asked: Final = str(step["deployment_id"])
    turn.attempt = Attempt(step["retry"] + 1, is_recorded=is_recorded(driver), deployment_id=asked)
    turn.state.asked = asked
    return turn


def choosing_turn(driver: Driver, group: str) -> GroupTurn:
    """A turn of `group` for as long as one of its deployments is chosen, after the attempts that have failed."""
    turn: Final = GroupTurn(group, driver.failover.router, {}, driver.failover.request_state)
    turn.attempt = Attempt(is_recorded=is_recorded(driver))
    return turn


def is_recorded(driver: Driver) -> bool:
    """Whether any deployment of a group can serve the driver's request."""
    known: Final = driver.failover.is_recorded
    if known is not None:
        return known
    handler: Final = driver._plan.handler
    is_generic: Final = driver._plan.kind == "generic"
    names: Final = (handler, f"_{handler}")  # of the function, and of the router's method of earlier releases
    found: Final = serves_on_any_deployment(names, driver._request, is_generic=is_generic)
    driver.failover.is_recorded = found
    return found


def region_of(driver: Driver, deployment_id: str) -> object:
    """The `region_name` the user has given a deployment."""
    deployment: Final[Deployment] = driver.failover.router.get_model_info(id=deployment_id) or {}
    return (deployment.get("litellm_params") or {}).get("region_name")
