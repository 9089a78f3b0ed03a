import gc
import os
import re
import subprocess
import sys
import textwrap
import threading
import tracemalloc

import pytest

import memlens
from memlens._fork import ForkSafeLock
from memlens.errors import OptionError, OutputError
from memlens.leaks.leak_report import LeakReport, reported_leaks
from memlens.process.detector.alert import DetectorReport, Verdict
from memlens.profiler.caller_turns import CallerTurns
from memlens.profiler.profiler_report import with_trend
from tests.clock import FakeClock
from tests.own_threads import own_threads
from tests.profiler.planted import profiler_in


class Session:
    def __init__(self):
        self.buffer = bytearray(500)


SESSIONS: dict[int, Session] = {}


@pytest.fixture(autouse=True)
def empty_sessions():
    SESSIONS.clear()
    yield
    SESSIONS.clear()


def leak(count=30):
    start = len(SESSIONS)
    for number in range(start, start + count):
        SESSIONS[number] = Session()


def read(profiler):
    """Play the sampler's part: a reading, and what it sets off."""
    profiler._duties.observe(memlens.read_memory())
    assert profiler._duties.worker.wait(60)


def test_baseline_is_taken_and_the_leak_is_reported_with_its_holder(tmp_path):
    profiler = profiler_in(tmp_path)
    with profiler:
        for _ in range(2):
            leak()
            profiler.take_snapshot()
        report = profiler.report()
    assert [record.reason for record in report.snapshots] == ["startup", "manual", "manual"]
    suspect = next(s for s in report.leaks if "SESSIONS" in s.holder)
    assert suspect.holder == "tests.profiler.test_memory_profiler.SESSIONS"
    assert suspect.count_growth == 60
    assert any(name.endswith("test_memory_profiler.Session") for name in suspect.growing_types)
    assert "tests.profiler.test_memory_profiler.SESSIONS" in str(report)
    assert report.to_dict()["leaks"]["suspects"]


def test_snapshot_file_is_named_after_reason_time_and_process_and_can_be_loaded(tmp_path):
    profiler = profiler_in(tmp_path)
    record = profiler.take_snapshot("before-deploy")
    name = os.path.basename(record.path)
    assert name.startswith("heap-before-deploy-2")
    assert re.search(rf"Z-{os.getpid()}-[0-9a-f]+\.memlens$", name)
    assert memlens.load(record.path).object_count == record.object_count
    assert record.size_bytes == os.path.getsize(record.path)
    assert record.reading.rss_bytes > 0


def test_number_of_snapshots_is_bounded_and_the_baseline_is_kept(planted, tmp_path):
    profiler = profiler_in(tmp_path, max_snapshots=3)
    records = [profiler.take_snapshot() for _ in range(5)]
    kept = [record.path for record in profiler.snapshots]
    assert kept == [records[0].path, records[3].path, records[4].path]
    assert sorted(os.listdir(tmp_path / "profiles")) == sorted(map(os.path.basename, kept))


def test_size_of_snapshots_is_bounded(planted, tmp_path):
    profiler = profiler_in(tmp_path, max_snapshot_bytes=1)
    for _ in range(4):
        profiler.take_snapshot()
    assert len(profiler.snapshots) == 2  # the baseline and the newest are always there


def test_periodic_snapshots_alert_once_for_each_holder(planted, tmp_path):
    clock, alerts = FakeClock(), []
    profiler = profiler_in(tmp_path, snapshot_interval=60.0, on_alert=alerts.append, clock=clock)
    profiler.take_snapshot("startup")
    profiler._agenda.schedule_snapshot()  # the test plays the sampler's part
    for _ in range(5):
        clock.advance(30)
        read(profiler)  # not due
        clock.advance(31)
        read(profiler)
    reasons = [record.reason for record in profiler.snapshots]
    assert reasons == ["startup", *["periodic"] * 5]
    assert len(alerts) == 1
    assert isinstance(alerts[0], memlens.LeakReport)
    assert [suspect.holder for suspect in alerts[0]] == ["app.sessions"]


