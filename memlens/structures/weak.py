"""A cache that keeps nothing alive: its entries go when their values do."""

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
    """What a `WeakValueCache` holds now, and what it has done since it was made."""

    entries: int
    kept: int  # entries whose values it keeps alive (see ``keep_newest``)
    hits: int
    misses: int
    deaths: int  # entries that went because their value died


class _Reference(weakref.ref[Any]):
    """A weak reference that knows its key."""

    __slots__ = ("key",)
    key: Any

    def __new__(cls, value: object, callback: Callable[[Any], object], key: object) -> _Reference:
        self = super().__new__(cls, value, callback)
        self.key = key
        return self

    def __init__(self, value: object, callback: Callable[[Any], object], key: object) -> None:
        """Accept what ``__new__`` has used."""
        super().__init__(value, callback)  # type: ignore[call-arg]  # typeshed has only __new__


class WeakValueCache(ComputingMapping[K, V]):
    """A thread-safe mapping whose values live only as long as somebody else uses them.

    **Use it** so that all who ask for the same key share one object while any of them has it (open
    documents, parsed templates, rows of an identity map), where an `LRUCache` would keep objects
    that nobody uses. ``keep_newest=N`` keeps the N most recently used values alive as well, which
    helps where users come one after the other.

    **Cost**: a lookup is O(1); an entry costs its weak reference beside its key; values
    cost nothing, but for the N newest.

    Values must allow weak references: instances of classes, functions, sets, arrays, but not int,
    str, tuple, list or dict; those are refused with TypeError. An entry whose value died is never
    returned or counted. The death of a value never waits for the lock: the entry is removed at once
    if the lock is free, and by the next call of a method if not.
    Iteration is over a copy of the entries and skips what has died since; it keeps no value alive
    but the current one. Destructors of values run without the lock.
    """

    def __init__(self, keep_newest: int = 0) -> None:
        self._keep_newest = require_count("keep_newest", keep_newest, minimum=0)
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
        """Return the value and mark it as used; ``default`` when there is none or it died."""
        value = self.peek(key, _MISSING)
        displaced = None
        with self._lock:
            if value is _MISSING:
                self._misses += 1
                return default
            self._hits += 1
            if self._keep_newest:
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
        """Return the value as ``get`` does, without marking it as used and without counting."""
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
            if self._keep_newest:
                displaced = self._keep_alive(key, value)
        del displaced
        self._bury()

    def _refer(self, key: K, value: V) -> _Reference:
        try:
            return _Reference(value, self._on_death, key)
        except TypeError:
            raise TypeError(
                f"the value of {key!r:.100} is of type {type(value).__qualname__}, which allows no "
                "weak references: wrap it in an instance of a class of your own, or use LRUCache"
            ) from None

    def _keep_alive(self, key: K, value: V) -> list[object]:
        """Put a value first among the newest; return what must die outside the lock. Lock held."""
        reference = self._references.get(key)
        if reference is None or reference() is not value:
            return []  # deleted or replaced since it was looked up
        displaced: list[object] = [self._newest.pop(key, None)]
        self._newest[key] = value
        while len(self._newest) > self._keep_newest:
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
        """Remove ``key`` and return its value; ``default``, or KeyError, when there is none."""
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
        """Remove and return a (key, value) that is alive; KeyError when there is none."""
        for key, _ in self._pairs():
            value: V = self.pop(key, _ABSENT)
            if value is not _ABSENT:
                return key, value
        raise KeyError("popitem(): the cache is empty")

    def setdefault(self, key: K, default: V | None = None) -> V:
        """Return the value of ``key``; store ``default`` first when there is none."""
        return self.get_or_compute(key, lambda: cast("V", default))

    def clear(self) -> None:
        """Remove everything."""
        with self._lock:
            emptied = (self._references, self._newest)
            self._references, self._newest = {}, OrderedDict()
            self._flights.by_key.clear()
        del emptied

    def __len__(self) -> int:
        self._bury()
        return len(self._references)

    def _pairs(self) -> Iterator[tuple[K, V]]:
        with self._lock:
            references = list(self._references.values())
        for reference in references:
            value = reference()
            if value is not None:
                yield reference.key, value

    def _bury(self) -> None:
        """Remove the entries of values that died."""
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
            del reference  # and with it, outside the lock, perhaps the key

    def stats(self) -> WeakCacheStats:
        """Return what the cache holds and has done."""
        self._bury()
        with self._lock:
            return WeakCacheStats(
                entries=len(self._references),
                kept=len(self._newest),
                hits=self._hits,
                misses=self._misses,
                deaths=self._deaths,
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self)} entries, keep_newest={self._keep_newest}>"


def _death_notice(cache: weakref.ref[WeakValueCache[Any, Any]]) -> Callable[[_Reference], None]:
    """Return the callback of dying values; it must not keep the cache alive."""

    def notice(reference: _Reference) -> None:
        alive = cache()
        if alive is None:
            return
        # Values die at any moment, in any thread, in the middle of our own methods, too.
        alive._dead.append(reference)
        if alive._lock.acquire(blocking=False):
            try:
                alive._bury()
            finally:
                alive._lock.release()

    return notice
