"""One file of one table: what is written is read, and what is damaged is named."""

from __future__ import annotations

import datetime
import os
import resource
import signal
import subprocess
import sys

import pytest

pytest.importorskip("pyarrow")

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

import memlens
from memlens.errors import MissingExtraError, OptionError, OutputError, SnapshotFileError
from memlens.tables.arrow_types import arrow_schema, arrow_table
from memlens.tables.listing import damage_at_ends
from memlens.tables.parquet_file import TableWriter, damage_in, read_table, write_table
from memlens.tables.schema import EDGES, READINGS, SUSPECTS, TABLES, TYPES_TABLE
from tests.tables.rows import some_rows

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
INTEGER = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize("count", [0, 1, 50])
def test_what_is_written_is_read(tmp_path, table, count):
    path = tmp_path / "x.parquet"
    rows = some_rows(table, count)
    size = write_table(path, table, rows)
    assert read_table(path) == rows
    assert size == path.stat().st_size and path.stat().st_mode & 0o777 == 0o600
    assert damage_in(path, table, rows=True) is None
    assert damage_at_ends(os.fspath(path)) is None
    assert os.listdir(tmp_path) == ["x.parquet"]


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(TEXT, st.none() | TEXT, INTEGER, st.none() | INTEGER), max_size=8))
def test_any_values_are_read_as_they_were(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("any") / "x.parquet"
    columns = some_rows(TYPES_TABLE, len(rows))
    for name, values in zip(("kind", "type", "count", "rank"), zip(*rows), strict=False):
        columns[name] = list(values)
    columns["rank"] = [value or 0 for value in columns["rank"]]
    write_table(path, TYPES_TABLE, columns)
    assert read_table(path) == columns


def test_times_are_datetimes_or_microseconds_of_any_zone(tmp_path):
    zone = datetime.timezone(datetime.timedelta(hours=2))
    times = [datetime.datetime(2026, 11, 20, 14, 0, 0, 7, tzinfo=zone), 1_795_000_000_000_001]
    path = tmp_path / "x.parquet"
    write_table(path, READINGS, some_rows(READINGS, 2, time=times))
    read = read_table(path)["time"]
    assert read[0] == times[0] and read[0].utcoffset() == datetime.timedelta(0)
    assert read[1].timestamp() * 1e6 == pytest.approx(times[1])


def test_a_text_that_is_no_utf_8_is_kept_readable(tmp_path):
    path = tmp_path / "x.parquet"
    odd = os.fsdecode(b"/srv/caf\xe9.py")
    rows = some_rows(SUSPECTS, 1, site=odd, growing_types=[[odd, "b"]])
    write_table(path, SUSPECTS, rows)
    read = read_table(path)
    assert read["site"] == ["/srv/caf\\udce9.py"]
    assert read["growing_types"] == [["/srv/caf\\udce9.py", "b"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": ["red"]}, "no column 'colour'"),
        ({"rss_bytes": ["many"]}, "readings.rss_bytes has a value that is no integer"),
        ({"rss_bytes": [2**63]}, "readings.rss_bytes has a value that is no integer"),
        ({"rss_bytes": [None]}, "readings.rss_bytes has null in row 0"),
        ({"rss_bytes": [1, 2]}, "not equally long"),
        ({"service": [7]}, "readings.service has a value that is no text"),
        ({"day": ["monday"]}, "readings.day has a value that is no date"),
    ],
)
def test_columns_that_do_not_fit_are_refused_and_an_old_file_stays(tmp_path, change, message):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"old")
    with pytest.raises(OptionError, match=message):
        write_table(path, READINGS, {**some_rows(READINGS, 1), **change})
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["x.parquet"]


def test_a_column_that_is_needed_must_be_there_and_others_may_be_missing(tmp_path):
    path = tmp_path / "x.parquet"
    rows = some_rows(READINGS, 3)
    del rows["limit_bytes"]
    write_table(path, READINGS, rows)
    assert read_table(path)["limit_bytes"] == [None] * 3
    del rows["rss_bytes"]
    with pytest.raises(OptionError, match="rss_bytes has null"):
        write_table(path, READINGS, rows)


def test_arrays_of_arrow_are_taken_as_they_are(tmp_path):
    path = tmp_path / "x.parquet"
    rows = some_rows(READINGS, 3)
    write_table(path, READINGS, {name: arrow_table(READINGS, rows)[name] for name in rows})
    assert read_table(path) == rows


def rewritten(path, change, *, version="1", table="readings"):
    """Write a file as another version of memlens or another program would."""
    rows = change(arrow_table(READINGS, some_rows(READINGS, 4)))
    metadata = {"memlens.table": table, "memlens.schema_version": version}
    pq.write_table(rows.replace_schema_metadata(metadata), path)


