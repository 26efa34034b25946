"""When a deployment that was taken out of rotation is asked again: the pure part, under a clock of the test's own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from litellm.router_utils.failover.recovery import JITTER, Phase, Recovery

BASE, LONGEST = 5.0, 300.0
MIDDLE = 0.5  # a random number that jitters nothing


@dataclass
class Clock:
    """A clock that is set."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Ejected:
    """A recovery in which one deployment has just failed."""

    def __init__(self, draw: float = MIDDLE, *, base: float = BASE, is_silent: bool = False) -> None:
        self.clock = Clock()
        self.recovery = Recovery(self.clock, lambda: draw, LONGEST)
        self.recovery.eject("a", base, is_silent=is_silent)

    def phase(self) -> Phase:
        return self.recovery.phase("a")

    def end(self) -> None:
        self.clock.now += self.recovery.seconds_left("a")

    def fail_probe(self) -> float:
        """The probe after the ejection in force fails; how long the next one is, in seconds."""
        self.end()
        assert self.recovery.admit("a", 10)
        self.recovery.fail("a", self.clock.now)
        return self.recovery.seconds_left("a")


class TestPhases:
    def test_unknown_deployment(self) -> None:
        """A deployment that nothing is known of is in rotation, and no probe of it can begin."""
        recovery = Recovery(Clock(), lambda: MIDDLE, LONGEST)
        assert (recovery.phase("a"), recovery.admit("a", 1), recovery.streak("a")) == (Phase.IN_ROTATION, False, 0)
        assert not recovery.ejected
        assert not recovery.is_silent("a")

    def test_first_ejection_lasts_its_base(self) -> None:
        """The first ejection is the cooldown itself, with no jitter, which would break a Retry-After."""
        one = Ejected(draw=0.0)
        assert (one.phase(), one.recovery.seconds_left("a"), one.recovery.streak("a")) == (Phase.EJECTED, BASE, 1)
        one.clock.now += BASE - 0.001
        assert one.phase() is Phase.EJECTED
        one.clock.now += 0.001
        assert one.phase() is Phase.HALF_OPEN
        assert one.recovery.seconds_left("a") == 0

    def test_one_probe(self) -> None:
        """One request is the probe, whoever asks next is not, until it has been handed back."""
        one = Ejected()
        assert not one.recovery.admit("a", 10)
        one.end()
        assert one.recovery.admit("a", 10)
        assert (one.phase(), one.recovery.admit("a", 10)) == (Phase.PROBING, False)
        one.recovery.release("a")
        assert (one.phase(), one.recovery.admit("a", 10)) == (Phase.HALF_OPEN, True)

    def test_success_returns_to_rotation(self) -> None:
        """An answer brings a half-open deployment back and clears its streak."""
        one = Ejected()
        one.fail_probe()
        one.end()
        one.recovery.succeed("a", one.clock.now)
        assert (one.phase(), one.recovery.streak("a")) == (Phase.IN_ROTATION, 0)
        assert one.recovery.eject("a", BASE) == BASE

    def test_answer_during_an_ejection(self) -> None:
        """An answer to a request from before clears the streak and leaves the ejection, which may be a rate limit."""
        one = Ejected()
        one.fail_probe()
        left = one.recovery.seconds_left("a")
        one.recovery.succeed("a", one.clock.now - 100)
        assert (one.phase(), one.recovery.seconds_left("a"), one.recovery.streak("a")) == (Phase.EJECTED, left, 0)
        assert one.fail_probe() == BASE

    def test_restore(self) -> None:
        """Who knows that a deployment is well has it back at once."""
        one = Ejected()
        one.recovery.restore("a")
        one.recovery.restore("b")
        assert one.phase() is Phase.IN_ROTATION


