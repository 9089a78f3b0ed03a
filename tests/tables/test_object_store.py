"""Tables in an object store: a real server of the protocol of S3, in this machine."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("moto.server")

from pyarrow import fs

from memlens.errors import OutputError
from memlens.tables.parquet_file import damage_in, read_table
from memlens.tables.schema import READINGS, TYPES_TABLE
from memlens.tables.table_folder import list_tables, write_rows
from tests.tables.object_store import running_store
from tests.tables.rows import START, some_rows


@pytest.fixture(scope="module")
def store():
    """The address of a server, and its file system."""
    with running_store() as found:
        yield found


@pytest.fixture(scope="module")
def filled(store, tmp_path_factory):
    """A bucket with a copy of a table folder; the URL and the folder."""
    query, filesystem = store
    folder = tmp_path_factory.mktemp("tables")
    for number in range(3):
        for service in ("shop", "a b/ü"):
            rows = some_rows(READINGS, 5, service=service, host=f"pod-{number}")
            write_rows(folder, READINGS, rows, name=f"f{number}")
    write_rows(folder, TYPES_TABLE, some_rows(TYPES_TABLE, 5), name="types")
    whole = next(folder.rglob("f0.parquet"))
    whole.with_name("cut.parquet").write_bytes(whole.read_bytes()[:-7])
    filesystem.create_dir("tables")
    fs.copy_files(str(folder), "tables/fleet", destination_filesystem=filesystem)
    return f"s3://tables/fleet?{query}", folder


def places(listing, root):
    return [
        (os.path.relpath(file.path, root), file.service, file.day, file.hosts, file.size_bytes)
        for file in listing.all_files()
    ]


def test_the_listing_is_that_of_the_folder(filled):
    url, folder = filled
    listing = list_tables(url, check=True)
    assert places(listing, "tables/fleet") == places(list_tables(folder), folder)
    (cut,) = listing.skipped
    assert cut.reason == "half written: it does not end with PAR1"
    unchecked = list_tables(url)  # sizes only: no request for each file
    assert len(unchecked.files["readings"]) == 7 and unchecked.skipped == ()


def test_files_are_read_and_checked(filled):
    url, _ = filled
    listing = list_tables(url, services=["a b/ü"], days=[START.date()], check=True)
    assert {file.service for file in listing.all_files()} == {"a b/ü"}
    for file in listing.files["readings"]:
        assert damage_in(file.path, READINGS, filesystem=listing.filesystem, rows=True) is None
        rows = read_table(file.path, filesystem=listing.filesystem)
        assert rows == some_rows(READINGS, 5, service="a b/ü", host=file.hosts)


def test_a_damaged_file_is_found_when_it_is_read(filled):
    url, _ = filled
    listing = list_tables(url)
    found = [
        damage_in(file.path, filesystem=listing.filesystem) for file in listing.files["readings"]
    ]
    assert sum(reason is not None for reason in found) == 1


def test_a_store_that_does_not_answer_is_an_error():
    query = "scheme=http&endpoint_override=127.0.0.1:1&region=us-east-1"
    with pytest.raises(OutputError, match="cannot list"):
        list_tables(f"s3://tables/fleet?{query}")


def test_a_bucket_without_tables_has_none(store):
    query, _ = store
    assert [*list_tables(f"s3://nobody/x?{query}").all_files()] == []
