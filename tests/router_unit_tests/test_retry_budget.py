"""How many retries a model group may make: the pure part, under a clock of the test's."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litellm.router_utils.failover.retry_budget import (
    FEWEST,
    MEMORY,
    MIN_RETRIES,
    WELL_AGAIN,
    WINDOW,
    Members,
    RecentCount,
    RetryBudget,
)

GROUP = "g"
NAMES = ("a", "b")
BOTH_LEFT = Members(NAMES, NAMES)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget(clock: Clock) -> RetryBudget:
    return RetryBudget(clock)


def record(budget: RetryBudget, failed: int, answered: int, *names: str) -> None:
    """So many attempts at each of the deployments fail, after those that are answered."""
    for name in names or NAMES:
        for place in range(answered + failed):
            budget.record(name, failed=place >= answered)


def granted(budget: RetryBudget, tries: int, members: Members = BOTH_LEFT, percent: float = 20) -> int:
    return sum(budget.take(GROUP, members, percent) for _ in range(tries))


class TestRecentCount:
    @settings(max_examples=50)
    @given(steps=st.lists(st.integers(0, 4), max_size=20))
    def test_counts_the_window(self, steps: list[int]) -> None:
        """What is counted is what happened in the last seconds, to a tenth of them."""
        count, now, when = RecentCount(10), 0, []
        for step in steps:
            now += step
            count.add(now)
            when.append(now)
            assert count.total(now) == sum(second > now - 10 for second in when)

    def test_forgets(self) -> None:
        """After the window nothing is left."""
        count = RecentCount(60)
        count.add(30.5)
        assert (count.total(89.9), count.total(90.0)) == (1, 0)


class TestFailing:
    def test_few_attempts(self, budget: RetryBudget) -> None:
        """A deployment of which little is known is not failing."""
        record(budget, FEWEST - 1, 0, "a")
        assert not budget.is_failing("a")
        record(budget, 1, 0, "a")
        assert budget.is_failing("a")

    def test_half(self, budget: RetryBudget) -> None:
        """One that fails half of its attempts is not failing yet."""
        record(budget, FEWEST, FEWEST, "a")
        assert not budget.is_failing("a")
        record(budget, 1, 0, "a")
        assert budget.is_failing("a")

    def test_answers_in_a_row(self, budget: RetryBudget) -> None:
        """One whose last three attempts were answered is well, until the next one fails."""
        record(budget, FEWEST, 0, "a")
        record(budget, 0, WELL_AGAIN - 1, "a")
        assert budget.is_failing("a")
        record(budget, 0, 1, "a")
        assert not budget.is_failing("a")
        record(budget, 1, 0, "a")
        assert budget.is_failing("a")

    def test_forgets(self, budget: RetryBudget, clock: Clock) -> None:
        """What failed a minute ago does not count."""
        record(budget, FEWEST, 0, "a")
        clock.now += MEMORY
        assert not budget.is_failing("a")


class TestTake:
    def test_healthy_sibling(self, budget: RetryBudget) -> None:
        """The first try of one that is well is free, however many there are, and leaves the budget to the others."""
        record(budget, FEWEST, 0, "a")
        assert granted(budget, 100, BOTH_LEFT) == 100
        record(budget, FEWEST, 0, "b")
        assert granted(budget, 10) == MIN_RETRIES

    def test_failing_sibling(self, budget: RetryBudget) -> None:
        """The first try of one that is failing draws on the budget."""
        record(budget, FEWEST, 0)
        assert granted(budget, 100, BOTH_LEFT) == 6  # the 7th would be above a fifth of 40 - 6

    @pytest.mark.parametrize("left", [NAMES, ("b",)], ids=["the other fails", "the other is out of rotation"])
    def test_one_left(self, budget: RetryBudget, left: tuple[str, ...]) -> None:
        """Where one deployment is left that is well, it is retried as a lone one is."""
        record(budget, FEWEST, 0, "a")
        record(budget, FEWEST // 2, FEWEST, "b")
        assert granted(budget, 100, Members(NAMES, left)) == 100

    def test_two_left(self, budget: RetryBudget) -> None:
        """Where none is failing, what fails a request at both is no brownout."""
        record(budget, FEWEST // 2, FEWEST)
        assert granted(budget, 100) == 100

    def test_percent(self, budget: RetryBudget) -> None:
        """A part of the requests may be retried, and what was retried is no request."""
        record(budget, 50, 0)
        assert granted(budget, 100) == 16  # the 17th would be above a fifth of 100 - 16
        assert granted(budget, 100, percent=50) == 17  # 33 of 100 - 33

    def test_window_ends(self, budget: RetryBudget, clock: Clock) -> None:
        """The budget is there again when the window is over."""
        record(budget, FEWEST, 0)
        assert granted(budget, 10, percent=0) == MIN_RETRIES
        clock.now += WINDOW
        assert granted(budget, 10, percent=0) == MIN_RETRIES

    def test_of_a_group(self, budget: RetryBudget) -> None:
        """What one group has spent is not another's."""
        record(budget, FEWEST, 0, *NAMES, "c", "d")
        assert granted(budget, 10, percent=0) == MIN_RETRIES
        assert budget.take("other", Members(("c", "d"), ("c", "d")), 0)

    def test_spent(self, budget: RetryBudget, clock: Clock) -> None:
        """What is left, and what was denied lately, can be asked for."""
        assert budget.spent(GROUP, NAMES) == (MIN_RETRIES, 0)
        record(budget, FEWEST, 0)
        assert budget.spent(GROUP, NAMES) == (8, 0)  # a fifth of 40
        granted(budget, 10)
        assert budget.spent(GROUP, NAMES) == (0, 4)
        clock.now += WINDOW
        assert budget.spent(GROUP, NAMES) == (MIN_RETRIES, 0)

    def test_bounded(self, budget: RetryBudget) -> None:
        """Deployments and groups that come and go do not make it grow for ever."""
        for number in range(1030):
            budget.record(str(number), failed=True)
            budget.take(str(number), Members(()))
        assert len(budget._deployments) == len(budget._groups) == 1024


