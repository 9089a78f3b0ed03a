"""The program of ``scripts/faults.py``: works under a ``MemoryProfiler`` while a fault is injected.

    python scripts/faults_program.py FAULT FOLDER SECONDS

It prints a line when it has started, and at its end one line of JSON: the problems that it saw, and
the errors of memlens's own that it got or that memlens counted.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import memlens

KEPT: list[object] = []
Undo = Callable[[], None]


class Interrupted(Exception):  # noqa: N818  # no error of its own
    """Raised by a signal handler of the program."""


def main() -> None:
    """Set the fault up, work, and report."""
    fault, folder, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    name, _, value = fault.partition("=")
    problems: list[str] = []
    errors: list[str] = []
    profiler = memlens.MemoryProfiler(
        folder,
        sample_interval=0.05,
        snapshot_interval=0.1,
        max_snapshots=4,
        allocation_interval_bytes=64 * 1024,
        on_alert=lambda report: None,
    )
    descriptors = set(os.listdir("/proc/self/fd"))
    undo = FAULTS[name](int(value) if value else 0)
    print("started", flush=True)
    end = time.monotonic() + seconds
    numbers = itertools.count()
    guarded(profiler.start, problems, errors)
    while time.monotonic() < end:
        try:
            step(next(numbers), folder, problems, errors)
        except Interrupted:
            pass
    guarded(profiler.stop, problems, errors)
    undo()
    guarded(profiler.stop, problems, errors)  # the fault may have interrupted it
    guarded(memlens.take_heap_snapshot, problems, errors)  # reaps what finalizers have killed
    if profiler.is_running:
        problems.append("the profiler is still running after stop()")
    health = profiler.health()
    if health["failures"]:
        errors.append(str(health["last_error"])[:150])
    problems += leftovers(descriptors)
    print(json.dumps({"problems": problems, "own_errors": sorted(set(errors))}))


def step(number: int, folder: str, problems: list[str], errors: list[str]) -> None:
    """Do some work with a known result, and now and then take a snapshot."""
    try:
        KEPT.append([bytes(100)] * 10)
        total = sum(value for value in range(1000))
        time.sleep(0.001)
        if total != 499_500:
            problems.append(f"a wrong result: {total}")
    except MemoryError:
        KEPT.clear()
    if number % 50 == 10:
        path = f"{folder}/manual-{os.getpid()}.memlens"
        guarded(lambda: memlens.take_heap_snapshot(path), problems, errors)


def guarded(action: Callable[[], object], problems: list[str], errors: list[str]) -> None:
    """Do something with memlens; only its own errors, and those of the program, may come out."""
    try:
        action()
    except memlens.MemlensError as error:
        errors.append(f"{type(error).__name__}: {error}"[:150])
    except (Interrupted, MemoryError):
        pass
    except BaseException as error:  # noqa: BLE001  # a finding
        problems.append(f"{type(error).__name__} from memlens: {error}"[:200])


def leftovers(descriptors: set[str]) -> list[str]:
    """Return a line for each kind of thing that is left over: children, descriptors."""
    problems = []
    try:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        problems.append("a child is left over" if pid == 0 else "a zombie is left over")
    except ChildProcessError:
        pass
    left = [fd for fd in set(os.listdir("/proc/self/fd")) - descriptors if is_open(fd)]
    names = sorted(os.readlink(f"/proc/self/fd/{fd}").split(":")[0] for fd in left)
    # A snapshot that is mapped needs no descriptor.
    problems += [f"a descriptor is left over: {os.path.basename(name)}" for name in names]
    return problems


def is_open(descriptor: str) -> bool:
    """Return whether a descriptor is still open."""
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


# --- the faults: each returns a function that ends it ---


def none(value: int) -> Undo:
    """Do nothing."""
    return lambda: None


def file_size(value: int) -> Undo:
    """Bound the size of files."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (value, before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)


def nobody(value: int) -> Undo:
    """Give up all rights of root."""
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    return lambda: None


def address_space(value: int) -> Undo:
    """Bound the address space to some bytes more than what is in use."""
    with open("/proc/self/statm", encoding="ascii") as file:
        in_use = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + value, before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_AS, before)


def descriptors(value: int) -> Undo:
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


def high_descriptors(value: int) -> Undo:
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


def ignored_children(value: int) -> Undo:
    """Let the kernel reap all children."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    return lambda: signal.signal(signal.SIGCHLD, before) and None


def reaped_children(value: int) -> Undo:
    """Reap every child in another thread."""
    over = threading.Event()

    def reap() -> None:
        while not over.wait(0.001):
            try:
                os.waitpid(-1, os.WNOHANG)
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


def signals(value: int) -> Undo:
    """Interrupt the program every millisecond."""
    return timer(0.001, lambda number, frame: [bytes(100) for _ in range(10)] and None)


def raising_signals(value: int) -> Undo:
    """Raise an exception every 20 ms, wherever the program is."""

    def handler(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code in (step.__code__, guarded.__code__):  # where it is expected
                raise Interrupted
            frame = frame.f_back

    return timer(0.02, handler)


def forks(value: int) -> Undo:
    """Fork in another thread, all the time."""
    over = threading.Event()

    def fork() -> None:
        while not over.wait(0.002):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)

    thread = threading.Thread(target=fork)
    thread.start()

    def undo() -> None:
        over.set()
        thread.join()

    return undo


FAULTS: dict[str, Callable[[int], Undo]] = {
    function.__name__: function
    for function in (
        *(none, file_size, nobody, address_space, descriptors, high_descriptors),
        *(ignored_children, reaped_children, signals, raising_signals, forks),
    )
}

if __name__ == "__main__":
    main()
