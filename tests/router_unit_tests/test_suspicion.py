"""Which deployments let a request wait for longer than they ever have lately: the pure part."""

from __future__ import annotations

import heapq
import random

import pytest
from litellm.router_utils.failover.suspicion import FEWEST, HISTORY, MOST_UNPROVEN, PATIENCE, ResponseTimes


def known(*seconds: float) -> ResponseTimes:
    """A deployment with a history of these answers, repeated until there are enough."""
    times = ResponseTimes()
    for one in seconds * FEWEST:
        times.answer(one)
    return times


class TestSuspected:
    def test_idle(self) -> None:
        """Nobody waits for a deployment, so it is not suspected, however long ago it answered."""
        assert not known(0.1).is_suspected(1e9)

    @pytest.mark.parametrize(("slowest", "longest"), [(0.01, 1.0), (0.5, 1.0), (3.0, 3.0 * PATIENCE)])
    def test_longer_than_lately(self, slowest: float, longest: float) -> None:
        """A wait is suspicious once it is twice the longest lately, and never before a second."""
        times = known(slowest)
        times.send("one", 100.0)
        assert not times.is_suspected(100.0 + longest)
        assert times.is_suspected(100.001 + longest)

    def test_any_answer_clears(self) -> None:
        """Who has answered anybody since is not silent; a request that was sent later may wait anew."""
        times = known(0.1)
        times.send("one", 100.0)
        times.send("two", 100.9)
        times.answer(None)
        assert not times.is_suspected(200.0)
        times.send("three", 200.0)
        assert times.is_suspected(201.1)

    def test_the_oldest_counts(self) -> None:
        """The oldest request that waits decides; once it has come to an end, the next one."""
        times = known(0.1)
        times.send("one", 100.0)
        times.send("two", 100.9)
        assert times.is_suspected(101.5)
        assert times.forget("one")
        assert not times.is_suspected(101.5)
        assert times.is_suspected(102.0)

    def test_without_history(self) -> None:
        """Of a deployment that has answered too few, no wait is too long."""
        times = ResponseTimes()
        for _ in range(FEWEST - 1):
            times.answer(0.1)
        times.send("one", 0.0)
        assert not times.is_suspected(1e9)

    def test_history_ends(self) -> None:
        """What was long ago is not lately."""
        times = known(30.0)
        for _ in range(HISTORY):
            times.answer(0.1)
        times.send("one", 0.0)
        assert times.is_suspected(1.1)


class TestUnproven:
    def test_two_at_a_time(self) -> None:
        """A deployment that has never answered gets two requests; nothing is suspicious about how long they take."""
        times = ResponseTimes()
        for number in range(MOST_UNPROVEN):
            assert not times.is_suspected(1e9)
            times.send(number, 0.0)
        assert times.is_suspected(0.0)
        assert times.forget(0)
        assert not times.is_suspected(1e9)

    def test_first_answer(self) -> None:
        """The first answer, be it a failure, ends that."""
        times = ResponseTimes()
        times.answer(None)
        for number in range(10):
            times.send(number, 0.0)
        assert not times.is_suspected(1e9)


class TestForget:
    def test_nobody_was_answered(self) -> None:
        """A request knows whether anybody was answered after it was sent."""
        times = known(0.1)
        times.send("one", 1.0)
        times.send("two", 2.0)
        assert times.forget("one")
        times.answer(0.1)
        assert not times.forget("two")


@pytest.mark.parametrize("per_second", [0.05, 0.5])
def test_heavy_tail_is_left_alone(per_second: float) -> None:
    """Hardly any choice is moved away from a healthy provider whose times are lognormal, 1 to 30 s, be it asked one
    request at a time or four."""
    draw = random.Random(7)
    times, now, moved, asked = ResponseTimes(), 0.0, 0, 20_000
    under_way: list[tuple[float, int, float]] = []
    for number in range(asked):
        now += draw.expovariate(per_second)
        while under_way and under_way[0][0] <= now:
            _, _, seconds = heapq.heappop(under_way)
            times.answer(seconds)
        moved += number >= HISTORY and times.is_suspected(now)
        seconds = min(max(5.5 * draw.lognormvariate(0, 0.85), 1.0), 30.0)
        times.send(number, now)
        heapq.heappush(under_way, (now + seconds, number, seconds))
    assert moved < asked / 1000  # 1 % would do
