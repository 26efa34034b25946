"""LiteLLM's proxy as a process of its own, for a drill: started, asked, made to begin anew, and ended."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from litellm_drill import gateway_process
from litellm_drill.document import ConfigError
from litellm_drill.stand_in import HOST

START_DEADLINE = 240.0
"""Seconds until the proxy answers: a busy machine takes one of them to import it."""

ANSWER_DEADLINE = 30.0
"""Seconds a question is waited for, as a patient caller would."""

STOP_DEADLINE = 5.0
SCRIPT = Path(gateway_process.__file__)
PASSED_ON = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
"""Of the environment: no key, no proxy, no setting."""

WHOLE = re.compile(r"Stand-in (\d+) has answered in full\.$")


@dataclass(frozen=True)
class Answer:
    """What a caller got: the HTTP `status` (0 if none), which stand-in's whole answer (None if none), what else there
    was to see, and how long it took in seconds."""

    status: int
    by: int | None
    seen: str
    began: float
    seconds: float


class Gateway:
    """A proxy of the LiteLLM that belongs to the interpreter `python`, with its files in `folder`."""

    def __init__(self, python: str, folder: Path) -> None:
        self._python = python
        self._folder = folder
        self._reset_path = f"/{secrets.token_hex(8)}"
        self._key = f"sk-{secrets.token_hex(24)}"
        self._process: asyncio.subprocess.Process | None = None
        self._client = httpx.AsyncClient(trust_env=False, timeout=ANSWER_DEADLINE)
        self._url = ""

    @property
    def denied(self) -> list[str]:
        """What it wanted to reach or start outside of loopback."""
        file = self._folder / "denied"
        return file.read_text("utf-8").splitlines() if file.exists() else []

    def connections(self) -> list[tuple[float, int]]:
        """When it has opened a connection, by time.monotonic(), and to which port of loopback."""
        file = self._folder / "connections"
        rows = file.read_text("utf-8").split("\n")[:-1] if file.exists() else []
        return [(float(at), int(port)) for at, _, port in (row.partition(" ") for row in rows)]

    async def start(self, config: Path) -> None:
        """Serve `config`; it answers when this returns. Raises ConfigError if it ends instead."""
        port = free_port()
        self._url = f"http://{HOST}:{port}"
        command = [self._python, str(SCRIPT), self._reset_path, str(self._folder), "--config", str(config)]
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *[*command, "--host", HOST, "--port", str(port)],
                cwd=self._folder,
                env=self._environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_DEADLINE
        while not await self._answers():
            if self._process.returncode is not None or time.monotonic() > deadline:
                raise ConfigError(self._why_not(port))
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """End it with all it has started."""
        await self._client.aclose()
        process = self._process
        if process is None or process.returncode is not None:
            return
        for sent in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, sent)
                await asyncio.wait_for(process.wait(), STOP_DEADLINE)
                return
            except ProcessLookupError:
                return
            except asyncio.TimeoutError:
                continue

    async def begin_anew(self, config: Path) -> None:
        """Take up `config` as at the start, so that nothing is cooling down or counted any more."""
        response = await self._client.post(self._url + self._reset_path, content=str(config))
        if response.status_code != 200:
            raise ConfigError(f"The proxy cannot take up the copy of the config again (HTTP {response.status_code}).")

    async def ask(self, group: str, question: str, *, embed: bool, streamed: bool) -> Answer:
        """What a caller gets who asks `group` a `question`."""
        began = time.monotonic()
        status, by, seen = 0, None, ""
        try:
            status, by, seen = await asyncio.wait_for(self._asked(group, question, embed, streamed), ANSWER_DEADLINE)
        except (asyncio.TimeoutError, httpx.TimeoutException):
            seen = f"no answer within {ANSWER_DEADLINE:.0f} s"
        except httpx.TransportError:
            seen = "the connection was lost"
        return Answer(status, by, seen, began, time.monotonic() - began)

    async def _asked(self, group: str, question: str, embed: bool, streamed: bool) -> tuple[int, int | None, str]:
        path = "/v1/embeddings" if embed else "/v1/chat/completions"
        said: dict[str, object] = (
            {"input": question} if embed else {"messages": [{"role": "user", "content": question}]}
        )
        body = {"model": group, **said, **({"stream": True} if streamed else {})}
        headers = {"Authorization": f"Bearer {self._key}"}
        async with self._client.stream("POST", self._url + path, json=body, headers=headers) as response:
            if response.status_code != 200:
                wait = response.headers.get("retry-after", "")
                return (
                    response.status_code,
                    None,
                    f"HTTP {response.status_code}{f', Retry-After {wait}' if wait else ''}",
                )
            if streamed:
                return 200, *_streamed([line async for line in response.aiter_lines()])
            return 200, *_whole(await response.aread())

    async def _answers(self) -> bool:
        try:
            return (await self._client.get(f"{self._url}/health/liveliness", timeout=5)).is_success
        except httpx.TransportError:
            return False

    def _environment(self) -> dict[str, str]:
        own = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return own | {
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder),
            "LITELLM_MASTER_KEY": self._key,
            "LITELLM_MODE": "PRODUCTION",  # else it reads a .env file
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_DONT_SHOW_FEEDBACK_BOX": "true",
            "NO_PROXY": "*",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def _why_not(self, port: int) -> str:
        """The sentence about a proxy that has not started, by what it printed last."""
        printed = (self._folder / "log").read_text("utf-8", "replace")
        if "address already in use" in printed.lower():
            return f"Port {port} was taken before the proxy could have it: run the drill again."
        missing = re.findall(r"No module named '([\w.]+)'", printed)
        if missing:
            return f"LiteLLM's proxy needs {missing[-1]}, which is not installed: pip install 'litellm[proxy]'."
        errors = re.findall(r"^(?:\w+\.)*(\w*(?:Error|Exception)\b.*)$", printed, re.MULTILINE)
        last = errors[-1][:200] if errors else f"nothing within {START_DEADLINE:.0f} s"
        return f"LiteLLM's proxy does not start with this config: {last}"


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
