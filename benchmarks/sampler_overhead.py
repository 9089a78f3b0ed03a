"""What do allocation profilers cost? One command, one table: time with the profiler / time without.

    python benchmarks/sampler_overhead.py                  # allocation loops, all peers installed
    python benchmarks/sampler_overhead.py --applications   # pyperformance's benchmarks

Each profiler has a process of its own, where rounds with and without it alternate, so that both see
the same machine; the ratio is that of the medians. Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

INTERVAL_BYTES = 512 * 1024


class Memlens:
    def start(self):
        from memlens._core import _sampler

        self.sampler = _sampler
        _sampler.start(INTERVAL_BYTES, 32768, 0)

    def stop(self):
        self.sampler.stop()


class Ddtrace:
    def __init__(self):
        from ddtrace.profiling.collector import _memalloc

        self.memalloc = _memalloc

    def start(self):
        self.memalloc.start(64, INTERVAL_BYTES, True)

    def stop(self):
        self.memalloc.stop()


class Memray:
    python_allocators = False

    def __init__(self):
        import memray  # noqa: F401

    def start(self):
        import memray

        self.folder = tempfile.TemporaryDirectory()
        self.tracker = memray.Tracker(
            Path(self.folder.name) / "capture", trace_python_allocators=self.python_allocators
        )
        self.tracker.__enter__()

    def stop(self):
        self.tracker.__exit__(None, None, None)
        self.folder.cleanup()


class MemrayAll(Memray):
    python_allocators = True


class Tracemalloc:
    frames = 1

    def start(self):
        import tracemalloc

        tracemalloc.start(self.frames)

    def stop(self):
        import tracemalloc

        tracemalloc.stop()


class Tracemalloc25(Tracemalloc):
    frames = 25


class Nothing:
    """The noise of the measurement: should be 1.00."""

    def start(self):
        pass

    stop = start


PROFILERS = {
    "nothing": Nothing,
    "memlens": Memlens,
    "ddtrace": Ddtrace,
    "memray": Memray,
    "memray+py": MemrayAll,
    "tracemalloc(1)": Tracemalloc,
    "tracemalloc(25)": Tracemalloc25,
}


def seconds_of(work):
    gc.collect()
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def ratio_of(work, profiler, rounds):
    """Rounds alternate; the median of the ratios of neighbours withstands a machine that drifts."""
    work()
    ratios = []
    for number in range(rounds):
        pair = [0.0, 0.0]
        for on in (number % 2, 1 - number % 2):
            if on:
                profiler.start()
            try:
                pair[on] = seconds_of(work)
            finally:
                if on:
                    profiler.stop()
        ratios.append(pair[1] / pair[0])
    return statistics.median(ratios)


def works(applications):
    if applications:
        from _applications import applications as found

        return found()
    from _allocation_loops import LOOPS

    return {loop.__name__: loop for loop in LOOPS}


def measure(name, applications, rounds):
    profiler = PROFILERS[name]()
    gc.disable()
    results = {}
    for work_name, work in works(applications).items():
        with contextlib.redirect_stdout(sys.stderr):
            results[work_name] = ratio_of(work, profiler, rounds)
    print(json.dumps(results))


def measured_in_child(name, arguments):
    command = [sys.executable, __file__, "--only", name, "--rounds", str(arguments.rounds)]
    if arguments.applications:
        command.append("--applications")
    done = subprocess.run(
        command, capture_output=True, text=True, env=dict(os.environ), check=False
    )
    if done.returncode != 0:
        print(f"{name}: left out ({done.stderr.strip().splitlines()[-1:]})", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applications", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--profilers", default="")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        measure(arguments.only, arguments.applications, arguments.rounds)
        return
    default = "nothing,memlens,ddtrace" if arguments.applications else ",".join(PROFILERS)
    table = {}
    for name in (arguments.profilers or default).split(","):
        results = measured_in_child(name, arguments)
        if results:
            table[name] = results
    show(table, arguments.applications)


def show(table, applications):
    rows = list(next(iter(table.values())))
    print(f"{'time on / time off':24}", *(f"{name:>16}" for name in table))
    for row in rows:
        print(f"{row:24}", *(f"{results[row]:16.3f}" for results in table.values()))
    figures = {"geometric mean": statistics.geometric_mean}
    if applications:
        figures["median"] = statistics.median
    for label, figure in figures.items():
        print(f"{label:24}", *(f"{figure(r.values()):16.3f}" for r in table.values()))


if __name__ == "__main__":
    main()
