"""`memlens.export` and the command ``convert`` write rows."""

from __future__ import annotations

import json
import os
import sys
import time

import pytest

import memlens
from memlens.cli.main import main
from memlens.errors import MissingExtraError, OptionError
from memlens.leaks.leak_report import find_leaks
from memlens.process.identity import identify
from memlens.profiler.file_owner import owner_suffix
from tests.leaks.test_suspects import leaking_dict, series
from tests.tables.values import heap, path, profile_of


@pytest.fixture
def file(tmp_path):
    pytest.importorskip("pyarrow")
    return tmp_path / "x.parquet"


def rows_of(file):
    from memlens.tables.parquet_file import read_table

    return read_table(file)


@pytest.mark.parametrize(
    ("table", "column"),
    [(None, "native_bytes"), ("types", "rank"), ("holders", "holder"), ("nodes", "node"),
     ("edges", "source")],
)  # fmt: skip
def test_snapshot_is_exported_as_the_table_that_is_asked_for(file, table, column):
    size = memlens.export(heap(), file, table=table)
    assert size == file.stat().st_size
    assert file.stat().st_mode & 0o077 == 0
    assert column in rows_of(file)


def test_profile_and_report_have_tables(file):
    from memlens.allocations.profile.rows import AllocationRow

    memlens.export(profile_of(AllocationRow(path(1), 5.0)), file)
    assert rows_of(file)["live_bytes"] == [5.0]
    report = find_leaks(series(leaking_dict))
    memlens.export(report, file)
    assert rows_of(file)["holder"] == ["app.sessions"]
    memlens.export(report, file, table="verdicts")
    assert rows_of(file)["state"] == ["leak"]


def test_rows_of_this_process_say_which_it_is(file):
    memlens.export(memlens.take_heap_snapshot(), file)
    rows = rows_of(file)
    identity = identify()
    assert {*rows["process"]} == {f"{identity.hostname}/{owner_suffix()}"}
    assert {*rows["kind"]} == {identity.kind}
    assert min(rows["uptime_seconds"]) > 0


def test_rows_of_a_profiler_keep_their_process_in_another_one(file, tmp_path, monkeypatch):
    profiler = memlens.MemoryProfiler(tmp_path / "folder", allocations=None)
    profiler.start()
    try:
        record = profiler.take_snapshot()
    finally:
        profiler.stop()
    expected = f"{identify().hostname}/{owner_suffix()}"
    monkeypatch.setattr(os, "getpid", lambda: 1)  # what analyses is another process
    memlens.export(memlens.load(record.path), file)
    rows = rows_of(file)
    assert {*rows["process"]} == {expected}
    assert 0 < rows["uptime_seconds"][0] < 24 * 3600


def test_report_of_a_profiler_has_four_tables(file, tmp_path):
    with memlens.MemoryProfiler(tmp_path / "folder") as profiler:
        report = profiler.report()
    memlens.export(report, file)
    assert len(rows_of(file)["rss_bytes"]) >= 1
    memlens.export(report, file, table="verdicts")
    assert {"rss", "blocks"} <= {*rows_of(file)["series"]}
    memlens.export(report, file, table="suspects")
    if report.allocations is not None:  # it needs the sampler in C
        memlens.export(report, file, table="allocations")
        assert "path_id" in rows_of(file)
    assert memlens.export(report, tmp_path / "x.html") > 0


def test_report_without_allocations_says_so(file, tmp_path):
    with memlens.MemoryProfiler(tmp_path / "folder", allocations=None) as profiler:
        report = profiler.report()
    with pytest.raises(OptionError, match="has no allocations"):
        memlens.export(report, file, table="allocations")
    assert not file.exists()


def test_wrong_table_is_refused_with_the_choices(file):
    message = "table is 'node': it must be one of types, holders, nodes, edges"
    with pytest.raises(OptionError, match=message):
        memlens.export(heap(), file, table="node")
    with pytest.raises(OptionError, match="one of suspects, verdicts"):
        memlens.export(find_leaks(series(leaking_dict)), file, table="types")
    with pytest.raises(OptionError, match=r"table: only for a \.parquet file"):
        memlens.export(heap(), file.with_suffix(".memlens"), table="types")
    with pytest.raises(OptionError, match="before: only for a HeapSnapshot as"):
        memlens.export(heap(), file, before=[heap()])
    assert list(file.parent.iterdir()) == []


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"memlens\[arrow\]"):
        memlens.export(heap(), tmp_path / "x.parquet")
    assert list(tmp_path.iterdir()) == []


def test_command_converts_a_snapshot_to_rows(file, tmp_path, capsys):
    heap().save(tmp_path / "a.memlens")
    arguments = ["convert", str(tmp_path / "a.memlens"), "-o", str(file)]
    assert main([*arguments, "--table", "holders", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["size_bytes"] == file.stat().st_size
    assert "app.sessions" in rows_of(file)["holder"]
    assert main(arguments) == 0
    assert "type" in rows_of(file)


def test_command_refuses_a_table_that_does_not_fit(tmp_path, capsys):
    heap().save(tmp_path / "a.memlens")
    heap().save(tmp_path / "b.memlens")
    one, two = str(tmp_path / "a.memlens"), str(tmp_path / "b.memlens")
    assert main(["convert", one, "-o", str(tmp_path / "x.memlens"), "--table", "types"]) == 2
    assert main(["convert", one, two, "-o", str(tmp_path / "out"), "--table", "types"]) == 2
    assert "--table" in capsys.readouterr().err


def test_clock_that_is_set_between_snapshots_invents_no_growth(tmp_path, monkeypatch):
    real, shift = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real() + shift)
    profiler = memlens.MemoryProfiler(tmp_path / "folder", allocations=None)
    began = time.monotonic()
    with profiler:
        for shift in (0.0, -7200.0, 1e7, -1e9):  # noqa: B007 - the clock reads it
            profiler.take_snapshot()
    ended = time.monotonic()
    paths = [record.path for record in profiler.report().snapshots][-4:]
    report = find_leaks([memlens.load(path) for path in reversed(paths)])
    assert 0 < report.seconds <= ended - began
    assert report.timestamp == memlens.load(paths[-1]).timestamp  # the last by the steady clock