def test_a_reading_that_comes_a_moment_early_takes_the_snapshot(planted, tmp_path):
    clock = FakeClock()
    profiler = profiler_in(tmp_path, sample_interval=60.0, snapshot_interval=60.0, clock=clock)
    profiler._agenda.schedule_snapshot()  # the test plays the sampler's part
    for _ in range(3):
        clock.advance(59.999)
        read(profiler)
    assert len(profiler.snapshots) == 3


@pytest.fixture
def analyses(monkeypatch):
    """The number of snapshots in each analysis that the profiler runs."""
    counts = []

    def count(snapshots, **options):
        counts.append(len(snapshots))
        return reported_leaks(snapshots, **options)

    monkeypatch.setattr("memlens.profiler.report_making.reported_leaks", count)
    return counts


def test_periodic_snapshots_are_not_analysed_without_a_callback(
    planted, tmp_path, caplog, analyses
):
    clock = FakeClock()
    profiler = profiler_in(tmp_path, snapshot_interval=60.0, clock=clock)
    profiler.take_snapshot("startup")
    for _ in range(3):
        clock.advance(61)
        read(profiler)
    assert len(profiler.snapshots) == 4
    assert (analyses, caplog.records) == ([], [])
    assert profiler.report().leaks.suspects
    quick = profiler.report(analyse=False)
    assert quick.leaks is None
    assert quick.snapshots == profiler.snapshots
    assert analyses == [4]


def test_start_raises_if_the_folder_cannot_be_created(tmp_path):
    (tmp_path / "profiles").write_text("a file is in the way")
    profiler = profiler_in(tmp_path)
    with pytest.raises(OutputError, match="cannot create the folder"):
        profiler.start()
    assert not profiler.is_running


def test_folder_that_is_removed_later_is_counted_as_a_failure(planted, tmp_path, caplog):
    clock = FakeClock()
    profiler = profiler_in(tmp_path, snapshot_interval=60.0, clock=clock)
    profiler.take_snapshot("startup")
    profiler._store.folder = "/proc/no-such-folder"
    for _ in range(2):
        clock.advance(61)
        read(profiler)
    health = profiler.health()
    assert health["failures"] == 2
    assert caplog.records[0].exc_info is None  # a traceback would not help
    assert "cannot create the folder" in health["last_error"]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"sample_interval": 0},
        {"sample_interval": -1.0},
        {"snapshot_interval": 0},
        {"snapshot_interval": float("nan")},
        {"max_snapshots": 1},
        {"max_snapshot_bytes": 0},
        {"max_reports": 0},
        {"alert_interval": -1.0},
        {"min_window_seconds": 0},
        {"on_alert": "print"},
        {"sample_interval": "x"},
        {"snapshot_interval": "x"},
        {"snapshot_interval": lambda count: "x"},
        {"max_snapshots": 2.5},
        {"max_snapshot_bytes": "1 GiB"},
        {"allocation_interval_bytes": 0},
        {"ignore": "^app"},
        {"ignore": ("^app", "(")},
        {"ignore": 5},
    ],
)
def test_option_out_of_range_is_refused_by_the_constructor(tmp_path, options):
    with pytest.raises(OptionError):
        memlens.MemoryProfiler(tmp_path, **options)


def test_unknown_option_and_invalid_reason_are_refused(tmp_path):
    with pytest.raises(TypeError, match="sample_intervall"):
        memlens.MemoryProfiler(tmp_path, sample_intervall=1)
    with pytest.raises(OptionError, match="file name"):
        profiler_in(tmp_path).take_snapshot("../../etc")


