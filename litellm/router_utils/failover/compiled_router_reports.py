"""
What LiteLLM's compiled router, since 1.110, writes down of a cooldown. It knows a failure by the status it was told for
what is to follow; who looks the cooldown up is to read the one that the deployment failed with.
"""

import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Final

from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.router_utils.failover.compiled_router_types import Answer, Core, Step

_PREFIX: Final = "deployment:"
_SUFFIX: Final = ":cooldown"
_STATUSES: Final = "failover_statuses"
_MOST_REMEMBERED: Final = 1024


def cooling_deployment(key: object) -> str | None:
    """The id of the deployment whose cooldown the store has under `key`, None if it has something else there."""
    name: Final = str(key)
    is_cooldown: Final = name.startswith(_PREFIX) and name.endswith(_SUFFIX)
    return name.removeprefix(_PREFIX).removesuffix(_SUFFIX) if is_cooldown else None


def remember_status(core: Core, deployment_id: object, error: object) -> None:
    """Remember the status that the deployment has failed with, as the exception has it."""
    statuses: Final = _statuses_of(core)
    statuses[str(deployment_id)] = safe_getattr(error, "status_code")
    if len(statuses) > _MOST_REMEMBERED:  # such as those of deployments that are no more
        del statuses[next(iter(statuses))]


def _statuses_of(core: Core) -> dict[str, object]:
    """The status of each deployment's latest failure, by its id; kept on the core, if that keeps anything."""
    kept: Final = safe_getattr(core, _STATUSES)
    if isinstance(kept, dict):
        return kept
    statuses: Final[dict[str, object]] = {}
    with contextlib.suppress(AttributeError):  # a stand-in for a core
        setattr(core, _STATUSES, statuses)
    return statuses


def report_true_status(answer: Callable[[Core, Step], Awaitable[Answer]]) -> Callable[[Core, Step], Awaitable[Answer]]:
    """Wrap `RustCore._answer_cache`, which reads and writes what the compiled router keeps."""

    @functools.wraps(answer)
    async def answer_truthfully(self: Core, step: Step) -> Answer:
        return await answer(self, _with_true_status(self, step))

    return answer_truthfully


def report_true_status_sync(answer: Callable[[Core, Step], Answer]) -> Callable[[Core, Step], Answer]:
    """As `report_true_status`, for `RustCore._answer_cache_sync`."""

    @functools.wraps(answer)
    def answer_truthfully(self: Core, step: Step) -> Answer:
        return answer(self, _with_true_status(self, step))

    return answer_truthfully


def _with_true_status(core: Core, step: Step) -> Step:
    """The step, with the status of the deployment's latest failure in the cooldown that it writes, if it writes one."""
    if step.get("op") != "set":
        return step
    deployment_id: Final = cooling_deployment(step.get("key"))
    value: Final = step.get("value")
    status: Final = None if deployment_id is None else _statuses_of(core).get(deployment_id)
    if status is None or not isinstance(value, dict) or "status_code" not in value:
        return step
    return {**step, "value": {**value, "status_code": str(status)}}
