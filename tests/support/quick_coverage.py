"""A plugin for `nox -s router`, of pytest and of coverage: it is measured of our modules, in the quick tests alone.

On Python 3.11 measuring makes a test take almost twice its time, all of LiteLLM being watched for our few modules. The
tests of many cases would lead through the same lines again, so they are left out, and the limit holds without them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from coverage import CoveragePlugin
from coverage.plugin_support import Plugins
from coverage.types import TConfigurable

OF_MANY_CASES = {
    "test_dead_hosts.py",
    "test_entry_points.py",
    "test_every_provider.py",
    "test_every_strategy.py",
    "test_fallback.py",
    "test_inband_answers.py",
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


class OwnModules(CoveragePlugin):
    """Includes the modules that the patches add. They are asked for in another process, for `fork` itself is measured
    and must not be imported before."""

    def configure(self, config: TConfigurable) -> None:
        """Called by coverage before it measures anything."""
        command = [sys.executable, "-m", "fork", "modules"]
        listed = subprocess.run(command, cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True)
        included = config.get_option("run:include")
        assert isinstance(included, list)
        config.set_option("run:include", [*included, *(f"*/{path}" for path in listed.stdout.split())])


def coverage_init(registry: Plugins, options: object) -> None:
    """Called by coverage for each of its plugins."""
    registry.add_configurer(OwnModules())
