import subprocess
import sys
import textwrap
import threading
import tracemalloc

import pytest

from memlens.allocations.tracing.ownership import acquire_tracing, tracing_is_borrowed
from memlens.errors import OptionError


def test_lease_starts_tracing_with_its_depth_and_stops_it():
    lease = acquire_tracing(7)
    assert tracemalloc.is_tracing()
    assert tracemalloc.get_traceback_limit() == 7
    assert not lease.was_on
    assert lease.intact
    lease.release()
    assert not tracemalloc.is_tracing()
    assert not lease.intact


def test_tracing_that_was_on_stays_on_with_its_depth():
    tracemalloc.start(3)
    lease = acquire_tracing(25)
    assert lease.was_on
    assert tracing_is_borrowed()
    lease.release()
    assert tracemalloc.is_tracing()
    assert tracemalloc.get_traceback_limit() == 3
    tracemalloc.stop()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_only_the_last_lease_stops_tracing(order):
    leases = [acquire_tracing(1) for _ in range(3)]
    for count, position in enumerate(order, start=1):
        leases[position].release()
        assert tracemalloc.is_tracing() == (count < 3)


def test_second_release_has_no_effect():
    first, second = acquire_tracing(1), acquire_tracing(1)
    first.release()
    first.release()
    assert tracemalloc.is_tracing()
    second.release()


def test_deleted_lease_releases_itself():
    lease = acquire_tracing(1)
    del lease
    assert not tracemalloc.is_tracing()


def test_lease_is_not_intact_after_other_code_stopped_tracing():
    lease = acquire_tracing(1)
    tracemalloc.stop()
    assert not lease.intact
    lease.release()
    assert not tracemalloc.is_tracing()


def test_session_started_by_other_code_stays_on():
    lease = acquire_tracing(5)
    tracemalloc.stop()
    tracemalloc.start(5)
    assert not lease.intact
    lease.release()
    assert tracemalloc.is_tracing()
    tracemalloc.stop()


def test_lease_is_not_intact_after_other_code_cleared_the_traces():
    outer = acquire_tracing(1)
    tracemalloc.clear_traces()
    inner = acquire_tracing(1)
    assert not outer.intact
    assert inner.intact
    inner.release()
    outer.release()
    # Other code cleared the traces, so it uses them: stopping would break it.
    assert tracemalloc.is_tracing()
    tracemalloc.stop()


def test_new_lease_restarts_tracing_after_other_code_stopped_it():
    outer = acquire_tracing(1)
    tracemalloc.stop()
    inner = acquire_tracing(1)
    assert inner.intact
    assert not outer.intact
    outer.release()
    assert inner.intact
    inner.release()
    assert not tracemalloc.is_tracing()


def test_finaliser_with_a_lease_during_start_does_not_stop_tracing(monkeypatch):
    start = tracemalloc.start

    def start_and_finalise(frames):
        start(frames)
        monkeypatch.setattr(tracemalloc, "start", start)
        acquire_tracing(1).release()

    monkeypatch.setattr(tracemalloc, "start", start_and_finalise)
    lease = acquire_tracing(1)
    assert lease.intact
    lease.release()


def test_failed_start_leaves_tracing_off(monkeypatch):
    def fail(frames):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(tracemalloc, "start", fail)
        with pytest.raises(MemoryError):
            acquire_tracing(1)
    acquire_tracing(1).release()
    assert not tracemalloc.is_tracing()


def test_threads_with_short_leases_leave_tracing_off():
    barrier = threading.Barrier(6)
    broken = []

    def work():
        barrier.wait()
        for _ in range(200):
            lease = acquire_tracing(1)
            if not lease.intact:
                broken.append(lease)
            lease.release()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    assert not tracemalloc.is_tracing()


@pytest.mark.parametrize("frames", [0, -1, 65536, 1.5, True, "25", None])
def test_depth_out_of_range_is_an_option_error(frames):
    with pytest.raises(OptionError, match="frames must be a whole number, 1 to 65535"):
        acquire_tracing(frames)


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs os.fork")
def test_forked_child_can_trace_while_another_thread_of_the_parent_held_the_locks():
    script = """
        import os, threading, tracemalloc, warnings
        from memlens.allocations.tracing import ownership
        from memlens.allocations.blocks import running_blocks
        from memlens.decorators import memory_block

        warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads: that is the test
        inside, leave = threading.Event(), threading.Event()

        def hold():
            with ownership._tracing._lock, running_blocks.running_blocks._lock:
                inside.set()
                leave.wait()

        def work():
            with memory_block("of the other thread"):
                inside.set()
                leave.wait()

        for target in (work, hold):
            inside.clear()
            threading.Thread(target=target).start()
            inside.wait()
        pid = os.fork()
        if pid == 0:
            with memory_block("child") as block:
                data = bytearray(1 << 20)
            # Less the block's own entry in `_entered`, 64 bytes: a thread number, the list's array.
            fine = (
                block.result.allocated_bytes > (1 << 20) - 64
                and not block.result.overlapped
                and not tracemalloc.is_tracing()
            )
            os._exit(0 if fine else 1)
        leave.set()
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], timeout=60, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
