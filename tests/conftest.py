"""What every test here starts from: no download at import, the same dice."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import random
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

# For `fork`. At the end, because a vendored litellm/ in the repository must not hide the installed one.
REPOSITORY = Path(__file__).parents[1]
sys.path.append(str(REPOSITORY))


def _for_other_releases() -> set[Path]:
    """The tests that patches add for other releases than the one at hand. In upstream's repository there are none."""
    if importlib.util.find_spec("fork") is None:
        return set()
    from fork.patches import files_for_others, load

    base = version("litellm").partition("+")[0]
    return {REPOSITORY / path for path in files_for_others(load(REPOSITORY / "patches"), base)}


# LiteLLM leaves its aiohttp sessions to the garbage collector, which complains after pytest's last line.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)

settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", parent=settings.get_profile("suite"), derandomize=False, max_examples=2000)
settings.register_profile("no-shrinking", parent=settings.get_profile("suite"), phases=[Phase.generate])
settings.load_profile("suite")


FOR_OTHER_RELEASES = _for_other_releases()


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """A test of a module that the release at hand does not have is not collected."""
    return True if collection_path in FOR_OTHER_RELEASES else None


CACHED_BY = ("input_callback", "success_callback", "_async_success_callback")


@pytest.fixture(autouse=True)
def litellm_as_imported() -> Iterator[Any]:
    """Gives each test litellm's module-wide settings as they are after import."""
    litellm: Any = importlib.import_module("litellm")
    transport, debug = litellm.disable_aiohttp_transport, litellm.suppress_debug_info
    litellm.suppress_debug_info = True
    random.seed(20260322)
    yield litellm
    litellm.disable_aiohttp_transport, litellm.suppress_debug_info = transport, debug
    # LiteLLM's code for Gemini's contexts is, once imported, among the callbacks of all later requests.
    for callbacks in (*(getattr(litellm, name) for name in CACHED_BY), litellm.utils.callback_list):
        callbacks[:] = [callback for callback in callbacks if callback != "cache"]
    litellm.in_memory_llm_clients_cache.flush_cache()
