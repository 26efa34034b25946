"""A drill that cannot be done ends in one clear sentence before anything is started."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner, Result

from drill.configs import written
from drill.test_broken_files import BROKEN
from litellm_drill.cli import main
from litellm_drill.gateway import Gateways, why_not

SECRET = "sk-hidden-away"
MANY = "model_list:\n" + "".join(
    f"  - model_name: g{number}\n    litellm_params: {{model: hosted_vllm/a, api_key: {SECRET}}}\n"
    for number in range(500)
)


@pytest.fixture(autouse=True)
def _nothing_starts() -> Iterator[None]:
    """No test here comes as far as starting a proxy."""
    with patch.object(Gateways, "start", side_effect=AssertionError("a proxy was started")):
        yield


def run(*arguments: str | Path) -> Result:
    """What the command says."""
    return CliRunner(catch_exceptions=False).invoke(main, ["run", *map(str, arguments)])


@pytest.mark.parametrize("kind", sorted(BROKEN.keys() - {"deep"}))  # which takes seconds, and is read alike
def test_broken_file_ends_in_one_sentence(tmp_path: Path, kind: str) -> None:
    """A file that is no config ends as it does in `check`."""
    text, sentence = BROKEN[kind]
    result = run(written(tmp_path, text))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"litellm-drill: {tmp_path}/{sentence}\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            f"model_list: [{{model_name: a, litellm_params: {{model: opneai/a, api_key: {SECRET}}}}}]",
            "have no provider of its model",
        ),
        ("litellm_settings: {}", "has no deployment in model_list to drill."),
        (MANY, "name how many groups to drill with --sample, such as --sample 10."),
    ],
)
def test_undrillable_config_is_explained(tmp_path: Path, text: str, sentence: str) -> None:
    """A config that cannot be drilled ends in one sentence with the reason, and none of its keys."""
    result = run(written(tmp_path, text))
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert SECRET not in result.output


@pytest.mark.parametrize("python", ["/no/such/python", sys.executable + " "])
def test_stock_must_be_an_interpreter(tmp_path: Path, python: str) -> None:
    """An interpreter that is none is named before the drill begins."""
    good = "model_list: [{model_name: a, litellm_params: {model: openai/a}}]"
    result = run(written(tmp_path, good), "--stock", python)
    assert result.exit_code == 2
    assert f"{python} is no Python with LiteLLM" in result.stderr


@pytest.mark.parametrize(
    ("printed", "sentence"),
    [
        (
            "ImportError: No module named 'fastapi'",
            "needs fastapi, which is not installed: pip install 'litellm[proxy]'.",
        ),
        (
            "ERROR: [Errno 98] while attempting to bind on address ('127.0.0.1', 4000): address already in use",
            "Port 4000 was taken before the proxy could have it: run the drill again.",
        ),
        ("OSError: address already in use", "was taken before the proxy could have it: run the drill again."),
        ("x\nValueError: bad setting\n", "does not start with this config: ValueError: bad setting"),
    ],
)
def test_proxy_that_ends_is_explained(printed: str, sentence: str) -> None:
    """Why a proxy has not started is told by what it printed."""
    assert sentence in why_not(printed)
