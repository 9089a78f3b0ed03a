"""One computation per key: the second who asks waits for the answer of the first.

Known as "single flight" (Go's ``golang.org/x/sync/singleflight``). Threads and tasks of any event
loop wait in the same queue, so it does not matter which of them computes.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

from memlens.structures._views import SnapshotMapping
from memlens.structures._waiting import TaskWaiter, ThreadWaiter, Waiter

__all__ = ("ComputingMapping", "Flight", "FlightTable")

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_MISSING: Any = object()


class Flight(Generic[V]):
    """One computation: who does it, who waits for it, and how it ended."""

    __slots__ = ("error", "has_value", "owner", "thread", "value", "waiters")

    def __init__(self, owner: object) -> None:
        self.owner = owner  # a task, or the number of a thread
        self.thread = threading.get_ident()
        self.waiters: list[Waiter] = []
        self.value: V
        self.has_value = False
        self.error: Exception | None = None


class FlightTable(Generic[V]):
    """The flights of one mapping, by key. Every method is called with the mapping's lock held."""

    __slots__ = ("_sleeping", "by_key")

    def __init__(self) -> None:
        self.by_key: dict[Hashable, Flight[V]] = {}
        self._sleeping: dict[object, Flight[V]] = {}  # what a thread or task waits for

    def supersede(self, key: Hashable) -> None:
        """The key was set or deleted meanwhile: what is being computed must not be stored."""
        if self.by_key:
            self.by_key.pop(key, None)

    def is_current(self, key: Hashable, flight: Flight[V]) -> bool:
        """Tell whether the result of this flight is still wanted in the mapping."""
        return self.by_key.get(key) is flight

    def join(self, flight: Flight[V], key: Hashable, sleeper: object, waiter: Waiter) -> None:
        """Add a waiter; RuntimeError when it would wait, directly or through others, for itself."""
        step: Flight[V] | None = flight
        while step is not None:
            # A thread that sleeps stops all tasks of its event loop, not only the current one.
            if sleeper in (step.owner, step.thread):
                raise RuntimeError(
                    f"the computation of {key!r:.100} would wait for itself: compute() asked, "
                    "directly or through another key, for the value that it is to compute"
                )
            step = self._sleeping.get(step.owner)
        self._sleeping[sleeper] = flight
        flight.waiters.append(waiter)

    def leave(self, flight: Flight[V], sleeper: object, waiter: Waiter) -> None:
        """End a wait, whatever ended it."""
        self._sleeping.pop(sleeper, None)
        if waiter in flight.waiters:
            flight.waiters.remove(waiter)

    def land(self, key: Hashable, flight: Flight[V]) -> list[Waiter]:
        """End a flight and return those to be woken."""
        if self.by_key.get(key) is flight:
            del self.by_key[key]
        return flight.waiters[:]


class ComputingMapping(SnapshotMapping[K, V]):
    """A mapping with ``get_or_compute``, from ``get``, ``peek`` and ``_keep``."""

    _lock: threading.RLock
    _flights: FlightTable[V]

    @abstractmethod
    def _keep(self, key: K, value: V, flight: Flight[V]) -> None:
        """Store a computed value if ``flight`` is still current and the value may be stored."""

    def get_or_compute(self, key: K, compute: Callable[[], V]) -> V:
        """Return the value of ``key``; where there is none, that of ``compute()``, and keep it.

        However many threads and tasks ask at the same time, ``compute()`` runs once, without any
        lock held, and the others wait for it. An ``Exception`` of it reaches all who wait, the same
        one, and is not kept: the next call computes again. (Retrying in turn would make N callers
        wait N times for a service that is down.) Where the computing thread itself is stopped
        (KeyboardInterrupt, a cancelled task), one of those who wait computes instead. A key that
        is set or deleted meanwhile is left as it then is; a value that the mapping cannot hold is
        returned all the same.

        Raises RuntimeError instead of waiting for ever when ``compute()`` needs its own result.
        """
        value: V = self.get(key, _MISSING)
        return self._compute(key, compute) if value is _MISSING else value

    async def get_or_compute_async(self, key: K, compute: Callable[[], Awaitable[V]]) -> V:
        """Do as ``get_or_compute`` with something to await; waiting does not block the loop."""
        value: V = self.get(key, _MISSING)
        return await self._compute_async(key, compute) if value is _MISSING else value

    def _compute(self, key: K, compute: Callable[[], V]) -> V:
        value = _MISSING
        while value is _MISSING:
            value, flight, waiter = self._take_off(key, threading.get_ident(), ThreadWaiter)
            if waiter is not None:
                try:
                    waiter.wait()
                finally:
                    self._end_wait(flight, threading.get_ident(), waiter)
                value = _outcome(flight)
            elif flight is not None:
                return self._computed(key, compute, flight)
        return value  # type: ignore[no-any-return]  # V, or the sentinel that ended the loop

    async def _compute_async(self, key: K, compute: Callable[[], Awaitable[V]]) -> V:
        import asyncio

        value = _MISSING
        while value is _MISSING:
            task = asyncio.current_task()
            value, flight, waiter = self._take_off(key, task, TaskWaiter)
            if waiter is not None:
                try:
                    await waiter.wait()
                finally:
                    self._end_wait(flight, task, waiter)
                value = _outcome(flight)
            elif flight is not None:
                return await self._computed_async(key, compute, flight)
        return value  # type: ignore[no-any-return]

    def _take_off(self, key: K, me: object, make_waiter: Callable[[], Any]) -> tuple[Any, Any, Any]:
        """Return (value, None, None), (missing, my flight, None) or (missing, flight, waiter)."""
        waiter = make_waiter()
        with self._lock:
            value = self.peek(key, _MISSING)
            if value is not _MISSING:
                return value, None, None
            flight = self._flights.by_key.get(key)
            if flight is not None:
                self._flights.join(flight, key, me, waiter)
                return _MISSING, flight, waiter
            flight = self._flights.by_key[key] = Flight(me)
            return _MISSING, flight, None

    def _computed(self, key: K, compute: Callable[[], V], flight: Flight[V]) -> V:
        try:
            value = compute()
        except BaseException as error:
            self._land(key, flight, error)
            raise
        return self._arrived(key, value, flight)

    async def _computed_async(
        self, key: K, compute: Callable[[], Awaitable[V]], flight: Flight[V]
    ) -> V:
        try:
            value = await compute()
        except BaseException as error:
            self._land(key, flight, error)
            raise
        return self._arrived(key, value, flight)

    def _arrived(self, key: K, value: V, flight: Flight[V]) -> V:
        flight.value, flight.has_value = value, True
        try:
            self._keep(key, value, flight)  # may raise what size_of or on_evict raises
        finally:
            self._land(key, flight, None)
        return value

    def _land(self, key: K, flight: Flight[V], error: BaseException | None) -> None:
        with self._lock:
            waiters = self._flights.land(key, flight)
        if waiters and isinstance(error, Exception):
            flight.error = error
        for waiter in waiters:
            waiter.wake()

    def _end_wait(self, flight: Flight[V], me: object, waiter: Waiter) -> None:
        with self._lock:
            self._flights.leave(flight, me, waiter)


def _outcome(flight: Flight[V]) -> V | object:
    """Return or raise how a flight ended; the sentinel when it was broken off: try again."""
    if flight.error is not None:
        try:
            raise flight.error
        finally:
            del flight  # else: error -> traceback -> this frame -> flight -> error
    return flight.value if flight.has_value else _MISSING
