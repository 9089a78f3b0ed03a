"""Call paths of a profile: sums stay exact, errors combine, folders and imports do not matter."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens._frame import Frame
from memlens.allocations.profile.rows import AllocationRow
from memlens.tables.allocation_paths import allocation_columns, path_id_of
from memlens.tables.stable_frames import StableFrames, import_folders
from tests.tables.values import PROCESS, path, profile_of

MEASURES = ("live_bytes", "live_count", "allocated_bytes", "allocated_count")
amounts = st.floats(0, 1e9, allow_nan=False)


@st.composite
def rows(draw):
    numbers = [draw(amounts) for _ in range(8)]
    widening = tuple(draw(st.floats(0, 1e3)) for _ in range(4))
    # An error is never below what it is widened by.
    errors = [sqrt(numbers[2 * at + 1] ** 2 + 4 * widening[at]) for at in range(4)]
    values = [value for at in range(4) for value in (numbers[2 * at], errors[at])]
    lines = draw(st.lists(st.integers(1, 4), min_size=0, max_size=3))
    return AllocationRow(path(*lines), *values, 7, 9, widening=widening)


@given(found=st.lists(rows(), max_size=12), limit=st.integers(1, 5))
def test_rows_add_up_to_the_profile(found, limit):
    profile = profile_of(*found)
    columns = allocation_columns(profile, PROCESS, limit=limit)
    for name in MEASURES:
        total = getattr(profile.total, name)
        assert sum(columns[name]) == pytest.approx(total, rel=1e-9, abs=1e-6)
    assert len(columns["rank"]) <= limit + 1
    assert [one is None for one in columns["path_id"]] == [rank == 0 for rank in columns["rank"]]
    named = [one for one in columns["path_id"] if one]
    assert len({*named}) == len(named)


def test_errors_of_the_rest_are_combined_not_added():
    found = [AllocationRow(path(line), 10.0, 3.0, 1.0, 0.4, 10.0, 3.0, 1.0, 0.4) for line in
             range(1, 101)]  # fmt: skip
    columns = allocation_columns(profile_of(*found), PROCESS, limit=2)
    assert columns["rank"] == [1, 2, 0]
    assert columns["live_bytes"] == [10.0, 10.0, 980.0]
    assert columns["live_bytes_stderr"][2] == pytest.approx(3.0 * sqrt(98))
    assert columns["allocated_count_stderr"][2] == pytest.approx(0.4 * sqrt(98))
    assert (columns["call_path"][2], columns["site"][2]) == (None, None)


def test_sum_is_widened_for_few_samples_once():
    found = [AllocationRow(path(line), 10.0, 4.0, widening=(4.0, 0, 0, 0)) for line in (1, 2, 3)]
    columns = allocation_columns(profile_of(*found), PROCESS, limit=1)
    assert columns["live_bytes_stderr"][1] == pytest.approx(sqrt(2 * (16 - 16) + 16))


def test_measure_that_the_source_does_not_know_stays_unknown():
    row = AllocationRow(path(1), 10.0, 1.0, 1.0, 0.5, None, None, None, None, 1, None)
    columns = allocation_columns(profile_of(row), PROCESS)
    assert columns["allocated_bytes"] == [None]
    assert columns["allocated_bytes_stderr"] == [None]


def test_threads_and_domains_of_one_path_are_one_row():
    found = [AllocationRow(path(1, 2), 5.0, thread=name) for name in ("a", "b")]
    columns = allocation_columns(profile_of(*found), PROCESS)
    assert columns["live_bytes"] == [10.0]
    assert columns["call_path"] == [["f1 (app/main.py:1)", "f2 (app/main.py:2)"]]
    assert columns["site"] == ["f2 (app/main.py:2)"]


def test_install_path_and_patch_release_do_not_change_the_path():
    ids = set()
    for folder, python, line in (("/srv/a", "/usr", 10), ("/home/me/b c", "/opt/py", 12)):
        call_path = (
            Frame("main", f"{folder}/main.py", 3),
            Frame("_load", "<frozen importlib._bootstrap>", line),
            Frame("get", f"{folder}/lib/python3.13/site-packages/requests/api.py", 9),
            Frame("loads", f"{python}/lib/python3.13/json/__init__.py", line),
        )
        frames = StableFrames([folder])
        columns = allocation_columns(
            profile_of(AllocationRow(call_path, 1.0)), PROCESS, frames=frames
        )
        assert columns["call_path"] == [
            ["main (main.py:3)", "get (requests/api.py:9)", "loads (json/__init__.py)"]
        ]
        ids.add(columns["path_id"][0])
    assert ids == {path_id_of(columns["call_path"][0])}


def test_parts_of_a_path_are_not_confused():
    assert path_id_of(["a", "b"]) != path_id_of(["ab"]) != path_id_of(["a\0b"[:1], "", "b"])


def test_time_is_the_end_of_the_profile():
    columns = allocation_columns(profile_of(AllocationRow(path(1), 1.0)), PROCESS)
    assert columns["time"] == [1_060_000_000]
    assert columns["profile_seconds"] == [60.0]


def test_relative_entries_of_sys_path_are_of_the_working_folder(monkeypatch, tmp_path):
    import sys

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "src", "/lib/x", "/lib/x"])
    assert import_folders() == (str(tmp_path), str(tmp_path / "src"), "/lib/x")
