"""Which changes to a module are mutants, how they are told apart, and when `nox -s mutants` complains."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from fork.patches import files_for_others, load
from fork.tree import own_modules, shipped_files
from mutants import mutation
from mutants.mutation import (
    OTHER_KILLERS,
    TESTS,
    Explanation,
    Mutant,
    Verdict,
    by_name,
    distinct,
    explanations,
    killers,
    without_one_part,
)

REPOSITORY = Path(__file__).parents[2]

SOURCE = dedent('''\
    """A module."""

    import functools

    TABLE: dict[int, str] = {
        404: "missing",  # a comment
        503: "busy",
    }


    @functools.cache
    def signal(status: int | None, log: list[str]) -> str:
        """A function."""
        if not (status is None) and status in (404, 503):
            log.append("é", -1)
            return TABLE[status]
        raise KeyError(
            status,
        )
    ''')

LINE = "if not (status is None) and status in (404, 503):"


def changed(before: str, after: str) -> list[Mutant]:
    assert SOURCE.count(before) == 1
    return distinct(SOURCE, [SOURCE.replace(before, after)])


@pytest.mark.parametrize(
    ("before", "after", "mutant"),
    [
        ("is None", "is not None", Mutant("signal", LINE, LINE.replace("is None", "is not None"))),
        ("and status", "or status", Mutant("signal", LINE, LINE.replace("and", "or"))),
        ("not (", "(", Mutant("signal", LINE, LINE.replace("not ", ""))),
        (
            '404: "missing",  # a comment\n    503',
            '404: "missing", 502',
            Mutant("TABLE", '503: "busy",', '502: "busy",'),
        ),
        ("@functools.cache\n", "", Mutant("signal", "@functools.cache", "")),
        ("\n        status,\n    ", "", Mutant("signal", "status,", "")),
        ("-1", "not 1", Mutant("signal", 'log.append("é", -1)', 'log.append("é", not 1)')),
        ("return TABLE", "return  not TABLE", Mutant("signal", "return TABLE[status]", "return not TABLE[status]")),
    ],
)
def test_mutant_ignores_layout(before: str, after: str, mutant: Mutant) -> None:
    """A mutant is told by its line, whatever the tool did to the layout of the module."""
    (found,) = changed(before, after)
    assert found == mutant
    assert found.source == SOURCE.replace(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# a comment", "# another"),
        ("(status is None)", "((status) is None)"),
        ("(404, 503)", "(404 503)"),
    ],
)
def test_equivalent_change_is_no_mutant(before: str, after: str) -> None:
    """A change that Python reads alike, or cannot read at all, is no mutant."""
    assert changed(before, after) == []


def test_the_same_change_made_twice_is_one_mutant() -> None:
    """The same change made by two operators is one mutant."""
    text = SOURCE.replace("503:", "504:")
    assert len(distinct(SOURCE, [text, text.replace("504:", "504 :"), text])) == 1


def test_parts_are_left_out_one_at_a_time() -> None:
    """Rows of tables, items of lists and statements are left out one at a time, but no types or docstrings."""
    assert [str(mutant) for mutant in distinct(SOURCE, without_one_part(SOURCE))] == [
        'TABLE: 404: "missing", # a comment  ->  **{}, # a comment',
        'TABLE: 503: "busy",  ->  **{},',
        "signal: raise KeyError( status, )  ->  ...",
        'signal: log.append("é", -1)  ->  ...',
        f"signal: {LINE}  ->  {LINE.replace('404', '*()')}",
        f"signal: {LINE}  ->  {LINE.replace('503', '*()')}",
    ]


def test_cells_of_a_row_and_unpacked_names_stay() -> None:
    """Cells of a row and unpacked names, without which nothing works at all, are not left out."""
    source = 'rows = [("a", 1), ("b", 2)]\nfor name, number in rows:\n    print(name)\n'
    assert [mutant.now for mutant in distinct(source, without_one_part(source))] == [
        'rows = [*(), ("b", 2)]',
        'rows = [("a", 1), *()]',
        "...",
    ]


A, B, C = (Mutant("f", name, "changed") for name in "abc")


def test_survivors_match_explanations() -> None:
    """Every survivor needs an explanation, and every explanation a survivor."""
    verdict = Verdict(9, [A, B], [Explanation(B, "it does not matter"), Explanation(C, "nor does this")])
    assert str(verdict) == "9 mutants, 7 killed, 2 survived, 1 explained"
    assert verdict.complaints() == [
        "survives and is not in survivors.toml: f: a  ->  changed",
        "is in survivors.toml and does not survive: f: c  ->  changed",
    ]
    assert Verdict(9, [B], [Explanation(B, "it does not matter")]).complaints() == []


def test_the_list_is_read_by_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Explanations are read by module, and one may serve several mutants of a line."""
    path = tmp_path / "survivors.toml"
    path.write_text('[[policy]]\nwhere = "f"\nwas = "a"\nnow = ["b", "c"]\nwhy = "why"\n')
    monkeypatch.setattr(mutation, "SURVIVORS", path)
    assert explanations("router_utils/policy") == [Explanation(Mutant("f", "a", now), "why") for now in "bc"]
    assert explanations("router_utils/other") == []


def test_each_module_of_ours_has_tests_that_exist() -> None:
    """Each module of ours is put to the test by files that exist, and the list of others names modules of ours."""
    modules = by_name(own_modules(REPOSITORY))
    assert OTHER_KILLERS.keys() <= modules.keys()
    for module in modules.values():
        assert killers(module).stages, module
        assert all((TESTS / test).is_file() for stage in killers(module).stages for test in stage), module


@pytest.mark.parametrize("base", ["1.82.6", "1.108.14", "1.110.2"])
def test_modules_of_release_have_tests_for_it(base: str) -> None:
    """Each module that a release is built with is put to the test there, by files that the release has."""
    absent = files_for_others(load(REPOSITORY / "patches"), base)
    for module in by_name(shipped_files(base, REPOSITORY)).values():
        left = killers(module).without(absent)
        assert left.stages, module
        assert absent.isdisjoint(f"tests/{test}" for stage in left.stages for test in stage)


def test_explained_lines_are_there() -> None:
    """Each line that `survivors.toml` explains stands in its module, and so does what the row says it is in."""
    modules = by_name(own_modules(REPOSITORY)).values()
    sources = {module: (REPOSITORY / f"{mutation.path_in_wheel(module)}.py").read_text("utf-8") for module in modules}
    rotten = [
        str(known.mutant)
        for module, source in sources.items()
        for known in explanations(module)
        if squeezed(known.mutant.was) not in squeezed(source) or known.mutant.where.split(".")[-1] not in source
    ]
    assert rotten == []


def squeezed(text: str) -> str:
    """A text without its layout."""
    return "".join(text.split())
