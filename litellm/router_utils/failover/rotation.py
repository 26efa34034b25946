"""
What a router knows of its deployments beyond LiteLLM's cooldowns: which ones are to be probed, and which ones let a
request wait. It takes nothing from a choice that has nothing else.
"""

import contextlib
import functools
import math
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import litellm
from litellm._logging import verbose_router_logger
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.failure import Basis, Failure, FailureKind, failure_of, keep_failure
from litellm.router_utils.failover.background_probe import begin_probe, end_cut_off
from litellm.router_utils.failover.caller_fault import has_timed_out, is_caller_fault, seconds_of
from litellm.router_utils.failover.cooldown import served_by_fallback
from litellm.router_utils.failover.deadline import has_used_up_deadline
from litellm.router_utils.failover.policy import is_deployment_fault
from litellm.router_utils.failover.recovery import Event, Phase, Recovery
from litellm.router_utils.failover.rotation_metrics import count
from litellm.router_utils.failover.router_view import (
    ROTATION,
    Cooldowns,
    Router,
    cooldowns_of,
    counts_allowed_fails,
    deployment_setting,
    order_of,
    own_setting,
    router_setting,
    settings_keeper,
)
from litellm.router_utils.failover.suspicion import ResponseTimes

LONGEST_EJECTION: Final = 300.0
"""Seconds, unless `max_cooldown_time` says otherwise."""
LONGEST_PROBE: Final = 60.0
"""Seconds after which a probe that has not come to an end has failed, if its deployment has no shorter timeout."""
MOST_ALONE: Final = 6.0
"""How many times its base the cooldown of a lone deployment is at the most: its callers get another model meanwhile."""
_TRUE: Final = ("true", "yes", "on", "1")
_FALSE: Final = ("false", "no", "off", "0")
_LEAST_STATED: Final = 1.0  # seconds
_MOST_WATCHED: Final = 1024

_UNANSWERED: Final = (FailureKind.TIMED_OUT, FailureKind.UNREACHABLE)


OutcomeListener = Callable[["Rotation", str, bool], None]

_listeners: Final[list[OutcomeListener]] = []


def register_outcome_listener(listener: OutcomeListener) -> None:
    """Have `listener` told of each attempt that has come to an end: whose deployments, which of them, and whether it
    failed through a fault of the deployment's. What a request itself fails with is an answer."""
    if listener not in _listeners:
        _listeners.append(listener)


class Rotation:
    """The deployments of one router."""

    def __init__(self, longest: float) -> None:
        self.recovery: Final = Recovery(time.monotonic, random.random, longest, self._count)
        self.times: Final[dict[str, ResponseTimes]] = {}
        self.reasons: Final[dict[str, FailureKind]] = {}  # the kind of the latest failure of each

    def send(self, deployment_id: str, probed: Sequence[str] = ()) -> "Sent":
        """A request is sent to a deployment; of the others of those `probed` it is no probe."""
        times = self.times.get(deployment_id)
        if times is None:
            times = self.times[deployment_id] = ResponseTimes()
            if len(self.times) > _MOST_WATCHED:  # such as those of deployments that are no more
                oldest: Final = next(iter(self.times))
                del self.times[oldest]
                self.reasons.pop(oldest, None)
        sent: Final = Sent(self, deployment_id, times, is_probe=deployment_id in probed)
        times.send(sent, sent.begun)
        self.give_back([name for name in probed if name != deployment_id])
        return sent

    def give_back(self, probed: Sequence[str]) -> None:
        """A request that could have been the probe of these is sent to none of them."""
        for name in probed:
            self.recovery.release(name)

    def _count(self, event: Event, deployment_id: str) -> None:
        count(event, deployment_id, self.reasons.get(deployment_id))

    def alone(self, deployment_id: str, base: float) -> float:
        """The seconds for which a fallback stands in for a lone deployment, which has just been ejected for `base`."""
        grown: Final = base * min(2.0 ** (self.recovery.streak(deployment_id) - 1), MOST_ALONE)
        return max(base, min(grown, self.recovery.longest))

    def doubtful(self, deployment_ids: Collection[str]) -> dict[str, Phase]:
        """Those that are not as good a choice as the others, and what is the matter with them."""
        found: Final[dict[str, Phase]] = {}
        for name in deployment_ids:
            times = self.times.get(name)
            if times is not None and times.waiting and times.is_suspected(time.monotonic()):
                found[name] = Phase.HALF_OPEN
        if self.recovery.ejected:
            end_cut_off()
            phases: Final = {name: self.recovery.phase(name) for name in deployment_ids}
            found.update((name, phase) for name, phase in phases.items() if phase)
        return found