class TestGrowth:
    def test_doubled_to_the_cap(self) -> None:
        """Each failed probe makes the ejection twice as long, up to the longest."""
        one = Ejected()
        assert [one.fail_probe() for _ in range(8)] == [10, 20, 40, 80, 160, 300, 300, 300]

    @pytest.mark.parametrize(("draw", "factor"), [(0.0, 1 - JITTER), (1.0, 1 + JITTER)])
    def test_jitter(self, draw: float, factor: float) -> None:
        """What has grown is up to a tenth shorter or longer, and never longer than the longest."""
        one = Ejected(draw)
        grown = [one.fail_probe() for _ in range(8)]
        assert grown[:2] == pytest.approx([10 * factor, 20 * factor])
        assert max(grown) <= LONGEST * (1 + 1e-9)

    def test_longer_base(self) -> None:
        """A provider that asks for more than the longest is left alone for as long as it asks."""
        one = Ejected(base=3600.0)
        assert one.recovery.seconds_left("a") == 3600
        assert one.fail_probe() == 3600

    def test_failure_during_an_ejection(self) -> None:
        """Requests that were under way fail later: the ejection lasts no longer than a cooldown from then."""
        one = Ejected()
        one.clock.now += 2
        assert (one.recovery.eject("a", BASE), one.recovery.streak("a")) == (BASE, 1)
        assert one.recovery.eject("a", 1) == BASE

    def test_stated_wait_is_the_base(self) -> None:
        """What grows is the wait that the provider has asked for last, be it by a probe or by a request from before."""
        one = Ejected()
        one.end()
        one.recovery.fail("a", one.clock.now, wait=30)
        assert one.recovery.seconds_left("a") == 60
        one.end()
        assert one.recovery.admit("a", 10)
        one.recovery.eject_again("a", wait=7, is_silent=False)
        assert one.recovery.seconds_left("a") == 28
        assert one.recovery.eject("a", 40) == 40
        assert one.fail_probe() == 300

    def test_failure_of_an_earlier_request(self) -> None:
        """A request that was sent before the ejection ended says nothing of a half-open deployment."""
        one = Ejected()
        sent = one.clock.now
        one.end()
        one.recovery.fail("a", sent)
        assert one.phase() is Phase.HALF_OPEN
        one.recovery.fail("a", one.clock.now)
        assert (one.phase(), one.recovery.streak("a")) == (Phase.EJECTED, 2)

    def test_failure_in_rotation(self) -> None:
        """Whether a deployment in rotation is taken out is not for one failure to say."""
        recovery = Recovery(Clock(), lambda: MIDDLE, LONGEST)
        recovery.fail("a", 0)
        recovery.eject_again("a", is_silent=True)
        recovery.succeed("a", 0)
        recovery.release("a")
        assert not recovery.ejected


class TestLostProbe:
    def test_counts_as_failed(self) -> None:
        """A probe that comes to no end has failed when its time was over, whenever that is noticed."""
        one = Ejected()
        one.end()
        assert one.recovery.admit("a", 10)
        one.clock.now += 9.999
        assert one.phase() is Phase.PROBING
        one.clock.now += 3
        assert (one.phase(), one.recovery.streak("a")) == (Phase.EJECTED, 2)
        assert one.recovery.seconds_left("a") == pytest.approx(10 - 2.999)

    def test_late_answer(self) -> None:
        """An answer to a probe that was given up is an answer."""
        one = Ejected()
        one.end()
        begun = one.clock.now
        assert one.recovery.admit("a", 10)
        one.clock.now += 11
        assert one.phase() is Phase.EJECTED
        one.recovery.succeed("a", begun)
        assert one.phase() is Phase.IN_ROTATION

    def test_failed_probe_is_over(self) -> None:
        """What is answered after a probe has failed was not the probe."""
        one = Ejected()
        one.end()
        begun = one.clock.now
        assert one.recovery.admit("a", 10)
        one.recovery.eject_again("a", is_silent=False)
        one.recovery.succeed("a", begun)
        assert one.phase() is Phase.EJECTED


class TestSilence:
    def test_known_from_any_failure_of_an_ejection(self) -> None:
        """A deployment is silent if a request that it was ejected for got no answer; its last probe decides anew."""
        one = Ejected()
        assert not one.recovery.is_silent("a")
        one.recovery.eject("a", BASE, is_silent=True)
        one.recovery.eject("a", BASE)
        assert one.recovery.is_silent("a")
        one.end()
        assert one.recovery.admit("a", 10)
        one.recovery.eject_again("a", is_silent=False)
        assert not one.recovery.is_silent("a")


class TestAdopted:
    def test_for_what_is_left(self) -> None:
        """Another process's cooldown is over when it is over there; then one request is the probe here."""
        clock = Clock()
        recovery = Recovery(clock, lambda: MIDDLE, LONGEST)
        recovery.adopt("a", BASE, 3)
        assert recovery.seconds_left("a") == 3
        clock.now += 3
        assert recovery.admit("a", 10)
        recovery.adopt("a", BASE, 4)
        assert recovery.phase("a") is Phase.PROBING
        recovery.fail("a", clock.now)
        assert (recovery.seconds_left("a"), recovery.streak("a")) == (10, 2)

    def test_again(self) -> None:
        """What has been probed elsewhere, and failed, need not be probed here."""
        one = Ejected()
        one.fail_probe()
        one.end()
        one.recovery.adopt("a", BASE, 4)
        assert (one.phase(), one.recovery.seconds_left("a"), one.recovery.streak("a")) == (Phase.EJECTED, 4, 2)

    def test_over(self) -> None:
        """A cooldown of which nothing is left is none."""
        recovery = Recovery(Clock(), lambda: MIDDLE, LONGEST)
        recovery.adopt("a", BASE, 0)
        assert not recovery.ejected


