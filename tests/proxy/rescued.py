"""A proxy whose streams break off, or take long, in each API, and are well at the second deployment of each group."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from support.gateway import Gateway
from support.scripted_provider import HEALTHY_STREAM, ScriptedProvider, Step, Stream

ANSWER = "one two three four five six"
FIRST_WORDS = "one two three"
OTHER = "another answer"
MESSAGES: list[Any] = [{"role": "user", "content": "ping"}]
INTERVAL = 0.4
"""Seconds between two signs of life."""


class Api(NamedTuple):
    """A route that streams: its path, the model behind it, what is asked for, and which client's it is."""

    path: str
    model: str
    body: dict[str, Any]
    client: str


_CHAT = {"messages": MESSAGES}
_MESSAGE = {"messages": MESSAGES, "max_tokens": 64}
_RESPONSE = {"input": "ping"}
APIS = {
    "chat": Api("/v1/chat/completions", "openai/gpt-4o-mini", _CHAT, "chat"),
    "messages": Api("/v1/messages", "anthropic/claude-3-5-haiku-20241022", _MESSAGE, "messages"),
    "messages-by-chat": Api("/v1/messages", "hosted_vllm/some-model", _MESSAGE, "messages"),
    "responses": Api("/v1/responses", "openai/gpt-4o-mini", _RESPONSE, "responses"),
    "responses-by-chat": Api("/v1/responses", "deepseek/deepseek-chat", _RESPONSE, "responses"),
}
WAYS: dict[str, Step] = {
    "cut": Stream(cut_after=3),
    "reset": Stream(cut_after=3, reset=True),
    "stalled": Stream(stall_after=3, stall=60),
}
SLOW = Stream(stall_after=3, stall=2)
LONE: dict[str, Step] = {
    "slow": SLOW,
    "slow-cut": Stream(stall_after=3, stall=2, cut_after=4),
    "cut-alone": WAYS["cut"],
}


def _deployment(api: str, way: str, number: int, provider: ScriptedProvider) -> dict[str, Any]:
    url = provider.url if APIS[api].model.startswith("anthropic") else f"{provider.url}/v1"
    weight = {"weight": 1 if number else 10**9, "stream_timeout": 3}
    params: dict[str, Any] = {"model": APIS[api].model, "api_base": url, "api_key": "sk-test", **weight}
    if way == "cut-alone":
        params["keepalive_seconds"] = 0  # no signs of life
    info = {"id": f"{api}-{way}-{number}", "supports_assistant_prefill": way not in ("anew", "other")}
    return {"model_name": f"{api}-{way}", "litellm_params": params, "model_info": info}


@contextmanager
def rescuing_proxy(folder: Path) -> Iterator[Gateway]:
    """The proxy, with a group for each API and way to break."""
    with ExitStack() as stack:
        pairs = {**{way: (step, HEALTHY_STREAM) for way, step in WAYS.items()}, "other": (WAYS["cut"], HEALTHY_STREAM)}
        pairs["anew"] = pairs["cut"]
        groups: dict[str, tuple[Step, ...]] = {**pairs, **{name: (step,) for name, step in LONE.items()}}
        models = []
        for api in APIS:
            for way, steps in groups.items():
                for number, step in enumerate(steps):
                    answer = OTHER if number and way == "other" else ANSWER
                    provider = stack.enter_context(ScriptedProvider([step], answer=answer))
                    models.append(_deployment(api, way, number, provider))
        pings = {f"{name}_ping_interval_seconds": INTERVAL for name in ("anthropic_sse", "sse_keepalive")}
        (folder / "noted.py").write_text(LOGGER)
        config = {
            "model_list": models,
            "litellm_settings": {"callbacks": "noted.logger", **pings},
            "router_settings": {"num_retries": 2, "disable_cooldowns": True},
        }
        yield stack.enter_context(Gateway(config, folder))


LOGGER = """
from litellm.integrations.custom_logger import CustomLogger

def note(what, kwargs):
    known = kwargs["standard_logging_object"]
    tokens = known["prompt_tokens"], known["completion_tokens"]
    print(what, known["model_group"], known["model_id"], *tokens, known["response_cost"], flush=True)

class Logger(CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        note("SUCCESS", kwargs)
    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        note("FAILURE", kwargs)

logger = Logger()
"""
