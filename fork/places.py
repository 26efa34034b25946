"""Where upstream has moved modules that patches edit; a patch names the oldest place."""

from __future__ import annotations

from typing import NamedTuple

from packaging.version import Version


class Move(NamedTuple):
    """A folder that has another name since a release."""

    since: str
    old: str
    new: str


MOVES = (
    Move("1.104", "litellm/llms/anthropic/experimental_pass_through/", "litellm/llms/anthropic/pass_through/"),
    Move("1.107", "litellm/llms/anthropic/pass_through/", "litellm/llms/anthropic/messages/"),
)
"""Oldest first. `since` lies between the releases of bases.toml, which are all that is known of."""


def path_at(path: str, base: str) -> str:
    """Where the release `base` has the module that was at `path` in the oldest one."""
    for move in MOVES:
        if path.startswith(move.old) and Version(base) >= Version(move.since):
            path = move.new + path.removeprefix(move.old)
    return path
