"""The structures of memlens in use, for allocations that fail: bounds hold, and nothing is lost."""

from __future__ import annotations

import io
from typing import Any

from memlens.structures import (
    BufferPool,
    ChunkProcessor,
    LRUCache,
    MultiSeries,
    NumericTimeSeries,
    ObjectPool,
    StringInterner,
    WeakValueCache,
    cached,
    process_json_lines,
)

__all__ = ("Structures",)


class Shared:
    """What a weak cache and a pool hold."""


@cached(max_entries=4)
def squares(number: int) -> int:
    """What is kept for the newest arguments."""
    return number * number


def ordered(numbers: list[int]) -> list[int]:
    """What is done with each chunk."""
    return sorted(numbers)


class Structures:
    """One of each structure, in use over all trials."""

    def __init__(self) -> None:
        self.cache: LRUCache[int, bytes] = LRUCache(5, size_of=len, max_bytes=1000)
        self.weak: WeakValueCache[int, Shared] = WeakValueCache(2)
        self.pool: ObjectPool[Shared] = ObjectPool(Shared, max_size=3)
        self.buffers = BufferPool(1024, 2)
        self.interner = StringInterner(10)
        self.series = NumericTimeSeries(8)
        self.many = MultiSeries(("a", "b"), 8)

    def use(self) -> Any:
        """Use each a little; nothing is kept but what they keep.

        No tasks: an event loop of asyncio waits for ever where a step of a task could not be run.
        """
        self.series.clear()
        self.many.clear()
        for number in range(8):
            self.cache.set(number, bytes(number * 10))
            self.interner.intern(f"text {number}")
            self.series.add(float(number), float(number))
            self.many.add(float(number), (1.0, 2.0))
        value = self.cache.get_or_compute(99, lambda: b"computed")
        shared = self.weak.get_or_compute(1, Shared)
        with self.pool.lease() as one, self.pool.lease() as other, self.buffers.lease() as buffer:
            seen = one is not other, len(buffer)
        lines = process_json_lines(io.StringIO("1\n2\n3\n"), abs, keep_results=True).results
        chunks = list(ChunkProcessor(ordered, batch_size=2).process([3, 1, 2]))
        answers = [squares(number) for number in range(6)]
        return value, shared is not None, seen, lines, chunks, answers

    def check(self) -> list[str]:
        """Bounds hold, counts agree with what is there, nothing is lent for ever."""
        items = dict(self.cache.items())
        stats = self.cache.stats()
        problems = [
            f"{name}: {found} where {expected} is right"
            for name, found, expected in (
                ("entries of the cache", len(self.cache), len(items)),
                ("entries in its statistics", stats.entries, len(items)),
                ("bytes of the cache", stats.bytes, sum(map(len, items.values()))),
                ("objects in use", self.pool.stats().leased, 0),
                ("buffers in use", self.buffers.stats().leased, 0),
                ("points of each series", len(self.many) <= 8, len(self.series) <= 8),
            )
            if found != expected
        ]
        if len(items) > 5 or self.interner.stats().entries > 10:
            problems.append("the cache is larger than its bound")
        lent = [self.pool.acquire(timeout=0) for _ in range(3)]  # a place that is lost raises
        for one in lent:
            self.pool.release(one)
        return problems
