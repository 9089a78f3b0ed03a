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
