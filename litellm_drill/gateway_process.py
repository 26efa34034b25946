"""Runs LiteLLM's proxy for a drill: on loopback alone, and able to begin anew.

A file to be run by itself, by the interpreter whose LiteLLM is drilled, which may have no litellm_drill:

    PYTHON gateway_process.py RESET_PATH FOLDER PORT [FOLDER PORT ...]

Each FOLDER has a config.yaml, which a proxy of its own serves at PORT, and a file `ports`, of those that proxy may
connect to: what is imported, for many seconds, is imported once, and the process forked. A request to RESET_PATH makes
a proxy read the config named in its body as it does when it starts, so that no cooldown and no count of failures is
left. In its FOLDER it notes the ports of loopback it connects to, and what it wanted to reach elsewhere. All end when
the standard input does, so that none outlives a drill, and when one of them does.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import ipaddress
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

OPENS_CONNECTIONS = ("socket.connect", "socket.sendto", "socket.sendmsg")
LOOKS_UP = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")
STARTS_PROGRAMS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork", "os.forkpty")
PAST_PYTHON = ("uvloop", "aiodns", "pycares", "grpc")
"""Libraries that open sockets without Python's: LiteLLM does without each of them."""


class Denied(PermissionError):
    """The gateway wanted to leave loopback, or to start a program, which could."""


def is_loopback(address: object) -> bool:
    """Whether an address as Python's sockets know it is on this machine: a path, a host with a port, or a host."""
    host = address[0] if isinstance(address, tuple) and address else address
    if host is None or host in ("", b"", "localhost", b"localhost"):
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if text.startswith(("/", "\0")):
        return True
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


class Guard:
    """Keeps a process at those ports of loopback that are in the file `ports` in `folder`, a line each: what it wanted
    to reach elsewhere is written to `denied`, when it connected to which port to `connections`: a connection that is
    refused is seen nowhere else."""

    def __init__(self, folder: Path) -> None:
        self.move(folder)
        self._may_fork = False

    def move(self, folder: Path) -> None:
        """Keep to the ports of `folder` from now on."""
        self.folder = folder
        self.ports = ports_of(folder)

    def fork(self) -> bool:
        """Make another process like this one, whose result is True; nothing but this may."""
        self._may_fork = True
        is_new = sys.platform != "win32" and os.fork() == 0
        self._may_fork = False
        return is_new

    def watch(self, event: str, arguments: tuple[object, ...]) -> None:
        """The audit hook. Raises Denied at what leads out of loopback, or could."""
        if event in OPENS_CONNECTIONS and not is_loopback(arguments[1]):
            self._refuse(_host(arguments[1]))
        elif event in OPENS_CONNECTIONS and not self._is_ours(arguments[1]):
            self._refuse(_place(arguments[1]))
        elif event in LOOKS_UP and not is_loopback(arguments[0]):
            self._refuse(_host(arguments[0]))
        elif event in STARTS_PROGRAMS and not (self._may_fork and event == "os.fork"):
            self._refuse(event)
        elif event == "socket.connect" and isinstance(address := arguments[1], tuple):
            self._note("connections", f"{time.monotonic()} {address[1]}")

    def _is_ours(self, address: object) -> bool:
        """Whether an address of this machine is the drill's. Where Windows has no pair of sockets, Python connects two
        at a port that nobody knows beforehand."""
        if address is None or sys.platform == "win32":
            return True
        return isinstance(address, tuple) and len(address) > 1 and address[1] in self.ports

    def _refuse(self, what: object) -> None:
        self._note("denied", what)
        raise Denied(f"a drill stays on loopback: {what}")

    def _note(self, name: str, what: object) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(f"{what}\n")


def stay_on_loopback(folder: Path) -> Guard:
    """Let this process open no connection but to the ports of `folder`, from now on and for good. An audit hook cannot
    be taken back or gone round in Python (PEP 578)."""
    for name in PAST_PYTHON:
        sys.modules[name] = None  # type: ignore[assignment]
    guard = Guard(folder)
    sys.addaudithook(guard.watch)
    return guard


