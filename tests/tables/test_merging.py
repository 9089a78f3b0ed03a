"""Merging: what becomes one file, what is left, and what is said of it."""

from __future__ import annotations

import datetime
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from memlens.errors import MissingExtraError, OptionError, OutputError
from memlens.tables.arrow_types import arrow_table
from memlens.tables.merging import merge_tables
from memlens.tables.parquet_file import read_table
from memlens.tables.schema import ALLOCATIONS, READINGS, TABLES
from memlens.tables.table_folder import list_tables, write_rows
from tests.tables.rows import some_rows

DAY = datetime.date(2026, 11, 20)


def write(folder, name, table=READINGS, count=3, **given):
    (path,) = write_rows(folder, table, some_rows(table, count, **given), name=name)
    return Path(path)


def merge(folder, **options):
    return merge_tables(folder, **{"older_than": 0, **options})


def files_of(folder, table="readings"):
    return list_tables(folder).files[table]


def rows_of(folder, table="readings"):
    rows = []
    for file in files_of(folder, table):
        rows += zip(*read_table(file.path).values(), strict=True)
    return sorted(rows, key=repr)


def reasons(report):
    return {os.path.basename(one.path): one.reason for one in report.skipped}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_files_of_a_day_become_one_with_the_same_rows(tmp_path, table):
    for number in range(1, 5):
        write(tmp_path, f"f{number}", table, count=number * 4, host=f"pod-{number % 2}")
    before = rows_of(tmp_path, table.name)
    report = merge(tmp_path)
    (file,) = files_of(tmp_path, table.name)
    assert file.hosts == "all" and rows_of(tmp_path, table.name) == before
    (row,) = report.tables
    assert (row.table, row.files_before, row.files_after, row.rows) == (table.name, 4, 1, 40)
    assert row.bytes_after == file.size_bytes < row.bytes_before
    assert report.file_count == 4 and report.skipped == []
    assert os.stat(file.path).st_mode & 0o777 == 0o600
    day = Path(file.path).parent.parent
    assert os.listdir(day) == ["hosts=all"]  # the folders of the hosts are empty and gone


def test_services_and_days_stay_apart(tmp_path):
    for service in ("shop", "mail"):
        for day in (DAY, datetime.date(2026, 11, 21)):
            for number in range(2):
                write(tmp_path, f"f{number}", service=service, day=day)
    before = rows_of(tmp_path)
    report = merge(tmp_path)
    found = {(file.service, file.day, file.hosts) for file in files_of(tmp_path)}
    assert len(files_of(tmp_path)) == len(found) == 4 and rows_of(tmp_path) == before
    assert report.tables[0].files_before == 8


def test_new_files_are_left(tmp_path):
    old = [write(tmp_path, f"old{number}") for number in range(2)]
    new = write(tmp_path, "new")
    assert merge_tables(tmp_path).recent_count == 3 and len(files_of(tmp_path)) == 3
    for path in old:
        os.utime(path, (0, 0))
    report = merge_tables(tmp_path)
    assert report.recent_count == 1 and new.exists() and len(files_of(tmp_path)) == 2
    assert "1 file too new to merge." in str(report)


def test_a_single_file_is_left_as_it_is(tmp_path):
    path = write(tmp_path, "one")
    report = merge(tmp_path)
    assert report.tables == [] and path.exists()
    assert str(report) == "Nothing to merge in 1 file."


def test_the_rows_of_a_host_stay_together(tmp_path):
    for number in range(9):
        write(tmp_path, f"f{number}", host=f"pod-{number % 3}")
    merge(tmp_path)
    (file,) = files_of(tmp_path)
    hosts = read_table(file.path)["host"]
    assert hosts == sorted(hosts)


def test_merged_files_have_about_the_target_size(tmp_path):
    for number in range(30):
        write(
            tmp_path, f"f{number:02}", count=400, process=[os.urandom(8).hex() for _ in range(400)]
        )
    before = rows_of(tmp_path)
    report = merge(tmp_path, target_bytes=60_000, row_group_bytes=30_000)
    sizes = [file.size_bytes for file in files_of(tmp_path)]
    assert len(sizes) > 3 and max(sizes) < 120_000 and rows_of(tmp_path) == before
    assert report.tables[0].files_after == len(sizes)
    again = merge(tmp_path, target_bytes=60_000)
    assert len(files_of(tmp_path)) <= len(sizes) and rows_of(tmp_path) == before
    assert again.skipped == []


