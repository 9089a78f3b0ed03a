"""The simulated fleet: its tables are as `memlens` writes them, and true to what it says of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("numpy")

from benchmarks.simulated_fleet import make_fleet
from memlens.errors import SnapshotFileError
from memlens.tables.parquet_file import damage_in, open_table
from memlens.tables.schema import table_named
from memlens.tables.table_folder import list_tables


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return make_fleet(tmp_path_factory.mktemp("fleet"), seed=3, pods=40, days=4)


def readable(truth, table):
    """Yield the files of a table that can be read, opened."""
    for file in list_tables(truth.folder).files[table]:
        try:
            _, opened = open_table(file.path)
        except SnapshotFileError:
            continue
        with opened:
            yield file, opened


def rows_of(truth, table, *columns):
    for _, opened in readable(truth, table):
        yield from opened.read(columns=list(columns) or None).to_pylist()


def test_files_have_the_schema_and_damaged_ones_are_found(truth):
    listing = list_tables(truth.folder)
    skipped = {one.path for one in listing.skipped}
    for table, files in listing.files.items():
        assert files or table in ("nodes", "edges")
        skipped |= {file.path for file in files if damage_in(file.path, table_named(table))}
    assert skipped == {str(Path(truth.folder, one.path)) for one in truth.damage if one.is_named}


def test_rows_are_in_the_folders_of_their_service_and_day(truth):
    for table in ("readings", "types", "suspects"):
        for file, opened in readable(truth, table):
            rows = opened.read(columns=["service", "day", "host", "time"])
            assert rows["service"].unique().to_pylist() == [file.service]
            assert rows["day"].unique().to_pylist() == [file.day]
            assert rows["time"].cast("date32").unique().to_pylist() == [file.day]
            assert file.hosts == "all" or rows["host"].unique().to_pylist() == [file.hosts]


def test_leak_shows_in_its_pods_and_releases_only(truth):
    rows = [
        row for row in rows_of(truth, "suspects") if row["fingerprint"] == truth.leak.fingerprint
    ]
    assert {row["release"] for row in rows} == set(truth.leak.releases) == {"4.10.1", "4.11.0"}
    assert {row["host"] for row in rows} == truth.leak.visible_hosts
    assert truth.leak.visible_hosts <= truth.leak.hosts
    rates = [row["growth_bytes"] / row["window_seconds"] * 3600 for row in rows]
    assert sorted(rates)[len(rates) // 2] == pytest.approx(
        truth.leak.growth_bytes_per_hour, rel=0.5
    )


def test_accusations_by_chance_are_few_and_short(truth):
    rows = [row for row in rows_of(truth, "suspects") if row["fingerprint"] in truth.false]
    hours = Counter((row["process"], row["fingerprint"]) for row in rows)
    assert rows
    assert max(hours.values()) <= 3
    assert not any(row["confidence"] == "high" for row in rows)


def test_uptime_only_increases_while_clocks_are_set_back(truth):
    uptimes, went_back = {}, set()
    columns = ("service", "process", "host", "time", "uptime_seconds")
    rows = [row for row in rows_of(truth, "readings", *columns) if row["service"] == truth.service]
    for row in sorted(rows, key=lambda row: row["uptime_seconds"]):
        before = uptimes.get(row["process"])
        if before is not None and row["time"] < before:
            went_back.add(row["host"])
        uptimes[row["process"]] = row["time"]
    assert went_back == {
        host for host in went_back if truth.clocks[host] == "set back by two hours"
    }
    assert len(went_back) == 1


def test_rows_of_types_add_up_with_the_rest(truth):
    ranks = Counter()
    for row in rows_of(truth, "types", "process", "time", "type", "rank"):
        if row["rank"] == 0:
            assert row["type"] is None
        ranks[row["process"], row["time"]] += 1
    assert set(ranks.values()) == {51}


def test_same_seed_makes_the_same_fleet(tmp_path):
    first, second = (make_fleet(tmp_path / name, seed=5, pods=8, days=1) for name in "ab")
    assert first.leak == second.leak
    assert list(rows_of(first, "suspects")) == list(rows_of(second, "suspects"))
    assert list(rows_of(first, "readings")) == list(rows_of(second, "readings"))


def test_healthy_twin_has_no_new_leak(tmp_path):
    twin = make_fleet(tmp_path, seed=3, pods=20, days=2, leak_share=0.0)
    assert twin.leak is None
    known = {*twin.false, twin.known.fingerprint}
    assert {row["fingerprint"] for row in rows_of(twin, "suspects")} <= known
