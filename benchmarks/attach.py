"""From the command to the finished snapshot of a running process, for each way to it.

    python benchmarks/attach.py [--objects 1000000] [--rounds 5]

Prints, for each way that is open here, the median of the time that ``python -m memlens dump PID``
takes, the process of the command included, and how long the examined program was held up: the
greatest gap between two steps of its loop. On a machine that is busy (see the load) all takes longer.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = str(Path(__file__).resolve().parent.parent)
GOAL_SECONDS = 2.0
PROGRAM = """
import select, sys, time
held = [[number] for number in range(int(sys.argv[1]) // 2)]
numbers = [float(number) for number in range(int(sys.argv[1]) // 2)]
if sys.argv[2] == "profiler":
    import memlens
    profiler = memlens.MemoryProfiler(sys.argv[3], sample_interval=3600).start()
print("ready", flush=True)
last, gap = time.perf_counter(), 0.0
while not select.select([sys.stdin], [], [], 0.001)[0]:  # a service that is mostly idle
    now = time.perf_counter()
    gap = max(gap, now - last)
    last = now
print(gap, flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {arguments.objects:,} objects,", end=" ")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'way':8} {'command to file':>16} {'goal':>7} {'longest gap':>12} {'file':>10}")
    for way in ("socket", "remote", "gdb"):
        if way == "remote" and sys.version_info < (3, 14):
            print(f"{way:8} needs Python 3.14")
        elif way == "gdb" and shutil.which("gdb") is None:
            print(f"{way:8} gdb is not installed")
        else:
            measure(way, arguments.objects, arguments.rounds)


def measure(way: str, objects: int, rounds: int) -> None:
    seconds, gaps, size_bytes = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            taken, gap, size_bytes = one_round(way, objects, folder)
            seconds.append(taken)
            gaps.append(gap)
    median = statistics.median(seconds)
    verdict = "met" if median < GOAL_SECONDS else "missed"
    print(
        f"{way:8} {median:14.2f} s {verdict:>7} {statistics.median(gaps) * 1000:9.0f} ms"
        f" {size_bytes / 2**20:6.1f} MiB",
        flush=True,
    )


def one_round(way: str, objects: int, folder: str) -> tuple[float, float, int]:
    environment = {**os.environ, "PYTHONPATH": ROOT}
    kind = "profiler" if way == "socket" else "plain"
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(objects), kind, os.path.join(folder, "profiles")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    path = os.path.join(folder, "heap.memlens")
    with program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "memlens", "dump", str(program.pid), "--way", way, "-o", path],
            env=environment, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        taken = time.perf_counter() - begun
        program.stdin.close()
        gap = float(program.stdout.readline())
    return taken, gap, os.path.getsize(path)


if __name__ == "__main__":
    main()
