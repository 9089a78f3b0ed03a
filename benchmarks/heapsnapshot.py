"""How long a heap takes to become a ``.heapsnapshot`` and to be read from it, and in how much memory.

    python benchmarks/heapsnapshot.py [--objects N]

A heap of about ``--objects`` objects is saved as ``.memlens``. Each measurement is made three times in
a process of its own, the fastest counts: the export, the import, and for comparison ``json.dumps`` of
the same columns of numbers and ``save`` of the snapshot as ``.memlens``. The peak is that above the
memory of the process with the snapshot open.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from capture import build

import memlens

ROOT = str(Path(__file__).resolve().parent.parent)
ROUNDS = 3
MAX_EXPORT_SECONDS, MAX_IMPORT_SECONDS = 3.0, 10.0

BEGIN = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import memlens
source, target = sys.argv[2:4]

def resident(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name)) * 1024

def reset_peak():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
"""
OPEN = """
snapshot = memlens.load(source)
graph = snapshot.graph
graph.dominators, max(graph.edge_label), max(graph.node_address), max(graph.string(1))
"""
END = """
reset_peak()
before = resident("VmRSS")
start = time.perf_counter()
work()
print(time.perf_counter() - start, resident("VmHWM") - before)
"""
WORK = {
    "export": OPEN + "def work(): memlens.export(snapshot, target)",
    "import": "def work(): memlens.load(target).graph.dominators",
    "json.dumps": OPEN
    + """
zeros = [0] * graph.node_count
nodes = [graph.node_type, zeros, graph.node_address, graph.node_size, zeros, zeros, zeros]
edges = [graph.edge_label, graph.edge_label, graph.edge_target]
def work():
    for columns in (nodes, edges):
        json.dumps([number for row in zip(*columns) for number in row])
""",
    "save": OPEN + 'def work(): snapshot.save(target + ".memlens")',
}


class Measurement(NamedTuple):
    """The fastest of some rounds, and the largest peak."""

    seconds: float
    peak_bytes: int


def measure(name: str, source: str, target: str) -> Measurement:
    script = BEGIN + WORK[name] + END
    command = [sys.executable, "-c", script, ROOT, source, target]
    rounds = []
    for _ in range(ROUNDS):
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        taken, peak = output.split()
        rounds.append((float(taken), int(peak)))
    return Measurement(min(taken for taken, _ in rounds), max(peak for _, peak in rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "heap.memlens")
        target = os.path.join(folder, "heap.heapsnapshot")
        kept = build(arguments.objects)
        snapshot = memlens.take_heap_snapshot(source)
        print(
            f"Python {platform.python_version()}, {snapshot!r}, {snapshot.edge_count:,} references"
        )
        del kept, snapshot
        found = {name: measure(name, source, target) for name in WORK}
        print(f"file of {os.path.getsize(target) / 1e6:.0f} MB")
    saved = found["save"].seconds
    for name, (taken, peak) in found.items():
        print(f"  {name:10} {taken:6.2f} s {taken / saved:7.1f} x save {peak / 1e6:7.0f} MB more")
    failed = (
        found["export"].seconds > MAX_EXPORT_SECONDS or found["import"].seconds > MAX_IMPORT_SECONDS
    )
    sys.exit("slower than intended" if failed else 0)


if __name__ == "__main__":
    main()
