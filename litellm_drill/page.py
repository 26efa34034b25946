"""The report as one page."""

from __future__ import annotations

from collections.abc import Sequence

from litellm_drill.finding import Finding
from litellm_drill.outcome import Report


def page(report: Report, other: Report | None, findings: Sequence[Finding]) -> str:
    return ""
