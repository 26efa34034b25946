"""What a router knows of its deployments beyond LiteLLM's cooldowns, and what a choice is told of it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import httpx
import litellm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.router_utils.failover import background_probe
from litellm.router_utils.failover.caller_fault import CALLER_FAULT
from litellm.router_utils.failover.cooldown import ANSWERED_BY_A_FALLBACK
from litellm.router_utils.failover.recovery import Phase
from litellm.router_utils.failover.rotation import (
    LONGEST_EJECTION,
    Rotation,
    adopt_cooldowns,
    hold_back,
    is_replaced,
    record_cooldown,
    rotation_of,
)
from litellm.router_utils.failover.router_view import end_cooldown, own_setting

from support.routing import cool_down, cooldown_cache, cooldown_seconds, deployment, routed

NAMES = ("a", "b", "c")
URL = "http://127.0.0.1:9"
TIMED_OUT = functools.partial(litellm.Timeout, "timed out", "gpt", "openai")


def rate_limited(retry_after: str) -> litellm.RateLimitError:
    """A 429 whose provider asks for so many seconds."""
    answer = httpx.Response(429, headers={"retry-after": retry_after}, request=httpx.Request("POST", URL))
    return litellm.RateLimitError("slow down", "openai", "gpt", response=answer)


@pytest.fixture
def router() -> Iterator[Any]:
    """A group of three, of which nobody is asked."""
    with routed([deployment(name, "openai", URL) for name in NAMES], background_probes=False) as one:
        yield one


def phase(router: Any, name: str) -> Phase:
    return rotation_of(router).recovery.phase(name)


class TestHoldBack:
    @given(
        ejected=st.sets(st.sampled_from(NAMES)),
        over=st.sets(st.sampled_from(NAMES)),
        waiting=st.sets(st.sampled_from(NAMES)),
        tried=st.sets(st.sampled_from(NAMES)),
        names=st.lists(st.sampled_from(NAMES), unique=True, min_size=1),
    )
    def test_never_empties_the_group(
        self, ejected: set[str], over: set[str], waiting: set[str], tried: set[str], names: list[str]
    ) -> None:
        """Whatever the states, one is left, and one that has not failed the request if there is any."""
        asked: Any = SimpleNamespace(get_model_info=lambda id: None)
        rotation = rotation_of(asked)
        for name in ejected:
            rotation.recovery.eject(name, 0 if name in over else 60)
        for name in waiting:
            rotation.send(name)
            rotation.send(name)
        held, probed = hold_back(asked, names, tried, is_sync=True)
        left = set(names) - set(held)
        assert left
        assert left - tried or not set(names) - tried
        assert set(probed) <= left

    def test_nothing_known(self, router: Any) -> None:
        """A choice of deployments that nothing is known of is left alone."""
        assert hold_back(router, NAMES, (), is_sync=False) == ((), [])

    def test_ranks(self, router: Any) -> None:
        """One that is suspected goes before one that is ejected."""
        rotation = rotation_of(router)
        rotation.recovery.eject("a", 60)
        rotation.send("b")
        rotation.send("b")
        assert set(hold_back(router, NAMES, (), is_sync=False)[0]) == {"a", "b"}
        assert hold_back(router, ("a", "b"), (), is_sync=False)[0] == ["a"]
        assert set(hold_back(router, NAMES, {"c"}, is_sync=False)[0]) == {"a"}

    def test_one_is_admitted(self, router: Any) -> None:
        """Of the requests that choose while one is the probe, none is another one, until it goes elsewhere."""
        rotation = rotation_of(router)
        rotation.recovery.eject("a", 0)
        assert hold_back(router, NAMES, (), is_sync=False) == ([], ["a"])
        assert hold_back(router, NAMES, (), is_sync=False) == (["a"], [])
        rotation.send("b", ["a"])
        assert hold_back(router, NAMES, (), is_sync=False) == ([], ["a"])
        rotation.send("a", ["a"])
        assert phase(router, "a") is Phase.PROBING

    def test_probe_as_last_resort(self, router: Any) -> None:
        """Where no other is left, everybody may ask a half-open one."""
        rotation_of(router).recovery.eject("a", 0)
        for _ in range(2):
            assert hold_back(router, ("a",), (), is_sync=False)[0] == []

    @pytest.mark.parametrize("setting", ["enable_tag_filtering", "enable_pre_call_checks"])
    def test_replaced_by_its_like(self, setting: str) -> None:
        """With filters still to come, only one that is declared alike stands in for another."""
        models = [deployment(name, "openai", URL, tags=[tag]) for name, tag in zip("abc", "xyx", strict=True)]
        with routed(models, **{setting: True}) as router:
            assert is_replaced(router, "a", ["b", "c"])
            assert not is_replaced(router, "a", ["b"])
            assert not is_replaced(router, "a", [])
        with routed(models) as router:
            assert is_replaced(router, "a", ["b"])


class TestSent:
    def fail(self, router: Any, error: Exception, *, answered: bool = False) -> Phase:
        """The phase of a deployment whose request has failed with `error`, another one having been answered or not."""
        rotation = rotation_of(router)
        sent, other = rotation.send("a"), rotation.send("a")
        if answered:
            other.succeed()
        sent.fail(router, error)
        return phase(router, "a")

    def test_silent(self, router: Any) -> None:
        """A timeout during which nobody was answered takes the deployment out of rotation."""
        assert self.fail(router, TIMED_OUT()) is Phase.EJECTED
        assert rotation_of(router).recovery.is_silent("a")

    def test_answers_others(self, router: Any) -> None:
        """A timeout of a deployment that has answered somebody meanwhile is one of many."""
        assert self.fail(router, TIMED_OUT(), answered=True) is Phase.IN_ROTATION

    def test_connect_timeout(self, router: Any) -> None:
        """A connection that is never made is as silent as an answer that never comes; a refused one is not."""
        error = litellm.APIConnectionError("no route", "openai", "gpt")
        error.__cause__ = httpx.ConnectTimeout("slow")
        assert self.fail(router, error) is Phase.EJECTED

    def test_refused_connection(self, router: Any) -> None:
        """Who refuses at once lets nobody wait."""
        error = litellm.APIConnectionError("refused", "openai", "gpt")
        error.__cause__ = httpx.ConnectError("refused")
        assert self.fail(router, error) is Phase.IN_ROTATION

    def test_callers_limit(self, router: Any) -> None:
        """A time limit of the caller's own says nothing of the deployment."""
        error = TIMED_OUT()
        setattr(error, CALLER_FAULT, True)
        assert self.fail(router, error) is Phase.IN_ROTATION

    def test_dropped(self, router: Any) -> None:
        """A caller who has gone proves nothing."""
        rotation = rotation_of(router)
        sent = [rotation.send("a") for _ in range(2)]
        assert set(rotation.doubtful(NAMES)) == {"a"}
        sent[0].drop()
        assert rotation.doubtful(NAMES) == {}

    @pytest.mark.parametrize("end", ["limit", "gone", "hook"])
    def test_abandoned_probe(self, end: str, router: Any) -> None:
        """A probe that says nothing of the deployment is over with its caller: another one may be sent."""
        rotation = rotation_of(router)
        rotation.recovery.eject("a", 0)
        sent = rotation.send("a", hold_back(router, NAMES, (), is_sync=True)[1])
        error = TIMED_OUT() if end == "limit" else ValueError("a hook")
        setattr(error, CALLER_FAULT, end == "limit")
        if end == "gone":
            sent.drop()
        else:
            sent.fail(router, error)
        assert (phase(router, "a"), rotation.recovery.streak("a")) == (Phase.HALF_OPEN, 1)

    def test_other_request_abandoned(self, router: Any) -> None:
        """A request that is no probe, or no longer, gives back none."""
        rotation = rotation_of(router)
        rotation.recovery.eject("a", 0)
        hold_back(router, NAMES, (), is_sync=True)
        rotation.send("a").drop()
        assert phase(router, "a") is Phase.PROBING

    def test_rejected_probe(self, router: Any) -> None:
        """A deployment that rejects its probe as wrong has answered."""
        rotation = rotation_of(router)
        rotation.recovery.eject("a", 0)
        rotation.send("a").fail(router, litellm.BadRequestError("no", "gpt", "openai"))
        assert phase(router, "a") is Phase.IN_ROTATION

    def test_failed_probe(self, router: Any) -> None:
        """A half-open deployment that fails is out again, also where LiteLLM would not cool it down."""
        rotation = rotation_of(router)
        rotation.recovery.eject("a", 5)
        rotation.recovery.ejected["a"].ends = 0
        rotation.send("a").fail(router, litellm.InternalServerError("oops", "openai", "gpt"))
        assert rotation.recovery.streak("a") == 2
        assert 9 <= rotation.recovery.seconds_left("a") <= 11

    def test_failed_probe_with_a_wait(self, router: Any) -> None:
        """What grows when a probe fails is the wait that its answer asks for."""
        rotation = rotation_of(router)
        rotation.recovery.eject("a", 0)
        rotation.send("a").fail(router, rate_limited("60"))
        assert 108 <= rotation.recovery.seconds_left("a") <= 132

    def test_answered_probe(self, router: Any) -> None:
        """A half-open deployment that answers is in rotation."""
        rotation = rotation_of(router)
        rotation.recovery.eject("a", 0)
        rotation.send("a").succeed()
        assert phase(router, "a") is Phase.IN_ROTATION

    def test_own_cooldown_time(self) -> None:
        """A silent deployment is out for its own cooldown time if it has one."""
        with routed([deployment("a", "openai", URL, cooldown_time=17), deployment("b", "openai", URL)]) as router:
            self.fail(router, TIMED_OUT())
            assert 16 <= rotation_of(router).recovery.seconds_left("a") <= 17

    def test_nothing_is_raised(self, router: Any) -> None:
        """A setting that makes no sense does not take the provider's failure from the caller."""
        with mock.patch("litellm.router_utils.failover.rotation._base", side_effect=ValueError("soon")) as asked:
            assert self.fail(router, TIMED_OUT()) is Phase.IN_ROTATION
        asked.assert_called_once()


