"""Ten seconds of the soak (`nox -s bench -- soak` is a minute), and proof that it would notice what it looks for."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import soak as benchmark  # noqa: E402  found on the path just added

from support.faulty_provider import FAULTS, HEALTHY, PROVIDERS, FaultyProvider  # noqa: E402
from support.provider_formats import Json  # noqa: E402
from support.routing import ask, deployment, routed  # noqa: E402
from support.soak import Footprint, Ledger, NoAnswer, Process, Report, Soak, Weather, complaints, run, until  # noqa: E402

EMPTY = Footprint(asked=0, tasks=1, connections=0, descriptors=9, blocks=1_000_000, resident=10**8)
WARM = replace(EMPTY, asked=100)
END = replace(EMPTY, asked=1_100)
FLAWLESS = Report(
    soak=Soak(seconds=9),
    asked=1_100,
    lost={},
    attempts={"openai": {"healthy": 1_100, "500": 7}},
    again={},
    eras=1,
    before=EMPTY,
    checks=(WARM, END),
    after=END,
)


async def test_nothing_is_lost_or_left_behind() -> None:
    """Two hundred callers of five deployments that break and heal lose nothing and leave nothing behind."""
    report = await run(Soak(seconds=9, rounds=1))
    assert not complaints(report), report


class TestComplaints:
    def test_flawless(self) -> None:
        """LiteLLM's worker task and a little growth are no complaint."""
        assert complaints(FLAWLESS) == []
        assert complaints(replace(FLAWLESS, after=replace(END, tasks=2))) == []
        assert complaints(replace(FLAWLESS, checks=(WARM, replace(END, blocks=1_060_000)))) == []
        periodic = Soak(seconds=9, strategy="usage-based-routing-v2")
        assert complaints(replace(FLAWLESS, soak=periodic, after=replace(END, tasks=3))) == []

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            ({"lost": {"Timeout 408": 1}}, "lost 1 of 1100 requests"),
            ({"again": {"500": 2, "503": 1}}, "3 attempts where the same request had failed before"),
            ({"after": replace(END, tasks=3)}, "tasks: 1 before, 3 after"),
            ({"after": replace(END, connections=1)}, "connections: 0 before, 1 after"),
            ({"after": replace(END, descriptors=10)}, "descriptors: 9 before, 10 after"),
            ({"checks": (WARM, replace(END, blocks=1_070_000))}, "70000 memory blocks more, 60000 may be"),
            ({"checks": (WARM, replace(END, resident=130_000_000))}, "1.30 times the resident memory"),
            ({"attempts": {"openai": {"healthy": 1_100}}}, "no request met a fault, which proves nothing"),
        ],
    )
    def test_flaws(self, change: dict[str, Any], complaint: str) -> None:
        """Each flaw by itself is one complaint, in numbers."""
        assert complaints(replace(FLAWLESS, **change)) == [complaint]


class TestLedger:
    async def test_counts_what_became_of_requests(self) -> None:
        """The ledger counts lost requests by what they raised, and attempts after a failed one on a deployment."""
        with (
            FaultyProvider(FAULTS["500"]) as bad,
            routed([deployment("a", "openai", bad.url)], num_retries=0) as router,
        ):
            ledger = Ledger({"a": bad})
            with ledger.request() as number:
                for _ in range(2):
                    with pytest.raises(Exception, match="server had an error"):
                        await ask(router, "async", messages=_ping(number))
            with ledger.request() as number:
                await ask(router, "async", messages=_ping(number))
            with ledger.request():
                raise NoAnswer
        assert (ledger.asked, ledger.under_way) == (3, {})
        assert ledger.lost == {"InternalServerError 500": 1, "NoAnswer": 1}
        assert ledger.attempts == {"a": {"500": 3}}
        assert ledger.again == {"500": 1}
        assert bad.requests == []


class TestProcess:
    async def test_sees_what_is_left(self) -> None:
        """An open connection shows in the footprint at both ends, and an unfinished task by itself."""
        with FaultyProvider() as provider:
            process = Process(Ledger({}), [provider.port])
            gc.collect()  # LiteLLM's clients of earlier tests, each of which is closed by a task
            before = await process.footprint_at_rest(tasks=1)
            task = asyncio.create_task(asyncio.sleep(60))
            _, writer = await asyncio.open_connection("127.0.0.1", provider.port)
            await until(lambda: process.footprint().connections == 2, "the provider to accept")
            left = process.footprint()
            assert left.tasks == before.tasks + 1
            writer.close()
            task.cancel()
            assert (await process.footprint_at_rest(before.tasks)).connections == 0


class TestWeather:
    async def test_keeps_what_a_request_relies_on(self) -> None:
        """The sound deployment stays healthy until every request that began with it has ended."""
        with ExitStack() as stack:
            providers = {name: stack.enter_context(FaultyProvider()) for name in PROVIDERS}
            group = [deployment(name, name, provider.url) for name, provider in providers.items()]
            ledger = Ledger(providers)
            router = stack.enter_context(routed(group))
            weather = Weather(providers, ledger, router, seed=0, breaks=list(FAULTS.values()))
            [sound] = weather.sound
            async with weather.changing():
                with ledger.request():
                    await until(lambda: len(weather.sound) == 2, "a successor")
                    await until(lambda: _broken(providers), "the others to break")
                    assert (weather.eras, providers[sound].fault) == (0, HEALTHY)
                await until(lambda: weather.eras, "the successor to take over")
            assert sound not in weather.sound


class TestBenchmark:
    @pytest.mark.parametrize(
        ("report", "code", "last"),
        [
            (FLAWLESS, 0, "Nothing was lost, nothing was left behind."),
            (replace(FLAWLESS, lost={"Timeout 408": 1}), 1, "Wrong: lost 1 of 1100 requests."),
        ],
    )
    def test_says_what_it_found(
        self,
        report: Report,
        code: int,
        last: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """The benchmark says what it found in numbers, in a sentence at the end, and in the exit code."""

        async def run(soak: Soak) -> Report:
            assert soak == Soak(seconds=7, concurrency=3, seed=5, strategy="least-busy", streams=True)
            return report

        monkeypatch.setattr(benchmark, "run", run)
        arguments = ["--seconds", "7", "--concurrency", "3", "--seed", "5", "--strategy", "least-busy", "--streams"]
        assert benchmark.main(arguments) == code
        lines = capsys.readouterr().out.splitlines()
        assert lines[-1] == last
        assert "least-busy, seed 5: 3 callers" in lines[0]
        assert any(line.split() == ["openai", "1107", "1100", "7", "7", "×", "500"] for line in lines)


def _broken(providers: dict[str, FaultyProvider]) -> bool:
    return sum(provider.fault != HEALTHY for provider in providers.values()) >= 2


def _ping(number: int) -> list[Json]:
    return [{"role": "user", "content": f"ping {number}"}]
