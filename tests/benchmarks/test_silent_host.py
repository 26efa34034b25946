"""The benchmark of silent hosts: it counts who waited, and what the silent hosts read."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from dataclasses import replace
from typing import Any

import pytest
import silent_host
import silent_host_work
from harness import main
from silent_host import MOST_ATTEMPTS, MOST_WAITED, Outcome
from silent_host_work import Result

from support.redis_server import BINARY

litellm: Any = importlib.import_module("litellm")

GOOD = Result(variant="one_of_two", asked=240, lost=0, waited=MOST_WAITED, attempts=MOST_ATTEMPTS)


class TestVerdict:
    @pytest.mark.parametrize(
        ("patched", "complaints"),
        [
            (GOOD, []),
            (replace(GOOD, lost=1), ["lost 1 of 240 requests"]),
            (replace(GOOD, waited=5), ["5 requests waited a whole timeout"]),
            (replace(GOOD, attempts=13), ["13 attempts at the silent"]),
        ],
    )
    def test_complaints(self, patched: Result, complaints: list[str]) -> None:
        """Each thing that is promised and not kept is a complaint of its own."""
        assert Outcome(stock=GOOD, patched=patched).complaints == complaints

    def test_stock_is_not_judged(self) -> None:
        """What stock does wrong is only shown."""
        assert Outcome(stock=replace(GOOD, waited=46, lost=3, attempts=46), patched=GOOD).complaints == []


def test_report() -> None:
    """A row holds both sides, the last line what is wrong, and FILE everything."""
    wrong = Outcome(stock=replace(GOOD, waited=46), patched=replace(GOOD, waited=9))
    assert silent_host.row(wrong) == ("1 of 2 silent", "240", "46 → 9", "12 → 12", "0 → 0", "WRONG")
    assert silent_host.sentence([wrong]) == (
        "The patched LiteLLM is wrong: 1 of 2 silent: 9 requests waited a whole timeout; "
        "of 240 requests 46 waited a whole timeout on stock LiteLLM, 9 patched."
    )
    [shown] = json.loads(json.dumps(silent_host.report([wrong])))["variants"]
    assert Result(**shown["patched"]) == wrong.patched


NEEDS_REDIS = pytest.mark.skipif(shutil.which(BINARY) is None, reason=f"several Routers need {BINARY}")


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(name, marks=[NEEDS_REDIS] if workers > 1 else [])
        for name, (*_, workers) in silent_host_work.VARIANTS.items()
    ],
)
async def test_measure(variant: str) -> None:
    """Whoever waited is counted, in this interpreter, and so is what the silent hosts read."""
    result = await silent_host_work.measure(litellm, variant, 1.5)
    assert (result.asked, result.lost) == (12, 0)
    assert result.waited > 0
    assert result.attempts > 0


def test_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is zero only when everything promised is kept."""
    for patched, code in ((GOOD, 0), (replace(GOOD, lost=1), 1)):
        outcome = Outcome(stock=GOOD, patched=patched)
        benchmark = replace(silent_host.BENCHMARK, run=lambda *_, one=outcome: iter([one]))
        assert main(benchmark, ["--stock", sys.executable, "--patched", sys.executable]) == code