class TestAbandoned:
    def abandon(self, one: Ejected, times: int) -> None:
        """Probes whose callers go at once, so many of them."""
        for _ in range(times):
            assert one.recovery.admit("a", 10)
            one.recovery.abandon("a", one.clock.now)

    def test_another_may_probe(self) -> None:
        """The deployment has not failed: the next request may find out."""
        one = Ejected()
        one.end()
        self.abandon(one, 1)
        assert (one.phase(), one.recovery.streak("a"), one.recovery.is_silent("a")) == (Phase.HALF_OPEN, 1, False)

    def test_second_one(self) -> None:
        """After two in a row it is no caller's risk."""
        one = Ejected()
        one.end()
        self.abandon(one, 2)
        assert (one.phase(), one.recovery.is_silent("a")) == (Phase.HALF_OPEN, True)

    def test_once_an_interval(self) -> None:
        """Where it has to be a caller's, it is one in so many seconds, and nothing grows."""
        one = Ejected()
        one.end()
        self.abandon(one, 3)
        assert (one.phase(), one.recovery.seconds_left("a"), one.recovery.streak("a")) == (Phase.EJECTED, BASE, 1)
        one.end()
        self.abandon(one, 1)
        assert one.recovery.seconds_left("a") == BASE

    def test_in_a_row(self) -> None:
        """What a probe finds out begins a new row."""
        one = Ejected()
        one.end()
        self.abandon(one, 2)
        one.fail_probe()
        one.end()
        self.abandon(one, 1)
        assert (one.phase(), one.recovery.is_silent("a")) == (Phase.HALF_OPEN, False)

    def test_of_an_earlier_probe(self) -> None:
        """One that was lost long ago does not end the probe of another."""
        one = Ejected()
        one.end()
        assert one.recovery.admit("a", 10)
        begun = one.clock.now
        one.clock.now += 11
        one.end()
        assert one.recovery.admit("a", 10)
        one.recovery.abandon("a", begun)
        assert one.phase() is Phase.PROBING


class TestHandedOver:
    def test_to_the_next_caller(self) -> None:
        """A probe that ends with its event loop has found out nothing: the next request does."""
        one = Ejected(is_silent=True)
        one.end()
        assert one.recovery.admit("a", 10)
        one.recovery.hand_over("a")
        assert (one.phase(), one.recovery.streak("a"), one.recovery.is_silent("a")) == (Phase.HALF_OPEN, 1, False)

    @pytest.mark.parametrize("deployment_id", ["a", "b"])
    def test_after_its_end(self, deployment_id: str) -> None:
        """What is no longer probed, or not known, stays as it is."""
        one = Ejected(is_silent=True)
        one.recovery.hand_over(deployment_id)
        assert (one.phase(), one.recovery.is_silent("a")) == (Phase.EJECTED, True)


SECONDS = st.floats(0, 400, allow_nan=False)
DRAWS = st.floats(0, 1, allow_nan=False)


