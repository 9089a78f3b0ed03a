"""The entries of an `LRUCache`, in two orders: by last use and by expiry.

An entry is a plain list because lists are compared in C. No Python code runs inside ``heappush`` and
``heappop``, so no finaliser can change the heap during them. `SERIAL` is unique, so a comparison
never reaches the key.

The heap is ordered by `DUE`, which must not change while an entry is in the heap. Storing a new value
under an existing key changes `EXPIRES` only; an entry that is due but has not expired goes back into
the heap. A finaliser may run after any call and use the cache, so each method checks for `GONE` after
its last call and then changes the entry without another call.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from itertools import count
from typing import Any

__all__ = (
    "DUE",
    "ENTRY_BYTES",
    "EXPIRES",
    "GONE",
    "KEY",
    "SERIAL",
    "SIZE",
    "VALUE",
    "Entry",
    "EntryTable",
    "new_entry",
)

DUE, SERIAL, KEY, VALUE, SIZE, EXPIRES = range(6)
GONE: Any = object()  # key and value of a removed entry
# The bytes of an entry without key and value: the list 120, its numbers 112, its share of the ordered
# dict just after a resize 135, its share of the heap with stale entries 65. The rest is a margin for
# differences between Python versions.
ENTRY_BYTES = 464
_STALE_ALLOWED = 64

_SERIALS = count()

Entry = list[Any]


def new_entry(key: object, value: object, expires: float | None, size_bytes: int) -> Entry:
    """Return a new entry that is not in a table."""
    return [expires, next(_SERIALS), key, value, size_bytes, expires]


class EntryTable:
    """Entries by key, by use and by expiry, and the sum of their sizes. Has no lock and no clock.

    Methods return removed pairs, so that the caller can drop them outside of its lock.
    ``max_entries`` is the most that its owner keeps in it. The table does not enforce it: it is here
    so that a memory profiler finds the bound beside the containers.
    """

    __slots__ = ("_stale", "by_key", "heap", "max_entries", "size_bytes")

    def __init__(self, max_entries: int) -> None:
        self.max_entries = max_entries
        self.by_key: OrderedDict[Any, Entry] = OrderedDict()  # least recently used first
        self.size_bytes = 0
        self.heap: list[Entry] = []
        self._stale = 0  # removed entries that are still in the heap

    def insert(self, entry: Entry) -> list[tuple[Any, Any]]:
        """Add an entry as the most recently used one; return the pairs that it replaced."""
        # A loop instead of an assignment: a finaliser may store the same key between two calls.
        replaced = []
        while (other := self.by_key.setdefault(entry[KEY], entry)) is not entry:
            pair = self.remove(other)
            if pair is not None:
                replaced.append(pair)
        self.size_bytes += entry[SIZE]
        if entry[DUE] is not None:
            heapq.heappush(self.heap, entry)
        return replaced

    def remove(self, entry: Entry, *, in_heap: bool = True) -> tuple[Any, Any] | None:
        """Remove an entry and return its key and value; None if it was removed already."""
        if entry[KEY] is GONE:
            return None
        found = self.by_key.pop(entry[KEY], None)
        if found is not entry:  # a finaliser has replaced it
            if found is not None:
                self.by_key.setdefault(found[KEY], found)
            return None
        self.size_bytes -= entry[SIZE]
        pair = (entry[KEY], entry[VALUE])
        entry[KEY] = entry[VALUE] = GONE
        if in_heap and entry[DUE] is not None:
            self._stale += 1
            if self._stale > _STALE_ALLOWED + len(self.by_key) // 2:
                self._sweep()
        return pair

    def remove_least_used(self) -> tuple[Any, Any] | None:
        """Remove the least recently used entry and return its pair; None if there is none."""
        entry = next(iter(self.by_key.values()), None)
        return None if entry is None else self.remove(entry)

    def pop_expired(self, now: float, limit: int) -> list[tuple[Any, Any]]:
        """Remove expired entries and return their pairs; visits at most ``limit`` entries."""
        expired = []
        heap = self.heap
        while limit > 0 and heap and (heap[0][VALUE] is GONE or heap[0][DUE] <= now):
            limit -= 1
            entry = heapq.heappop(heap)
            if entry[VALUE] is GONE:
                self._stale -= 1
            elif entry[EXPIRES] is None:
                entry[DUE] = None
            elif entry[EXPIRES] > now:
                entry[DUE] = entry[EXPIRES]
                heapq.heappush(heap, entry)
            elif (pair := self.remove(entry, in_heap=False)) is not None:
                expired.append(pair)
        return expired

    def may_expire(self) -> bool:
        """Return whether any entry can expire."""
        return bool(self.heap)

    def _sweep(self) -> None:
        self.heap[:] = [entry for entry in self.heap if entry[VALUE] is not GONE]
        heapq.heapify(self.heap)
        self._stale = 0
