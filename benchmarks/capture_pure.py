"""How long the reference core takes to capture a heap, next to one collection of the same heap.

    python benchmarks/capture_pure.py [--objects N] [--runs K]

All of one table comes from one process: a heap of instances with five attributes, dicts, lists and
strings, captured, collected, counted by objgraph. Times are CPU seconds of this process, the best of
a few runs, so that a busy machine does not count. Memory is what the peak of the resident set grew
by during the first capture, the returned sections included.
"""

from __future__ import annotations

import argparse
import gc
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from memlens._core import pure

OBJECTS_PER_RECORD = 6.2


class Record:
    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"record {number}"
        self.tags = [number + 1000, "tag"]
        self.fields = {"key": number + 10**6, "other": None}
        self.parent = None


def best_seconds(call: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return min(times)


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    planted = [Record(number) for number in range(int(options.objects / OBJECTS_PER_RECORD))]
    gc.collect()
    before = peak_bytes()
    sections = pure.capture()
    grown = peak_bytes() - before
    nodes, edges = len(sections["node_address"]), len(sections["edge_target"])
    del sections
    capture = best_seconds(pure.capture, options.runs)
    collect = best_seconds(gc.collect, options.runs)
    import objgraph

    counted = best_seconds(objgraph.typestats, options.runs)
    print(f"Python {platform.python_version()}, {nodes:,} objects, {edges:,} references")
    print(f"{'':24}{'seconds':>10}{'us/object':>12}{'capture is':>14}")
    for name, seconds in (
        ("pure capture", capture),
        ("gc.collect()", collect),
        ("objgraph.typestats()", counted),
    ):
        each = seconds / nodes * 1e6
        print(f"{name:24}{seconds:>10.3f}{each:>12.2f}{capture / seconds:>12.1f} x")
    print(f"peak memory of a capture: {grown / nodes:.0f} B an object")
    assert planted


if __name__ == "__main__":
    main()
