"""Data structures with bounded memory, to replace the ones that grow.

=========================== ==============================================================
what grows                  use instead
=========================== ==============================================================
a dict as a cache           `LRUCache`, `cached`; `WeakValueCache` for shared objects
objects created repeatedly  `ObjectPool`, `BufferPool`
equal strings               `StringInterner`
a file read at once         `stream_json_lines`, `process_json_lines`, `process_csv`
a list of all items         `ChunkProcessor`
a list of measurements      `NumericTimeSeries`, `MultiSeries`
=========================== ==============================================================

Each works without the rest of memlens, needs only the standard library, and raises the built-in
errors of mappings and queues. `size_of` estimates the memory of a value.
"""

from __future__ import annotations

from memlens.structures.buffers import BufferPool
from memlens.structures.cached import CachedFunction, cached
from memlens.structures.chunks import ChunkProcessor
from memlens.structures.interner import InternerStats, StringInterner
from memlens.structures.lru import CacheStats, LRUCache
from memlens.structures.pool import Lease, ObjectPool, PoolStats, UnreleasedLease
from memlens.structures.series import MultiSeries, NumericTimeSeries
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
    "MultiSeries",
    "NumericTimeSeries",
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
