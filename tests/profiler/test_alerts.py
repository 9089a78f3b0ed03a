"""A service's life under a fake clock: readings made up, snapshots planted."""

import glob
import json
import logging
import os
import threading
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import pytest

import memlens
import memlens.errors
from memlens.profiler.analysis import Answer
from memlens.profiler.analysis_child import analyse
from tests.clock import FakeClock
from tests.heap.planted import Planter
from tests.leaks.test_suspects import table_of

MIB = 1 << 20
STEP_SECONDS = 10.0
KEPT = []


def in_this_process(self, choices, ignore=(), limit=20):
    """Analyse without the start of a process, of which test_analysis.py has the tests."""
    return Answer(analyse(choices, ignore, limit))


class Service:
    """Reads as a service would that leaks so many bytes an hour from some hour on."""

    def __init__(self, folder, monkeypatch, *, leak_from=0.0, leak_per_hour=40 * MIB, **options):
        self.clock, self.alerts, self.snapshots_taken = FakeClock(0.0), [], 0
        self.leak_from, self.leak_per_hour = leak_from, leak_per_hour
        self.template = memlens.read_memory()
        monkeypatch.setattr("memlens.profiler.snapshot_store.take_heap_snapshot", self.take)
        monkeypatch.setattr("time.time", self.clock)
        monkeypatch.setattr("memlens.profiler.snapshot_store.steady_time", self.clock)
        monkeypatch.setattr("memlens.profiler.alerts.Analysis.run", in_this_process)
        options = {"on_alert": self.alerts.append, **options}
        self.profiler = memlens.MemoryProfiler(folder, clock=self.clock, **options)
        self.profiler.take_snapshot("startup")
        self.profiler._agenda.schedule_snapshot()

    @property
    def leaked_bytes(self):
        return max(self.clock.now / 3600 - self.leak_from, 0.0) * self.leak_per_hour

    @property
    def leaked_blocks(self):
        return self.leaked_bytes / 100

    def take(self, path, *, reason, facts):
        self.snapshots_taken += 1
        p = Planter()
        p.module("app", sessions=table_of(p, 10 + int(self.leaked_bytes / MIB)))
        snapshot = p.snapshot(timestamp=self.clock.now, pid=os.getpid(), **facts)
        snapshot.facts["reason"] = reason
        snapshot.save(path)
        return snapshot

    def run(self, hours):
        for _ in range(int(hours * 3600 / STEP_SECONDS)):
            self.clock.advance(STEP_SECONDS)
            saw = int(self.clock.now / STEP_SECONDS) % 17 * 40_000
            reading = replace(
                self.template,
                timestamp=self.clock.now,
                monotonic_seconds=self.clock.now,
                rss_bytes=int(300 * MIB + self.leaked_bytes + saw),
                allocated_blocks=int(500_000 + self.leaked_blocks + saw / 100),
            )
            self.profiler._duties.observe(reading)
            assert self.profiler._duties.worker.wait(60)


@pytest.fixture
def keep_late():
    """Keep an object that should be gone, each time that this is called."""

    def keep():
        KEPT.append(memlens.MemorySampler())
        memlens.expect_collected(KEPT[-1], 0, reason="stopped")

    yield keep
    KEPT.clear()


@pytest.mark.parametrize("ignored", [False, True])
def test_overdue_objects_are_reported_once(tmp_path, monkeypatch, keep_late, ignored):
    service = Service(
        tmp_path, monkeypatch, snapshot_interval=1e9, leak_from=1e9,
        ignore=(r"\.KEPT$",) if ignored else (),
    )  # fmt: skip
    keep_late()
    service.run(0.1)
    if ignored:
        assert service.alerts == []
        return
    (report,) = service.alerts
    assert [suspect.holder for suspect in report] == [f"{__name__}.KEPT"]
    assert report[0].pattern == "overdue"
    assert "(stopped)" in (tmp_path / glob.glob("leak-*.txt", root_dir=tmp_path)[0]).read_text()


def test_a_stream_of_overdue_objects_delays_no_snapshot(tmp_path, monkeypatch, keep_late):
    service = Service(tmp_path, monkeypatch, snapshot_interval=600.0, leak_from=1e9)
    for _ in range(60):  # two minutes at a time: two hours
        keep_late()
        service.run(1 / 30)
    assert len(service.alerts) == 2  # one an hour, by the default of alert_interval
    assert service.profiler.health()["snapshots_taken"] >= 12


