"""How fast leaks are found in four snapshots, and with how much memory, beside one capture.

    python benchmarks/find_leaks.py [--objects N]... [--live N] [--native] [--profile]

A program of about ``--objects`` objects (instances with attributes, dicts, lists, strings) with one
leak takes four snapshots. ``find_leaks`` looks at them in a process of its own, once from the files
as they come. Its extra memory is the peak of what is not mapped from files, less what was there
before, shared among the nodes of the last snapshot. ``--live``: `why_alive` and `retained_size` of
an object, on a heap of so many (0: none). ``--native``: every tenth object holds native memory, and
more of it at each snapshot. The goals stand beside the figures. ``--profile`` prints
where the time of the analysis goes.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = str(Path(__file__).resolve().parent.parent)
sys.path.insert(0, ROOT)
sys.path.insert(0, str(Path(__file__).resolve().parent))

SECONDS_A_MILLION = 1.0
MAX_BYTES_A_NODE = 40
MAX_LIVE_SECONDS = 0.3

PROGRAM = """
import ctypes, gc, sys, time
sys.path[:0] = sys.argv[1:3]
from capture import build
import memlens

objects, folder = int(sys.argv[3]), sys.argv[4]
block, with_native = ctypes.c_char * 300, sys.argv[5] == "True"
arrays = [block() for n in range(objects // 10)] if with_native else []
gc.disable()  # of the program's own: it takes most of the time to build
kept, leaked, seconds = build(objects), [], []
gc.enable()
for number in range(4):
    leaked += build(objects // 100)
    arrays += [block() for n in range(objects // 100)] if with_native else []
    start = time.perf_counter()
    snapshot = memlens.take_heap_snapshot(f"{folder}/{number}.memlens", mode="inline")
    seconds.append(time.perf_counter() - start)
print(min(seconds), snapshot.pause_seconds, snapshot.object_count)
"""

ANALYSIS = """
import cProfile, pstats, sys, time
sys.path.insert(0, sys.argv[1])
import memlens
sys.stdin.readline()
start, cpu = time.perf_counter(), time.process_time()
snapshots = [memlens.load(path) for path in sys.argv[3:]]
profile = cProfile.Profile() if sys.argv[2] == "True" else None
report = profile.runcall(memlens.find_leaks, snapshots) if profile else memlens.find_leaks(snapshots)
print(time.perf_counter() - start, time.process_time() - cpu, [s.holder for s in report], flush=True)
if profile:
    pstats.Stats(profile).sort_stats("tottime").print_stats(25)
"""

LIVE = """
import gc, sys, time
sys.path[:0] = sys.argv[1:3]
from capture import build
import memlens
gc.disable()
kept = build(int(sys.argv[3]))
gc.enable()
for view in (memlens.why_alive, memlens.retained_size):
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        view(kept[len(kept) // 2])
        seconds.append(time.perf_counter() - start)
    print(view.__name__, min(seconds))
"""


class Watch(threading.Thread):
    """Watches the memory of another process that is not mapped from files: its peak."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.path = f"/proc/{pid}/status"
        self.peak_bytes = 0
        self.first_bytes = self.anonymous_bytes()
        self.ended = threading.Event()

    def anonymous_bytes(self) -> int:
        """Return the anonymous resident memory now, 0 when the process has ended."""
        with open(self.path) as status:
            for line in status:
                if line.startswith("RssAnon"):
                    return int(line.split()[1]) * 1024
        return 0

    def run(self) -> None:
        """Look each 2 ms."""
        while not self.ended.wait(0.002):
            self.peak_bytes = max(self.peak_bytes, self.anonymous_bytes())


def analyse(paths: list[str], *, profile: bool) -> tuple[float, float, int, str]:
    """Return seconds, CPU seconds, extra bytes at the peak, and what the analysis prints."""
    command = [sys.executable, "-c", ANALYSIS, ROOT, str(profile), *paths]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdin is not None
        assert one.stdout is not None
        while "python" not in Path(f"/proc/{one.pid}/cmdline").read_text():
            time.sleep(0.01)
        time.sleep(1.0)  # memlens is imported
        watch = Watch(one.pid)
        watch.start()
        one.stdin.write("\n")
        one.stdin.flush()
        seconds, cpu, found = one.stdout.readline().split(maxsplit=2)
        watch.ended.set()
        rest = one.stdout.read()
    return float(seconds), float(cpu), watch.peak_bytes - watch.first_bytes, found + rest


def judged(value: float, limit: float) -> str:
    """Say whether a figure meets its goal."""
    return f"goal {limit:g}: {'met' if value <= limit else 'missed'}"


def print_analysis(objects: int, folder: str, *, native: bool, profile: bool) -> None:
    """Take the four snapshots and print what their analysis takes."""
    here = str(Path(__file__).resolve().parent)
    program = [sys.executable, "-c", PROGRAM, ROOT, here, str(objects), folder, str(native)]
    taken = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    capture, pause, nodes = (float(word) for word in taken.split())
    paths = [f"{folder}/{number}.memlens" for number in range(4)]
    seconds, cpu, extra, found = analyse(paths, profile=profile)
    limit = SECONDS_A_MILLION * nodes / 1e6
    print(f"four snapshots of {nodes:,.0f} objects: {found.strip()}")
    print(f"  capture, to a file   {capture:8.2f} s (pause {pause:.2f} s)")
    print(f"  find_leaks           {seconds:8.2f} s ({judged(seconds, limit)}), CPU {cpu:.2f} s")
    print(f"  ratio                {seconds / capture:8.2f}")
    print(
        f"  extra memory a node  {extra / nodes:8.1f} B ({judged(extra / nodes, MAX_BYTES_A_NODE)})"
        f"; a node of all four {extra / nodes / 4:.1f} B"
    )


def print_live_views(objects: int) -> None:
    """Print what the views of a live object take."""
    here = str(Path(__file__).resolve().parent)
    command = [sys.executable, "-c", LIVE, ROOT, here, str(objects)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    print(f"live views on {objects:,} objects")
    for line in answer.splitlines():
        name, seconds = line.split()
        print(f"  {name:20} {float(seconds):8.2f} s ({judged(float(seconds), MAX_LIVE_SECONDS)})")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, action="append", help="default: 1000000")
    parser.add_argument("--live", type=int, default=1_000_000)
    parser.add_argument("--native", action="store_true")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    print(f"CPython {platform.python_version()}, {os.cpu_count()} processors")
    for objects in options.objects or [1_000_000]:
        with tempfile.TemporaryDirectory() as folder:
            print_analysis(objects, folder, native=options.native, profile=options.profile)
    if options.live:
        print_live_views(options.live)


if __name__ == "__main__":
    main()
