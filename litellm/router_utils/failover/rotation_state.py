"""
What a router knows of its deployments, for whoever looks from outside: which are in rotation, and until when and why
the others are not. Ids, groups and kinds of failures; no host, no key.
"""

import time
from collections.abc import Callable
from typing import Final

from litellm.router_utils.failover.recovery import Phase
from litellm.router_utils.failover.rotation import Rotation, adopt_cooldowns, rotation_of
from litellm.router_utils.failover.router_view import Deployment, Router, id_of, router_of
from typing_extensions import TypedDict

SUSPECTED: Final = "suspected"
"""In rotation, but asked last: requests wait for it longer than is usual."""


class BudgetState(TypedDict, total=False):
    """Of the retry budget of a deployment's group: `retries_left` that it pays for now, None if there is none, and
    `retries_denied` of the last ten seconds."""

    retries_left: int | None
    retries_denied: int


class DeploymentState(BudgetState):
    """One deployment: `state` is `in_rotation`, `suspected`, `ejected`, `half_open` (the next request to it is a probe)
    or `probing`; `seconds_left` until an ejected one may be probed; `reason` the kind of its latest failure, where it
    is not in rotation and this process has seen it fail; `streak` how often in a row it has been ejected."""

    model_id: str
    model_group: str
    state: str
    seconds_left: float
    reason: str | None
    streak: int


_budgets: Final[list[Callable[[Router, str, Deployment], BudgetState]]] = []


def register_budget(state_of: Callable[[Router, str, Deployment], BudgetState]) -> None:
    """Have `state_of` say how the retry budget of a deployment's group stands, given the router, its id and itself."""
    if state_of not in _budgets:
        _budgets.append(state_of)


def get_rotation_state(self: Router, model_group: str | None = None) -> list[DeploymentState]:
    """Where each deployment of the router stands, in the order of its model list.

    Args:
        model_group: The name of a group or an alias of one; all groups without it.

    Raises:
        ValueError: The router has no group of that name.
    """
    found: Final = self.model_list if model_group is None else self.get_model_list(model_name=model_group)
    if model_group is not None and not found:
        raise ValueError(f"There is no model group {model_group!r}: name one of the router's model list, or none.")
    rotation: Final = rotation_of(self)
    known: Final = [(name, one) for one in found or () if (name := id_of(one)) is not None]
    adopt_cooldowns(self, [name for name, _ in known])
    return [_with_budget(self, _state(rotation, name, one), one) for name, one in known]


def get_rotation_state_of_core(self: object, model_group: str | None = None) -> list[DeploymentState]:
    """As `get_rotation_state`, as a method of the core that serves a router since 1.110."""
    return get_rotation_state(router_of(self), model_group)


def _with_budget(router: Router, row: DeploymentState, deployment: Deployment) -> DeploymentState:
    for state_of in _budgets:
        row = {**row, **state_of(router, row["model_id"], deployment)}
    return row


def _state(rotation: Rotation, name: str, deployment: Deployment) -> DeploymentState:
    phase: Final = rotation.recovery.phase(name)
    times: Final = rotation.times.get(name)
    is_suspected: Final = times is not None and times.is_suspected(time.monotonic())
    reason: Final = None if phase is Phase.IN_ROTATION else rotation.reasons.get(name)
    return {
        "model_id": name,
        "model_group": str(deployment.get("model_name")),
        "state": SUSPECTED if is_suspected and phase is Phase.IN_ROTATION else phase.name.lower(),
        "seconds_left": round(rotation.recovery.seconds_left(name), 3),
        "reason": None if reason is None else reason.value,
        "streak": rotation.recovery.streak(name),
    }