class Sent:
    """A request that was sent to a deployment, until it comes to an end."""

    __slots__ = ("_is_probe", "_rotation", "_times", "begun", "deployment_id")

    def __init__(self, rotation: Rotation, deployment_id: str, times: ResponseTimes, *, is_probe: bool = False) -> None:
        self._rotation: Final = rotation
        self._times: Final = times
        self._is_probe: Final = is_probe
        self.deployment_id: Final = deployment_id
        self.begun: Final = time.monotonic()

    def succeed(self) -> None:
        """It has been answered, or its stream has begun."""
        self._times.answer(time.monotonic() - self.begun)
        if self._rotation.recovery.ejected:
            self._rotation.recovery.succeed(self.deployment_id, self.begun)
        self._tell(failed=False)

    def _tell(self, *, failed: bool) -> None:
        for listener in _listeners:
            listener(self._rotation, self.deployment_id, failed)

    def drop(self) -> None:
        """Nobody waits for it any more."""
        self._times.forget(self)
        self._abandon()

    def _abandon(self) -> None:
        """It is over, and says nothing of its deployment."""
        if self._is_probe:
            self._rotation.recovery.abandon(self.deployment_id, self.begun)

    def cut_off(self, router: Router) -> Exception | None:
        """Nobody waits for it any more, which is its timeout if it has had all of a deadline for all callers: this."""
        if not has_used_up_deadline():
            self.drop()
            return None
        error: Final = litellm.Timeout(message="", model="", llm_provider="")
        keep_failure(error, Failure(FailureKind.TIMED_OUT, basis=Basis.TRANSPORT))
        self.fail(router, error)
        return error

    def fail(self, router: Router, error: BaseException) -> None:
        """It has failed. A deployment that has answered nobody since it was sent is not asked by other callers until
        it has been found to answer, unless the user has said when a deployment is cooled down."""
        try:
            self._fail(router, error, failure_of(error))
        except Exception as problem:  # must not take the provider's failure from the caller
            verbose_router_logger.warning(
                "What deployment %s failed with is not known: %s", self.deployment_id, problem
            )

    def _fail(self, router: Router, error: BaseException, failure: Failure) -> None:
        recovery: Final = self._rotation.recovery
        nobody_answered: Final = self._times.forget(self)
        is_unanswered: Final = failure.kind in _UNANSWERED and failure.http_status is None
        if failure.kind is FailureKind.INTERNAL or (is_caller_fault(error) and is_unanswered):
            self._abandon()
            return
        if not is_unanswered:
            self._times.answer(None)
        if is_caller_fault(error) or not is_deployment_fault(failure.kind):
            recovery.succeed(self.deployment_id, self.begun)
            self._tell(failed=False)
            return
        self._rotation.reasons[self.deployment_id] = failure.kind
        self._tell(failed=True)
        is_silent: Final = failure.proven and is_unanswered and nobody_answered and has_timed_out(error, failure)
        is_probed: Final = recovery.phase(self.deployment_id) in (Phase.HALF_OPEN, Phase.PROBING)
        if is_silent and not is_probed and _may_eject(router, self.deployment_id):
            recovery.eject(self.deployment_id, _base(router, self.deployment_id), is_silent=True)
            return
        wait: Final = _stated(router, self.deployment_id, failure)
        recovery.fail(self.deployment_id, self.begun, wait=wait, is_silent=is_silent)


def _may_eject(router: Router, deployment_id: str) -> bool:
    """Whether the user has left it to the router when a deployment is not asked."""
    return not router_setting(router, "disable_cooldowns") and not counts_allowed_fails(router, deployment_id)


def _base(router: Router, deployment_id: str) -> float:
    own: Final = deployment_setting(router, deployment_id, "cooldown_time")
    return float(router.cooldown_time if own is None else own)


