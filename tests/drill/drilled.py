"""Configs, plans and outcomes for the tests of `litellm-drill run` that start no proxy."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from drill.configs import written
from litellm_drill.config import Config
from litellm_drill.document import load
from litellm_drill.outcome import Outcome, Report, Scenario, Scope, Step, Verdict
from litellm_drill.plan import Plan, planned
from litellm_drill.release import installed
from litellm_drill.stand_in import Fault

THREE = """\
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, api_base: http://a/v1, api_key: sk-abcdef, timeout: 60}
  - model_name: gpt
    litellm_params: {model: azure/own, api_base: http://b, api_key: sk-ghijkl, timeout: 90, stream_timeout: 10}
  - model_name: spare
    litellm_params: {model: anthropic/claude-3-5-haiku-20241022, api_key: sk-mnopqr}
  - model_name: other
    litellm_params: {model: ollama_chat/llama3}
  - model_name: far
    litellm_params: {model: bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0}
  - model_name: vectors
    litellm_params: {model: openai/text-embedding-3-small}
router_settings:
  fallbacks: [{gpt: [spare]}]
"""


def config_of(text: str) -> Config:
    """The config with this text."""
    with TemporaryDirectory() as folder:
        return Config(load(written(Path(folder), text)))


def plan_of(text: str = THREE, sample: int | None = None) -> Plan:
    """What of a config with this text is drilled."""
    return planned(config_of(text), installed(), sample)


def outcome(
    verdict: Verdict,
    fault: Fault = Fault.REFUSED,
    scope: Scope = Scope.ONE,
    *,
    group: str = "gpt",
    streamed: bool = False,
) -> Outcome:
    """An outcome of a question to `group`, at which its first deployment is broken."""
    good = verdict is Verdict.ANSWERED
    steps = (Step(f"{group} #1", 0.0, 0.1, fault.value), Step(f"{group} #2", 0.1, 0.2, "answered"))
    scenario = Scenario(group, (0,), scope, fault, streamed)
    by, seen = (f"{group} #2", "") if good else ("", "HTTP 503")
    return Outcome(scenario, verdict, (f"{group} #1",), by, seen, 0.25, 59.5, steps[: 2 if good else 1])


def report(*outcomes: Outcome) -> Report:
    """A report of these."""
    return Report(
        "1.2.3", outcomes, {"far #1": "no stand-in speaks it"}, ("api_key: an invented key",), ("example",), 9.0
    )
