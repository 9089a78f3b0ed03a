"""memlens watches memlens: whatever it is asked again and again, no objects of any type become more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import memlens
from memlens import _core

ROUNDS, WARM_UP = 7, 2
PROGRAM = """
import collections, gc, json, logging, sys, tempfile, threading
import memlens
from memlens.errors import MemlensError
from memlens.structures import LRUCache, ObjectPool, StringInterner

logging.disable()
KEPT = {}

class Session:
    def __init__(self, number):
        self.number, self.items = number, [number, {"key": str(number)}]

def grow(count=200):
    for _ in range(count):
        KEPT[len(KEPT)] = Session(len(KEPT))

@memlens.profile_memory
def measured(count):
    return [bytes(100) for _ in range(count)]

def profiler_session(folder):
    with memlens.MemoryProfiler(
        folder, sample_interval=0.01, snapshot_interval=0.05, allocation_interval_bytes=4096,
        triggers=[memlens.triggers.on_memory_error()], on_alert=repr, on_file=repr,
    ) as profiler:
        for name in ("first", "second", "third"):
            grow()
            profiler.take_snapshot(name)
        report = profiler.report()
        str(report), report.to_dict(), report.to_html(f"{folder}/report.html")
        profiler.health(), profiler.metrics()
    refused(profiler.take_snapshot, 1)

def heap_session(folder):
    snapshots = []
    for number in range(3):
        grow()
        path = f"{folder}/{number}.memlens"
        snapshots.append(memlens.take_heap_snapshot(path, values=True))
    report = memlens.find_leaks(snapshots)
    str(report), report.to_dict()
    str(snapshots[0].compare(snapshots[2]))
    found = snapshots[2].select("*.Session")
    str(snapshots[2].path_to(found.largest(1)[0])), found.retained_bytes
    str(snapshots[2].duplicates()), str(snapshots[2].dominators())
    memlens.export(snapshots[2], f"{folder}/heap.heapsnapshot")
    memlens.load(f"{folder}/heap.heapsnapshot").summary()
    for value in (1, "", f"{folder}/absent", f"{folder}/report.html"):
        refused(memlens.load, value)
    refused(snapshots[0].select, 1)
    refused(memlens.find_leaks, [])

def other_session(folder):
    measured(100)
    with memlens.memory_block("block"):
        kept = [bytes(1000)] * 10
    with memlens.AllocationProfiler(interval_bytes=4096) as allocations:
        kept = [bytes(1000) for _ in range(100)]
    memlens.export(allocations.profile(), f"{folder}/profile.pb.gz")
    tracker = memlens.AllocationTracker()
    tracker.start()
    tracker.track("buffer", 1000)
    str(tracker.report())
    tracker.stop()
    memlens.read_memory(), memlens.breakdown(), memlens.stuck_tasks()
    memlens.retained_size(KEPT), str(memlens.why_alive(KEPT))
    with memlens.scope("request"):
        memlens.expect_collected(Session(1))
    memlens.register_native("app.Thing", lambda thing: ())
    memlens.unregister_native("app.Thing")
    cache, interner = LRUCache(10), StringInterner()
    for number in range(100):
        cache[number] = interner.intern(str(number))
    pool = ObjectPool(bytearray, max_size=3)
    with pool.lease():
        pass
    thread = threading.Thread(target=measured, args=[10])
    thread.start()
    thread.join()

def refused(function, *arguments):
    try:
        function(*arguments)
    except (MemlensError, TypeError, ValueError):
        return
    raise AssertionError(f"{function} took {arguments}")

def counts_by_type():
    gc.collect()
    graph = memlens.take_heap_snapshot(mode="inline").graph
    return collections.Counter(graph.type_of(node) for node in range(1, graph.node_count))

for _ in range(int(sys.argv[1])):
    with tempfile.TemporaryDirectory() as folder:
        profiler_session(folder), heap_session(folder), other_session(folder)
    KEPT.clear()
    print("counts", json.dumps(counts_by_type()))  # and keep nothing
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or _core.fork_capture is None, reason="needs a forked capture"
)


@pytest.mark.slow
def test_no_type_has_more_objects_after_each_round(tmp_path):
    root = Path(memlens.__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROUNDS)],
        env={**os.environ, "PYTHONPATH": str(root)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.removeprefix("counts ") for line in done.stdout.splitlines()]
    counts = [*map(json.loads, rows)][WARM_UP:]
    assert len(counts) == ROUNDS - WARM_UP
    assert sum(counts[0].values()) > 1000
    growing = {
        name: [one.get(name, 0) for one in counts]
        for name in set().union(*counts)
        if all(a.get(name, 0) < b.get(name, 0) for a, b in pairwise(counts))
    }
    assert growing == {}
    first, last = sum(counts[0].values()), sum(counts[-1].values())
    assert last < 1.01 * first, (first, last)
