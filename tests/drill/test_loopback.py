"""What guards the proxy of a drill lets nothing leave the drill's own ports, whichever way it is tried."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from litellm_drill.gateway import SCRIPT

GUARDED = """
import runpy, sys
from pathlib import Path
import asyncio, socket, subprocess, urllib.request
server, other = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
Path(sys.argv[2], "ports").write_text(str(server.getsockname()[1]))
runpy.run_path(sys.argv[1])["stay_on_loopback"](Path(sys.argv[2]))
near = socket.create_connection(server.getsockname())
try:
    eval(sys.argv[3])
except OSError as error:
    print("denied" if "loopback" in str(error) else error)
except ImportError:
    print("denied")
"""


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('192.0.2.1', 443), 1)",
        "socket.socket().connect(('192.0.2.1', 443))",
        "socket.socket().connect_ex(('192.0.2.1', 443))",
        "__import__('_socket').socket().connect(('192.0.2.1', 443))",
        "socket.socket(socket.AF_INET6).connect(('2001:db8::1', 443))",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "socket.create_connection(other.getsockname(), 1)",
        "socket.socket().connect_ex(other.getsockname())",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', other.getsockname())",
        "socket.socket(socket.AF_UNIX).connect('/run/other')",
        "socket.getaddrinfo('example.invalid', 443)",
        "socket.gethostbyname('example.invalid')",
        "urllib.request.urlopen('http://192.0.2.1/')",
        "asyncio.run(asyncio.open_connection('192.0.2.1', 443))",
        "subprocess.run(['true'])",
        "__import__('os').system('true')",
        "__import__('os').fork()",
        "__import__('uvloop')",
    ],
)
def test_nothing_else_is_reached(attempt: str, tmp_path: Path) -> None:
    """Each way out is denied, however it is taken, while loopback is reached."""
    command = [sys.executable, "-c", GUARDED, str(SCRIPT), str(tmp_path), attempt]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "denied\n", done.stderr
    assert len((tmp_path / "connections").read_text().splitlines()) == 1
    if "uvloop" not in attempt:
        assert (tmp_path / "denied").read_text()
