"""What a router says of its deployments: who is in rotation, until when and why the others are not, and how often."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest import mock

import litellm
import pytest
from litellm.router_utils.failover import rotation_metrics
from litellm.router_utils.failover.rotation import rotation_of

from support.faulty_provider import HEALTHY, REFUSED, SILENT, Fault, FaultyProvider
from support.routing import GROUP, ask, deployment, outcomes, routed, until

COOLDOWN = 0.3
LONG = 60.0
OTHER = "another-group"
FAULTS = {"unreachable": REFUSED, "rate_limited": Fault.status(429), "bad_credentials": Fault.status(401)}


@pytest.fixture
def hosts() -> Iterator[list[FaultyProvider]]:
    """The hosts of deployments "a" and "b"."""
    with FaultyProvider() as a, FaultyProvider() as b:
        yield [a, b]


def group(hosts: list[FaultyProvider]) -> list[dict[str, Any]]:
    return [deployment(name, "openai", host.url) for name, host in zip("ab", hosts, strict=True)]


def state_of(router: Any, name: str) -> dict[str, Any]:
    """The row of one deployment."""
    (row,) = [row for row in router.get_rotation_state() if row["model_id"] == name]
    return dict(row)


def is_in(router: Any, name: str, state: str) -> bool:
    return bool(state_of(router, name)["state"] == state)


async def ask_until(router: Any, name: str, state: str) -> None:
    """Ask for as long as the deployment is not in that state."""
    for _ in range(40):
        await outcomes(router, 1)
        if is_in(router, name, state):
            return
    raise AssertionError(f"{name} is {state_of(router, name)}")


async def test_all_are_in_rotation_at_first(hosts: list[FaultyProvider]) -> None:
    """Of those that nothing is known of, nothing is the matter; each group has its own."""
    models = [*group(hosts), deployment("c", "openai", hosts[0].url, group=OTHER)]
    with routed(models) as router:
        rows = router.get_rotation_state()
        well = {"state": "in_rotation", "seconds_left": 0.0, "reason": None, "streak": 0, "retries_denied": 0}
        assert rows == [
            {"model_id": name, "model_group": of, "retries_left": left, **well}
            for name, of, left in (("a", GROUP, 3), ("b", GROUP, 3), ("c", OTHER, None))
        ]
        assert router.get_rotation_state(OTHER) == router.get_rotation_state(model_group=OTHER) == rows[2:]


async def test_unknown_group_is_named(hosts: list[FaultyProvider]) -> None:
    """A group that there is none of is an error that says so."""
    with routed(group(hosts)) as router, pytest.raises(ValueError, match="no model group 'grup'"):
        router.get_rotation_state("grup")


@pytest.mark.parametrize("reason", FAULTS)
async def test_failed_one_is_ejected(hosts: list[FaultyProvider], reason: str) -> None:
    """One that is cooling down is ejected for as long as that lasts, for the kind of its failure."""
    hosts[0].fault = FAULTS[reason]
    with routed(group(hosts), cooldown_time=LONG, num_retries=1) as router:
        await ask_until(router, "a", "ejected")
        row = state_of(router, "a")
        assert (row["reason"], row["streak"]) == (reason, 1)
        assert LONG / 2 < row["seconds_left"] <= LONG
        assert is_in(router, "b", "in_rotation")


async def test_ejected_one_comes_back(hosts: list[FaultyProvider]) -> None:
    """When the time is over it is half-open; a failed probe ejects it again, one that is answered brings it back."""
    hosts[0].fault = FAULTS["rate_limited"]
    with routed(group(hosts), cooldown_time=COOLDOWN, num_retries=1) as router:
        await ask_until(router, "a", "ejected")
        assert await until(lambda: is_in(router, "a", "half_open"))
        await ask_until(router, "a", "ejected")
        assert state_of(router, "a")["streak"] == 2
        hosts[0].fault = HEALTHY
        assert await until(lambda: is_in(router, "a", "half_open"))
        await ask_until(router, "a", "in_rotation")
        assert state_of(router, "a")["reason"] is None


async def test_cooldown_of_another_process_is_known(hosts: list[FaultyProvider]) -> None:
    """A cooldown that stands in the store alone, such as a shared one's, is shown without a reason."""
    hosts[0].fault = FAULTS["rate_limited"]
    with routed(group(hosts), cooldown_time=LONG, num_retries=1) as router:
        await ask_until(router, "a", "ejected")
        rotation = rotation_of(router)
        rotation.recovery.restore("a")
        rotation.reasons.clear()
        row = state_of(router, "a")
        assert (row["state"], row["reason"]) == ("ejected", None)
        assert LONG / 2 < row["seconds_left"] <= LONG


async def test_who_is_waited_for_is_suspected(hosts: list[FaultyProvider]) -> None:
    """A deployment that has never answered while two requests wait for it is asked last."""
    hosts[0].fault = hosts[1].fault = SILENT
    with routed(group(hosts), timeout=5, num_retries=0) as router:
        waiting = [asyncio.create_task(ask(router, "async")) for _ in range(6)]
        assert await until(lambda: is_in(router, "a", "suspected") and is_in(router, "b", "suspected"))
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await until(lambda: is_in(router, "a", "in_rotation"))


@pytest.mark.parametrize(("callbacks", "times"), [([], 0), (["prometheus"], 1)], ids=["off", "on"])
async def test_ejections_and_probes_are_counted(
    hosts: list[FaultyProvider], monkeypatch: pytest.MonkeyPatch, callbacks: list[str], times: int
) -> None:
    """With the Prometheus callback each ejection and each probe is counted once, by deployment and kind; without it
    nothing is."""
    counted: Counter[tuple[str, ...]] = Counter()

    def counter(name: str) -> mock.Mock:
        return mock.Mock(labels=lambda *labels: mock.Mock(inc=lambda: counted.update([(name, *labels)])))

    monkeypatch.setattr(rotation_metrics, "_counter", counter)
    hosts[0].fault = FAULTS["rate_limited"]
    with routed(group(hosts), cooldown_time=COOLDOWN, num_retries=1) as router:
        monkeypatch.setattr(litellm, "callbacks", callbacks)
        await ask_until(router, "a", "ejected")
        assert await until(lambda: is_in(router, "a", "half_open"))
        await ask_until(router, "a", "ejected")
    ejections, probes = "litellm_deployment_ejections", "litellm_deployment_probes"
    assert counted == Counter({(ejections, "a", "rate_limited"): 2 * times, (probes, "a", "rate_limited"): times})
