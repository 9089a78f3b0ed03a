"""Captures that several threads ask for at the same time."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import threading
import memlens

alone = memlens.take_heap_snapshot(mode="inline").object_count
counts, start = [], threading.Barrier(3)

def capture():
    start.wait()
    counts.append(memlens.take_heap_snapshot(mode="inline"))

threads = [threading.Thread(target=capture) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(alone, *(snapshot.object_count for snapshot in counts))
print(*(snapshot.graph.facts["gc_enabled"] for snapshot in counts))
"""


@pytest.mark.parametrize("pure", ["0", "1"], ids=["C", "pure"])
def test_none_contains_what_another_one_builds(pure):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "MEMLENS_PURE": pure},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    counts, enabled = done.stdout.splitlines()
    alone, *together = map(int, counts.split())
    assert len(together) == 3
    assert all(alone <= count < alone + 1000 for count in together), (alone, together)
    assert enabled.split() == 3 * ["True"], "a capture has seen the collector off"


ANALYSIS = """
import sys
import threading
import memlens

before = memlens.take_heap_snapshot(mode="inline")
kept = [[] for _ in range(1000)]
pair = [before, memlens.take_heap_snapshot(mode="inline")]
started = threading.Event()

def analyse():
    started.set()
    for _ in range(2):
        memlens.find_leaks([memlens.HeapSnapshot.load(path) for path in sys.argv[1:]])

for snapshot, path in zip(pair, sys.argv[1:]):
    snapshot.save(path)
thread = threading.Thread(target=analyse)
thread.start()
started.wait()
counts = [memlens.take_heap_snapshot(mode="inline").object_count for _ in range(4)]
thread.join()
print(pair[1].object_count, *counts)
"""


def test_a_capture_does_not_contain_what_an_analysis_builds_meanwhile(tmp_path):
    paths = [str(tmp_path / f"{number}.memlens") for number in range(2)]
    done = subprocess.run(
        [sys.executable, "-c", ANALYSIS, *paths],
        env={**os.environ, "MEMLENS_PURE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    alone, *during = map(int, done.stdout.split())
    assert max(during) < 1.5 * alone, (alone, during)  # the modules that it imports count
