"""While the C core captures, no other thread runs: what it has found may be gone afterwards."""

from __future__ import annotations

import asyncio
import ctypes
import io
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from memlens._core.layout import NodeFlag
from tests.core.conftest import IMPLEMENTATIONS
from tests.core.heaps import PLANT, take

only_native = pytest.mark.skipif("C" not in IMPLEMENTATIONS, reason="of the C core")
only_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="uses functions of glibc"
)


class Counter(threading.Thread):
    """Counts whenever it may run."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self.must_end = False

    def run(self):
        while not self.must_end:
            self.count += 1
            time.sleep(0)  # gives the GIL away: with this switch interval nobody is asked for it


@pytest.fixture
def counter():
    before = sys.getswitchinterval()
    sys.setswitchinterval(100)
    counter = Counter()
    counter.start()
    yield counter
    counter.must_end = True
    counter.join()
    sys.setswitchinterval(before)


def wait_for(thread):
    """Wait until a thread has ended, but do not join it."""
    while thread in threading.enumerate():
        time.sleep(0.001)
    return thread


@pytest.fixture
def finished():
    """One of each kind of object that may have finished."""
    loop = asyncio.new_event_loop()
    PLANT.finished = [
        *(threading.Thread(target=len, args=((),)) for _ in range(3)),
        *(io.BytesIO(), io.StringIO(), open("/dev/null", "rb"), open("/dev/null")),  # noqa: SIM115
        *(socket.socket(), loop.create_future()),
    ]
    for thread in PLANT.finished[:3]:
        thread.start()
        wait_for(thread)
    for one in PLANT.finished[3:8]:
        one.close()
    PLANT.finished[8].set_result(None)
    yield PLANT.finished
    loop.close()
    del PLANT.finished


def slow_to_end(microseconds):
    """Return a thread that has left `threading`, but takes so long to end."""
    libc, key = ctypes.CDLL(None), ctypes.c_uint()
    assert (
        libc.pthread_key_create(ctypes.byref(key), ctypes.cast(libc.usleep, ctypes.c_void_p)) == 0
    )
    ending = threading.Thread(
        target=libc.pthread_setspecific, args=(key, ctypes.c_void_p(microseconds))
    )
    ending.start()
    return wait_for(ending)


@only_native
@only_linux
def test_no_other_thread_runs_during_a_capture(counter, finished):
    core = IMPLEMENTATIONS["C"]
    core.capture()
    PLANT.ending = slow_to_end(1_000_000)
    before = counter.count
    core.capture()
    assert counter.count == before
    del PLANT.ending


@pytest.mark.parametrize("core", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS.keys())
def test_a_thread_is_flagged_only_when_it_has_ended(core):
    go_on = threading.Event()
    PLANT.threads = [threading.Thread(target=go_on.wait) for _ in range(3)]
    PLANT.threads.append(threading.Thread.__new__(threading.Thread))
    for thread in PLANT.threads[:2]:
        thread.start()
    before = take(core)
    go_on.set()
    for thread in PLANT.threads[:2]:
        wait_for(thread)
    after = take(core)
    flags = [
        [NodeFlag.FINISHED in heap.flags(one) for one in PLANT.threads] for heap in (before, after)
    ]
    del PLANT.threads
    assert flags == [[False] * 4, [True, True, False, False]]


@pytest.mark.parametrize("core", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS.keys())
def test_a_thread_that_is_about_to_begin_has_not_ended(core, monkeypatch):
    """As between its first two steps: it has its number, but is listed as a thread to be started."""
    PLANT.beginning = threading.Thread()
    PLANT.beginning._ident = 1
    monkeypatch.setitem(threading._limbo, PLANT.beginning, PLANT.beginning)
    heap = take(core)
    assert NodeFlag.FINISHED not in heap.flags(PLANT.beginning)
    del PLANT.beginning


@only_native
@only_linux
def test_a_child_waits_for_no_thread_that_is_about_to_end(tmp_path):
    script = f"""
    import os
    from tests.core.conftest import IMPLEMENTATIONS
    from tests.core.forked import fork_capture
    from tests.core.test_capture_alone import slow_to_end

    ending = slow_to_end(900_000_000)
    outcome = fork_capture(IMPLEMENTATIONS["C"], {str(tmp_path / "x")!r}, wait_seconds=50)
    os._exit(outcome.status != 0)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=100)
