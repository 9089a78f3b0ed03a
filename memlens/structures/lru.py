"""A cache bounded by entries, bytes and age."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple, TypeVar, cast, overload

from memlens.structures._arguments import require_callable, require_count, require_seconds
from memlens.structures._entries import (
    ENTRY_BYTES,
    EXPIRES,
    GONE,
    KEY,
    SIZE,
    VALUE,
    Entry,
    EntryTable,
    new_entry,
)
from memlens.structures._flights import ComputingMapping, Flight, FlightTable
from memlens.structures.sizing import size_of as default_size_of

__all__ = ("CacheStats", "LRUCache")

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

_EXPIRED_PER_STORE = 4  # more than a store adds, but no long pause
_MISSING: Any = object()
_ABSENT: Any = object()
_OWN_TTL: Any = object()


class CacheStats(NamedTuple):
    """The content of a cache, and its counts since creation."""

    entries: int
    bytes: int
    hits: int
    misses: int
    evictions: int  # to make room
    expirations: int  # because of their age
    oversized: int  # values not stored because they exceed ``max_bytes`` alone

    @property
    def hit_rate(self) -> float:
        """The fraction of lookups that found a value, 0.0 to 1.0."""
        return self.hits / (self.hits + self.misses) if self.hits else 0.0


class LRUCache(ComputingMapping[K, V]):
    """A thread-safe mapping that evicts the least recently used entries and entries of old age.

    **Use it** in place of a ``dict`` that stores results, sessions or parsed files. It has at most
    ``max_entries`` entries and ``max_bytes`` bytes, and drops entries after ``ttl`` seconds. None
    disables a bound, but one of the first two is required. For values that other code keeps alive
    use `WeakValueCache`, for results of a function `cached`.

    **Bytes** of an entry are by default the sizes of key and value (`size_of`) when they are
    stored, plus 432 bytes for the entry itself. The result of your own ``size_of(value)`` is used
    unchanged, in the unit of ``max_bytes``. Without ``max_bytes`` and ``size_of`` nothing is
    measured until ``stats()``, which then measures every entry.

    **Cost**: a hit is O(1), about 0.3 µs. A store is O(log n) in the expiry heap, and O(1) in
    practice if all entries have the same ``ttl``. Expired entries are never returned. Each store
    drops a few of them, ``len()`` and ``expire()`` drop all.

    ``on_evict(key, value)`` is called for each entry that the cache drops because of a bound, not
    for entries that the caller deletes or replaces. It runs in the thread that caused the drop,
    without the lock, and may use the cache. If it raises, the cache stays consistent, the other
    dropped entries are still reported, and the method that caused the drop raises the error.

    ``size_of``, ``compute`` and destructors of dropped values also run without the lock. ``clock``
    and, as in any dict, ``__hash__`` and ``__eq__`` of keys run with the lock, so they must not
    wait for other threads. Iteration uses a copy, from the least to the most recently used entry.
    Iteration, ``in`` and ``peek`` do not mark entries as used.

    Raises ValueError for bounds out of range and for a value that exceeds ``max_bytes`` alone (the
    cache stays unchanged), TypeError for arguments of the wrong type.
    """

    def __init__(
        self,
        max_entries: int | None = 1000,
        max_bytes: int | None = None,
        ttl: float | None = 3600.0,
        size_of: Callable[[V], int] | None = None,
        on_evict: Callable[[K, V], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_entries is None and max_bytes is None:
            raise ValueError(
                "max_entries or max_bytes is required: a cache without bounds is a memory leak"
            )
        for name, function in (("size_of", size_of), ("on_evict", on_evict), ("clock", clock)):
            if function is not None:
                require_callable(name, function)
        self._max_entries = (
            sys.maxsize if max_entries is None else require_count("max_entries", max_entries)
        )
        self._max_bytes = (
            sys.maxsize if max_bytes is None else require_count("max_bytes", max_bytes)
        )
        self._ttl = None if ttl is None else require_seconds("ttl", ttl)
        self._measured = max_bytes is not None or size_of is not None
        self._size_of = size_of
        self._on_evict = on_evict
        self._clock = clock
        # Reentrant: at any time the garbage collector may run a finaliser that uses this cache.
        self._lock = threading.RLock()
        self._table = EntryTable()
        self._flights: FlightTable[V] = FlightTable()
        self._hits = self._misses = self._evictions = self._expirations = self._oversized = 0

    # Looking up

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: V) -> V: ...
    @overload
    def get(self, key: K, default: T) -> V | T: ...
    def get(self, key: K, default: object = None) -> object:
        """Return the value and mark it as used; ``default`` if there is none or it expired."""
        with self._lock:
            by_key = self._table.by_key
            entry = by_key.get(key)
            if entry is not None and (entry[0] is None or self._clock() < entry[0]):  # EXPIRES
                by_key.move_to_end(key)
                self._hits += 1
                return entry[3]  # VALUE
            self._misses += 1
        if entry is not None:
            self._drop_expired(entry)
        return default

    def __getitem__(self, key: K) -> V:
        value: V = self.get(key, _MISSING)
        if value is _MISSING:
            raise KeyError(key)
        return value

    @overload
    def peek(self, key: K) -> V | None: ...
    @overload
    def peek(self, key: K, default: T) -> V | T: ...
    def peek(self, key: K, default: object = None) -> object:
        """Return the value like ``get``, without marking it as used or counting a hit."""
        entry = self._table.by_key.get(key)
        if entry is None or self._is_expired(entry):
            return default
        value = entry[VALUE]
        return default if value is GONE else value

    def __len__(self) -> int:
        self.expire()
        return len(self._table.by_key)

    def _pairs(self) -> Iterator[tuple[K, V]]:
        now = self._clock()
        with self._lock:
            entries = list(self._table.by_key.values())
        for entry in entries:
            key, value = entry[KEY], entry[VALUE]
            if value is not GONE and (entry[EXPIRES] is None or now < entry[EXPIRES]):
                yield key, value

    # Storing

    def __setitem__(self, key: K, value: V) -> None:
        self.set(key, value)

    def set(self, key: K, value: V, ttl: float | None = _OWN_TTL) -> None:
        """Store a value. ``ttl`` in seconds replaces that of the cache; None: never expires."""
        entry = self._new_entry(key, value, ttl)
        if entry[SIZE] > self._max_bytes:
            self._count_oversized()
            raise ValueError(
                f"the value of {key!r:.100} has {entry[SIZE]:,} bytes, which exceeds max_bytes"
                f" ({self._max_bytes:,}): store a smaller value or increase max_bytes"
            )
        self._store(entry)

    def setdefault(self, key: K, default: V | None = None) -> V:
        """Return the value of ``key``; if there is none, store and return ``default``."""
        return self.get_or_compute(key, lambda: cast("V", default))

    def _new_entry(self, key: K, value: V, ttl: float | None) -> Entry:
        if ttl is _OWN_TTL:
            ttl = self._ttl
        elif ttl is not None:
            ttl = require_seconds("ttl", ttl)
        expires = None if ttl is None else self._clock() + ttl
        size_bytes = self._measure(key, value) if self._measured else 0
        return new_entry(key, value, expires, size_bytes)

    def _measure(self, key: K, value: V) -> int:
        if self._size_of is not None:
            return require_count("the result of size_of()", self._size_of(value), minimum=0)
        return default_size_of(key) + default_size_of(value) + ENTRY_BYTES

    def _store(self, entry: Entry, flight: Flight[V] | None = None) -> None:
        """Make room and add an entry. A computed entry is added only if its flight is current."""
        dropped: list[tuple[K, V]] = []
        replaced = None
        with self._lock:
            if flight is None:
                if self._flights.by_key:
                    self._flights.supersede(entry[KEY])
            elif not self._flights.is_current(entry[KEY], flight):
                return
            old = self._table.by_key.get(entry[KEY])
            replaced = None if old is None else self._table.remove(old)
            self._make_room(entry[SIZE], dropped)
            late = self._table.insert(entry)
        del replaced, late  # their destructors must run without the lock
        if dropped:
            self._report_evicted(dropped)

    def _make_room(self, size_bytes: int, dropped: list[tuple[K, V]]) -> None:
        table = self._table
        if table.may_expire():
            self._pop_expired(self._clock(), _EXPIRED_PER_STORE, dropped)
        room_bytes = self._max_bytes - size_bytes
        by_key = table.by_key
        while by_key and (len(by_key) >= self._max_entries or table.size_bytes > room_bytes):
            dropped.append(table.remove_least_used())
            self._evictions += 1

    def _keep(self, key: K, value: V, flight: Flight[V]) -> None:
        entry = self._new_entry(key, value, _OWN_TTL)
        if entry[SIZE] > self._max_bytes:
            self._count_oversized()
        else:
            self._store(entry, flight)

    def _count_oversized(self) -> None:
        with self._lock:
            self._oversized += 1

    # Removing

    def __delitem__(self, key: K) -> None:
        self.pop(key)

    def delete(self, key: K) -> bool:
        """Remove ``key``; return whether it was there."""
        return self.pop(key, _ABSENT) is not _ABSENT

    @overload
    def pop(self, key: K) -> V: ...
    @overload
    def pop(self, key: K, default: V) -> V: ...
    @overload
    def pop(self, key: K, default: T) -> V | T: ...
    def pop(self, key: K, default: object = _MISSING) -> object:
        """Remove ``key`` and return its value. If there is none: ``default``, or KeyError."""
        with self._lock:
            self._flights.supersede(key)
            entry = self._table.by_key.get(key)
            if entry is not None and not self._is_expired(entry):
                return self._table.remove(entry)[1]
        if entry is not None:
            self._drop_expired(entry)
        if default is _MISSING:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[K, V]:
        """Remove and return the least recently used (key, value). KeyError if empty."""
        self.expire()
        with self._lock:
            if self._table.by_key:
                return self._table.remove_least_used()
        raise KeyError("popitem(): the cache is empty")

    def clear(self) -> None:
        """Remove all entries without calling ``on_evict``. The counts of `stats` continue."""
        with self._lock:
            emptied, self._table = self._table, EntryTable()
            self._flights.by_key.clear()
        del emptied

    def expire(self) -> int:
        """Drop all expired entries; return their number."""
        dropped: list[tuple[K, V]] = []
        with self._lock:
            if self._table.may_expire():
                self._pop_expired(self._clock(), sys.maxsize, dropped)
        self._report_evicted(dropped)
        return len(dropped)

    def _pop_expired(self, now: float, limit: int, dropped: list[tuple[K, V]]) -> None:
        while limit > 0 and (pair := self._table.pop_expired(now)) is not None:
            dropped.append(pair)
            self._expirations += 1
            limit -= 1

    def _drop_expired(self, entry: Entry) -> None:
        dropped: list[tuple[K, V]] = []
        with self._lock:
            if entry[VALUE] is not GONE and self._table.by_key.get(entry[KEY]) is entry:
                dropped.append(self._table.remove(entry))
                self._expirations += 1
        self._report_evicted(dropped)

    def _is_expired(self, entry: Entry) -> bool:
        return entry[EXPIRES] is not None and self._clock() >= entry[EXPIRES]

    def _report_evicted(self, dropped: list[tuple[K, V]]) -> None:
        if self._on_evict is None or not dropped:
            return
        with ExitStack() as calls:  # makes all calls even if one of them raises
            for key, value in reversed(dropped):
                calls.callback(self._on_evict, key, value)

    # Statistics

    def stats(self) -> CacheStats:
        """Return content and counts. Measures all entries if they were not measured before."""
        self.expire()
        with self._lock:
            table = self._table
            stats = CacheStats(
                entries=len(table.by_key),
                bytes=table.size_bytes,
                hits=self._hits,
                misses=self._misses,
                evictions=self._evictions,
                expirations=self._expirations,
                oversized=self._oversized,
            )
        if self._measured:
            return stats
        return stats._replace(bytes=sum(self._measure(key, value) for key, value in self._pairs()))

    def __repr__(self) -> str:
        bounds = [f"{len(self._table.by_key)} entries"]
        if self._max_entries != sys.maxsize:
            bounds.append(f"max_entries={self._max_entries}")
        if self._max_bytes != sys.maxsize:
            bounds.append(f"max_bytes={self._max_bytes}")
        return f"<{type(self).__name__} {', '.join(bounds)}, ttl={self._ttl}>"
