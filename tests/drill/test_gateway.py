"""A proxy as a drill asks it: a stand-in, which speaks as one does, takes its place."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from litellm_drill import gateway as module
from litellm_drill.document import ConfigError
from litellm_drill.gateway import Gateway, Gateways
from litellm_drill.stand_in import QUESTION, Fault, StandIn


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    """The one with the number 3."""
    server = StandIn(3)
    await server.open()
    yield server
    await server.close()


@pytest.fixture
async def gateway(stand_in: StandIn, tmp_path: Path) -> AsyncIterator[Gateway]:
    """What is asked in place of a proxy."""
    asked = Gateway(tmp_path, "sk-drill", "/reset")
    asked._url = stand_in.url
    yield asked
    await asked.close()


@pytest.mark.parametrize(("embed", "streamed"), [(False, False), (False, True), (True, False)])
async def test_answer_is_known_by_its_stand_in(gateway: Gateway, embed: bool, streamed: bool) -> None:
    """Whole, in a stream, or as a vector."""
    answer = await gateway.ask("gpt", f"{QUESTION} 1", embed=embed, streamed=streamed)
    assert (answer.status, answer.by, answer.seen) == (200, 3, "")
    assert answer.seconds >= 0


@pytest.mark.parametrize(
    ("fault", "status", "seen"),
    [
        (Fault.RATE_LIMITED, 429, "HTTP 429, Retry-After 4"),
        (Fault.UNAVAILABLE, 503, "HTTP 503"),
        (Fault.GARBAGE, 200, "200 that cannot be read"),
        (Fault.REFUSED, 0, "the connection was lost"),
    ],
)
async def test_failure_is_told(gateway: Gateway, stand_in: StandIn, fault: Fault, status: int, seen: str) -> None:
    """As the caller of a proxy sees it, with the words of an error."""
    await stand_in.turn(fault)
    answer = await gateway.ask("gpt", f"{QUESTION} 1", embed=False, streamed=False)
    assert (answer.status, answer.by, answer.seen) == (status, None, seen)
    assert answer.words == {429: "Too many requests.", 503: "The service is down."}.get(status, "")


async def test_silence_ends(gateway: Gateway, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever."""
    monkeypatch.setattr(module, "ANSWER_DEADLINE", 0.1)
    await stand_in.turn(Fault.SILENT)
    answer = await gateway.ask("gpt", f"{QUESTION} 1", embed=False, streamed=True, waits=0.2)
    assert (answer.status, answer.seen) == (0, "no answer within 0 s")
    assert answer.seconds >= 0.3


async def test_unserved_proxy_does_not_answer(gateway: Gateway, stand_in: StandIn) -> None:
    """Neither one that is not there yet nor what is none."""
    assert not await gateway.answers()
    await stand_in.turn(Fault.REFUSED)
    assert not await gateway.answers()


async def test_proxy_that_cannot_begin_anew(gateway: Gateway, tmp_path: Path) -> None:
    """The status is named."""
    with pytest.raises(ConfigError, match="HTTP 404"):
        await gateway.begin_anew(tmp_path / "config.yaml")


async def test_what_a_proxy_has_noted(gateway: Gateway, tmp_path: Path) -> None:
    """Nothing at first; a line that is being written is not read."""
    assert (gateway.denied, gateway.connections()) == ([], [])
    (tmp_path / "denied").write_text("socket.connect 192.0.2.1\n")
    (tmp_path / "connections").write_text("1.5 8000\n2.5 80")
    assert gateway.denied == ["socket.connect 192.0.2.1"]
    assert gateway.connections() == [(1.5, 8000)]


async def test_proxy_that_ends_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it printed says why it does not start, and nothing of it is left."""
    script = tmp_path / "proxy.py"
    script.write_text("import sys\nsys.exit(\"No module named 'fastapi'\")")
    monkeypatch.setattr(module, "SCRIPT", script)
    started = Gateways(sys.executable, [tmp_path])
    try:
        with pytest.raises(ConfigError, match="needs fastapi, which is not installed"):
            await started.start()
    finally:
        await started.stop()
    assert all(process.returncode is not None for process in started._processes)
