"""The overhead benchmark knows a cost from its own noise, and measures only answers of the provider's."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import overhead
import pytest
from failover_cell import own_callbacks
from harness import Worker, main
from overhead_work import (
    ANSWERS,
    COUNTED,
    CPU,
    FIRST_WORD,
    FUNCTION_CALLS,
    MEASURES,
    ONE_CALLER,
    PEAK,
    RATE,
    SPEED,
    UNCOLLECTED,
    RouterCalls,
)

from support.faulty_provider import FaultyProvider

litellm: Any = importlib.import_module("litellm")


class TestOverhead:
    @staticmethod
    def run(
        figure: overhead.Figure | None = None, worse: float = 1.0, control: Sequence[float] = (1, 1, 1)
    ) -> dict[overhead.Figure, overhead.Samples]:
        """Three parts of three turns. Patched is so much worse than stock in one `figure`, and in each turn of a part
        stock is so many times itself."""
        stock = [1.0, 2.0, 3.0] * 3
        factors = [factor for factor in control for _ in range(3)]

        def samples(of: overhead.Figure) -> overhead.Samples:
            factor = 1.0 if of != figure else 1 / worse if of.measure == RATE else worse
            again = [value * factor for value, factor in zip(stock, factors, strict=True)]
            patched = [value * factor for value in stock]
            return overhead.Samples({overhead.STOCK: stock, overhead.PATCHED: patched, overhead.CONTROL: again})

        return {figure: samples(figure) for figure in overhead.FIGURES}

    def test_equal(self) -> None:
        """What is no worse anywhere has no complaint."""
        assert overhead.complaints(self.run()) == []

    def test_noise(self) -> None:
        """Stock is as far from itself as in its worst part, in whichever direction."""
        [figure, *_] = overhead.FIGURES
        assert self.run(control=(1.0, 1.25, 1.1))[figure].noise() == pytest.approx(1.25)
        assert self.run(control=(1.0, 0.5, 1.1))[figure].noise() == pytest.approx(2.0)

    @pytest.mark.parametrize("figure", [figure for figure in overhead.FIGURES if figure.workload in SPEED], ids=str)
    def test_speed(self, figure: overhead.Figure) -> None:
        """A speed may be worse by the noise, never less than the least; fewer requests per second are worse."""
        assert overhead.complaints(self.run(figure, 1.029)) == []
        [complaint] = overhead.complaints(self.run(figure, 1.031))
        assert complaint == f"{figure} is 1.031 times worse than stock, above 1.030"
        assert overhead.complaints(self.run(figure, 1.19, control=(1, 1.2, 1))) == []
        assert len(overhead.complaints(self.run(figure, 1.21, control=(1, 1.2, 1)))) == 1
        assert overhead.complaints(self.run(figure, 0.5)) == []

    @pytest.mark.parametrize("figure", [figure for figure in overhead.FIGURES if figure.workload in COUNTED], ids=str)
    def test_count(self, figure: overhead.Figure) -> None:
        """A count has a limit of its own, however much stock differs from itself."""
        limit = overhead.EXACT_LIMITS[figure.measure]
        assert overhead.complaints(self.run(figure, limit)) == []
        assert len(overhead.complaints(self.run(figure, limit + 0.001, control=(1, 2, 1)))) == 1

    def test_mapping(self) -> None:
        """The four answers are judged together, and further looks at other failures not at all."""
        names = [workload for workload in MEASURES if workload.startswith("exception_type")]
        runs = {name: self.run(overhead.Figure(name, CPU), 1.3) for name in names}
        assert {name for name, run in runs.items() if overhead.complaints(run)} == set(ANSWERS)
        [complaint] = overhead.complaints(runs[next(iter(ANSWERS))])
        assert complaint == "exception_type() costs 1.075 times the stock one, above 1.05"

    def test_table(self) -> None:
        """A row holds the blocks, the medians of both sides, the ratios to stock, their noise and the limit."""
        run = self.run(overhead.Figure(ONE_CALLER, CPU), 1.5, control=(1, 1, 1.1))
        [row] = [row for row in overhead.rows(run) if row[0] == f"{ONE_CALLER}: {CPU}"]
        assert list(row[1:]) == ["9", "2.0", "3.0", "1.500", "1.000", "1.100", "1.100"]

    def test_turns(self) -> None:
        """Every generation warms up and then measures as often as asked, each side in turn, the counts once."""
        blocks = list(overhead.blocks(2))
        assert {turn for turn, *_ in blocks} == {-1, 0, 1}
        for workload in MEASURES:
            sides = [side for turn, of, side in blocks if of == workload and turn >= 0]
            turns = overhead.TURNS if workload not in COUNTED else overhead.TURNS[1:]
            assert sides == [side for turn in turns for side in turn]

    @pytest.mark.parametrize(("worse", "code"), [(1.0, 0), (2.0, 1)])
    def test_exit_code_and_file(
        self,
        worse: float,
        code: int,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """The exit code is zero only where nothing costs too much, and FILE holds every block."""

        def measure(*_: object) -> Iterator[tuple[str, str, dict[str, float]]]:
            for workload, measures in MEASURES.items():
                for side in overhead.TURNS[0]:
                    factor = worse if (workload, side) == (ONE_CALLER, overhead.PATCHED) else 1.0
                    yield workload, side, dict.fromkeys(measures, factor)

        file = tmp_path / "overhead.json"
        assert (
            main(
                replace(overhead.BENCHMARK, run=measure),
                ["--stock", sys.executable, "--patched", sys.executable, "--json", str(file)],
            )
            == code
        )
        figures = {(row["workload"], row["measure"]): row for row in json.loads(file.read_text())["figures"]}
        assert len(figures) == len(overhead.FIGURES)
        assert figures[ONE_CALLER, CPU]["values"] == {"stock": [1.0], "patched": [worse], "stock again": [1.0]}
        assert (
            capsys.readouterr().out.splitlines()[-1].startswith("Too much: " if code else "Successful Router calls: ")
        )


class TestOverheadWork:
    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[RouterCalls]:
        # Another test's loop may have ended with entries in LiteLLM's one queue, which nobody would ever take out.
        worker = importlib.import_module("litellm.litellm_core_utils.logging_worker").GLOBAL_LOGGING_WORKER
        monkeypatch.setattr(worker, "_queue", None)
        with FaultyProvider(answer="another") as provider, own_callbacks(litellm):
            loop = asyncio.new_event_loop()
            yield RouterCalls(litellm, loop, f"{provider.url}/v1")
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    def test_wrong_answer(self, calls: RouterCalls) -> None:
        """Only answers of the provider's count as the happy path."""
        for call in (calls.whole, calls.streamed):
            with pytest.raises(RuntimeError, match="answer is 'another', not the provider's"):
                calls.speed(call, 1, 1)

    def test_speed(self, calls: RouterCalls) -> None:
        """Each caller asks again once it is answered; a wait counts as time, not as the processor's."""
        running, most = 0, 0

        async def call() -> float:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.02)
            running -= 1
            return 0.25

        begun = time.perf_counter()
        block = calls.speed(call, callers=4, count=20)
        assert most == 4
        assert block[FIRST_WORD] == 250
        assert 20 / (time.perf_counter() - begun) <= block[RATE] <= 20 / (5 * 0.02)
        assert block[CPU] < 1e6 / block[RATE]

    def test_counts(self, calls: RouterCalls) -> None:
        """Counted are the functions that run, what all callers hold at once, and what only a collection frees."""
        width, knots, callers, count = 2**20, 100, 4, 40
        # More in the first of the rounds that are traced, which are not the typical ones then.
        sizes = iter([width] * 2 * count + [4 * width] * callers + [width] * 2 * callers)

        async def call() -> float:
            held = bytes(next(sizes))
            for _ in range(knots):
                knot: list[object] = []
                knot.append(knot)
            await asyncio.sleep(0)
            return float(len(held))

        gc.collect()
        gc.disable()
        block = calls.counts(call, callers, count)
        gc.enable()
        assert width / 1024 <= block[PEAK] <= 1.1 * width / 1024
        # The process's blocks: what threads of other tests free in the meantime is missing, what they make is too many.
        assert block[UNCOLLECTED] == pytest.approx(2 * knots, rel=0.1)
        assert knots <= block[FUNCTION_CALLS] <= 1.5 * knots

    def test_every_workload(self) -> None:
        """A worker measures whatever is on the list, against the quick provider, in numbers above nothing."""
        provider, worker = Worker(sys.executable, overhead.PROVIDER), Worker(sys.executable, overhead.WORK)
        with closing(provider), closing(worker):
            assert worker.ask({"provider": provider.ask({})}) == list(MEASURES)
            for workload, measures in MEASURES.items():
                block = worker.ask({"workload": workload, "count": 2})
                assert min(block[measure] for measure in measures) > 0, workload
