"""
Where a retry that the policy wants is left out, since the retry budget of its model group is spent: what a router knows
of its attempts is handed to `retry_budget`, which decides.
"""

import functools
import time
from collections.abc import Callable, Collection
from typing import Final
from weakref import WeakKeyDictionary

from litellm._logging import verbose_router_logger
from litellm.router_utils.failover.attempts import register_retry_limit
from litellm.router_utils.failover.group_names import team_name_of
from litellm.router_utils.failover.policy import NextStep, is_deployment_fault
from litellm.router_utils.failover.recovery import Event, Phase
from litellm.router_utils.failover.retries import has_retry_left, policy_names
from litellm.router_utils.failover.retry_budget import MIN_RETRIES, PERCENT, WINDOW, Members, RetryBudget
from litellm.router_utils.failover.retry_state import FailedAttempt, GroupTurn
from litellm.router_utils.failover.rotation import Rotation, register_outcome_listener, rotation_of
from litellm.router_utils.failover.rotation_metrics import count
from litellm.router_utils.failover.rotation_state import BudgetState, register_budget
from litellm.router_utils.failover.router_view import Deployment, Router, group_of, ids_of, own_setting

_budgets: Final[WeakKeyDictionary[Rotation, RetryBudget]] = WeakKeyDictionary()


def checked_retry_budget(setting: object) -> object:
    """The router setting `retry_budget` as it was given: None or True for the default, False for no budget, or the
    percentage of a group's requests that its retries may come to. Raises ValueError if it is none of these."""
    is_percentage: Final = isinstance(setting, (int, float)) and 0 <= setting <= 100  # also False and True
    if setting is None or is_percentage:
        return setting
    raise ValueError(
        f"retry_budget is {setting!r}; give it as the percentage of a group's requests that its retries may come to,"
        f" a number from 0 to 100 such as {PERCENT:g}, or as false to have no budget."
    )


def check_retry_budget(settings_of: Callable[..., dict[str, object]]) -> Callable[..., dict[str, object]]:
    """Wrap `initial_plain`, which since 1.110 reads a router's settings: a `retry_budget` that is none is refused."""

    @functools.wraps(settings_of)
    def initial_plain(*args: object) -> dict[str, object]:
        found: Final = settings_of(*args)
        checked_retry_budget(found.get("retry_budget"))
        return found

    return initial_plain


def _percent(setting: object) -> float:
    return float(setting) if isinstance(setting, (int, float)) and not isinstance(setting, bool) else PERCENT


def budget_of(rotation: Rotation) -> RetryBudget:
    """The budgets of the groups of one router, which its deployments' state leads to."""
    found = _budgets.get(rotation)
    if found is None:
        found = _budgets[rotation] = RetryBudget(time.monotonic)
    return found


def _record(rotation: Rotation, deployment_id: str, failed: bool) -> None:
    budget_of(rotation).record(deployment_id, failed=failed)


def limit_retries(turn: GroupTurn, step: NextStep, candidates: Collection[str], untried: Collection[str]) -> NextStep:
    """What becomes of a request after its group's attempt has failed: `step`, unless that is a retry for which the
    budget has nothing left. Without a fallback the failure is then the caller's, as after the last retry.

    A retry policy that names the failure says how often that is retried, and wins. `num_retries` is the most that one
    request may have, so both hold. A lone deployment has no budget: LiteLLM waits before each retry of it, which in a
    group it does not, and there is nothing else that could answer.

    Args:
        turn: The group's, with the attempt that has failed.
        step: What the policy says.
        candidates: The ids of all deployments the request could go to; none where it brings its own credentials.
        untried: The ids of those that have not failed it and can be asked.
    """
    setting: Final = own_setting(turn.router, "retry_budget")
    failed: Final = turn.attempt.failed
    if setting is False or failed is None or not candidates or not _is_retried(turn, failed, step):
        return step
    names: Final = _ids_of_group(turn.router, failed.deployment_id) | set(candidates)
    if len(names) < 2 or policy_names(turn, turn.attempt.error):
        return step
    rotation: Final = rotation_of(turn.router)
    phase: Final = rotation.recovery.phase
    asked: Final = {*untried, failed.deployment_id}
    left: Final = [one for one in names if one in asked or phase(one) is Phase.IN_ROTATION]
    key: Final = _key(turn.router.get_model_info(id=failed.deployment_id) or {})
    if budget_of(rotation).take(key, Members(names, left), _percent(setting)):
        return step
    _tell(turn, failed, budget_of(rotation).spent(key, names).denied, _percent(setting))
    return NextStep.FALL_BACK


def _is_retried(turn: GroupTurn, failed: FailedAttempt, step: NextStep) -> bool:
    if step not in (NextStep.RETRY, NextStep.UPSTREAM) or not is_deployment_fault(failed.kind):
        return False
    made: Final = sum(one.model_group == turn.group for one in turn.state.attempts)
    return has_retry_left(turn, failed.deployment_id, made - 1)


def _ids_of_group(router: Router, deployment_id: str) -> set[str]:
    return {str(one) for one in ids_of(group_of(router, deployment_id))}


def _key(deployment: Deployment) -> str:
    """What the budget of a deployment's group is kept under: its name, not one of its aliases, nor, of a team's model,
    the name that each deployment of it has to itself."""
    team: Final = team_name_of(deployment)
    return str(deployment.get("model_name")) if team is None else f"{deployment['model_info'].get('team_id')}/{team}"


def _tell(turn: GroupTurn, failed: FailedAttempt, denied: int, percent: float) -> None:
    """Count a denial, and log the first of a row: a brownout has many, and the callers are told of each failure."""
    count(Event.DENIED, failed.deployment_id, failed.kind)
    if denied == 1:
        verbose_router_logger.warning(
            "The retry budget of model group %s is spent (%g %% of its requests in %g s, and at least %d retries): most"
            " attempts at its deployments fail. Until fewer do, a failure goes to the fallback or the caller without a"
            " retry. The router's setting retry_budget is a number for that percentage, or false.",
            *(turn.group, percent, WINDOW, MIN_RETRIES),
        )


def _state(router: Router, deployment_id: str, deployment: Deployment) -> BudgetState:
    """How the budget of a deployment's group stands, for `get_rotation_state`."""
    setting: Final = own_setting(router, "retry_budget")
    names: Final = _ids_of_group(router, deployment_id)
    if setting is False or len(names) < 2:
        return {"retries_left": None, "retries_denied": 0}
    left, denied = budget_of(rotation_of(router)).spent(_key(deployment), names, _percent(setting))
    return {"retries_left": left, "retries_denied": denied}


register_retry_limit(limit_retries)
register_outcome_listener(_record)
register_budget(_state)
