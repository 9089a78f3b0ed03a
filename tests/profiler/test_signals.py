"""Signal handlers and finalizers that use a profiler in the middle of its own work.

Each script runs in a process of its own; ``faulthandler`` ends it if it hangs.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs POSIX signals")

PRELUDE = """
import faulthandler, gc, os, signal, sys, threading
faulthandler.dump_traceback_later(100, exit=True)
import memlens
from memlens.profiler import snapshot_store
"""


def run(script, folder):
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(script)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_handler_within_a_snapshot_may_take_another_one_and_stop_the_profiler(tmp_path):
    """The handler interrupts `take_snapshot`, which holds the lock of the profiler."""
    run(
        """
        profiler = memlens.MemoryProfiler("out", sample_interval=3600.0, allocations=None)
        take = snapshot_store.take_heap_snapshot
        handled = []
        def handle(*_):
            inner = profiler.take_snapshot("inner")
            profiler.stop()
            profiler.health()
            handled.append(inner.path)
        signal.signal(signal.SIGUSR1, handle)
        def interrupted(path, **options):
            if not handled and options["reason"] == "outer":
                signal.raise_signal(signal.SIGUSR1)
            return take(path, **options)
        snapshot_store.take_heap_snapshot = interrupted
        profiler.start()
        outer = profiler.take_snapshot("outer")
        assert not profiler.is_running
        assert {record.path for record in profiler.snapshots} >= {outer.path, *handled}
        assert all(memlens.load(record.path) for record in profiler.snapshots)
        """,
        tmp_path,
    )


def test_snapshots_in_a_handler_have_paths_of_their_own(tmp_path):
    run(
        """
        profiler = memlens.MemoryProfiler("out", allocations=None)
        store = profiler._store
        snapshot_store.time.time = lambda: 1.7e9  # all in the same millisecond
        store.prepare()
        names = [store._new_path("heap-manual", ".memlens") for _ in range(3)]
        assert len(set(names)) == 3, names
        """,
        tmp_path,
    )


def test_handler_does_not_wait_for_a_worker_that_needs_the_lock_it_interrupted(tmp_path):
    """Without the check `stop` would wait for the worker, which waits for the main thread."""
    run(
        """
        from memlens.profiler import memory_profiler
        memory_profiler._STOP_SECONDS = 1000.0
        profiler = memlens.MemoryProfiler("out", sample_interval=3600.0, allocations=None)
        profiler.start()
        blocked = threading.Event()
        def job():
            blocked.set()
            profiler.take_snapshot("job")
        signal.signal(signal.SIGUSR1, lambda *_: profiler.stop())
        with profiler._lock:
            profiler._duties.worker.submit("job", job)
            blocked.wait()
            signal.raise_signal(signal.SIGUSR1)
            assert not profiler.is_running
        assert profiler._duties.worker.wait(60)
        assert [record.reason for record in profiler.snapshots] == ["startup", "job"]
        """,
        tmp_path,
    )


def test_profiler_works_under_a_storm_of_signal_handlers_that_use_it(tmp_path):
    """200 handlers at arbitrary points of starts, stops and snapshots."""
    run(
        """
        options = {"sample_interval": 0.01, "max_snapshots": 3, "allocations": None}
        profiler = memlens.MemoryProfiler("out", **options)
        sampler = memlens.MemorySampler(sample_interval=0.01)
        count = 0
        def handle(*_):
            global count
            count += 1
            sampler.start()
            profiler.health()
            if count % 50 == 0:
                profiler.take_snapshot("signal")
            sampler.stop()
            if count < 200:
                signal.setitimer(signal.ITIMER_REAL, 0.002)
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        while count < 200:
            with profiler:
                profiler.take_snapshot()
                repr(profiler)
        assert not sampler.is_running and not profiler.is_running
        health = profiler.health()
        assert health["failures"] == health["sampler"]["errors"] == 0, health
        """,
        tmp_path,
    )


def test_finalizers_may_use_samplers_and_profilers(tmp_path):
    """Objects in cycles are finalized by the collector, in whatever thread it happens to run."""
    run(
        """
        profiler = memlens.MemoryProfiler("out", sample_interval=0.01, allocations=None)
        finalized = 0
        class Owner:
            def __init__(self):
                self.cycle = self
                self.sampler = memlens.MemorySampler(sample_interval=0.001, max_readings=2)
                self.sampler.subscribe(self.note)
                self.sampler.start()
            def note(self, reading):
                pass
            def __del__(self):
                global finalized
                finalized += 1
                self.sampler.stop()
                profiler.health()
        gc.set_threshold(50)
        with profiler:
            for _ in range(200):
                owner = Owner()
                owner.sampler.stop()
                del owner
        gc.collect()
        assert finalized == 200, finalized
        """,
        tmp_path,
    )
