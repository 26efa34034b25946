"""What an attempt changes in a request reaches neither the next attempt, nor the fallback, nor the caller's objects."""

from __future__ import annotations

import copy
import io
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger

from support.faulty_provider import FAULTS, HEALTHY, Fault, FaultyProvider
from support.media_provider import MediaProvider
from support.routing import GROUP, MODES, ask, back_offs, callbacks_put_back, deployment, routed

FALLBACK = "the-fallback"
PLACES = pytest.mark.parametrize("place", [GROUP, FALLBACK])
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
AUDIO = b"RIFF some bytes of a file"


def request() -> dict[str, Any]:
    """One with lists and dicts at several depths."""
    return {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "ping"}]}],
        "tools": [copy.deepcopy(TOOL)],
        "extra_body": {"hints": {"first": 1}},
        "extra_headers": {"x-first": "1"},
        "stop": ["end"],
        "metadata": {"tags": ["mine"]},
    }


class Meddler(CustomLogger):
    """A hook that changes what it is given for an attempt, as hooks and LiteLLM's own transformations do."""

    def log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        messages[0]["content"][0]["text"] += " again"
        body = kwargs["additional_args"]["complete_input_dict"]
        body["extra_body"]["hints"]["second"] = 2
        body["tools"][0]["function"]["name"] += "_again"
        body["stop"].append("more")


@PLACES
@pytest.mark.parametrize("mode", MODES)
async def test_what_an_attempt_changes_ends_with_it(mode: str, place: str) -> None:
    """The second provider is sent what the first was sent, and the caller keeps what it has."""
    with FaultyProvider(Fault.status(503)) as bad, FaultyProvider(HEALTHY) as good:
        group = [deployment("a-bad", "openai", bad.url), deployment("b-good", "openai", good.url, group=place)]
        settings: dict[str, Any] = {"fallbacks": [{GROUP: [FALLBACK]}], "routing_strategy": "least-busy"}
        given = request()
        with routed(group, num_retries=2, **settings) as router, back_offs(), callbacks_put_back():
            litellm.input_callback.append(Meddler())
            assert await ask(router, mode, **given) == "pong"
        first, second = bad.requests[0].body, good.requests[0].body
        assert second == first
        mine = {name: value for name, value in given.items() if name != "metadata"}
        assert mine == {name: value for name, value in request().items() if name != "metadata"}


@PLACES
@pytest.mark.parametrize("given", [["mine"], "mine"], ids=["list", "text"])
async def test_tags_of_a_failed_deployment_stay_behind(given: Any, place: str) -> None:
    """Those of the deployment that answers are added to the caller's own, of which a text is one."""
    with FaultyProvider(Fault.status(503)) as bad, FaultyProvider(HEALTHY) as good:
        group = [
            deployment("a-bad", "openai", bad.url, tags=["of-a"], litellm_credential_name="a"),
            deployment("b-good", "openai", good.url, group=place, tags=["of-b"], litellm_credential_name="b"),
        ]
        litellm.credential_list = []
        metadata: dict[str, Any] = {"tags": given}
        settings: dict[str, Any] = {"fallbacks": [{GROUP: [FALLBACK]}], "routing_strategy": "least-busy"}
        with routed(group, num_retries=2, **settings) as router, back_offs():
            answer = await router.acompletion(model=GROUP, messages=request()["messages"], metadata=metadata)
        assert answer.choices[0].message.content == "pong"
        assert (bad.attempts, good.attempts) == (1, 1)
        assert "of-a" not in metadata["tags"]
        assert "Credential: a" not in metadata["tags"]
        assert "mine" in metadata["tags"]


@PLACES
@pytest.mark.parametrize("shape", ["file", "named"])
async def test_a_file_is_sent_whole_again(place: str, shape: str) -> None:
    """The first attempt has read it to its end."""
    with MediaProvider(FAULTS["503"]) as bad, MediaProvider() as good:
        group = [deployment("a-bad", "openai", bad.url), deployment("b-good", "openai", good.url, group=place)]
        file = io.BytesIO(AUDIO)
        file.name = "a.wav"
        settings: dict[str, Any] = {"fallbacks": [{GROUP: [FALLBACK]}], "routing_strategy": "least-busy"}
        with routed(group, num_retries=2, **settings) as router, back_offs():
            sent: Any = file if shape == "file" else ("a.wav", file, "audio/wav")
            await router.atranscription(model=GROUP, file=sent)
        assert [AUDIO in body for body in (*bad.bodies, *good.bodies)] == [True, True]
