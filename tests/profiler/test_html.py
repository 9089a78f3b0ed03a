"""The report of a profiler as a page: memory over time, marks, and what was not kept."""

from __future__ import annotations

import json
import math
import os

import pytest

import memlens
from memlens.errors import OptionError
from memlens.leaks.leak_report import LeakReport
from memlens.process.history import Mark
from memlens.process.identity import program_name
from memlens.process.memory_breakdown import breakdown
from memlens.profiler import report_making, snapshot_store
from memlens.profiler.recording import Recording
from memlens.profiler.snapshot_store import SnapshotStore
from tests.profiler.planted import profiler_in
from tests.report.document_schema import check
from tests.report.html_files import read_report


def readings(count, begin=0.0):
    reading = memlens.read_memory()
    for number in range(count):
        second = begin + number * 10.0
        yield _at(reading, second, number)


def _at(reading, second, number):
    from dataclasses import replace

    return replace(
        reading,
        timestamp=1000.0 + second,
        monotonic_seconds=second,
        rss_bytes=(1 << 20) + number,
        gc_collections=(0, 0, number // 100),
    )


def test_a_week_of_readings_fits_and_is_small_in_json(tmp_path, installed_page):
    profiler = profiler_in(tmp_path)
    for reading in readings(60_480):
        profiler._recording.observe(reading)
    report = profiler.report()
    assert len(report.history) <= 4_000
    assert (report.history[0].monotonic_seconds, report.history[-1].monotonic_seconds) == (
        0,
        604_790,
    )
    plain = report.to_dict()
    assert len(plain["history"]["rows"]) <= 500
    assert len(json.dumps(plain)) < 100_000
    report.to_html(tmp_path / "report.html")
    document = read_report(tmp_path / "report.html").data
    check(document)
    assert document["timeline"]["seconds"][-1] == 604_790
    kinds = [mark["kind"] for mark in document["timeline"]["marks"]]
    assert kinds == ["collection"] * len(kinds)
    assert kinds


def test_a_running_profiler_reports_itself(tmp_path, installed_page):
    with profiler_in(tmp_path, limit=1 << 40) as profiler:
        profiler.mark("deploy: version 2")
        profiler.take_snapshot("second")
        report = profiler.report()
    assert report.to_html(tmp_path / "report.html") == (tmp_path / "report.html").stat().st_size
    document = read_report(tmp_path / "report.html").data
    check(document)
    assert document["process"]["pid"] == os.getpid()
    assert document["verdict"]["state"] in ("unknown", "leak")
    assert document["timeline"]["limit_bytes"] == 1 << 40
    marks = {
        (mark["kind"], mark["label"].partition(":")[0]) for mark in document["timeline"]["marks"]
    }
    assert {("snapshot", "startup"), ("snapshot", "second"), ("deploy", "deploy")} <= marks
    labels = {row["label"] for row in document["health"]}
    assert {"Sampler", "Snapshots", "Failures", "Alerts", "Pauses for snapshots"} <= labels
    assert document["breakdown"]["rss_bytes"] > 0
    plain = report.to_dict()
    assert plain["marks"][0]["label"] == "deploy: version 2"
    assert plain["limit_bytes"] == 1 << 40
    json.dumps(plain, allow_nan=False)


def test_the_change_of_resident_memory_is_the_same_in_text_and_page(
    tmp_path, installed_page, monkeypatch
):
    """The snapshots at the start and at the end are before the first reading and after the last."""
    planted = iter(_at(memlens.read_memory(), 10.0 * step, step << 20) for step in range(4))
    monkeypatch.setattr(snapshot_store, "_read_memory", lambda: next(planted))
    profiler = profiler_in(tmp_path, snapshot_interval=math.inf)
    profiler._agenda.schedule_snapshot()  # else one is due at once, and takes a planted reading
    profiler.take_snapshot("startup")
    profiler._duties.observe(next(planted))
    profiler._duties.observe(next(planted))
    profiler.take_snapshot("exit")
    report = profiler.report()
    report.to_html(tmp_path / "report.html")
    timeline = read_report(tmp_path / "report.html").data["timeline"]
    resident = next(one["bytes"] for one in timeline["series"] if one["key"] == "rss")
    assert sorted(resident)[-1] - sorted(resident)[0] == 3 << 20
    assert report.last.rss_bytes - report.first.rss_bytes == 3 << 20
    assert report.seconds == 30.0
    assert "resident memory 4.00 MiB (+3.00 MiB)" in str(report)


def test_the_breakdown_is_of_the_time_before_the_analysis(tmp_path, monkeypatch):
    done = []

    def measured():
        done.append("breakdown")
        return breakdown()

    def loaded(store, load=SnapshotStore.load):
        done.append("load")
        return load(store)

    monkeypatch.setattr(report_making, "breakdown", measured)
    monkeypatch.setattr(SnapshotStore, "load", loaded)
    with profiler_in(tmp_path) as profiler:
        while_running = profiler.report()
        assert done == ["breakdown", "load"]
    assert done == ["breakdown", "load", "breakdown"]
    first, second = profiler.report(), profiler.report()
    profiler.stop()
    assert done == ["breakdown", "load", "breakdown", "load", "load"]
    assert first.breakdown is second.breakdown is not while_running.breakdown
    with profiler:
        assert profiler.report().breakdown is not first.breakdown


def test_snapshots_that_were_deleted_are_named_as_missing(tmp_path, installed_page):
    profiler = profiler_in(tmp_path)
    record = profiler.take_snapshot("only")
    report = profiler.report()
    os.unlink(record.path)
    report.to_html(tmp_path / "report.html")
    document = read_report(tmp_path / "report.html").data
    check(document)
    assert document["treemap"] is None
    assert any(record.path[-20:] in text for text in document["missing"])


def test_alerts_are_marked(tmp_path):
    given = []
    profiler = profiler_in(tmp_path, on_alert=given.append)
    report = LeakReport(os.getpid(), 3, 1.0, 5, (), ())

    def check_and_fail(alert, on_alert):
        profiler._alerts._give(report, lambda _: 1 / 0)

    profiler._alerts.check = check_and_fail
    with pytest.raises(ZeroDivisionError):
        profiler._duties.check_for_leaks("alert")
    (mark,) = profiler.report().marks
    assert mark.kind == "alert"
    profiler._alerts.check = lambda alert, on_alert: None  # no news
    profiler._duties.check_for_leaks("periodic")
    assert profiler.report().marks == (mark,)


def test_marks_are_bounded(tmp_path):
    recording = Recording()
    for number in range(600):
        recording.mark("deploy", f"{number} " + "x" * 1000)
    assert len(recording.marks) == 500
    assert recording.marks[-1].label.startswith("599 ")
    assert len(recording.marks[-1].label) == 200
    recording.clear()
    assert (recording.marks, recording.history) == ((), ())


def test_malloc_is_asked_at_most_once_a_second():
    recording = Recording()
    first = next(readings(1))
    from dataclasses import replace

    for second in (0.0, 0.1, 0.9, 1.0, 1.5):
        recording.observe(replace(first, monotonic_seconds=second))
    known = [point.malloc_bytes is not None for point in recording.history]
    if any(known):  # where malloc reports it
        assert known == [True, False, False, True, False]


def test_a_mark_is_a_text(tmp_path):
    with pytest.raises(OptionError, match="label must be"):
        profiler_in(tmp_path).mark(5)


def test_the_program_is_named_without_its_arguments(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/srv/shop.py", "--password", "secret"])
    assert program_name() == "shop.py"
    for arguments in ([], [""], [None]):
        monkeypatch.setattr("sys.argv", arguments)
        assert program_name() is None
    monkeypatch.delattr("sys.argv")
    assert program_name() is None


def test_a_mark_has_plain_values():
    assert Mark(1.0, "deploy", "x").to_dict() == {"timestamp": 1.0, "kind": "deploy", "label": "x"}
