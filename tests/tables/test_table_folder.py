"""A table folder: rows are written to their places and listed from there."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

import memlens
from memlens.errors import OptionError, OutputError
from memlens.tables.parquet_file import read_table, write_table
from memlens.tables.schema import READINGS, SUSPECTS, TABLES
from memlens.tables.table_folder import (
    is_table_folder,
    list_tables,
    new_file_name,
    write_rows,
)
from tests.tables.rows import some_rows

DAY = datetime.date(2026, 11, 20)
PLACE = "readings/service=service/day=2026-11-20/hosts=host"


def write(folder, name="one", table=READINGS, count=3, **given):
    return write_rows(folder, table, some_rows(table, count, **given), name=name)


def reasons(listing):
    return {os.path.basename(one.path): one.reason for one in listing.skipped}


def test_rows_go_to_the_folder_of_their_service_day_and_host(tmp_path):
    folder = tmp_path / "tables"
    days = [DAY, DAY, datetime.date(2026, 11, 21), DAY]
    hosts = ["a", "b", "a", "a"]
    paths = write(folder, count=4, day=days, host=hosts)
    assert [os.path.relpath(path, folder) for path in paths] == [
        f"readings/service=service/day={day}/hosts={host}/one.parquet"
        for day, host in (("2026-11-20", "a"), ("2026-11-20", "b"), ("2026-11-21", "a"))
    ]
    assert read_table(paths[0])["rss_bytes"] == [1, 3001]
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_dir()} == {0o700}
    assert write(folder, name="none", count=0) == []


def test_every_table_is_listed_with_what_its_place_says(tmp_path):
    for table in TABLES:
        write(tmp_path, table=table)
    listing = list_tables(tmp_path)
    assert listing.skipped == () and listing.filesystem is None
    assert [*listing.files] == [table.name for table in TABLES]
    for table in TABLES:
        (file,) = listing.files[table.name]
        assert (file.table, file.service, file.day, file.hosts) == (
            table.name,
            "service",
            DAY,
            "host",
        )
        assert file.size_bytes == os.path.getsize(file.path)
    assert listing.services == ("service",) and listing.days == (DAY,)
    assert listing.size_bytes == sum(file.size_bytes for file in listing.all_files())
    assert is_table_folder(tmp_path) and not is_table_folder(tmp_path / "readings")


def test_services_and_days_are_chosen(tmp_path):
    later = datetime.date(2026, 11, 21)
    for service in ("shop", "shop/eu", "mail"):
        write(tmp_path, service=service)
        write(tmp_path, service=service, day=later)

    def found(**chosen):
        files = list_tables(tmp_path, **chosen).files["readings"]
        return {(file.service, file.day) for file in files}

    assert len(found()) == 6
    assert found(services=["shop/eu"]) == {("shop/eu", DAY), ("shop/eu", later)}
    assert found(services=["shop", "nobody"], days=[later]) == {("shop", later)}
    assert found(days=[]) == set()


@pytest.mark.parametrize("name", ["..", "../../etc", "a/b", "", "\0", "é\udc80", "x" * 2000, "."])
def test_no_name_of_a_service_or_host_leaves_the_folder(tmp_path, name):
    folder = tmp_path / "tables"
    (path,) = write(folder, count=1, service=name, host=name)
    assert os.path.realpath(path) == path and path.startswith(f"{folder}/readings/service=")
    assert os.listdir(tmp_path) == ["tables"]
    (file,) = list_tables(folder, services=[name]).files["readings"]
    assert file.path == path and len(read_table(path)["service"]) == 1


@pytest.mark.parametrize("name", ["", ".x", "_x", "x.part", "a/b", "..", "x" * 300])
def test_a_name_that_readers_would_ignore_is_refused(tmp_path, name):
    with pytest.raises(OptionError, match="is no name for a file of a table"):
        write(tmp_path, name=name)
    assert os.listdir(tmp_path) == []


def test_new_names_differ_and_sort_by_time():
    one, other = (new_file_name(4711, "9f2c", now=0.0) for _ in range(2))
    assert one != other and one.startswith("19700101T000000Z-4711-9f2c-")


@pytest.mark.parametrize("depth", range(4))
def test_a_link_is_not_followed_out_of_the_folder(tmp_path, depth):
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tmp_path / "tables" / Path(*PLACE.split("/")[: depth + 1])
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(OutputError, match="is a link"):
        write(tmp_path / "tables")
    assert os.listdir(outside) == []
    if depth:
        assert "a link" in reasons(list_tables(tmp_path / "tables")).values()


def test_what_is_damaged_or_foreign_is_named_and_the_rest_is_listed(tmp_path):
    (path,) = write(tmp_path)
    place = Path(path).parent
    whole = Path(path).read_bytes()
    (place / "cut.parquet").write_bytes(whole[:-5])
    (place / "start.parquet").write_bytes(whole[:1500])
    (place / "empty.parquet").write_bytes(b"")
    (place / "text.parquet").write_bytes(b"something else that is long enough")
    (place / "footer.parquet").write_bytes(whole[:-8] + b"\xff\xff\xff\x7fPAR1")
    (place / "other.csv").write_bytes(b"1")
    os.mkfifo(place / "pipe.parquet")
    (place / "link.parquet").symlink_to(path)
    pq.write_table(pa.table({"a": [1]}), place / "foreign.parquet")
    (place / ".hidden.parquet").write_bytes(b"")
    (place / "x.parquet.1-0123456789abcdef.part").write_bytes(b"")
    ended = place.parent / "_merging-1" / "hosts=host"
    ended.mkdir(parents=True)
    (ended / "merged.parquet").write_bytes(whole)
    merged = write(tmp_path, name="1", host="x")[0]
    Path(merged).parent.rename(place.parent / "hosts=all")
    (tmp_path / "readings" / "service=service" / "day=today").mkdir()
    (tmp_path / "notes").mkdir()
    listing = list_tables(tmp_path)
    found = [file.path for file in listing.files["readings"]]
    assert found == [str(place.parent / "hosts=all" / "1.parquet"), path]
    assert reasons(listing) == {
        "cut.parquet": "half written: it does not end with PAR1",
        "start.parquet": "half written: it does not end with PAR1",
        "empty.parquet": "empty",
        "text.parquet": "not a Parquet file: it does not begin with PAR1",
        "footer.parquet": "damaged: its footer is said to be longer than the file",
        "other.csv": "its name does not end in .parquet",
        "pipe.parquet": "not a file",
        "link.parquet": "a link",
        "foreign.parquet": "not a table of memlens",
        "day=today": "its name has no day",
    }
    assert len(list_tables(tmp_path, check=False).files["readings"]) == 8


def test_a_file_with_a_large_footer_is_known(tmp_path):
    """As other writers make it: with the schema of Arrow behind the facts of memlens."""
    from memlens.tables.arrow_types import arrow_table

    (path,) = write(tmp_path)
    rows = arrow_table(SUSPECTS, some_rows(SUSPECTS, 3))
    rows = rows.replace_schema_metadata({**rows.schema.metadata, "more": "x" * 100_000})
    pq.write_table(rows, path)
    listing = list_tables(tmp_path)
    assert listing.skipped == () and len(listing.files["readings"]) == 1


def test_a_folder_that_is_none_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("nothing", "file"):
        with pytest.raises(OptionError, match="is not a folder"):
            list_tables(tmp_path / place)
    with pytest.raises(OutputError, match="file"):
        write(tmp_path / "file")
    with pytest.raises(OptionError, match="written to local folders"):
        write("s3://bucket/tables")
    assert list(list_tables(tmp_path).all_files()) == []


def test_a_file_is_replaced_by_one_of_the_same_name(tmp_path):
    write(tmp_path, count=3)
    (path,) = write(tmp_path, count=5)
    (file,) = list_tables(tmp_path).files["readings"]
    assert file.path == path and len(read_table(path)["time"]) == 5


def test_the_folder_of_a_host_may_be_removed_while_it_is_written_to(tmp_path, monkeypatch):
    """A merge removes folders that have become empty."""
    from memlens.tables import table_folder

    made, removed = table_folder.file_folder, []

    def removing(*arguments):
        place = made(*arguments)
        if len(removed) < 3:
            os.rmdir(place)
            removed.append(place)
        return place

    monkeypatch.setattr(table_folder, "file_folder", removing)
    (path,) = write(tmp_path)
    assert len(removed) == 3 and os.path.exists(path)


@pytest.mark.parametrize("moment", ["stat", "lstat"])
def test_the_folder_of_a_host_may_be_removed_as_soon_as_it_is_made(tmp_path, monkeypatch, moment):
    function, removed = getattr(os, moment), []

    def removing(path, **given):
        if str(path).endswith("hosts=host") and len(removed) < 3:
            os.rmdir(path)
            removed.append(path)
        return function(path, **given)

    monkeypatch.setattr(os, moment, removing)
    (path,) = write(tmp_path)
    assert len(removed) == 3 and os.path.exists(path)


WRITER = """
import sys
from memlens.tables.schema import READINGS
from memlens.tables.table_folder import new_file_name, write_rows
from tests.tables.rows import some_rows
for number in range(20):
    rows = some_rows(READINGS, 5, host=f"pod-{number % 3}")
    write_rows(sys.argv[1], READINGS, rows, name=new_file_name(1, "a"))
