"""Lets the tests import the benchmarks, whose folder is on nobody's path."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
