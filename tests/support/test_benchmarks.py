"""The benchmarks judge by the policy, and say so in words and exit codes."""

from __future__ import annotations

import asyncio
import gc
import http.client
import importlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import failover  # noqa: E402  found on the path just added
import overhead  # noqa: E402
from failover_cell import MODES, STRATEGIES, Cell, Result, own_callbacks  # noqa: E402
from overhead_work import (  # noqa: E402
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
from quick_provider import COMPLETION, STREAM, STREAMED_WORDS, WHOLE, Connection  # noqa: E402
from worker import BenchmarkError, Worker  # noqa: E402

from support.faulty_provider import FAULTS, PROVIDERS, FaultyProvider  # noqa: E402

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
litellm: Any = importlib.import_module("litellm")


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
        """Every provider, fault and strategy once, silence under two strategies; every mode occurs in every column."""
        cells = failover.grid(full=False, cooldown_time=None)
        keys = {(cell.provider, cell.fault, cell.strategy) for cell in cells}
        everything = set(product(PROVIDERS, FAULTS, STRATEGIES))
        assert len(keys) == len(cells)
        assert {key[1] for key in everything - keys} == {"silence"}
        for provider in PROVIDERS:
            assert {cell.mode for cell in cells if cell.provider == provider} == set(MODES)

    def test_full(self) -> None:
        """All modes everywhere but where litellm has none."""
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
        row = failover.table(outcomes).splitlines()[-1]
        assert row.split("  ")[0] == "openai"
        for part in ("18/24 → 24/24", "13 → 2", "1/2 → 2/2", "fixed"):
            assert part in row
        assert failover.table([(side, cells[0]) for side in failover.SIDES]).endswith("WRONG")

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
        [cell] = json.loads(json.dumps(failover.report({}, [("stock", measured)])))["cells"]
        assert (cell.pop("side"), cell.pop("complaint")) == ("stock", None)
        assert Result.from_json(cell) == measured
        assert Result.from_json({**cell, "worst": 1.0}) == replace(measured, worst=1.0)


class TestRun:
    def test_one_cell_end_to_end(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Two workers of this interpreter measure a 429 over sockets, keep the policy, and everything lands in FILE."""
        file = tmp_path / "cells.json"
        sides = ["--stock", sys.executable, "--patched", sys.executable]
        assert (
            failover.main([*sides, "--provider", "openai", "--fault", "429", "--jobs", "1", "--json", str(file)]) == 0
        )
        cells = json.loads(file.read_text())["cells"]
        assert sorted(cell["side"] for cell in cells) == ["patched"] * 5 + ["stock"] * 5
        assert all(cell["answered"] == 12 for cell in cells)
        assert "the patched one in none." in capsys.readouterr().out.splitlines()[-1]

    @pytest.mark.parametrize(
        ("python", "expected"),
        [("/no/such/python", "cannot start /no/such/python: No such file or directory; name a Python interpreter\n")],
    )
    def test_no_interpreter(self, python: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
        """An interpreter that is none ends both benchmarks in one sentence and exit code 2."""
        for benchmark, name in ((failover.main, "failover"), (overhead.main, "overhead")):
            assert benchmark(["--stock", python, "--patched", python]) == 2
            assert capsys.readouterr().err == f"{name}: {expected}"

    def test_json_file_is_checked_first(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A FILE that cannot be written is refused before minutes are spent."""
        with pytest.raises(SystemExit):
            failover.main(["--stock", "a", "--patched", "b", "--json", str(tmp_path / "no" / "file")])
        assert "name a file in an existing folder" in capsys.readouterr().err

    def test_worker_that_dies_is_quoted(self, tmp_path: Path) -> None:
        """The error of a dead worker holds its exit code, the question and what it said."""
        script = tmp_path / "dies.py"
        script.write_text("import sys\ninput()\nsys.exit('out of cells')\n")
        worker = Worker(sys.executable, script)
        try:
            with pytest.raises(BenchmarkError, match=r"code 1 while it measured \{'n': 1\}: out of cells"):
                worker.ask({"n": 1})
        finally:
            worker.close()


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
        [row] = [line for line in overhead.table(run).splitlines() if line.startswith(f"{ONE_CALLER}: {CPU}")]
        assert row.split()[-7:] == ["9", "2.0", "3.0", "1.500", "1.000", "1.100", "1.100"]

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
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Zero only where nothing costs too much; FILE holds every block, and the last line says what is wrong."""

        def measure(*_: object) -> Iterator[tuple[str, str, dict[str, float]]]:
            for workload, measures in MEASURES.items():
                for side in overhead.TURNS[0]:
                    factor = worse if (workload, side) == (ONE_CALLER, overhead.PATCHED) else 1.0
                    yield workload, side, dict.fromkeys(measures, factor)

        monkeypatch.setattr(overhead, "measure", measure)
        file = tmp_path / "overhead.json"
        assert overhead.main(["--stock", sys.executable, "--patched", sys.executable, "--json", str(file)]) == code
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
        provider, worker = Worker(sys.executable, overhead.PROVIDER), Worker(sys.executable, overhead.SCRIPT)
        with closing(provider), closing(worker):
            assert worker.ask({"provider": provider.ask({})}) == list(MEASURES)
            for workload, measures in MEASURES.items():
                block = worker.ask({"workload": workload, "count": 2})
                assert min(block[measure] for measure in measures) > 0, workload


class TestQuickProvider:
    @pytest.fixture
    def client(self) -> Iterator[socket.socket]:
        with closing(Worker(sys.executable, overhead.PROVIDER)) as provider:
            url = urlsplit(provider.ask({}))
            with socket.create_connection((url.hostname, url.port), timeout=10) as client:
                yield client

    @staticmethod
    def request(stream: bool) -> bytes:
        body = json.dumps({"model": "m", "stream": stream}).encode()
        return b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    @staticmethod
    def answer(client: socket.socket) -> bytes:
        response = http.client.HTTPResponse(client)
        response.begin()
        assert response.status == 200
        return response.read()

    def test_one_connection(self, client: socket.socket) -> None:
        """A connection carries one request after another, each answered in the way it asks for."""
        client.sendall(self.request(stream=False))
        assert json.loads(self.answer(client)) == COMPLETION
        client.sendall(self.request(stream=True))
        events = [line.removeprefix(b"data: ") for line in self.answer(client).splitlines() if line]
        assert events.pop() == b"[DONE]"
        deltas = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events]
        assert "".join(deltas) == "".join(STREAMED_WORDS)

    def test_pieces(self) -> None:
        """Requests may arrive in any pieces, two of them in one."""
        one, two = self.request(stream=False), self.request(stream=True)
        for pieces in ([one, two], [one + two], [one + two[:9], two[9:]], [bytes([byte]) for byte in one + two]):
            transport = mock.Mock(spec=asyncio.Transport)
            connection = Connection()
            connection.connection_made(transport)
            for piece in pieces:
                connection.data_received(piece)
            assert transport.write.call_args_list == [mock.call(WHOLE), mock.call(STREAM)]
