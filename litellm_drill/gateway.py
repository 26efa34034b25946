"""LiteLLM's proxy in processes of its own, for a drill: started, asked, made to begin anew, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from litellm_drill import gateway_process
from litellm_drill.document import ConfigError
from litellm_drill.stand_in import HOST

START_DEADLINE = 240.0
"""Seconds until the proxy answers: a busy machine takes one of them to import it."""

ANSWER_DEADLINE = 30.0
"""Seconds a question is waited for beyond the waits that the config asks for, as a patient caller would."""

SCRIPT = Path(gateway_process.__file__)
PASSED_ON = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE")
"""Of the environment: no key, no proxy, no setting."""

FORKS = sys.platform == "linux"
"""Whether a process that has imported LiteLLM may be forked: what libraries of macOS have begun does not outlive it."""

WHOLE = re.compile(r"Stand-in (\d+) has answered in full\.$")


@dataclass(frozen=True)
class Answer:
    """What a caller got: the HTTP `status` (0 if none), which stand-in's whole answer (None if none), what else there
    was to see, how long it took in seconds, and the `words` of an error, which may hold anything."""

    status: int
    by: int | None
    seen: str
    began: float
    seconds: float
    words: str = ""


class Gateway:
    """A proxy that is served from `folder`, where its config is, and asked with `key`."""

    def __init__(self, folder: Path, key: str = "", reset_path: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self._url = f"http://{HOST}:{self.port}"
        self._reset_path, self._key = reset_path, key
        self._client = httpx.AsyncClient(trust_env=False, timeout=ANSWER_DEADLINE)

    @property
    def denied(self) -> list[str]:
        """What it wanted to reach or start outside of loopback."""
        file = self.folder / "denied"
        return file.read_text("utf-8").splitlines() if file.exists() else []

    def connections(self) -> list[tuple[float, int]]:
        """When it has opened a connection, by time.monotonic(), and to which port of loopback."""
        file = self.folder / "connections"
        rows = file.read_text("utf-8").split("\n")[:-1] if file.exists() else []
        return [(float(at), int(port)) for at, _, port in (row.partition(" ") for row in rows)]

    async def answers(self) -> bool:
        """Whether it is served yet."""
        try:
            return (await self._client.get(f"{self._url}/health/liveliness", timeout=5)).is_success
        except httpx.TransportError:
            return False

    async def close(self) -> None:
        """Give back the connections to it."""
        await self._client.aclose()

    async def begin_anew(self, config: Path) -> None:
        """Take up `config` as at the start, so that nothing is cooling down or counted any more."""
        response = await self._client.post(self._url + self._reset_path, content=str(config))
        if response.status_code != 200:
            raise ConfigError(f"The proxy cannot take up the copy of the config again (HTTP {response.status_code}).")

    async def ask(self, group: str, question: str, *, embed: bool, streamed: bool, waits: float = 0.0) -> Answer:
        """What a caller gets who asks `group` a `question`, where the config may wait for `waits` seconds."""
        deadline = ANSWER_DEADLINE + waits
        began = time.monotonic()
        status, by, seen, words = 0, None, "", ""
        try:
            status, by, seen, words = await asyncio.wait_for(self._asked(group, question, embed, streamed), deadline)
        except (asyncio.TimeoutError, httpx.TimeoutException):
            seen = f"no answer within {deadline:.0f} s"
        except httpx.TransportError:
            seen = "the connection was lost"
        return Answer(status, by, seen, began, time.monotonic() - began, words)

    async def _asked(self, group: str, question: str, embed: bool, streamed: bool) -> tuple[int, int | None, str, str]:
        path = "/v1/embeddings" if embed else "/v1/chat/completions"
        said: dict[str, object] = (
            {"input": question} if embed else {"messages": [{"role": "user", "content": question}]}
        )
        body = {"model": group, **said, **({"stream": True} if streamed else {})}
        headers = {"Authorization": f"Bearer {self._key}"}
        asked = self._client.stream("POST", self._url + path, json=body, headers=headers, timeout=None)
        async with asked as response:
            if response.status_code != 200:
                wait = response.headers.get("retry-after", "")
                seen = f"HTTP {response.status_code}{f', Retry-After {wait}' if wait else ''}"
                return response.status_code, None, seen, _words(await response.aread())
            if streamed:
                return 200, *_streamed([line async for line in response.aiter_lines()]), ""
            return 200, *_whole(await response.aread()), ""


class Gateways:
    """Proxies of the LiteLLM that belongs to the interpreter `python`, one for each of `folders`, which must not be
    none."""

    def __init__(self, python: str, folders: Sequence[Path]) -> None:
        self._python = python
        self._reset_path = f"/{secrets.token_hex(8)}"
        self._key = f"sk-{secrets.token_hex(24)}"
        self._processes: list[asyncio.subprocess.Process] = []
        self._log = folders[0] / "log"
        self.each = [Gateway(folder, self._key, self._reset_path) for folder in folders]

    async def start(self) -> None:
        """Serve them; all answer when this returns. Raises ConfigError if one ends instead."""
        for served in [self.each] if FORKS else [[one] for one in self.each]:
            self._processes.append(await self._process(served))
        deadline = time.monotonic() + START_DEADLINE
        for one in self.each:
            while not await one.answers():
                has_ended = any(process.returncode is not None for process in self._processes)
                if has_ended or time.monotonic() > deadline:
                    raise ConfigError(why_not(self._log.read_text("utf-8", "replace")))
                await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """End them with all they have started: they have nothing to save."""
        for one in self.each:
            await one.close()
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill() if sys.platform == "win32" else os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def _process(self, served: Sequence[Gateway]) -> asyncio.subprocess.Process:
        arguments = [text for one in served for text in (str(one.folder), str(one.port))]
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *[self._python, str(SCRIPT), self._reset_path, *arguments],
                cwd=self._log.parent,
                env=self._environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        own = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return own | {
            "HOME": str(self._log.parent),
            "TMPDIR": str(self._log.parent),
            "LITELLM_MASTER_KEY": self._key,
            "LITELLM_MODE": "PRODUCTION",  # else it reads a .env file
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_DONT_SHOW_FEEDBACK_BOX": "true",
            "NO_PROXY": "*",
        }


def why_not(printed: str) -> str:
    """The sentence about a proxy that has not started, by what it has `printed`."""
    if "address already in use" in printed.lower():
        port = re.search(r"\('127\.0\.0\.1', (\d+)\)", printed)
        taken = f"Port {port[1]}" if port else "A port"
        return f"{taken} was taken before the proxy could have it: run the drill again."
    missing = re.findall(r"No module named '([\w.]+)'", printed)
    if missing:
        return f"LiteLLM's proxy needs {missing[-1]}, which is not installed: pip install 'litellm[proxy]'."
    errors = re.findall(r"^(?:\w+\.)*(\w*(?:Error|Exception)\b.*)$", printed, re.MULTILINE)
    last = errors[-1][:200] if errors else f"nothing within {START_DEADLINE:.0f} s"
    return f"LiteLLM's proxy does not start with this config: {last}"


def _words(content: bytes) -> str:
    """What an error says, on one line."""
    try:
        said = str(json.loads(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        said = content.decode("utf-8", "replace")
    return " ".join(said.split())


def _whole(content: bytes) -> tuple[int | None, str]:
    """Whose answer a body is, and what it is if nobody's."""
    try:
        body = json.loads(content)
        if "data" in body:
            return int(body["data"][0]["embedding"][0]), ""
        text = str(body["choices"][0]["message"]["content"])
    except (ValueError, KeyError, IndexError, TypeError):
        return None, "200 that cannot be read"
    return _answered(text, "200 without the answer")


def _streamed(received: list[str]) -> tuple[int | None, str]:
    """Whose answer a stream of server-sent events is, and what is wrong with it if nobody's."""
    text, is_finished = "", False
    for line in received:
        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
        try:
            event = json.loads(data) if data and data != "[DONE]" else {}
        except ValueError:
            return None, "a stream that cannot be read"
        if event.get("error"):
            return None, f"an error in the stream{', after its first words' if text else ''}"
        for choice in event.get("choices") or ():
            text += (choice.get("delta") or {}).get("content") or ""
            is_finished |= bool(choice.get("finish_reason"))
    if not is_finished:
        return None, "a stream without an end" if text else "a stream without words"
    return _answered(text, "a stream that breaks off, told as whole")


def _answered(text: str, otherwise: str) -> tuple[int | None, str]:
    found = WHOLE.search(text)
    return (int(found[1]), "") if found else (None, otherwise)


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
