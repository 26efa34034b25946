"""
Where LiteLLM's compiled router, since 1.110, is told of deployments that are not as good a choice as the others, and
tells how its attempts fare. `rotation` knows them.
"""

import functools
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.router_utils.failover.compiled_router_reports import cooling_deployment
from litellm.router_utils.failover.compiled_router_types import Answer, Core, Outcome, Step
from litellm.router_utils.failover.deadline import has_used_up_deadline
from litellm.router_utils.failover.driver_state import Driver, is_recorded, turn_of_step
from litellm.router_utils.failover.fallback_cooldown import cooldown_cut_off
from litellm.router_utils.failover.retry_state import NO_AFFINITY, Affinity, RequestState, carrying, current_turn
from litellm.router_utils.failover.rotation import (
    Rotation,
    Sent,
    adopt_cooldowns,
    hold_back,
    record_cooldown,
    rotation_of,
)
from litellm.router_utils.failover.router_view import PREVIOUS_RESPONSE, ROTATION, router_of

if TYPE_CHECKING:
    from litellm.redis.stores.router_cooldowns import RouterCooldownStore
    from litellm.router_utils.cooldown_cache import CooldownCacheValue

_FIRST_STAGE: Final = "callback_filters"
_READ_ALL: Final = "batch_get"
_HELD: Final = "failover_held"
"""Where the failure of a request has its state, if the last choice has left deployments out."""

Result = TypeVar("Result")


def watch_attempt(
    attempt: Callable[[Driver, Step], Awaitable[Outcome]],
) -> Callable[[Driver, Step], Awaitable[Outcome]]:
    """Wrap `_Driver.attempt`: what came of it tells how its deployment fares."""

    @functools.wraps(attempt)
    async def attempt_and_watch(self: Driver, step: Step) -> Outcome:
        sent: Final = _send(self, step)
        try:
            told: Final = await attempt(self, step)
        except BaseException:
            cut_off: Final = None if sent is None else sent.cut_off(self.failover.router)
            if cut_off is not None:
                cooldown_cut_off(turn_of_step(self, step), cut_off)
            raise
        return _ended(self, step, sent, told)

    return attempt_and_watch


def watch_attempt_sync(attempt: Callable[[Driver, Step], Outcome]) -> Callable[[Driver, Step], Outcome]:
    """As `watch_attempt`, for `_Driver.attempt_sync`."""

    @functools.wraps(attempt)
    def attempt_and_watch(self: Driver, step: Step) -> Outcome:
        sent: Final = _send(self, step)
        try:
            told: Final = attempt(self, step)
        except BaseException:
            if sent is not None:
                sent.drop()
            raise
        return _ended(self, step, sent, told)

    return attempt_and_watch


def _send(driver: Driver, step: Step) -> Sent | None:
    """The attempt that the step makes; None of a request that not any deployment can serve."""
    if not is_recorded(driver):
        return None
    deployment_id: Final = str(step["deployment_id"])
    sent: Final = _rotation(driver).send(deployment_id, driver.failover.probed)
    driver.failover.probed = ()
    driver.failover.has_held = False
    return sent


def _rotation(driver: Driver) -> Rotation:
    """What is known of the router's deployments; to ask its core costs each request less than to ask the router."""
    known: Final = safe_getattr(driver._core, ROTATION)
    return known if isinstance(known, Rotation) else rotation_of(driver.failover.router)


def _ended(driver: Driver, step: Step, sent: Sent | None, told: Outcome) -> Outcome:
    if sent is not None and told.get("ok"):
        sent.succeed()
    elif sent is not None:
        error: Final = driver._last_error
        sent.fail(driver.failover.router, error)
        if isinstance(error, Exception) and has_used_up_deadline():
            cooldown_cut_off(turn_of_step(driver, step), error)
    return told


def hold_back_doubtful(
    select: Callable[[Driver, Step], Awaitable[Answer]],
) -> Callable[[Driver, Step], Awaitable[Answer]]:
    """Wrap `_Driver.select`, which is asked first of all which deployments to choose from: those that are to be
    asked. If a filter of the user's own leaves none of them, it is asked about all."""

    @functools.wraps(select)
    async def select_unheld(self: Driver, step: Step) -> Answer:
        if step["stage"] != _FIRST_STAGE:
            return await select(self, step)
        held: Final = _held(self, step, is_sync=False)
        if not held:
            return await select(self, step)
        answer: Final = await select(self, _without(step, held))
        if isinstance(answer, tuple) and not answer[0]:
            return await select(self, step)
        turn: Final = current_turn()  # whose wish the choice then has
        if turn is not None:
            turn.affinity = _left_out(self, held, turn.affinity)
        return answer

    return select_unheld


def hold_back_doubtful_sync(select: Callable[[Driver, Step], Answer]) -> Callable[[Driver, Step], Answer]:
    """As `hold_back_doubtful`, for `_Driver.select_sync`."""

    @functools.wraps(select)
    def select_unheld(self: Driver, step: Step) -> Answer:
        if step["stage"] != _FIRST_STAGE:
            return select(self, step)
        self.failover.choice.affinity = NO_AFFINITY  # which a synchronous request has no other use for
        held: Final = _held(self, step, is_sync=True)
        if not held:
            return select(self, step)
        self.failover.choice.affinity = _left_out(self, held, NO_AFFINITY)
        return select(self, _without(step, held))

    return select_unheld