class TestKept:
    def test_one_a_router(self, router: Any) -> None:
        """A router has one, a stand-in for one too."""
        assert rotation_of(router) is rotation_of(router)
        for stub in (SimpleNamespace(), mock.MagicMock()):
            assert rotation_of(stub) is rotation_of(stub)
            assert rotation_of(stub).recovery.longest == LONGEST_EJECTION

    def test_longest(self) -> None:
        """`max_cooldown_time` is the router's own."""
        with routed([deployment("a", "openai", URL)], max_cooldown_time=7) as router:
            assert rotation_of(router).recovery.longest == 7

    def test_forgets_the_oldest(self) -> None:
        """Deployments that are no more are not remembered for ever."""
        rotation = Rotation(60)
        for number in range(2000):
            rotation.send(str(number)).drop()
        assert len(rotation.times) == 1024

    def test_told_of_cooldowns(self, router: Any) -> None:
        """Each of LiteLLM's cooldowns is an ejection."""
        rotation_of(router)
        cool_down(router, "a", 30)
        assert 29 <= rotation_of(router).recovery.seconds_left("a") <= 30

    @pytest.mark.parametrize(
        ("answered", "failed", "lasts"), [(True, 0, 5.0), (True, 1, 10.0), (True, 9, 30.0), (False, 1, 5.0)]
    )
    def test_lone_one_with_a_fallback(self, answered: bool, failed: int, lasts: float, router: Any) -> None:
        """The cooldown itself of a lone deployment grows if its fallback answers, which there is no choice beside."""
        rotation = rotation_of(router)
        error = litellm.ServiceUnavailableError("busy", "openai", "gpt")
        setattr(error, ANSWERED_BY_A_FALLBACK, answered)
        for _ in range(failed):
            rotation.recovery.eject("a", 5)
            rotation.recovery.ejected["a"].ends = 0
        cooldown_cache(router).add_deployment_to_cooldown("a", error, 503, 5)
        assert cooldown_seconds(router, "a") == lasts

    def test_other_stores(self) -> None:
        """A store that belongs to no router knows of nothing."""
        record_cooldown(SimpleNamespace(), "a", 5)
        record_cooldown(mock.MagicMock(), "a", 5)

    def test_adopted(self, router: Any) -> None:
        """A cooldown that is only in the store, such as another process's, ends for a probe too."""
        cool_down(router, "a", 30)
        rotation_of(router).recovery.restore("a")
        adopt_cooldowns(router, ["a", "b"])
        assert 28 <= rotation_of(router).recovery.seconds_left("a") <= 30
        assert phase(router, "b") is Phase.IN_ROTATION

    async def test_ended_by_a_check(self, router: Any) -> None:
        """A cooldown that a health check ends is over here too."""
        rotation_of(router)
        cool_down(router, "a", 30)
        await end_cooldown(router, "a")
        assert phase(router, "a") is Phase.IN_ROTATION


