"""Silent and slow hosts behind the real proxy: on each route the caller is told in time, and of which attempts.

Thirty-six cells: three hosts, by three shapes of a group, by four routes. They are asked one after the other, so that
what is measured is the deadline and not the machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from proxy.routes import API_KEY, ROUTES, ask
from support.faulty_provider import REFUSED, SILENT, FaultyProvider, litellm_params
from support.gateway import Gateway
from support.routing import RELEASE
from support.slow_host import SlowHost

TOTAL = 0.6
IN_TIME = 0.1
"""Seconds after its deadline by which a request has ended."""

OWN_TIMEOUT = 30.0
HOSTS = ("silent", "slow", "refused")
SHAPES = ("one", "three", "fallback")
ASKED = {"chat": False, "chat streamed": True, "messages": False, "embeddings": False}
"""The routes, and whether a stream is asked for."""

CELLS = [(host, shape, asked) for host in HOSTS for shape in SHAPES for asked in ASKED]
OF_LITELLM = RELEASE >= (1, 110)
"""Whether LiteLLM's proxy has a `total_timeout` of a request by itself."""


def _models(host: str, shape: str, urls: dict[str, str]) -> list[dict[str, Any]]:
    """A group of one, of three, or of one and its fallback; what is refused has others that are silent."""
    group = f"{host}-{shape}"
    own, others = urls[host], urls["silent" if host == "refused" else host]
    members = {
        "one": [(group, others)],
        "three": [(group, own), (group, others), (group, others)],
        "fallback": [(group, own), (f"{group}-other", others)],
    }
    return [
        {
            "model_name": name,
            "litellm_params": {**litellm_params("openai", url), "timeout": OWN_TIMEOUT, "stream_timeout": OWN_TIMEOUT},
            "model_info": {"id": f"{name}-{number}"},
        }
        for number, (name, url) in enumerate(members[shape])
    ]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A proxy with a deadline for all, over each kind of host in each shape."""
    with ExitStack() as stack:
        silent = stack.enter_context(FaultyProvider(SILENT))
        slow = stack.enter_context(SlowHost())
        refused = stack.enter_context(FaultyProvider(REFUSED))
        well = stack.enter_context(FaultyProvider())
        urls = {"silent": silent.url, "slow": slow.url, "refused": refused.url}
        models = [one for host in HOSTS for shape in SHAPES for one in _models(host, shape, urls)]
        models.append({"model_name": "well", "litellm_params": litellm_params("openai", well.url)})
        settings = {
            "num_retries": 3,
            "total_timeout": TOTAL,
            "fallbacks": [{f"{host}-fallback": [f"{host}-fallback-other"]} for host in HOSTS],
        }
        folder = tmp_path_factory.mktemp("gateway")
        config = {"model_list": models, "router_settings": settings}
        gateway = stack.enter_context(
            Gateway(config, folder, LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY="true")
        )
        for asked in ASKED:  # what the first request of each kind imports takes a while
            for group in ("well", "silent-one", "refused-three"):
                timed(gateway, group, asked)
        yield gateway


def timed(gateway: Gateway, group: str, asked: str, **more: Any) -> tuple[float, httpx.Response]:
    """How many seconds a request took, and the answer."""
    began = time.monotonic()
    response = ask(gateway, group, ROUTES[asked.split()[0]], ASKED[asked], **more)
    return time.monotonic() - began, response


def median_of(gateway: Gateway, group: str, asked: str, **more: Any) -> tuple[float, list[httpx.Response]]:
    """The median of how many seconds three requests took, and the answers."""
    results = [timed(gateway, group, asked, **more) for _ in range(3)]
    return statistics.median(elapsed for elapsed, _ in results), [response for _, response in results]


@pytest.mark.parametrize(("host", "shape", "asked"), CELLS)
def test_told_in_time(gateway: Gateway, host: str, shape: str, asked: str) -> None:
    """Each cell ends within 100 ms of its deadline, beside what an answer costs the proxy and the client anyhow, in a
    504 that names the attempts, and neither a host nor a key."""
    elapsed, responses = median_of(gateway, f"{host}-{shape}", asked)
    for response in responses:
        assert response.status_code == 504, response.text
        assert "Attempts that failed" in response.text
        assert f"deployment {host}-{shape}" in response.text
        assert "127.0.0.1" not in response.text
        assert API_KEY not in response.text
    anyhow, _ = median_of(gateway, "well", asked)
    assert TOTAL <= elapsed <= TOTAL + IN_TIME + anyhow


@pytest.mark.parametrize("asked", ASKED)
def test_of_the_request(gateway: Gateway, asked: str) -> None:
    """A request's own, in its body, wins over the router's. LiteLLM's proxy has one since 1.110, which it tells with
    408, and which it refuses of a stream and of other routes: it stays as it is."""
    total = TOTAL + 0.4
    elapsed, (response, *_) = median_of(gateway, "silent-one", asked, total_timeout=total)
    if OF_LITELLM and asked in ("chat streamed", "embeddings"):
        assert response.status_code == 400
        assert "total_timeout" in response.text
        return
    assert response.status_code == (408 if OF_LITELLM else 504)
    anyhow, _ = median_of(gateway, "well", asked)
    assert total <= elapsed <= total + IN_TIME + anyhow
    assert "127.0.0.1" not in response.text


def test_senseless_value(gateway: Gateway) -> None:
    """A value that makes no sense is a bad request that names the setting."""
    response = ask(gateway, "well", total_timeout=-1)
    assert response.status_code == 400
    assert "total_timeout" in response.text
