"""`litellm-drill run` on real proxies: every verdict is that of a ground truth written by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("litellm-drill")
SECRET = "sk-never-to-be-seen"
WELL, LOST = "answered", "failed"
DEADLINE = 280.0
"""Seconds a drill may take; a busy machine takes most of them to start the proxy."""


def deployment(group: str, model: str, host: str, **params: object) -> dict[str, object]:
    """An entry of model_list that has a key, and a host that no drill may ask."""
    own = {"model": model, "api_key": SECRET, "api_base": f"https://{host}.example.com", "timeout": 30, **params}
    return {"model_name": group, "litellm_params": own}


@dataclass(frozen=True)
class Truth:
    """What a config does: by group and how much of it is broken the verdict for each fault, streamed or not, but for a
    stream that is cut after its first words; the groups that one deployment's loss is a loss of; and those that finish
    a stream that one deployment has cut."""

    config: dict[str, object]
    verdicts: dict[tuple[str, str], str]
    lost: tuple[str, ...] = ()
    finishing: tuple[str, ...] = ()


PAIR = [deployment("gpt", "openai/gpt-4o-mini", "one"), deployment("gpt", "azure/own", "two", api_version="2024-06-01")]
POOL = [deployment("pool", f"{name}/llama", name) for name in ("hosted_vllm", "ollama_chat", "openai")]
CLAUDE = deployment("claude", "anthropic/claude-3-5-haiku-20241022", "three")
CLAUDES = [deployment("claudes", "anthropic/claude-haiku-4-5-20251001", f"c{i}") for i in range(2)]
VECTORS = [deployment("vectors", "openai/text-embedding-3-small", f"v{i}") for i in range(2)]
BEDROCK = {"model_name": "far", "litellm_params": {"model": "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0"}}

TRUTHS: dict[str, Truth] = {
    "pair": Truth({"model_list": PAIR}, {("gpt", "one"): WELL, ("gpt", "all"): LOST}),
    "alone": Truth(
        {"model_list": [CLAUDE], "router_settings": {"num_retries": 1}}, {("claude", "one"): LOST}, ("claude",)
    ),
    "prefill": Truth(
        {"model_list": [*CLAUDES, *PAIR]},
        {(group, scope): verdict for group in ("claudes", "gpt") for scope, verdict in (("one", WELL), ("all", LOST))},
        finishing=("claudes",),
    ),
    "no retries": Truth(
        {"model_list": PAIR, "router_settings": {"num_retries": 0}},
        {("gpt", "one"): LOST, ("gpt", "all"): LOST},
        ("gpt",),
    ),
    "fallback": Truth(
        {"model_list": [*PAIR[:1], CLAUDE], "router_settings": {"fallbacks": [{"gpt": ["claude"]}], "num_retries": 1}},
        {("gpt", "one"): WELL, ("claude", "one"): LOST},
        ("claude",),
    ),
    "pool": Truth(
        {"model_list": POOL, "router_settings": {"num_retries": 2}},
        {("pool", "one"): WELL, ("pool", "pair"): WELL, ("pool", "all"): LOST},
    ),
    "mixed": Truth(
        {
            "model_list": [*VECTORS, *PAIR[:1], BEDROCK],
            "router_settings": {"default_fallbacks": ["far"], "num_retries": 1},
            "litellm_settings": {"success_callback": ["langfuse"], "cache": True},
            "general_settings": {"master_key": SECRET, "database_url": f"postgres://u:{SECRET}@db.example.com/x"},
        },
        {("vectors", "one"): WELL, ("vectors", "all"): WELL, ("gpt", "one"): WELL},
    ),
}


def command(folder: Path, config: dict[str, object], *options: str) -> list[str]:
    """The drill of `config`, which is written to `folder`."""
    path = folder / "config.yaml"
    path.write_text(json.dumps(config))
    return [str(COMMAND), "run", str(path), *options]


@pytest.mark.parametrize("name", TRUTHS)
def test_verdicts_are_the_truth(name: str, tmp_path: Path) -> None:
    """Each verdict is what was written by hand, the exit code says it, and only stand-ins were asked."""
    truth = TRUTHS[name]
    files = ["--html", str(tmp_path / "report.html"), "--junit", str(tmp_path / "junit.xml")]
    done = subprocess.run(
        command(tmp_path, truth.config, "--json", *files), capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == bool(truth.lost), done.stderr
    told = json.loads(done.stdout)
    wrong = [
        one
        for one in told["outcomes"]
        if not (one["fault"] == "cut" and one["streamed"])
        and one["verdict"] not in (truth.verdicts[one["group"], one["scope"]], "not asked")
    ]
    assert wrong == []
    assert {(one["group"], one["scope"]) for one in told["outcomes"]} == set(truth.verdicts)
    assert told["not_surviving"] == list(truth.lost)
    # A stream that is cut after its first words stays so where no deployment is left that goes on from them.
    cut = [one for one in told["outcomes"] if one["fault"] == "cut" and one["streamed"]]
    finished = {(group, "one") for group in truth.finishing}
    assert {(one["group"], one["scope"]) for one in cut if one["verdict"] == WELL} == finished
    assert {one["verdict"] for one in cut} <= {"cut short", WELL, "not asked"}
    assert all(one["seen"] != "a stream that breaks off, told as whole" for one in cut)
    assert set(told["denied"]) <= {"subprocess.Popen"}
    outputs = [done.stdout, done.stderr, *((tmp_path / file).read_text() for file in ("report.html", "junit.xml"))]
    assert all(SECRET not in text for text in outputs)


def test_mute_group_is_not_drilled(tmp_path: Path) -> None:
    """A group that answers nobody, such as one that waits for none, is told as such and not as lost."""
    mute = deployment("mute", "openai/gpt-4o-mini", "five", timeout=0.0001)
    config: dict[str, object] = {"model_list": [*PAIR, mute], "router_settings": {"num_retries": 1}}
    done = subprocess.run(
        command(tmp_path, config, "--json"), capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == 2, done.stderr
    told = json.loads(done.stdout)
    assert (told["groups"], told["not_surviving"], told["unwell"]) == (["gpt"], [], ["mute"])
    assert told["not_drilled"]["mute"].startswith("does not answer even when nothing is broken: HTTP 504")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_running(sent: signal.Signals, tmp_path: Path) -> None:
    """Whatever ends a drill, its proxies end with it."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    drill = subprocess.Popen(command(tmp_path, {"model_list": PAIR}), env=environment, stderr=subprocess.DEVNULL)
    try:
        while not (started := gateways(tmp_path)):
            assert drill.poll() is None
            time.sleep(0.05)
        drill.send_signal(sent)
        code = drill.wait(30)
    finally:
        drill.kill()
    assert code == (-sent if sent is signal.SIGKILL else 130)
    deadline = time.monotonic() + 30
    while (left := gateways(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []
    assert started


def gateways(folder: Path) -> list[int]:
    """The processes of proxies whose files are in `folder`."""
    import psutil

    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        line = process.info["cmdline"] or []
        if any(str(folder) in part for part in line) and any("gateway_process" in part for part in line):
            found.append(process.info["pid"])
    return found
