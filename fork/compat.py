"""What becomes of each patch on each release: applied, not needed there any more, or not available yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fork.edits import Edit, ForReleases, Otherwise
from fork.patches import Patch

APPLIED = "applied"


def left_out(patch: Patch, base: str) -> Iterator[ForReleases[Edit]]:
    """The parts of `patch` that the release `base` does not get, but for those that other edits do there."""
    if patch.is_merged(base):
        return
    for edits in patch.edits.values():
        for part in edits:
            if isinstance(part, ForReleases) and not part.at(base) and part.otherwise is not Otherwise.MOVED:
                yield part


def state(patch: Patch, base: str) -> str:
    """`applied` if the release gets any of the patch, else why it gets none of it."""
    if patch.is_merged(base):
        return f"{Otherwise.NOT_NEEDED.value}: merged in {patch.merged}"
    if patch.applies_to(base):
        return APPLIED
    return ", ".join(sorted({part.otherwise.value for part in left_out(patch, base)})) or Otherwise.MOVED.value


def matrix(series: Sequence[Patch], bases: Sequence[str], tests: Mapping[str, str]) -> str:
    """A table in Markdown: a row for each release, a column for each patch and one for what `tests` says of a release.

    A number in a cell is a part of the patch that the release goes without; below the table stands why.
    """
    notes: list[ForReleases[Edit]] = []
    rows = []
    for base in bases:
        row = [base]
        for patch in series:
            parts = list(left_out(patch, base))
            notes += [part for part in parts if part not in notes]
            numbers = sorted(notes.index(part) + 1 for part in parts)
            row.append(" ".join([state(patch, base), *(f"[{number}]" for number in numbers)]))
        rows.append([*row, tests.get(base, "not run")])
    head = ["base", *(f"{patch.number:04}" for patch in series), "tests"]
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    below = [f"{number}. {part.otherwise.value}: {part.why}" for number, part in enumerate(notes, 1)]
    return "\n".join([*lines, "", *below])


def warnings(series: Sequence[Patch], base: str) -> list[str]:
    """A sentence for each part that an operator on the release `base` does not get."""
    return [
        f"patches/{patch.name}.py is not applied whole on LiteLLM {base}: {part.why}."
        for patch in series
        for part in left_out(patch, base)
        if part.otherwise is Otherwise.MISSING
    ]
