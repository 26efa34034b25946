"""What a patch does to a release is told by its edits alone, before anything is built."""

from __future__ import annotations

from dataclasses import replace

from fork.compat import matrix, warnings
from fork.edits import AnyEdits, Decorate, Edit, ForReleases, Otherwise
from fork.patches import Patch

EDIT = Decorate("f", "ours")


def patch(number: int, *edits: AnyEdits) -> Patch:
    return Patch(number, f"p{number:04}_a", "fix: the text", {f"litellm/{n}.py": some for n, some in enumerate(edits)})


def some(releases: str, otherwise: Otherwise) -> ForReleases[Edit]:
    return ForReleases({releases: (EDIT,)}, why=f"only {releases}", otherwise=otherwise)


WHOLE = patch(1, (EDIT,))
PARTLY = patch(2, (EDIT, some("<2", Otherwise.NOT_NEEDED)), (some(">1", Otherwise.MISSING),))
ONCE = patch(3, (some("<2", Otherwise.NOT_NEEDED),))
MERGED = replace(patch(5, (some("<1", Otherwise.MISSING),)), merged="2")
ELSEWHERE = patch(4, (some("<2", Otherwise.MOVED),), (some(">=2", Otherwise.MOVED),))


def test_the_matrix_says_what_each_release_gets() -> None:
    """The matrix says what each release gets of each patch, and below it why a part is missing."""
    table = matrix(
        [WHOLE, PARTLY, ONCE, ELSEWHERE, replace(WHOLE, number=5, merged="2")], ["1", "2"], {"2": "7 passed"}
    )
    assert table.splitlines() == [
        "| base | 0001 | 0002 | 0003 | 0004 | 0005 | tests |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| 1 | applied | applied [1] | applied | applied | applied | not run |",
        "| 2 | applied | applied [2] | not needed [2] | applied | not needed: merged in 2 | 7 passed |",
        "",
        "1. not available: only >1",
        "2. not needed: only <2",
    ]


def test_a_build_names_what_the_release_cannot_have() -> None:
    """A build names what the release cannot have, and not what it has by itself or by another edit."""
    series = [WHOLE, PARTLY, ONCE, ELSEWHERE]
    assert warnings(series, "1") == ["patches/p0002_a.py is not applied whole on LiteLLM 1: only >1."]
    assert warnings([MERGED], "2") == []
    assert warnings(series, "2") == []
