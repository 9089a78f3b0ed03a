"""Faults that the program sets up itself: each function returns another one, which ends the fault."""

from __future__ import annotations

import ctypes
import os
import random
import resource
import signal
import sys
import threading
import tracemalloc
from collections.abc import Callable
from types import FrameType

import memlens
from memlens._own_thread import OwnThread
from memlens.heap.capture.child_process import WAIT_FOR_ANY_KIND

Undo = Callable[[], None]
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "program.py")


class Interrupted(Exception):  # noqa: N818  # no error of its own
    """Raised by a signal handler of the program."""


def none(value: int, folder: str) -> Undo:
    """Do nothing."""
    return lambda: None


def file_size(value: int, folder: str) -> Undo:
    """Bound the size of files."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (value, before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)


def nobody(value: int, folder: str) -> Undo:
    """Give up all rights of root."""
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    return lambda: None


def address_space(value: int, folder: str) -> Undo:
    """Bound the address space to some bytes more than what is in use."""
    with open("/proc/self/statm", encoding="ascii") as file:
        in_use = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + value, before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_AS, before)


def descriptors(value: int, folder: str) -> Undo:
    """Use up all descriptors."""
    taken = []
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass

    def undo() -> None:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    return undo


def high_descriptors(value: int, folder: str) -> Undo:
    """Use so many descriptors that the next ones are beyond what ``select`` can take."""
    taken = []
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, before[1]), before[1]))
    while not taken or taken[-1] < 1100:
        taken.append(os.open("/dev/null", os.O_RDONLY))

    def undo() -> None:
        for descriptor in taken:
            os.close(descriptor)

    return undo


def ignored_children(value: int, folder: str) -> Undo:
    """Let the kernel reap all children."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    return lambda: signal.signal(signal.SIGCHLD, before) and None


def reaped_children(value: int, folder: str) -> Undo:
    """Reap every child in another thread."""
    over = threading.Event()

    def reap() -> None:
        while not over.wait(0.001):
            try:
                os.waitpid(-1, os.WNOHANG | WAIT_FOR_ANY_KIND)
            except ChildProcessError:
                pass

    thread = threading.Thread(target=reap)
    thread.start()

    def undo() -> None:
        over.set()
        thread.join()

    return undo


def timer(seconds: float, handler: Callable[[int, object], None]) -> Undo:
    """Call a handler again and again."""
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)

    def undo() -> None:
        while signal.getsignal(signal.SIGALRM) is not signal.SIG_IGN:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, signal.SIG_IGN)
            except Interrupted:
                pass

    return undo


def signals(value: int, folder: str) -> Undo:
    """Interrupt the program every millisecond."""
    return timer(0.001, lambda number, frame: [bytes(100) for _ in range(10)] and None)


def raising_signals(value: int, folder: str) -> Undo:
    """Raise an exception every 20 ms, wherever the program is."""

    def handler(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_filename == PROGRAM and frame.f_code.co_name in ("step", "guarded"):
                raise Interrupted  # where it is expected
            frame = frame.f_back

    return timer(0.02, handler)


def in_thread(action: Callable[[], object], seconds: float) -> Undo:
    """Do something again and again in another thread."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds):
            action()

    thread = threading.Thread(target=run, name="fault")
    thread.start()

    def undo() -> None:
        over.set()
        thread.join()

    return undo


def forks(value: int, folder: str) -> Undo:
    """Fork in another thread, all the time, also while snapshots are taken."""

    def fork() -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)

    return in_thread(fork, 0.002)


def watched_forks(value: int, folder: str) -> Undo:
    """Fork in another thread; each child takes a snapshot of its own and ends as programs do."""

    def fork() -> None:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                memlens.take_heap_snapshot()
                code = 0
            finally:
                os._exit(code)
        if os.waitpid(pid, 0)[1] != 0:
            os._exit(70)  # seen by the trial

    return in_thread(fork, 0.02)


def thread_death(value: int, folder: str) -> Undo:
    """Raise SystemExit in a thread of memlens, at any of its instructions."""

    def strike() -> None:
        frames = {ident: one for ident, one in sys._current_frames().items() if is_own(one)}
        if frames:
            ident = random.choice([*frames])
            if may_be_struck(frames[ident]):
                raise_in_thread(ctypes.c_ulong(ident), ctypes.py_object(SystemExit))

    raise_in_thread = ctypes.pythonapi.PyThreadState_SetAsyncExc
    return in_thread(strike, 0.02)


def is_own(frame: FrameType | None) -> bool:
    """Whether it is the innermost frame of a thread of memlens: `threading` may not know that."""
    while frame is not None:
        if frame.f_code is OwnThread.run.__code__:
            return True
        frame = frame.f_back
    return False


def may_be_struck(frame: FrameType | None) -> bool:
    """Whether an exception there is no fault of CPython's own.

    It would leave a lock taken for ever, or be printed by the interpreter if a finalizer runs.
    """
    if frame is None or frame.f_code.co_filename == threading.__file__:
        return False
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return False
        frame = frame.f_back
    return True


def thread_churn(value: int, folder: str) -> Undo:
    """Start threads that end at once."""
    return in_thread(lambda: threading.Thread(target=bytes, args=[1000]).start(), 0.0005)


def no_threads(value: int, folder: str) -> Undo:
    """Let the kernel refuse each thread and each fork, as a container with a limit of tasks does."""
    if os.getuid() == 0:
        nobody(value, folder)
    before = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_NPROC, before)


def two_profilers(value: int, folder: str) -> Undo:
    """Run more profilers, one in the same folder, and tracemalloc."""
    tracemalloc.start()
    intervals = {"sample_interval": 0.03, "snapshot_interval": 0.13}
    others = [
        memlens.MemoryProfiler(folder, **intervals),
        memlens.MemoryProfiler(folder + "-2", **intervals, max_snapshots=2),
    ]
    for other in others:
        other.start()

    def undo() -> None:
        for other in others:
            other.stop()
            if other.is_running or other.health()["failures"]:
                os._exit(71)  # seen by the trial
        tracemalloc.stop()

    return undo


FAULTS: dict[str, Callable[[int, str], Undo]] = {
    function.__name__: function
    for function in (
        *(none, file_size, nobody, address_space, descriptors, high_descriptors),
        *(ignored_children, reaped_children, signals, raising_signals, forks, watched_forks),
        *(thread_death, thread_churn, no_threads, two_profilers),
    )
}
