"""
Counts what takes deployments out of rotation, what probes them, and the retries that they are spared, in the metrics
that LiteLLM's Prometheus callback serves.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import litellm
from litellm._logging import verbose_router_logger
from litellm.litellm_core_utils.failure import FailureKind
from litellm.router_utils.failover.recovery import Event

if TYPE_CHECKING:
    from prometheus_client import Counter

_COUNTERS: Final = {
    Event.EJECTED: (
        "litellm_deployment_ejections",
        "Times that a deployment was taken out of rotation, by the kind of its latest failure",
    ),
    Event.PROBED: (
        "litellm_deployment_probes",
        "Requests that found out whether a deployment is well, by the kind of its latest failure",
    ),
    Event.DENIED: (
        "litellm_deployment_retries_denied",
        "Failures at a deployment that were not tried again, its group's retry budget being spent",
    ),
}
"""What each event is counted under, and what that counter means."""
_LABELS: Final = ("model_id", "kind")
_UNKNOWN: Final = "unknown"  # another process, or a health check, has seen it fail


def count(event: Event, deployment_id: str, kind: FailureKind | None) -> None:
    """Count an event of a deployment, if LiteLLM's Prometheus callback is on. Never raises: a metric must not take an
    answer from a caller.

    Args:
        event: What has befallen it.
        deployment_id: The `model_info.id` of one in the router's list, so there are as many as that has.
        kind: Of its latest failure, None if it is not known.
    """
    try:
        if _is_on():
            _counter(_COUNTERS[event][0]).labels(deployment_id, _UNKNOWN if kind is None else kind.value).inc()
    except Exception as error:
        verbose_router_logger.warning("%s was not counted: %s", _COUNTERS[event][0], error)


def _is_on() -> bool:
    callbacks: Final = (*litellm.callbacks, *litellm.success_callback, *litellm.failure_callback)
    return any(one == "prometheus" or type(one).__name__ == "PrometheusLogger" for one in callbacks)


@lru_cache(maxsize=len(_COUNTERS))
def _counter(name: str) -> "Counter":
    from prometheus_client import Counter  # which LiteLLM's callback needs

    return Counter(name, dict(_COUNTERS.values())[name], _LABELS)