class Judged:
    """Who is told what came of a probe."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def restore(self, deployment_id: str) -> None:
        self.said.append("well")

    def eject_again(self, deployment_id: str, *, wait: float | None = None, is_silent: bool) -> None:
        self.said.append("silent" if is_silent else "failed" if wait is None else wait)

    def hand_over(self, deployment_id: str) -> None:
        self.said.append("cut off")


class TestBackgroundProbe:
    async def said(self, check: Any, router: Any, timeout: float = 5) -> list[object]:
        """What a probe is judged, whose health check is `check`."""
        judged = Judged()
        with mock.patch.object(litellm, "ahealth_check", check):
            assert background_probe.begin_probe(router, "a", timeout, judged)
            await asyncio.gather(*background_probe._running)
        return judged.said

    @pytest.mark.parametrize(
        ("found", "said"),
        [
            ({}, "well"),
            ({"error": "400", "exception": litellm.BadRequestError("no", "gpt", "openai")}, "well"),
            ({"error": "500", "exception": litellm.InternalServerError("oops", "openai", "gpt")}, "failed"),
            ({"error": "slow", "exception": TIMED_OUT()}, "silent"),
            ({"error": "429", "exception": rate_limited("60")}, 60),
        ],
    )
    async def test_verdict(self, found: dict[str, object], said: object, router: Any) -> None:
        """An answer is one, also if it rejects the small request; a failure of the deployment's own is none, and says
        for how long to wait."""
        check = mock.AsyncMock(return_value=found)
        assert await self.said(check, router) == [said]
        asked = check.call_args.args[0]
        assert (asked["api_base"].startswith(URL), asked["timeout"], asked["max_retries"]) == (True, 5, 0)

    async def test_own_time_limit(self, router: Any) -> None:
        """A check that heeds no timeout is not waited for."""

        async def check(*_: object, **__: object) -> None:
            await asyncio.sleep(60)

        assert await self.said(check, router, 0.05) == ["silent"]

    async def test_check_that_raises(self, router: Any) -> None:
        """A check that fails itself has not found the deployment well."""
        assert await self.said(mock.AsyncMock(side_effect=ValueError), router) == ["failed"]

    @pytest.mark.parametrize(
        ("declared", "can"),
        [
            ({"model_info": {}}, True),
            ({"model_info": {"mode": "embedding"}}, True),
            ({"model_info": {"mode": "image_generation"}}, False),
            ({"model_name": "openai/*", "model_info": {}}, False),
        ],
    )
    def test_small_request(self, declared: dict[str, object], can: bool) -> None:
        """What costs more than a word, or stands for many models, is not probed beside the callers."""
        assert background_probe.can_be_probed({"model_name": "group", **declared}) is can

    @pytest.mark.parametrize(
        ("answer", "said"), [({"return_value": None}, "well"), ({"side_effect": TIMED_OUT()}, "silent")]
    )
    async def test_without_the_proxys_extra(self, answer: dict[str, Any], said: str, router: Any) -> None:
        """LiteLLM's health check cannot be imported without it: a chat is asked instead."""
        missing = mock.AsyncMock(side_effect=ModuleNotFoundError("fastapi"))
        with (
            mock.patch.object(background_probe, "HAS_HEALTH_CHECK", False),
            mock.patch.object(litellm, "acompletion", mock.AsyncMock(**answer)) as asked,
        ):
            assert await self.said(missing, router) == [said]
            assert asked.call_args.kwargs["timeout"] == 5
            assert not background_probe.can_be_probed({"model_name": "group", "model_info": {"mode": "embedding"}})

    @pytest.mark.parametrize("is_closed", [False, True], ids=["run", "closed"])
    def test_end_of_its_loop(self, is_closed: bool, router: Any) -> None:
        """A probe whose event loop ends with the caller's request is over, however the loop ends."""
        judged = Judged()

        async def call() -> None:
            assert background_probe.begin_probe(router, "a", 5, judged)
            await asyncio.sleep(0)

        with mock.patch.object(litellm, "ahealth_check", lambda *_, **__: asyncio.sleep(60)):
            if is_closed:
                loop = asyncio.new_event_loop()
                loop.run_until_complete(call())
                loop.close()
            else:
                asyncio.run(call())
        background_probe.end_cut_off()
        assert judged.said == ["cut off"]
        assert not background_probe._running

    def test_without_a_loop(self, router: Any) -> None:
        """Where nothing goes on after the request there is no probe beside it."""
        assert not background_probe.begin_probe(router, "a", 1, Judged())


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        *(({"max_cooldown_time": given}, meant) for given, meant in [(None, None), (0.5, 0.5), ("10", 10.0)]),
        *(({"background_probes": given}, False) for given in (False, "false", "No", "off", 0)),
        *(({"background_probes": given}, True) for given in (None, True, "true", "YES", "on", 1)),
    ],
)
def test_settings_as_meant(setting: dict[str, Any], meant: object) -> None:
    """What YAML or an environment variable makes of a number or a switch is one."""
    with routed([deployment("a", "openai", URL)], **setting) as router:
        (name,) = setting
        assert own_setting(router, name) == meant


@pytest.mark.parametrize(
    ("name", "given"),
    [
        *(("max_cooldown_time", given) for given in (0, -1, float("nan"), float("inf"), "x", True)),
        *(("background_probes", given) for given in ("maybe", 2, "")),
    ],
)
def test_setting_without_sense(name: str, given: object) -> None:
    """What can be none is refused, by its name and with the remedy."""
    with (
        pytest.raises(ValueError, match=rf"{name} is .*; give it as"),
        routed([deployment("a", "openai", URL)], **{name: given}),
    ):
        pass