def test_profiler_works_without_memory_readings(planted, tmp_path, monkeypatch, caplog):
    """As in a container without /proc: snapshots are taken, readings are counted as failed."""
    import psutil

    def fail(process):
        raise psutil.AccessDenied(1)

    monkeypatch.setattr("memlens._log._warned", set())
    monkeypatch.setattr(psutil.Process, "memory_info", fail)
    profiler = profiler_in(tmp_path, allocations=None)
    with profiler:
        for _ in range(2):
            profiler.take_snapshot()
        report = profiler.report()
    assert [record.reading for record in report.snapshots] == [None, None, None]
    assert report.leaks.suspects
    assert "no readings yet" in str(report)
    assert report.to_dict()["snapshots"][0]["reading"] is None
    assert profiler.health()["sampler"]["reading_errors"] == 1
    assert "does not report the memory" in profiler.health()["sampler"]["last_error"]
    assert [record.getMessage()[:40] for record in caplog.records] == [
        "snapshots are taken without memory readi",
        "the memory sampler could not take or del",
    ]


def test_profiler_can_be_started_again_after_memory_was_out(planted, tmp_path, monkeypatch):
    profiler = profiler_in(tmp_path, allocations="tracemalloc")

    def fail(sampler):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("memlens.process.sampler.MemorySampler.start", fail)
        with pytest.raises(MemoryError):
            profiler.start()
    assert not profiler.is_running
    assert not tracemalloc.is_tracing()
    with profiler:
        assert profiler.is_running
        assert tracemalloc.is_tracing()


def test_idle_profiler_has_two_threads_and_all_its_threads_are_named_memlens(tmp_path):
    script = """
        import gc, sys, threading, memlens
        from memlens._own_thread import OwnThread
        def names():
            threads = [one for one in gc.get_objects() if issubclass(type(one), OwnThread)]
            return sorted(thread.name for thread in threads if thread.is_alive())
        seen = []
        options = {"on_alert": lambda report: None, "allocations": None}
        profiler = memlens.MemoryProfiler("out", **options)
        control = ["memlens-control"] if sys.platform == "linux" else []
        assert names() == []
        with profiler:
            profiler._duties.worker.wait()
            assert names() == [*control, "memlens-sampler"], names()
            profiler._duties.worker.submit("job", lambda: seen.append(names()))
            assert profiler._duties.worker.wait()
            profiler.report()
            profiler.health()
        assert seen == [[*control, "memlens-sampler", "memlens-worker"]], seen
        assert "memlens-sampler" not in names()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_start_and_stop_restore_the_state_of_the_process(tmp_path):
    profiler = profiler_in(tmp_path)
    profiler.take_snapshot = lambda reason: None  # snapshots have tests of their own
    marker = object()
    SESSIONS[0] = marker
    with profiler:
        pass
    before = (
        len(own_threads()),
        tracemalloc.is_tracing(),
        gc.isenabled(),
        gc.get_threshold(),
        list(gc.callbacks),
        sys.getrefcount(marker),
    )
    for _ in range(1000):
        profiler.start()
        profiler.start()
        assert profiler.is_running
        profiler.stop()
        profiler.stop()
    assert before == (
        len(own_threads()),
        tracemalloc.is_tracing(),
        gc.isenabled(),
        gc.get_threshold(),
        list(gc.callbacks),
        sys.getrefcount(marker),
    )


def test_forked_child_takes_a_baseline_of_its_own(tmp_path):
    script = f"""
        import os, sys, time
        import memlens
        profiler = memlens.MemoryProfiler(
            {str(tmp_path)!r}, sample_interval=0.02, snapshot_interval=0.05
        )
        profiler.start()
        parent = profiler.snapshots[0].path
        child = os.fork()
        if child == 0:
            deadline = time.monotonic() + 30
            while not (profiler.snapshots and str(os.getpid()) in profiler.snapshots[0].path):
                if time.monotonic() > deadline:
                    os._exit(1)
                time.sleep(0.01)
            profiler.stop()
            report = profiler.report()
            os._exit(0 if report.pid == os.getpid() and os.path.exists(parent) else 2)
        _, status = os.waitpid(child, 0)
        profiler.stop()
        assert all(str(os.getpid()) in record.path for record in profiler.snapshots)
        sys.exit(os.waitstatus_to_exitcode(status))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(script)],
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_a_snapshot_taken_while_the_caller_waits_for_the_report_is_not_analysed(
    tmp_path, monkeypatch
):
    profiler = profiler_in(tmp_path)
    with profiler:
        for _ in range(3):
            leak()
            profiler.take_snapshot()
        asked = profiler.take_snapshot().timestamp - 0.001  # nothing grew since the one before
        monkeypatch.setattr("memlens.profiler.memory_profiler.time.time", lambda: asked)
        report = profiler.report()
    assert len(report.snapshots) == 5
    assert report.leaks.snapshot_count == 4
    assert any("SESSIONS" in suspect.holder for suspect in report.leaks)


