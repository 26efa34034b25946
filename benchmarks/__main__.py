"""`python benchmarks NAME --stock PYTHON --patched PYTHON`, which `nox -s bench -- NAME` runs."""

from __future__ import annotations

import importlib
import sys

from harness import main

COMPARISONS = ("failover", "outages", "dead_hosts", "silent_host", "brownout", "inband", "overhead")

if __name__ == "__main__":
    name, *arguments = sys.argv[1:] or [""]
    if name not in COMPARISONS:
        sys.exit(f"{name or 'nothing'} is no benchmark; name one of {', '.join(COMPARISONS)}")
    sys.exit(main(importlib.import_module(name).BENCHMARK, arguments))