def test_a_merged_file_is_merged_again_only_when_as_much_is_new(tmp_path):
    for number in range(40):
        write(tmp_path, f"f{number}", count=30, process=[os.urandom(30).hex() for _ in range(30)])
    merge(tmp_path)
    (first,) = files_of(tmp_path)
    for number in range(2):
        write(tmp_path, f"g{number}")
    merge(tmp_path)
    assert first in files_of(tmp_path) and len(files_of(tmp_path)) == 2
    rows = rows_of(tmp_path)
    for number in range(40):
        write(tmp_path, f"h{number}", process=[os.urandom(30).hex() for _ in range(3)])
    merge(tmp_path)
    assert len(files_of(tmp_path)) == 1 and len(rows_of(tmp_path)) == len(rows) + 120


@settings(max_examples=8, deadline=None)
@given(rounds=st.lists(st.integers(0, 12), min_size=1, max_size=6))
def test_however_often_files_are_merged_each_row_stays_and_files_are_few(tmp_path_factory, rounds):
    folder = tmp_path_factory.mktemp("rounds")
    number = 0
    for count in rounds:
        for _ in range(count):
            write(folder, f"f{number}", count=1, rss_bytes=number)
            number += 1
        merge(folder)
    numbers = [value for file in files_of(folder) for value in read_table(file.path)["rss_bytes"]]
    assert sorted(numbers) == list(range(number))
    assert len(files_of(folder)) <= 2 + max(1, number).bit_length()


def test_damaged_files_are_left_and_named_and_the_rest_is_merged(tmp_path):
    kept = [write(tmp_path, f"f{number}", count=30) for number in range(4)]
    before = rows_of(tmp_path)
    whole = kept[0].read_bytes()
    half, page, footer = (
        kept[0].with_name(f"a-{name}.parquet") for name in ("half", "page", "foot")
    )
    half.write_bytes(whole[:2000])
    page.write_bytes(whole[:60] + bytes(40) + whole[100:])
    length = int.from_bytes(whole[-8:-4], "little")
    start = len(whole) - 8 - length
    footer.write_bytes(whole[:start] + bytes(200) + whole[start + 200 :])
    report = merge(tmp_path)
    named = reasons(report)
    assert named.pop("a-half.parquet") == "half written: it does not end with PAR1"
    assert named.pop("a-page.parquet").startswith("damaged: ")
    assert named.pop("a-foot.parquet") and named == {}
    assert half.exists() and page.exists() and footer.exists()
    assert "Not merged:" in str(report) and "a-half.parquet" in str(report)
    for path in (half, page, footer):
        path.unlink()
    assert rows_of(tmp_path) == before and len(files_of(tmp_path)) == 1


def test_a_damaged_file_of_many_rows_adds_none(tmp_path):
    path = write(tmp_path, "a-large", count=30_000)
    for number in range(2):
        write(tmp_path, f"f{number}")
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 255
    path.write_bytes(whole)
    report = merge(tmp_path)
    assert reasons(report)["a-large.parquet"].startswith("damaged: ")
    assert report.tables[0].rows == 6 and path.exists()


def other_version(path, change, version="1"):
    """Write a file as another version of memlens does."""
    rows = change(arrow_table(READINGS, some_rows(READINGS, 3)))
    metadata = {"memlens.table": "readings", "memlens.schema_version": version}
    pq.write_table(rows.replace_schema_metadata(metadata), path)


def test_columns_of_newer_files_are_kept_and_those_of_older_ones_become_null(tmp_path):
    paths = [write(tmp_path, f"f{number}") for number in range(4)]
    other_version(paths[1], lambda rows: rows.append_column("swap_bytes", pa.array([1, 2, 3])))
    other_version(paths[2], lambda rows: rows.drop_columns(["limit_bytes"]))
    report = merge(tmp_path)
    assert report.skipped == [] and sum(row.rows for row in report.tables) >= 9
    files = files_of(tmp_path)
    read = [pq.ParquetFile(file.path).read().to_pylist() for file in files]
    rows = [row for part in read for row in part]
    assert sorted(row["swap_bytes"] for row in rows if row.get("swap_bytes")) == [1, 2, 3]
    assert sum(row["limit_bytes"] is None for row in rows) == 3 + 3  # one null in each of three
    assert len(rows) == 12


def test_columns_that_cannot_be_one_are_left(tmp_path):
    paths = [write(tmp_path, f"f{number}") for number in range(4)]
    other_version(paths[0], lambda rows: rows.append_column("swap", pa.array([1, 2, 3])))
    other_version(paths[1], lambda rows: rows.append_column("swap", pa.array(["a", "b", "c"])))
    other_version(paths[3], lambda rows: rows.drop_columns(["rss_bytes"]))
    report = merge(tmp_path)
    assert reasons(report) == {
        "f1.parquet": "the column swap has another type in other files",
        "f3.parquet": "no column rss_bytes",
    }
    assert paths[1].exists() and not paths[0].exists()