def _held(driver: Driver, step: Step, *, is_sync: bool) -> Collection[str]:
    candidates: Final[Sequence[str]] = step.get("candidates") or ()
    _give_back(driver)
    driver.failover.has_held = False
    if len(candidates) < 2 or not _rotation(driver).doubtful(candidates):
        return ()
    state: Final = driver.failover.request_state
    if state.is_unheld or not is_recorded(driver) or driver._request.get(PREVIOUS_RESPONSE):
        return ()
    tried: Final = state.failed_deployment_ids
    held, driver.failover.probed = hold_back(driver.failover.router, candidates, tried, is_sync=is_sync)
    driver.failover.has_held = bool(held)
    return held


def _give_back(driver: Driver) -> None:
    """The choice before has ended without a deployment, if there are any that the request may be the probe of."""
    if driver.failover.probed:
        _rotation(driver).give_back(driver.failover.probed)
        driver.failover.probed = ()


def give_back_unsent(failed: Callable[[Driver, Step], BaseException]) -> Callable[[Driver, Step], BaseException]:
    """Wrap `_Driver.failed`, which gives the exception a request ends with: it may be too long for each deployment, and
    then it is the probe of none."""

    @functools.wraps(failed)
    def failed_and_give_back(self: Driver, step: Step) -> BaseException:
        _give_back(self)
        error: Final = failed(self, step)
        if self.failover.has_held:
            setattr(error, _HELD, self.failover.request_state)
        return error

    return failed_and_give_back


def choose_again_unheld(drive: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `RustCore._drive`, by which each asynchronous request is served: one whose choice has come to nothing,
    whatever the reason, although some deployments were left out for better ones, goes on among all of them."""

    @functools.wraps(drive)
    async def _drive(self: object, *args: object, **kwargs: object) -> Result:
        try:
            return await drive(self, *args, **kwargs)
        except Exception as error:
            state: Final = _unhold(error)
            if state is None:
                raise
        with carrying(state):
            return await drive(self, *args, **kwargs)

    return _drive


def choose_again_unheld_sync(call: Callable[..., Result]) -> Callable[..., Result]:
    """As `choose_again_unheld`, for `RustCore._call_sync`."""

    @functools.wraps(call)
    def _call_sync(self: object, *args: object, **kwargs: object) -> Result:
        try:
            return call(self, *args, **kwargs)
        except Exception as error:
            state: Final = _unhold(error)
            if state is None:
                raise
        with carrying(state):
            return call(self, *args, **kwargs)

    return _call_sync


def _unhold(error: Exception) -> RequestState | None:
    """The state of a request that has failed with `error`, to go on with among all deployments; None if none was left
    out, or it has done so."""
    state: Final = safe_getattr(error, _HELD)
    if not isinstance(state, RequestState) or state.is_unheld:
        return None
    state.is_unheld = True
    return state


def _without(step: Step, held: Collection[str]) -> Step:
    return {**step, "candidates": [one for one in step["candidates"] if one not in held]}


def _left_out(driver: Driver, held: Collection[str], affinity: Affinity) -> Affinity:
    """A wish of a choice, those that were held back being there for a retry."""
    found: Final = [driver.failover.router.get_model_info(id=name) for name in held]
    return replace(affinity, excluded=[*affinity.excluded, *(one for one in found if one is not None)])


def adopt_stored(answer: Callable[[Core, Step], Awaitable[Answer]]) -> Callable[[Core, Step], Awaitable[Answer]]:
    """Wrap `RustCore._answer_cache`, by which the compiled router reads which deployments are cooling down."""

    @functools.wraps(answer)
    async def answer_and_adopt(self: Core, step: Step) -> Answer:
        found: Final = await answer(self, step)
        if step.get("op") == _READ_ALL and found and any(found):
            _adopt(self, step, found)
        return found

    return answer_and_adopt


def adopt_stored_sync(answer: Callable[[Core, Step], Answer]) -> Callable[[Core, Step], Answer]:
    """As `adopt_stored`, for `RustCore._answer_cache_sync`."""

    @functools.wraps(answer)
    def answer_and_adopt(self: Core, step: Step) -> Answer:
        found: Final = answer(self, step)
        if step.get("op") == _READ_ALL and found and any(found):
            _adopt(self, step, found)
        return found

    return answer_and_adopt


def _adopt(core: Core, step: Step, found: Answer) -> None:
    names: Final = [cooling_deployment(key) for key, one in zip(step["keys"], found, strict=False) if one is not None]
    adopt_cooldowns(router_of(core), [name for name in names if name is not None])


def eject_for_stored(put: Callable[..., None]) -> Callable[..., None]:
    """Wrap `RouterCooldownStore.put`, through which each cooldown goes. `ttl` is in seconds."""

    @functools.wraps(put)
    def put_and_eject(self: "RouterCooldownStore", model_id: str, value: "CooldownCacheValue", ttl: float) -> None:
        put(self, model_id, value, ttl)
        record_cooldown(self, model_id, ttl)

    return put_and_eject


def eject_for_stored_async(put: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """As `eject_for_stored`, for `RouterCooldownStore.async_put`."""

    @functools.wraps(put)
    async def async_put_and_eject(
        self: "RouterCooldownStore", model_id: str, value: "CooldownCacheValue", ttl: float
    ) -> None:
        await put(self, model_id, value, ttl)
        record_cooldown(self, model_id, ttl)

    return async_put_and_eject
