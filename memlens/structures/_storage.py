"""The storage of an `LRUCache`: entries within bounds of number, bytes and age, under one lock."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from typing import TypeVar

from memlens.structures._arguments import require_callable, require_count, require_seconds
from memlens.structures._entries import (
    ENTRY_BYTES,
    EXPIRES,
    GONE,
    KEY,
    SIZE,
    Entry,
    EntryTable,
    new_entry,
)
from memlens.structures._flights import ComputingMapping, Flight, FlightTable
from memlens.structures.sizing import size_of as default_size_of

__all__ = ("BoundedStorage",)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_EXPIRED_PER_STORE = 4  # more than a store adds, but no long pause


class BoundedStorage(ComputingMapping[K, V]):
    """Stores, evicts and expires entries; `LRUCache` adds the public methods and documents all."""

    def __init__(
        self,
        max_entries: int | None = 1000,
        max_bytes: int | None = None,
        ttl: float | None = None,
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
        smallest = 1 if size_of is not None else ENTRY_BYTES
        self._table = EntryTable(min(self._max_entries, self._max_bytes // smallest))
        self._flights: FlightTable[V] = FlightTable()
        self._hits = self._misses = self._evictions = self._expirations = self._oversized = 0

    def _put(self, key: K, value: V, ttl: float | None) -> None:
        """Store a value: in the entry of its key if possible, else in a new entry.

        An entry keeps its place in the heap unless it has to move to the front, or into the heap.
        It is changed without a call in between, since a finaliser may run after any call.
        """
        if ttl is None:
            now, expires = None, None
        else:
            now = self._clock()
            expires = now + ttl
        size_bytes = self._checked_size(key, value) if self._measured else 0
        if key not in self._table.by_key:
            self._store(new_entry(key, value, expires, size_bytes), now)
            return
        replaced = GONE
        dropped: list[tuple[K, V]] = []
        with self._lock:
            table = self._table
            entry = table.by_key.get(key)
            heap = table.heap
            if (
                entry is not None
                and (not heap if expires is None else entry[0] is not None and expires >= entry[0])
                and (not size_bytes or table.size_bytes + size_bytes - entry[4] <= self._max_bytes)
            ):
                try:
                    table.by_key.move_to_end(key)
                    replaced = entry[3]  # VALUE
                except KeyError:  # removed by a finaliser
                    pass
                if replaced is not GONE:
                    entry[3] = value  # before EXPIRES: peek() reads without the lock
                    entry[5] = expires
                    table.size_bytes += size_bytes - entry[4]  # SIZE
                    entry[4] = size_bytes
                    if self._flights.by_key:
                        self._flights.supersede(key)
                    if heap and now is not None and heap[0][0] <= now:  # DUE
                        self._pop_expired(now, _EXPIRED_PER_STORE, dropped)
        if replaced is GONE:
            self._store(new_entry(key, value, expires, size_bytes), now)
            return
        del replaced  # its destructor must run without the lock
        if dropped:
            self._report_evicted(dropped)

    def _checked_size(self, key: K, value: V) -> int:
        size_bytes = self._measure(key, value)
        if size_bytes > self._max_bytes:
            self._count_oversized()
            raise ValueError(
                f"the value of {key!r:.100} has {size_bytes:,} bytes, which exceeds max_bytes"
                f" ({self._max_bytes:,}): store a smaller value or increase max_bytes"
            )
        return size_bytes

    def _measure(self, key: K, value: V) -> int:
        if self._size_of is not None:
            return require_count("the result of size_of()", self._size_of(value), minimum=0)
        return default_size_of(key) + default_size_of(value) + ENTRY_BYTES

    def _store(self, entry: Entry, now: float | None, flight: Flight[V] | None = None) -> None:
        """Make room and add an entry. A computed entry is added only if its flight is current.

        ``now`` is the time, None if it was not read yet.
        """
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
            self._make_room(entry[SIZE], now, dropped)
            late = self._table.insert(entry)
        del replaced, late  # their destructors must run without the lock
        if dropped:
            self._report_evicted(dropped)

    def _make_room(self, size_bytes: int, now: float | None, dropped: list[tuple[K, V]]) -> None:
        table = self._table
        if table.heap:
            now = self._clock() if now is None else now
            self._pop_expired(now, _EXPIRED_PER_STORE, dropped)
        room_bytes = self._max_bytes - size_bytes
        by_key = table.by_key
        while by_key and (len(by_key) >= self._max_entries or table.size_bytes > room_bytes):
            pair = table.remove_least_used()
            if pair is not None:
                dropped.append(pair)
                self._evictions += 1

    def _keep(self, key: K, value: V, flight: Flight[V]) -> None:
        now = None if self._ttl is None else self._clock()
        expires = None if now is None or self._ttl is None else now + self._ttl
        size_bytes = self._measure(key, value) if self._measured else 0
        if size_bytes > self._max_bytes:
            self._count_oversized()
        else:
            self._store(new_entry(key, value, expires, size_bytes), now, flight)

    def _count_oversized(self) -> None:
        with self._lock:
            self._oversized += 1

    def _pop_expired(self, now: float, limit: int, dropped: list[tuple[K, V]]) -> None:
        expired = self._table.pop_expired(now, limit)
        self._expirations += len(expired)
        dropped += expired

    def _drop_expired(self, entry: Entry) -> None:
        dropped: list[tuple[K, V]] = []
        with self._lock:
            pair = self._table.remove(entry) if self._is_expired(entry) else None
            if pair is not None:
                dropped.append(pair)
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
