"""A pytest plugin for `nox -s router`: coverage is measured in the quick tests alone.

On Python 3.11 measuring makes a test take almost twice its time, all of LiteLLM being watched for our few modules. The
tests of many cases would lead through the same lines again, so they are left out, and the limit holds without them.
"""

from __future__ import annotations

import pytest

OF_MANY_CASES = {
    "test_dead_hosts.py",
    "test_entry_points.py",
    "test_every_provider.py",
    "test_every_strategy.py",
    "test_fallback.py",
    "test_outages.py",
    "test_properties.py",
    "test_retry.py",
    "test_soak.py",
    "test_state_machine.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pytest-cov's own marker pauses it."""
    for item in items:
        if item.path.name in OF_MANY_CASES:
            item.add_marker("no_cover")