"""


def test_writers_at_once_and_a_merge_do_not_disturb_each_other(tmp_path):
    from memlens.tables.merging import merge_tables

    root = os.path.dirname(os.path.dirname(memlens.__file__))
    writers = [
        subprocess.Popen([sys.executable, "-B", "-c", WRITER, str(tmp_path)], cwd=root)
        for _ in range(2)
    ]
    stop = threading.Event()
    reports = []

    def merge():
        while not stop.is_set():
            reports.append(merge_tables(tmp_path, older_than=0))

    thread = threading.Thread(target=merge)
    thread.start()
    try:
        assert [writer.wait(60) for writer in writers] == [0, 0]
    finally:
        stop.set()
        thread.join()
    assert [report.skipped for report in reports if report.skipped] == []
    assert sum(row.rows for report in reports for row in report.tables) > 0
    files = list_tables(tmp_path).files["readings"]
    assert sum(len(read_table(file.path)["time"]) for file in files) == 2 * 20 * 5


def test_a_url_of_local_files_is_listed_as_the_folder_is(tmp_path):
    for service in ("shop", "a b/c"):
        (path,) = write(tmp_path, service=service)
    place = Path(path).parent
    (place / "cut.parquet").write_bytes(Path(path).read_bytes()[:-1])
    (place / "short.parquet").write_bytes(b"PAR1")
    (place / "_merging").write_bytes(b"")
    write_table(tmp_path / "readings" / "astray.parquet", READINGS, some_rows(READINGS, 1))
    local, url = list_tables(tmp_path), list_tables(f"file://{tmp_path}", check=True)
    assert url.files == local.files and len(url.files["readings"]) == 2
    assert reasons(url) == {
        "cut.parquet": "half written: it does not end with PAR1",
        "short.parquet": "half written: too short for a Parquet file",
        "astray.parquet": "not in a folder service=/day=/hosts=",
    }
    (file,) = list_tables(f"file://{tmp_path}", services=["shop"], days=[DAY]).files["readings"]
    assert file.service == "shop"
    assert read_table(file.path, filesystem=url.filesystem)["rss_bytes"] == [1, 1001, 2001]
    assert list_tables(f"file://{tmp_path}/none").files["readings"] == []
    with pytest.raises(OptionError, match="cannot be opened"):
        list_tables("gopher://x/y")
