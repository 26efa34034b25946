"""What the benchmarks share: workers that fail in words, a command line, tables and exit codes."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import harness
import pytest
from harness import Benchmark, BenchmarkError, Worker, asked_together, main, table

SIDES = ("--stock", sys.executable, "--patched", sys.executable)


def counted(pythons: Mapping[str, str], options: argparse.Namespace) -> Iterator[int]:
    yield from range(options.count)


def benchmark(*, failed: bool = False) -> Benchmark[int]:
    return Benchmark(
        name="counting",
        about="Counts.",
        add_arguments=lambda parser: parser.set_defaults(count=3),
        steps=lambda options: options.count,
        run=counted,
        explain=lambda options: "Numbers:",
        columns=("number", "square"),
        rows=lambda outcomes: [(str(one), str(one**2)) for one in outcomes],
        remarks=lambda outcomes: ["zero counts"],
        sentence=lambda outcomes: f"{len(outcomes)} were counted.",
        report=lambda outcomes: {"numbers": outcomes},
        failed=lambda outcomes: failed,
    )


def module(folder: Path, source: str) -> Path:
    (folder / "asked.py").write_text(source)
    return folder


class TestWorker:
    def test_answers(self, tmp_path: Path) -> None:
        """A worker keeps what it set up, and answers one question after the other whatever it prints meanwhile."""
        source = "def answerer():\n    seen = []\n    def answer(n):\n        print(n)\n        seen.append(n)\n"
        module(tmp_path, source + "        return {'seen': seen}\n    return answer\n")
        with closing(Worker(sys.executable, "asked", tmp_path)) as worker:
            assert worker.ask(1) == {"seen": [1]}
            assert worker.ask(None) == {"seen": [1, None]}

    def test_error_is_quoted(self, tmp_path: Path) -> None:
        """What a worker raises ends the run, with the question and what it said."""
        module(tmp_path, "def answerer():\n    return lambda question: 1 / question['n']\n")
        with (
            closing(Worker(sys.executable, "asked", tmp_path)) as worker,
            pytest.raises(BenchmarkError, match=r"while it measured \{'n': 0\}(.|\n)*ZeroDivisionError"),
        ):
            worker.ask({"n": 0})

    def test_death_is_quoted(self, tmp_path: Path) -> None:
        """A worker whose process ends is quoted with its exit code and its last words."""
        source = "import os, sys\n\ndef answerer():\n    print('out of cells', file=sys.stderr, flush=True)\n"
        module(tmp_path, source + "    return lambda question: os._exit(7)\n")
        with (
            closing(Worker(sys.executable, "asked", tmp_path)) as worker,
            pytest.raises(BenchmarkError, match=r"it ended with code 7\nout of cells"),
        ):
            worker.ask({})

    def test_silence_is_quoted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A worker that owes an answer for too long is aborted, and says where it stood."""
        monkeypatch.setattr(harness, "DEADLINE", 0.5)
        module(tmp_path, "import time\n\ndef answerer():\n    return lambda question: time.sleep(60)\n")
        with (
            closing(Worker(sys.executable, "asked", tmp_path)) as worker,
            pytest.raises(BenchmarkError, match=r"no answer within 0 s(.|\n)*asked\.py\W+ line 4"),
        ):
            worker.ask({})

    def test_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """No PYTHONPATH reaches a worker: it would put one litellm before both interpreters' own."""
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        module(tmp_path, "import os\n\ndef answerer():\n    return lambda name: os.environ.get(name)\n")
        with closing(Worker(sys.executable, "asked", tmp_path)) as worker:
            assert not worker.ask("PYTHONPATH")
            assert worker.ask("PATH") == os.environ["PATH"]

    def test_both_sides(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both sides are asked the same, and answer for themselves."""
        monkeypatch.setattr(harness, "FOLDER", tmp_path)
        monkeypatch.setattr(Worker.__init__, "__defaults__", (tmp_path,))
        module(tmp_path, "def answerer():\n    return lambda question: {'twice': 2 * question['n']}\n")
        pythons = dict.fromkeys(harness.SIDES, sys.executable)
        answers = list(asked_together(pythons, "asked", [{"n": 1}, {"n": 2}]))
        assert answers == [dict.fromkeys(harness.SIDES, {"twice": twice}) for twice in (2, 4)]


class TestMain:
    @pytest.mark.parametrize("failed", [False, True])
    def test_report(self, failed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Table, remarks and sentence are printed, FILE holds what was measured, the exit code says how it went."""
        file = tmp_path / "numbers.json"
        assert main(benchmark(failed=failed), [*SIDES, "--json", str(file)]) == failed
        measured = json.loads(file.read_text())
        assert (measured["numbers"], measured["summary"]) == ([0, 1, 2], "3 were counted.")
        assert set(measured["versions"]) == set(harness.SIDES)
        lines = capsys.readouterr().out.splitlines()
        assert lines[1] == "Numbers:"
        assert lines[-3:] == ["- zero counts", "", "3 were counted."]

    @pytest.mark.parametrize(
        ("python", "message"),
        [
            ("/no/such/python", "cannot start /no/such/python: No such file or directory; name a Python interpreter"),
            ("/bin/false", "/bin/false has no litellm; install one there or name another interpreter"),
        ],
    )
    def test_no_interpreter(self, python: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
        """An interpreter that is none ends a benchmark in one sentence and exit code 2."""
        assert main(benchmark(), ["--stock", python, "--patched", python]) == 2
        assert capsys.readouterr().err == f"counting: {message}\n"

    def test_file_is_checked_first(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A FILE that cannot be written is refused before minutes are spent."""
        with pytest.raises(SystemExit):
            main(benchmark(), [*SIDES, "--json", str(tmp_path / "no" / "file")])
        assert "name a file in an existing folder" in capsys.readouterr().err

    def test_table(self) -> None:
        """Columns are aligned, and no cell is wrapped, cut or taken for markup however wide it is."""
        wide = "x" * 300
        [head, rule, first, second] = table(("a", "b"), [("[bold]", "1"), (wide, "2")]).rstrip().splitlines()
        assert head.split() == ["a", "b"]
        assert set(rule) == {"─"}
        assert first.split() == ["[bold]", "1"]
        assert second.split() == [wide, "2"]
        assert head.index("b") == first.index("1") == second.index("2")
