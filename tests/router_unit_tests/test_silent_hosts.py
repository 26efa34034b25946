"""Nobody waits for a deployment that was silent, over sockets: who is asked, who probes, and what the user decides."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.faulty_provider import FAULTS, HEALTHY, REFUSED, SILENT, Fault, FaultyProvider
from support.routing import GROUP, PATIENCE, ask, cooling_down, deployment, lost, outcomes, routed, until

TIMEOUT = 0.4
COOLDOWN = 0.5
MODES = ("async", "async-stream", "sync")


@pytest.fixture
def host() -> Iterator[FaultyProvider]:
    """A host that is silent until it is healed; it answers "a"."""
    with FaultyProvider(SILENT, answer="a") as provider:
        yield provider


@pytest.fixture
def sibling() -> Iterator[FaultyProvider]:
    """The healthy one beside it, which answers "b"."""
    with FaultyProvider(answer="b") as provider:
        yield provider


def group(*hosts: FaultyProvider, **params: Any) -> list[dict[str, Any]]:
    """Deployments "a", "b" … of a group; `params` are the first one's."""
    return [
        deployment(name, "openai", one.url, **(params if name == "a" else {}))
        for name, one in zip("abc", hosts, strict=False)
    ]


async def silence(router: Any, host: FaultyProvider, mode: str = "async") -> None:
    """Ask until a request has waited for the host in vain."""
    for _ in range(40):
        await ask(router, mode)
        if host.attempts:
            return
    raise AssertionError("the silent host was never asked")


def state_of(router: Any, name: str) -> dict[str, Any]:
    """How deployment `name` stands with the router."""
    return next(one for one in router.get_rotation_state() if one["model_id"] == name)


