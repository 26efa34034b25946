"""A scenario is asked until its fault is met, and what a caller got is told rightly, over a gateway that is played."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from drill.drilled import THREE, plan_of
from litellm_drill.copied import Copy
from litellm_drill.drill import QUESTIONS, SLOW, WORDS, Files, Lane, _by_group
from litellm_drill.gateway import Answer, Gateway, _streamed, _whole
from litellm_drill.outcome import Outcome, Scenario, Scope, Verdict
from litellm_drill.stand_in import Attempt, Fault, StandIn, torn_text, whole_text

CHUNK = 'data: {{"choices": [{{"delta": {{"content": "{}"}}, "finish_reason": {}}}]}}'


class Played(Gateway):
    """A gateway whose questions come to the deployments of `asked`, one list each, and whose answers are of the last
    one that is well."""

    def __init__(self, stand_ins: dict[int, StandIn], asked: Iterator[list[int]]) -> None:
        super().__init__(Path())
        self._stand_ins, self._visits = stand_ins, asked
        self.questions = 0
        self.mute: dict[bool, Answer] = {}

    async def ask(self, group: str, question: str, *, embed: bool, streamed: bool, waits: float = 0.0) -> Answer:
        self.questions += 1
        if streamed in self.mute:
            return self.mute[streamed]
        attempts = [
            Attempt(i, float(place), self._stand_ins[i].fault, place + 1.0)
            for place, i in enumerate(next(self._visits))
        ]
        for one in attempts:
            self._stand_ins[one.number].attempts.append(one)
        good = attempts[-1].fault is None
        return Answer(200 if good else 503, attempts[-1].number if good else None, "" if good else "HTTP 503", 0.0, 3.0)


@asynccontextmanager
async def lane_of(asked: Iterable[list[int]], copy: Copy, text: str = THREE) -> AsyncIterator[tuple[Played, Lane]]:
    """A lane whose gateway's questions come to the deployments of `asked`."""
    stand_ins = {i: StandIn(i) for i in range(6)}
    gateway = Played(stand_ins, iter(asked))
    with TemporaryDirectory() as folder:
        files = Files(Path(folder, "usual"), Path(folder, "silent"))
        try:
            yield gateway, Lane(plan_of(text), gateway, stand_ins, files, copy, {("gpt", False): 1.0})
        finally:
            for server in stand_ins.values():
                await server.close()


async def ran(asked: list[list[int]], fault: Fault = Fault.UNAVAILABLE, *broken: int) -> tuple[Played, Outcome]:
    """The gateway after a scenario in which `broken` deployments of the group "gpt" are."""
    async with lane_of(asked, Copy()) as (gateway, lane):
        return gateway, await lane.run(Scenario("gpt", broken or (0,), Scope.ONE, fault, False))


async def test_asks_until_the_fault_is_met() -> None:
    """Questions that do not come to the broken deployment say nothing; the first that does is told."""
    gateway, outcome = await ran([[1], [1], [0, 1], [1]])
    assert gateway.questions == 3
    assert (outcome.verdict, outcome.answered_by, outcome.attempts, outcome.added) == (
        Verdict.ANSWERED,
        "gpt #2",
        2,
        2.0,
    )
    assert [step.result for step in outcome.steps] == ["503", "answered"]


async def test_unmet_fault_is_not_asked() -> None:
    """A deployment that no question comes to was not asked, and that is no loss."""
    gateway, outcome = await ran([[1]] * 99)
    assert gateway.questions == QUESTIONS * 2
    assert outcome.verdict is Verdict.UNASKED


async def test_worst_question_counts() -> None:
    """Where one of two broken ones is survived and the other is not, the loss is told."""
    _, outcome = await ran([[0, 1], [0, 2], [1, 0]], Fault.UNAVAILABLE, 0)
    assert outcome.verdict is Verdict.ANSWERED
    _, outcome = await ran([[0, 2], [1, 0]], Fault.UNAVAILABLE, 0, 1)
    assert (outcome.verdict, outcome.seen) == (Verdict.FAILED, "HTTP 503")


GPT = "model_list: [{model_name: gpt, litellm_params: {model: openai/gpt-4o}}]"


async def test_healthy_group_is_measured() -> None:
    """What a group takes while nothing is broken is the median of its own answers, and short timeouts are above it."""
    async with lane_of(itertools.repeat([0]), Copy(), GPT) as (_, lane):
        await lane.measure()
    assert lane.baselines == {("gpt", False): 3.0, ("gpt", True): 3.0}
    assert (lane.unwell, lane.short) == ({}, 3.0 * SLOW)


