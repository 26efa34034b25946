"""What serves a drill's proxies, over a LiteLLM that is played: it imports once, guards each, and ends whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from litellm_drill.gateway import SCRIPT

PLAYED = {
    "litellm/__init__.py": """
import json, os, sys
from pathlib import Path
IMPORTED_BY = os.getpid()
def run_server():
    try:
        os.fork()
    except OSError as error:
        denied = str(error)
    os.environ["WORKER_CONFIG"] = "{}"
    told = {"imported_by": IMPORTED_BY, "pid": os.getpid(), "argv": sys.argv[1:], "home": os.environ["HOME"],
            "cwd": os.getcwd(), "denied": denied}
    Path("told.new").write_text(json.dumps(told))
    os.rename("told.new", "told")
    os.write(1, b"serving\\n")  # at once, as lines of several come together
    if Path("ends").exists():
        while sum(path.exists() for path in Path("..").glob("*/told")) < 2:
            pass
        sys.exit("it ends")
    import threading
    threading.Event().wait()
""",
    "litellm/proxy/__init__.py": "",
    "litellm/proxy/proxy_server.py": """
class app:
    class router:
        routes = []
""",
    "starlette/__init__.py": "",
    "starlette/responses.py": "",
    "starlette/requests.py": "Request = object",
    "starlette/routing.py": "def Route(*arguments, **options): return arguments",
    "uvicorn.py": "run = print",
}


ENDLESS = """
import os, threading
os.write(1, b"importing\\n")
threading.Event().wait()
"""


def served(tmp_path: Path, count: int, **changed: str) -> tuple[subprocess.Popen[str], list[Path]]:
    """A process that serves `count` folders by the played LiteLLM, with `changed` modules, and the folders."""
    played = tmp_path / "played"
    for name, text in {**PLAYED, **{f"{module}.py": text for module, text in changed.items()}}.items():
        path = played / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    folders = [tmp_path / "served" / f"{i}" for i in range(count)]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    arguments = [text for i, folder in enumerate(folders) for text in (str(folder), str(4000 + i))]
    command = [sys.executable, str(SCRIPT), "/reset", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(played)}
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, env=environment, text=True, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, start_new_session=True
    )
    return process, folders


@pytest.mark.parametrize("count", [1, 3])
def test_each_folder_is_served(count: int, tmp_path: Path) -> None:
    """Each folder has a process of its own, guarded, that LiteLLM was imported for once; all end with their input."""
    process, folders = served(tmp_path, count)
    assert process.stdout is not None
    assert process.stdin is not None
    assert [process.stdout.readline() for _ in folders] == ["serving\n"] * count
    told = [json.loads((folder / "told").read_text()) for folder in folders]
    assert {one["imported_by"] for one in told} == {process.pid}
    assert len({one["pid"] for one in told}) == count
    for i, (folder, one) in enumerate(zip(folders, told, strict=True)):
        config = str(folder / "config.yaml")
        assert one["argv"] == ["--config", config, "--host", "127.0.0.1", "--port", f"{4000 + i}"]
        assert (one["home"], one["cwd"]) == (str(folder), str(folder))
        assert one["denied"] == "a drill stays on loopback: os.fork"
        assert (folder / "denied").read_text() == "os.fork\n"
    process.stdin.close()
    assert process.stdout.read() == ""  # as whoever could write there has ended
    process.wait(30)


def test_all_end_with_one(tmp_path: Path) -> None:
    """When one proxy ends, as where its port is taken, no other is left, and what it said is there."""
    (tmp_path / "served" / "1").mkdir(parents=True)
    (tmp_path / "served" / "1" / "ends").touch()
    process, _ = served(tmp_path, 2)
    assert process.stdout is not None
    assert "it ends" in process.stdout.read()
    assert process.wait(30) != 0


@pytest.mark.parametrize("count", [1, 2])
def test_import_ends_with_its_input(count: int, tmp_path: Path) -> None:
    """A drill that is killed while LiteLLM is imported, which takes a busy machine minutes, leaves nothing behind."""
    process, _ = served(tmp_path, count, uvicorn=ENDLESS)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        assert process.stdout.readline() == "importing\n"
        process.stdin.close()
        assert process.wait(10) == 0
    finally:
        process.kill()
