"""A cache bounded by entries, bytes and age."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple, TypeVar, cast, overload

from memlens.structures._arguments import require_seconds
from memlens.structures._entries import (
    EXPIRES,
    GONE,
    KEY,
    VALUE,
    EntryTable,
)
from memlens.structures._storage import BoundedStorage

__all__ = ("CacheStats", "LRUCache")

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

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


class LRUCache(BoundedStorage[K, V]):
    """A thread-safe mapping that evicts the least recently used entries and entries of old age.

    **Use it** in place of a ``dict`` that stores results, sessions or parsed files. It has at most
    ``max_entries`` entries and ``max_bytes`` bytes; one of the two bounds is required. Entries do not
    expire by age unless ``ttl`` is given, in seconds. For values that other code keeps alive use
    `WeakValueCache`, for results of a function `cached`.

    **Bytes** of an entry are by default the sizes of key and value (`size_of`) when they are
    stored, plus 464 bytes for the entry itself. The result of your own ``size_of(value)`` is used
    unchanged, in the unit of ``max_bytes``. Without ``max_bytes`` and ``size_of`` nothing is
    measured until ``stats()``, which then measures every entry.

    **Cost**: a hit is O(1), about 0.3 µs. Storing a new key is O(log n) in the expiry heap, and
    O(1) in practice if all entries have the same ``ttl``. Storing a value under an existing key is
    O(1), about 0.6 µs. Expired entries are never returned. Each store
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
            if entry is not None and (entry[5] is None or self._clock() < entry[5]):  # EXPIRES
                value = entry[3]  # VALUE
                if value is not GONE:  # else a finaliser has just removed it
                    self._hits += 1
                    try:
                        by_key.move_to_end(key)
                    except KeyError:  # a finaliser has removed it since
                        pass
                    return value
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
            pairs = [
                (entry[KEY], entry[VALUE])
                for entry in self._table.by_key.values()
                if entry[EXPIRES] is None or now < entry[EXPIRES]
            ]
        return iter(pairs)

    # Storing

    def __setitem__(self, key: K, value: V) -> None:
        self._put(key, value, self._ttl)

    def set(self, key: K, value: V, ttl: float | None = _OWN_TTL) -> None:
        """Store a value. ``ttl`` in seconds replaces that of the cache; None: never expires."""
        if ttl is _OWN_TTL:
            ttl = self._ttl
        elif ttl is not None:
            ttl = require_seconds("ttl", ttl)
        self._put(key, value, ttl)

    def setdefault(self, key: K, default: V | None = None) -> V:
        """Return the value of ``key``; if there is none, store and return ``default``."""
        return self.get_or_compute(key, lambda: cast("V", default))

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
                pair = self._table.remove(entry)
                if pair is not None:
                    return pair[1]
        if entry is not None:
            self._drop_expired(entry)
        if default is _MISSING:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[K, V]:
        """Remove and return the least recently used (key, value). KeyError if empty."""
        self.expire()
        with self._lock:
            while self._table.by_key:
                pair = self._table.remove_least_used()
                if pair is not None:
                    return pair
        raise KeyError("popitem(): the cache is empty")

    def clear(self) -> None:
        """Remove all entries without calling ``on_evict``. The counts of `stats` continue."""
        with self._lock:
            emptied, self._table = self._table, EntryTable(self._table.max_entries)
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
