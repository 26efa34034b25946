"""A Redis of a test's own, which dies and comes back on one port when the test says so.

with RedisServer(tmp_path) as redis:
    redis.kill()
    redis.start()
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from redis import Redis

from support.gateway import free_port

BINARY = "redis-server"
START_DEADLINE = 20.0
"""Seconds it has to answer; only a broken one needs more than a fraction of one."""


class RedisError(RuntimeError):
    """There is no Redis to start, or it did not start; the message says what to do or what it printed last."""


class RedisServer:
    """A `redis-server` on loopback from `start()` (or `with`) to `kill()`, which writes only its log, to `folder`.

    It forgets all it knows when it ends, and has the same `port` when it is started again.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._log = folder / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisServer:
        """Begin to serve; it answers when this returns. Raises RedisError."""
        command = [binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._log.parent, stdout=log, stderr=subprocess.STDOUT)
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.kill()
            raise
        return self

    def kill(self) -> None:
        """End it as a crash does: at once, and without a word to its clients."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def knows(self, key: str) -> bool:
        """Whether it has a value for `key`."""
        with Redis(port=self.port) as client:
            return bool(client.exists(key))

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RedisError(f"Redis ended with exit code {process.returncode}:\n{self._printed()}")
            if _is_answered(self.port):
                return
            time.sleep(0.02)
        raise RedisError(f"Redis did not answer within {START_DEADLINE:.0f} s:\n{self._printed()}")

    def _printed(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]


def binary() -> str:
    """The path of redis-server. Raises RedisError, with how to get it, where there is none."""
    found = shutil.which(BINARY)
    if found is None:
        raise RedisError(
            f"{BINARY} is not on the PATH, and what proxies share cannot be tested without it: install it from the "
            "system's packages (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis)"
        )
    return found


def _is_answered(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
