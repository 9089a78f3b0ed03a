"""What allocation profiles cover: greenlets and the resident memory that is not tracked."""

from __future__ import annotations

import pytest

from memlens.allocations.profiler import AllocationProfiler
from tests.core.sampler_child import run
from tests.sampler import need_sampler

need_sampler()


def test_allocations_are_attributed_to_their_own_greenlet() -> None:
    pytest.importorskip("greenlet")
    run(
        """
import greenlet
kept = []
def allocate(size):
    kept.append(bytes(size))
def deep(n, size, other):
    if n:
        deep(n - 1, size, other)
    else:
        for _ in range(50):
            allocate(size)
            other[0].switch()
def red(): deep(5, 1000, blues)
def blue(): deep(30, 2000, reds)
reds, blues = [None], [None]
main = greenlet.getcurrent()
sampler.start(1, 4096, 0)
for _ in range(20):
    reds[0], blues[0] = greenlet.greenlet(red), greenlet.greenlet(blue)
    reds[0].switch()
rows = [row for row in table() if row[0] and row[0][0][0].split(".")[-1] == "allocate"]
sums = {}
for stack, _, live_bytes, live_count, _, _ in rows:
    names = [frame[0].split(".")[-1] for frame in stack]
    callers = {"red", "blue"} & set(names)
    assert len(callers) == 1, names
    assert names.count("deep") == (6 if callers == {"red"} else 31), names
    sums[min(callers)] = sums.get(min(callers), 0) + live_bytes
sampler.stop()
reds_bytes = sum(len(b) + bytes().__sizeof__() for b in kept if len(b) == 1000)
blues_bytes = sum(len(b) + bytes().__sizeof__() for b in kept if len(b) == 2000)
assert reds_bytes <= sums["red"] < reds_bytes * 1.1, (sums, reds_bytes)
assert blues_bytes <= sums["blue"] < blues_bytes * 1.1, (sums, blues_bytes)
"""
    )


def test_buffers_of_numpy_are_reported_as_untracked() -> None:
    numpy = pytest.importorskip("numpy")
    with AllocationProfiler(1000) as profiler:
        before = profiler.profile()
        buffer = numpy.ones(100 << 17)  # 100 MiB, and touched
        after = profiler.profile()
    assert buffer[-1] == 1
    assert after.untracked_bytes is not None
    assert before.untracked_bytes is not None
    assert after.total.live_bytes - before.total.live_bytes < 1 << 20
    assert after.untracked_bytes - before.untracked_bytes > 95 << 20
    assert "not explained: native buffers (numpy)" in str(after)


def test_untracked_bytes_are_resident_memory_minus_the_live_estimate() -> None:
    with AllocationProfiler(1) as profiler:
        kept = [bytes(1 << 20) for _ in range(8)]
        profile = profiler.profile()
    assert len(kept) == 8
    assert profile.facts.rss_bytes is not None
    assert profile.untracked_bytes == profile.facts.rss_bytes - round(profile.total.live_bytes)
