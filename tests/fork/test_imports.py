"""A release ships no module of ours that it does not import."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import distribution, version
from pathlib import Path

import pytest

from fork import imports
from fork.__main__ import main
from fork.base import LOCAL_LABEL, PACKAGE
from fork.tree import own_modules

Install = Callable[..., Path]
ROOT = Path(__file__).parents[2]
OURS = ("litellm/extra/__init__.py", "litellm/extra/first.py", "litellm/extra/second.py")


def imported(**sources: str) -> list[str]:
    """Which of OURS are imported where the modules named as paths with __ for / have these texts."""
    package = {f"litellm/{name.replace('__', '/')}.py": text.encode() for name, text in sources.items()}
    return sorted(path.removeprefix("litellm/extra/") for path in imports.imported_modules(package, OURS))


@pytest.mark.parametrize(
    "line",
    [
        "import litellm.extra.first",
        "import litellm.extra.first as one",
        "from litellm.extra import first",
        "from litellm.extra.first import name",
        "from litellm.extra import other, first",
        "from litellm.extra import \\\n    other, \\\n    first",
        "from litellm.extra import (\n    other,\n    first,\n)",
        "def f():\n    from litellm.extra.first import name",
    ],
)
def test_every_form_of_import_counts(line: str) -> None:
    """A module counts as imported, and so does its package, by whatever form of import and wherever it stands."""
    assert imported(router=line) == ["__init__.py", "first.py"]


def test_imports_are_followed() -> None:
    """A module of ours counts if one of ours imports it that upstream leads to."""
    sources = {"extra__first": "from . import second", "extra__second": "", "extra__init": ""}
    assert imported(router="from litellm.extra.first import name", **sources) == [
        "__init__.py",
        "first.py",
        "second.py",
    ]


def test_unreached_modules_do_not_count() -> None:
    """Modules of ours that only each other import are not imported, nor is one that a comment or a text names."""
    sources = {"extra__first": "import litellm.extra.second", "extra__second": "import litellm.extra.first"}
    assert imported(router="# litellm.extra.first\nNAME = 'litellm.extra.second'", **sources) == []


def test_commands_lead_to_modules() -> None:
    """A module that a command names counts as imported, and so does what that one imports."""
    package = {"litellm/extra/first.py": b"from litellm.extra import second"}
    found = imports.imported_modules(package, OURS, ["litellm.extra.first:main"])
    assert found == {*OURS}


def test_apply_refuses_unused_modules(repository: Path, install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """The command that each release is looked at with ends in the sentence that names release and module."""
    install()
    assert main(["apply", "1.2.3"]) == 0
    (repository / "litellm" / "extra" / "idle.py").write_text("")
    patch = repository / "patches" / "p0001_answer.py"
    patch.write_text(patch.read_text().replace("ADDS = (", 'ADDS = ("litellm/extra/idle.py", '))
    assert main(["apply", "1.2.3"]) == 2
    assert "Nothing on LiteLLM 1.2.3 imports litellm/extra/idle.py: say in ADDS" in capsys.readouterr().err


def test_installed_release_imports_what_it_ships() -> None:
    """The patched package that the tests run on has no module of ours that nothing there imports."""
    base, _, label = version(PACKAGE).partition("+")
    assert label.startswith(LOCAL_LABEL)
    files = [file for file in distribution(PACKAGE).files or () if file.suffix == ".py"]
    package = {file.as_posix(): file.read_binary() for file in files}
    scripts = [point.value for point in distribution(PACKAGE).entry_points]
    imports.check(package, own_modules(ROOT), base, scripts)
