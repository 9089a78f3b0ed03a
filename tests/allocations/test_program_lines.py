"""The memory of a profile beside the lines of the program."""

from __future__ import annotations

import json
import os
import re
import sys

import pytest

from memlens._frame import Frame, is_program_file
from memlens.allocations.profile.allocation_profile import AllocationProfile, ProfileFacts
from memlens.allocations.profile.rows import AllocationRow
from memlens.cli.main import main
from memlens.errors import OptionError

FACTS = ProfileFacts("sampling", 1, 1000.5, 2.5, 42, "3.12.1", 10_000_000)
LIBRARY = Frame("loads", json.__file__, 3)
NUMPY = Frame("zeros", "/venv/lib/python3.11/site-packages/numpy/core.py", 9)


@pytest.fixture
def program(tmp_path):
    file = tmp_path / "shop.py"
    file.write_text("import json\n\ndef load():\n    return json.loads(TEXT)\n\nload()\n")
    return str(file)


@pytest.fixture
def profile(program):
    load, top = Frame("load", program, 4), Frame("<module>", program, 6)
    rows = [
        AllocationRow((top, load, LIBRARY), 3000.0, allocated_bytes=9000.0),
        AllocationRow((top, load), 1000.0, allocated_bytes=1000.0),
        AllocationRow((top, NUMPY), 500.0, allocated_bytes=70_000.0),
        AllocationRow((NUMPY,), 100.0, allocated_bytes=100.0),
    ]
    return AllocationProfile(rows, FACTS)


def test_bytes_belong_to_the_innermost_line_of_the_program(profile, program):
    lines = profile.lines()
    assert [(row.line, row.live_bytes, row.allocated_bytes) for row in lines] == [
        (4, 4000.0, 10_000.0),
        (6, 500.0, 70_000.0),
    ]
    assert {row.file for row in lines} == {program}
    assert (lines.live_bytes, lines.total_live_bytes) == (4500.0, 4600.0)


def test_a_line_of_several_functions_is_one_row(program):
    rows = [
        AllocationRow((Frame(name, program, 4),), size, allocated_bytes=size)
        for name, size in (("<listcomp>", 10.0), ("load", 500.0))
    ]
    (line,) = AllocationProfile(rows, FACTS).lines()
    assert (line.live_bytes, line.function) == (510.0, "load")


def test_the_source_is_shown_where_it_can_be_read(profile):
    assert [row.text for row in profile.lines()] == ["return json.loads(TEXT)", "load()"]
    gone = AllocationProfile([AllocationRow((Frame("f", "/gone/app.py", 3),), 1.0)], FACTS)
    assert [row.text for row in gone.lines()] == [None]
    assert "/gone/app.py" in str(gone.lines())


def test_the_order_is_that_of_the_measure(profile):
    assert [row.line for row in profile.lines("allocated_bytes")] == [6, 4]
    with pytest.raises(OptionError, match="by"):
        profile.lines("size")


def test_the_table_has_the_lines_of_a_file_in_its_order(profile, program):
    text = profile.lines("allocated_bytes").table().splitlines()
    assert text[2] == program or text[2].endswith("shop.py")
    assert [line.split()[-1] for line in text[3:]] == ["json.loads(TEXT)", "load()"]
    assert "and 1 more" in profile.lines().table(1)


def test_long_source_is_cut_at_its_end(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    file = tmp_path / "long.py"
    file.write_text("KEPT = [bytearray(1000) for _ in range(100)] + others_that_are_kept(1, 2)\n")
    row = AllocationRow((Frame("load", str(file), 1),), 3000.0, allocated_bytes=9000.0)
    last = AllocationProfile([row], FACTS).lines().table().splitlines()[2:]
    (source,) = [line for line in last if "KEPT" in line]
    assert source.endswith("...")
    assert len(source) <= 60


def test_callers_that_are_left_out_leave_the_own_one_whole(program, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    deep = Frame("a_function_with_a_long_name_in_a_library", "/venv/site-packages/b/core.py", 9)
    path = (Frame("load", program, 4), deep, NUMPY)
    text = AllocationProfile([AllocationRow(path, 100.0)], FACTS).text()
    assert re.search(r"^ +from \.\.\. <- load \(.*shop\.py:4\)$", text, re.MULTILINE)


def test_the_dict_has_the_lines_by_file(profile, program):
    assert profile.lines().to_dict()["files"] == [
        {
            "file": program,
            "first_line": 4,
            "rows": [
                [4, 4000.0, 10_000.0, "return json.loads(TEXT)"],
                [6, 500.0, 70_000.0, "load()"],
            ],
        }
    ]


def test_the_command_shows_the_lines(profile, program, tmp_path, capsys):
    file = str(tmp_path / "profile.json")
    profile.save(file)
    assert main(["allocations", file, "--lines"]) == 0
    shown = capsys.readouterr().out
    assert "return json.loads(TEXT)" in shown
    assert "4.39 KiB of 4.49 KiB live memory" in shown
    assert main(["allocations", file, "--lines", "--json", "--limit", "1"]) == 0
    assert [row["line"] for row in json.loads(capsys.readouterr().out)["rows"]] == [4]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (__file__, True),
        ("/srv/shop/app.py", True),
        ("<stdin>", True),
        ("<ipython-input-3-abc>", True),
        ("/tmp/ipykernel_12/34.py", True),
        (os.__file__, False),
        ("/venv/lib/python3.11/site-packages/numpy/core.py", False),
        (sys.modules["memlens"].__file__, False),
        ("<string>", False),
        ("<frozen importlib._bootstrap>", False),
        ("", False),
    ],
)
def test_what_a_file_of_the_program_is(file, expected):
    assert is_program_file(file) is expected
