"""A file that is no config ends in one clear sentence; what only looks odd is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from drill.configs import run, written

GOOD = """\
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, timeout: 60}
"""
LARGE = f"# {'x' * 10_000_000}\n{GOOD}"
SECRET = "sk-hidden-away"

BROKEN = {
    "not yaml": ("model_list: [}", "config.yaml:1: not YAML."),
    "unknown anchor": (f"a: *{SECRET}", "config.yaml:1: not YAML."),
    "tab": ("model_list:\n\t- model_name: gpt", "config.yaml:2: a tab, where YAML wants spaces."),
    "empty": ("# nothing\n", "config.yaml: is empty."),
    "10 MB": (LARGE, "config.yaml: is larger than 2 MB, which no config is."),
    "list": ("- model_name: gpt", "config.yaml: is a list where a config is a mapping such as `model_list: [...]`."),
    "text": ("gpt", "config.yaml: is a single value where a config is a mapping such as `model_list: [...]`."),
    "twice": (f"a:\n  key: {SECRET}\n  key: {SECRET}", "config.yaml:3: a key is given twice: keep one of the two."),
    "itself": (
        "include: [config.yaml]",
        "config.yaml:1: the config includes itself: take this entry out of `include`.",
    ),
    "missing": ("include: [gone.yaml]", "config.yaml:1: the file that `include` names here is not there."),
    "no list": ("include: other.yaml", "config.yaml:1: `include` must be a list of file paths."),
    "deep": ("[" * 5000, "config.yaml: is not YAML."),
    "two documents": (f"{GOOD}---\n{GOOD}", "config.yaml:4: not YAML."),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_file_ends_in_one_sentence(tmp_path: Path, kind: str) -> None:
    """A broken file ends in a sentence that says where and what, with exit code 2, and quotes nothing of the file."""
    text, sentence = BROKEN[kind]
    result = run(written(tmp_path, text))
    assert result.exit_code == 2
    assert result.output == result.stderr == f"litellm-drill: {tmp_path}/{sentence}\n"


@pytest.mark.parametrize(("data", "sentence"), [(b"\xff\xfe\x00", "is not UTF-8 text."), (None, "no such file")])
def test_unreadable_file_is_named(tmp_path: Path, data: bytes | None, sentence: str) -> None:
    """A file that is no text, or is not there, is named, with exit code 2."""
    path = tmp_path / "config.yaml"
    if data is not None:
        path.write_bytes(data)
    result = run(path)
    assert result.exit_code == 2
    assert f"{path}: " in result.stderr
    assert sentence in result.stderr


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n").encode()])
def test_other_line_ends_are_read(tmp_path: Path, data: bytes) -> None:
    """A file with a byte order mark or with the line ends of Windows is read, and its lines are counted rightly."""
    path = tmp_path / "config.yaml"
    path.write_bytes(data)
    result = run(path)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{path}:2: warning group-alone: ")


def test_cycle_over_two_files_is_named(tmp_path: Path) -> None:
    """A file that is included again by one it includes is named at the entry that closes the ring."""
    written(tmp_path, "litellm_settings: {}\ninclude: [config.yaml]", "other.yaml")
    result = run(written(tmp_path, "include: [other.yaml]"))
    assert result.exit_code == 2
    assert "other.yaml:2: the config includes itself" in result.stderr


def test_readable_files_are_checked_all_the_same(tmp_path: Path) -> None:
    """Of several files the readable ones are reported on, and the exit code is that of the unreadable one."""
    result = run(written(tmp_path, "[", "broken.yaml"), written(tmp_path, GOOD))
    assert result.exit_code == 2
    assert "config.yaml:2: warning group-alone" in result.stdout
    assert "broken.yaml:1: not YAML." in result.stderr
