"""How `stream_recovery` and `hold_ms` are set: for the router, a deployment or a request."""

from typing import Final

from litellm._logging import verbose_router_logger
from litellm.router_utils.failover.router_view import own_setting, router_setting
from litellm.types.utils import all_litellm_params

MODES: Final = ("off", "continue", "hold")
"""What `stream_recovery` can be. `continue` is the default: it changes nothing of a stream that does not break."""

SETTINGS: Final = ("stream_recovery", "hold_ms")

# So that LiteLLM sends a deployment's own to no provider.
all_litellm_params.extend(name for name in SETTINGS if name not in all_litellm_params)


def without_settings(request: dict[str, object]) -> dict[str, object]:
    """`request` itself, which LiteLLM is to know nothing of the settings of."""
    for name in SETTINGS:
        request.pop(name, None)
    return request


def mode_of(router: object) -> str:
    """The mode of a router, or of its core: none by default where LiteLLM's own way to continue a stream is on."""
    is_upstreams: Final = router_setting(router, "enable_mid_stream_fallback_continuation") is True
    return read_mode(own_setting(router, "stream_recovery")) or ("off" if is_upstreams else "continue")


def read_mode(value: object) -> str | None:
    """One of MODES, None if it is not set. YAML reads `off` as false. Of anything else the log tells."""
    if value is None or value is False:
        return None if value is None else "off"
    if value in MODES:
        return str(value)
    verbose_router_logger.warning("stream_recovery is none of %s, so continue holds: %.40s", ", ".join(MODES), value)
    return "continue"


def held_for(router: object, value: object) -> float | None:
    """For how many seconds words are held back, by a request's own `hold_ms` or else the router's; None: to the end."""
    milliseconds: Final = own_setting(router, "hold_ms") if value is None else value
    if milliseconds is None:
        return None
    try:
        return max(float(str(milliseconds)), 0.0) / 1000
    except ValueError:
        verbose_router_logger.warning("hold_ms is no number, so words are held until the end: %.40s", milliseconds)
        return None