def test_overdue_objects_are_logged_without_a_callback(tmp_path, monkeypatch, caplog, keep_late):
    service = Service(
        tmp_path, monkeypatch, snapshot_interval=1e9, leak_from=1e9, on_alert=None
    )  # fmt: skip
    keep_late()
    service.run(0.1)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "KEPT keeps 1 overdue alive" in caplog.text
    facts = caplog.records[0].memlens
    assert facts["event"] == "overdue_objects"
    assert facts["holder"] == f"{__name__}.KEPT"
    assert facts["suspects"] == [facts["fingerprint"]]


def test_trend_of_readings_triggers_a_report_with_the_holder(tmp_path, monkeypatch):
    service = Service(tmp_path, monkeypatch, snapshot_interval=1e9)
    service.run(4)
    (report,) = service.alerts
    assert report.alert.series == "blocks"
    assert report.alert.kind == "python"
    assert report.alert.slope_bytes_per_hour == pytest.approx(40 * MIB / 100, rel=0.1)
    assert [suspect.holder for suspect in report] == ["app.sessions"]
    assert "memory leak suspected in blocks" in str(report)
    assert "app.sessions grows" in str(report)
    reasons = [record.reason for record in service.profiler.snapshots]
    assert reasons == ["startup", "alert"]
    health = service.profiler.health()
    assert (health["alerts"], health["reports_written"], health["failures"]) == (1, 1, 0)
    assert health["detectors"]["blocks"] == "leak"


def test_what_the_profiler_does_is_logged_as_information(tmp_path, monkeypatch, caplog):
    with caplog.at_level(logging.INFO, "memlens"):
        service = Service(tmp_path, monkeypatch, snapshot_interval=1e9)
        service.run(4)
    assert {record.levelno for record in caplog.records} == {logging.INFO}
    events = [record.memlens for record in caplog.records]
    assert [facts["event"] for facts in events] == ["snapshot", "snapshot", "leak_alert"]
    assert [facts["path"] for facts in events[:2]] == [
        kept.path for kept in service.profiler.snapshots
    ]
    alert = events[2]
    assert (alert["holder"], alert["path"]) == ("app.sessions", "app.sessions")
    assert alert["fingerprint"] == service.alerts[0][0].fingerprint
    assert alert["bytes"] == service.alerts[0][0].retained_growth_bytes
    assert alert["report_path"].endswith(".json")
    assert json.dumps(events)


def test_trend_alert_without_a_callback_is_logged_and_not_analysed(tmp_path, monkeypatch, caplog):
    def refuse(*args, **options):
        raise AssertionError("nobody requested an analysis")

    monkeypatch.setattr("memlens.profiler.alerts.Analysis.run", refuse)
    service = Service(tmp_path, monkeypatch, snapshot_interval=600.0, on_alert=None)
    service.run(4)
    (record,) = caplog.records
    assert "memory leak suspected in blocks: +" in record.getMessage()
    assert "python -m memlens leaks " in record.getMessage()
    facts = record.memlens
    assert (facts["event"], facts["holder"]) == ("leak_alert", None)
    assert facts["alert"]["series"] == "blocks"
    assert json.dumps(facts)
    pattern = record.getMessage().split()[-1]
    assert facts["snapshots"] == pattern
    assert sorted(glob.glob(pattern)) == sorted(kept.path for kept in service.profiler.snapshots)
    health = service.profiler.health()
    assert (health["alerts"], health["reports_written"], health["failures"]) == (1, 0, 0)


def test_reports_are_written_as_text_and_json_readable_by_their_owner_only(tmp_path, monkeypatch):
    service = Service(tmp_path, monkeypatch, snapshot_interval=1e9)
    service.run(4)
    text, data = sorted(
        (p for p in tmp_path.iterdir() if p.name.startswith("leak-")),
        key=lambda p: p.suffix != ".txt",
    )
    assert text.read_text() == f"{service.alerts[0]}\n"
    assert json.loads(data.read_text())["alert"]["series"] == "blocks"
    assert {p.stat().st_mode & 0o777 for p in (text, data)} == {0o600}


def test_late_leak_is_searched_for_from_its_beginning(tmp_path, monkeypatch):
    service = Service(tmp_path, monkeypatch, leak_from=5.0, max_snapshots=20)
    service.run(9)
    trend = [report for report in service.alerts if report.alert]
    assert [[s.holder for s in report] for report in trend] == [["app.sessions"]]


def test_service_without_a_leak_gets_no_alert_and_no_report(tmp_path, monkeypatch):
    service = Service(tmp_path, monkeypatch, leak_per_hour=0)
    service.run(6)
    assert service.alerts == []
    assert not [p for p in tmp_path.iterdir() if p.name.startswith("leak-")]


