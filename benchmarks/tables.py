"""What tables cost: bytes, write times, merging, listing.

    python benchmarks/tables.py [--files N] [--listed N]

The rows are what a process that leaks, this one, writes in an hour: a reading a minute, the verdicts,
the suspects, the largest types and holders of one snapshot, the profile of the allocations, and all
nodes and edges of one snapshot. Other processes have other hosts and sizes. ``--files`` files are
merged in a process of its own, whose peak of memory is told. The table tells what a row and an hour of
a process take in a file of its own and after merging, and how long a file takes to write. Last, a
folder of ``--listed`` files is listed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import memlens
from memlens._text import format_bytes
from memlens.process.history import HistoryPoint
from memlens.process.identity import identify
from memlens.process.reading import read_memory
from memlens.tables.allocation_paths import allocation_columns
from memlens.tables.heap_types import type_columns
from memlens.tables.holders import holder_columns
from memlens.tables.parquet_file import write_table
from memlens.tables.process_columns import ProcessColumns
from memlens.tables.readings import reading_columns
from memlens.tables.schema import TABLES, table_named
from memlens.tables.suspects import suspect_columns
from memlens.tables.table_folder import list_tables, new_file_name, write_rows
from memlens.tables.verdicts import verdict_columns
from memlens.tables.whole_heap import edge_batches, node_batches

MERGE = """
import json, re, sys
sys.path.insert(0, sys.argv[1])
from memlens.tables.merging import merge_tables
import pyarrow.parquet

def peak():  # of this program: that of getrusage() includes its parent
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) << 10

