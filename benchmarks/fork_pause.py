"""How long a forked snapshot stops a service, next to a bare ``os.fork()``.

    python benchmarks/fork_pause.py [--objects N] [--repeat N]

A thread notes the time without a break; the longest gap that it sees is the pause. Both sides alternate in
one process. Beside it: how long the call itself takes, how much slower the parent's own work is
while the child lives, the child's private dirty memory (Linux) next to what it captured, and how
long the child takes.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import struct
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from capture import build, resident_bytes

from memlens._core import _native

RECORD = struct.Struct("=6Q")
WALK = 1  # the stage in which the heap is captured


class Ticker(threading.Thread):
    """Notes the longest time between two of its steps."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.longest = 0.0
        self.leave = False

    def run(self) -> None:
        """Step until told to leave."""
        last = time.perf_counter()
        while not self.leave:
            now = time.perf_counter()
            if now - last > self.longest:
                self.longest = now - last
            last = now


class Pause(NamedTuple):
    """Seconds: the gap that another thread saw, and the call."""

    gap: float
    call: float


def pause_of_fork() -> Pause:
    """A bare fork; its child does nothing."""
    ticker = Ticker()
    ticker.start()
    time.sleep(0.05)
    ticker.longest = 0.0
    start = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    call = time.perf_counter() - start
    time.sleep(0.02)
    ticker.leave = True
    ticker.join()
    os.waitpid(pid, 0)
    return Pause(ticker.longest, call)


class Child(NamedTuple):
    """A forked capture that is under way."""

    pid: int
    file: int
    progress: int


def start_capture() -> Child:
    """Fork a capture into an unlinked file."""
    file = os.open("/tmp", os.O_TMPFILE | os.O_RDWR, 0o600)
    progress, progress_end = os.pipe()
    facts_end, send = os.pipe()
    pid = _native.fork_capture(file, progress_end, facts_end)
    for end in (progress_end, facts_end):
        os.close(end)
    os.write(send, struct.pack("=I", 2) + b"{}")
    os.close(send)
    return Child(pid, file, progress)


def finish(child: Child, said: bytes = b"") -> tuple[float, int]:
    """Wait; return the child's own seconds and the bytes of its file. ``said``: read before."""
    os.set_blocking(child.progress, True)
    while part := os.read(child.progress, 65536):
        said += part
    os.close(child.progress)
    _, status = os.waitpid(child.pid, 0)
    size = os.fstat(child.file).st_size
    os.close(child.file)
    if status:
        raise RuntimeError(f"the child ended with status {status}")
    return [*RECORD.iter_unpack(said)][-1][4] / 1e9, size


def pause_of_capture() -> Pause:
    """The same with a capture in the child."""
    ticker = Ticker()
    ticker.start()
    time.sleep(0.05)
    ticker.longest = 0.0
    start = time.perf_counter()
    child = start_capture()
    call = time.perf_counter() - start
    time.sleep(0.02)
    ticker.leave = True
    ticker.join()
    finish(child)
    return Pause(ticker.longest, call)


def work() -> float:
    """Seconds for a fixed piece of the parent's own work, which writes to many pages."""
    start = time.perf_counter()
    for record in kept[:: max(len(kept) // 20000, 1)]:
        record.number += 1
        record.tags.append(record.number)
        record.tags.pop()
    return time.perf_counter() - start


def private_dirty_bytes(pid: int) -> int:
    """What the child has for itself."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            for line in rollup:
                if line.startswith("Private_Dirty"):
                    return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass
    return 0


class Watched(NamedTuple):
    """Seconds of the parent's work, of the child; bytes."""

    alone: float
    beside: float
    child_seconds: float
    file_bytes: int
    dirty_while_walking: int
    dirty_at_most: int


def watch_child() -> Watched:
    """Capture beside the parent's own work. To look at the child slows it, so that is done rarely."""
    alone = statistics.median(work() for _ in range(9))
    child = start_capture()
    os.set_blocking(child.progress, False)
    beside, said, walking, most = [], b"", 0, 0
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        beside.append(work())
        try:
            said += os.read(child.progress, 65536)
        except BlockingIOError:
            pass
        dirty = private_dirty_bytes(child.pid)
        most = max(most, dirty)
        if said and RECORD.unpack(said[-RECORD.size :])[0] == WALK:
            walking = max(walking, dirty)
        time.sleep(0.1)
    child_seconds, size = finish(child, said)
    return Watched(alone, statistics.mean(beside or [alone]), child_seconds, size, walking, most)


kept: list = []


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    sys.setswitchinterval(0.0005)
    kept.extend(build(options.objects))
    rss = resident_bytes()
    bare, captured = [], []
    for _ in range(options.repeat):
        bare.append(pause_of_fork())
        captured.append(pause_of_capture())
    watched = watch_child()
    gap = [statistics.median(p.gap for p in side) for side in (bare, captured)]
    call = [statistics.median(p.call for p in side) for side in (bare, captured)]
    print(
        f"CPython {platform.python_version()}, {os.cpu_count()} processors, {rss / 1e9:.2f} GB resident"
    )
    print(
        f"  longest gap of another thread: os.fork() {gap[0] * 1e3:.1f} ms, forked capture {gap[1] * 1e3:.1f} ms: {gap[1] / gap[0]:.2f} x"
    )
    print(
        f"  the call itself:               os.fork() {call[0] * 1e3:.1f} ms, forked capture {call[1] * 1e3:.1f} ms: {call[1] / call[0]:.2f} x"
    )
    print(
        f"  the child: {watched.child_seconds:.2f} s, a file of {watched.file_bytes / 1e6:.0f} MB"
    )
    print(f"  the parent's work beside it: {watched.beside / watched.alone:.2f} x as long as alone")
    print(
        f"  the child's private dirty memory: {watched.dirty_while_walking / 1e6:.0f} MB at the end of"
        f" the capture, {watched.dirty_at_most / 1e6:.0f} MB with the analysis;"
        f" {rss / 1e6:.0f} MB resident in the parent"
    )


if __name__ == "__main__":
    main()
