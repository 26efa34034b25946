"""The failover benchmark judges by the policy, and says so in words and exit codes."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import failover
import pytest
from failover_cell import MODES, STRATEGIES, Cell, Result
from harness import SIDES, main

from support.faulty_provider import FAULTS, PROVIDERS


def result(fault: str, *, lost: int = 0, failures: int = 0, cooled: bool = False, mode: str = "async") -> Result:
    return Result(
        cell=Cell("openai", fault, "simple-shuffle", mode),
        asked=12,
        answered=12 - lost,
        lost=list(range(1, lost + 1)),
        attempts=failures,
        failures=failures,
        cooled_after=1 if cooled else None,
        worst=0.25,
        errors={},
    )


class TestVerdict:
    @pytest.mark.parametrize("fault", ["401", "402", "403", "404", "429", "429-retry-after", "refused", "unresolvable"])
    def test_one_failure_cools_down(self, fault: str) -> None:
        """No request is lost to the deployment, and its first failure takes it out of rotation."""
        assert failover.complaint(result(fault, failures=1, cooled=True)) is None
        assert failover.complaint(result(fault, failures=1, cooled=True, lost=1)) is not None
        assert failover.complaint(result(fault, failures=1)) == "not cooled down after 1 failures"

    @pytest.mark.parametrize("fault", ["500", "503", "529", "408", "reset", "close", "silence", "html-200"])
    def test_repeated_failures_cool_down(self, fault: str) -> None:
        """Five failures are LiteLLM's minimum for its failure rate; until then no cooldown is due, and nothing lost."""
        assert failover.complaint(result(fault, failures=4)) is None
        assert failover.complaint(result(fault, failures=4, lost=1)) is not None
        assert failover.complaint(result(fault, failures=5)) is not None
        assert failover.complaint(result(fault, failures=5, cooled=True)) is None

    def test_fault_of_the_caller(self) -> None:
        """A rejected request is lost by right and never cools anything down."""
        assert failover.complaint(result("400", failures=12, lost=12)) is None
        assert failover.complaint(result("400", failures=1, lost=1, cooled=True)) is not None

    @pytest.mark.parametrize("fault", failover.BREAKS_AFTER_ITS_FIRST_WORDS)
    def test_broken_streams_are_not_judged_yet(self, fault: str) -> None:
        """A stream that fails after it began is shown; the same fault without a stream is judged."""
        assert failover.complaint(result(fault, failures=9, lost=9, mode="async-stream")) is None
        assert failover.complaint(result(fault, failures=9, lost=9)) is not None

    def test_every_fault_has_an_expectation(self) -> None:
        """No fault of the table is left unjudged by accident."""
        assert set(failover.EXPECTATIONS) == set(FAULTS)

    def test_untried_deployment_owes_no_cooldown(self) -> None:
        """Twelve draws that all fall on the healthy deployment prove nothing."""
        assert failover.complaint(result("refused")) is None


class TestGrid:
    def test_default(self) -> None:
        """The usual grid has each provider, fault and strategy once, silence under two, and each mode per column."""
        cells = failover.grid(full=False, cooldown_time=None)
        keys = {(cell.provider, cell.fault, cell.strategy) for cell in cells}
        everything = set(product(PROVIDERS, FAULTS, STRATEGIES))
        assert len(keys) == len(cells)
        assert {key[1] for key in everything - keys} == {"silence"}
        for provider in PROVIDERS:
            assert {cell.mode for cell in cells if cell.provider == provider} == set(MODES)

    def test_full(self) -> None:
        """The full grid has all modes everywhere but where litellm has none."""
        cells = failover.grid(full=True, cooldown_time=2.0)
        combinations = len(MODES) * (len(STRATEGIES) - 1) + 2
        assert len(set(cells)) == len(cells) == len(PROVIDERS) * len(FAULTS) * combinations
        assert {cell.cooldown_time for cell in cells} == {2.0}

    def test_unknown_cell(self) -> None:
        """A cell outside the grid is refused by name, with the choices."""
        with pytest.raises(ValueError, match="unknown strategy 'random'; choose one of simple-shuffle"):
            Cell("openai", "429", "random")


class TestReport:
    def test_table_adds_up_and_marks(self) -> None:
        """A row adds its cells up, stock → patched, and says what became of it."""
        cells = [result("refused", failures=12, lost=6), result("refused", failures=1, cooled=True)]
        outcomes = [("stock", cells[0]), ("stock", cells[1]), ("patched", cells[1]), ("patched", cells[1])]
        [row] = failover.rows(outcomes)
        assert row[0] == "openai"
        for part in ("18/24 → 24/24", "13 → 2", "1/2 → 2/2", "fixed"):
            assert part in row
        assert failover.rows([(side, cells[0]) for side in SIDES])[-1][-1] == "WRONG"

    def test_sentence_names_the_first_wrong_cell(self) -> None:
        """The last line tells what was lost, where, and on how many cells."""
        bad, good = result("reset", failures=5, cooled=True, lost=3), result("reset", failures=5, cooled=True)
        assert failover.sentence([("stock", bad), ("patched", good)]).endswith("in 1, the patched one in none.")
        wrong = failover.sentence([("stock", good), ("patched", bad)])
        assert "in 1 of 1 cells" in wrong
        assert "openai, reset, simple-shuffle, async: lost 3 of 12 requests where 0 may be" in wrong

    def test_json_survives_a_round_trip(self) -> None:
        """What a worker prints is what the table is made of."""
        measured = result("429", failures=1, cooled=True)
        [cell] = json.loads(json.dumps(failover.report([("stock", measured)])))["cells"]
        assert (cell.pop("side"), cell.pop("complaint")) == ("stock", None)
        assert Result.from_json(cell) == measured
        assert Result.from_json({**cell, "worst": 1.0}) == replace(measured, worst=1.0)


class TestRun:
    def test_one_cell_end_to_end(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Two workers of this interpreter measure a 429 over sockets, keep the policy, and everything lands in FILE."""
        file = tmp_path / "cells.json"
        arguments = ["--stock", sys.executable, "--patched", sys.executable, "--json", str(file), "--jobs", "1"]
        assert main(failover.BENCHMARK, [*arguments, "--provider", "openai", "--fault", "429"]) == 0
        cells = json.loads(file.read_text())["cells"]
        assert sorted(cell["side"] for cell in cells) == ["patched"] * 5 + ["stock"] * 5
        assert all(cell["answered"] == 12 for cell in cells)
        assert "the patched one in none." in capsys.readouterr().out.splitlines()[-1]
