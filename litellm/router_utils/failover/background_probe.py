"""
Finds out beside the callers' requests whether a deployment that was silent answers again: by LiteLLM's health check of
it, whose answer or failure is that of the probe.
"""

import asyncio
import functools
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import litellm
from litellm._logging import verbose_router_logger
from litellm.litellm_core_utils.failure import FailureKind, failure_of
from litellm.router_utils.failover.policy import is_deployment_fault
from litellm.router_utils.failover.router_view import Deployment, Router, is_pattern

CHAT: Final = (None, "chat")
MODES: Final = (*CHAT, "completion", "embedding", "responses", "rerank")
"""What a model is for, where a check is a small request."""

HAS_HEALTH_CHECK: Final = importlib.util.find_spec("fastapi") is not None
"""LiteLLM's own needs the extra [proxy]; without it a chat is asked, and nothing else probed beside the callers."""

_running: Final[dict[asyncio.Task[None], Callable[[], None]]] = {}
"""The probes, since asyncio itself keeps no task, and what is to be done should one be cut off."""


class Judge(Protocol):
    """Who is told what came of a probe: a `Recovery`."""

    def restore(self, deployment_id: str) -> None: ...

    def eject_again(self, deployment_id: str, *, wait: float | None = None, is_silent: bool) -> None: ...

    def hand_over(self, deployment_id: str) -> None: ...


def begin_probe(router: Router, deployment_id: str, timeout: float, judge: Judge) -> bool:
    """Probe a deployment, for `timeout` seconds at the most, beside the request under way. False where that cannot be:
    there is no event loop that goes on, or no small request that is like the deployment's."""
    deployment: Final = router.get_model_info(id=deployment_id)
    loop: Final = asyncio._get_running_loop()
    if loop is None or deployment is None or not can_be_probed(deployment):
        return False
    task: Final = loop.create_task(_probe(deployment_id, deployment, timeout, judge))
    _running[task] = functools.partial(judge.hand_over, deployment_id)
    task.add_done_callback(_end)
    return True


def _end(task: asyncio.Task[None]) -> None:
    cut_off: Final = _running.pop(task, None)
    if cut_off is not None and task.cancelled():
        cut_off()


def end_cut_off() -> None:
    """Hand over the probes whose event loop has been closed without a word to them. Those of a loop that ends as
    `asyncio.run` ends one are cancelled."""
    for task in [one for one in list(_running) if one.get_loop().is_closed()]:
        cut_off = _running.pop(task, None)
        if cut_off is not None:
            cut_off()


def can_be_probed(deployment: Deployment) -> bool:
    """Whether there is a small request for what the deployment is for."""
    return not is_pattern(deployment) and _mode(deployment) in (MODES if HAS_HEALTH_CHECK else CHAT)


def _mode(deployment: Deployment) -> Any:  # any-ok: whatever the user has set
    return (deployment.get("model_info") or {}).get("mode")


async def _probe(deployment_id: str, deployment: Deployment, timeout: float, judge: Judge) -> None:
    asked: Final = asyncio.ensure_future(_asked(deployment, timeout))
    asked.add_done_callback(_has_failed)  # so that nobody misses what it raises
    try:
        await asyncio.wait({asked})  # a loop that ends cancels both: what becomes of the request then is no answer
        error: Final = asked.result()
    except Exception as problem:  # nobody waits for this
        verbose_router_logger.debug("The probe of deployment %s has failed: %s", deployment_id, type(problem).__name__)
        judge.eject_again(deployment_id, is_silent=isinstance(problem, asyncio.TimeoutError))
        return
    finally:
        asked.cancel()
    failure: Final = None if error is None else failure_of(error)
    if failure is None or not is_deployment_fault(failure.kind):
        judge.restore(deployment_id)
    else:
        is_silent: Final = failure.kind in (FailureKind.TIMED_OUT, FailureKind.UNREACHABLE)
        judge.eject_again(deployment_id, wait=failure.retry_after, is_silent=is_silent)


def _has_failed(asked: "asyncio.Future[BaseException | None]") -> bool:
    return not asked.cancelled() and asked.exception() is not None


async def _asked(deployment: Deployment, timeout: float) -> BaseException | None:
    """What a small request to the deployment fails with, None if it is answered."""
    mode: Final = _mode(deployment)
    params: Final = {**deployment["litellm_params"], "messages": [{"role": "user", "content": "ping"}]}
    limits: Final = {"timeout": timeout, "max_retries": 0, **({} if mode == "embedding" else {"max_tokens": 16})}
    if not HAS_HEALTH_CHECK:
        return await _failed_chat({**params, **limits}, timeout)
    check: Final = litellm.ahealth_check({**params, **limits}, mode=mode, prompt="ping", input=["ping"])
    found: Final[object] = await asyncio.wait_for(check, timeout)
    if not isinstance(found, Mapping) or "error" not in found:
        return None
    error: Final = found.get("exception")
    return error if isinstance(error, BaseException) else Exception(str(found["error"]))


async def _failed_chat(request: dict[str, object], timeout: float) -> BaseException | None:
    try:
        await asyncio.wait_for(litellm.acompletion(**request), timeout)
    except Exception as error:
        return error
    return None