class Schedule(RuleBasedStateMachine):
    """Any order of failures, probes, answers and time."""

    @initialize(base=st.floats(0.5, 60), longest=st.floats(1, 600))
    def begin(self, base: float, longest: float) -> None:
        self.clock = Clock()
        self.draw = MIDDLE
        self.base, self.longest = base, longest
        self.most = max(base, longest)
        self.recovery = Recovery(self.clock, lambda: self.draw, longest)
        self.probe_ends = 0.0
        self.is_lost = False  # whether the ejection in force is that of a probe that came to no end

    @property
    def phase(self) -> Phase:
        return self.recovery.phase("a")

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        was = self.phase
        self.clock.now += seconds
        if was is Phase.PROBING and self.clock.now >= self.probe_ends:
            assert self.phase is not Phase.PROBING
            self.is_lost = True
        else:
            assert was is Phase.EJECTED or self.phase is was

    @rule(draw=DRAWS, is_silent=st.booleans())
    def cool_down(self, draw: float, is_silent: bool) -> None:
        before, streak = self.phase, self.recovery.streak("a")
        self.draw = draw
        seconds = self.recovery.eject("a", self.base, is_silent=is_silent)
        self.is_lost = False
        grew = self.recovery.streak("a") - streak
        assert grew == (0 if before is Phase.EJECTED else 1)
        assert self.base * (1 - 1e-9) <= seconds <= self.most * (1 + 1e-9)

    @precondition(lambda self: self.phase in (Phase.EJECTED, Phase.HALF_OPEN))
    @rule(timeout=st.floats(0.1, 600))
    def begin_probe(self, timeout: float) -> None:
        """When the ejection is over, and not before, one request is the probe."""
        assert self.recovery.admit("a", timeout) is (self.phase is Phase.PROBING)
        self.clock.now += self.recovery.seconds_left("a")
        if self.phase is Phase.HALF_OPEN:
            assert self.recovery.admit("a", timeout)
        self.probe_ends = self.clock.now + timeout
        self.is_lost = False

    @precondition(lambda self: self.phase is Phase.PROBING)
    @rule()
    def ask_for_another_probe(self) -> None:
        assert not self.recovery.admit("a", 1)

    @precondition(lambda self: self.phase is Phase.PROBING)
    @rule(draw=DRAWS, wait=st.none() | st.floats(0.5, 600))
    def fail_probe(self, draw: float, wait: float | None) -> None:
        self.draw = draw
        streak = self.recovery.streak("a")
        base = self.recovery.ejected["a"].base if wait is None else wait
        self.most = max(self.most, base)
        self.recovery.eject_again("a", wait=wait, is_silent=True)
        expected = min(base * 2.0**streak, self.longest)
        least = max(base, expected * (1 - JITTER)) if streak else base
        assert least * (1 - 1e-9) <= self.recovery.seconds_left("a") <= self.most * (1 + 1e-9)
        assert self.recovery.streak("a") == streak + 1

    @precondition(lambda self: self.phase is Phase.PROBING)
    @rule()
    def hand_back(self) -> None:
        self.recovery.release("a")
        assert self.phase is Phase.HALF_OPEN

    @precondition(lambda self: self.phase is Phase.PROBING)
    @rule()
    def abandon(self) -> None:
        """Never a failure; at the latest one base later another request may be the probe."""
        streak, base = self.recovery.streak("a"), self.recovery.ejected["a"].base
        self.recovery.abandon("a", self.clock.now)
        assert self.recovery.streak("a") == streak
        assert self.phase in (Phase.HALF_OPEN, Phase.EJECTED)
        assert self.recovery.seconds_left("a") <= base * (1 + 1e-9)

    @precondition(lambda self: self.phase is not Phase.IN_ROTATION)
    @rule()
    def answer(self) -> None:
        """A request that is sent now is answered; after a probe that was lost it is as good as the probe's answer."""
        stays = self.phase is Phase.EJECTED and not self.is_lost
        self.recovery.succeed("a", self.clock.now)
        self.is_lost = False
        assert self.phase is (Phase.EJECTED if stays else Phase.IN_ROTATION)

    @precondition(lambda self: self.phase is not Phase.IN_ROTATION)
    @rule()
    def heal(self) -> None:
        """A deployment that is healthy is back one ejection later, and after a probe that was lost one more."""
        if self.phase is Phase.PROBING:
            self.recovery.succeed("a", self.clock.now)
        else:
            self.clock.now += self.recovery.seconds_left("a")
            assert self.recovery.admit("a", 1)
            self.recovery.succeed("a", self.clock.now)
        self.is_lost = False
        assert self.phase is Phase.IN_ROTATION

    @invariant()
    def time_is_the_clocks(self) -> None:
        assert self.phase is self.recovery.phase("a")
        assert math.isfinite(self.recovery.seconds_left("a"))


TestSchedule = Schedule.TestCase


@given(st.lists(DRAWS, min_size=2, max_size=12))
def test_monotone_in_the_streak(draws: list[float]) -> None:
    """Below the cap no ejection is shorter than the one before it in a row: a doubling outweighs the jitter."""
    one = Ejected()
    lengths = [BASE]
    for draw in draws:
        one.recovery._random = lambda draw=draw: draw  # type: ignore[misc]
        lengths.append(one.fail_probe())
    below = [length for length in lengths if length < LONGEST * (1 - 2 * JITTER)]
    assert below == sorted(below)
    assert max(lengths) <= LONGEST * (1 + 1e-9)