def test_trend_alerts_are_rate_limited(tmp_path, monkeypatch):
    service = Service(tmp_path, monkeypatch, snapshot_interval=1e9, alert_interval=3600.0)
    service.run(3)
    (report,) = service.alerts
    times = []
    service.profiler.on_alert = lambda report: times.append(service.clock.now)
    for _ in range(900):  # a trend that comes and goes
        service.profiler._detectors._note(report.alert)
        service.run(STEP_SECONDS / 3600)
    assert 2 <= len(times) <= 3
    assert all(later - earlier >= 3600.0 for earlier, later in pairwise(times))
    assert service.snapshots_taken == 2 + len(times)


def test_slow_callback_does_not_delay_readings(tmp_path, monkeypatch):
    entered, gate = threading.Event(), threading.Event()

    def slow(report):
        entered.set()
        gate.wait(60)

    service = Service(tmp_path, monkeypatch, snapshot_interval=1e9, on_alert=slow)
    wait = service.profiler._duties.worker.wait
    service.profiler._duties.worker.wait = lambda timeout: (
        True
    )  # readings go on whatever the worker does
    service.run(4)
    assert entered.wait(60)
    seen = service.profiler.report().detectors[1].readings
    service.run(0.1)
    assert service.profiler.report().detectors[1].readings == seen + 36
    gate.set()
    assert wait(60)


def test_failing_callback_is_counted_and_logged_once(tmp_path, monkeypatch, caplog):
    def fails(report):
        raise RuntimeError("the pager is down")

    service = Service(tmp_path, monkeypatch, snapshot_interval=1e9, on_alert=fails)
    service.run(4)
    health = service.profiler.health()
    assert health["failures"] == 1
    assert health["last_error"] == "RuntimeError: the pager is down"
    assert len(caplog.records) == 1


def test_alert_is_delivered_if_no_snapshot_can_be_taken(tmp_path, monkeypatch):
    def fails(path, **options):
        raise memlens.errors.OutputError("the disk is full")

    service = Service(tmp_path, monkeypatch, snapshot_interval=1e9)
    monkeypatch.setattr("memlens.profiler.snapshot_store.take_heap_snapshot", fails)
    service.run(4)
    (report,) = service.alerts
    assert (report.alert.kind, report.snapshot_count, len(report)) == ("python", 1, 0)
    assert "fewer than two snapshots" in str(report)
    assert report.to_dict()["alert"]["series"] == "blocks"
    assert service.profiler.health()["last_error"] == "OutputError: the disk is full"


def test_report_is_delivered_if_it_cannot_be_written(tmp_path, monkeypatch):
    def fails(report):
        raise memlens.errors.OutputError("the disk is full")

    service = Service(tmp_path, monkeypatch, snapshot_interval=1e9)
    service.profiler._store.write = fails
    service.run(4)
    assert [suspect.holder for suspect in service.alerts[0]] == ["app.sessions"]
    assert service.profiler.health()["failures"] == 1


def test_disk_and_memory_stay_bounded_over_ten_hours_of_a_leak(tmp_path, monkeypatch):
    service = Service(
        tmp_path,
        monkeypatch,
        snapshot_interval=600.0,
        alert_interval=600.0,
        max_snapshots=5,
        max_reports=3,
        ignore=("nothing",),
    )
    service.profiler.on_alert = lambda report: service.alerts.append(len(report))
    service.run(5)
    only_ours = tracemalloc.Filter(True, str(memlens.__path__[0]) + "/*")
    tracemalloc.start()
    try:
        service.run(1)
        first = tracemalloc.take_snapshot().filter_traces([only_ours])
        service.run(4)
        last = tracemalloc.take_snapshot().filter_traces([only_ours])
    finally:
        tracemalloc.stop()
    grown = sum(s.size for s in last.statistics("lineno")) - sum(
        s.size for s in first.statistics("lineno")
    )
    assert grown < 64 * 1024
    names = os.listdir(tmp_path)
    assert len([n for n in names if n.endswith(".memlens")]) <= 5
    assert len([n for n in names if n.startswith("leak-")]) <= 2 * 3
    assert service.snapshots_taken > 50
    health = service.profiler.health()
    assert health["snapshots_kept"] <= 5
    assert health["failures"] == 0


def test_periodic_snapshots_begin_at_seconds_and_stretch(tmp_path, monkeypatch):
    service = Service(tmp_path, monkeypatch, leak_per_hour=0, max_snapshots=100)
    service.run(4)
    times = [record.timestamp for record in service.profiler.snapshots]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[:8] == [10.0 * 2**count for count in range(8)]
    assert gaps[-1] == 3600.0


