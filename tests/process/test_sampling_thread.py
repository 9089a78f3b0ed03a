"""The real thread: starting, stopping, forks and the end of the interpreter."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from textwrap import dedent

import pytest

from memlens._own_thread import OwnThread
from memlens.process import MemorySampler, sampling_thread
from memlens.process.sampling_thread import SamplingThread, process_thread
from memlens.process.schedule import Schedule
from tests.own_threads import own_threads

PATIENCE_SECONDS = 60.0
STRICT = (
    "-W",
    "error",
    "-W",
    "ignore::DeprecationWarning",
)  # 3.12: each fork beside a thread warns
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")


def run_child(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in an interpreter of its own; it says nothing and ends with 0 if all is well."""
    done = subprocess.run(
        [sys.executable, *STRICT, "-c", dedent(script)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done


def sampler_threads():
    return own_threads("memlens-sampler")


def test_all_samplers_share_one_daemon_thread():
    first, second = MemorySampler(sample_interval=0.001), MemorySampler(sample_interval=0.002)
    threads = {first: set(), second: set()}
    arrived = {first: threading.Event(), second: threading.Event()}

    def note(sampler):
        def callback(reading):
            threads[sampler].add(threading.current_thread())
            if len(threads[sampler]) == 2:
                arrived[sampler].set()

        return callback

    for sampler in threads:
        sampler.subscribe(note(sampler))
    with first, second:
        assert all(event.wait(PATIENCE_SECONDS) for event in arrived.values())
        (thread,) = sampler_threads()
        assert thread.daemon
        first.stop()
        assert second.health().thread_alive
    assert threads[first] == threads[second] == {threading.current_thread(), thread}
    assert not thread.is_alive()


def test_stop_wakes_a_thread_that_sleeps_for_an_hour():
    sampler = MemorySampler(sample_interval=3600.0)
    sampler.start()
    (thread,) = sampler_threads()
    sampler.stop()
    assert not thread.is_alive()  # it would sleep on, and stop() give up waiting


def test_faster_sampler_wakes_the_thread_that_waits_for_a_slow_one():
    slow = MemorySampler(sample_interval=3600.0)
    fast = MemorySampler(sample_interval=0.001)
    seen = threading.Event()
    fast.subscribe(
        lambda reading: sampler_threads()[0].ident == threading.get_ident() and seen.set()
    )
    with slow, fast:
        assert seen.wait(PATIENCE_SECONDS)


def test_callback_that_exits_does_not_end_the_shared_thread():
    sampler, other = MemorySampler(sample_interval=0.001), MemorySampler(sample_interval=0.001)
    seen = threading.Event()

    def leave(reading):
        if threading.current_thread() is not threading.main_thread():
            raise SystemExit(3)

    sampler.subscribe(leave)
    other.subscribe(lambda reading: sampler.health().errors > 2 and seen.set())
    with sampler, other:
        assert seen.wait(PATIENCE_SECONDS)
        assert sampler.health().thread_alive
    assert sampler.health().last_error == "SystemExit: 3"


def test_callback_may_stop_the_last_sampler_in_the_sampler_thread():
    sampler = MemorySampler(sample_interval=0.001)
    stopped = threading.Event()

    def stop(reading):
        if threading.current_thread() is not threading.main_thread():
            sampler.stop()
            stopped_in.append(threading.current_thread())
            stopped.set()

    stopped_in = []
    sampler.subscribe(stop)
    sampler.start()
    assert stopped.wait(PATIENCE_SECONDS)
    (thread,) = stopped_in
    thread.wait_for_end(PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert not sampler.is_running


def test_thread_that_outlives_stop_ends_beside_the_new_one(monkeypatch):
    monkeypatch.setattr(sampling_thread, "STOP_SECONDS", 0.0)
    sampler = MemorySampler(sample_interval=0.001)
    busy, release = threading.Event(), threading.Event()

    def dawdle(reading):
        if threading.current_thread() is not threading.main_thread() and not release.is_set():
            busy.set()
            release.wait(PATIENCE_SECONDS)

    sampler.subscribe(dawdle)
    sampler.start()
    (old,) = sampler_threads()
    assert busy.wait(PATIENCE_SECONDS)
    sampler.stop()
    assert old.is_alive()
    sampler.start()
    release.set()
    old.wait_for_end(PATIENCE_SECONDS)
    assert not old.is_alive()
    assert len(sampler_threads()) == 1
    (new,) = sampler_threads()
    sampler.stop()
    new.wait_for_end(PATIENCE_SECONDS)


def test_a_thousand_starts_and_stops_leave_nothing_behind():
    sampler = MemorySampler(sample_interval=3600.0, max_readings=10)

    def cycle(count):
        for _ in range(count):
            sampler.start()
            sampler.stop()
        gc.collect()
        return sys.getallocatedblocks()

    callbacks = list(gc.callbacks)
    before = cycle(1200)  # caches fill in the first calls
    after = cycle(1000)
    assert own_threads() == []
    assert gc.callbacks == callbacks
    assert after - before < 300  # one object kept a cycle would be 1000
    assert sampler.health().errors == 0


def test_program_continues_if_no_thread_can_be_started(monkeypatch):
    sampling = SamplingThread()

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    sampler = MemorySampler(sampling=sampling)
    sampler.start()
    health = sampler.health()
    assert health.is_running
    assert not health.thread_alive
    assert health.last_error == "RuntimeError: can't start new thread"
    assert len(sampler.readings()) == 1
    monkeypatch.undo()
    sampler.stop()
    sampler.start()
    assert sampler.health().thread_alive
    sampler.stop()


def test_sampler_can_be_started_again_after_memory_was_out(monkeypatch):
    sampling = SamplingThread()
    sampler = MemorySampler(sampling=sampling)

    def fail(thread):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(MemoryError):
            sampler.start()
    assert not sampler.is_running
    assert not [callback for callback in gc.callbacks if "PauseCounter" in repr(callback)]
    sampler.start()
    assert sampler.health().thread_alive
    sampler.stop()


def test_thread_continues_after_memory_was_out(monkeypatch):
    sampling = SamplingThread()
    monkeypatch.setattr(sampling_thread, "_RETRY_SECONDS", 0.0)
    failures = [MemoryError(), MemoryError()]
    seen = threading.Event()

    class FailingSchedule(Schedule):
        def take_due(self, now):
            if failures:
                raise failures.pop()
            return super().take_due(now)

    sampling._schedule = FailingSchedule()
    sampler = MemorySampler(sample_interval=0.001, sampling=sampling)
    sampler.subscribe(lambda reading: sampler.health().reading_errors == 2 and seen.set())
    with sampler:
        assert seen.wait(PATIENCE_SECONDS)
        assert sampler.health().last_error == "MemoryError: "


def test_start_replaces_a_thread_that_has_died():
    sampling = SamplingThread()
    sampler = MemorySampler(sample_interval=3600.0, sampling=sampling)
    sampler.start()
    with sampling._condition:
        dead = sampling._dismiss_thread()
    dead.wait_for_end(PATIENCE_SECONDS)
    assert (sampler.is_running, sampler.health().thread_alive) == (True, False)
    sampler.start()
    assert sampler.health().thread_alive
    assert len(sampler.readings()) == 1
    sampler.stop()


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs POSIX signals")
def test_signal_handler_may_stop_the_sampler_while_its_lock_is_held(monkeypatch):
    sampling = SamplingThread()
    sampler = MemorySampler(sample_interval=3600.0, sampling=sampling)
    joined = []
    monkeypatch.setattr(OwnThread, "wait_for_end", lambda thread, *_: joined.append(thread))
    before = signal.signal(signal.SIGUSR1, lambda *_: sampler.stop())
    try:
        sampler.start()
        thread = sampling._thread
        with sampling._condition:
            signal.raise_signal(signal.SIGUSR1)
            assert not sampler.is_running
    finally:
        signal.signal(signal.SIGUSR1, before)
        monkeypatch.undo()
    assert joined == []  # the thread needs the lock to end
    thread.wait_for_end(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_many_threads_start_and_stop_samplers_concurrently():
    failures = []

    def work():
        try:
            for _ in range(30):
                with MemorySampler(sample_interval=0.001, max_readings=3) as sampler:
                    assert sampler.is_running
        except BaseException as error:
            failures.append(error)
            raise

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures
    assert not process_thread().is_alive
    assert not sampler_threads()


def test_starting_samplers_registers_one_fork_handler():
    run_child("""
        import os
        registered = []
        if hasattr(os, "register_at_fork"):
            original = os.register_at_fork
            os.register_at_fork = lambda **hooks: (registered.append(hooks), original(**hooks))
        from memlens.process import MemorySampler
        for _ in range(100):
            sampler = MemorySampler()
            sampler.start()
            sampler.stop()
        ours = [hooks for hooks in registered
                if any(hook.__module__.startswith("memlens.") for hook in hooks.values())]
        assert len(ours) == hasattr(os, "register_at_fork"), ours
        assert all(set(hooks) == {"after_in_child"} for hooks in ours)
    """)


@needs_fork
def test_running_sampler_continues_in_a_forked_child_with_its_own_readings():
    run_child("""
        import os, sys, threading
        from memlens.process import MemorySampler
        from tests.own_threads import own_threads
        idle = MemorySampler(sample_interval=0.01)
        sampler = MemorySampler(sample_interval=0.01)
        seen = threading.Event()
        parent = os.getpid()
        sampler.subscribe(lambda reading: os.getpid() != parent and seen.set())
        sampler.start()
        pid = os.fork()
        if pid == 0:
            ok = seen.wait(60) and sampler.is_running and not idle.is_running
            ok = ok and {reading.pid for reading in sampler.readings()} == {os.getpid()}
            ok = ok and len(own_threads()) == 1
            sampler.stop()
            ok = ok and own_threads() == []
            sampler.start()
            ok = ok and sampler.health().thread_alive and sampler.health().errors == 0
            sys.exit(0 if ok else 1)  # through atexit, with a running sampler
        status = os.waitpid(pid, 0)[1]
        assert {reading.pid for reading in sampler.readings()} == {parent}
        assert sampler.health().thread_alive
        sampler.stop()
        sys.exit(os.waitstatus_to_exitcode(status))
    """)


@needs_fork
def test_stopped_sampler_stays_stopped_in_a_forked_child_and_can_be_started():
    run_child("""
        import gc, os, sys, threading
        from memlens.process import MemorySampler
        from tests.own_threads import own_threads
        callbacks = list(gc.callbacks)
        sampler = MemorySampler(sample_interval=3600.0)
        sampler.start()
        sampler.stop()
        pid = os.fork()
        if pid == 0:
            ok = own_threads() == [] and not sampler.is_running
            ok = ok and gc.callbacks == callbacks
            with sampler:
                ok = ok and sampler.latest.pid == os.getpid() and len(own_threads()) == 1
            os._exit(0 if ok else 1)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """)


@needs_fork
def test_sampler_is_stopped_in_a_child_forked_by_a_callback():
    run_child("""
        import gc, os, sys, threading
        from memlens.process import MemorySampler
        from tests.own_threads import own_threads
        callbacks = list(gc.callbacks)
        sampler = MemorySampler(sample_interval=0.01)
        done = threading.Event()
        status = []

        def fork(reading):
            if threading.current_thread() is threading.main_thread() or status:
                return
            pid = os.fork()
            if pid == 0:
                ok = not sampler.is_running and not sampler.readings()
                ok = ok and own_threads() == [threading.current_thread()]
                ok = ok and gc.callbacks == callbacks
                os._exit(0 if ok else 1)
            status.append(os.waitpid(pid, 0)[1])
            done.set()

        sampler.subscribe(fork)
        with sampler:
            assert done.wait(60)
        sys.exit(os.waitstatus_to_exitcode(status[0]))
    """)


@needs_fork
def test_children_work_if_other_threads_start_and_stop_samplers_during_the_fork():
    run_child("""
        import os, sys, threading
        from memlens.process import MemorySampler
        sys.setswitchinterval(1e-5)
        steady = MemorySampler(sample_interval=0.001, max_readings=10)
        ending = threading.Event()

        def churn():
            sampler = MemorySampler(sample_interval=0.001, max_readings=10)
            while not ending.is_set():
                sampler.start()
                sampler.stop()

        threads = [threading.Thread(target=churn) for _ in range(2)]
        with steady:
            for thread in threads:
                thread.start()
            for _ in range(30):
                pid = os.fork()
                if pid == 0:
                    seen = threading.Event()
                    steady.subscribe(lambda reading: seen.set())
                    ok = seen.wait(30) and steady.latest.pid == os.getpid()
                    steady.stop()
                    os._exit(0 if ok else 1)
                assert os.waitpid(pid, 0)[1] == 0
            ending.set()
            for thread in threads:
                thread.join()
    """)


@pytest.mark.parametrize(
    "ending", ["", "sys.exit(0)", "threading.Thread(target=gc.collect).start()"]
)
def test_running_sampler_does_not_disturb_interpreter_exit(ending):
    run_child(f"""
        import gc, sys, threading
        from memlens.process import MemorySampler
        sampler = MemorySampler(sample_interval=0.001)
        sampler.subscribe(lambda reading: [str(reading) for _ in range(20)])
        sampler.start()
        {ending}
    """)


def test_all_samplers_are_stopped_at_exit():
    done = run_child("""
        import atexit, gc, threading
        before = len(gc.callbacks)
        from memlens.process import MemorySampler
        from tests.own_threads import own_threads
        sampler = MemorySampler(sample_interval=0.001)
        # Registered before the first start, so it runs after the sampler's own handler.
        hooks = lambda: len(gc.callbacks) - before
        atexit.register(lambda: print(sampler.is_running, len(own_threads()), hooks()))
        sampler.start()
    """)
    assert done.stdout == "False 0 0\n"


def test_import_starts_no_thread_and_loads_no_dependency():
    run_child("""
        import gc, sys, threading
        callbacks = list(gc.callbacks)
        import memlens.process
        assert threading.active_count() == 1
        assert gc.callbacks == callbacks
        assert not {"psutil", "numpy"} & set(sys.modules), sorted(sys.modules)
    """)