before = peak()
report = merge_tables(sys.argv[2], older_than=0)
print(json.dumps({"before": before, "peak": peak(), "report": report.to_dict()}))
"""
READINGS_AN_HOUR = 60
VERDICTS = 4  # the trends of three series, and the heap
KEPT: dict[tuple[int, int], list[str]] = {}


def observed(process: ProcessColumns) -> dict[str, dict[str, list]]:
    """Return the rows of one hour of a process: of this one, which leaks meanwhile."""
    profiler = memlens.AllocationProfiler(interval_bytes=16 << 10)
    profiler.start()
    snapshots = []
    for step in range(4):
        KEPT.update({(step, number): [str(number * step)] for number in range(5_000)})
        snapshots.append(memlens.take_heap_snapshot())
    profile = profiler.profile()
    profiler.stop()
    report = memlens.find_leaks(snapshots)
    moment = snapshots[-1].timestamp
    point = HistoryPoint.of(read_memory())
    minutes = [
        point._replace(
            timestamp=moment + 60 * minute,
            monotonic_seconds=point.monotonic_seconds + 60 * minute,
            rss_bytes=point.rss_bytes + (minute * 7919 % 1000 << 12),
            allocated_blocks=point.allocated_blocks + minute * 104_729 % 5_000,
        )
        for minute in range(READINGS_AN_HOUR)
    ]
    return {
        "readings": reading_columns(minutes, process),
        "verdicts": verdict_columns([report] * VERDICTS, process, time=moment),
        "suspects": suspect_columns(report, process, time=moment),
        "types": type_columns(snapshots[-1], process),
        "holders": holder_columns(snapshots[-1], process),
        "allocations": allocation_columns(profile, process),
        "nodes": joined(node_batches(snapshots[-1], process)),
        "edges": joined(edge_batches(snapshots[-1], process)),
    }


def joined(batches) -> dict[str, list]:
    """Return all rows of some batches."""
    columns: dict[str, list] = {}
    for batch in batches:
        for name, values in batch.items():
            columns.setdefault(name, []).extend(values)
    return columns


def of_process(rows: dict[str, list], number: int) -> dict[str, list]:
    """Return the rows as another process on another host has them: its numbers are larger."""
    host = f"shop-{number * 2654435761 % 2**32:08x}"
    changed = {**rows, "host": [host] * len(rows["host"])}
    changed["process"] = [f"{host}/{number % 3000 + 1}-{number:x}"] * len(rows["host"])
    for name, values in rows.items():
        if name.endswith(("_bytes", "count")):
            changed[name] = [value and value + value * (number % 97) // 100 for value in values]
    return changed


def measure_files(rows: dict[str, dict[str, list]], folder: str) -> dict[str, dict]:
    """Return of each table its rows, the size of its file, and how long that takes to write."""
    found = {}
    for name, columns in rows.items():
        path = os.path.join(folder, f"{name}.parquet")
        times = []
        for _ in range(5 if len(columns["time"]) < 10_000 else 1):
            start = time.perf_counter()
            size = write_table(path, table_named(name), columns)
            times.append(time.perf_counter() - start)
        found[name] = {"rows": len(columns["time"]), "size": size, "seconds": min(times)}
    return found


def write_processes(rows: dict[str, dict[str, list]], folder: str, files: int) -> float:
    """Write the files of many processes; return the seconds that this took."""
    names = [table.name for table in TABLES if table.name not in ("nodes", "edges")]
    start = time.perf_counter()
    for number in range(files // len(names)):
        for name in names:
            columns = of_process(rows[name], number)
            write_rows(folder, table_named(name), columns, name=new_file_name(number, "a"))
    return time.perf_counter() - start


def measure_merge(folder: str) -> dict:
    """Merge in a process of its own; return its report, and its memory before and at the peak."""
    root = str(Path(__file__).resolve().parent.parent)
    command = [sys.executable, "-c", MERGE, root, folder]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def make_listed(rows: dict[str, list], folder: str, files: int) -> None:
    """Make a folder of many files, each in the folder of a host of its own."""
    columns = {name: values[:1] for name, values in rows.items()}
    day = datetime.date(2026, 1, 1)
    source = ""
    for number in range(files):
        if number % 20_000 == 0:  # a file system bounds the links of a file
            columns["day"] = [day + datetime.timedelta(days=number // 20_000)]
            (source,) = write_rows(folder, table_named("readings"), columns, name="source")
        place = os.path.join(os.path.dirname(os.path.dirname(source)), f"hosts=pod-{number}")
        os.mkdir(place, 0o700)
        os.link(source, os.path.join(place, "one.parquet"))


def measure_listing(rows: dict[str, list], folder: str, files: int) -> tuple[float, float, int]:
    """Return the seconds of a listing, of one without checks, and the files that it found."""
    make_listed(rows, folder, files)
    start = time.perf_counter()
    listing = list_tables(folder)
    middle = time.perf_counter()
    list_tables(folder, check=False)
    end = time.perf_counter()
    return middle - start, end - middle, sum(1 for _ in listing.all_files())


def print_tables(single: dict[str, dict], merged: dict[str, dict]) -> None:
    """Print what a row and an hour of a process take in each table."""
    print(
        f"{'table':<12}{'rows':>9}{'write':>10}{'file':>11}{'row':>9}{'merged: row':>13}{'hour':>11}"
    )
    for name, one in single.items():
        line = f"{name:<12}{one['rows']:>9,}{one['seconds'] * 1e3:>7.1f} ms{one['size']:>11,}"
        line += f"{one['size'] / max(one['rows'], 1):>9.1f}"
        if row := merged.get(name):
            per_row = row["bytes_after"] / max(row["rows"], 1)
            line += f"{per_row:>13.1f}{per_row * one['rows']:>11,.0f}"
        print(line)


def print_merge(merge: dict, written: float) -> None:
    """Print how fast files were merged, and with how much memory."""
    tables = merge["report"]["tables"]
    seconds = merge["report"]["seconds"]
    files, size = (sum(row[name] for row in tables) for name in ("files_before", "bytes_before"))
    after = sum(row["bytes_after"] for row in tables)
    print(
        f"\nwritten: {files:,} files in {written:.1f} s; merged into"
        f" {sum(row['files_after'] for row in tables)}: {format_bytes(size)} became"
        f" {format_bytes(after)} in {seconds:.1f} s: {files / seconds:,.0f} files/s,"
        f" {size / seconds / 1e6:.1f} MB/s"
    )
    print(
        f"memory of the merge: {format_bytes(merge['before'])} after the imports,"
        f" {format_bytes(merge['peak'])} at the peak"
    )


def main() -> None:
    """Print the table, then merging and listing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=12_000)
    parser.add_argument("--listed", type=int, default=100_000)
    options = parser.parse_args()
    print(f"CPython {platform.python_version()}, {os.cpu_count()} processors")
    rows = observed(ProcessColumns.of(identify(), "shop", "1.2.3"))
    with tempfile.TemporaryDirectory() as folder:
        single = measure_files(rows, folder)
        place = os.path.join(folder, "merged")
        written = write_processes(rows, place, options.files)
        merge = measure_merge(place)
        print_tables(single, {row["table"]: row for row in merge["report"]["tables"]})
        print_merge(merge, written)
        if options.listed:
            listed = os.path.join(folder, "listed")
            checked, quick, count = measure_listing(rows["readings"], listed, options.listed)
            print(f"{count:,} files listed in {checked:.1f} s; without checks in {quick:.1f} s")


if __name__ == "__main__":
    main()
