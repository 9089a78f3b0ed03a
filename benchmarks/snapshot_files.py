"""How fast snapshots are asked: two compared, and a large file opened for its largest objects.

    python benchmarks/snapshot_files.py [--objects N] [--large N]

Two snapshots of about ``--objects`` objects are compared, with a tenth of the objects replaced in
between; the first time works all out, later times find part of it remembered. Then a file of about
``--large`` objects (0: none) is written by a forked child and opened: ``load(path).largest(10)``,
without and with the first look at what it found, each time in a new process.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from capture import build

import memlens

OPEN = """
import sys, time
sys.path.insert(0, sys.argv[2])
import memlens
start = time.perf_counter()
found = memlens.load(sys.argv[1]).largest(10)
took = time.perf_counter() - start
text = str(found)
print(took, time.perf_counter() - start, len(found))
"""


def time_comparison(objects: int, folder: str) -> None:
    """Print what a comparison takes; the snapshots come from files, as they mostly do."""
    paths = [os.path.join(folder, name) for name in ("before.memlens", "after.memlens")]
    kept = build(objects)
    memlens.take_heap_snapshot(paths[0])
    kept[: len(kept) // 10] = build(objects // 10)
    memlens.take_heap_snapshot(paths[1])
    before, after = (memlens.load(path) for path in paths)
    start = time.perf_counter()
    comparison = before.compare(after)
    first = time.perf_counter() - start
    start = time.perf_counter()
    before.compare(after)
    again = time.perf_counter() - start
    new = sum(change.new_count for change in comparison)
    print(
        f"comparison of {before.object_count:,} with {after.object_count:,} objects ({new:,} new in it)"
    )
    print(f"  first time {first * 1e3:8.1f} ms")
    print(f"  again      {again * 1e3:8.1f} ms")


def time_opening(objects: int, folder: str) -> None:
    """Print what opening a large file takes, in a process of its own."""
    path = os.path.join(folder, "large.memlens")
    kept = build(objects)
    taken = memlens.take_heap_snapshot(path)
    root = str(Path(__file__).resolve().parent.parent)
    command = [sys.executable, "-c", OPEN, path, root]
    outputs = [subprocess.run(command, check=True, capture_output=True) for _ in range(3)]
    found, shown = ([float(o.stdout.split()[i]) for o in outputs] for i in (0, 1))
    print(f"load(path).largest(10) of {taken.object_count:,} objects ({_megabytes(path)})")
    print(f"  found      {min(found) * 1e3:8.1f} ms")
    print(f"  and shown  {min(shown) * 1e3:8.1f} ms")
    del kept


def _megabytes(path: str) -> str:
    return f"{os.path.getsize(path) / 1e6:.0f} MB"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, default=10_000_000)
    options = parser.parse_args()
    print(f"CPython {platform.python_version()}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as folder:
        time_comparison(options.objects, folder)
        if options.large:
            time_opening(options.large, folder)


if __name__ == "__main__":
    main()
