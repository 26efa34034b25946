"""OpenAI's and Anthropic's clients for Node see one ordinary stream, though the deployment that began it broke off."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.rescued import ANSWER, APIS, OTHER, rescuing_proxy
from support.gateway import MASTER_KEY, Gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with rescuing_proxy(tmp_path_factory.mktemp("rescued")) as running:
        yield running


def heard(gateway: Gateway, api: str, way: str, mode: str = "continue") -> dict[str, Any]:
    """What the client makes of a stream, as stream.mjs tells it."""
    script = Path(__file__).with_name("stream.mjs")
    command = ["node", str(script), gateway.url, MASTER_KEY, APIS[api].client, f"{api}-{way}", mode]
    told: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return told


@pytest.mark.parametrize("api", APIS)
def test_client_sees_one_stream(gateway: Gateway, api: str) -> None:
    """The whole answer, with one beginning and one end."""
    assert heard(gateway, api, "cut") == {"answer": ANSWER, "begin": 1, "end": 1}


@pytest.mark.parametrize("api", APIS)
def test_signs_of_life_are_passed_over(gateway: Gateway, api: str) -> None:
    """What keeps the connection busy while words are held is no part of the answer."""
    assert heard(gateway, api, "slow", "hold") == {"answer": ANSWER, "begin": 1, "end": 1}
    assert heard(gateway, api, "other", "hold")["answer"] == OTHER