def test_a_number_is_a_fixed_interval(tmp_path, monkeypatch):
    service = Service(tmp_path, monkeypatch, leak_per_hour=0, snapshot_interval=600.0)
    service.run(1)
    times = [record.timestamp for record in service.profiler.snapshots]
    assert {later - earlier for earlier, later in pairwise(times)} == {600.0}


def test_the_first_explained_alert_comes_within_minutes(tmp_path, monkeypatch):
    service = Service(tmp_path, monkeypatch, leak_per_hour=40_000 * MIB)
    service.run(0.05)
    assert [suspect.holder for suspect in service.alerts[0]] == ["app.sessions"]


def test_a_steep_rise_against_the_limit_is_answered_at_once(tmp_path, monkeypatch):
    service = Service(
        tmp_path, monkeypatch, snapshot_interval=1e9, limit=800 * MIB, leak_per_hour=20_000 * MIB
    )
    service.run(0.05)
    (report,) = service.alerts
    assert report.alert.kind == "steep"
    assert report.alert.limit_bytes == 800 * MIB
    assert [record.reason for record in service.profiler.snapshots] == ["startup", "steep"]


def test_an_alert_that_turns_out_wrong_is_withdrawn(tmp_path, monkeypatch):
    withdrawn = []
    service = Service(
        tmp_path,
        monkeypatch,
        snapshot_interval=60.0,
        on_withdrawn=withdrawn.append,
        leak_per_hour=0,
    )
    warmed = {"bytes": 0}
    monkeypatch.setattr(Service, "leaked_bytes", property(lambda self: warmed["bytes"]))
    for _ in range(4):  # a cache fills
        warmed["bytes"] += 40 * MIB
        service.run(1 / 60)
    assert [suspect.holder for suspect in service.alerts[0]] == ["app.sessions"]
    assert withdrawn == []
    service.run(1)  # and is full
    assert withdrawn == service.alerts
    report = service.profiler.report()
    assert report.withdrawn == (service.alerts[0],)
    assert "Withdrawn, not confirmed later: app.sessions" in str(report)
    assert report.to_dict()["withdrawn"][0]["suspects"][0]["holder"] == "app.sessions"
    assert service.profiler.health()["alerts_withdrawn"] == 1


def test_a_leak_that_goes_on_is_not_withdrawn(tmp_path, monkeypatch):
    withdrawn = []
    service = Service(tmp_path, monkeypatch, snapshot_interval=60.0, on_withdrawn=withdrawn.append)
    service.run(3)
    assert service.alerts
    assert withdrawn == []


def test_a_process_that_cannot_be_started_is_said_and_the_alert_is_given(
    tmp_path, monkeypatch, caplog
):
    service = Service(tmp_path, monkeypatch, snapshot_interval=1200.0)
    monkeypatch.setattr(
        "memlens.profiler.alerts.Analysis.run",
        lambda *rest, **options: Answer(None, "there is none"),
    )
    service.run(4)
    (report,) = service.alerts
    assert report.alert.series == "blocks"
    assert report.not_analysed == "there is none"
    assert "snapshots were not analysed: there is none" in str(report)
    assert report.to_dict()["not_analysed"] == "there is none"
    assert [r.getMessage() for r in caplog.records if "on request" in r.getMessage()] == [
        "snapshots are analysed on request only: there is none"
    ]
    assert service.profiler.report().leaks.suspects  # the request


def test_stop_ends_an_analysis(tmp_path, monkeypatch):
    profiler = memlens.MemoryProfiler(tmp_path, snapshot_interval=1e9, on_alert=print)
    profiler.start()
    profiler.stop()
    assert profiler._alerts.analysis.run([["a", "b"]]).reason == "the profiler was stopped"
    with profiler:
        assert "was stopped" not in profiler._alerts.analysis.run([["a", "b"]]).reason


@pytest.mark.parametrize("limit", [0, -1, "1 GiB", 1.5, True])
def test_a_bad_limit_is_refused(tmp_path, limit):
    with pytest.raises(memlens.errors.OptionError, match="limit"):
        memlens.MemoryProfiler(tmp_path, limit=limit)


def test_a_callback_for_withdrawals_must_be_callable(tmp_path):
    with pytest.raises(memlens.errors.OptionError, match="on_withdrawn"):
        memlens.MemoryProfiler(tmp_path, on_withdrawn="log")