def test_files_of_older_and_newer_versions_are_read(tmp_path):
    path = tmp_path / "x.parquet"
    rewritten(
        path, lambda rows: rows.drop_columns(["limit_bytes"]).append_column("swap", [[1] * 4])
    )
    read = read_table(path)
    assert list(read) == list(READINGS.names) and read["limit_bytes"] == [None] * 4
    assert damage_in(path, READINGS) is None and damage_at_ends(os.fspath(path)) is None


@pytest.mark.parametrize(
    ("facts", "change", "reason"),
    [
        ({"version": "2"}, None, "schema version 2, this memlens knows 1: update memlens"),
        ({"version": "x"}, None, "not a table of memlens"),
        ({"table": "cats"}, None, "of a table 'cats' that is not known"),
        ({"table": "edges"}, None, "of the table edges, not readings"),
        ({}, lambda rows: rows.drop_columns(["rss_bytes"]), "no column rss_bytes"),
        (
            {},
            lambda rows: rows.set_column(10, "rss_bytes", [["a"] * 4]),
            "the column rss_bytes is string, not integer",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_the_reason(tmp_path, facts, change, reason):
    path = tmp_path / "x.parquet"
    rewritten(path, change or (lambda rows: rows), **facts)
    assert damage_in(path, READINGS) == reason


def test_a_file_cut_anywhere_is_named_and_never_read(tmp_path):
    path = tmp_path / "x.parquet"
    write_table(path, READINGS, some_rows(READINGS, 4))
    whole = path.read_bytes()
    for size in [*range(16), *range(16, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:size])
        assert damage_at_ends(os.fspath(path)) is not None, size
        assert damage_in(path) is not None, size
        with pytest.raises(SnapshotFileError, match=r"x\.parquet"):
            read_table(path)


def test_a_byte_changed_anywhere_is_found_or_changes_no_row(tmp_path):
    path = tmp_path / "x.parquet"
    rows = some_rows(EDGES, 40)
    write_table(path, EDGES, rows)
    whole = path.read_bytes()
    found = 0
    for place in range(0, len(whole), 23):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        if damage_in(path, EDGES, rows=True) is None:
            try:
                read = read_table(path)
            except SnapshotFileError:
                continue
            # What the statistics of the footer say is not checked, and not used here.
            assert read == rows or place > len(whole) // 2, place
        else:
            found += 1
    assert found > len(whole) / 23 / 4


def test_a_file_that_is_missing_or_a_folder_is_an_error(tmp_path):
    for path in (tmp_path / "none.parquet", tmp_path):
        with pytest.raises(SnapshotFileError):
            read_table(path)
        assert damage_in(path) is not None
    with pytest.raises(OutputError):
        write_table(tmp_path / "none" / "x.parquet", READINGS, some_rows(READINGS, 1))


def test_parts_become_row_groups_of_bounded_size(tmp_path):
    path = tmp_path / "x.parquet"
    with TableWriter(path, READINGS, row_group_rows=10) as writer:
        for _ in range(5):
            writer.write(some_rows(READINGS, 7))
            assert not path.exists()
    assert writer.row_count == 35 and writer.size_bytes == path.stat().st_size
    groups = pq.ParquetFile(path).metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [10, 10, 10, 5]
    assert len(read_table(path)["time"]) == 35


def test_a_writer_that_is_discarded_or_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), TableWriter(tmp_path / "x.parquet", READINGS) as writer:
        writer.write(some_rows(READINGS, 7))
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []


FULL = """
import sys
from memlens.tables.parquet_file import write_table
from memlens.tables.schema import READINGS
from tests.tables.rows import some_rows
rows = some_rows(READINGS, 20000)
rows["process"] = [f"{number * 2654435761 % 2**32:x}" for number in range(20000)]
try:
    write_table(sys.argv[1], READINGS, rows)
except OSError as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_leaves_no_file(tmp_path):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    root = os.path.dirname(os.path.dirname(memlens.__file__))
    done = subprocess.run(
        [sys.executable, "-B", "-c", FULL, str(tmp_path / "x.parquet")],
        preexec_fn=limit, capture_output=True, text=True, check=False, cwd=root, timeout=60,
    )  # fmt: skip
    assert "OutputError cannot write" in done.stdout, done.stderr
    assert "free space" in done.stdout and os.listdir(tmp_path) == []


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'memlens\[arrow\]'"):
        write_table(tmp_path / "x.parquet", READINGS, {})


def test_the_schema_of_a_file_is_that_of_its_table(tmp_path):
    for table in TABLES:
        schema = arrow_schema(table)
        assert tuple(schema.names) == table.names
        assert schema.metadata[b"memlens.table"] == table.name.encode()