def _stated(router: Router, deployment_id: str, failure: Failure) -> float | None:
    """The seconds for which the provider asks to be left alone by the next probe, a second at least: many a moment
    doubles to no time, and each costs a caller an attempt. No longer than the user's own cooldown for that."""
    asked: Final = failure.retry_after
    return max(asked, min(_LEAST_STATED, _base(router, deployment_id))) if asked else None


def rotation_of(router: Router) -> Rotation:
    """What is known of a router's deployments, kept on the router, or since 1.110 on its core, and on its store of
    cooldowns, which is told of each of these."""
    keeper: Final = settings_keeper(router)
    known: Final = safe_getattr(keeper, ROTATION)
    return known if isinstance(known, Rotation) else _begin(router, keeper)


def check_recovery_settings(settings_of: Callable[..., dict[str, object]]) -> Callable[..., dict[str, object]]:
    """Wrap `initial_plain`, which since 1.110 reads a router's settings: those of the recovery are taken as meant, or
    refused."""

    @functools.wraps(settings_of)
    def initial_plain(*args: object) -> dict[str, object]:
        found: Final = settings_of(*args)
        return {**found, **{name: check(found[name]) for name, check in _CHECKS.items() if name in found}}

    return initial_plain


def checked_max_cooldown_time(setting: object) -> float | None:
    """The router setting `max_cooldown_time` in seconds, None for the default. Raises ValueError unless it is a number
    above zero, or the text of one, as from an environment variable."""
    seconds: Final = seconds_of(setting)
    if setting is None:
        return None
    if seconds is None or not 0 < seconds < math.inf:
        raise ValueError(
            f"max_cooldown_time is {setting!r}; give it as the seconds that a deployment which fails again and again is"
            f" left alone at the most, a number above 0 such as {LONGEST_EJECTION:g}."
        )
    return seconds


def checked_background_probes(setting: object) -> bool:
    """The router setting `background_probes`, true by default. Raises ValueError unless it is true or false, or a word
    or number that means one of these."""
    if setting is None:
        return True
    word: Final = str(setting).strip().lower()
    if word not in (*_TRUE, *_FALSE):
        raise ValueError(f"background_probes is {setting!r}; give it as true or false.")
    return word in _TRUE


_CHECKS: Final[Mapping[str, Callable[[object], object]]] = {
    "max_cooldown_time": checked_max_cooldown_time,
    "background_probes": checked_background_probes,
}


def _begin(router: Router, keeper: object) -> Rotation:
    longest: Final = own_setting(router, "max_cooldown_time")
    rotation: Final = Rotation(float(longest) if isinstance(longest, (int, float)) else LONGEST_EJECTION)
    cooldowns: Final = safe_getattr(router, "cooldown_cache")
    for one in (keeper, cooldowns, safe_getattr(cooldowns, "cooldown_store")):
        with contextlib.suppress(AttributeError, TypeError):
            setattr(one, ROTATION, rotation)
    return rotation


def record_cooldown(cooldowns: object, deployment_id: str, seconds: float) -> None:
    """A store of cooldowns is told of one of a deployment."""
    rotation: Final = safe_getattr(cooldowns, ROTATION)
    if isinstance(rotation, Rotation) and seconds > 0:
        rotation.recovery.eject(deployment_id, seconds)


def eject_for_cooldown(add: Callable[..., None]) -> Callable[..., None]:
    """Wrap `CooldownCache.add_deployment_to_cooldown`: a deployment that is cooling down is probed when that is over.
    The cooldown of a lone one whose fallback answers is itself longer each time, since there is no other choice that it
    could be left out of. `cooldown_time` is in seconds, None for the router's own."""

    @functools.wraps(add)
    def add_deployment_to_cooldown(
        self: Cooldowns,
        model_id: str,
        original_exception: Exception,
        exception_status: int,
        cooldown_time: float | None,
    ) -> None:
        seconds: Final = self.default_cooldown_time if cooldown_time is None else cooldown_time
        rotation: Final = safe_getattr(self, ROTATION)
        if isinstance(rotation, Rotation):
            rotation.reasons[model_id] = failure_of(original_exception).kind
        record_cooldown(self, model_id, seconds)
        if isinstance(rotation, Rotation) and served_by_fallback(original_exception):
            cooldown_time = rotation.alone(model_id, seconds)
        add(self, model_id, original_exception, exception_status, cooldown_time)

    return add_deployment_to_cooldown


