"""What a service notices of the analysis of its snapshots: the latency of its requests.

    python benchmarks/alert_latency.py [--objects N] [--rounds N]

A service of about ``--objects`` objects with a leak takes four snapshots and then answers requests
in a thread: a little work every two milliseconds. Three phases in turn, in each round: nothing
else; the analysis of the four snapshots in a process of its own, as after an alert; the same in a
thread of the service. Printed are the median, the p99 and the largest latency of all requests of
each phase, and the ratio of the p99 to that of the first. The pause of the fork that takes a
snapshot is not part of it: see fork_pause.py.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from capture import build

import memlens
from memlens.profiler.analysis import Analysis

GOAL = 1.05
PAUSE_SECONDS = 0.002
WORK = 3000  # additions: some 100 microseconds


class Requests(threading.Thread):
    """Answers requests until stopped; ``seconds`` has the latency of each."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.ended = threading.Event()

    def run(self) -> None:
        """Sleep, work, and note how long both took beyond the sleep that was asked for."""
        while not self.ended.is_set():
            start = time.perf_counter()
            time.sleep(PAUSE_SECONDS)
            sum(range(WORK))
            self.seconds.append(time.perf_counter() - start - PAUSE_SECONDS)


def latencies(work: Callable[[], object]) -> list[float]:
    """Return the latencies of the requests that were answered while some work was done."""
    requests = Requests()
    requests.start()
    work()
    requests.ended.set()
    requests.join()
    return requests.seconds


def take_snapshots(objects: int, folder: str) -> tuple[list[object], list[str]]:
    """Return the heap of the service, which leaks, and four snapshots of it."""
    kept: list[object] = [build(objects)]
    paths = []
    for number in range(4):
        kept.append(build(objects // 100))
        paths.append(f"{folder}/{number}.memlens")
        memlens.take_heap_snapshot(paths[-1])
    return kept, paths


def main() -> None:
    """Print a row for each phase."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"CPython {platform.python_version()}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as folder:
        kept, paths = take_snapshots(options.objects, folder)

        def in_a_process() -> None:
            answer = Analysis().run([paths])
            if answer.report is None:
                raise SystemExit(f"not analysed: {answer.reason}")

        def in_a_thread() -> None:
            memlens.find_leaks([memlens.load(path) for path in paths])

        phases: dict[str, Callable[[], object]] = {
            "nothing else": lambda: time.sleep(2.0),
            "in a process of its own": in_a_process,
            "in a thread": in_a_thread,
        }
        seen: dict[str, list[float]] = {name: [] for name in phases}
        for _ in range(options.rounds):
            for name, work in phases.items():
                seen[name] += latencies(work)
        del kept
    first = 0.0
    print(f"{'':26}requests  median ms  p99 ms   max ms   p99 ratio (goal {GOAL})")
    for name, found in seen.items():
        cuts = quantiles(found, n=100)
        first = first or cuts[98]
        print(
            f"{name:26}{len(found):8,}{cuts[49] * 1e3:11.2f}{cuts[98] * 1e3:8.2f}"
            f"{max(found) * 1e3:9.2f}{cuts[98] / first:8.2f}"
        )


if __name__ == "__main__":
    main()
