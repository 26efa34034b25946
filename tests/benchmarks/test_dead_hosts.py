"""The benchmark of dead hosts: it counts what reached them, and takes nothing worse than stock."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import dead_hosts
import dead_hosts_work
import pytest
from dead_hosts import Outcome
from dead_hosts_work import DEPLOYMENTS, Cell, Measurement, Result
from failover_cell import own_callbacks
from harness import main

from support.faulty_provider import FAULTS, HEALTHY, FaultyProvider

litellm: Any = importlib.import_module("litellm")

GOOD = Result(
    cell=Cell("openai", "refused", "least-busy", 2),
    asked=4,
    lost=0,
    wasted=2,
    most=2,
    seconds=[0.012, 0.010, 0.030, 0.012],
    own=[0.010, 0.009, 0.010, 0.020],
)


class TestVerdict:
    @pytest.mark.parametrize(
        ("patched", "complaints"),
        [
            (GOOD, []),
            (replace(GOOD, wasted=0, most=0), []),
            (replace(GOOD, lost=1), ["lost 1 of 4 requests"]),
            (replace(GOOD, wasted=3), ["wasted 3 attempts where stock wasted 2"]),
            (replace(GOOD, most=3), ["tried 2 dead hosts 3 times for one request"]),
        ],
    )
    def test_complaints(self, patched: Result, complaints: list[str]) -> None:
        """Each thing a good router does not do is a complaint of its own."""
        assert Outcome(stock=GOOD, patched=patched).complaints == complaints

    def test_stock_is_not_judged(self) -> None:
        """What stock does wrong is only shown."""
        assert Outcome(stock=replace(GOOD, lost=4, wasted=20, most=5), patched=GOOD).complaints == []

    @pytest.mark.parametrize(
        ("stock", "better"), [(GOOD, False), (replace(GOOD, lost=1), True), (replace(GOOD, wasted=3), True)]
    )
    def test_better(self, stock: Result, better: bool) -> None:
        """Better is who loses or wastes less."""
        assert Outcome(stock=stock, patched=GOOD).better is better

    def test_added_latency(self) -> None:
        """Latency is what an answer takes over the median of the healthy group; without an answer there is none."""
        assert dead_hosts.added(GOOD, median) == pytest.approx(0.002)
        assert dead_hosts.added(GOOD, max) == pytest.approx(0.020)
        assert dead_hosts.added(replace(GOOD, seconds=[], lost=4), median) is None


class TestReport:
    better = Outcome(stock=replace(GOOD, lost=4, wasted=20, most=5, seconds=[]), patched=GOOD)
    worse = Outcome(stock=GOOD, patched=replace(GOOD, lost=1))

    def test_table(self) -> None:
        """A row holds both sides of a cell, and a word for what became of it."""
        better, worse = map(dead_hosts.row, (self.better, self.worse))
        for part in ("openai", "refuses connections", "least-busy", "2 of 5", "20 → 2", "5 → 2", "4 → 0", "better"):
            assert part in better
        assert better[-3:-1] == ("no answer → +2 ms", "no answer → +20 ms")
        assert worse[-1] == "WRONG"

    def test_sentence(self) -> None:
        """The last line adds up what was wasted and lost, and names what is wrong."""
        numbers = (
            "stock LiteLLM wasted 20 attempts and lost 4 requests, the patched one 2 attempts and lost 0 requests."
        )
        assert dead_hosts.sentence([self.better]) == f"In 1 cells, with 4 requests {numbers}"
        assert dead_hosts.sentence([self.worse]).startswith(
            "The patched LiteLLM is wrong: openai, refused, least-busy, 2 dead: lost 1 of 4 requests; with 4 requests "
        )

    def test_json_round_trip(self) -> None:
        """What a worker prints is what is judged, and FILE says what came of it."""
        [row] = json.loads(json.dumps(dead_hosts.report([self.better])))["cells"]
        patched = row["patched"]
        assert row["stock"]["added_median"] is None
        assert patched.pop("added_median") == pytest.approx(0.002)
        assert patched.pop("added_worst") == pytest.approx(0.020)
        cell = {name: row[name] for name in ("provider", "fault", "strategy", "dead")}
        assert Result.from_json({"cell": cell, **patched}) == GOOD


class TestMeasure:
    """Inside one interpreter, with whatever litellm it has."""

    @pytest.mark.parametrize("provider", dead_hosts.USUAL_PROVIDERS)
    async def test_every_attempt_is_counted(self, provider: str) -> None:
        """LiteLLM announces as many attempts, retries too, as a dead host reads; that is relied on where none reads."""
        cell = Cell(provider, "503", "simple-shuffle", DEPLOYMENTS - 1)
        with FaultyProvider(FAULTS["503"]) as dead, FaultyProvider() as healthy, own_callbacks(litellm):
            measurement = Measurement(litellm, cell, dead, healthy)
            result = await measurement.run(10)
        assert measurement.sent_to_the_dead == dead.attempts == result.wasted
        assert result.most > 1

    @pytest.mark.parametrize("fault", dead_hosts.FAULTS)
    async def test_dead(self, fault: str) -> None:
        """A dead host costs attempts, and no request goes to more hosts than it may."""
        result = await dead_hosts_work.measure(litellm, Cell("openai", fault, "simple-shuffle", DEPLOYMENTS - 1), 4)
        assert result.asked == len(result.own) == len(result.seconds) + result.lost == 4
        assert 0 < result.most <= min(result.wasted, dead_hosts_work.RETRIES + 1)

    async def test_nothing_dead(self) -> None:
        """With every host alive nothing is lost or wasted."""
        result = await dead_hosts_work.measure(litellm, Cell("openai", "refused", "least-busy", 0), 4)
        assert (result.lost, result.wasted, result.most, len(result.seconds)) == (0, 0, 0, 4)

    async def test_wrong_answer(self) -> None:
        """An answer that is not the healthy host's is none."""
        with FaultyProvider(HEALTHY, answer="another") as dead, FaultyProvider() as healthy, own_callbacks(litellm):
            cell = Cell("openai", "503", "simple-shuffle", DEPLOYMENTS - 1)
            result = await Measurement(litellm, cell, dead, healthy).run(10)
        assert result.lost == result.wasted > 0

    @pytest.mark.parametrize(("minutes", "times"), [([1, 2], 2), ([1, 1], 1)])
    async def test_minute(self, minutes: list[int], times: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """A cell that runs over the end of a minute is measured again, once."""
        asked: list[int] = []

        async def once(_: object, cell: Cell, requests: int) -> Result:
            asked.append(requests)
            return replace(GOOD, asked=len(asked))

        clock = iter(minutes)
        monkeypatch.setattr(dead_hosts_work, "_minute", lambda: next(clock))
        monkeypatch.setattr(dead_hosts_work, "_measure_once", once)
        assert (await dead_hosts_work.measure(litellm, GOOD.cell, 7)).asked == times
        assert asked == [7] * times

    @pytest.mark.parametrize(
        ("cell", "message"),
        [
            (("openai", "refused", "random", 1), "unknown strategy 'random'; choose one of simple-shuffle"),
            (("openai", "refused", "least-busy", 5), "unknown dead 5; choose one of 0, 1, 2, 3, 4"),
        ],
    )
    def test_unknown_cell(self, cell: tuple[Any, ...], message: str) -> None:
        """A cell that cannot be is refused by name, with the choices."""
        with pytest.raises(ValueError, match=message):
            Cell(*cell)


class TestRun:
    SIDES = ("--stock", sys.executable, "--patched", sys.executable)

    def test_end_to_end(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """This interpreter on both sides goes through a cell, and loses and wastes as much as itself."""
        file = tmp_path / "cells.json"
        cell = ["--provider", "openai", "--fault", "503", "--strategy", "simple-shuffle", "--dead", "1"]
        code = main(dead_hosts.BENCHMARK, [*self.SIDES, *cell, "--json", str(file)])
        [row] = json.loads(file.read_text())["cells"]
        assert (row["fault"], row["dead"]) == ("503", 1)
        assert code == bool(row["complaints"])
        stock, patched = ([row[side][name] for name in ("lost", "wasted", "most")] for side in ("stock", "patched"))
        assert stock == patched
        assert row["patched"]["wasted"] > 0
        assert row["patched"]["asked"] == dead_hosts_work.REQUESTS
        assert "the patched one" in capsys.readouterr().out.splitlines()[-1]

    @pytest.mark.parametrize(
        ("outcome", "code"), [(TestReport.better, 0), (TestReport.worse, 1)], ids=["better", "worse"]
    )
    def test_exit_code(self, outcome: Outcome, code: int) -> None:
        """The exit code is zero only when nothing is worse."""
        benchmark = replace(dead_hosts.BENCHMARK, run=lambda *_: iter([outcome]))
        assert main(benchmark, [*self.SIDES]) == code