class Brownout:
    """A group of two, each attempt at which fails with a probability of its own, and requests of three attempts."""

    def __init__(self, rates: tuple[float, float], seed: int) -> None:
        self.clock, self.chance = Clock(), random.Random(seed)
        self.budget, self.rates = RetryBudget(self.clock), dict(zip(NAMES, rates, strict=True))
        self.attempts = self.answered = 0

    def ask(self, count: int) -> None:
        """So many requests, at 16 a second."""
        for _ in range(count):
            self.clock.now += 1 / 16
            tried: list[str] = []
            while len(tried) < 3 and not self._answers(tried):
                if len(tried) < 3 and not self.budget.take(GROUP, BOTH_LEFT):
                    break

    def _answers(self, tried: list[str]) -> bool:
        name = self.chance.choice([one for one in NAMES if one not in tried] or NAMES)
        tried.append(name)
        self.attempts += 1
        fails = self.chance.random() < self.rates[name]
        self.budget.record(name, failed=fails)
        self.answered += not fails
        return not fails


@pytest.mark.parametrize("rate", [0.6, 0.7, 0.8, 0.9, 1.0])
def test_brownout_is_not_multiplied(rate: float) -> None:
    """At 70 % errors and more a request makes at most 1.3 attempts, the beginning included."""
    for seed in range(10):
        group = Brownout((rate, rate), seed)
        group.ask(480)
        assert group.attempts <= (1.3 if rate >= 0.7 else 1.35) * 480


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_healthy_sibling_answers_all(rate: float) -> None:
    """Where one of the two is well, every request is answered, also when it has been failing before, and the other
    begins to when it is well again."""
    group = Brownout((rate, 0.0), 1)
    group.ask(480)
    assert group.answered == 480
    group.rates = {"a": 0.0, "b": rate}
    group.ask(480)
    assert group.answered >= 960 - 1
