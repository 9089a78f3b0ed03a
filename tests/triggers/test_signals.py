"""Signals: in processes of their own, since handlers belong to the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from memlens import triggers
from memlens.errors import OptionError
from tests.triggers.hosts import NotingHost

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="needs POSIX signals")

PRELUDE = """
import faulthandler, os, signal, sys, threading
faulthandler.dump_traceback_later(100, exit=True)
import memlens
from memlens import triggers
from memlens.profiler import triggering
options = {"allocations": None, "sample_interval": 3600.0}
"""


def run(script, folder):
    done = subprocess.run(
        # From 3.12 on a fork beside threads warns.
        [
            sys.executable,
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            PRELUDE + textwrap.dedent(script),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_signal_takes_a_snapshot_and_calls_the_previous_handler(tmp_path):
    out = run(
        """
        came, files = threading.Event(), []
        signal.signal(signal.SIGUSR2, lambda *_: print("previous"))
        profiler = memlens.MemoryProfiler(
            "out", triggers=[triggers.on_signal()],
            on_file=lambda file: (files.append(file), came.set()), **options,
        )
        with profiler:
            os.kill(os.getpid(), signal.SIGUSR2)
            assert came.wait(60)
        [file] = files
        assert (file.kind, file.reason, file.pid) == ("snapshot", "signal", os.getpid())
        assert file.size_bytes == os.path.getsize(file.path)
        assert "heap-signal-" in file.path
        assert memlens.load(file.path).facts["reason"] == "signal"
        os.kill(os.getpid(), signal.SIGUSR2)  # after the stop the previous handler is alone
        print(profiler.health()["triggers"]["fired"])
        """,
        tmp_path,
    )
    assert out.splitlines() == ["previous", "previous", "{'signal': 1}"]


def test_signals_in_quick_succession_take_one_snapshot(tmp_path):
    run(
        """
        came = threading.Event()
        profiler = memlens.MemoryProfiler(
            "out", triggers=[triggers.on_signal("SIGUSR1", min_seconds=1000)],
            on_file=lambda file: came.set(), **options,
        )
        with profiler:
            for _ in range(5):
                signal.raise_signal(signal.SIGUSR1)
            assert came.wait(60)
        health = profiler.health()["triggers"]
        assert (health["fired"], health["debounced"]) == ({"signal": 1}, 4), health
        """,
        tmp_path,
    )


def test_signal_within_a_snapshot_of_the_main_thread_takes_another_one(tmp_path):
    """The worker waits for the lock that the interrupted thread holds; the handler does not."""
    run(
        """
        came = threading.Event()
        profiler = memlens.MemoryProfiler(
            "out", triggers=[triggers.on_signal()], on_file=lambda file: came.set(), **options
        )
        take = triggering.guarded_capture
        def interrupted(guard, path, **rest):
            if rest["reason"] == "outer":
                signal.raise_signal(signal.SIGUSR2)
                assert not came.is_set()
            return take(guard, path, **rest)
        triggering.guarded_capture = interrupted
        with profiler:
            profiler.take_snapshot("outer")
            assert came.wait(60)
        reasons = [record.reason for record in profiler.snapshots]
        assert reasons == ["startup", "outer", "signal"], reasons
        """,
        tmp_path,
    )


def test_forked_child_answers_signals_itself(tmp_path):
    run(
        """
        came = threading.Event()
        profiler = memlens.MemoryProfiler(
            "out", triggers=[triggers.on_signal()],
            on_file=lambda file: (print(file.pid == os.getpid()), came.set()), **options,
        )
        with profiler:
            child = os.fork()
            if child == 0:
                signal.raise_signal(signal.SIGUSR2)
                ok = came.wait(60)
                sys.stdout.flush()
                os._exit(0 if ok else 1)
            assert os.waitpid(child, 0)[1] == 0
            assert not came.is_set()
            assert profiler.health()["triggers"]["fired"] == {}
        files = [name for name in os.listdir("out") if name.startswith("heap-signal")]
        assert [f"-{child}-" in name for name in files] == [True], files
        """,
        tmp_path,
    )


def test_start_outside_the_main_thread_is_refused(tmp_path):
    errors = []

    def start():
        try:
            triggers.on_signal().start(NotingHost())
        except OptionError as error:
            errors.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "needs the main thread" in errors[0]


def test_profiler_that_cannot_start_a_trigger_is_stopped(tmp_path):
    import memlens

    class Refusing:
        def start(self, host):
            raise OptionError("planted")

        def stop(self):
            pass

    before = signal.getsignal(signal.SIGUSR2)
    profiler = memlens.MemoryProfiler(
        tmp_path, allocations=None, triggers=[triggers.on_signal(), Refusing()]
    )
    with pytest.raises(OptionError, match="planted"):
        profiler.start()
    assert not profiler.is_running
    assert signal.getsignal(signal.SIGUSR2) == before


def test_handler_that_the_program_sets_later_stays():
    before = signal.getsignal(signal.SIGUSR2)
    trigger = triggers.on_signal()
    trigger.start(NotingHost())
    try:
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        trigger.stop()
        assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR2, before)


@pytest.mark.parametrize("name", ["SIGNOTHING", 0, 999, "SIGKILL", "SIGSEGV", None, True])
def test_signals_that_cannot_be_used_are_refused(name):
    with pytest.raises(OptionError, match=r"SIGUSR"):
        triggers.on_signal(name)


def test_repr():
    assert repr(triggers.on_signal(signal.SIGUSR1)) == "on_signal('SIGUSR1')"
    assert os.name == "posix"