class AnnouncedLock(ForkSafeLock):
    """Tells when somebody is about to wait for it."""

    def __init__(self):
        super().__init__()
        self.asked = threading.Event()

    def acquire(self, blocking=True, timeout=-1):
        self.asked.set()
        return super().acquire(blocking, timeout)


def test_no_periodic_snapshot_comes_before_a_caller_who_waits(planted, tmp_path):
    clock = FakeClock()
    profiler = profiler_in(tmp_path, snapshot_interval=60.0, clock=clock)
    profiler.take_snapshot("startup")
    profiler._agenda.schedule_snapshot()  # the test plays the sampler's part
    lock = AnnouncedLock()
    profiler._turns = profiler._duties._turns = CallerTurns(lock, clock)
    with lock:  # as a snapshot in progress does
        caller = threading.Thread(target=profiler.take_snapshot, args=("return",))
        caller.start()
        assert lock.asked.wait(60)
        clock.advance(61)
        read(profiler)
        assert [record.reason for record in profiler.snapshots] == ["startup"]
    caller.join()
    clock.advance(61)
    read(profiler)
    startup, last, periodic = profiler.load_snapshots()
    assert (last.reason, last.facts["waited_seconds"]) == ("return", 61.0)
    assert periodic.reason == "periodic"
    assert "waited_seconds" not in {**startup.facts, **periodic.facts}
    assert periodic.facts["held_seconds"] == 61.0  # the return waited for its snapshot
    assert "held_seconds" not in {**startup.facts, **last.facts}


def test_a_trend_that_leaks_is_never_called_no_leak():
    def detector(series, state):
        verdict = Verdict(state, growth_bytes=36 << 20)
        return DetectorReport(series, verdict, 9, 0, 0, 0, 60.0, 1.0, 2.0, 1, 0)

    leaks = LeakReport(1, 4, 60.0, 1000, (), ())
    quiet = with_trend(leaks, (detector("blocks", "stable"), detector("rss", "growing")))
    assert quiet.verdict == "no leak"
    told = with_trend(leaks, (detector("blocks", "stable"), detector("rss", "leak")))
    assert told.verdict == "unexplained growth"
    assert "+36.0 MiB" in str(told)
    assert "No leak" not in str(told)


@pytest.mark.parametrize("part", ["_triggering", "worker", "_reports", "_allocations", "_store"])
def test_a_profiler_stops_its_threads_also_where_memory_runs_out(tmp_path, monkeypatch, part):
    def fail(*_, **__):
        raise MemoryError

    name = {"worker": "wait", "_reports": "breakdown", "_store": "unregister"}.get(part, "stop")
    with profiler_in(tmp_path) as profiler:
        with monkeypatch.context() as patch:
            owner = profiler._duties if part == "worker" else profiler
            patch.setattr(getattr(owner, part), name, fail)
            with pytest.raises(MemoryError):
                profiler.stop()
        assert not profiler.is_running
        assert own_threads("memlens-sampler") == []
