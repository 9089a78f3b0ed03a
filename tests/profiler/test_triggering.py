"""How a profiler runs its triggers: snapshots, files, debouncing, failures, forks, alerts."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import pytest

import memlens
from memlens import triggers
from memlens.errors import CaptureError, OptionError
from memlens.heap.capture.take import take_heap_snapshot
from memlens.profiler import alerts, triggering
from memlens.profiler import guarded_capture as capturing
from memlens.profiler.folder_lock import FolderLock
from tests.clock import FakeClock
from tests.heap.planted import Planter
from tests.profiler.test_alerts import Service

FORKS_BESIDE_THREADS = "ignore::DeprecationWarning"  # as from 3.12 on
FORKS = capturing._core.fork_capture is not None and sys.platform == "linux"


class Planted:
    """A trigger that the test pulls."""

    def __init__(self):
        self.host, self.starts, self.stops = None, 0, 0

    def start(self, host):
        self.host, self.starts = host, self.starts + 1

    def stop(self):
        self.stops += 1


class Guard:
    def __init__(self, *paces, refusal=None):
        self.paces, self.reason, self.asked = list(paces), refusal, 0

    def refusal(self):
        return self.reason

    def pace(self):
        self.asked += 1
        return self.paces.pop(0) if len(self.paces) > 1 else self.paces[0]


def plant_snapshot(path, *, reason, facts):
    snapshot = Planter().snapshot(timestamp=1.7e9, pid=os.getpid(), **facts)
    snapshot.facts["reason"] = reason
    snapshot.save(path)
    return snapshot


@pytest.fixture
def pulled(tmp_path, monkeypatch):
    """A running profiler with a planted trigger; files and the threads that hand them out are noted."""
    # A capture in pure Python takes seconds; only that of the C core is made here.
    monkeypatch.setattr("memlens.profiler.snapshot_store.take_heap_snapshot", plant_snapshot)
    monkeypatch.setattr(capturing, "take_heap_snapshot", plant_snapshot)
    trigger, clock, files = Planted(), FakeClock(), []
    profiler = memlens.MemoryProfiler(
        tmp_path,
        allocations=None,
        sample_interval=3600.0,
        triggers=[trigger],
        on_file=lambda file: files.append((file, threading.current_thread().name)),
        clock=clock,
    )
    trigger.profiler, trigger.files, trigger.clock = profiler, files, clock
    with profiler:
        yield trigger


def health_of(trigger):
    return trigger.profiler.health()["triggers"]


def wait_for_files(trigger):
    assert trigger.profiler._triggering._files.wait(60)


def test_snapshot_is_stored_and_its_file_handed_out_in_a_thread(pulled):
    assert pulled.host.fire_and_wait("planted", guard=Guard("run"))
    wait_for_files(pulled)
    [(file, thread)] = pulled.files
    assert thread == "memlens-files"
    assert file == triggers.TriggeredFile(
        pulled.profiler.snapshots[-1].path, "snapshot", "planted", os.getpid(), file.size_bytes
    )
    assert file.size_bytes == os.path.getsize(file.path)
    assert os.stat(file.path).st_mode & 0o777 == 0o600
    record = pulled.profiler.snapshots[-1]
    snapshot = memlens.load(file.path)
    assert (record.reason, record.object_count) == ("planted", snapshot.object_count)
    assert record.timestamp == snapshot.timestamp
    assert record.pause_seconds == snapshot.pause_seconds
    assert json.dumps(file.to_dict())
    assert "snapshot" in repr(file)
    assert health_of(pulled) == {
        "fired": {"planted": 1},
        "debounced": 0,
        "files_given": 1,
        "files_lost": 0,
        "failures": 0,
        "last_error": None,
    }


def test_requests_within_the_interval_are_counted_only(pulled):
    taken = []
    for seconds in (0, 59, 2, 1):
        pulled.clock.advance(seconds)
        taken.append(pulled.host.fire_and_wait("planted", min_seconds=60, guard=Guard("run")))
    assert taken == [True, False, True, False]
    assert pulled.host.fire_and_wait("another", min_seconds=60, guard=Guard("run"))
    assert health_of(pulled)["debounced"] == 2


def test_request_from_a_handler_is_answered_by_the_worker(pulled):
    assert pulled.host.fire("planted")
    assert pulled.profiler._duties.worker.wait(60)
    assert health_of(pulled)["fired"] == {"planted": 1}


def test_failing_callback_is_counted_and_logged_once(pulled, caplog):
    def fail(file):
        raise ValueError("no network")

    pulled.profiler._triggering._on_file = fail
    with caplog.at_level(logging.WARNING, "memlens"):
        for _ in range(3):
            pulled.host.fire_and_wait("planted", guard=Guard("run"))
            wait_for_files(pulled)
    assert [record.getMessage() for record in caplog.records] == [
        "on_file has failed: ValueError: no network; further failures are only counted"
    ]
    health = health_of(pulled)
    assert (health["files_lost"], health["failures"]) == (3, 3)
    assert len(pulled.profiler.snapshots) == 4


def test_files_that_a_slow_callback_leaves_waiting_are_bounded(pulled, monkeypatch):
    monkeypatch.setattr(triggering, "_MAX_WAITING_FILES", 2)
    begun, go_on = threading.Event(), threading.Event()
    pulled.profiler._triggering._on_file = lambda file: (begun.set(), go_on.wait(60))
    path = pulled.profiler.snapshots[0].path
    for name in "abcd":
        pulled.profiler._triggering._give(path + name if name != "a" else path, "snapshot", "x")
        assert begun.wait(60)
    go_on.set()
    wait_for_files(pulled)
    health = health_of(pulled)
    assert health["files_given"] == 1  # the second has no such file
    assert health["files_lost"] == 3


def test_refused_snapshot_says_why_and_disturbs_nobody(pulled, caplog):
    with caplog.at_level(logging.WARNING, "memlens"):
        assert not pulled.host.fire_and_wait("planted", guard=Guard(refusal="it would be killed"))
    assert len(pulled.profiler.snapshots) == 1
    assert "no snapshot was taken: it would be killed" in caplog.text
    assert health_of(pulled)["failures"] == 1


def test_reason_that_is_no_part_of_a_file_name_is_refused(pulled):
    assert not pulled.host.fire_and_wait("../outside", guard=Guard("run"))
    assert "reason is part of a file name" in health_of(pulled)["last_error"]
    assert len(pulled.profiler.snapshots) == 1


def test_stopped_profiler_is_not_kept_alive_by_the_exit(pulled, tmp_path):
    profiler = memlens.MemoryProfiler(tmp_path, allocations=None, triggers=[Planted()])
    with profiler:
        pass
    died = weakref.ref(profiler._triggering)
    del profiler
    gc.collect()
    assert died() is None


def test_other_snapshots_have_a_guard_too_while_triggers_run(pulled, monkeypatch):
    monkeypatch.setattr(triggering, "HeadroomGuard", lambda meter: Guard(refusal="too near"))
    with pytest.raises(CaptureError, match="too near"):
        pulled.profiler.take_snapshot("periodic")
    pulled.profiler.stop()
    assert pulled.profiler.take_snapshot("later").reason == "later"


@pytest.mark.skipif(not FORKS, reason="needs a forked capture")
def test_capture_that_would_use_up_the_memory_is_killed(pulled):
    assert not pulled.host.fire_and_wait("planted", guard=Guard("kill"))
    assert "was given up" in health_of(pulled)["last_error"]
    left = [name for name in os.listdir(pulled.profiler.output_dir) if "planted" in name]
    assert left == []
    assert pulled.host.fire_and_wait("planted", guard=Guard("run"))  # nothing is left locked


@pytest.mark.skipif(not FORKS, reason="needs a forked capture")
def test_program_does_not_run_while_it_is_held(tmp_path, monkeypatch):
    held = []
    wait = capturing.SnapshotTask.wait
    monkeypatch.setattr(
        capturing.SnapshotTask,
        "wait",
        lambda self, seconds, holds: held.append(holds) or wait(self, seconds, holds=holds),
    )
    path = str(tmp_path / "heap.memlens")
    capturing.guarded_capture(Guard("hold"), path, reason="test", facts={})
    assert held
    assert set(held) == {True}
    assert memlens.load(path).object_count > 1000


def test_snapshot_needs_no_memory_to_open_it(tmp_path, monkeypatch):
    if not FORKS:
        pytest.skip("needs a forked capture")
    monkeypatch.setattr(capturing.SnapshotTask, "_open", None)
    captured = capturing.guarded_capture(
        Guard("run"), str(tmp_path / "heap.memlens"), reason="test", facts={}
    )
    assert captured.object_count > 1000


def test_guard_is_asked_before_an_inline_capture(tmp_path, monkeypatch):
    monkeypatch.setattr(capturing._core, "fork_capture", None)
    path = str(tmp_path / "heap.memlens")
    with pytest.raises(CaptureError, match="too little"):
        capturing.guarded_capture(Guard(refusal="too little"), path, reason="test", facts={})
    monkeypatch.setattr(
        capturing, "take_heap_snapshot", lambda *args, **options: take_heap_snapshot()
    )
    guard = Guard("kill")
    assert capturing.guarded_capture(guard, path, reason="test", facts={}).object_count > 1000
    assert guard.asked == 0


def test_stop_stops_the_triggers_and_start_starts_them_again(pulled):
    pulled.profiler.stop()
    assert (pulled.starts, pulled.stops) == (1, 1)
    pulled.profiler.start()
    assert (pulled.starts, pulled.stops) == (2, 1)


def test_failing_stop_of_a_trigger_does_not_keep_the_profiler_running(pulled, tmp_path):
    class Failing(Planted):
        def stop(self):
            raise ValueError("planted")

    profiler = memlens.MemoryProfiler(tmp_path, allocations=None, triggers=[Failing(), Planted()])
    with profiler:
        pass
    assert not profiler.is_running
    assert profiler.health()["triggers"]["last_error"] == "ValueError: planted"


@pytest.mark.parametrize("wrong", [3, [3], [triggers.on_signal]])
def test_what_is_no_trigger_is_refused(tmp_path, wrong):
    with pytest.raises(OptionError, match="triggers must"):
        memlens.MemoryProfiler(tmp_path, triggers=wrong)


def test_callback_is_checked(tmp_path):
    with pytest.raises(OptionError, match="on_file"):
        memlens.MemoryProfiler(tmp_path, on_file="upload")


def test_alert_hands_out_report_and_snapshot(tmp_path, monkeypatch):
    files = []
    service = Service(tmp_path, monkeypatch, triggers=[triggers.on_alert()], on_file=files.append)
    service.profiler._triggering._is_running = True
    monkeypatch.setattr(service.profiler._triggering, "capture", lambda: None)  # planted
    service.run(4)
    wait_for = service.profiler._triggering._files.wait
    assert wait_for(60)
    assert service.alerts
    assert [(file.kind, file.reason) for file in files[:2]] == [
        ("report", "alert"),
        ("snapshot", "alert"),
    ]
    report = json.loads(Path(files[0].path).read_text())
    assert report["suspects"]
    assert os.path.exists(files[0].path.removesuffix(".json") + ".txt")


def test_alert_is_analysed_for_the_trigger_even_without_on_alert(tmp_path):
    profiler = memlens.MemoryProfiler(tmp_path, triggers=[triggers.on_alert()])
    assert profiler.on_alert is alerts.log_alert
    assert memlens.MemoryProfiler(tmp_path, triggers=[]).on_alert is None


def test_one_process_at_a_time_captures_into_a_folder(tmp_path):
    ours, theirs = FolderLock(str(tmp_path)), FolderLock(str(tmp_path))
    assert not ours.is_taken()
    with theirs.held():
        assert ours.is_taken()
        assert not theirs.is_taken()
        with theirs.held():  # by a trigger that interrupts it
            pass
        assert ours.is_taken()
    assert not ours.is_taken()
    assert not FolderLock("/nowhere/at/all").is_taken()


def run(script, folder, **options):
    prelude = "import faulthandler; faulthandler.dump_traceback_later(100, exit=True)\n"
    done = subprocess.run(
        [sys.executable, "-W", FORKS_BESIDE_THREADS, "-c", prelude + textwrap.dedent(script)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_exit_waits_for_the_callback_of_the_last_snapshot(tmp_path):
    out = run(
        """
        import memlens, time
        from memlens import triggers
        def slow(file):
            print(file.reason)
        profiler = memlens.MemoryProfiler(
            "out", allocations=None, triggers=[triggers.at_exit()], on_file=slow
        ).start()
        """,
        tmp_path,
    )
    assert out == "exit\n"
    assert [name for name in os.listdir(tmp_path / "out") if name.startswith("heap-exit-")]


def test_forked_child_has_triggers_of_its_own(tmp_path):
    """The thread of a schedule and that of the headroom exist in the child, with its own counters."""
    out = run(
        """
        import gc, memlens, os, sys, threading
        from memlens import triggers
        from memlens._own_thread import OwnThread
        def own_threads():
            found = [one for one in gc.get_objects() if issubclass(type(one), OwnThread)]
            return [one for one in found if one.is_alive()]
        came = threading.Event()
        profiler = memlens.MemoryProfiler(
            "out", allocations=None, sample_interval=3600.0,
            triggers=[triggers.every(0.05), triggers.before_limit(), triggers.on_memory_error()],
            on_file=lambda file: came.set(),
        )
        profiler.start()
        assert came.wait(60)
        child = os.fork()
        if child == 0:
            came.clear()
            assert came.wait(60)
            names = {thread.name for thread in own_threads()}
            assert {"memlens-schedule", "memlens-headroom"} <= names, names
            assert profiler.health()["triggers"]["fired"]["schedule"] < 100
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        profiler.stop()
        assert own_threads() == [] and threading.active_count() == 1
        names = [name for name in os.listdir("out") if f"-{child}-" in name]
        assert any(name.startswith("heap-schedule-") for name in names), names
        print("done")
        """,
        tmp_path,
    )
    assert out == "done\n"
