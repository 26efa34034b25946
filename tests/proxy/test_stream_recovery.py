"""A client of the proxy sees one ordinary stream, though the deployment that began it broke off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import openai
import pytest

from support.gateway import MASTER_KEY, Gateway
from support.routing import MESSAGES
from support.scripted_provider import HEALTHY_STREAM, ScriptedProvider, Stream

ANSWER = "one two three four five six"
ASKED: Any = MESSAGES
WAYS = {"cut": Stream(cut_after=3), "stalled": Stream(stall_after=3, stall=60), "garbled": Stream(garbled_chunk=5)}

KINDS = {"stalled": "timed_out", "garbled": "garbled"}


def _deployment(name: str, number: int, provider: ScriptedProvider, *, continues: bool) -> dict[str, Any]:
    params = {"model": "openai/gpt-4o-mini", "api_base": f"{provider.url}/v1", "api_key": "sk-test"}
    weight = {"weight": 1 if number else 10**9, "stream_timeout": 2}
    info = {"id": f"{name}-{number}", "supports_assistant_prefill": continues}
    return {"model_name": name, "litellm_params": {**params, **weight}, "model_info": info}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A proxy over a group for each way to break off, of which the second deployment is well."""
    with ExitStack() as stack:
        models = []
        for name, step in [*WAYS.items(), ("anew", WAYS["cut"]), ("other", WAYS["cut"]), ("held", WAYS["cut"])]:
            for number, one in enumerate((step, HEALTHY_STREAM)):
                answer = "another answer" if number and name in ("other", "held") else ANSWER
                provider = stack.enter_context(ScriptedProvider([one], answer=answer))
                models.append(_deployment(name, number, provider, continues=name not in ("anew", "other")))
        config = {
            "model_list": models,
            "litellm_settings": {"callbacks": "noted.logger"},
            "router_settings": {"num_retries": 2, "disable_cooldowns": True},
        }
        folder: Path = tmp_path_factory.mktemp("gateway")
        (folder / "noted.py").write_text(LOGGER)
        yield stack.enter_context(Gateway(config, folder))


LOGGER = """
from litellm.integrations.custom_logger import CustomLogger

class Logger(CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        named = (kwargs.get("litellm_params", {}).get("metadata") or {}).get("rescued_failures")
        print("SUCCESS", kwargs["standard_logging_object"]["model_group"], named, flush=True)

logger = Logger()
"""


def ask(gateway: Gateway, model: str, **more: Any) -> Iterator[Any]:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=MASTER_KEY, max_retries=0)
    yield from client.chat.completions.create(model=model, messages=ASKED, stream=True, **more)


def text(chunks: Iterator[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def logged(gateway: Gateway, model: str) -> list[str]:
    """What the proxy's logger, which is told of an answer after the caller is, has noted of the answers of a group."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := [line for line in gateway.log.splitlines() if line.startswith(f"SUCCESS {model} ")]:
            return found
        time.sleep(0.05)
    return []


@pytest.mark.parametrize("way", [*WAYS, "anew"])
def test_client_sees_one_stream(gateway: Gateway, way: str) -> None:
    """The whole answer, under one id, with one end; the log names what was rescued."""
    chunks = list(ask(gateway, way))
    assert text(iter(chunks)) == ANSWER
    assert len({chunk.id for chunk in chunks}) == 1
    assert [one.choices[0].finish_reason for one in chunks if one.choices][-1] == "stop"
    assert logged(gateway, way) == [f"SUCCESS {way} ['{way}-0: {KINDS.get(way, 'interrupted')}']"]


def note_each(chunks: Iterator[Any], heard: list[Any]) -> None:
    for chunk in chunks:
        heard.append(chunk)


def heard_before_failure(gateway: Gateway, model: str, **more: Any) -> str:
    """What a client has heard when its stream fails, as it has to."""
    heard: list[Any] = []
    with pytest.raises(openai.APIError):
        note_each(ask(gateway, model, **more), heard)
    return text(iter(heard))


def test_another_answer_is_told(gateway: Gateway) -> None:
    """The client hears of the failure where the second answer is another one, of which it sees nothing."""
    assert heard_before_failure(gateway, "other") == "one two three"


def test_request_turns_it_off(gateway: Gateway) -> None:
    """A request can have the break told."""
    assert heard_before_failure(gateway, "cut", extra_body={"stream_recovery": "off"}) == "one two three"


def test_request_holds_its_words(gateway: Gateway) -> None:
    """A request can ask for its words to be held back, and gets whichever answer is whole."""
    assert text(ask(gateway, "held", extra_body={"stream_recovery": "hold"})) == "another answer"
