"""What do allocation profilers cost in memory? One table: peak RSS with the profiler / without.

    python benchmarks/sampler_memory.py

Each program, over 500 MB at its peak, runs in processes of its own; the table shows the median of
the ratios. The last line is fixed memory: what the sampler's tables add to a small process, empty,
and after 60,000 blocks were sampled one by one (its table of live samples is full).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

import sampler_overhead

PROFILERS = ("memlens", "ddtrace", "tracemalloc(1)")


def small_objects():
    return [[i, i + 0.5] for i in range(4_500_000)]


def records():
    return [{"key": f"user-{i}", "text": "x" * (i % 300), "n": i * 3} for i in range(1_200_000)]


def buffers():
    kept = []
    for i in range(800):
        kept.append(bytearray(b"x") * 700_000)
        kept.append(bytes(i))
    return kept


def growing():
    kept = {}
    for i in range(6_000_000):
        kept.setdefault(i % 1_200_000, []).append(str(i))
    return kept


PROGRAMS = {work.__name__: work for work in (small_objects, records, buffers, growing)}


def memory_bytes(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))


def measure(program, name):
    """Print the peak of this process; the profiler is imported in both cases, or it would count."""
    profiler = sampler_overhead.PROFILERS[name.removeprefix("no ")]()
    if not name.startswith("no "):
        profiler.start()
    kept = PROGRAMS[program]()
    print(json.dumps(memory_bytes("VmHWM")))
    del kept


def measure_fixed():
    """Print RSS added by empty tables, and by full ones."""
    from memlens._core import _sampler

    def fill():
        return [bytearray(1) for _ in range(60_000)]

    kept = fill()
    kept.clear()
    kept = fill()
    before = memory_bytes("VmRSS")
    _sampler.start(1, 32768, 0)
    empty = memory_bytes("VmRSS")
    kept.clear()
    kept = fill()
    print(json.dumps([empty - before, memory_bytes("VmRSS") - before]))


def in_child(*arguments):
    command = [sys.executable, __file__, "--only", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"left out: {arguments} ({done.stderr.strip().splitlines()[-1:]})", file=sys.stderr)
        return None
    return json.loads(done.stdout)


def ratio(program, name, rounds):
    ratios = []
    for _ in range(rounds):
        off, on = in_child(program, "no " + name), in_child(program, name)
        if not off or not on:
            return None, 0
        ratios.append(on / off)
    return statistics.median(ratios), off


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only == ["fixed"]:
        measure_fixed()
        return
    if arguments.only:
        measure(*arguments.only)
        return
    print(f"{'peak RSS on / off':18}{'off, MB':>10}", *(f"{name:>15}" for name in PROFILERS))
    for program in PROGRAMS:
        found = [ratio(program, name, arguments.rounds) for name in PROFILERS]
        cells = (f"{'-' if value is None else format(value, '.3f'):>15}" for value, _ in found)
        print(f"{program:18}{found[0][1] / 1e6:10.0f}", *cells)
    empty, full = in_child("fixed")
    print(f"fixed memory of memlens: {empty / 1e6:.1f} MB empty, {full / 1e6:.1f} MB full")


if __name__ == "__main__":
    main()
