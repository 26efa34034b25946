"""The benchmark of brownouts: it counts attempts and answers, with the retry budget and without."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import brownout
import brownout_work
import pytest
from brownout import Outcome
from brownout_work import BOTH, ONE, Count
from harness import main

litellm: Any = importlib.import_module("litellm")

COUNT = Count(percent=70, asked=100, answered=40, attempts=130)
GOOD = Outcome(BOTH, True, replace(COUNT, attempts=219), replace(COUNT, attempts=218), COUNT)


class TestVerdict:
    @pytest.mark.parametrize(
        ("variant", "patched", "complaints"),
        [
            (BOTH, COUNT, []),
            (BOTH, replace(COUNT, attempts=131), ["1.31 attempts a request"]),
            (BOTH, replace(COUNT, attempts=131, percent=60), []),
            (ONE, replace(COUNT, answered=100, attempts=135), []),
            (ONE, replace(COUNT, answered=99), ["lost 1 requests beside a healthy host"]),
        ],
    )
    def test_complaints(self, variant: str, patched: Count, complaints: list[str]) -> None:
        """What is promised of a brownout, and beside a healthy host, and not kept is a complaint."""
        assert replace(GOOD, variant=variant, patched=patched).complaints == complaints


def test_report() -> None:
    """A row holds all three, the last line what is wrong, and FILE everything."""
    wrong = replace(GOOD, patched=replace(COUNT, attempts=150, answered=50))
    name = "both fail, kept in rotation, 70 %"
    assert brownout.row(wrong) == (name, "100", "2.19 → 2.18 → 1.50", "40% → 40% → 50%", "WRONG")
    assert brownout.sentence([wrong]) == (
        f"The patched LiteLLM is wrong: {name}: 1.50 attempts a request; "
        "where both fail 70 % or more, a request made up to 2.19 attempts, patched 1.50."
    )
    [shown] = json.loads(json.dumps(brownout.report([wrong])))["groups"]
    assert Count(**shown["patched"]) == wrong.patched


async def test_measure() -> None:
    """Each group's attempts and answers are its own, in this interpreter."""
    settings: dict[str, Any] = {"keeps": True, "seconds": 1.0, "percents": [0, 100]}
    well, failing = await brownout_work.measure(litellm, BOTH, has_budget=True, **settings)
    assert (well.asked, well.answered, well.attempts) == (8, 8, 8)
    assert (failing.percent, failing.asked, failing.answered) == (100, 8, 0)
    assert failing.attempts > 8
    _, beside = await brownout_work.measure(litellm, ONE, has_budget=False, **settings)
    assert beside.answered == 8


def test_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each group is asked with the budget and without, and what is shown is of the same rate."""

    def asked(pythons: Mapping[str, str], module: str, questions: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for question in questions:
            counts = [
                vars(replace(COUNT, percent=one, attempts=question["has_budget"])) for one in question["percents"]
            ]
            yield {"stock": counts, "patched": counts}

    monkeypatch.setattr(brownout, "asked_together", asked)
    options = argparse.Namespace(variant=[ONE], keeps=(False, True), percent=(0, 10, 20, 30, 40), seconds=1.0)
    outcomes = list(brownout.run({}, options))
    assert [(one.keeps, one.patched.percent) for one in outcomes] == [
        (keeps, percent) for keeps in (False, True) for percent in options.percent
    ]
    assert all((one.unlimited.attempts, one.patched.attempts) == (False, True) for one in outcomes)


def test_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is zero only when everything promised is kept."""
    for patched, code in ((COUNT, 0), (replace(COUNT, attempts=140), 1)):
        benchmark = replace(brownout.BENCHMARK, run=lambda *_, one=patched: iter([replace(GOOD, patched=one)]))
        assert main(benchmark, ["--stock", sys.executable, "--patched", sys.executable]) == code