def _host(address: object) -> object:
    """What of an address may be told: where it leads, and nothing that is sent there."""
    return address[0] if isinstance(address, tuple) and address else address


def _place(address: object) -> object:
    """An address of this machine, with its port."""
    return ":".join(map(str, address[:2])) if isinstance(address, tuple) else address


def ports_of(folder: Path) -> tuple[int, ...]:
    """The ports of the stand-ins that a proxy in `folder` may ask; the first is that of what has no address of its
    own. None where no file names any."""
    file = folder / "ports"
    return tuple(map(int, file.read_text("utf-8").split())) if file.exists() else ()


def end_with_input() -> None:
    """End this process when whoever started it is gone, whatever it was ended by."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os._exit(0)

    threading.Thread(target=wait, name="drill", daemon=True).start()


def begin_anew_at(path: str) -> None:
    """Give the proxy a route at `path` by which it takes up a config as it does when it starts."""
    server = importlib.import_module("litellm.proxy.proxy_server")
    responses = importlib.import_module("starlette.responses")
    routing = importlib.import_module("starlette.routing")
    request_type = importlib.import_module("starlette.requests").Request

    async def begin_anew(request: object) -> object:
        assert isinstance(request, request_type)
        config = (await request.body()).decode()
        if server.llm_router is not None:
            server.llm_router.discard()
        vars(server)["llm_router"] = None
        await server.initialize(**{**_as_started(server.initialize), "config": config})
        return responses.PlainTextResponse("ready")

    server.app.router.routes.insert(0, routing.Route(path, begin_anew, methods=["POST"]))


def _as_started(initialize: Callable[..., object]) -> dict[str, object]:
    """What the proxy's command has given to `initialize`: its own defaults are others, such as a timeout for all."""
    given: dict[str, object] = json.loads(os.environ["WORKER_CONFIG"])
    return {name: value for name, value in given.items() if name in inspect.signature(initialize).parameters}


def serve_by_asyncio() -> None:
    """Have the server use Python's own event loop, which opens sockets where the guard sees it."""
    uvicorn = importlib.import_module("uvicorn")
    run: Callable[..., object] = uvicorn.run

    def run_by_asyncio(*arguments: object, **options: object) -> None:
        run(*arguments, **{**options, "loop": "asyncio"})

    vars(uvicorn)["run"] = run_by_asyncio


def serve(folder: Path, port: str, guard: Guard) -> None:
    """Be the command `litellm` from here on, for the config in `folder`."""
    guard.move(folder)
    os.chdir(folder)
    os.environ.update({"HOME": str(folder), "TMPDIR": str(folder)})
    if guard.ports:  # LiteLLM asks there what a model can, whatever api_base is
        os.environ["OLLAMA_API_BASE"] = f"http://127.0.0.1:{guard.ports[0]}"
    sys.argv[1:] = ["--config", str(folder / "config.yaml"), "--host", "127.0.0.1", "--port", port]
    run: Callable[[], None] = importlib.import_module("litellm").run_server
    run()


def main(arguments: Sequence[str]) -> None:
    """Guard this process, import LiteLLM, and serve each folder at its port."""
    reset_path, *rest = arguments
    served = list(zip(map(Path, rest[::2]), rest[1::2], strict=True))
    end_with_input()  # before the import, which a busy machine takes minutes for
    sys.path[:1] = []  # this file's folder, whose modules have names such as `config`
    guard = stay_on_loopback(served[0][0])
    serve_by_asyncio()
    begin_anew_at(reset_path)
    if len(served) == 1:
        serve(*served[0], guard)
        return
    gc.freeze()  # so that what all have in common stays so
    for folder, port in served:
        if guard.fork():
            end_with_input()  # as no thread outlives a fork
            serve(folder, port, guard)
            return
    if sys.platform != "win32":
        os.wait()
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
