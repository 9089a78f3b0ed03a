"""The rows that values become: the columns of the schema, and the numbers of the values."""

from __future__ import annotations

from math import inf

import pytest

from memlens._frame import Frame
from memlens.heap.graph.allocation_sites import SiteShare
from memlens.leaks.leak_report import find_leaks
from memlens.process.detector.alert import DetectorReport, LeakAlert, Verdict
from memlens.process.history import HistoryPoint
from memlens.process.identity import ProcessIdentity
from memlens.process.reading import read_memory
from memlens.tables.process_columns import ProcessColumns
from memlens.tables.readings import reading_columns
from memlens.tables.schema import TABLES
from memlens.tables.stable_frames import StableFrames
from memlens.tables.suspects import suspect_columns
from memlens.tables.verdicts import verdict_columns
from tests.leaks.test_suspects import leaking_dict, series
from tests.tables.values import PROCESS, columns_of_all_tables

REPORT = find_leaks(series(leaking_dict))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_are_those_of_the_schema(table):
    columns = columns_of_all_tables()[table.name]
    assert set(columns) == set(table.names)
    assert len({len(values) for values in columns.values()}) == 1
    assert len(columns["time"]) > 0
    for column in table.columns:
        if not column.is_optional:
            assert None not in columns[column.name], column.name


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_have_the_types_of_the_schema(table, tmp_path):
    pytest.importorskip("pyarrow")
    from memlens.tables.parquet_file import read_table, write_table

    columns = columns_of_all_tables()[table.name]
    write_table(tmp_path / "x.parquet", table, columns)
    back = read_table(tmp_path / "x.parquet")
    moved = {"time"}  # integers of microseconds become datetimes
    assert {name: back[name] for name in columns if name not in moved} == {
        name: values for name, values in columns.items() if name not in moved
    }


def test_readings_and_points_become_the_same_row():
    reading = read_memory()
    process = ProcessColumns("s", "1", "h", "h/1-a", "main", "3.13", "1", 0.0, 100.0)
    point = HistoryPoint.of(reading, malloc_bytes=5)
    columns = reading_columns([reading, point], process, limit_used_bytes=[None, 7])
    assert columns.pop("malloc_bytes") == [None, 5]
    assert columns.pop("limit_used_bytes") == [None, 7]
    assert all(first == second for first, second in columns.values())
    assert columns["uptime_seconds"][0] == reading.monotonic_seconds - 100.0
    assert columns["full_collections"] == [reading.gc_collections[2]] * 2
    assert reading_columns([], process)["rss_bytes"] == []


def detector(series_name, verdict):
    return DetectorReport(series_name, verdict, 9, 0, 0, 0, 360.0, 1.0, 2.0, 0, 0)


def test_trends_and_the_heap_are_verdicts():
    leak = Verdict("leak", 10.0, (5.0, inf), 3.0, 1234.6, 0.99999, "")
    reports = [detector("blocks", Verdict("stable")), detector("rss", leak), REPORT]
    columns = verdict_columns(reports, PROCESS, time=50.0, uptime_seconds=4.0, seconds_to_limit=9.0)
    assert columns["series"] == ["blocks", "rss", "heap"]
    assert columns["state"] == ["stable", "leak", "leak"]
    assert columns["confidence"] == ["0", "0.99999", "high"]
    assert columns["growth_bytes"] == [0, 1235, REPORT.heap_growth_bytes]
    assert columns["slope_low_bytes_per_hour"] == [None, 5.0, None]
    assert columns["slope_high_bytes_per_hour"] == [None, None, None]  # it has no end
    assert columns["seconds_to_limit"] == [None, 9.0, None]
    assert columns["window_seconds"] == [360.0, 360.0, REPORT.seconds]
    assert columns["snapshot_count"] == [0, 0, 4]
    assert columns["uptime_seconds"] == [4.0] * 3


def test_limit_of_the_alert_is_told_with_the_verdict_of_the_heap():
    alert = LeakAlert("rss", 1.0, 0.0, 1.0, 1.0, 1.0, (0.5, 2.0), 0.9, False, "python", 9.0, 77.0)
    import dataclasses

    report = dataclasses.replace(REPORT, alert=alert)
    assert verdict_columns([report], PROCESS, time=1.0)["seconds_to_limit"] == [77.0]
    endless = dataclasses.replace(alert, seconds_to_limit=inf)
    report = dataclasses.replace(REPORT, alert=endless)
    assert verdict_columns([report], PROCESS, time=1.0)["seconds_to_limit"] == [None]


def test_suspects_keep_what_the_report_says():
    (suspect,) = REPORT
    columns = suspect_columns(REPORT, PROCESS, time=REPORT.timestamp)
    assert columns["fingerprint"] == [suspect.fingerprint]
    assert columns["holder"] == ["app.sessions"]
    assert columns["growing_types"] == [["app.Session", "str"]]
    assert columns["growth_bytes"] == [suspect.retained_growth_bytes]
    assert columns["window_seconds"] == [3 * 3600.0]
    assert columns["time"] == [4 * 3600 * 1_000_000]
    assert columns["site"] == [None]


def test_site_of_a_suspect_is_named_without_its_folder():
    import dataclasses

    path = (Frame("main", "/srv/a/main.py", 3), Frame("put", "/srv/a/shop/cart.py", 9))
    (suspect,) = REPORT
    share = SiteShare(path, 1, 2, 3)
    report = dataclasses.replace(REPORT, suspects=(dataclasses.replace(suspect, sites=(share,)),))
    columns = suspect_columns(report, PROCESS, time=1.0, frames=StableFrames(["/srv/a"]))
    assert columns["site"] == ["put (shop/cart.py:9)"]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("/usr/lib/python3/dist-packages/requests/api.py", "f (requests/api.py:5)"),
        ("/v/lib/python3.13/site-packages/a/site-packages/b.py", "f (b.py:5)"),
        ("/usr/lib/python3.11/json/decoder.py", "f (json/decoder.py)"),
        ("/opt/lib64/python3.13t/json/decoder.py", "f (json/decoder.py)"),
        ("C:\\Python\\Lib\\json\\decoder.py", "f (json/decoder.py)"),
        ("<frozen importlib._bootstrap>", "f (<frozen importlib._bootstrap>)"),
        ("<string>", "f (<string>:5)"),
        ("", "f"),
        ("/srv/app/shop/cart.py", "f (shop/cart.py:5)"),
        ("/srv/app/plugins/a/b/c.py", "f (a/b/c.py:5)"),
        ("/srv/app2/shop/cart.py", "f (shop/cart.py:5)"),
        ("/elsewhere/main.py", "f (elsewhere/main.py:5)"),
        ("main.py", "f (main.py:5)"),
    ],
)
def test_files_are_named_below_the_folder_that_they_are_imported_from(file, expected):
    frames = StableFrames(["/srv/app", "/srv/app/plugins/"])
    assert frames.text(Frame("f", file, 5)) == expected
    assert frames.text(Frame("f", file, 5)) == expected  # the second time from memory


def test_identity_of_a_worker_is_in_each_row():
    identity = ProcessIdentity(9, 1, "gunicorn", "gunicorn worker", None, "pod-1", 0.0)
    process = ProcessColumns.of(identity, "shop", "1.2", token="abc", python="3.12.1")
    columns = suspect_columns(REPORT, process, time=60.0)
    assert columns["process"] == ["pod-1/9-abc"]
    assert columns["kind"] == ["gunicorn worker"]
    assert columns["uptime_seconds"] == [60.0]
