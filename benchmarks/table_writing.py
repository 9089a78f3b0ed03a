"""What a service pays for the tables that its profiler writes, and what the writing process takes.

    python benchmarks/table_writing.py [--objects N ...] [--rounds N] [--seconds N]

Two services in turn, each in a process of its own: a profiler without and with ``table_dir``, which
writes every second instead of every hour. Each computes in one thread and answers requests in
another, a little work every two milliseconds. Printed are the rate of the computation, the median,
p99 and largest latency of all requests, and resident memory at the end. A ratio compares with the
service without tables; "by CPU" is that of rounds a second of processor time of the service, which
leaves out what the other process takes from a busy machine. Both services take one snapshot, at the
start.

Then, for each ``--objects``: a service of about so many objects that leaks takes four snapshots and
writes once. Printed are the seconds and the peak of resident memory of the process that analyses the
snapshots and writes, the time that the service itself spends (its processor time), and the bytes
written; a day has 24 such writings. Needs pyarrow.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from alert_latency import Requests
from capture import build

import memlens

WRITINGS_A_DAY = 24
OBJECTS = 50_000  # of the service whose requests are timed


def service(folder: str, *, has_tables: bool, seconds: float) -> dict[str, Any]:
    """Serve and compute for some seconds; return what was measured."""
    kept = build(OBJECTS)
    profiler = memlens.MemoryProfiler(
        f"{folder}/profiles",
        sample_interval=0.5,
        snapshot_interval=float("inf"),
        table_dir=f"{folder}/tables" if has_tables else None,
        table_interval=1.0,
    )
    requests, over = Requests(), threading.Event()
    with profiler:
        requests.start()
        threading.Timer(seconds, over.set).start()
        began, used, rounds = time.perf_counter(), time.process_time(), 0
        while not over.is_set():
            sum(len(str(number)) for number in range(200))
            rounds += 1
        rate = rounds / (time.perf_counter() - began)
        rate_of_cpu = rounds / (time.process_time() - used)
        requests.ended.set()
        requests.join()
        rss = memlens.read_memory().rss_bytes
    del kept
    return {
        "rate": rate,
        "rate_of_cpu": rate_of_cpu,
        "latencies": requests.seconds,
        "rss": rss,
        "tables": profiler.health()["tables"],
    }


def one_writing(folder: str, objects: int) -> dict[str, Any]:
    """Write the tables of a service that leaks once; return what that took."""
    kept: list[object] = [build(objects)]
    profiler = memlens.MemoryProfiler(
        f"{folder}/profiles",
        sample_interval=0.5,
        snapshot_interval=float("inf"),
        table_dir=f"{folder}/tables",
        table_interval=float("inf"),
    )
    with profiler:
        for _ in range(3):
            kept.append(build(objects // 100))
            profiler.take_snapshot()
        count = profiler.snapshots[-1].object_count
        began, used = time.perf_counter(), time.process_time()
        profiler._tables._write()
        seconds, used = time.perf_counter() - began, time.process_time() - used
        tables = profiler.health()["tables"]
    return {"objects": count, "seconds": seconds, "own_seconds": used, "tables": tables}


def in_a_process(*arguments: str) -> dict[str, Any]:
    """Run this program with arguments and a new folder; return the JSON that it prints."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, __file__, "--in", folder, *arguments],
            check=True,
            stdout=subprocess.PIPE,
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def print_services(rounds: int, seconds: float) -> None:
    """Print a row for the service without and with tables."""
    found: dict[str, list[dict[str, Any]]] = {"off": [], "on": []}
    for number in range(rounds):
        for name in ("off", "on") if number % 2 == 0 else ("on", "off"):
            found[name].append(in_a_process("--service", name, "--seconds", str(seconds)))
    print(
        "tables  rounds/s  ratio  by CPU  requests  median ms  p99 ms  max ms  p99 ratio  RSS MiB"
    )
    first: tuple[float, float, float] | None = None
    for name, runs in found.items():
        rate = median(run["rate"] for run in runs)
        latencies = [one for run in runs for one in run["latencies"]]
        cuts = quantiles(latencies, n=100)
        rate_of_cpu = median(run["rate_of_cpu"] for run in runs)
        first = first or (rate, rate_of_cpu, cuts[98])
        rss = median(run["rss"] for run in runs)
        print(
            f"{name:6}{rate:10.1f}{rate / first[0]:7.3f}{rate_of_cpu / first[1]:8.3f}"
            f"{len(latencies):10,}{cuts[49] * 1e3:11.2f}{cuts[98] * 1e3:8.2f}{max(latencies) * 1e3:8.2f}{cuts[98] / first[2]:11.2f}"
            f"{rss / 2**20:9.1f}"
        )
    written = [run["tables"]["written"] for run in found["on"]]
    failures = sum(run["tables"]["failures"] for run in found["on"])
    print(f"written {written} times, {failures} failures\n")


def print_writings(sizes: list[int]) -> None:
    """Print what one writing takes, for each number of objects."""
    print("objects    child s  child peak MiB  service CPU ms    rows     KiB  MiB a day")
    for size in sizes:
        found = in_a_process("--writing", str(size))
        tables = found["tables"]
        if tables["failures"]:
            raise SystemExit(f"not written: {tables['last_error']}")
        size_bytes = tables["bytes_written"]
        print(
            f"{found['objects']:9,}{tables['last_seconds']:9.2f}"
            f"{tables['last_peak_bytes'] / 2**20:16.1f}{found['own_seconds'] * 1e3:16.1f}"
            f"{tables['rows_written']:8,}{size_bytes / 2**10:8.1f}"
            f"{WRITINGS_A_DAY * size_bytes / 2**20:11.2f}"
        )


def main() -> None:
    """Print both tables, or do what a child is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--in", dest="folder", help=argparse.SUPPRESS)
    parser.add_argument("--service", choices=("on", "off"), help=argparse.SUPPRESS)
    parser.add_argument("--writing", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.service:
        has_tables = options.service == "on"
        found = service(options.folder, has_tables=has_tables, seconds=options.seconds)
        print(json.dumps(found))
    elif options.writing:
        print(json.dumps(one_writing(options.folder, options.writing)))
    else:
        print(f"CPython {platform.python_version()}, {os.cpu_count()} processors\n")
        print_services(options.rounds, options.seconds)
        print_writings(options.objects)


if __name__ == "__main__":
    main()
