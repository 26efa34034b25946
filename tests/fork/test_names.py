"""A name that an edit writes and the release does not bind is found while building, not when a provider fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fork import names
from fork.__main__ import main
from fork.edits import Edit, InsertFirst, WrapCall, apply_edits
from fork.syntax import Location

Install = Callable[..., Path]

ROUTE = """\
from types import *


async def route(ask, {parameter}):
    try:
        return ask()
    except KeyError as e:
        return e
    except Exception as {name}:
        return answer({name}, {parameter})


def answer(raised, data):
    import os
    return raised
"""


def edited(*edits: Edit, name: str = "e", parameter: str = "data") -> list[str]:
    """What is new in a module whose route catches an exception as `name`."""
    before = ROUTE.format(name=name, parameter=parameter).encode()
    return names.new_findings(before, apply_edits(before, edits, Location("litellm/a.py", "1.2.3")))


FIXED_NAME = WrapCall("route", "answer", "print", "e")
TAKEN_NAME = WrapCall("route", "answer", "print", "{error}")


@pytest.mark.parametrize(
    ("edit", "other", "found"),
    [
        (FIXED_NAME, {"name": "raised"}, "'e'"),
        (InsertFirst("route", "data = ask(data)"), {"parameter": "body"}, "'data'"),
    ],
    ids=["exception", "parameter"],
)
def test_name_unbound_in_one_release_found(edit: Edit, other: dict[str, str], found: str) -> None:
    """Where the release binds the name all is well, and where it binds another one the line is told."""
    assert edited(edit) == []
    finding, *_ = edited(edit, **other)
    assert finding.startswith("line ")
    assert found in finding


@pytest.mark.parametrize("name", ["e", "raised"])
def test_name_from_handler_bound_in_each_release(name: str) -> None:
    """An edit that takes the exception's name from its clause leaves nothing to find."""
    assert edited(TAKEN_NAME, name=name) == []


def test_findings_of_stock_are_upstreams_own() -> None:
    """An unused import and a redefinition stay unreported, on whichever line the edit moves them to."""
    before = b"import os\n\n\ndef os(): ...\n\n\nimport sys\n"
    assert names.new_findings(before, b"\n\n\n" + before) == []
    assert len(names.new_findings(before, before + b"import json\n")) == 1


def test_second_finding_of_one_text_is_new() -> None:
    """One unbound name that stock has does not excuse another of the same spelling."""
    before = b"print(lost)\n"
    assert names.new_findings(before, before * 2) == ["line 2: undefined name 'lost'"]


PATCH = '''\
"""fix: the answer"""

from fork.edits import ReplaceBody

ADDS = ("litellm/extra/failover.py",)
EDITS = {
    "litellm/router.py": (ReplaceBody("answer", "return %s"),),
    "litellm_cli/main.py": (ReplaceBody("run", "from litellm.extra.failover import ANSWER\\nreturn ANSWER"),),
}
'''


@pytest.mark.parametrize(("returned", "code"), [("os", 0), ("raised", 2)])
def test_apply_refuses_patches_with_unbound_names(
    repository: Path, install: Install, capsys: pytest.CaptureFixture[str], returned: str, code: int
) -> None:
    """The command that each release is looked at with ends in the sentence that names module, release and name."""
    install()
    (repository / "patches" / "p0001_answer.py").write_text(PATCH % returned)
    assert main(["apply", "1.2.3"]) == code
    said = capsys.readouterr()
    if code:
        assert "litellm/router.py (base 1.2.3), line 5: undefined name 'raised'" in said.err
    else:
        assert said.out.startswith("the patches change 2 modules of LiteLLM 1.2.3")
