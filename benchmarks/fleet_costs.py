"""What the tables of a fleet cost: bytes, files, the merge, an object store; by measured sizes.

    python benchmarks/fleet_costs.py [--pods N] [--top N] [--processes N] [--snapshots N]
        [--retention-days N] [--merged-days N]

Makes a day of a simulated fleet as unmerged files, merges them with ``memlens tables merge``, and
measures both. The rest is arithmetic for ``--processes`` processes with ``--snapshots`` snapshots a
day; prices are assumptions and are printed with the results.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measured_command import Measured, run_memlens
from benchmarks.simulated_fleet import Truth, make_fleet
from memlens.tables.merging import TARGET_BYTES
from memlens.tables.table_folder import list_tables

GB = 1e9
STORAGE_PRICE = 0.023  # dollars for a GB and month: an assumption
PUT_PRICE = 0.005  # dollars for 1,000 requests that write: an assumption
GET_PRICE = 0.0004  # dollars for 1,000 requests that read: an assumption
MONTH_DAYS = 30.0


def sizes(folder: str) -> tuple[Counter[str], Counter[str]]:
    """Return the bytes and the number of files of each table."""
    files = list_tables(folder).files
    return (
        Counter({name: sum(one.size_bytes for one in found) for name, found in files.items()}),
        Counter({name: len(found) for name, found in files.items()}),
    )


def merge(folder: str) -> Measured:
    """Merge a folder in a process of its own."""
    done = run_memlens(["tables", "merge", folder, "--older-than", "0"])
    if done.status:
        raise SystemExit(done.errors)
    return done


def table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print a table in Markdown."""
    print(f"\n{title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" + "---:|" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def print_sizes(
    truth: Truth,
    before: tuple[Counter[str], Counter[str]],
    after: tuple[Counter[str], Counter[str]],
) -> None:
    """Print bytes of a process-hour, before and after the merge."""
    total = sum(after[0].values())
    rows = [
        (
            name,
            f"{truth.rows[name] / truth.process_hours:.1f}",
            f"{before[0][name] / truth.process_hours:,.0f}",
            f"{after[0][name] / truth.process_hours:,.0f}",
            f"{after[0][name] / max(truth.rows[name], 1):.1f}",
            f"{100 * after[0][name] / total:.1f} %",
        )
        for name in truth.rows
    ]
    rows.append(
        (
            "all",
            f"{sum(truth.rows.values()) / truth.process_hours:.1f}",
            f"{sum(before[0].values()) / truth.process_hours:,.0f}",
            f"{total / truth.process_hours:,.0f}",
            f"{total / sum(truth.rows.values()):.1f}",
            "100 %",
        )
    )
    head = ("table", "rows", "bytes, small files", "bytes, merged", "bytes a row", "share")
    table("Of one process and hour:", head, rows)


def print_fleet(
    options: argparse.Namespace,
    truth: Truth,
    before: tuple[Counter[str], Counter[str]],
    after: tuple[Counter[str], Counter[str]],
) -> None:
    """Print bytes, files and dollars of a large fleet."""
    hours = options.processes * options.snapshots
    scale = hours / truth.process_hours
    small, merged = (sum(found[0].values()) * scale for found in (before, after))
    files_before = sum(before[1].values()) * scale
    files_after = sum(math.ceil(size * scale / TARGET_BYTES) for size in after[0].values() if size)
    kept = merged * options.retention_days
    rows = [
        ("bytes, small files", f"{small / GB:,.1f} GB"),
        ("bytes, merged", f"{merged / GB:,.1f} GB"),
        ("files, not merged", f"{files_before:,.0f}"),
        ("files, merged", f"{files_after:,.0f}"),
        (f"kept for {options.retention_days} days, merged", f"{kept / GB:,.0f} GB"),
    ]
    title = f"{options.processes:,} processes with {options.snapshots} snapshots a day, each day:"
    table(title, ("what", "value"), rows)
    puts = (files_before * PUT_PRICE / 1000, files_after * PUT_PRICE / 1000)
    gets = files_after * options.retention_days * 3 * GET_PRICE / 1000
    rows = [
        (
            "storage: GB kept x price",
            f"{kept / GB:,.0f} x {STORAGE_PRICE} $",
            f"{kept / GB * STORAGE_PRICE:,.2f} $ a month",
        ),
        (
            "writing each small file: files a day x 30 x price",
            f"{files_before:,.0f} x 30 x {PUT_PRICE}/1000 $",
            f"{puts[0] * MONTH_DAYS:,.2f} $ a month",
        ),
        (
            "writing merged files: files a day x 30 x price",
            f"{files_after:,.0f} x 30 x {PUT_PRICE}/1000 $",
            f"{puts[1] * MONTH_DAYS:,.2f} $ a month",
        ),
        (
            "reading all merged files: files kept x 3 x price",
            f"{files_after * options.retention_days:,.0f} x 3 x {GET_PRICE}/1000 $",
            f"{gets:,.3f} $ for each report",
        ),
    ]
    table("In an object store, at assumed prices:", ("what", "formula", "dollars"), rows)


def print_savings(truth: Truth, merged: Counter[str], thin: dict[str, Truth]) -> None:
    """Print what is saved by each setting, and by dropping each table."""
    total = sum(merged.values())
    rows = []
    for what, other in thin.items():
        left = sum(sizes(other.folder)[0].values()) / other.process_hours * truth.process_hours
        rows.append((what, 1 - left / total))
    rows += [(f"no {name}", merged[name] / total) for name in truth.rows]
    rows.append(("a snapshot every other hour", (total - merged["readings"]) / total / 2))
    rows.sort(key=lambda row: -row[1])
    texts = [(what, f"{share:.1%}") for what, share in rows]
    table("Saved of the merged bytes:", ("what is left out", "share"), texts)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--pods", type=int, default=100)
    parser.add_argument("--top", type=int, default=200)
    parser.add_argument("--reading-seconds", type=float, default=10.0)
    parser.add_argument("--processes", type=int, default=10_000)
    parser.add_argument("--snapshots", type=int, default=24)
    parser.add_argument("--retention-days", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memlens-costs-") as folder:
        knobs = {
            "days": 1,
            "unmerged_hours": 25.0,
            "has_faults": False,
            "pods": options.pods,
            "reading_seconds": options.reading_seconds,
        }
        truth = make_fleet(os.path.join(folder, "tables"), top=options.top, **knobs)
        merged_knobs = {**knobs, "unmerged_hours": 0.0, "top": options.top}
        thin = {
            what: make_fleet(os.path.join(folder, str(place)), **{**merged_knobs, **less})
            for place, (what, less) in enumerate(
                {
                    "half as many rows in each large table": {"top": options.top // 2},
                    "readings six times as rare": {"reading_seconds": 6 * options.reading_seconds},
                }.items()
            )
        }
        print(
            f"Measured: {truth.process_hours:,} process-hours of {truth.processes:,} processes;"
            f" {options.top} rows and the rest in each large table, a reading each"
            f" {options.reading_seconds:g} s."
        )
        before = sizes(truth.folder)
        done = merge(truth.folder)
        after = sizes(truth.folder)
        count = sum(before[1].values())
        print(
            f"The merge: {count:,} files to {sum(after[1].values())} in {done.seconds:.1f} s,"
            f" {done.cpu_seconds:.1f} s of CPU ({1000 * done.cpu_seconds / count:.2f} ms for each"
            f" file), peak memory {done.peak}."
        )
        print_sizes(truth, before, after)
        print_fleet(options, truth, before, after)
        print_savings(truth, after[0], thin)


if __name__ == "__main__":
    main()
