"""A cache of weak references: an entry is removed when its value is freed."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple, TypeVar, cast, overload

from memlens.structures._arguments import require_count
from memlens.structures._flights import ComputingMapping, Flight, FlightTable

__all__ = ("WeakCacheStats", "WeakValueCache")

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")
_MISSING: Any = object()
_ABSENT: Any = object()


class WeakCacheStats(NamedTuple):
    """The content of a `WeakValueCache`, and its counts since creation."""

    entries: int
    kept: int  # entries whose values the cache keeps alive (see ``keep_newest``)
    hits: int
    misses: int
    deaths: int  # entries removed because their value was freed


class _Reference(weakref.ref[Any]):
    """A weak reference with its key."""

    __slots__ = ("key",)
    key: Any

    def __new__(cls, value: object, callback: Callable[[Any], object], key: object) -> _Reference:
        self = super().__new__(cls, value, callback)
        self.key = key
        return self

    def __init__(self, value: object, callback: Callable[[Any], object], key: object) -> None:
        """Accept the arguments of ``__new__``."""
        super().__init__(value, callback)  # type: ignore[call-arg]  # typeshed has only __new__


class WeakValueCache(ComputingMapping[K, V]):
    """A thread-safe mapping whose values live only while other code refers to them.

    **Use it** to share one object per key between its users (open documents, parsed templates, rows
    of an identity map); an `LRUCache` would keep unused objects alive. ``keep_newest=N`` also keeps
    the N most recently used values alive, for users that come one after the other.

    **Cost**: a lookup is O(1). An entry takes the memory of its key and a weak reference; only the
    N newest values are kept alive.

    Values must support weak references: instances of classes, functions, sets and arrays do; int,
    str, tuple, list and dict do not, and storing them raises TypeError. An entry whose value was
    freed is never returned or counted. Freeing a value never waits for the lock: the entry is
    removed at once if the lock is free, otherwise by the next method call. Iteration uses a copy of
    the entries, skips values that were freed, and keeps only the current value alive. Destructors
    of values run without the lock.
    """

    def __init__(self, keep_newest: int = 0) -> None:
        self._capacity = require_count("keep_newest", keep_newest, minimum=0)
        self._lock = threading.RLock()
        self._flights: FlightTable[V] = FlightTable()
        self._references: dict[K, _Reference] = {}
        self._newest: OrderedDict[K, V] = OrderedDict()
        self._dead: deque[_Reference] = deque()
        self._hits = self._misses = self._deaths = 0
        self._on_death = _death_notice(weakref.ref(self))

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: V) -> V: ...
    @overload
    def get(self, key: K, default: T) -> V | T: ...
    def get(self, key: K, default: object = None) -> object:
        """Return the value and mark it as used; ``default`` if there is none or it was freed."""
        value = self.peek(key, _MISSING)
        displaced = None
        with self._lock:
            if value is _MISSING:
                self._misses += 1
                return default
            self._hits += 1
            if self._capacity:
                displaced = self._keep_alive(key, value)
        del displaced
        return value

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
        reference = self._references.get(key)
        value = None if reference is None else reference()
        return default if value is None else value

    def __setitem__(self, key: K, value: V) -> None:
        self._put(key, value, None)

    def _keep(self, key: K, value: V, flight: Flight[V]) -> None:
        self._put(key, value, flight)

    def _put(self, key: K, value: V, flight: Flight[V] | None) -> None:
        reference = self._refer(key, value)
        displaced = None
        with self._lock:
            if flight is None:
                self._flights.supersede(key)
            elif not self._flights.is_current(key, flight):
                return
            self._references[key] = reference
            if self._capacity:
                displaced = self._keep_alive(key, value)
        del displaced
        self._remove_dead()

    def _refer(self, key: K, value: V) -> _Reference:
        try:
            return _Reference(value, self._on_death, key)
        except TypeError:
            raise TypeError(
                f"the value of {key!r:.100} has the type {type(value).__qualname__}, which does not"
                " support weak references: wrap it in an instance of your own class, or use LRUCache"
            ) from None

    def _keep_alive(self, key: K, value: V) -> list[object]:
        """Mark a value as newest. Returns objects to drop outside of the lock, which is held."""
        reference = self._references.get(key)
        if reference is None or reference() is not value:
            return []  # deleted or replaced since the lookup
        displaced: list[object] = [self._newest.pop(key, None)]
        self._newest[key] = value
        while len(self._newest) > self._capacity:
            displaced.append(self._newest.popitem(last=False))
        return displaced

    def __delitem__(self, key: K) -> None:
        self.pop(key)

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
            reference = self._references.pop(key, None)
            value = None if reference is None else reference()
            kept = self._newest.pop(key, None)
        del kept
        if value is not None:
            return value
        if default is _MISSING:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[K, V]:
        """Remove and return a (key, value) whose value is alive. KeyError if there is none."""
        for key, _ in self._pairs():
            value: V = self.pop(key, _ABSENT)
            if value is not _ABSENT:
                return key, value
        raise KeyError("popitem(): the cache is empty")

    def setdefault(self, key: K, default: V | None = None) -> V:
        """Return the value of ``key``; if there is none, store and return ``default``."""
        return self.get_or_compute(key, lambda: cast("V", default))

    def clear(self) -> None:
        """Remove all entries."""
        with self._lock:
            emptied = (self._references, self._newest)
            self._references, self._newest = {}, OrderedDict()
            self._flights.by_key.clear()
        del emptied

    def __len__(self) -> int:
        self._remove_dead()
        return len(self._references)

    def _pairs(self) -> Iterator[tuple[K, V]]:
        with self._lock:
            references = list(self._references.values())
        for reference in references:
            value = reference()
            if value is not None:
                yield reference.key, value

    def _remove_dead(self) -> None:
        """Remove the entries whose values were freed."""
        dead = self._dead
        while dead:
            with self._lock:
                try:
                    reference = dead.popleft()
                except IndexError:  # another thread was faster
                    return
                self._deaths += 1
                if self._references.get(reference.key) is reference:
                    del self._references[reference.key]
            del reference  # outside of the lock, since this may free the key

    def stats(self) -> WeakCacheStats:
        """Return content and counts."""
        self._remove_dead()
        with self._lock:
            return WeakCacheStats(
                entries=len(self._references),
                kept=len(self._newest),
                hits=self._hits,
                misses=self._misses,
                deaths=self._deaths,
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self)} entries, keep_newest={self._capacity}>"


def _death_notice(cache: weakref.ref[WeakValueCache[Any, Any]]) -> Callable[[_Reference], None]:
    """Return the callback for freed values, which does not keep the cache alive."""

    def notice(reference: _Reference) -> None:
        alive = cache()
        if alive is None:
            return
        # A value may be freed at any moment and in any thread, even during our own methods.
        alive._dead.append(reference)
        if alive._lock.acquire(blocking=False):
            try:
                alive._remove_dead()
            finally:
                alive._lock.release()

    return notice
