"""
Has a router in Python wait before a retry for as long as the provider asks, in whichever form it does: LiteLLM's own
reading knows the header Retry-After, in whole seconds or as a date.
"""

import functools
import random
from collections.abc import Callable
from typing import Final

from litellm.constants import JITTER
from litellm.litellm_core_utils.failure import kept_failure
from litellm.router_utils.failover.router_view import Router

LONGEST_BACK_OFF: Final = 60.0
"""Seconds. As in LiteLLM, a longer wait is not waited for with a caller at the other end."""


def back_off_as_stated(time_to_sleep: Callable[..., float]) -> Callable[..., float]:
    """Wrap `Router._time_to_sleep_before_retry`, the seconds until a retry: none while another deployment can be asked,
    else the provider's wait, else LiteLLM's back-off."""

    @functools.wraps(time_to_sleep)
    def _time_to_sleep_before_retry(self: Router, e: Exception, *args: object, **kwargs: object) -> float:
        seconds: Final = time_to_sleep(self, e, *args, **kwargs)
        failure: Final = kept_failure(e)
        wait: Final = None if failure is None else failure.retry_after
        if not seconds or wait is None or not 0 < wait <= LONGEST_BACK_OFF:
            return seconds
        return wait + JITTER * random.random()

    return _time_to_sleep_before_retry