def test_other_versions_of_the_schema_are_left(tmp_path):
    paths = [write(tmp_path, f"f{number}") for number in range(4)]
    other_version(paths[0], lambda rows: rows, version="0")
    other_version(paths[1], lambda rows: rows, version="7")
    report = merge(tmp_path)
    assert reasons(report) == {
        "f0.parquet": "schema version 0: files of version 1 are merged",
        "f1.parquet": "schema version 7, this memlens knows 1: update memlens",
    }
    assert paths[0].exists() and paths[1].exists() and report.tables[0].files_before == 2


def test_a_second_merge_at_once_is_refused(tmp_path):
    for number in range(2):
        write(tmp_path, f"f{number}")
    with open(tmp_path / ".merging", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="another merge is running"):
            merge(tmp_path)
        assert len(files_of(tmp_path)) == 2
    assert merge(tmp_path).tables[0].files_after == 1


def test_a_source_that_vanishes_meanwhile_leaves_the_others(tmp_path, monkeypatch):
    from memlens.tables import merging

    paths = [write(tmp_path, f"f{number}") for number in range(3)]
    finish = merging.TableWriter.finish

    def vanishing(writer):
        paths[2].unlink(missing_ok=True)
        return finish(writer)

    monkeypatch.setattr(merging.TableWriter, "finish", vanishing)
    report = merge(tmp_path)
    assert paths[0].exists() and paths[1].exists() and len(files_of(tmp_path)) == 2
    assert "No such file" in report.skipped[0].reason
    assert merge(tmp_path).tables[0].rows == 6


def test_a_hold_that_cannot_be_settled_stops_merging_in_that_day_only(tmp_path):
    for day in (DAY, datetime.date(2026, 11, 21)):
        for number in range(2):
            write(tmp_path, f"f{number}", day=day)
    hold = tmp_path / "readings/service=service/day=2026-11-20/_merging-old"
    (hold / "hosts=x").mkdir(parents=True)
    (hold / "hosts=x" / "strange").write_text("")
    report = merge(tmp_path)
    assert "an earlier merge cannot be completed" in report.skipped[0].reason
    assert sorted(file.hosts for file in files_of(tmp_path)) == ["all", "host", "host"]
    (hold / "hosts=x" / "strange").unlink()
    assert merge(tmp_path).recovered_count == 1 and not hold.exists()
    assert sorted(file.hosts for file in files_of(tmp_path)) == ["all", "all"]


def test_a_link_in_the_place_of_a_hold_moves_nothing(tmp_path):
    folder, outside = tmp_path / "tables", tmp_path / "outside"
    path = write(folder, "f0")
    (outside / "hosts=x").mkdir(parents=True)
    (outside / "hosts=x" / "y.parquet").write_bytes(path.read_bytes())
    (path.parent.parent / "_merging-1").symlink_to(outside)
    merge(folder)
    assert (outside / "hosts=x" / "y.parquet").exists() and len(files_of(folder)) == 1


def test_what_cannot_be_merged_is_refused(tmp_path, monkeypatch):
    for folder, message in [
        ("s3://bucket/tables", "an object store cannot rename"),
        (tmp_path / "none", "is not a folder"),
    ]:
        with pytest.raises(OptionError, match=message):
            merge(folder)
    for options in ({"older_than": -1}, {"target_bytes": 0}, {"target_bytes": 1.5}):
        with pytest.raises(OptionError):
            merge(tmp_path, **options)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"memlens\[arrow\]"):
        merge(tmp_path)


PEAK = """
import re, sys
from memlens.tables.merging import merge_tables

def peak():  # of this program: that of getrusage() includes its parent
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

merge_tables(sys.argv[1], older_than=0, target_bytes=1, row_group_bytes=1 << 20)  # imports all
before = peak()
report = merge_tables(sys.argv[2], older_than=0, row_group_bytes=1 << 20)
print(peak() - before, report.tables[0].rows)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_memory_is_bounded_by_row_groups_not_by_the_rows(tmp_path):
    """120 MB of rows in memory are merged with a few row groups of 1 MiB."""
    small, large = tmp_path / "small", tmp_path / "large"
    paths = [[f"function_{row} (file_{one}.py:{row})" for one in range(50)] for row in range(500)]
    path = write(large, "f000", ALLOCATIONS, 500, call_path=paths)
    for number in range(1, 160):
        path.with_name(f"f{number:03}.parquet").write_bytes(path.read_bytes())
    for number in range(2):
        write(small, f"f{number:03}", ALLOCATIONS, 500, call_path=paths)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-B", "-c", PEAK, small, large],
        capture_output=True, text=True, check=True, cwd=root, timeout=120,
    )  # fmt: skip
    peak_kib, rows = map(int, done.stdout.split())
    assert rows == 80_000 and peak_kib < 80 << 10
