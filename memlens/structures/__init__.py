<<<<<<< HEAD
"""Data structures that keep memory bounded; usable alone, on nothing but the standard library.

They raise the built-in errors that people expect of a mapping, a queue or a sequence.
=======
"""Structures that hold no more memory than they were given: the cure for what the profiler finds.

===================== ===================================================================
it grows              use
===================== ===================================================================
a dict as a cache     `LRUCache`, `cached`; `WeakValueCache` for objects that live anyway
the same object anew  `ObjectPool`, `BufferPool`
equal strings         `StringInterner`
a file read at once   `stream_json_lines`, `process_json_lines`, `process_csv`
a list of everything  `ChunkProcessor`
===================== ===================================================================

Each can be used alone, needs the standard library only, and raises the built-in errors of mappings
and queues. `size_of` estimates what a value holds.
>>>>>>> 8aeeaac (Structures with bounds: caches, pools, interner, streams)
"""

from __future__ import annotations

<<<<<<< HEAD
from memlens.structures.series import MultiSeries, NumericTimeSeries

__all__ = ("MultiSeries", "NumericTimeSeries")
=======
from memlens.structures.buffers import BufferPool
from memlens.structures.cached import CachedFunction, cached
from memlens.structures.chunks import ChunkProcessor
from memlens.structures.interner import InternerStats, StringInterner
from memlens.structures.lru import CacheStats, LRUCache
from memlens.structures.pool import Lease, ObjectPool, PoolStats, UnreleasedLease
from memlens.structures.sizing import size_of
from memlens.structures.streaming import (
    JsonLines,
    LineError,
    LinesResult,
    process_json_lines,
    stream_json_lines,
)
from memlens.structures.tables import CsvResult, process_csv
from memlens.structures.weak import WeakCacheStats, WeakValueCache

__all__ = (
    "BufferPool",
    "CacheStats",
    "CachedFunction",
    "ChunkProcessor",
    "CsvResult",
    "InternerStats",
    "JsonLines",
    "LRUCache",
    "Lease",
    "LineError",
    "LinesResult",
    "ObjectPool",
    "PoolStats",
    "StringInterner",
    "UnreleasedLease",
    "WeakCacheStats",
    "WeakValueCache",
    "cached",
    "process_csv",
    "process_json_lines",
    "size_of",
    "stream_json_lines",
)
>>>>>>> 8aeeaac (Structures with bounds: caches, pools, interner, streams)