async def test_mute_group_is_told() -> None:
    """A group that does not answer while nothing is broken is told with what it says, without anything of the config,
    and has no time that a fault could be measured by."""
    secret = "sk-very-secret"
    async with lane_of(itertools.repeat([0]), Copy(removed={secret}), GPT) as (gateway, lane):
        gateway.mute = {True: Answer(400, None, "HTTP 400", 0.0, 1.0, f"no tag for {secret}" + "x" * WORDS)}
        lane.baselines.clear()
        await lane.measure()
    told = lane.unwell.pop(("gpt", True))
    assert told.startswith("HTTP 400: no tag for …xxx")
    assert len(told) == len("HTTP 400: ") + WORDS + 1
    assert list(lane.baselines) == [("gpt", False)]


async def test_fallback_is_no_sign_of_health() -> None:
    """A group for which only its fallback answers is not well, whatever is broken of it."""
    async with lane_of(itertools.repeat([2]), Copy()) as (_, lane):
        await lane.measure()
    assert lane.unwell["gpt", False] == "only spare #1 answers for it"


def test_mute_ways_are_told_by_group() -> None:
    """A group is named once if it answers in no way, and with the way if only one fails."""
    plan = plan_of(THREE)
    assert _by_group(
        plan, {("gpt", False): "x", ("gpt", True): "x", ("vectors", False): "y", ("other", True): "z"}
    ) == {
        "gpt": "x",
        "vectors": "y",
        "other, streamed": "z",
    }


async def test_own_timeouts_are_added_up() -> None:
    """Each silent attempt stands for the timeout that the config has: 60 seconds for the one of the drill."""
    _, outcome = await ran([[0, 1]], Fault.SILENT)
    assert outcome.own == 61.0


@pytest.mark.parametrize(
    ("settings", "timeout", "has_total", "seen"),
    [
        ("total_timeout: 62", "timeout: 60, ", True, ""),
        ("total_timeout: 6", "timeout: 60, ", True, "no answer in the 6 s that `total_timeout` allows"),
        ("total_timeout: 6", "timeout: 60, ", False, ""),
        ("num_retries: 2", "", True, "no answer in the 600 s that common clients wait"),
    ],
)
async def test_late_answer_is_none(settings: str, timeout: str, has_total: bool, seen: str) -> None:
    """An answer that the config's own timeouts would delay beyond total_timeout, or a client's patience, is lost."""
    text = THREE.replace(", timeout: 60", f", {timeout}x: 1").replace(
        "router_settings:", f"router_settings:\n  {settings}"
    )
    async with lane_of([[0, 1]], Copy(), text) as (_, lane):
        lane.has_total = has_total
        outcome = await lane.run(Scenario("gpt", (0,), Scope.ONE, Fault.SILENT, False))
    assert (outcome.verdict, outcome.seen) == (Verdict.FAILED if seen else Verdict.ANSWERED, seen)


@pytest.mark.parametrize(
    ("lines", "by", "seen"),
    [
        ([CHUNK.format(whole_text(3), "null"), CHUNK.format("", '"stop"')], 3, ""),
        ([CHUNK.format(torn_text(1), "null"), CHUNK.format(whole_text(3), '"stop"')], 3, ""),
        ([CHUNK.format(torn_text(1), "null")], None, "a stream without an end"),
        ([CHUNK.format(torn_text(1), '"stop"')], None, "a stream that breaks off, told as whole"),
        ([CHUNK.format("a", "null"), 'data: {"error": {}, "choices": []}'], None, "a stream without an end"),
        (
            [CHUNK.format("a", "null"), 'data: {"error": {"a": 1}}'],
            None,
            "an error in the stream, after its first words",
        ),
        (['data: {"error": {"a": 1}}'], None, "an error in the stream"),
        (["data: {"], None, "a stream that cannot be read"),
        (["data: [DONE]", ": comment"], None, "a stream without words"),
    ],
)
def test_streams_are_read(lines: list[str], by: int | None, seen: str) -> None:
    """A stream is whole if it ends and has all the words of an answer, whatever stands before them."""
    assert _streamed(lines) == (by, seen)


@pytest.mark.parametrize(
    ("content", "by", "seen"),
    [
        (f'{{"choices": [{{"message": {{"content": "{whole_text(4)}"}}}}]}}', 4, ""),
        (f'{{"choices": [{{"message": {{"content": "{torn_text(4)}"}}}}]}}', None, "200 without the answer"),
        ('{"data": [{"embedding": [5.0, 0.5]}]}', 5, ""),
        ('{"choices": []}', None, "200 that cannot be read"),
        ("<html>", None, "200 that cannot be read"),
    ],
)
def test_answers_are_read(content: str, by: int | None, seen: str) -> None:
    """An answer is the stand-in's whose words or vector it has."""
    assert _whole(content.encode()) == (by, seen)
