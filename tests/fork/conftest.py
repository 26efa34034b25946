"""A LiteLLM release of a few lines, as an installer would have left it, and a repository that patches it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from textwrap import dedent
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))  # last: a tree vendored into litellm/ must not hide the LiteLLM that is installed

Install = Callable[..., Path]
Publish = Callable[..., Path]

PACKAGE_FILES = {
    "litellm/__init__.py": "from litellm.router import answer\n",
    "litellm/router.py": "import os\n\n\ndef answer():\n    return 41  # upstream's comment\n",
    "litellm/providers.json": '{"some": "data"}\n',
    "litellm_cli/main.py": "def run():\n    return 0\n",
    "litellm/[model].html": "<p>a name git would read as a pattern</p>\n",
}
METADATA = """\
Metadata-Version: 2.1
Name: litellm
Version: {version}
Requires-Python: >=3.9,<4.0
Requires-Dist: httpx >=0.23
Provides-Extra: proxy
Requires-Dist: fastapi >=0.100 ; extra == 'proxy'

Version: this line is part of the description
"""


def _installed_info(info: str, version: str, tags: Iterable[str]) -> dict[str, str]:
    """What an installer writes of a release into its folder `info`."""
    return {
        f"{info}/METADATA": METADATA.format(version=version),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: other\nRoot-Is-Purelib: true\n"
        + "".join(f"Tag: {tag}\n" for tag in tags),
        f"{info}/entry_points.txt": "[console_scripts]\nlitellm=litellm:run\n",
        f"{info}/licenses/LICENSE": "their licence\n",
        f"{info}/INSTALLER": "pip\n",
        f"{info}/uv_cache.json": "{}",
    }


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """install("1.2.3", files={...}) puts that base first on the path and returns its site folder."""

    def put(
        version: str = "1.2.3",
        *,
        files: Mapping[str, str] | None = None,
        tags: tuple[str, ...] = ("py3-none-any",),
    ) -> Path:
        site = tmp_path / f"site-{version}"
        info = f"litellm-{version}.dist-info"
        contents = {**PACKAGE_FILES, **_installed_info(info, version, tags), **(files or {})}
        for name, text in contents.items():
            path = site / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        rows = [
            *contents,
            "../../bin/litellm",
            "litellm/__pycache__/router.cpython-311.pyc",
            f"{info}/RECORD",
        ]
        (site / info / "RECORD").write_text("".join(f"{name},,\n" for name in rows))
        monkeypatch.syspath_prepend(str(site))
        return site

    return put


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a branch with one patch and one module of its own, and no supported base yet."""
    root = tmp_path / "repository"
    files = {
        "pyproject.toml": '[tool.fork]\nbase = "1.2.3"\nrelease = 7\n'
        'sdist = ["pyproject.toml", "fork", "litellm", "patches"]\n',
        "fork/bases.toml": "",
        "litellm/extra/failover.py": "ANSWER = 42\n",
        "patches/p0001_answer.py": dedent('''\
            """fix: the answer"""

            from fork.edits import AddImport, ReplaceBody

            ADDS = ("litellm/extra/failover.py",)
            EDITS = {
                "litellm/router.py": (
                    AddImport("litellm.extra.failover", ("ANSWER",)),
                    ReplaceBody("answer", "return ANSWER"),
                ),
            }
            '''),
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """publish(tag, files={...}) puts a wheel into a folder, which is all that an installer knows, and returns it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    config = tmp_path / "uv.toml"
    config.write_text(f"[pip]\nno-index = true\nfind-links = ['{folder.as_posix()}']\n")
    for name, value in {
        "UV_CONFIG_FILE": config,
        "UV_NO_CACHE": 1,
        "PIP_NO_INDEX": 1,
        "PIP_FIND_LINKS": folder,
    }.items():
        monkeypatch.setenv(name, str(value))

    def put(tag: str = "py3-none-any", *, version: str = "1.2.3", files: Mapping[str, str] | None = None) -> Path:
        info = f"litellm-{version}.dist-info"
        contents = {
            **PACKAGE_FILES,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: litellm\nVersion: {version}\nRequires-Python: >=3.10\n",
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n",
            **(files or {}),
        }
        wheel = folder / f"litellm-{version}-{tag}.whl"
        with ZipFile(wheel, "w") as archive:
            for name, text in contents.items():
                archive.writestr(name, text)
            archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*contents, f"{info}/RECORD"]))
        return wheel

    return put
