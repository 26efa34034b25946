"""
What the user has said of answers of 200 that say nothing, or do not end: whether they have failed.
"""

from functools import lru_cache
from typing import Final

import litellm
from litellm._logging import verbose_logger

EMPTY: Final = "empty_answer"
"""One of `litellm_settings`, `fail` by default or `pass`: what comes of an answer that says nothing."""

UNFINISHED: Final = "unfinished_stream"
"""As `empty_answer`, of a stream that closes without an end: some servers never send one."""

_LONGEST_WORD: Final = 40  # characters of a setting that are shown


def fails(setting: str) -> bool:
    """Whether what `setting`, one of the two, is about has failed. For what is neither word the log names the setting,
    once."""
    chosen: Final = vars(litellm).get(setting)  # litellm looks up at length what it does not have
    return chosen is None or _is_fail(setting, str(chosen)[:_LONGEST_WORD])


@lru_cache(maxsize=8)
def _is_fail(setting: str, chosen: str) -> bool:
    if chosen not in ("fail", "pass"):
        verbose_logger.warning("%s is neither fail nor pass, so fail holds: %s", setting, chosen)
    return chosen != "pass"
