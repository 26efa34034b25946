"""A key in a config is in nothing that `litellm-drill run` says, though its proxy says everything it has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings

from drill.configs import written
from drill.test_copies import SECRETS, SINKS
from litellm_drill.cli import main
from litellm_drill.document import ConfigError
from litellm_drill.gateway import Answer, Gateway

MUTE = """
  - model_name: mute
    litellm_params: {model: anthropic/claude-3-5-haiku-20241022, api_key: SECRET, vertex_credentials: {a: SECRET}}
environment_variables:"""
TEMPLATE = SINKS.replace("\nenvironment_variables:", MUTE)


class Telltale(Gateway):
    """A gateway that answers for the group "gpt" alone, and shows its whole config and environment to others."""

    async def begin_anew(self, config: Path) -> None:
        pass

    async def ask(self, group: str, question: str, *, embed: bool, streamed: bool, waits: float = 0.0) -> Answer:
        if group == "gpt":
            return Answer(200, 0, "", 0.0, 0.1)
        return Answer(400, None, "HTTP 400", 0.0, 0.1, (self.folder / "config.yaml").read_text("utf-8"))


class Telltales:
    """Gateways that are telltales, and end with `last` words if they have some."""

    last = ""

    def __init__(self, python: str, folders: Sequence[Path]) -> None:
        self.each = [Telltale(folder) for folder in folders]

    async def start(self) -> None:
        if self.last:
            raise ConfigError(self.last)

    async def stop(self) -> None:
        for one in self.each:
            await one.close()


def run(folder: Path, secret: str, *options: str) -> Result:
    """What the command says of the template with this `secret`."""
    config = written(folder, TEMPLATE.replace("SECRET", secret))
    with patch("litellm_drill.drill.Gateways", Telltales), patch("litellm_drill.drill.QUESTIONS", 1):
        return CliRunner(catch_exceptions=False).invoke(main, ["run", str(config), *options])


def texts(result: Result, files: Iterable[Path]) -> list[str]:
    """All that was said or written."""
    return [result.output, *(path.read_text("utf-8") for path in files)]


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
@given(secret=SECRETS)
@settings(max_examples=3, deadline=None)
def test_keys_are_in_no_report(form: list[str], secret: str) -> None:
    """Whatever a key is and wherever it stands, neither a form of the report nor a file has it."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        files = [folder / "report.html", folder / "junit.xml"]
        result = run(folder, secret, *form, "--html", str(files[0]), "--junit", str(files[1]))
        assert result.exit_code == 2, "a group is mute"
        said = texts(result, files)
    assert all("does not answer" in text for text in said)
    assert all(secret not in text for text in said)
    if form:
        assert json.loads(result.stdout)["unwell"] == ["mute"]


def test_last_words_have_no_keys(tmp_path: Path) -> None:
    """What a proxy prints before it ends is told without what was in the config."""
    with patch.object(Telltales, "last", "It ended: bad sk-abcdefghijklmnop here"):
        result = run(tmp_path, "sk-abcdefghijklmnop")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "litellm-drill: It ended: bad … here\n"
