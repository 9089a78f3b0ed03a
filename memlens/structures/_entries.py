"""The entries of an `LRUCache`, in two orders: by last use and by expiry.

An entry is a plain list because lists are compared in C. No Python code runs inside ``heappush`` and
``heappop``, so no finaliser can change the heap during them. `SERIAL` is unique, so a comparison
never reaches the key.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from itertools import count
from typing import Any

__all__ = (
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

EXPIRES, SERIAL, KEY, VALUE, SIZE = range(5)
GONE: Any = object()  # key and value of a removed entry that is still in the heap
# The bytes of an entry without key and value: the list 112, its numbers 88, its share of the ordered
# dict just after a resize 135, its share of the heap with stale entries 65. The rest was measured on
# Python 3.10.
ENTRY_BYTES = 432
_STALE_ALLOWED = 64

_SERIALS = count()

Entry = list[Any]


def new_entry(key: object, value: object, expires: float | None, size_bytes: int) -> Entry:
    """Return a new entry that is not in a table."""
    return [expires, next(_SERIALS), key, value, size_bytes]


class EntryTable:
    """Entries by key, by use and by expiry, and the sum of their sizes. Has no lock and no clock.

    Methods return removed pairs, so that the caller can drop them outside of its lock.
    """

    __slots__ = ("_heap", "_stale", "by_key", "size_bytes")

    def __init__(self) -> None:
        self.by_key: OrderedDict[Any, Entry] = OrderedDict()  # least recently used first
        self.size_bytes = 0
        self._heap: list[Entry] = []
        self._stale = 0  # removed entries that are still in the heap

    def insert(self, entry: Entry) -> list[tuple[Any, Any]]:
        """Add an entry as the most recently used one; return the pairs that it replaced."""
        # A loop instead of an assignment: a finaliser may store the same key between two calls.
        replaced = []
        while (other := self.by_key.setdefault(entry[KEY], entry)) is not entry:
            replaced.append(self.remove(other))
        self.size_bytes += entry[SIZE]
        if entry[EXPIRES] is not None:
            heapq.heappush(self._heap, entry)
        return replaced

    def remove(self, entry: Entry, *, in_heap: bool = True) -> tuple[Any, Any]:
        """Remove an entry of the table and return its key and value."""
        del self.by_key[entry[KEY]]
        self.size_bytes -= entry[SIZE]
        pair = (entry[KEY], entry[VALUE])
        if in_heap and entry[EXPIRES] is not None:
            entry[KEY] = entry[VALUE] = GONE
            self._stale += 1
            if self._stale > _STALE_ALLOWED + len(self.by_key) // 2:
                self._sweep()
        return pair

    def remove_least_used(self) -> tuple[Any, Any]:
        """Remove the least recently used entry and return its pair. The table must not be empty."""
        return self.remove(next(iter(self.by_key.values())))

    def pop_expired(self, now: float) -> tuple[Any, Any] | None:
        """Remove one expired entry and return its pair; None if there is none."""
        heap = self._heap
        while heap and (heap[0][VALUE] is GONE or heap[0][EXPIRES] <= now):
            entry = heapq.heappop(heap)
            if entry[VALUE] is GONE:
                self._stale -= 1
            else:
                return self.remove(entry, in_heap=False)
        return None

    def may_expire(self) -> bool:
        """Return whether any entry can expire."""
        return bool(self._heap)

    def _sweep(self) -> None:
        self._heap[:] = [entry for entry in self._heap if entry[VALUE] is not GONE]
        heapq.heapify(self._heap)
        self._stale = 0
