"""The drill of another LiteLLM that fails takes nothing from what this one has shown."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from drill.configs import written
from drill.drilled import outcome, report
from litellm_drill.cli import main
from litellm_drill.document import ConfigError
from litellm_drill.outcome import Report, Verdict

GOOD = "model_list: [{model_name: gpt, litellm_params: {model: openai/a}}]"


@pytest.mark.parametrize("fails", [True, False])
def test_own_report_is_told(tmp_path: Path, fails: bool) -> None:
    """The report is there, and whose LiteLLM did not start, and why."""

    async def drill(plan: object, python: str, release: str, advance: object) -> Report:
        if fails and python == "other":
            raise ConfigError("LiteLLM's proxy needs websockets.")
        return report(outcome(Verdict.ANSWERED))

    with (
        patch("litellm_drill.run_command.drill", drill),
        patch("litellm_drill.run_command._release", lambda python: f"1 of {python}"),
        patch("litellm_drill.run_command._end_on_signal", lambda: None),
    ):
        arguments = ["run", str(written(tmp_path, GOOD)), "--stock", "other", "--html", str(tmp_path / "page.html")]
        result = CliRunner(catch_exceptions=False).invoke(main, arguments)
    assert "The one group survives the loss of one deployment." in result.stdout
    assert (tmp_path / "page.html").exists()
    said = "litellm-drill: LiteLLM 1 of other of other is not drilled: LiteLLM's proxy needs websockets.\n"
    assert (result.exit_code, result.stderr) == ((2, said) if fails else (0, ""))
