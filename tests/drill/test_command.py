"""The command as it is installed: quick, offline, and clear about what it lacks."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from importlib.metadata import distribution
from pathlib import Path

import pytest

from drill.configs import FOLDER, written

SCRIPT = Path(sysconfig.get_path("scripts"), "litellm-drill")
LONG = 3.0
"""Seconds the whole command may take."""

MANY = "model_list:\n" + "".join(
    f"  - model_name: g{number // 2}\n    litellm_params:\n      model: hosted_vllm/a\n"
    f"      api_base: http://h{number}\n      timeout: 60\n    model_info: {{id: {number}}}\n"
    for number in range(500)
)
NO_SOCKETS = """
import socket, sys
def refuse(*_, **__):
    raise SystemExit("a socket was opened")
socket.socket.__init__ = socket.getaddrinfo = refuse
from litellm_drill.cli import main
try:
    main(["check", *sys.argv[1:]], standalone_mode=False)
finally:
    assert "litellm" not in sys.modules, "litellm was imported"
    print("done")
"""
WITHOUT_RUAMEL = """
import sys
sys.modules["ruamel"] = None
from litellm_drill.cli import main
main(["check", *sys.argv[1:]])
"""


def python(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What Python says that runs `code` with the installed package."""
    command = [sys.executable, "-I", "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_package_has_the_command() -> None:
    """The installed package names the command among its entry points, beside LiteLLM's own."""
    scripts = {point.name: point.value for point in distribution("litellm").entry_points}
    assert scripts["litellm-drill"] == "litellm_drill.cli:main"
    assert {"litellm", "litellm-proxy"} <= scripts.keys()


@pytest.mark.parametrize("name", ["names", "fallbacks"])
def test_installed_script_runs(name: str) -> None:
    """The script that an installer makes of the entry point finds what is wrong, and its exit code says so."""
    path = FOLDER / "seeded" / f"{name}.yaml"
    done = subprocess.run([SCRIPT, "check", path], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert f"{path}:" in done.stdout
    assert done.stderr == ""


def test_check_is_quick(tmp_path: Path) -> None:
    """A file of 500 deployments takes less than three seconds of the processor, the start of Python included."""
    path = written(tmp_path, f"{MANY}router_settings: {{nobody_knows_this: 1}}\nlitellm_settings: {{nor_this: 1}}\n")
    before = os.times()
    done = subprocess.run([SCRIPT, "check", path], capture_output=True, text=True, check=False)
    after = os.times()
    assert done.returncode == 1
    assert "nor_this" in done.stdout
    used = after.children_user - before.children_user + after.children_system - before.children_system
    assert used < LONG, f"{used:.1f} s at {time.ctime()}"


def test_check_asks_no_host() -> None:
    """Neither a socket nor LiteLLM itself is needed to check a config."""
    done = python(NO_SOCKETS, FOLDER / "seeded" / "names.yaml")
    assert "done" in done.stdout, done.stderr
    assert "socket" not in done.stdout + done.stderr
    assert "imported" not in done.stderr


def test_missing_library_is_named() -> None:
    """Without ruamel.yaml the command says in one sentence what to install, with exit code 2."""
    done = python(WITHOUT_RUAMEL, FOLDER / "seeded" / "names.yaml")
    assert done.returncode == 2
    assert done.stderr == "litellm-drill: ruamel.yaml is missing, which reads the config: pip install ruamel.yaml\n"
    assert done.stdout == ""
