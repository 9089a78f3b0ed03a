"""The catalogue is complete and each program is what its row says."""

import re

import pytest

from tests.zoo.catalogue import FORMS, PROGRAMS, ROWS, cases

CLASSES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 17}
PATTERNS = {
    *("unbounded-cache", "registry", "detached", "exception-traceback", "closure-capture"),
    *("listener-accumulation", "cycle", "chain", "native-holder"),
}


def source_of(row):
    return (PROGRAMS / f"{row.name}.py").read_text(encoding="utf-8")


def test_every_program_has_one_row():
    assert sorted(row.name for row in ROWS) == sorted(path.stem for path in PROGRAMS.glob("*.py"))


def test_every_class_of_failure_has_several_programs():
    seen = [number for row in ROWS for number in row.classes]
    assert set(seen) == CLASSES
    assert not [number for number in CLASSES if seen.count(number) < 3]


def test_every_leak_runs_as_its_healthy_twin_too():
    without_twin = [row.name for row in ROWS if row.has_twin and "LEAK" not in source_of(row)]
    with_leak = [row.name for row in ROWS if not row.has_twin and "LEAK" in source_of(row)]
    assert (without_twin, with_leak) == ([], [])
    twins = {case.row.name for case in cases() if case.twin}
    assert {row.name for row in ROWS if row.verdict == "leak"} <= twins


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_well_formed(row):
    assert set(row.forms) <= set(FORMS)
    assert set(row.patterns) <= PATTERNS
    for expression in (*row.holders, row.site or ""):
        re.compile(expression)
    expected = bool(row.holders), bool(row.types), bool(row.patterns)
    assert expected == ((row.verdict == "leak"),) * 3


def test_every_program_compiles_and_says_what_it_does():
    for row in ROWS:
        source = source_of(row)
        compile(source, f"{row.name}.py", "exec")
        assert source.startswith('"""'), row.name
        assert "ticks()" in source, row.name
        assert source.startswith('"""Healthy: ') is (row.verdict == "healthy"), row.name