def adopt_cooldowns(router: Router, deployment_ids: Collection[str]) -> None:
    """Know of the cooldowns that the store has of these deployments, be they another process's."""
    recovery: Final = rotation_of(router).recovery
    unknown: Final = [name for name in deployment_ids if recovery.phase(name) in (Phase.IN_ROTATION, Phase.HALF_OPEN)]
    if not unknown:
        return
    now: Final = time.time()
    for name, one in cooldowns_of(router).get_active_cooldowns(unknown, parent_otel_span=None):
        base = float(one["cooldown_time"])
        recovery.adopt(name, base, float(one["timestamp"]) + base - now)


def hold_back(
    router: Router, deployment_ids: Sequence[str], tried: Collection[str], *, is_sync: bool
) -> tuple[Collection[str], list[str]]:
    """Which of the deployments that a request can go to are not to be asked, since better ones are left that have not
    failed it; and of which of the others it is the probe, should it go there. A synchronous request has no event loop
    that goes on after it, in which a probe could be beside it."""
    rotation: Final = rotation_of(router)
    doubtful: Final = rotation.doubtful(deployment_ids)
    if not doubtful:
        return (), []
    free: Final = [name for name in deployment_ids if name not in doubtful and name not in tried]
    probed: Final = []
    for name, phase in list(doubtful.items()):
        if free and phase is Phase.HALF_OPEN and _admits(router, rotation, name, is_sync=is_sync):
            del doubtful[name]
            probed.append(name)
    untried: Final = [name for name in deployment_ids if name not in tried] or deployment_ids
    best: Final = min(doubtful.get(name, Phase.IN_ROTATION) for name in untried)
    kept: Final = [name for name in untried if doubtful.get(name, Phase.IN_ROTATION) == best and name not in probed]
    worse: Final = [name for name, phase in doubtful.items() if phase > best and is_replaced(router, name, kept)]
    held: Final = [name for name in worse if rotation.recovery.phase(name) or _has_its_order(router, name, kept)]
    return held, probed


def _has_its_order(router: Router, deployment_id: str, others: Collection[str]) -> bool:
    """Whether one of the others has the deployment's `order`, which the user has set: a mere suspicion goes no further
    than that."""
    infos: Final = {name: router.get_model_info(id=name) or {} for name in (deployment_id, *others)}
    return any(order_of(infos[name]) == order_of(infos[deployment_id]) for name in others)


def _admits(router: Router, rotation: Rotation, deployment_id: str, *, is_sync: bool) -> bool:
    """Whether the caller's request may find out whether a half-open deployment is well: not if that was silent, which
    is found out beside it."""
    recovery: Final = rotation.recovery
    timeout: Final = min(seconds_of(_timeout(router, deployment_id)) or LONGEST_PROBE, LONGEST_PROBE)
    if not recovery.admit(deployment_id, timeout):
        return False
    if is_sync or not recovery.is_silent(deployment_id) or own_setting(router, "background_probes") is False:
        return True
    return not begin_probe(router, deployment_id, timeout, recovery)


def _timeout(router: Router, deployment_id: str) -> object:
    own: Final = deployment_setting(router, deployment_id, "timeout")
    return router_setting(router, "timeout") if own is None else own


def is_replaced(router: Router, deployment_id: str, others: Collection[str]) -> bool:
    """Whether one of the others can do what the deployment can, as far as the filters that a choice still comes to go
    by what the user has declared: its tags, its model and its region."""
    filters: Final = ("enable_tag_filtering", "enable_pre_call_checks")
    if not any(router_setting(router, name) is True for name in filters):
        return bool(others)
    own: Final = _declared(router, deployment_id)
    return any(_declared(router, other) == own for other in others)


def _declared(router: Router, deployment_id: str) -> tuple[object, ...]:
    params: Final = (router.get_model_info(id=deployment_id) or {}).get("litellm_params") or {}
    return tuple(params.get(name) for name in ("tags", "model", "region_name"))
