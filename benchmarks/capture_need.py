"""What a forked capture takes of the memory of its control group, and what a measurement costs.

    python benchmarks/capture_need.py [--objects N]

Heaps of eight kinds are captured in a control group of version 1 with a high limit, which the user
must be allowed to make. Printed is, for each allocated block of the program: what the child writes to,
the same with the file that it writes, while that is not on the disk, and how long the capture takes.
`memlens.heap.capture.need` relies on these. The last line is the median of a measurement of the
headroom, as `triggers.before_limit` makes it.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import _leaking_program as program

from memlens.heap.capture.need import capture_need
from memlens.heap.capture.take import start_heap_snapshot
from memlens.process.headroom import HeadroomMeter

GROUPS = Path("/sys/fs/cgroup/memory")
KINDS = ("records", "instances", "lists", "strings", "cache", "threads", "references", "bytes")
# For each step of a kind: how many blocks, about, so that heaps have as many.
BLOCKS = {"records": 5, "instances": 7, "lists": 6, "threads": 17, "references": 2, "bytes": 1}
REFERENCES = 20
MEASUREMENTS = 2000


class Group:
    """A control group that this process enters."""

    def __init__(self, name):
        self.folder = GROUPS / f"memlens-{os.getpid()}-{name}"
        self.folder.mkdir()
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def used(self):
        """Return the resident memory, and all that counts, in bytes."""
        lines = (self.folder / "memory.stat").read_text().splitlines()
        values = dict(line.split() for line in lines)
        usage = int((self.folder / "memory.usage_in_bytes").read_text())
        return int(values["total_rss"]), usage


def measure(kind, objects):
    """Build a heap and capture it; print what that takes."""
    group = Group(kind)
    held = []
    for number in range(objects // BLOCKS.get(kind, 2)):
        if kind == "references":
            held.append([held] * REFERENCES)
        else:
            program.step(kind, number)
    blocks, before = sys.getallocatedblocks(), group.used()
    most = before
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        task = start_heap_snapshot(os.path.join(folder, "heap.memlens"))
        while not task.wait(0.002):
            most = tuple(map(max, most, group.used()))
        seconds = time.perf_counter() - started
        task.complete()
    resident, all_ = ((now - then) / blocks for now, then in zip(most, before, strict=True))
    print(
        f"{kind:12} {before[0] / 2**20:6.0f} MiB {blocks:10,} blocks  child {resident:4.0f}"
        f"  with its file {all_:4.0f} bytes a block  {1e6 * seconds / blocks:.2f} us a block",
        flush=True,
    )


def in_child(kind, objects):
    """Measure in a process of its own, so that heaps do not add up."""
    child = os.fork()
    if child == 0:
        try:
            measure(kind, objects)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    for _ in range(50):
        try:
            (GROUPS / f"memlens-{child}-{kind}").rmdir()
            return
        except OSError:
            time.sleep(0.1)


def main():
    """Measure all kinds, and a measurement of the headroom."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=1_500_000)
    options = parser.parse_args()
    print(platform.platform(), platform.python_version())
    for kind in KINDS:
        in_child(kind, options.objects if kind != "bytes" else 3000)
    meter, seconds = HeadroomMeter(), []
    for _ in range(MEASUREMENTS):
        started = time.perf_counter()
        meter.measure()
        seconds.append(time.perf_counter() - started)
    print(
        f"a measurement of the headroom: {1e6 * median(seconds):.0f} us; {capture_need(1_000_000)}"
    )


if __name__ == "__main__":
    main()
