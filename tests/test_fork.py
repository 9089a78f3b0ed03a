"""Locks and callbacks in forked children."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

PRELUDE = """
import os, sys, threading
from memlens import _fork
def in_child(check):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if check() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a fresh interpreter; a deadlock ends it after a minute."""
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_lock_held_by_another_thread_is_free_in_the_child():
    result = run("""
        lock = _fork.ForkSafeLock()
        held, done = threading.Event(), threading.Event()
        def hold():
            with lock:
                held.set()
                done.wait()
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        code = in_child(lambda: lock.acquire(blocking=False))
        done.set()
        thread.join()
        sys.exit(code)
    """)
    assert result.returncode == 0, result.stderr


def test_lock_held_by_the_forking_thread_stays_held_in_the_child():
    result = run("""
        lock = _fork.ForkSafeLock()
        def check():
            other = []
            thread = threading.Thread(target=lambda: other.append(lock.acquire(blocking=False)))
            thread.start()
            thread.join()
            lock.release()
            return other == [False]
        with lock:
            code = in_child(check)
        sys.exit(code)
    """)
    assert result.returncode == 0, result.stderr


def test_callbacks_run_in_order_after_the_locks_are_free():
    result = run("""
        order = []
        lock = _fork.ForkSafeLock()
        _fork.call_in_forked_child(lambda: order.append(("first", lock.acquire(blocking=False))))
        _fork.call_in_forked_child(lambda: order.append("second"))
        sys.exit(in_child(lambda: order == [("first", True), "second"]))
    """)
    assert result.returncode == 0, result.stderr


def test_failing_callback_is_reported_and_the_others_run():
    result = run("""
        ran = []
        def fail():
            raise ValueError("from a fork callback")
        _fork.call_in_forked_child(fail)
        _fork.call_in_forked_child(lambda: ran.append(1))
        sys.exit(in_child(lambda: ran == [1]))
    """)
    assert result.returncode == 0, result.stderr
    assert "from a fork callback" in result.stderr


def test_object_of_a_registered_method_can_be_freed_and_is_not_called():
    result = run("""
        import gc, weakref
        class Owner:
            def forget(self):
                os._exit(7)
        owner = Owner()
        known = weakref.ref(owner)
        _fork.call_in_forked_child(owner.forget)
        del owner
        gc.collect()
        sys.exit(in_child(lambda: known() is None))
    """)
    assert result.returncode == 0, result.stderr


def test_registering_many_short_lived_methods_keeps_no_entries():
    from memlens import _fork

    class Owner:
        def forget(self):
            pass

    _fork.call_in_forked_child(Owner().forget)
    gc.collect()
    before = len(_fork._callbacks)
    for _ in range(100):
        _fork.call_in_forked_child(Owner().forget)
    assert len(_fork._callbacks) <= before + 1


def test_lock_is_reentrant():
    from memlens import _fork

    lock = _fork.ForkSafeLock()
    with lock:
        assert lock.acquire(blocking=False)
        lock.release()
