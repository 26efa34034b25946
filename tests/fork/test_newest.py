"""A scheduled job reads an exit code, and which edits a release this branch does not know has no place for."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fork import wheels
from fork.base import add, installed
from releases import newest

Install = Callable[..., Path]
Publish = Callable[..., Path]

TWO_MORE = '''"""fix: two more"""

from fork.edits import AddParameter, Decorate, InsertFirst

EDITS = {
    "litellm/router.py": (Decorate("gone", "ours"), AddParameter("answer", "more=0"), InsertFirst("Lost.it", "pass")),
    "litellm/nowhere.py": (Decorate("elsewhere", "ours"),),
}
'''


@pytest.fixture
def look(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """look("1.2.4") is the exit code of the session that is given this, and what it prints, without the seconds."""
    monkeypatch.setattr(newest, "ROOT", repository)
    (tmp_path / "requirements.txt").write_text("")

    def run(*named: str) -> tuple[int, str]:
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        monkeypatch.setattr(sys, "argv", ["newest.py", str(work), str(tmp_path / "requirements.txt"), *named])
        code = newest.main()
        return code, re.sub(r"\d+ s:", "N s:", capsys.readouterr().out)

    return run


def test_newest_may_be_supported(
    look: Callable[..., tuple[int, str]], repository: Path, install: Install, publish: Publish
) -> None:
    """The newest release on the index is looked at if none is named, and it is told if that is supported."""
    publish(version="1.2.2")
    publish(version="1.2.3")
    install("1.2.3")
    add("1.2.3", [installed("1.2.3")], repository)
    assert look() == (0, "The newest release on the index is LiteLLM 1.2.3.\nLiteLLM 1.2.3 is supported.\n")
    assert look("1.2.3") == (0, "LiteLLM 1.2.3 is supported.\n")


def test_fitting_release_is_no_alarm(look: Callable[..., tuple[int, str]], publish: Publish) -> None:
    """A new release that the patches fit is no alarm, and the sentence says how to add it."""
    publish(version="1.2.4")
    said = "the patches apply to 1 modules of it. Add it with `nox -s base -- 1.2.4`."
    assert look("1.2.4") == (0, f"LiteLLM 1.2.4 is not in fork/bases.toml. Looked at in N s: {said}\n")


def test_every_lost_place_is_named(look: Callable[..., tuple[int, str]], repository: Path, publish: Publish) -> None:
    """Each edit that finds no place is named with its patch, module, function and what it looked for."""
    (repository / "patches" / "p0002_more.py").write_text(TWO_MORE)
    publish(version="1.2.4", files={"litellm/router.py": "def answer(): return 41\n"})
    publish(version="1.2.5")
    code, said = look("1.2.4")
    assert code == 1
    place, found = "litellm/router.py (base 1.2.4), function", "expected one place and found 0"
    first, *lost = said.splitlines()
    assert first.endswith("Looked at in N s: 4 edits find no place on LiteLLM 1.2.4:")
    assert lost == [
        f"  patches/p0001_answer.py, ReplaceBody (2 of 2): {place} answer: looked for a body in lines of its own, "
        "found one beside the colon.",
        f"  patches/p0002_more.py, Decorate (1 of 3): {place} gone: looked for the function, {found}.",
        f"  patches/p0002_more.py, InsertFirst (3 of 3): {place} Lost.it: looked for the function, {found}.",
        "  patches/p0002_more.py, Decorate (1 of 1): litellm/nowhere.py (base 1.2.4), function elsewhere: looked for "
        "the module, which is not there.",
    ]


def test_unbound_name_is_alarm(look: Callable[..., tuple[int, str]], repository: Path, publish: Publish) -> None:
    """A new release in which an edit finds its place and writes a name that is not bound there is an alarm."""
    patch = repository / "patches" / "p0001_answer.py"
    patch.write_text(patch.read_text().replace("return ANSWER", "return other"))
    publish(version="1.2.4")
    code, said = look("1.2.4")
    assert code == 1
    assert "undefined name 'other'" in said


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("1.2.9", "The index could not be asked for the wheels of LiteLLM 1.2.9: see above."),
        ("1.107.0a1", "The base 1.107.0a1 belongs to 1.107.0, which was published by an attacker"),
    ],
)
def test_release_not_to_be_had_is_alarm(
    look: Callable[..., tuple[int, str]], publish: Publish, version: str, said: str
) -> None:
    """A release that is not there, or is an attacker's, is an alarm, and nothing of it is downloaded."""
    publish(version="1.2.4")
    code, sentence = look(version)
    assert code == 1
    assert f"Looked at in N s: {said}" in sentence


def test_silent_index_is_alarm(look: Callable[..., tuple[int, str]], publish: Publish) -> None:
    """An index that does not say which release is the newest is an alarm in one sentence."""
    code, said = look()
    assert code == 1
    assert said.startswith("The release could not be looked at: `")


def test_wheel_not_got_is_alarm(
    look: Callable[..., tuple[int, str]], publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release none of whose wheels can be downloaded is an alarm in one sentence."""
    publish(version="1.2.4")
    monkeypatch.setattr(wheels, "download", lambda name, folder: None)
    said = "The release could not be looked at: no wheel of LiteLLM 1.2.4 could be downloaded: see above\n"
    assert look("1.2.4") == (1, said)
