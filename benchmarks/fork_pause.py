"""How long a forked snapshot stops a service, next to a bare ``os.fork()``.

    python benchmarks/fork_pause.py [--objects N] [--repeat N]

A thread notes the time without a break; the longest gap that it sees is the pause. Both sides
alternate in one process. Beside it: how long the call itself takes, how much slower the parent's
own work is while a child lives (it writes to many pages, each of which is copied once), and how
long a child takes. The private dirty memory (Linux) is that of a child whose parent only waits: a
page that the parent writes to counts as the child's own from then on.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import struct
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from capture import build, resident_bytes

from memlens._core import _capture
from memlens.heap.capture.child_process import WAIT_FOR_ANY_KIND

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
    pid = _capture.fork_capture(file, progress_end, facts_end)
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
    _, status = os.waitpid(child.pid, WAIT_FOR_ANY_KIND)
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


def wait_while(child: Child, during: Callable[[int], None]) -> tuple[float, int]:
    """Call ``during`` with the child's last stage until it ends; return what `finish` does."""
    os.set_blocking(child.progress, False)
    said = b""
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        with contextlib.suppress(BlockingIOError):
            said += os.read(child.progress, 65536)
        during(RECORD.unpack(said[-RECORD.size :])[0] if said else 0)
        time.sleep(0.02)
    return finish(child, said)


def watch_memory() -> tuple[int, int, float, int]:
    """The child's own bytes at most while it walks and at all; its seconds, its file's bytes."""
    dirty = {0: 0}
    child = start_capture()

    def look(stage: int) -> None:
        dirty[stage] = max(dirty.get(stage, 0), private_dirty_bytes(child.pid))

    seconds, size = wait_while(child, look)
    return max(dirty[0], dirty.get(WALK, 0)), max(dirty.values()), seconds, size


def watch_parent() -> tuple[float, float, float]:
    """Seconds of the parent's work: alone, the first time beside a child, and later beside it."""
    alone = statistics.median(work() for _ in range(9))
    beside: list[float] = []
    wait_while(start_capture(), lambda _stage: beside.append(work()))
    first, *later = beside
    return alone, first, statistics.median(later or [first])


kept: list = []


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    sys.setswitchinterval(0.0005)
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside a thread
    kept.extend(build(options.objects))
    rss = resident_bytes()
    bare, captured = [], []
    for _ in range(options.repeat):
        bare.append(pause_of_fork())
        captured.append(pause_of_capture())
    walking, most, child_seconds, file_bytes = watch_memory()
    alone, first, later = watch_parent()
    print(f"CPython {platform.python_version()}, {os.cpu_count()} processors")
    print(
        f"{rss / 1e6:,.0f} MB resident; a file of {file_bytes / 1e6:,.0f} MB in {child_seconds:.2f} s"
    )
    print(f"{'':34}os.fork()  forked capture")
    for text, field in (("longest gap of another thread", "gap"), ("the call itself", "call")):
        sides = [statistics.median(getattr(p, field) for p in side) for side in (bare, captured)]
        ratio = sides[1] / sides[0]
        print(f"{text:32}{sides[0] * 1e3:8.1f} ms  {sides[1] * 1e3:8.1f} ms  {ratio:.2f} x")
    print(
        f"parent's work beside the child, first time {first / alone:.2f} x, later {later / alone:.2f} x"
    )
    print(f"child's private dirty memory, while it walks: {walking / 1e6:,.0f} MB")
    print(f"                                     at most: {most / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
