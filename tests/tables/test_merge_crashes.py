"""A merge that is killed at any operation on files loses no row and doubles none."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager

import pytest

pytest.importorskip("pyarrow")

from memlens.tables.merging import merge_tables
from memlens.tables.parquet_file import read_table
from memlens.tables.schema import READINGS
from memlens.tables.table_folder import list_tables, write_rows
from tests.tables.rows import some_rows

OPERATIONS = ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync", "open")


class Killed(BaseException):
    """The process is gone: nothing that it does after this has an effect."""


class Killer:
    """Kill at one operation on files, before it or after it was done; all later ones fail."""

    def __init__(self, monkeypatch, at, *, after=False):
        self.count = 0
        self.at = at
        self.after = after
        for name in OPERATIONS:
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name, operation):
        def wrapped(*arguments, **options):
            if name == "open" and not (arguments[1] & os.O_CREAT):
                return operation(*arguments, **options)
            self.count += 1
            if self.count < self.at:
                return operation(*arguments, **options)
            if self.count == self.at and self.after:
                operation(*arguments, **options)
            raise Killed(name)

        return wrapped


def write_sources(folder):
    """Four files of two hosts; each row has a number of its own."""
    for number in range(4):
        rows = some_rows(READINGS, 3, host=f"pod-{number % 2}")
        rows["rss_bytes"] = [number * 10 + row for row in range(3)]
        write_rows(folder, READINGS, rows, name=f"file-{number}")
    return Counter(number * 10 + row for number in range(4) for row in range(3))


def rows_of(folder):
    listing = list_tables(folder)
    assert listing.skipped == ()
    return Counter(
        value for file in listing.all_files() for value in read_table(file.path)["rss_bytes"]
    )


def rows_by_glob(folder, expected):
    """The rows as an engine finds them by names: it may miss some, and sees none twice."""
    found = Counter()
    for path in folder.glob("readings/*/*/hosts=*/*.parquet"):
        found.update(read_table(path)["rss_bytes"])
    assert found <= expected
    return found


def merge(folder):
    return merge_tables(folder, older_than=0)


@contextmanager
def killing(at, *, after=False):
    with pytest.MonkeyPatch.context() as patch:
        killer = Killer(patch, at, after=after)
        try:
            yield killer
        except Killed:
            pass


def count_operations(tmp_path):
    folder = tmp_path / "counted"
    write_sources(folder)
    with killing(10**9) as killer:
        merge(folder)
    return killer.count


@pytest.mark.parametrize("after", [False, True])
def test_each_row_is_there_once_after_a_merge_was_killed_anywhere(tmp_path, after):
    operations = count_operations(tmp_path)
    assert operations > 20
    seen = set()
    for at in range(1, operations + 1):
        folder = tmp_path / str(at)
        expected = write_sources(folder)
        with killing(at, after=after) as killer:
            merge(folder)
        assert killer.count >= at
        assert rows_of(folder) == expected, at
        seen.add(sum(rows_by_glob(folder, expected).values()))
        report = merge(folder)
        assert report.skipped == [], at
        assert rows_of(folder) == expected, at
        assert len(list_tables(folder).files["readings"]) == 1
        assert [name for _, _, names in os.walk(folder) for name in names if "part" in name] == []
    assert min(seen) < 12 and max(seen) == 12  # it was killed while rows were hidden from engines


def test_a_recovery_that_is_killed_anywhere_can_be_repeated(tmp_path):
    for first in range(3, 28, 5):
        for at in range(1, 18, 3):
            folder = tmp_path / f"{first}-{at}"
            expected = write_sources(folder)
            with killing(first):
                merge(folder)
            with killing(at, after=at % 2 == 0):
                merge(folder)
            assert rows_of(folder) == expected, (first, at)
            rows_by_glob(folder, expected)
            merge(folder)
            assert rows_of(folder) == expected, (first, at)


def test_an_error_of_one_operation_leaves_each_row_once(tmp_path):
    operations = count_operations(tmp_path)
    for at in range(2, operations + 1):
        folder = tmp_path / f"error-{at}"
        expected = write_sources(folder)
        with pytest.MonkeyPatch.context() as patch:
            fail_once(patch, at)
            try:
                merge(folder)
            except OSError:
                pass
        assert rows_of(folder) == expected, at
        merge(folder)
        assert rows_of(folder) == expected, at


def fail_once(patch, at):
    count = 0

    def wrapped(operation, creates):
        def call(*arguments, **options):
            nonlocal count
            if creates and not (arguments[1] & os.O_CREAT):
                return operation(*arguments, **options)
            count += 1
            if count == at:
                raise OSError(5, "Input/output error")
            return operation(*arguments, **options)

        return call

    for name in OPERATIONS:
        patch.setattr(os, name, wrapped(getattr(os, name), name == "open"))


def test_a_listing_during_a_merge_has_each_row_once(tmp_path):
    """The folder is listed before each operation of a merge, and a merge goes on in a listing."""
    expected = write_sources(tmp_path)
    listings = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "replace", "unlink", "rmdir"):
            patch.setattr(os, name, listed_before(getattr(os, name), tmp_path, expected, listings))
        merge(tmp_path)
    assert len(listings) > 10


def listed_before(operation, folder, expected, listings):
    def wrapped(*arguments, **options):
        listings.append(rows_of(folder))
        assert listings[-1] == expected
        return operation(*arguments, **options)

    return wrapped


@pytest.mark.parametrize("at", range(2))
def test_a_merge_in_the_middle_of_a_listing_changes_nothing(tmp_path, monkeypatch, at):
    from memlens.tables import listing

    expected = write_sources(tmp_path)
    files, calls = listing._files, []

    def merging_meanwhile(*arguments):
        if len(calls) == at:
            calls.append("merge")
            merge(tmp_path)
        calls.append(arguments[0])
        return files(*arguments)

    monkeypatch.setattr(listing, "_files", merging_meanwhile)
    found = list_tables(tmp_path)
    monkeypatch.undo()
    values = Counter(
        value for file in found.all_files() for value in read_table(file.path)["rss_bytes"]
    )
    assert values == expected and found.skipped == ()
