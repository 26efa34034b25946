"""The LiteLLM proxy as its operators run it: a process of `litellm --config`, on a loopback port of its own.

with Gateway({"model_list": [...]}, tmp_path) as gateway:
    httpx.post(f"{gateway.url}/v1/chat/completions", headers={"Authorization": f"Bearer {MASTER_KEY}"}, json={...})
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

MASTER_KEY = "sk-master-of-the-gateway"
START_DEADLINE = 300.0
"""Seconds the proxy has to answer its first request; a loaded machine takes most of a minute to import it."""

STOP_DEADLINE = 20.0


class GatewayError(RuntimeError):
    """The proxy did not start, or not in time; the message ends with what it printed last."""


class Gateway:
    """A proxy serving `config` (a config.yaml, or the content of one) from `start()` (or `with`) to `stop()`.

    It runs in `folder` and writes its output to gateway.log there.
    """

    def __init__(self, config: dict[str, Any] | Path, folder: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._config = config
        self._log = folder / "gateway.log"
        self._environment = {"LITELLM_MASTER_KEY": MASTER_KEY, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All it has printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> Gateway:
        """Begin to serve; the proxy answers when this returns. Raises GatewayError."""
        command = [Path(sys.executable).with_name("litellm"), "--config", self._file()]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*", **self._environment}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                list(map(str, command)), cwd=self._folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it as an operator does, and at once if it does not end by itself."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> Gateway:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _file(self) -> Path:
        if isinstance(self._config, Path):
            return self._config
        file = self._folder / "config.yaml"
        file.write_text(json.dumps(self._config))  # JSON is YAML
        return file

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise GatewayError(f"the proxy ended with exit code {process.returncode}:\n{self.log[-4000:]}")
            try:
                if httpx.get(f"{self.url}/health/liveliness", timeout=5, trust_env=False).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise GatewayError(f"the proxy did not answer within {START_DEADLINE:.0f} s:\n{self.log[-4000:]}")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