class TestFirstTimeout:
    @pytest.mark.parametrize("mode", MODES)
    async def test_not_asked_again(self, mode: str, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """After the first timeout of a host that answered nobody meanwhile, callers are served by the others."""
        with routed(group(host, sibling), timeout=TIMEOUT, num_retries=1) as router:
            await silence(router, host, mode)
            assert await outcomes(router, 12, mode) == ["b"] * 12
            assert host.attempts == 1
            assert cooling_down(router) == set()

    async def test_lone_one(self, host: FaultyProvider) -> None:
        """Where no other is left, the silent one is asked."""
        with routed(group(host), timeout=TIMEOUT, num_retries=0) as router:
            assert lost(await outcomes(router, 3)) == [0, 1, 2]
        assert host.attempts == 3

    async def test_all_silent(self, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """Of two that were silent, each request still asks one."""
        sibling.fault = SILENT
        with routed(group(host, sibling), timeout=TIMEOUT, num_retries=0) as router:
            assert len(lost(await outcomes(router, 4))) == 4
        assert host.attempts + sibling.attempts == 4

    async def test_order(self, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """A silent deployment of the first order leaves its requests to the next one."""
        models = group(host, sibling, order=1)
        models[1]["litellm_params"]["order"] = 2
        with routed(models, timeout=TIMEOUT, num_retries=1, enable_pre_call_checks=True) as router:
            await silence(router, host)
            assert await outcomes(router, 6) == ["b"] * 6
        assert host.attempts == 1

    @pytest.mark.parametrize("setting", [{"allowed_fails": 100}, {"disable_cooldowns": True}], ids=str)
    async def test_user_decides(self, setting: dict[str, Any], host: FaultyProvider, sibling: FaultyProvider) -> None:
        """Who has set how many failures a deployment may have, or that none is taken out, has it so."""
        with routed(group(host, sibling), timeout=0.1, num_retries=1, **setting) as router:
            await outcomes(router, 24)
        assert host.attempts > 2

    async def test_retry_reaches_it(self, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """A request that all better ones have failed goes to the one that was held back."""
        with routed(group(host, sibling), timeout=TIMEOUT, num_retries=1) as router:
            await silence(router, host)
            host.fault = HEALTHY
            sibling.fault = FAULTS["404"]
            assert await outcomes(router, 1) == ["a"]


class TestProbe:
    async def test_beside_the_callers(self, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """The host is asked again once an interval, and by no caller; each failure makes the interval longer."""
        settings = {"timeout": TIMEOUT, "num_retries": 1, "cooldown_time": COOLDOWN}
        with routed(group(host, sibling), **settings) as router:
            await silence(router, host)
            begun = time.monotonic()
            while time.monotonic() - begun < 3.0:
                assert await ask(router, "async") == "b"
                await asyncio.sleep(0.05)
        assert 2 <= host.attempts <= 4  # a first one, and probes after 0.5 and 1.4 s, perhaps 3.8 s
        assert ["max_tokens" in request.body for request in host.requests[1:]] == [True] * (host.attempts - 1)

    async def test_back_in_rotation(self, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """A host that answers its probe is asked by callers again, who have not waited."""
        with routed(group(host, sibling), timeout=TIMEOUT, num_retries=1, cooldown_time=COOLDOWN) as router:
            await silence(router, host)
            host.fault = HEALTHY
            await asyncio.sleep(COOLDOWN + 0.05)
            assert await ask(router, "async") == "b"
            assert await until(lambda: host.answered == 1)
            await asyncio.sleep(0.05)
            assert "a" in await outcomes(router, 24)

    @pytest.mark.parametrize("fault", [SILENT, FAULTS["503"], REFUSED], ids=["silent", "503", "refused"])
    async def test_back_within_a_second(self, fault: Fault, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """A host that heals while it is ejected again answers callers within a second of that ejection's end."""
        host.fault = fault
        with routed(group(host, sibling), timeout=TIMEOUT, num_retries=1, cooldown_time=COOLDOWN / 2) as router:
            while state_of(router, "a")["streak"] < 2:
                assert await ask(router, "async") == "b"
                await asyncio.sleep(0.02)
            host.fault = HEALTHY
            end = time.monotonic() + state_of(router, "a")["seconds_left"]
            while await ask(router, "async") == "b" and time.monotonic() < end + PATIENCE:
                await asyncio.sleep(0.05)
            assert -0.01 <= time.monotonic() - end <= 1
        assert host.answered

    async def test_without_background_probes(self, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """Without `background_probes` a caller's request is the probe."""
        settings = {"timeout": TIMEOUT, "num_retries": 1, "cooldown_time": COOLDOWN, "background_probes": False}
        with routed(group(host, sibling), **settings) as router:
            await silence(router, host)
            host.fault = HEALTHY
            await asyncio.sleep(COOLDOWN + 0.05)
            assert "a" in await outcomes(router, 24)
        assert not any("max_tokens" in request.body for request in host.requests)

    async def test_synchronous_caller(self, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """A synchronous request has no event loop that goes on after it: it is the probe itself."""
        with routed(group(host, sibling), timeout=TIMEOUT, num_retries=1, cooldown_time=COOLDOWN) as router:
            await silence(router, host, "sync")
            host.fault = HEALTHY
            await asyncio.sleep(COOLDOWN + 0.05)
            assert "a" in await outcomes(router, 24, "sync")

    def test_loop_of_each_request(self, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """Where each request has its own event loop, no probe outlasts it: the next caller's request is one."""
        with routed(group(host, sibling), timeout=TIMEOUT, num_retries=1, cooldown_time=COOLDOWN) as router:
            while not host.attempts:
                asyncio.run(ask(router, "async"))
            host.fault = HEALTHY
            time.sleep(COOLDOWN + 0.05)
            assert "a" in [asyncio.run(ask(router, "async")) for _ in range(12)]

    async def test_one_caller_at_a_time(self, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """When the cooldown of a host that fails at once is over, one request finds out; the others keep away."""
        host.fault = FAULTS["429"]
        with routed(group(host, sibling), num_retries=1, cooldown_time=COOLDOWN) as router:
            await silence(router, host)
            assert await until(lambda: cooling_down(router) == {"a"})
            await asyncio.sleep(COOLDOWN + 0.05)
            host.fault = SILENT  # so that the probe is under way while the others choose
            answers = asyncio.gather(*(outcomes(router, 1) for _ in range(24)))
            assert await until(lambda: sibling.answered >= 23)
            assert host.attempts == 2
            host.fault = HEALTHY
            await answers
        assert host.attempts == 2

    async def test_longer_each_time(self, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """A host that fails its probe at once stays away for twice as long, though LiteLLM's cooldown is over."""
        host.fault = FAULTS["429"]
        with routed(group(host, sibling), num_retries=1, cooldown_time=COOLDOWN) as router:
            await silence(router, host)
            begun = time.monotonic()
            while time.monotonic() - begun < 3.2:
                await ask(router, "async")
                await asyncio.sleep(0.02)
        assert host.attempts <= 4  # at 0, 0.5, 1.5 and perhaps 3.5 s; each half second without growth

    async def test_cap(self, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """`max_cooldown_time` is what it grows to."""
        host.fault = FAULTS["429"]
        settings = {"num_retries": 1, "cooldown_time": 0.3, "max_cooldown_time": 0.3}
        with routed(group(host, sibling), **settings) as router:
            await silence(router, host)
            begun = time.monotonic()
            while time.monotonic() - begun < 3.0:
                await ask(router, "async")
                await asyncio.sleep(0.01)
        assert host.attempts >= 6


def ordered(*hosts: FaultyProvider) -> dict[str, Any]:
    """A group whose first deployment is asked before the second, and its settings."""
    models = group(*hosts, order=1)
    models[1]["litellm_params"]["order"] = 2
    return {"deployments": models, "enable_pre_call_checks": True, "cooldown_time": COOLDOWN}


class TestImpatientProbe:
    async def half_open(self, router: Any, host: FaultyProvider) -> None:
        """A host that was rate-limited is to be probed, and silent."""
        await silence(router, host)
        assert await until(lambda: state_of(router, "a")["state"] == "half_open")
        host.fault = SILENT
        await asyncio.sleep(0.06)  # LiteLLM's cooldown began a little later

    @pytest.mark.parametrize("mode", ["async", "sync"])
    async def test_next_one_probes(self, mode: str, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """A limit of the caller's own that runs out counts for that request alone, also if it was the probe."""
        host.fault = FAULTS["429"]
        with routed(**ordered(host, sibling), timeout=TIMEOUT * 10, num_retries=1) as router:
            await self.half_open(router, host)
            before = host.attempts
            await outcomes(router, 1, mode, timeout=0.1, num_retries=0)
            assert host.attempts == before + 1
            host.fault = HEALTHY
            assert await outcomes(router, 2, mode) == ["a"] * 2

    @pytest.mark.parametrize("mode", ["async", "sync"])
    async def test_never_sent(self, mode: str, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """A request that is too long for the whole group is no probe: the next one is."""
        host.fault = FAULTS["429"]
        settings = ordered(host, sibling)
        for one in settings["deployments"]:
            one["model_info"]["max_input_tokens"] = 60
        with routed(**settings, num_retries=1) as router:
            await self.half_open(router, host)
            host.fault = HEALTHY
            too_long = [{"role": "user", "content": "word " * 400}]
            assert lost(await outcomes(router, 1, mode, messages=too_long)) == [0]
            assert await outcomes(router, 2, mode) == ["a"] * 2

    async def test_not_each_caller(self, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """A host that is silent does not get one impatient caller after another."""
        host.fault = FAULTS["429"]
        with routed(**ordered(host, sibling), timeout=TIMEOUT * 10, num_retries=1) as router:
            await self.half_open(router, host)
            before = host.attempts
            for _ in range(8):
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(ask(router, "async"), 0.1)
            assert host.attempts - before <= 3  # two callers, and the probe beside the third


class TestSuspicion:
    async def test_before_the_first_timeout(self, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """A host at which a request has waited for longer than any lately is not asked while another one is left."""
        host.fault = HEALTHY
        with routed(group(host, sibling), timeout=30, num_retries=0) as router:
            while host.answered < 6:
                await ask(router, "async")
            host.fault = SILENT
            before = host.attempts
            waiting = [asyncio.create_task(ask(router, "async")) for _ in range(16)]
            assert await until(lambda: host.attempts > before)
            await asyncio.sleep(1.1)
            asked = host.attempts
            assert await outcomes(router, 12) == ["b"] * 12
            assert host.attempts == asked
            host.fault = HEALTHY
            await asyncio.gather(*waiting, return_exceptions=True)

    async def test_cold_one(self, host: FaultyProvider, sibling: FaultyProvider) -> None:
        """A host that has never answered has two requests to wait for it, not more."""
        waiting: list[asyncio.Task[str]] = []
        with routed(group(host, sibling), timeout=3, num_retries=0) as router:
            for _ in range(24):
                waiting.append(asyncio.create_task(ask(router, "async")))
                # Requests that choose at the same moment know nothing of each other.
                assert await until(lambda: host.attempts + sibling.attempts == len(waiting))
            assert await until(lambda: sibling.answered >= 22)
            assert host.attempts <= 2
            host.fault = HEALTHY
            await asyncio.gather(*waiting, return_exceptions=True)


def test_settings_are_accepted(host: FaultyProvider) -> None:
    """Both settings are the router's own."""
    with routed(group(host), max_cooldown_time=60, background_probes=False) as router:
        assert router.get_model_list(model_name=GROUP)
